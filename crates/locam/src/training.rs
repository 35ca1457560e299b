//! From a folder of labelled data to a run folder with a trained model.

use crate::leakage::{Checked, RunImages};
use crate::{Error, pictures};
use image::RgbImage;
use locam_core::{ClassSpec, Size, Stain, median};
use locam_data::{
    AUGMENT_MARGIN, Appearance, Background, CellAppearance, Change, Crop, DEFAULT_MEMORY_BUDGET, Dataset,
    ImageSource, Patch, PatchClass, PatchPlan, PatchSet, PatchStore, Problem, SmallObjects, Split, SplitPlan,
    assign_splits, fitting_windows, plan_patches,
};
use locam_net::DeviceChoice;
use locam_train::{
    Observer, Outcome, Run, RunFolder, Start, TrainConfig, TrainData, TrainError, WINDOW_SIDES, train,
};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// From which factor on, either way, a class's object size counts beside that of all classes.
const OWN_SIZE: f64 = 1.5;

/// How much windows of small objects are enlarged at most, where nobody says their side.
const MOST_ENLARGED: u32 = 4;

/// So many images at most tell the usual light and stain.
const STAIN_IMAGES: usize = 100;

/// Patches ready to be trained on.
#[derive(Debug)]
pub struct Prepared {
    /// The patches by part.
    pub data: TrainData,
    /// Files that were passed over.
    pub problems: Vec<Problem>,
    /// All images by part, and which of them are copies of each other.
    pub images: RunImages,
}

impl Prepared {
    /// How many patches of each class each part has, as the lines of a table, and how large windows of whole images are.
    pub fn table(&self) -> String {
        let parts = [
            ("train", Some(&self.data.train)),
            ("val", self.data.val.as_ref()),
            ("test", self.data.test.as_ref()),
        ];
        let mut lines = String::new();
        for (name, store) in parts.into_iter().filter_map(|(name, store)| Some((name, store?))) {
            let counts = self.data.classes.iter().enumerate().map(|(i, class)| {
                let count = (0..store.len()).filter(|&p| store.class_of(p).0 == i).count();
                format!("{count} {}", class.name)
            });
            let counts: Vec<String> = counts.collect();
            let _ = writeln!(lines, "{name:<6}{} patches: {}", store.len(), counts.join(", "));
        }
        if let Some(Crop { side, .. }) = self.data.train.patches().iter().find_map(|patch| patch.crop) {
            let remedy = match self.data.object_size {
                Some(_) => "",
                None => "; points don't say how large objects are: --window and --patch-object-size do",
            };
            let _ = writeln!(lines, "windows of {side}x{side} pixels{remedy}");
        }
        lines
    }
}

/// Splits a data set, cuts and decodes its patches, and drops what can't be read.
///
/// # Errors
/// Data that can't be trained on: no class with usable images, a single class, an unknown class, identical patches
/// with different labels.
pub fn prepare(data: &Dataset, config: &TrainConfig) -> Result<Prepared, Error> {
    let checked = Checked::new(data, config)?;
    prepare_checked(&checked, &checked.data, config)
}

/// The same for data that were looked at, possibly with other splits.
pub(crate) fn prepare_checked(
    checked: &Checked,
    data: &Dataset,
    config: &TrainConfig,
) -> Result<Prepared, Error> {
    let plan = patch_plan(data, config)?;
    let set = plan_patches(data, &plan)?;
    let images = checked.images(&assign_splits(data, &plan.splits)?);
    let mut problems = data.problems.clone();
    problems.extend(set.problems.iter().cloned());
    let mut open = |split: Split| -> Option<PatchStore> {
        let patches: Vec<Patch> = set.patches.iter().filter(|patch| patch.split == split).cloned().collect();
        let (store, bad) = PatchStore::open(patches, config.patch_size, DEFAULT_MEMORY_BUDGET);
        problems.extend(bad);
        (!store.is_empty()).then_some(store)
    };
    let train = open(Split::Train);
    let (val, test) = (open(Split::Val).map(Arc::new), open(Split::Test).map(Arc::new));
    let Some(train) = train else {
        let first = problems.first().map_or_else(String::new, |p| format!("; the first: {p}"));
        return Err(Error::Request(format!(
            "{} has no patch to train on: {} files were passed over{first}",
            data.root.display(),
            problems.len()
        )));
    };
    problems.sort();
    problems.dedup();
    let train = Arc::new(train.with_small_objects(small_objects(&set, config, plan.side)));
    let image_scale = image_scale(&train, config.patch_size);
    let said = config.patches.object_size;
    let in_input = |size: Option<f64>| Some(size? * image_scale?);
    // One size that the user says is that of all classes.
    let is_own = |&size: &f64| said.is_none() && set.object_size.is_some_and(|all| is_another(size, all));
    let class = |class: &PatchClass| ClassSpec {
        object_size: in_input(class.object_size.filter(is_own)),
        ..ClassSpec::new(&class.name, class.background)
    };
    let classes = set.classes.iter().map(class);
    let object_size = in_input(said.or(set.object_size));
    let microns_per_pixel = microns_per_pixel(&train, config, image_scale);
    let stain = usual_stain(&train);
    let data = TrainData {
        classes: classes.collect(),
        train,
        val,
        test,
        object_size,
        image_scale,
        microns_per_pixel,
        stain,
    };
    Ok(Prepared { data, problems, images })
}

