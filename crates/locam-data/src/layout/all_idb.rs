//! The two parts of ALL-IDB (Donida Labati, Piuri, Scotti, "ALL-IDB: the acute lymphoblastic leukemia image database
//! for image processing", 2011).

use super::Found;
use super::tree::{Tree, has_extension, parse_lines, read_text, stem};
use crate::{DataError, Item, Label, Object};
use locam_core::{ClassId, Point, Shape};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const HEALTHY: &str = "healthy";
const BLAST: &str = "blast";

/// Patches whose name ends in `_0` or `_1`, in a folder `img`.
fn patches(tree: &Tree) -> impl Iterator<Item = (&PathBuf, Option<u8>)> {
    tree.images().filter(|path| in_folder(path, "img")).map(|path| (path, digit(path)))
}

fn fields(tree: &Tree) -> impl Iterator<Item = &PathBuf> {
    tree.images().filter(|path| in_folder(path, "im"))
}

fn in_folder(path: &Path, name: &str) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|folder| folder.eq_ignore_ascii_case(name))
}

/// The digit after the last underscore of a name such as `Im001_1`.
fn digit(path: &Path) -> Option<u8> {
    let stem = stem(path);
    let (name, digit) = stem.rsplit_once('_')?;
    match (name.to_ascii_lowercase().starts_with("im"), digit) {
        (true, "0") => Some(0),
        (true, "1") => Some(1),
        _ => None,
    }
}

pub(super) fn patches_fit(tree: &Tree) -> bool {
    !fields_fit(tree) && patches(tree).any(|(_, digit)| digit.is_some())
}

pub(super) fn fields_fit(tree: &Tree) -> bool {
    tree.files().iter().any(|path| has_extension(path, "xyc")) && fields(tree).next().is_some()
}

pub(super) fn read_patches(tree: &Tree) -> Result<Found, DataError> {
    let mut found = Found { classes: vec![HEALTHY.to_owned(), BLAST.to_owned()], ..Found::default() };
    let groups = groups(tree)?;
    for (path, digit) in patches(tree) {
        let Some(digit) = digit else {
            found.skip(path, "its name does not end in _0 (healthy) or _1 (blast)");
            continue;
        };
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let group = groups.get(&name).cloned();
        found.items.push(Item {
            path: path.clone(),
            label: Label::Class(ClassId(digit.into())),
            split: None,
            group,
        });
    }
    Ok(found)
}

/// Groups by file name, from a `groups.csv` where there is one.
fn groups(tree: &Tree) -> Result<BTreeMap<String, String>, DataError> {
    let mut groups = BTreeMap::new();
    let is_list = |path: &&PathBuf| path.file_name().is_some_and(|name| name == "groups.csv");
    for path in tree.files().iter().filter(is_list) {
        for line in read_text(path)?.lines().skip(1) {
            if let Some((file, group)) = line.rsplit_once(',') {
                let name = file.rsplit('/').next().unwrap_or(file);
                groups.insert(name.to_owned(), group.trim().to_owned());
            }
        }
    }
    Ok(groups)
}

pub(super) fn read_fields(tree: &Tree) -> Found {
    let mut found = Found { classes: vec![BLAST.to_owned()], ..Found::default() };
    let lists: BTreeMap<String, &PathBuf> =
        tree.with_extension("xyc").map(|path| (stem(path), path)).collect();
    for path in fields(tree) {
        let name = stem(path);
        match lists.get(&name).map(|list| parse_lines(list, centroid)) {
            Some(Ok(objects)) => {
                let label = Label::Objects(objects);
                found.items.push(Item { path: path.clone(), label, split: None, group: Some(name) });
            }
            Some(Err(reason)) => found.skip(lists[&name], reason),
            None => found.skip(path, format!("has no file xyc/{name}.xyc with its centroids")),
        }
    }
    found
}

fn centroid(line: &str) -> Result<Object, String> {
    let numbers: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [x, y] if x.is_finite() && y.is_finite() => {
            Ok(Object { class: ClassId(0), shape: Shape::Point(Point::new(x, y)) })
        }
        _ => Err(format!("`{}` is not a centroid `x y`", line.trim())),
    }
}
