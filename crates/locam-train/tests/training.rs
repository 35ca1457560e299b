//! Real training runs of a small network on generated patches: that it learns, that stopping, killing and
//! resuming change no bit of the result, and that neither threads nor workers do.

use image::{Rgb, RgbImage};
use locam_core::{ClassId, ClassSpec};
use locam_data::{Patch, PatchStore, Sampling, Split};
use locam_net::Compute;
use locam_train::{
    ClassWeights, EpochMetrics, Event, Outcome, Run, RunFolder, Schedule, Start, TrainConfig, TrainData,
    TrainError, Weights, find_learning_rate, train,
};
use safetensors::tensor::{SafeTensors, TensorView};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const SIDE: u32 = 64;
/// Tells a child process where its run is; without it the child's test does nothing.
const CHILD_FOLDER: &str = "LOCAM_TRAIN_TEST_FOLDER";
/// Tells a child process its number of loader threads.
const CHILD_WORKERS: &str = "LOCAM_TRAIN_TEST_WORKERS";

/// A patch of noise that is redder in class 1.
fn noise(index: u32, class: usize) -> RgbImage {
    let mut state = index.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let red = if class == 1 { 90 } else { 0 };
    RgbImage::from_fn(SIDE, SIDE, |_, _| Rgb([(next() / 2).saturating_add(red), next() / 2, next() / 2]))
}

/// `count` patches of two classes by turns, written into `folder`.
fn store(folder: &Path, count: u32, split: Split) -> Arc<PatchStore> {
    let offset = split as u32 * 1000;
    let patches = (0..count).map(|i| {
        let class = i as usize % 2;
        let path = folder.join(format!("{split:?}-{i:03}.png"));
        if !path.exists() {
            noise(offset + i, class).save(&path).unwrap();
        }
        Patch { path, crop: None, margin: 0, class: ClassId(class), split }
    });
    let (store, problems) = PatchStore::open(patches.collect(), SIDE, u64::MAX);
    assert!(problems.is_empty(), "{problems:?}");
    Arc::new(store)
}

fn data(folder: &Path) -> TrainData {
    std::fs::create_dir_all(folder).unwrap();
    let class = |name: &str| ClassSpec::new(name, false);
    TrainData {
        classes: vec![class("grey"), class("red")],
        train: store(folder, 22, Split::Train),
        val: Some(store(folder, 10, Split::Val)),
        test: Some(store(folder, 10, Split::Test)),
        object_size: None,
        image_scale: None,
        microns_per_pixel: None,
        stain: None,
    }
}

/// Three epochs of six batches, the last of them smaller, with everything in use that has a state.
fn config() -> TrainConfig {
    TrainConfig {
        arch: "mobilenet_v2".parse().unwrap(),
        epochs: 3,
        batch_size: 4,
        learning_rate: Some(0.005),
        weight_decay: 1e-4,
        schedule: Schedule::Cosine,
        warmup_epochs: 0.5,
        label_smoothing: 0.1,
        sampling: Sampling::Balanced,
        ema: Some(0.8),
        layer_decay: 0.9,
        augment: "flips,turns,mixup,cutmix".parse().unwrap(),
        patch_size: SIDE,
        seed: 3,
        ..TrainConfig::default()
    }
}

/// What [`train`] needs, without a stop flag.
fn run(
    config: &TrainConfig,
    data: &TrainData,
    folder: &Path,
    start: Start,
    stop: &AtomicBool,
    observer: &mut dyn FnMut(&Event),
) -> Result<Outcome, TrainError> {
    let run = Run { config, data, folder, start, compute: &Compute::Cpu, device_name: "cpu", stop };
    train(&run, &mut |event: &Event| observer(event))
}

fn finish(config: &TrainConfig, data: &TrainData, folder: &Path, start: Start) -> Vec<EpochMetrics> {
    match run(config, data, folder, start, &AtomicBool::new(false), &mut |_| {}).unwrap() {
        Outcome::Finished(summary) => summary.history,
        stopped @ Outcome::Stopped { .. } => panic!("nobody asked it to stop: {stopped:?}"),
    }
}

