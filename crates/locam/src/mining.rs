//! Hard-negative mining: what a model takes for objects on its own training fields, and wrongly, is shown to it as background.

use crate::assessing::{Assessed, assess, items_of, matches_of, regions_at};
use crate::calibrating::best_counts;
use crate::locating::Levels;
use crate::{Error, LocateOptions, Locator, Prepared, patch_plan, train_run};
use locam_core::{ClassId, Region};
use locam_data::{DEFAULT_MEMORY_BUDGET, Dataset, Item, Label, Patch, PatchStore, Problem, mined_patch};
use locam_report::write_atomically;
use locam_train::{Observer, Outcome, RunFolder, Start, TrainConfig, Weights};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The folder of the second run inside the first one's.
const FOLDER: &str = "mined";

/// A finished run that is to learn from its mistakes.
pub struct MiningRun<'a> {
    /// The data that it was trained on.
    pub data: &'a Dataset,
    /// Its settings.
    pub config: &'a TrainConfig,
    /// Its folder.
    pub folder: &'a Path,
    /// Most patches that are added.
    pub most: usize,
    /// When this becomes true, training is saved and ends.
    pub stop: &'a AtomicBool,
}

impl MiningRun<'_> {
    /// Checks, before any training, that there are images to search and to choose by, and a background class.
    ///
    /// # Errors
    /// Which of them is missing.
    pub fn check(&self, prepared: &Prepared) -> Result<(), Error> {
        let has_fields = self.data.items.iter().any(|item| matches!(item.label, Label::Objects(_)));
        if has_fields && !prepared.data.classes.iter().any(|class| class.background) {
            return Err(no_background());
        }
        Parts::new(self, prepared).map(|_| ())
    }
}

fn no_background() -> Error {
    Error::Request("mining needs a background class; train with --background 1 or more".to_owned())
}

/// What a model finds on whole validation images, at the threshold that would be chosen there.
#[derive(Clone, Debug, Serialize)]
pub struct MiningFigures {
    /// The class.
    pub class: String,
    /// F1 by centroids.
    pub f1: f64,
    /// Regions that are no object.
    pub false_alarms: usize,
    /// Objects without a region.
    pub misses: usize,
}

/// What mining came to: the content of `mined/mining.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Mined {
    /// Training fields that were searched.
    pub fields: usize,
    /// False alarms that became background patches.
    pub patches: usize,
    /// Validation images.
    pub val_images: usize,
    /// On them, before.
    pub before: Vec<MiningFigures>,
    /// On them, after.
    pub after: Vec<MiningFigures>,
    /// The folder of the second run.
    pub folder: PathBuf,
}

/// Searches the training fields with the run's model, adds its most certain false alarms to the background patches, and
/// trains on from the model's weights with the same settings, into `mined` in the run's folder. `None` where training
/// was stopped.
///
/// A false alarm counts from even odds on, whatever the model's threshold; where its window would show an object, it is
/// passed over. Validation images are looked at before and after, and take no part in training.
///
/// # Errors
/// Data of patches alone or without validation images, a run without background class, a model without false alarms, and
/// what training brings.
pub fn mine(
    run: &MiningRun<'_>,
    mut prepared: Prepared,
    observer: &mut dyn Observer,
) -> Result<Option<Mined>, Error> {
    let parts = Parts::new(run, &prepared)?;
    let locator = Locator::open(run.folder, run.config.device.parse()?, LocateOptions::default())?;
    let (before, _) = assess(&locator, run.data, &parts.val, &mut |_| ())?;
    let (seen, _) = assess(&locator, run.data, &parts.train, &mut |_| ())?;
    let patches = false_alarms(run, &locator, &parts.train, &seen)?;
    let before = figures(&locator, &before);
    let (fields, mined) = (seen.len(), patches.len());
    drop((seen, locator));
    add_background(&mut prepared, &patches, run.config.patch_size)?;
    let folder = run.folder.join(FOLDER);
    let weights = RunFolder::new(run.folder).best().join("model.safetensors");
    let config = TrainConfig { weights: Weights::File(weights), ..run.config.clone() };
    match train_run(&prepared, &config, &folder, Start::New, run.stop, observer)? {
        Outcome::Stopped { .. } => Ok(None),
        Outcome::Finished(_) => {
            let locator = Locator::open(&folder, run.config.device.parse()?, LocateOptions::default())?;
            let (after, _) = assess(&locator, run.data, &parts.val, &mut |_| ())?;
            let (val_images, after) = (after.len(), figures(&locator, &after));
            let mined = Mined { fields, patches: mined, val_images, before, after, folder };
            let json = serde_json::to_vec_pretty(&mined).map_err(|error| {
                Error::Request(format!("the figures of mining can't be written: {error}"))
            })?;
            write_atomically(&mined.folder.join("mining.json"), |file| file.write_all(&json))?;
            Ok(Some(mined))
        }
    }
}

