//! Annotated whole images beside what was found on them.

use crate::locating::Levels;
use crate::visible::is_told;
use crate::writing::{Entry, write_entries};
use crate::{Error, Located, Locator};
use locam_core::{ClassId, ClassSpec, Region};
use locam_data::{Dataset, ImageSource, Item, Label, PatchStore, Problem, Split};
use locam_locate::{MatchRule, Matches, Truth, find_regions, match_regions};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One annotated image with its maps.
#[derive(Clone, Debug)]
pub struct Assessed {
    /// The file.
    pub path: PathBuf,
    /// What was found.
    pub located: Located,
    /// What is there, by the model's classes.
    pub truths: Vec<Truth>,
}

/// The annotated whole images of one part of a data set; of all of it where `split` is `None`.
///
/// # Errors
/// Data without annotated images, or without that part.
pub fn annotated_items(data: &Dataset, split: Option<Split>) -> Result<Vec<&Item>, Error> {
    let whole = || data.items.iter().filter(|item| matches!(item.label, Label::Objects(_)));
    if whole().next().is_none() {
        return Err(Error::Request(format!(
            "{} holds patches, and regions can only be compared with annotated whole images; name a folder of those",
            data.root.display()
        )));
    }
    let items: Vec<&Item> = whole().filter(|item| split.is_none() || item.split == split).collect();
    if items.is_empty() {
        let name = split.map_or("all", split_name);
        return Err(Error::Request(format!(
            "{} has no image in its {name} split, but {}; choose another split with --split, or give the data \
             splits, as by folders called train, val and test",
            data.root.display(),
            images_in_splits(whole())
        )));
    }
    Ok(items)
}

/// The annotated whole images that patches were cut from.
pub(crate) fn items_of<'a>(data: &'a Dataset, store: Option<&Arc<PatchStore>>) -> Vec<&'a Item> {
    let patches = store.map_or(&[][..], |store| store.patches());
    let paths: BTreeSet<&Path> = patches.iter().map(|patch| patch.path.as_path()).collect();
    let whole = data.items.iter().filter(|item| matches!(item.label, Label::Objects(_)));
    whole.filter(|item| paths.contains(item.path.as_path())).collect()
}

/// How many images there are in each split that has any, in words.
fn images_in_splits<'a>(items: impl Iterator<Item = &'a Item>) -> String {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item.split.map_or("no split", split_name)).or_insert(0) += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(split, count)| format!("{count} in {split}")).collect();
    counts.join(", ")
}

/// The word for a split.
pub fn split_name(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Val => "val",
        Split::Test => "test",
    }
}

/// Locates on every item. Images that can't be read or searched are returned as problems.
///
/// # Errors
/// When the data annotate none of the model's classes, or no image can be used.
pub fn assess(
    locator: &Locator,
    data: &Dataset,
    items: &[&Item],
    done: &mut dyn FnMut(&Path),
) -> Result<(Vec<Assessed>, Vec<Problem>), Error> {
    let classes = classes_in_model(locator.model().spec.sought_classes(), data)?;
    let (mut assessed, mut problems) = (Vec::new(), Vec::new());
    for item in items {
        match ImageSource::open(&item.path).map_err(Error::from).and_then(|source| locator.locate(&source)) {
            Ok(located) => {
                assessed.push(Assessed { path: item.path.clone(), located, truths: truths(item, &classes) });
            }
            Err(error) => problems.push(Problem { path: item.path.clone(), message: error.to_string() }),
        }
        done(&item.path);
    }
    match (assessed.is_empty(), problems.first()) {
        (true, Some(first)) => Err(Error::NothingUsable {
            count: problems.len(),
            path: first.path.clone(),
            reason: first.message.clone(),
        }),
        _ => Ok((assessed, problems)),
    }
}

/// For each class of the data the one of the same name among `known`, classes of a model.
///
/// # Errors
/// When there is none for any of them; data without any object have no class, which is none that is unknown.
pub(crate) fn classes_in_model<'a>(
    known: impl Iterator<Item = (ClassId, &'a ClassSpec)>,
    data: &Dataset,
) -> Result<Vec<Option<ClassId>>, Error> {
    let (ids, names): (Vec<_>, Vec<_>) = known.map(|(id, class)| (id, class.name.as_str())).unzip();
    let place = |name: &String| names.iter().position(|known| known == name).map(|place| ids[place]);
    let classes: Vec<_> = data.classes.iter().map(place).collect();
    if !classes.is_empty() && classes.iter().all(Option::is_none) {
        return Err(Error::Request(format!(
            "the model knows {}, but {} shows {}: no class in common; name other data or another model, or give the \
             classes of the data the model's names",
            names.join(", "),
            data.root.display(),
            data.classes.join(", ")
        )));
    }
    Ok(classes)
}

fn truths(item: &Item, classes: &[Option<ClassId>]) -> Vec<Truth> {
    let Label::Objects(objects) = &item.label else { return Vec::new() };
    objects
        .iter()
        .filter_map(|object| Some(Truth { class: classes[object.class.0]?, shape: object.shape.clone() }))
        .collect()
}

/// Whether any of the images has an object of the class.
pub(crate) fn is_annotated(id: ClassId, assessed: &[Assessed]) -> bool {
    assessed.iter().any(|one| one.truths.iter().any(|truth| truth.class == id))
}

/// Boxes and masks are hit by a centroid inside; points by one within half an object.
pub(crate) fn match_rule(locator: &Locator, id: ClassId, one: &Assessed) -> MatchRule {
    let class = &locator.model().spec.classes[id.0];
    MatchRule::Centroid { radius: locator.object_size(class, &one.located.margins[id.0]) / 2.0 }
}

/// What is as likely as not.
pub(crate) const EVEN: f64 = 0.5;
/// Bins of a reliability curve.
pub(crate) const RELIABILITY_BINS: usize = 10;

/// The regions of a class at some log-odds, whatever other classes have there.
pub(crate) fn regions_at(
    locator: &Locator,
    id: ClassId,
    class: &ClassSpec,
    levels: Levels,
    one: &Assessed,
) -> Vec<Region> {
    let margin = &one.located.margins[id.0];
    let config = locator.region_config(class, margin, levels);
    let mut regions = find_regions(margin, id, one.located.size, &config);
    regions.retain(|region| is_told(locator, class, margin, region, one.located.size));
    regions
}

/// Which regions of a class are objects.
pub(crate) fn matches_of(locator: &Locator, id: ClassId, regions: &[Region], one: &Assessed) -> Matches {
    match_regions(regions, &truths_of(id, &one.truths), match_rule(locator, id, one))
}

/// The objects of one class.
pub(crate) fn truths_of(id: ClassId, truths: &[Truth]) -> Vec<Truth> {
    truths.iter().filter(|truth| truth.class == id).cloned().collect()
}

/// Annotated images as they are written and drawn.
pub(crate) fn entries(assessed: &[Assessed]) -> Vec<Entry<'_>> {
    assessed.iter().map(|one| Entry { path: &one.path, located: &one.located, truths: &one.truths }).collect()
}

/// Writes for annotated images what `locam locate` writes, with the truth drawn in.
///
/// # Errors
/// Files that can't be written.
pub fn write_assessed(locator: &Locator, assessed: &[Assessed], out: &Path) -> Result<(), Error> {
    write_entries(locator, &entries(assessed), out)
}
