//! Cross-validation: a model per fold, each tested on images that it never saw, and figures over all of them: of patches, and
//! where there are whole images of what is found on these.
//!
//! Few labelled patches give few to test on, and the figures of a single split are mostly chance. Over all folds every
//! patch is tested on once per repeat. Intervals come from resamples of whole sources, not of patches or folds: the
//! predictions for one source are not independent, in whatever repeat they were made.

use crate::evaluating::{Evaluation, PatchEvaluation, patch_figures, units};
use crate::fold_search::Searched;
use crate::leakage::Checked;
use crate::training::{Prepared, prepare_checked, split_plan, train_run};
use crate::{Error, pictures, report};
use locam_data::{Dataset, FoldPlan, Patch, PatchStore, Problem, Split, assign_folds, assign_splits};
use locam_locate::Classified;
use locam_net::{DeviceChoice, Model, Precision, Predictor};
use locam_report::{confusion_plot, write_atomically};
use locam_train::{Observer, Outcome, RunFolder, Start, TrainConfig, TrainError};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What to cross-validate, and where.
#[derive(Clone, Copy, Debug)]
pub struct CrossRun<'a> {
    /// Labelled patches or annotated images. Images that it keeps for a test take no part.
    pub data: &'a Dataset,
    /// The settings of every fold's training.
    pub config: &'a TrainConfig,
    /// How many folds, at least 2.
    pub folds: usize,
    /// How often all of it is done, each time with other folds and another seed; at least 1.
    pub repeats: usize,
    /// The folder of the runs' folders.
    pub folder: &'a Path,
    /// Whether the runs in the folder are carried on.
    pub start: Start,
    /// When this becomes true, the current run is saved and [`cross_validate`] returns.
    pub stop: &'a AtomicBool,
}

/// What one fold gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoldFigures {
    /// The run folder's name.
    pub name: String,
    /// Patches that its weights were fitted on.
    pub train: usize,
    /// Patches that its best epoch was chosen on.
    pub val: usize,
    /// Patches that it was tested on.
    pub test: usize,
    /// The share of the test patches that is classified rightly.
    pub accuracy: f64,
}

/// What a cross-validation gave.
#[derive(Clone, Debug, Serialize)]
pub struct CrossValidation {
    /// Every fold of every repeat.
    pub folds: Vec<FoldFigures>,
    /// The mean of the folds' accuracies.
    pub mean_accuracy: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// The figures of all test patches together, with their intervals.
    pub pooled: PatchEvaluation,
    /// Of annotated whole images, what is found on each by the model that never saw it, at the levels that are best on the
    /// validation images of its fold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub located: Option<Evaluation>,
}

/// One fold before it is trained.
struct Fold {
    name: String,
    data: Dataset,
    config: TrainConfig,
}

/// Test patches with what the models that never saw them say.
#[derive(Default)]
struct Tested {
    patches: Vec<Patch>,
    classified: Vec<Classified>,
}

