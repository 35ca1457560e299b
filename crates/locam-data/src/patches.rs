//! Which windows of which images become training patches.

mod fitting;
mod mined;
mod write;

pub use fitting::{FittingWindows, fitting_windows};
pub use mined::mined_patch;
pub use write::{WrittenPatches, write_patches};

use crate::split::assign_splits;
use crate::{Crop, DataError, Dataset, Item, Label, Object, Patch, Problem, Split, SplitPlan, read_size};
use locam_core::{ClassId, Point, Rect, Shape, Size, median};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// The class of what is not sought.
pub const BACKGROUND: &str = "background";
/// How much of an object's box a background window may cover.
const MOST_COVERED: f64 = 0.1;
/// The most that an object is beside the usual sought one for only many of them to be like one of those.
const SMALL: f64 = 2.0 / 3.0;
/// Random places that are tried for each background window.
const TRIES: usize = 64;

/// Margins of background windows that are tried.
const MARGIN_STEPS: u32 = 8;

/// How many background windows are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// None, and there is no background class.
    None,
    /// So many from each annotated image, or as many as find room.
    PerImage(usize),
}

/// How patches are chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchPlan {
    /// The classes to use; all where it is `None`.
    pub classes: Option<Vec<String>>,
    /// Background windows.
    pub background: Background,
    /// Side of a window, in pixels of the images.
    pub side: u32,
    /// Largest shift of a window from its object's centre along each axis, as a fraction of `side`.
    pub jitter: f64,
    /// How much around a training window augmentation may show, as a fraction of `side`.
    pub margin: f64,
    /// How splits are drawn where the data give none. Its seed is also that of shifts and background.
    pub splits: SplitPlan,
}

/// One class of a set of patches.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchClass {
    /// Its name.
    pub name: String,
    /// Whether it stands for what is not sought.
    pub background: bool,
    /// The median over its training objects of the geometric mean of a box's width and height, in pixels of the images.
    pub object_size: Option<f64>,
}

/// Patches to train on.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchSet {
    /// The classes; the patches' classes are places in this list.
    pub classes: Vec<PatchClass>,
    /// The patches, by image.
    pub patches: Vec<Patch>,
    /// As [`PatchClass::object_size`], over the training objects of all classes.
    pub object_size: Option<f64>,
    /// Training images with the boxes of objects that are sought, by image.
    pub sought_objects: Vec<(PathBuf, Rect)>,
    /// The same of objects that are not, touch none of those and are small (two thirds at most) beside them, with the data's
    /// classes.
    pub small_objects: Vec<(PathBuf, ClassId, Rect)>,
    /// Images that were passed over.
    pub problems: Vec<Problem>,
}

impl PatchSet {
    /// Adds the boxes of wanted objects, and those of others up to `size` that touch none of these.
    fn add_sought_and_small(&mut self, data: &Dataset, splits: &[Split], wanted: &[ClassId], size: f64) {
        for (path, objects) in training_objects(data, splits) {
            let boxes = objects.iter().filter_map(|object| Some((object.class, object.shape.rect()?)));
            let (sought, others): (Vec<_>, Vec<_>) = boxes.partition(|(class, _)| wanted.contains(class));
            let is_apart = |rect: Rect| sought.iter().all(|(_, one)| one.intersection(rect).area() <= 0.0);
            let others = others.into_iter().filter(|&(_, rect)| rect.area().sqrt() <= size && is_apart(rect));
            self.small_objects.extend(others.map(|(class, rect)| (path.to_owned(), class, rect)));
            self.sought_objects.extend(sought.into_iter().map(|(_, rect)| (path.to_owned(), rect)));
        }
    }
}

