//! A table of patches: `path,label[,split][,group]`, other columns ignored.

use super::Found;
use super::tree::{Tree, has_extension, head, split_named};
use crate::{DataError, Item, Label};
use locam_core::ClassId;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The manifest of a folder: its only CSV file at the top that has the two columns.
fn manifest(tree: &Tree) -> Option<&PathBuf> {
    let at_top = |path: &&PathBuf| tree.parts(path).len() <= 1 && has_extension(path, "csv");
    tree.files().iter().filter(at_top).find(|path| {
        let head = head(path);
        let columns: Vec<&str> = head.lines().next().unwrap_or_default().split(',').map(str::trim).collect();
        columns.contains(&"path") && columns.contains(&"label")
    })
}

pub(super) fn fits(tree: &Tree) -> bool {
    manifest(tree).is_some()
}

pub(super) fn read(tree: &Tree) -> Result<Found, DataError> {
    let path = manifest(tree).ok_or_else(|| DataError::Manifest {
        path: tree.root().to_owned(),
        reason: "there is no CSV file whose first line names the columns path and label".to_owned(),
    })?;
    let wrong = |reason: String| DataError::Manifest { path: path.clone(), reason };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_path(path)
        .map_err(|error| wrong(error.to_string()))?;
    let header = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let column = |name: &str| header.iter().position(|found| found == name);
    let columns = [column("path"), column("label"), column("split"), column("group")];
    let mut found = Found::default();
    let mut rows: Vec<(String, Item)> = Vec::new();
    for (i, record) in reader.records().enumerate() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        let cell =
            |i: usize| columns[i].and_then(|column| record.get(column)).filter(|cell| !cell.is_empty());
        let (Some(file), Some(label)) = (cell(0), cell(1)) else {
            found.skip(path, format!("line {} has no path or no label", i + 2));
            continue;
        };
        let split = match cell(2).map(|word| (word, split_named(word))) {
            Some((word, None)) => {
                return Err(wrong(format!(
                    "line {}: `{word}` is no split; allowed are train, val, test, or nothing",
                    i + 2
                )));
            }
            Some((_, split)) => split,
            None => None,
        };
        let image = folder.join(file);
        if !image.is_file() {
            found.skip(image, format!("line {} of {} names it, but it is not there", i + 2, path.display()));
            continue;
        }
        let item =
            Item { path: image, label: Label::Class(ClassId(0)), split, group: cell(3).map(str::to_owned) };
        rows.push((label.to_owned(), item));
    }
    let names: BTreeSet<&String> = rows.iter().map(|(label, _)| label).collect();
    found.classes = names.into_iter().cloned().collect();
    for (label, item) in rows {
        let id = ClassId(found.classes.iter().position(|name| *name == label).unwrap_or_default());
        found.items.push(Item { label: Label::Class(id), ..item });
    }
    Ok(found)
}
