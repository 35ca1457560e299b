//! Label images: a PNG in a folder `masks` for each image, whose values say which object a pixel belongs to.

mod label_image;

use super::Found;
use super::tree::{Tree, nearest, read_text, split_named, stem};
use crate::{Item, Label, Object, Problem, read_size};
use label_image::LabelImage;
use locam_core::{ClassId, Mask, Shape, Size};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder that label images lie in, at any depth.
const FOLDER: &str = "masks";
/// The file that names the class of label images that lie in no folder of a class.
const NAME_LIST: &str = "classes.txt";
/// The class where nothing names it.
const UNNAMED: &str = "object";
/// How many label images are looked at to recognise the layout.
const LOOKED_AT: usize = 16;

pub(super) fn fits(tree: &Tree) -> bool {
    let images = images(tree);
    let mut masks = masks(tree).filter(|(path, _)| images.contains_key(&stem(path)));
    masks.by_ref().take(LOOKED_AT).any(|(path, _)| LabelImage::is_one(path))
}

pub(super) fn read(tree: &Tree) -> Found {
    let mut found = Found::default();
    let images = images(tree);
    let unnamed = match class_of_list(tree) {
        Ok(name) => name,
        Err(problem) => {
            found.problems.push(problem);
            UNNAMED.to_owned()
        }
    };
    // For each image its label images and their classes.
    let mut by_image: BTreeMap<&PathBuf, Vec<(&PathBuf, String)>> = BTreeMap::new();
    for (path, class) in masks(tree) {
        match images.get(&stem(path)).and_then(|images| nearest(images, path)) {
            Some(image) => {
                by_image.entry(image).or_default().push((path, class.unwrap_or_else(|| unnamed.clone())));
            }
            None => found.skip(path, "no image has its name"),
        }
    }
    for image in images.into_values().flatten().filter(|image| !by_image.contains_key(image)) {
        found.skip(image, format!("no PNG below a folder `{FOLDER}` has its name"));
    }
    let names: BTreeSet<&String> = by_image.values().flatten().map(|(_, class)| class).collect();
    found.classes = names.into_iter().cloned().collect();
    let classes = &found.classes;
    let items: Vec<(Option<Item>, Vec<Problem>)> =
        by_image.par_iter().map(|(image, masks)| item(tree, image, masks, classes)).collect();
    for (item, problems) in items {
        found.items.extend(item);
        found.problems.extend(problems);
    }
    found
}

/// The images that are no label images, by their names without extension.
fn images(tree: &Tree) -> BTreeMap<String, Vec<&PathBuf>> {
    let mut images = tree.images_by_stem();
    for paths in images.values_mut() {
        paths.retain(|path| folders_below(tree, path).is_none());
    }
    images.retain(|_, paths| !paths.is_empty());
    images
}

/// The PNG files below a folder of label images, each with the class that a folder names.
fn masks(tree: &Tree) -> impl Iterator<Item = (&PathBuf, Option<String>)> {
    tree.with_extension("png").filter_map(|path| {
        let folders = folders_below(tree, path)?;
        Some((path, folders.into_iter().find(|folder| split_named(folder).is_none())))
    })
}

/// The folders between that of label images and a file; none where it isn't in one.
fn folders_below(tree: &Tree, path: &Path) -> Option<Vec<String>> {
    let mut parts = tree.parts(path);
    parts.pop();
    let folder = parts.iter().position(|part| part.eq_ignore_ascii_case(FOLDER))?;
    Some(parts.split_off(folder + 1))
}

/// The name in `classes.txt`.
fn class_of_list(tree: &Tree) -> Result<String, Problem> {
    let is_list = |path: &&PathBuf| path.file_name().is_some_and(|name| name == NAME_LIST);
    let Some(path) = tree.with_extension("txt").find(is_list) else { return Ok(UNNAMED.to_owned()) };
    let problem = |message: String| Problem { path: path.clone(), message };
    let text = read_text(path).map_err(|error| problem(error.to_string()))?;
    let names: Vec<&str> = text.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    match names[..] {
        [name] => Ok(name.to_owned()),
        _ => Err(problem(format!(
            "names {} classes; to tell them apart put the label images of each into {FOLDER}/CLASS",
            names.len()
        ))),
    }
}

/// An image with the objects of its label images; `None` where none of them can be used.
fn item(
    tree: &Tree,
    image: &Path,
    masks: &[(&PathBuf, String)],
    classes: &[String],
) -> (Option<Item>, Vec<Problem>) {
    let size = match read_size(image) {
        Ok(size) => size,
        Err(error) => {
            return (None, vec![Problem { path: image.to_owned(), message: error.to_string() }]);
        }
    };
    let (mut objects, mut problems) = (Vec::new(), Vec::new());
    for (path, class) in masks {
        let class = ClassId(classes.iter().position(|name| name == class).unwrap_or_default());
        match objects_in(path, size) {
            Ok(found) => {
                objects.extend(
                    found.into_iter().map(|mask| Object { class, shape: Shape::Mask(Arc::new(mask)) }),
                );
            }
            Err(message) => problems.push(Problem { path: (*path).clone(), message }),
        }
    }
    let item = (problems.len() < masks.len()).then(|| Item {
        path: image.to_owned(),
        label: Label::Objects(objects),
        split: tree.split_of(image).or_else(|| masks.iter().find_map(|(path, _)| tree.split_of(path))),
        group: Some(tree.parts(image).join("/")),
    });
    (item, problems)
}