/// Trains a model per fold, each in a run folder below the folder, and tests each on its fold. `None` when it was stopped.
/// Folds that are complete are not trained again when runs are carried on. Also gives the files that were passed over.
///
/// # Errors
/// Before any work: what [`assign_folds`] says, identical patches with different labels, a folder in use. Later: what
/// training says.
pub fn cross_validate(
    run: &CrossRun<'_>,
    tell: &mut dyn FnMut(&str),
    observer: &mut dyn Observer,
) -> Result<Option<(CrossValidation, Vec<Problem>)>, Error> {
    if run.start == Start::New && run.folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(TrainError::NotEmpty { path: run.folder.to_owned() }.into());
    }
    let checked = Checked::new(&without_splits(run.data), run.config)?;
    let folds = folds(run, &checked)?;
    // So that carrying on needs no settings again.
    std::fs::create_dir_all(run.folder)
        .map_err(|source| Error::Io { path: run.folder.to_owned(), source })?;
    let config = run.config.to_toml()?;
    write_atomically(&run.folder.join("config.toml"), |file| file.write_all(config.as_bytes()))?;
    let (mut tested, mut figures, mut problems) = (Tested::default(), Vec::new(), Vec::new());
    let mut searched = (!run.data.holds_patches()).then(Searched::default);
    let mut names = Vec::new();
    for (number, fold) in folds.iter().enumerate() {
        tell(&format!("{} ({} of {})", fold.name, number + 1, folds.len()));
        let prepared = prepare_checked(&checked, &fold.data, &fold.config)?;
        let folder = run.folder.join(&fold.name);
        if !train_fold(run, fold, &prepared, &folder, observer)? {
            return Ok(None);
        }
        let Some(test) = &prepared.data.test else {
            return Err(Error::Request(format!("{} has no patch to test on that can be read", fold.name)));
        };
        let classified = classify(&folder, &fold.config, test)?;
        figures.push(fold_figures(&fold.name, &prepared, &classified));
        tested.patches.extend(test.patches().iter().cloned());
        tested.classified.extend(classified);
        if let Some(searched) = &mut searched {
            searched.add_fold(&folder, &fold.config, &fold.data, &prepared)?;
        }
        names = prepared.data.classes.iter().map(|class| class.name.clone()).collect();
        problems.extend(prepared.problems);
    }
    let groups =
        checked.data.items.iter().filter_map(|item| Some((item.path.as_path(), item.group.as_deref()?)));
    let groups: BTreeMap<&Path, &str> = groups.collect();
    let located = searched.map(|searched| {
        let (located, unsearched) = searched.figures(&groups);
        problems.extend(unsearched);
        located
    });
    problems.sort();
    problems.dedup();
    let found = CrossValidation { located, ..summary(run, &groups, figures, tested, &names) };
    write(run, &found, &names)?;
    Ok(Some((found, problems)))
}

/// The images that may take part, without what the data say of their split.
fn without_splits(data: &Dataset) -> Dataset {
    let mut data = data.clone();
    data.items.retain(|item| item.split != Some(Split::Test));
    for item in &mut data.items {
        item.split = None;
    }
    data
}

/// All folds of all repeats, each checked for images to train on and to choose on.
fn folds(run: &CrossRun<'_>, checked: &Checked) -> Result<Vec<Fold>, Error> {
    if run.repeats == 0 {
        return Err(Error::Request("0 repeats leave nothing to do; give at least 1".to_owned()));
    }
    let mut folds = Vec::new();
    for repeat in 0..run.repeats {
        let config = TrainConfig { seed: run.config.seed.wrapping_add(repeat as u64), ..run.config.clone() };
        let plan = FoldPlan { folds: run.folds, seed: config.seed };
        for (number, data) in assign_folds(&checked.data, plan)?.into_iter().enumerate() {
            assign_splits(&data, &split_plan(&config))?;
            let name = match run.repeats {
                1 => format!("fold-{}", number + 1),
                _ => format!("repeat-{}-fold-{}", repeat + 1, number + 1),
            };
            folds.push(Fold { name, data, config: config.clone() });
        }
    }
    Ok(folds)
}

