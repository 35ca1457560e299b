//! Figures that can be believed: folds, copies across splits, contradictory labels.

use crate::support::Workplace;
use serde_json::Value;
use std::path::Path;

/// Seconds of training.
const QUICK: [&str; 8] =
    ["--arch", "squeezenet1_1", "--patch-size", "64", "--epochs", "1", "--batch-size", "16"];

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn smears() -> Workplace {
    let place = Workplace::new();
    place.ok(&["data", "smears", "--out", "smears", "--fields", "1", "--patches", "30", "--size", "640x480"]);
    place
}

#[test]
fn folds_test_every_patch_once_and_carry_on() {
    let place = smears();
    let train = [&["train", "smears/ALL_IDB2", "--out", "five", "--folds", "3"], &QUICK[..]].concat();
    let (table, messages) = place.ok(&train);
    assert!(table.contains("fold-3") && table.contains("balanced accuracy"), "{table}");
    assert!(messages.contains("fold-2 (2 of 3)"), "{messages}");
    let found = json(&place.path("five/cross-validation.json"));
    let tested: u64 =
        found["folds"].as_array().unwrap().iter().map(|fold| fold["test"].as_u64().unwrap()).sum();
    assert_eq!((tested, found["pooled"]["patches"].as_u64()), (30, Some(30)));
    let interval = &found["pooled"]["accuracy"];
    assert!(interval["low"].as_f64() <= interval["value"].as_f64(), "{interval}");
    for file in
        ["report.html", "confusion.svg", "reliability.png", "fold-1/best/model.json", "fold-3/images.json"]
    {
        assert!(place.path("five").join(file).is_file(), "{file}");
    }

    // Nothing is trained again, and nothing else is taken for the same.
    let (again, messages) = place.ok(&[&train[..], &["--resume"]].concat());
    assert_eq!(again, table);
    assert!(!messages.contains("epoch"), "{messages}");
    let (code, _, message) = place.run(&[&train[..], &["--resume", "--seed", "9"]].concat());
    assert!(code != 0 && message.contains("fold-1"), "{message}");
    let (code, _, message) = place.run(&train);
    assert!(code != 0 && message.contains("--resume"), "{message}");

    // The fold's model is tested on its fold alone.
    let evaluate = ["evaluate", "smears/ALL_IDB2", "--model", "five/fold-1", "--json"];
    let figures: Value = serde_json::from_str(&place.ok(&evaluate).0).unwrap();
    assert_eq!(figures["patches"], found["folds"][0]["test"]);
    assert_eq!(figures["accuracy"]["value"], found["folds"][0]["accuracy"]);
}

#[test]
fn folds_of_whole_images_search_each_by_the_model_that_never_saw_it() {
    let place = Workplace::new();
    let smears = ["data", "smears", "--out", "fields", "--boxes", "all", "--size", "1280x960"];
    place.ok(&[&smears[..], &["--fields", "9", "--white-cells", "3"]].concat());
    let train = ["train", "fields", "--out", "two", "--folds", "2", "--val-fraction", "0.3"];
    let train = [&train[..], &QUICK[..]].concat();
    let (table, _) = place.ok(&train);
    assert!(table.contains("9 images; figures"), "{table}");
    let found = json(&place.path("two/cross-validation.json"));
    let (located, class) = (&found["located"], &found["located"]["classes"][0]);
    let count = |key: &str| class[key].as_u64().unwrap();
    assert_eq!((located["images"].as_u64(), class["class"].as_str()), (Some(9), Some("WBC")));
    assert_eq!(count("hits") + count("misses"), 27);
    let report = std::fs::read_to_string(place.path("two/report.html")).unwrap();
    assert!(report.contains("27 objects are marked"));
    // Windows that fit the data are recorded as if they had been asked for.
    let settings = std::fs::read_to_string(place.path("two/fold-2/config.toml")).unwrap();
    let window = settings.lines().find_map(|line| line.strip_prefix("window = ")).unwrap();
    assert!((120..=170).contains(&window.parse().unwrap()), "{settings}");
    assert!(settings.contains("background = 3"), "{settings}");

    // Nothing that was chosen on a fold is left in its model, so the same is found again.
    assert_eq!(place.ok(&[&train[..], &["--resume"]].concat()).0, table);
    let model = json(&place.path("two/fold-1/best/model.json"));
    assert_eq!(model["provenance"]["thresholds_from"], "");
}

#[test]
fn folds_that_can_not_be_are_refused_before_any_work() {
    let place = smears();
    let data = place.path("smears/ALL_IDB2/img");
    let blasts = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    let blasts = blasts.filter(|path| path.to_string_lossy().ends_with("_1.tif"));
    for path in blasts.skip(2) {
        std::fs::remove_file(path).unwrap();
    }
    for (folds, words) in [("3", "has no image of class `blast`"), ("1", "at least 2"), ("90", "take fewer")]
    {
        let (code, _, message) = place
            .run(&[&["train", "smears/ALL_IDB2", "--out", "run", "--folds", folds], &QUICK[..]].concat());
        assert!(code != 0 && message.contains(words), "{folds}: {message}");
        assert!(!place.path("run").exists(), "{folds}");
    }
}