/// The annotated whole images that a run trained on and chose by.
struct Parts<'a> {
    train: Vec<&'a Item>,
    val: Vec<&'a Item>,
}

impl<'a> Parts<'a> {
    /// The images that the run's patches came from, which tell the parts whoever drew them.
    fn new(run: &MiningRun<'a>, prepared: &Prepared) -> Result<Self, Error> {
        let of = |store| items_of(run.data, store);
        let parts = Self { train: of(Some(&prepared.data.train)), val: of(prepared.data.val.as_ref()) };
        if parts.train.is_empty() || parts.val.is_empty() {
            return Err(Error::Request(format!(
                "mining searches whole images, of which {} has {} to train on and {} to choose by; train without --mine",
                run.data.root.display(),
                parts.train.len(),
                parts.val.len()
            )));
        }
        Ok(parts)
    }
}

/// The most certain false alarms as patches, strongest first.
fn false_alarms(
    run: &MiningRun<'_>,
    locator: &Locator,
    items: &[&Item],
    seen: &[Assessed],
) -> Result<Vec<Patch>, Error> {
    let spec = &locator.model().spec;
    let background =
        spec.classes.iter().position(|class| class.background).map(ClassId).ok_or_else(no_background)?;
    let plan = patch_plan(run.data, run.config)?;
    let wanted: Vec<ClassId> = (0..run.data.classes.len())
        .map(ClassId)
        .filter(|id| spec.classes.iter().any(|class| class.name == run.data.classes[id.0]))
        .collect();
    let mut found: Vec<(f64, Patch)> = Vec::new();
    for one in seen {
        let Some(item) = items.iter().find(|item| item.path == one.path) else { continue };
        let patch = |region: &Region| {
            mined_patch(item, one.located.size, region.centroid, &plan, &wanted, background)
        };
        for (id, class) in spec.sought_classes() {
            let regions = regions_at(locator, id, class, Levels::at(class.score(0.0), class), one);
            let matches = matches_of(locator, id, &regions, one);
            let hit = |place: usize| matches.hits.iter().any(|&(region, _)| region == place);
            let wrong = regions.iter().enumerate().filter(|&(place, _)| !hit(place));
            found.extend(wrong.filter_map(|(_, region)| Some((region.score, patch(region)?))));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.truncate(run.most);
    if found.is_empty() {
        return Err(Error::Request(format!(
            "the model has no false alarm on the {} training fields: there is nothing to mine, and the run in {} stands",
            seen.len(),
            run.folder.display()
        )));
    }
    Ok(found.into_iter().map(|(_, patch)| patch).collect())
}

/// Opens the training patches again with these beside them.
fn add_background(prepared: &mut Prepared, patches: &[Patch], side: u32) -> Result<(), Error> {
    let all = [prepared.data.train.patches(), patches].concat();
    let (store, problems): (_, Vec<Problem>) = PatchStore::open(all, side, DEFAULT_MEMORY_BUDGET);
    if let Some(problem) = problems.into_iter().next() {
        return Err(Error::Request(format!("{problem}; it could be read before")));
    }
    let small_objects = prepared.data.train.small_objects().cloned();
    prepared.data.train = Arc::new(store.with_small_objects(small_objects));
    Ok(())
}

fn figures(locator: &Locator, assessed: &[Assessed]) -> Vec<MiningFigures> {
    best_counts(locator, assessed)
        .into_iter()
        .map(|(best, counts)| MiningFigures {
            class: best.class,
            f1: best.f1,
            false_alarms: counts.false_positives,
            misses: counts.misses,
        })
        .collect()
}