/// What augmentation pastes into patches, where it does.
fn small_objects(set: &PatchSet, config: &TrainConfig, window: u32) -> Option<SmallObjects> {
    let size = set.object_size.filter(|_| config.augmentation().has(Change::CopyPaste))?;
    let scale = f64::from(config.patch_size) / f64::from(window);
    SmallObjects::open(&set.small_objects, scale, &set.sought_objects, size)
}

/// A picture of what the network will see with this configuration: patches of every class as they are cut, and as the
/// first epochs change them.
///
/// # Errors
/// Files that can no longer be read.
pub fn preview_training(prepared: &Prepared, config: &TrainConfig) -> Result<RgbImage, Error> {
    let names: Vec<String> = prepared.data.classes.iter().map(|class| class.name.clone()).collect();
    Ok(locam_data::preview(&prepared.data.train, &names, &config.loader())?)
}

/// How patches are cut with this configuration; what it leaves open is as [`settled`] says.
///
/// # Errors
/// A class that the data don't have.
pub fn patch_plan(data: &Dataset, config: &TrainConfig) -> Result<PatchPlan, Error> {
    let patches = &config.patches;
    let (side, background) = windows(data, config)?;
    Ok(PatchPlan {
        classes: patches.classes.clone(),
        background: match background {
            0 => Background::None,
            count => Background::PerImage(count),
        },
        side,
        jitter: patches.jitter,
        margin: if config.augmentation().reaches_out() { AUGMENT_MARGIN } else { 0.0 },
        splits: split_plan(config),
    })
}

/// The configuration with the window and the background that fit the data, where it says neither: so that a run folder
/// records them.
///
/// # Errors
/// A class that the data don't have.
pub fn settled(data: &Dataset, config: &TrainConfig) -> Result<TrainConfig, Error> {
    let mut config = config.clone();
    if !data.holds_patches() {
        let (side, background) = windows(data, &config)?;
        config.patches.window = Some(side);
        config.patches.background = Some(background);
    }
    Ok(config)
}

/// Side and background windows of each image, as the configuration says or as fits the data. Where no object has a size, a
/// window is as large as what the network sees; it is not enlarged by more than [`MOST_ENLARGED`], which slows searching down.
fn windows(data: &Dataset, config: &TrainConfig) -> Result<(u32, usize), Error> {
    let patches = &config.patches;
    if let (Some(side), Some(background)) = (patches.window, patches.background) {
        return Ok((side, background));
    }
    let fitting = fitting_windows(data, patches.classes.as_deref())?;
    let smallest = config.patch_size / MOST_ENLARGED;
    let side = fitting.side.unwrap_or(config.patch_size).clamp(smallest, *WINDOW_SIDES.end());
    Ok((patches.window.unwrap_or(side), patches.background.unwrap_or(fitting.background)))
}

/// How images without a given split are shared out with this configuration.
pub(crate) fn split_plan(config: &TrainConfig) -> SplitPlan {
    SplitPlan { val_fraction: config.val_fraction, test_fraction: config.test_fraction, seed: config.seed }
}

/// The images that patches come from.
fn sources(store: &PatchStore) -> BTreeSet<&Path> {
    store.patches().iter().map(|patch| patch.path.as_path()).collect()
}