#[test]
fn a_learning_rate_is_found_and_written_and_no_model_is() {
    let place = smears();
    let find = [&["train", "smears/ALL_IDB2", "--out", "rates", "--find-learning-rate"], &QUICK[..]].concat();
    let (answer, _) = place.ok(&find);
    assert!(answer.starts_with("the loss falls"), "{answer}");
    let table = std::fs::read_to_string(place.path("rates/learning-rate.csv")).unwrap();
    assert!(table.starts_with("step,learning_rate,loss,smoothed_loss\n1,0.000001,"), "{table}");
    let written: Vec<String> = std::fs::read_dir(place.path("rates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(written.len(), 3, "{written:?}");
    for file in ["learning-rate.svg", "learning-rate.png"] {
        assert!(written.contains(&file.to_owned()), "{written:?}");
    }
    let (code, _, message) = place.run(&find);
    assert!(code != 0 && message.contains("not empty"), "{message}");
    let (code, _, message) = place.run(&[&find[..], &["--resume"]].concat());
    assert!(code != 0 && message.contains("cannot be used with"), "{message}");
}

#[test]
fn layers_are_frozen_where_there_are_weights() {
    let place = smears();
    let train = [&["train", "smears/ALL_IDB2", "--out", "run"], &QUICK[..]].concat();
    let (code, _, message) = place.run(&[&train[..], &["--freeze", "features.3"]].concat());
    assert!(code != 0 && message.contains("give imagenet or a file as weights"), "{message}");
    assert!(!place.path("run").exists());
    place.ok(&[&train[..], &["--ema", "0.9", "--sampling", "balanced", "--augment", "mixup"]].concat());
    let tuned = ["--freeze", "features.3", "--layer-decay", "0.8", "--weights", "run/best/model.safetensors"];
    let mut train = [&train[..], &tuned].concat();
    train[3] = "tuned";
    place.ok(&train);
    let config = std::fs::read_to_string(place.path("tuned/config.toml")).unwrap();
    assert!(config.contains("freeze = \"features.3\"") && config.contains("layer_decay = 0.8"), "{config}");
}

#[test]
fn one_image_with_two_labels_is_refused() {
    let place = smears();
    let data = place.path("smears/ALL_IDB2/img");
    let first = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    let blast = first.filter(|path| path.to_string_lossy().ends_with("_1.tif")).min().unwrap();
    std::fs::copy(&blast, data.join("Im900_0.tif")).unwrap();
    let (code, _, message) = place.run(&[&["train", "smears/ALL_IDB2", "--out", "run"], &QUICK[..]].concat());
    assert!(code != 0 && message.contains("Im900_0.tif (healthy)"), "{message}");
    assert!(!place.path("run").exists());
}

#[test]
fn copies_across_the_splits_of_the_data_are_named() {
    let place = smears();
    let mut rows = "path,label,split\n".to_owned();
    let img = place.path("smears/ALL_IDB2/img");
    let mut names: Vec<String> = std::fs::read_dir(&img)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for (i, name) in names.iter().enumerate() {
        let class = if name.ends_with("_1.tif") { "blast" } else { "healthy" };
        let split = if i % 3 == 0 { "test" } else { "train" };
        rows.extend(["smears/ALL_IDB2/img/", name, ",", class, ",", split, "\n"]);
    }
    // A training patch again, brighter, mirrored and in another file format.
    let mut copy = image::open(img.join(&names[1])).unwrap().fliph().to_rgb8();
    for value in copy.pixels_mut().flat_map(|pixel| &mut pixel.0) {
        *value = value.saturating_add(6);
    }
    copy.save(place.path("again.png")).unwrap();
    let class = if names[1].ends_with("_1.tif") { "blast" } else { "healthy" };
    std::fs::write(place.path("data.csv"), format!("{rows}again.png,{class},test\n")).unwrap();

    let train = [&["train", "data.csv"], &QUICK[..]].concat();
    let (code, _, message) = place.run(&[&train[..], &["--out", "strict", "--strict"]].concat());
    assert!(code != 0 && message.contains("again.png (test) shows the same as"), "{message}");
    let (_, messages) = place.ok(&[&train[..], &["--out", "run"]].concat());
    assert!(messages.contains(&names[1]) && messages.contains("its figures are too good"), "{messages}");
    let evaluate = ["evaluate", "data.csv", "--model", "run", "--out", "found"];
    place.ok(&evaluate);
    let report = std::fs::read_to_string(place.path("found/report.html")).unwrap();
    assert!(report.contains("again.png (test) shows the same as"), "the report tells of the copy");
    let (_, messages) = place.ok(&[&evaluate[..4], &["--split", "train"]].concat());
    assert!(messages.contains("the model was trained on"), "{messages}");
}