/// Everything of a finished run that must not depend on how it came about.
#[derive(Debug, PartialEq)]
struct Fingerprint {
    metrics_without_seconds: Vec<String>,
    best: Vec<u8>,
    last: Vec<u8>,
    best_epoch: Option<usize>,
    test_accuracy: Option<f64>,
}

fn fingerprint(folder: &Path) -> Fingerprint {
    let run = RunFolder::new(folder);
    let manifest = run.read_manifest().unwrap();
    assert!(manifest.finished_unix.is_some(), "the run is complete");
    let metrics = std::fs::read_to_string(run.metrics()).unwrap();
    Fingerprint {
        metrics_without_seconds: metrics.lines().map(|l| l.rsplit_once(',').unwrap().0.to_owned()).collect(),
        best: std::fs::read(run.best().join("model.safetensors")).unwrap(),
        last: std::fs::read(run.last().join("model.safetensors")).unwrap(),
        best_epoch: manifest.best_epoch,
        test_accuracy: manifest.test_accuracy,
    }
}

#[track_caller]
fn assert_same_run(a: &Path, b: &Path) {
    let (a, b) = (fingerprint(a), fingerprint(b));
    assert_eq!(a.metrics_without_seconds, b.metrics_without_seconds);
    assert_eq!((a.best_epoch, a.test_accuracy), (b.best_epoch, b.test_accuracy));
    assert!(a.last == b.last, "the weights of the last models differ");
    assert!(a.best == b.best, "the weights of the best models differ");
}

#[test]
fn it_learns_and_a_finished_run_is_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (data(&folder.path().join("data")), folder.path().join("run"));
    let arch = "resnet18".parse().unwrap();
    let augment = "flips,turns".parse().unwrap();
    let config = TrainConfig { arch, epochs: 6, learning_rate: Some(0.01), augment, ema: None, ..config() };
    let mut names = Vec::new();
    let stop = AtomicBool::new(false);
    let outcome = run(&config, &data, &out, Start::New, &stop, &mut |event| {
        names.push(serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned());
    });
    let Ok(Outcome::Finished(summary)) = outcome else { panic!("{outcome:?}") };
    let test = summary.test.unwrap();
    assert!(test.accuracy >= 0.9, "{test:?} after {:#?}", summary.history);
    assert_eq!(test.confusion.row_total(0) + test.confusion.row_total(1), 10);
    assert!(summary.history[5].train_loss < summary.history[0].train_loss);
    assert_eq!(names.iter().filter(|name| *name == "batch_done").count(), 36);
    assert_eq!(names.iter().filter(|name| *name == "epoch_done").count(), 6);

    let again = run(&config, &data, &out, Start::Resume, &stop, &mut |_| {});
    assert!(matches!(again, Err(TrainError::Finished { epochs: 6, .. })), "{again:?}");
    let anew = run(&config, &data, &out, Start::New, &stop, &mut |_| {});
    assert!(matches!(anew, Err(TrainError::NotEmpty { .. })), "{anew:?}");
}

#[test]
fn a_run_stopped_in_the_middle_of_epochs_ends_as_an_unbroken_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(&folder.path().join("data"));
    for optimizer in ["sgd", "adam"] {
        let optimizer = toml::Value::from(optimizer).try_into().unwrap();
        let config = TrainConfig { optimizer, learning_rate: Some(1e-3), epochs: 2, ..config() };
        let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
        finish(&config, &data, &whole, Start::New);

        let mut stopped_at = Vec::new();
        for stop_after in [2, 4, 3] {
            let (stop, mut batches) = (AtomicBool::new(false), 0);
            let start = if stopped_at.is_empty() { Start::New } else { Start::Resume };
            let outcome = run(&config, &data, &broken, start, &stop, &mut |event| {
                batches += usize::from(matches!(event, Event::BatchDone { .. }));
                stop.store(batches == stop_after, Ordering::Relaxed);
            });
            match outcome.unwrap() {
                Outcome::Stopped { epochs, batches } => stopped_at.push((epochs, batches)),
                finished @ Outcome::Finished(_) => panic!("{finished:?}"),
            }
        }
        assert_eq!(stopped_at, [(0, 2), (0, 6), (1, 3)]);
        finish(&config, &data, &broken, Start::Resume);
        assert_same_run(&whole, &broken);
        std::fs::remove_dir_all(whole).unwrap();
        std::fs::remove_dir_all(broken).unwrap();
    }
}