/// Chooses patches: labelled patches are taken whole; from annotated images a window is cut around every object, moved
/// inside where it would cross the border of an image that is large enough, and background windows at random places.
///
/// A background window covers at most a tenth of any wanted object's box and no wanted object's centre. So it may
/// show the edge of a cell, as the places between cells do on a whole image.
///
/// # Errors
/// [`DataError::Unfit`]: an unknown class, a class without patches, a single class, too few sources to split.
pub fn plan_patches(data: &Dataset, plan: &PatchPlan) -> Result<PatchSet, DataError> {
    let wanted = wanted_classes(data, plan.classes.as_deref())?;
    let class =
        |name: &str| PatchClass { name: name.to_owned(), background: name == BACKGROUND, object_size: None };
    let mut classes: Vec<PatchClass> = wanted.iter().map(|&id| class(&data.classes[id.0])).collect();
    let background = ClassId(classes.len());
    let annotated = data.items.iter().any(|item| matches!(item.label, Label::Objects(_)));
    if annotated && plan.background != Background::None {
        classes.push(class(BACKGROUND));
    }
    if let [only] = classes.as_slice() {
        let remedy =
            if annotated { "; cut background windows, too, with --background 1 or more" } else { "" };
        return Err(DataError::Unfit {
            path: data.root.clone(),
            reason: format!(
                "there is a single class ({}), and a classifier needs something to tell it from; read as {}{remedy}",
                only.name, data.layout
            ),
        });
    }
    let splits = assign_splits(data, &plan.splits)?;
    let cut: Vec<Result<Vec<Patch>, Problem>> = data
        .items
        .par_iter()
        .enumerate()
        .map(|(i, item)| patches_of(item, i as u64, splits[i], plan, &wanted, background))
        .collect();
    let mut set = PatchSet {
        classes,
        patches: Vec::new(),
        object_size: None,
        sought_objects: Vec::new(),
        small_objects: Vec::new(),
        problems: Vec::new(),
    };
    for result in cut {
        match result {
            Ok(patches) => set.patches.extend(patches),
            Err(problem) => set.problems.push(problem),
        }
    }
    set.object_size = object_size(data, &splits, &wanted);
    if let Some(size) = set.object_size {
        set.add_sought_and_small(data, &splits, &wanted, SMALL * size);
    }
    for (class, id) in set.classes.iter_mut().zip(wanted) {
        class.object_size = object_size(data, &splits, &[id]);
    }
    check(data, &set)?;
    Ok(set)
}

/// The data's classes that are wanted, in the data's order.
fn wanted_classes(data: &Dataset, names: Option<&[String]>) -> Result<Vec<ClassId>, DataError> {
    let Some(names) = names else { return Ok((0..data.classes.len()).map(ClassId).collect()) };
    let mut wanted = names.iter().map(|name| data.class_named(name)).collect::<Result<Vec<_>, _>>()?;
    wanted.sort_unstable();
    wanted.dedup();
    Ok(wanted)
}

fn check(data: &Dataset, set: &PatchSet) -> Result<(), DataError> {
    let unfit = |reason: String| Err(DataError::Unfit { path: data.root.clone(), reason });
    let names: Vec<_> = set.classes.iter().map(|class| class.name.as_str()).collect();
    let lacking =
        (0..names.len()).find(|&i| !set.patches.iter().any(|p| p.class.0 == i && p.split == Split::Train));
    match lacking {
        Some(class) => unfit(format!(
            "class `{}` has no patch to train on; looked at {} images read as {}, {} of which can't be used",
            names[class],
            data.items.len(),
            data.layout,
            set.problems.len() + data.problems.len()
        )),
        None => Ok(()),
    }
}

/// The patches of one image. Its random numbers depend on the seed and its place alone.
fn patches_of(
    item: &Item,
    place: u64,
    split: Split,
    plan: &PatchPlan,
    wanted: &[ClassId],
    background: ClassId,
) -> Result<Vec<Patch>, Problem> {
    let class_of = |id: ClassId| wanted.iter().position(|&known| known == id).map(ClassId);
    let most = if split == Split::Train { (plan.margin * f64::from(plan.side)).round() as u32 } else { 0 };
    let patch = |crop, class, margin| Patch { path: item.path.clone(), crop, class, split, margin };
    let objects = match &item.label {
        Label::Class(id) => {
            return Ok(class_of(*id).map(|class| patch(None, class, 0)).into_iter().collect());
        }
        Label::Objects(objects) => objects,
    };
    let size = read_size(&item.path)
        .map_err(|error| Problem { path: item.path.clone(), message: error.to_string() })?;
    let mut random = ChaCha8Rng::seed_from_u64(plan.splits.seed);
    random.set_stream(place);
    let sought: Vec<(ClassId, &Object)> =
        objects.iter().filter_map(|object| Some((class_of(object.class)?, object))).collect();
    let mut patches: Vec<Patch> = sought
        .iter()
        .map(|(class, object)| {
            patch(Some(window(object.shape.center(), size, plan, &mut random)), *class, most)
        })
        .collect();
    if let Background::PerImage(count) = plan.background {
        let free = free_windows(&sought, size, plan.side, count, &mut random);
        patches.extend(
            free.into_iter().map(|crop| patch(Some(crop), background, clear_margin(crop, &sought, most))),
        );
    }
    Ok(patches)
}

