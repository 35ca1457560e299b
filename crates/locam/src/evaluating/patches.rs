//! Figures of the classifier on labelled patches.

use super::SEED;
use crate::assessing::{classes_in_model, split_name};
use crate::leakage::{SeenBefore, parts_in_run, seen_before};
use crate::shortcuts::{ObjectPatch, ShortcutFigures, evenly, figures_of};
use crate::{Error, Locator};
use locam_core::{ClassId, Point, Rect};
use locam_data::{
    Augment, DEFAULT_MEMORY_BUDGET, Dataset, Item, Label, LoaderConfig, Patch, PatchStore, Problem, Sampling,
    Split, read_rgb, resize,
};
use locam_locate::{
    Classified, ConfusionMatrix, Estimate, Reliability, ReliabilityBin, Resamples, RocRanking, confusion,
    mean_area, top_label_reliability,
};
use locam_train::RunFolder;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What an evaluation on labelled patches gave. Figures that nothing defines are absent.
#[derive(Clone, Debug, Serialize)]
pub struct PatchEvaluation {
    /// Which patches these are, in words.
    pub which: String,
    /// How many were looked at.
    pub patches: usize,
    /// The share that is classified rightly.
    pub accuracy: Option<Estimate>,
    /// The mean over classes of the share of each that is right.
    pub balanced_accuracy: Option<Estimate>,
    /// Area under the receiver operating characteristic; for more than two classes the mean of each against the rest.
    pub area_under_curve: Option<Estimate>,
    /// How far the probability of the likeliest class is from the share that is right, on average.
    pub expected_calibration_error: Option<Estimate>,
    /// Per class of the model.
    pub classes: Vec<PatchClassFigures>,
    /// How often each class (rows) was taken for each.
    pub confusion: Vec<Vec<u64>>,
    /// Patches by the probability of their likeliest class.
    pub reliability: Vec<ReliabilityBin>,
    /// What the classifier looks at.
    pub shortcuts: Vec<ShortcutFigures>,
    /// Patches that the model's run had seen.
    pub seen_before: SeenBefore,
    /// Every patch: its file, its class, and the probabilities of all classes.
    #[serde(skip)]
    pub details: Vec<(PathBuf, Classified)>,
}

/// The figures of one class of patches.
#[derive(Clone, Debug, Serialize)]
pub struct PatchClassFigures {
    /// The class.
    pub class: String,
    /// Patches that are of it.
    pub patches: u64,
    /// Of what was taken for it, the share that is.
    pub precision: Option<Estimate>,
    /// Of what is of it, the share that was taken for it.
    pub recall: Option<Estimate>,
}

impl PatchEvaluation {
    /// The confusion matrix.
    pub fn matrix(&self) -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::new(self.confusion.len());
        for (truth, row) in self.confusion.iter().enumerate() {
            for (predicted, &count) in row.iter().enumerate() {
                (0..count).for_each(|_| matrix.record(truth, predicted));
            }
        }
        matrix
    }
}

/// Bins of the reliability curve.
const BINS: usize = 10;
/// At most so many patches of a class are looked at in the shortcut check, evenly over all of them.
const MOST_OF_CLASS: usize = 100;