/// The tensors of a safetensors file whose names begin with `part`, which is taken off.
fn tensors(path: &Path, part: &str) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap();
    let own = |(name, view): (&str, TensorView<'_>)| {
        Some((name.strip_prefix(part)?.to_owned(), view.data().to_vec()))
    };
    all.iter().filter_map(own).collect()
}

#[test]
fn models_are_of_the_average_and_training_goes_on_as_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(&folder.path().join("data"));
    let [with, without] = ["with", "without"].map(|name| folder.path().join(name));
    let averaged = TrainConfig { epochs: 1, ema: Some(0.9), ..config() };
    let found = finish(&averaged, &data, &with, Start::New);
    let plain = finish(&TrainConfig { ema: None, ..averaged }, &data, &without, Start::New);
    assert_eq!(found[0].train_loss.to_bits(), plain[0].train_loss.to_bits());
    assert_ne!(found[0].val_loss, plain[0].val_loss, "validation is of the average");
    let [with, without] = [with, without].map(|path| RunFolder::new(&path));
    let model = |run: &RunFolder| tensors(&run.last().join("model.safetensors"), "");
    assert!(model(&with) == tensors(&with.checkpoint(), "average."));
    assert!(model(&without) == tensors(&with.checkpoint(), "network."));
    assert!(model(&with) != model(&without) && tensors(&without.checkpoint(), "average.").is_empty());
}

#[test]
fn a_frozen_run_keeps_its_first_modules_and_goes_on_from_its_middle() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(&folder.path().join("data"));
    let first = folder.path().join("first");
    finish(&TrainConfig { epochs: 1, ..config() }, &data, &first, Start::New);
    let weights = RunFolder::new(&first).last().join("model.safetensors");
    let frozen = TrainConfig {
        weights: Weights::File(weights.clone()),
        freeze: Some("features.10".to_owned()),
        ema: None,
        class_weights: ClassWeights::Balanced,
        sampling: Sampling::Shuffled,
        epochs: 2,
        ..config()
    };
    let [whole, broken] = ["whole", "broken"].map(|name| folder.path().join(name));
    finish(&frozen, &data, &whole, Start::New);
    let mut batches = 0;
    let stop = AtomicBool::new(false);
    run(&frozen, &data, &broken, Start::New, &stop, &mut |event| {
        batches += usize::from(matches!(event, Event::BatchDone { .. }));
        stop.store(batches == 4, Ordering::Relaxed);
    })
    .unwrap();
    finish(&frozen, &data, &broken, Start::Resume);
    assert_same_run(&whole, &broken);
    let (before, after) =
        (tensors(&weights, ""), tensors(&RunFolder::new(&whole).last().join("model.safetensors"), ""));
    for (name, values) in &after {
        let place =
            name.strip_prefix("features.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        assert_eq!(*values == before[name], place.is_some_and(|place| place <= 10), "{name}");
    }
}

