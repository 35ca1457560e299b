//! COCO's results, and COCO data sets with a score per annotation.

use super::{Entry, EntryShape, text_of};
use crate::{DataError, Dataset};
use locam_core::Rect;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    Results(Vec<Annotation>),
    Dataset { images: Vec<Image>, categories: Vec<Category>, annotations: Vec<Annotation> },
}

/// What a file needs to tell what identifiers mean.
#[derive(Deserialize)]
struct Key {
    images: Vec<Image>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
    score: Option<f64>,
}

/// What identifiers stand for.
#[derive(Default)]
struct Meanings {
    images: BTreeMap<u64, String>,
    categories: BTreeMap<u64, String>,
}

impl Meanings {
    fn add(&mut self, path: &Path, key: Key) -> Result<(), DataError> {
        let images = key.images.into_iter().map(|image| (image.id, image.file_name));
        let categories = key.categories.into_iter().map(|category| (category.id, category.name));
        insert(&mut self.images, images, path, "image")?;
        insert(&mut self.categories, categories, path, "category")
    }
}

fn insert(
    all: &mut BTreeMap<u64, String>,
    new: impl Iterator<Item = (u64, String)>,
    path: &Path,
    what: &str,
) -> Result<(), DataError> {
    for (id, name) in new {
        match all.insert(id, name.clone()) {
            Some(other) if other != name => {
                let reason = format!(
                    "its {what} {id} is {name}, but {other} in another file of the data; put the file that the \
                     predictions belong to beside them, as coco.json"
                );
                return Err(DataError::Manifest { path: path.to_owned(), reason });
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn read(path: &Path, data: &Dataset) -> Result<Vec<Entry>, DataError> {
    let wrong = |reason: String| DataError::Manifest { path: path.to_owned(), reason };
    let file = serde_json::from_str::<File>(&text_of(path)?).map_err(|error| {
        // Of what is JSON, but neither form, the parser can't tell which it should have been.
        let fault = if error.is_data() { String::new() } else { format!(": {error}") };
        wrong(format!(
            "is neither a list of COCO results (image_id, category_id, bbox, score) nor a COCO data set (images, \
             annotations, categories){fault}"
        ))
    })?;
    let mut meanings = Meanings::default();
    let annotations = match file {
        File::Dataset { images, categories, annotations } => {
            meanings.add(path, Key { images, categories })?;
            annotations
        }
        File::Results(annotations) => {
            for (path, key) in keys(path, data)? {
                meanings.add(&path, key)?;
            }
            annotations
        }
    };
    if meanings.images.is_empty() && !annotations.is_empty() {
        return Err(wrong(format!(
            "its images are known by numbers alone, and neither a coco.json beside it nor {} says which they are",
            data.root.display()
        )));
    }
    Ok((1..).zip(&annotations).map(|numbered| entry(numbered, &meanings)).collect())
}

fn entry((number, annotation): (usize, &Annotation), meanings: &Meanings) -> Entry {
    let [x, y, width, height] = annotation.bbox;
    let name = |all: &BTreeMap<u64, String>, id: u64| all.get(&id).cloned().unwrap_or_else(|| id.to_string());
    Entry {
        image: name(&meanings.images, annotation.image_id),
        class: Some(name(&meanings.categories, annotation.category_id)),
        score: annotation.score,
        shape: EntryShape::Box(Rect::new(x, y, x + width, y + height), None),
        place: format!("number {number}"),
    }
}

/// The files that say what identifiers mean: `coco.json` beside the results, or the data's own.
fn keys(results: &Path, data: &Dataset) -> Result<Vec<(PathBuf, Key)>, DataError> {
    let beside = results.with_file_name("coco.json");
    let candidates = if beside.is_file() { vec![beside] } else { json_files(&data.root)? };
    let mut keys = Vec::new();
    for path in candidates.into_iter().filter(|path| path != results) {
        // Other JSON files may lie among the data.
        if let Ok(key) = serde_json::from_str::<Key>(&text_of(&path)?) {
            keys.push((path, key));
        }
    }
    Ok(keys)
}

/// A file itself, or the JSON files of a folder and of those in it, sorted.
fn json_files(root: &Path) -> Result<Vec<PathBuf>, DataError> {
    if root.is_file() {
        return Ok(vec![root.to_owned()]);
    }
    let list = |folder: &Path| -> Result<Vec<PathBuf>, DataError> {
        let read = |source| DataError::Read { path: folder.to_owned(), source };
        let entries =
            std::fs::read_dir(folder).map_err(read)?.collect::<Result<Vec<_>, _>>().map_err(read)?;
        Ok(entries.into_iter().map(|entry| entry.path()).collect())
    };
    let mut files = list(root)?;
    for folder in files.clone().iter().filter(|path| path.is_dir()) {
        files.extend(list(folder)?);
    }
    files.retain(|path| path.is_file() && path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}