/// Classifies the labelled patches of one part of a data set; of all of it where `split` is `None`.
///
/// Where the data give no splits, those that the model's run drew are used, by which images are identical to the run's:
/// its test patches, and patches that are new to it, are those that it has not seen.
///
/// # Errors
/// Data without a class of the model, a split without patches, patches of which none can be read.
pub fn evaluate_patches(
    locator: &Locator,
    model_folder: &Path,
    data: &Dataset,
    split: Option<Split>,
) -> Result<(PatchEvaluation, Vec<Problem>), Error> {
    let known = &locator.model().spec.classes;
    let classes = classes_in_model(known.iter().enumerate().map(|(i, class)| (ClassId(i), class)), data)?;
    let mut problems = left_out(data, &classes);
    let side = locator.model().spec.patch_size;
    let (which, items) = chosen(model_folder, data, split)?;
    let patches: Vec<Patch> = items.iter().filter_map(|item| patch(item, &classes)).collect();
    let groups: BTreeMap<&Path, &str> =
        items.iter().filter_map(|item| Some((item.path.as_path(), item.group.as_deref()?))).collect();
    let (store, unreadable) = PatchStore::open(patches, side, DEFAULT_MEMORY_BUDGET);
    problems.extend(unreadable);
    if store.is_empty() {
        let reason = problems.first().map_or_else(String::new, |problem| format!("; {problem}"));
        let root = data.root.display();
        return Err(Error::Request(format!("{root} has no patch that can be looked at ({which}){reason}")));
    }
    let store = Arc::new(store);
    let loader = LoaderConfig {
        batch_size: 32,
        workers: 2,
        seed: SEED,
        augment: Augment::NONE,
        sampling: Sampling::Shuffled,
    };
    let logits = locam_train::predict(locator.predictor(), &store, &loader)?;
    let classified: Vec<Classified> =
        logits.iter().enumerate().map(|(i, row)| Classified::from_logits(store.class_of(i).0, row)).collect();
    let units = units(store.patches().iter().map(|patch| patch.path.as_path()), &groups);
    let names: Vec<String> = known.iter().map(|class| class.name.clone()).collect();
    let mut evaluation = figures(which, &names, &classified, &units);
    evaluation.seen_before = seen_before(model_folder, &items)?;
    evaluation.shortcuts = shortcuts(locator, store.patches(), &mut problems)?;
    evaluation.details = store.patches().iter().map(|patch| patch.path.clone()).zip(classified).collect();
    Ok((evaluation, problems))
}

/// A problem for each class of the data that is not in the model.
fn left_out(data: &Dataset, classes: &[Option<ClassId>]) -> Vec<Problem> {
    let unknown = data.classes.iter().zip(classes).filter(|(_, class)| class.is_none());
    let problem = |(name, _): (&String, _)| Problem {
        path: data.root.clone(),
        message: format!("the model has no class `{name}`: its patches are left out"),
    };
    unknown.map(problem).collect()
}

fn patch(item: &Item, classes: &[Option<ClassId>]) -> Option<Patch> {
    let Label::Class(class) = item.label else { return None };
    Some(Patch {
        path: item.path.clone(),
        crop: None,
        class: classes[class.0]?,
        split: Split::Test,
        margin: 0,
    })
}

/// The items to look at, and in words which they are.
fn chosen<'a>(
    model_folder: &Path,
    data: &'a Dataset,
    split: Option<Split>,
) -> Result<(String, Vec<&'a Item>), Error> {
    let Some(split) = split else {
        return Ok((
            "all patches, whether the model was trained on them or not".to_owned(),
            data.items.iter().collect(),
        ));
    };
    let name = split_name(split);
    if data.items.iter().any(|item| item.split.is_some()) {
        let items: Vec<&Item> = data.items.iter().filter(|item| item.split == Some(split)).collect();
        if items.is_empty() {
            return Err(Error::Request(format!(
                "{} names no patch as part of its {name} split; choose another with --split",
                data.root.display()
            )));
        }
        return Ok((format!("the data's {name} split"), items));
    }
    let all: Vec<&Item> = data.items.iter().collect();
    let Some(parts) = parts_in_run(model_folder, &all)? else {
        return Ok((
            "all patches: the data give no split, and nothing tells what the model was trained on".to_owned(),
            all,
        ));
    };
    if parts.iter().all(Option::is_none) {
        return Ok((
            "all patches: the data give no split, and the model has seen none of them".to_owned(),
            all,
        ));
    }
    let new = if split == Split::Test { parts.iter().filter(|part| part.is_none()).count() } else { 0 };
    let wanted = |part: Option<Split>| part == Some(split) || new > 0 && part.is_none();
    let items: Vec<&Item> =
        all.iter().zip(&parts).filter(|(_, part)| wanted(**part)).map(|(item, _)| *item).collect();
    let which = format!("the {name} patches that the model's run drew");
    Ok((if new > 0 { format!("{which}, and {new} that it never saw") } else { which }, items))
}