/// The window around a place, shifted by the jitter and then inside the image.
fn window(center: Point, size: Size, plan: &PatchPlan, random: &mut impl Rng) -> Crop {
    let mut first = |middle: f64, length: u32| {
        let shift = (random.random::<f64>() * 2.0 - 1.0) * plan.jitter * f64::from(plan.side);
        let first = (middle + shift - f64::from(plan.side) / 2.0).round() as i64;
        if length >= plan.side { first.clamp(0, i64::from(length - plan.side)) } else { first }
    };
    Crop { left: first(center.x, size.width), top: first(center.y, size.height), side: plan.side }
}

/// Up to `count` windows away from the objects.
fn free_windows(
    sought: &[(ClassId, &Object)],
    size: Size,
    side: u32,
    count: usize,
    random: &mut impl Rng,
) -> Vec<Crop> {
    if size.width < side || size.height < side {
        return Vec::new();
    }
    let mut windows = Vec::new();
    for _ in 0..TRIES * count {
        if windows.len() == count {
            break;
        }
        let left = random.random_range(0..=size.width - side);
        let top = random.random_range(0..=size.height - side);
        let crop = Crop { left: i64::from(left), top: i64::from(top), side };
        if sought.iter().all(|(_, object)| is_clear_of(crop, &object.shape)) {
            windows.push(crop);
        }
    }
    windows
}

/// The widest margin, up to `most`, with which a window stays clear of objects.
fn clear_margin(crop: Crop, sought: &[(ClassId, &Object)], most: u32) -> u32 {
    let clear = |margin: u32| {
        let by = i64::from(margin);
        let grown = Crop { left: crop.left - by, top: crop.top - by, side: crop.side + 2 * margin };
        sought.iter().all(|(_, object)| is_clear_of(grown, &object.shape))
    };
    (1..=MARGIN_STEPS).rev().map(|step| most * step / MARGIN_STEPS).find(|&margin| clear(margin)).unwrap_or(0)
}

fn is_clear_of(crop: Crop, shape: &Shape) -> bool {
    let (left, top, side) = (crop.left as f64, crop.top as f64, f64::from(crop.side));
    let window = Rect::new(left, top, left + side, top + side);
    let is_uncovered = |rect: Rect| window.intersection(rect).area() <= MOST_COVERED * rect.area();
    !window.contains(shape.center()) && shape.rect().is_none_or(is_uncovered)
}

fn object_size(data: &Dataset, splits: &[Split], wanted: &[ClassId]) -> Option<f64> {
    let objects = training_objects(data, splits).flat_map(|(_, objects)| objects);
    let boxes =
        objects.filter(|object| wanted.contains(&object.class)).filter_map(|object| object.shape.rect());
    median(boxes.map(|rect| rect.area().sqrt()))
}

/// Training images with their objects.
fn training_objects<'a>(
    data: &'a Dataset,
    splits: &'a [Split],
) -> impl Iterator<Item = (&'a Path, &'a [Object])> {
    let items = data.items.iter().zip(splits).filter(|(_, split)| **split == Split::Train);
    items.filter_map(|(item, _)| match &item.label {
        Label::Objects(objects) => Some((item.path.as_path(), objects.as_slice())),
        Label::Class(_) => None,
    })
}