/// Trains a fold, or finds it trained; whether it was not stopped.
fn train_fold(
    run: &CrossRun<'_>,
    fold: &Fold,
    prepared: &Prepared,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<bool, Error> {
    let manifest = RunFolder::new(folder);
    let begun = run.start == Start::Resume && manifest.manifest().is_file();
    if begun && manifest.read_manifest()?.finished_unix.is_some() {
        check_is_same(&manifest, fold, prepared)?;
        return Ok(true);
    }
    let start = if begun { Start::Resume } else { Start::New };
    let outcome = train_run(prepared, &fold.config, folder, start, run.stop, observer)?;
    Ok(matches!(outcome, Outcome::Finished(_)))
}

/// A complete run counts only if it was trained with these settings on these data.
fn check_is_same(run: &RunFolder, fold: &Fold, prepared: &Prepared) -> Result<(), Error> {
    let config = TrainConfig::read(&run.config())?;
    let path = run.root().to_owned();
    if (TrainConfig { workers: fold.config.workers, ..config }) != fold.config {
        return Err(TrainError::OtherConfig { path, key: "setting".to_owned() }.into());
    }
    let hash = |store: Option<&Arc<PatchStore>>| store.map(|store| store.data_hash());
    let recorded = run.read_manifest()?.data;
    let same = Some(&recorded.train.data_hash) == hash(Some(&prepared.data.train)).as_ref()
        && recorded.test.map(|part| part.data_hash) == hash(prepared.data.test.as_ref());
    if same { Ok(()) } else { Err(TrainError::OtherData { path, what: "the patches" }.into()) }
}

/// What the best model of a run says of patches.
fn classify(run: &Path, config: &TrainConfig, store: &Arc<PatchStore>) -> Result<Vec<Classified>, Error> {
    let choice: DeviceChoice = config.device.parse()?;
    let (compute, _) = locam_net::select(choice)?;
    let model = Model::load(&RunFolder::new(run).best())?;
    let predictor = Predictor::new(&model, &compute, Precision::F32)?;
    let logits = locam_train::predict(&predictor, store, &config.loader())?;
    Ok(logits.iter().enumerate().map(|(i, row)| Classified::from_logits(store.class_of(i).0, row)).collect())
}

fn fold_figures(name: &str, prepared: &Prepared, classified: &[Classified]) -> FoldFigures {
    let right = classified.iter().filter(|patch| patch.predicted() == patch.truth).count();
    FoldFigures {
        name: name.to_owned(),
        train: prepared.data.train.len(),
        val: prepared.data.val.as_ref().map_or(0, |store| store.len()),
        test: classified.len(),
        accuracy: right as f64 / classified.len() as f64,
    }
}

fn summary(
    run: &CrossRun<'_>,
    groups: &BTreeMap<&Path, &str>,
    folds: Vec<FoldFigures>,
    tested: Tested,
    names: &[String],
) -> CrossValidation {
    let units = units(tested.patches.iter().map(|patch| patch.path.as_path()), groups);
    let which = match run.repeats {
        1 => format!("each tested on by the model of {} that never saw it", run.folds),
        repeats => {
            format!("each tested on {repeats} times, by models of {} folds that never saw it", run.folds)
        }
    };
    let mut pooled = patch_figures(which, names, &tested.classified, &units);
    // A window of a larger image can't be shown by its file alone.
    if tested.patches.iter().all(|patch| patch.crop.is_none()) {
        let paths = tested.patches.into_iter().map(|patch| patch.path);
        pooled.details = paths.zip(tested.classified).collect();
    }
    let count = folds.len() as f64;
    let mean = folds.iter().map(|fold| fold.accuracy).sum::<f64>() / count;
    let squares = folds.iter().map(|fold| (fold.accuracy - mean).powi(2)).sum::<f64>();
    CrossValidation {
        mean_accuracy: mean,
        deviation: (squares / (count - 1.0)).sqrt(),
        folds,
        pooled,
        located: None,
    }
}

/// Writes `cross-validation.json`, the plots and `report.html`.
fn write(run: &CrossRun<'_>, found: &CrossValidation, names: &[String]) -> Result<(), Error> {
    let json = serde_json::to_vec_pretty(found).map_err(|e| Error::Request(e.to_string()))?;
    let path: PathBuf = run.folder.join("cross-validation.json");
    write_atomically(&path, |file| file.write_all(&json))?;
    pictures::write_plot(run.folder, "confusion", &confusion_plot(&found.pooled.matrix(), names)?)?;
    pictures::write_plot(run.folder, "reliability", &pictures::patch_reliability(&found.pooled)?)?;
    report::write_fold_report(run.data, found, names, run.folder)
}