/// The objects of a label image, by their values.
fn objects_in(path: &Path, size: Size) -> Result<Vec<Mask>, String> {
    let labels = LabelImage::open(path)?;
    if labels.size() != size {
        return Err(format!("is of {} pixels, its image of {size}", labels.size()));
    }
    labels.objects()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dataset, Layout, OpenOptions};
    use image::{GrayImage, ImageBuffer, Luma, RgbImage};
    use std::fs;

    /// A file's name, and what writes it.
    type Written<'a> = (&'a str, &'a dyn Fn(&Path));

    fn folder(files: &[Written]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, write) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            write(&path);
        }
        folder
    }

    fn photo(path: &Path) {
        RgbImage::new(20, 10).save(path).unwrap();
    }

    /// Two objects that touch.
    fn two(path: &Path) {
        GrayImage::from_fn(20, 10, |x, y| Luma([if y < 5 { 0 } else { u8::from(x < 10) + 1 }]))
            .save(path)
            .unwrap();
    }

    /// An object with a number beyond a byte.
    fn deep(path: &Path) {
        let value = |x| if x == 3 { 1000_u16 } else { 0 };
        ImageBuffer::from_fn(20, 10, |x, _| Luma([value(x)])).save(path).unwrap();
    }

    fn open(folder: &tempfile::TempDir) -> Dataset {
        Dataset::open(folder.path(), &OpenOptions::default()).unwrap()
    }

    /// Class, box and area of the objects.
    fn objects(data: &Dataset, item: usize) -> Vec<(&str, [f64; 4], u64)> {
        let Label::Objects(objects) = &data.items[item].label else { panic!("item {item} is a patch") };
        let object = |object: &Object| {
            let Shape::Mask(mask) = &object.shape else { panic!("{object:?} is no mask") };
            let rect = mask.rect();
            let name = data.classes[object.class.0].as_str();
            (name, [rect.left, rect.top, rect.right, rect.bottom], mask.area())
        };
        objects.iter().map(object).collect()
    }

    #[test]
    fn each_value_is_an_object_of_the_class_that_is_named() {
        let files: [Written; 4] = [
            ("images/a.jpg", &photo),
            ("masks/a.png", &two),
            ("images/b.png", &photo),
            ("masks/b.png", &deep),
        ];
        let data = open(&folder(&files));
        assert_eq!((data.layout, data.items.len(), data.problems.len()), (Layout::Masks, 2, 0));
        let left = [10.0, 5.0, 20.0, 10.0];
        assert_eq!(objects(&data, 0), [("object", left, 50), ("object", [0.0, 5.0, 10.0, 10.0], 50)]);
        assert_eq!(objects(&data, 1), [("object", [3.0, 0.0, 4.0, 10.0], 10)]);
        let named: &dyn Fn(&Path) = &|path| fs::write(path, "\ncell\n").unwrap();
        let data = open(&folder(&[files[0], files[1], ("classes.txt", named)]));
        assert_eq!(data.classes, ["cell"]);
    }

    #[test]
    fn folders_name_classes_and_splits() {
        let data = open(&folder(&[
            ("train/images/a.png", &photo),
            ("train/masks/nucleus/a.png", &two),
            ("train/masks/cell/a.png", &deep),
            ("images/val/b.png", &photo),
            ("masks/val/cell/b.png", &deep),
        ]));
        let splits: Vec<_> = data.items.iter().map(|item| item.split).collect();
        assert_eq!(splits, [Some(crate::Split::Val), Some(crate::Split::Train)]);
        let names: Vec<_> = objects(&data, 1).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["cell", "nucleus", "nucleus"]);
        assert_eq!(objects(&data, 0)[0].0, "cell");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let several: &dyn Fn(&Path) = &|path| fs::write(path, "cell\nglass\n").unwrap();
        let small: &dyn Fn(&Path) = &|path| GrayImage::new(9, 10).save(path).unwrap();
        let data = open(&folder(&[
            ("a.png", &photo),
            ("masks/a.png", &two),
            ("masks/gone.png", &two),
            ("alone.png", &photo),
            ("b.png", &photo),
            ("masks/b.png", small),
            ("c.png", &photo),
            ("masks/c.png", &photo),
            ("classes.txt", several),
        ]));
        let problems: Vec<String> = data.problems.iter().map(ToString::to_string).collect();
        assert_eq!((data.items.len(), problems.len()), (1, 5), "{problems:#?}");
        for words in ["no image has its name", "alone.png", "9x10", "colour", "2 classes"] {
            assert!(problems.iter().any(|problem| problem.contains(words)), "{words}: {problems:#?}");
        }
    }

    #[test]
    fn photographs_in_a_folder_called_masks_are_a_class() {
        let data = open(&folder(&[("masks/1.png", &photo), ("faces/1.png", &photo)]));
        assert_eq!(
            (data.layout, data.classes),
            (Layout::ClassFolders, vec!["faces".to_owned(), "masks".to_owned()])
        );
    }
}