#[test]
fn a_learning_rate_is_found_and_nothing_else_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (data(&folder.path().join("data")), folder.path().join("rates"));
    let config = TrainConfig {
        arch: "resnet18".parse().unwrap(),
        augment: "flips,turns".parse().unwrap(),
        batch_size: 11,
        ema: None,
        layer_decay: 1.0,
        momentum: 0.9,
        ..config()
    };
    let stop = AtomicBool::new(false);
    let run = |out: &Path, stop: &AtomicBool| {
        let run = Run {
            config: &config,
            data: &data,
            folder: out,
            start: Start::New,
            compute: &Compute::Cpu,
            device_name: "cpu",
            stop,
        };
        find_learning_rate(&run, &mut |_: &Event| {})
    };
    let test = run(&out, &stop).unwrap().unwrap();
    let rates: Vec<f64> = test.steps.iter().map(|step| step.learning_rate).collect();
    assert!(rates.len() > 40 && rates.is_sorted() && (rates[0] - 1e-6).abs() < 1e-12, "{rates:?}");
    let suggestion = test.suggestion.unwrap();
    assert!((1e-5..0.1).contains(&suggestion), "{suggestion}: {:?}", test.steps);
    let at = rates.iter().position(|rate| *rate >= suggestion).unwrap();
    assert!(test.steps[at + 7].smoothed_loss < test.steps[at - 7].smoothed_loss);
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0, "the folder is empty");
    assert_eq!(run(&out, &AtomicBool::new(true)).unwrap(), None);
    std::fs::write(out.join("notes.txt"), "mine").unwrap();
    assert!(matches!(run(&out, &stop), Err(TrainError::NotEmpty { .. })));
}

#[test]
fn patience_ends_a_run_so_many_epochs_after_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (data(&folder.path().join("data")), folder.path().join("run"));
    let patient = TrainConfig { epochs: 12, patience: Some(2), ..config() };
    let history = finish(&patient, &data, &out, Start::New);
    let best = RunFolder::new(&out).read_manifest().unwrap().best_epoch.unwrap();
    assert_eq!(history.len(), patient.epochs.min(best + 2), "the best epoch is {best}");
    let mut blind = data;
    blind.val = None;
    let stop = AtomicBool::new(false);
    let error = run(&patient, &blind, &folder.path().join("blind"), Start::New, &stop, &mut |_| {});
    assert!(error.unwrap_err().to_string().contains("or no patience"));
}

#[test]
fn resuming_refuses_other_settings_and_other_data() {
    let folder = tempfile::tempdir().unwrap();
    let (mut data, out) = (data(&folder.path().join("data")), folder.path().join("run"));
    let missing = run(&config(), &data, &out, Start::Resume, &AtomicBool::new(false), &mut |_| {});
    assert!(matches!(missing, Err(TrainError::NoRun { .. })), "{missing:?}");
    let stop = AtomicBool::new(true);
    let outcome = run(&config(), &data, &out, Start::New, &stop, &mut |_| {}).unwrap();
    assert_eq!(outcome, Outcome::Stopped { epochs: 0, batches: 1 });

    let checkpoint = std::fs::read(RunFolder::new(&out).checkpoint()).unwrap();
    for (other, expected) in [
        (TrainConfig { seed: 4, ..config() }, "seed"),
        (TrainConfig { arch: "resnet18".parse().unwrap(), ..config() }, "arch"),
        (TrainConfig { ema: None, ..config() }, "ema"),
        (TrainConfig { sampling: Sampling::Shuffled, ..config() }, "sampling"),
    ] {
        let mut events = 0;
        match run(&other, &data, &out, Start::Resume, &stop, &mut |_| events += 1) {
            Err(error @ TrainError::OtherConfig { .. }) => {
                let message = error.to_string();
                assert!(message.contains(&format!("started with another {expected};")), "{message}");
            }
            result => panic!("{result:?}"),
        }
        assert_eq!(events, 0, "nothing is done for {expected}");
    }
    assert_eq!(std::fs::read(RunFolder::new(&out).checkpoint()).unwrap(), checkpoint);
    data.val = None;
    match run(&config(), &data, &out, Start::Resume, &stop, &mut |_| {}) {
        Err(TrainError::OtherData { what, .. }) => assert_eq!(what, "the validation patches"),
        result => panic!("{result:?}"),
    }
}

