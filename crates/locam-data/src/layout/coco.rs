//! COCO's JSON (Lin et al., "Microsoft COCO: common objects in context", 2014): images, annotations, categories.

mod segmentation;

use super::Found;
use super::tree::{Tree, head, nearest, split_named, stem};
use crate::{DataError, Item, Label, Object, Split, read_size};
use locam_core::{ClassId, Rect, Shape, Size};
use segmentation::Segmentation;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    #[serde(default)]
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
    width: Option<u32>,
    height: Option<u32>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
    bbox: Option<Vec<f64>>,
    segmentation: Option<Segmentation>,
    #[serde(default)]
    iscrowd: u8,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

pub(super) fn fits(tree: &Tree) -> bool {
    files(tree).next().is_some()
}

/// JSON files that begin like COCO's.
fn files(tree: &Tree) -> impl Iterator<Item = &PathBuf> {
    tree.with_extension("json").filter(|path| {
        let head = head(path);
        ["\"images\"", "\"annotations\"", "\"categories\"", "\"info\""].iter().any(|key| head.contains(key))
    })
}

pub(super) fn read(tree: &Tree) -> Result<Found, DataError> {
    let mut found = Found::default();
    for path in files(tree) {
        let parsed = std::fs::read(path)
            .map_err(|error| error.to_string())
            .and_then(|bytes| serde_json::from_slice::<File>(&bytes).map_err(|error| error.to_string()));
        match parsed {
            Ok(file) => add(tree, path, &file, &mut found)?,
            Err(reason) => found.skip(path, format!("is no COCO file: {reason}")),
        }
    }
    Ok(found)
}

fn add(tree: &Tree, json: &Path, file: &File, found: &mut Found) -> Result<(), DataError> {
    let ids = category_ids(file, &mut found.classes);
    let mut annotations: BTreeMap<u64, Vec<&Annotation>> = BTreeMap::new();
    for annotation in file.annotations.iter().filter(|annotation| annotation.iscrowd == 0) {
        annotations.entry(annotation.image_id).or_default().push(annotation);
    }
    let near = if tree.root().is_file() {
        Tree::read(json.parent().unwrap_or(json))?
    } else {
        Tree::read(tree.root())?
    };
    let by_stem = near.images_by_stem();
    for image in &file.images {
        match locate(&by_stem, json, &image.file_name) {
            Some(path) => {
                let annotations = annotations.get(&image.id).map_or(&[][..], Vec::as_slice);
                let (objects, faults) = objects(annotations, &ids, || size(image, &path));
                for fault in faults {
                    found.skip(json, fault);
                }
                let label = Label::Objects(objects);
                let split = split_of(json).or_else(|| near.split_of(&path));
                let group = Some(near.parts(&path).join("/"));
                found.items.push(Item { path, label, split, group });
            }
            None => found.skip(json, format!("names the image {}, which is not there", image.file_name)),
        }
    }
    Ok(())
}

/// Places of the file's categories in the list of all classes, which grows by new names.
fn category_ids(file: &File, classes: &mut Vec<String>) -> BTreeMap<u64, ClassId> {
    let mut ids = BTreeMap::new();
    for category in &file.categories {
        let place = classes.iter().position(|name| *name == category.name).unwrap_or_else(|| {
            classes.push(category.name.clone());
            classes.len() - 1
        });
        ids.insert(category.id, ClassId(place));
    }
    ids
}

/// The objects of one image, and what is wrong with others.
fn objects(
    annotations: &[&Annotation],
    ids: &BTreeMap<u64, ClassId>,
    size: impl Fn() -> Option<Size>,
) -> (Vec<Object>, Vec<String>) {
    let (mut objects, mut faults) = (Vec::new(), Vec::new());
    let size = if annotations.is_empty() { None } else { size() };
    for annotation in annotations {
        let Some(&class) = ids.get(&annotation.category_id) else {
            faults.push(format!("an annotation has the unknown category {}", annotation.category_id));
            continue;
        };
        let rect = rect(annotation, size);
        let drawn = annotation.segmentation.as_ref().map_or(Ok(None), |drawn| drawn.mask(size));
        let image = annotation.image_id;
        let shape = match (drawn, rect) {
            (Ok(Some(mask)), Some(rect)) => Shape::Mask(Arc::new(mask.with_rect(rect))),
            (Ok(Some(mask)), None) => Shape::Mask(Arc::new(mask)),
            (Ok(None), Some(rect)) => Shape::Box(rect),
            (Ok(None), None) => {
                faults.push(format!("an annotation of image {image} has no sound bbox"));
                continue;
            }
            (Err(fault), rect) => {
                let instead = if rect.is_some() { "; its bbox is taken" } else { "" };
                faults.push(format!(
                    "an annotation of image {image} has no sound segmentation: {fault}{instead}"
                ));
                let Some(rect) = rect else { continue };
                Shape::Box(rect)
            }
        };
        objects.push(Object { class, shape });
    }
    (objects, faults)
}

/// The size that the file says, else the image's own.
fn size(image: &Image, path: &Path) -> Option<Size> {
    let said = || Some(Size::new(image.width?, image.height?)).filter(|size| size.area() > 0);
    said().or_else(|| read_size(path).ok())
}

fn rect(annotation: &Annotation, size: Option<Size>) -> Option<Rect> {
    let &[x, y, width, height] = annotation.bbox.as_deref()? else { return None };
    let whole = Rect::new(x, y, x + width, y + height);
    let rect = size.map_or(whole, |size| whole.clamped_to(size));
    let finite = [x, y, width, height].iter().all(|value| value.is_finite());
    (finite && rect.right > rect.left && rect.bottom > rect.top).then_some(rect)
}

/// The image beside the JSON file as it is named, or wherever below a file of that name lies nearest.
fn locate(by_stem: &BTreeMap<String, Vec<&PathBuf>>, json: &Path, file_name: &str) -> Option<PathBuf> {
    let beside = json.parent()?.join(file_name);
    if beside.is_file() {
        return Some(beside);
    }
    by_stem.get(&stem(Path::new(file_name))).and_then(|found| nearest(found, json)).cloned()
}

/// The split that a JSON file is named after, as in `instances_val2017.json`.
fn split_of(json: &Path) -> Option<Split> {
    let stem = stem(json);
    let mut words = stem.split(|c: char| !c.is_alphabetic());
    words.find_map(split_named)
}