/// Microns per network input pixel: as the user says, or as all images do.
fn microns_per_pixel(store: &PatchStore, config: &TrainConfig, image_scale: Option<f64>) -> Option<f64> {
    let of = |path: &Path| ImageSource::open(path).ok()?.microns_per_pixel();
    let paths = sources(store);
    let said = || {
        let first = of(paths.first()?)?;
        paths.iter().all(|path| of(path).is_some_and(|microns| is_near(microns, first))).then_some(first)
    };
    Some(config.patches.microns_per_pixel.or_else(said)? / image_scale?)
}

/// The light and the stain that source images usually have, each number by itself; none where no image shows cells.
fn usual_stain(store: &PatchStore) -> Option<Stain> {
    let paths = sources(store);
    let some: Vec<&Path> = paths.iter().copied().step_by(paths.len().div_ceil(STAIN_IMAGES)).collect();
    let look = |path: &&Path| ImageSource::open(path).ok()?.appearance().ok();
    let looks: Vec<Appearance> = some.par_iter().filter_map(look).collect();
    let glass = |channel: usize| median(looks.iter().map(|look| f64::from(look.glass[channel])));
    let of_cells = |number: fn(&CellAppearance) -> f64| {
        median(looks.iter().filter_map(|look| look.cells.as_ref()).map(number))
    };
    Some(Stain {
        glass: [glass(0)?, glass(1)?, glass(2)?],
        density: of_cells(|cells| cells.density)?,
        chroma: of_cells(|cells| cells.chroma)?,
    })
}

/// Whether objects of a class are so much smaller or larger than all together that they have a size of their own: sizes within a class
/// differ by less, and where one spreads over smaller and larger cells its median would cut the larger in pieces.
fn is_another(size: f64, all: f64) -> bool {
    !(1.0 / OWN_SIZE..=OWN_SIZE).contains(&(size / all))
}

/// Whether two sizes differ by no more than a fiftieth, as far as objects may do without being scaled apart.
fn is_near(size: f64, other: f64) -> bool {
    (size - other).abs() * 50.0 <= other
}

/// Network input pixels per source pixel, where at least nine in ten training patches agree on it.
fn image_scale(store: &PatchStore, patch_size: u32) -> Option<f64> {
    let mut sides: Vec<u32> = store
        .patches()
        .iter()
        .filter_map(|patch| match patch.crop {
            Some(crop) => Some(crop.side),
            None => locam_data::read_size(&patch.path).ok().map(|Size { width, height }| width.max(height)),
        })
        .collect();
    sides.sort_unstable();
    let median = *sides.get(sides.len() / 2)?;
    let agreeing = sides.iter().filter(|&&side| is_near(f64::from(side), f64::from(median))).count();
    (agreeing * 10 >= sides.len() * 9).then(|| f64::from(patch_size) / f64::from(median))
}

/// Trains, writes which images were in which part (`images.json`), and draws the curves and the confusion matrix into the
/// run folder.
///
/// # Errors
/// What [`locam_train::train`] says, and pictures that can't be written.
pub fn train_run(
    prepared: &Prepared,
    config: &TrainConfig,
    folder: &Path,
    start: Start,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Outcome, Error> {
    let outcome = with_run(prepared, config, (folder, start), stop, |run| train(run, observer))?;
    prepared.images.write(folder)?;
    if let Outcome::Finished(summary) = &outcome {
        let names: Vec<String> = prepared.data.classes.iter().map(|class| class.name.clone()).collect();
        pictures::write_training_pictures(RunFolder::new(folder).root(), summary, &names)?;
    }
    Ok(outcome)
}

/// Does something with a run on the device that the configuration names.
pub(crate) fn with_run<T>(
    prepared: &Prepared,
    config: &TrainConfig,
    (folder, start): (&Path, Start),
    stop: &AtomicBool,
    job: impl FnOnce(&Run<'_>) -> Result<T, TrainError>,
) -> Result<T, Error> {
    let choice: DeviceChoice = config.device.parse()?;
    let (compute, device_name) = locam_net::select(choice)?;
    let (data, compute, device_name) = (&prepared.data, &compute, device_name.as_str());
    Ok(job(&Run { config, data, folder, start, compute, device_name, stop })?)
}