#[test]
fn data_that_cannot_be_trained_on_are_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let (good, out) = (data(&folder.path().join("data")), folder.path().join("run"));
    let mut one_class = good.clone();
    one_class.classes.truncate(1);
    let mut unused_class = good.clone();
    unused_class.classes.push(ClassSpec::new("blue", false));
    let mut empty = good.clone();
    empty.test = Some(store(folder.path(), 0, Split::Test));
    let other_size = TrainConfig { patch_size: 96, ..config() };
    let cases = [
        (config(), one_class, "class number 1"),
        (config(), unused_class, "none of class `blue`"),
        (config(), empty, "the test patches are none"),
        (other_size, good, "64x64 pixels and patch_size is 96"),
    ];
    for (config, data, part) in cases {
        let error = run(&config, &data, &out, Start::New, &AtomicBool::new(false), &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert!(!out.exists(), "no folder is made for {part}");
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (data(&folder.path().join("data")), folder.path().join("run"));
    let config = TrainConfig { learning_rate: Some(1e30), warmup_epochs: 0.0, ..config() };
    let stop = AtomicBool::new(true);
    run(&config, &data, &out, Start::New, &stop, &mut |_| {}).unwrap();
    let checkpoint = std::fs::read(RunFolder::new(&out).checkpoint()).unwrap();
    let error = run(&config, &data, &out, Start::Resume, &AtomicBool::new(false), &mut |_| {}).unwrap_err();
    match &error {
        TrainError::NotFinite { split: "train", epoch: 1, batch, learning_rate, .. } => {
            assert!((2..=6).contains(batch) && *learning_rate > 1e29, "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read(RunFolder::new(&out).checkpoint()).unwrap(), checkpoint);
}

/// Not a test by itself: what child processes run. It prints a line for each event.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let folder = Path::new(&folder);
    let workers = std::env::var(CHILD_WORKERS).unwrap().parse().unwrap();
    let out = folder.join("run");
    let start = if RunFolder::new(&out).manifest().exists() { Start::Resume } else { Start::New };
    let config = TrainConfig { workers, ..config() };
    let outcome =
        run(&config, &data(&folder.join("data")), &out, start, &AtomicBool::new(false), &mut |event| {
            println!("event {}", serde_json::to_string(event).unwrap());
        });
    assert!(matches!(outcome, Ok(Outcome::Finished(_)) | Err(TrainError::Finished { .. })), "{outcome:?}");
}

fn child_process(folder: &Path, threads: usize, workers: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .env(CHILD_WORKERS, workers.to_string())
        .env("RAYON_NUM_THREADS", threads.to_string());
    command
}

#[test]
fn threads_and_workers_change_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (one, three) = (folder.path().join("one"), folder.path().join("three"));
    for (folder, threads) in [(&one, 1), (&three, 3)] {
        let output = child_process(folder, threads, threads).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_same_run(&one.join("run"), &three.join("run"));
}

#[test]
fn a_run_killed_again_and_again_ends_as_an_unbroken_one() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    assert!(child_process(&whole, 2, 2).stdout(Stdio::null()).status().unwrap().success());
    // The n-th event is a batch, a saved model or a saved checkpoint; the kill comes while the next is on its
    // way.
    let mut kills = 0;
    for (attempt, events) in [1, 4, 9, 10, 5, 9, 11, 6, 9].into_iter().enumerate() {
        let mut child = child_process(&broken, 2, 2).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut told = lines.filter(|line| line.contains("event {"));
        let seen = told.by_ref().take(events).count();
        std::thread::sleep(std::time::Duration::from_millis(attempt as u64 * 5));
        child.kill().unwrap();
        let ended_by_itself = child.wait().unwrap().success();
        kills += usize::from(seen == events && !ended_by_itself);
    }
    assert!(kills >= 4, "only {kills} kills came before the end");
    assert!(child_process(&broken, 2, 2).stdout(Stdio::null()).status().unwrap().success());
    assert_same_run(&whole.join("run"), &broken.join("run"));
}