/// The run folder that a model lies in.
pub(crate) fn run_folder(model_folder: &Path) -> Option<RunFolder> {
    let candidates = [Some(model_folder), model_folder.parent()];
    candidates.into_iter().flatten().map(RunFolder::new).find(|run| run.manifest().is_file())
}

/// For each file the number of its source: what is of one source is drawn together.
pub(crate) fn units<'a>(files: impl Iterator<Item = &'a Path>, groups: &BTreeMap<&Path, &str>) -> Vec<usize> {
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    files
        .map(|path| {
            let alone = || format!("image {}", path.display());
            let key = groups.get(path).map_or_else(alone, |group| format!("group {group}"));
            let next = numbers.len();
            *numbers.entry(key).or_insert(next)
        })
        .collect()
}

/// The figures of classified patches, with intervals from resamples of their sources (`units`, numbered from 0).
pub(crate) fn figures(
    which: String,
    names: &[String],
    patches: &[Classified],
    units: &[usize],
) -> PatchEvaluation {
    let resamples = Resamples::of_sources(units, Resamples::USUAL, SEED);
    let classes = names.len();
    let matrix = |times: &[u32]| confusion(patches, classes, times);
    let once = matrix(&vec![1; patches.len()]);
    let rankings: Vec<RocRanking> = (0..classes)
        .filter(|&class| once.row_total(class) > 0)
        .map(|class| RocRanking::new(patches, class))
        .collect();
    let Reliability { bins, .. } = top_label_reliability(patches, BINS);
    let error = |times: &[u32]| {
        let drawn: Vec<Classified> = patches
            .iter()
            .zip(times)
            .flat_map(|(patch, &times)| std::iter::repeat_n(patch.clone(), times as usize))
            .collect();
        (!drawn.is_empty()).then(|| top_label_reliability(&drawn, BINS).expected_calibration_error)
    };
    let class = |class: usize| PatchClassFigures {
        class: names[class].clone(),
        patches: once.row_total(class),
        precision: resamples.estimate(|times| matrix(times).precision(class)),
        recall: resamples.estimate(|times| matrix(times).recall(class)),
    };
    PatchEvaluation {
        which,
        patches: patches.len(),
        accuracy: resamples.estimate(|times| Some(matrix(times).accuracy())),
        balanced_accuracy: resamples.estimate(|times| matrix(times).balanced_accuracy()),
        area_under_curve: resamples.estimate(|times| mean_area(&rankings, times)),
        expected_calibration_error: resamples.estimate(error),
        classes: (0..classes).map(class).collect(),
        confusion: (0..classes)
            .map(|row| (0..classes).map(|column| once.count(row, column)).collect())
            .collect(),
        reliability: bins,
        shortcuts: Vec::new(),
        seen_before: SeenBefore::default(),
        details: Vec::new(),
    }
}

/// The shortcut check with the middle of each patch for its object.
fn shortcuts(
    locator: &Locator,
    patches: &[Patch],
    problems: &mut Vec<Problem>,
) -> Result<Vec<ShortcutFigures>, Error> {
    let side = locator.model().spec.patch_size;
    let size = locam_core::Size::new(side, side);
    let middle = Point::new(f64::from(side) / 2.0, f64::from(side) / 2.0);
    let mut chosen = Vec::new();
    for (class, spec) in locator.model().spec.classes.iter().enumerate() {
        let extent = locator.object_in_input(spec).min(0.8 * f64::from(side));
        let of_class: Vec<&Patch> = patches.iter().filter(|patch| patch.class.0 == class).collect();
        for place in evenly(of_class.len(), MOST_OF_CLASS) {
            let path = &of_class[place].path;
            match read_rgb(path).and_then(|image| resize(&image, size)) {
                Ok(pixels) => chosen.push(ObjectPatch {
                    class: ClassId(class),
                    pixels,
                    object: Rect::around(middle, extent, extent),
                }),
                Err(error) => problems.push(Problem { path: path.clone(), message: error.to_string() }),
            }
        }
    }
    figures_of(locator, &chosen)
}
