//! A folder per class.

use super::Found;
use super::tree::{Tree, split_named};
use crate::{Item, Label, Split};
use locam_core::ClassId;
use std::collections::BTreeSet;
use std::path::PathBuf;

pub(super) fn fits(tree: &Tree) -> bool {
    tree.images().any(|path| place(tree, path).is_some())
}

pub(super) fn read(tree: &Tree) -> Found {
    let mut found = Found::default();
    let mut placed: Vec<(&PathBuf, Option<Split>, String)> = Vec::new();
    for path in tree.images() {
        match place(tree, path) {
            Some((split, class)) => placed.push((path, split, class)),
            None => found.skip(path, "lies outside of every class folder"),
        }
    }
    let names: BTreeSet<&String> = placed.iter().map(|(_, _, class)| class).collect();
    found.classes = names.into_iter().cloned().collect();
    for (path, split, class) in placed {
        let id = found.classes.iter().position(|name| *name == class).unwrap_or_default();
        found.items.push(Item { path: path.clone(), label: Label::Class(ClassId(id)), split, group: None });
    }
    found
}

/// The split and the class that the folders above an image say.
fn place(tree: &Tree, path: &std::path::Path) -> Option<(Option<Split>, String)> {
    let parts = tree.parts(path);
    let (_, folders) = parts.split_last()?;
    let split = folders.first().and_then(|name| split_named(name));
    let class = folders.get(usize::from(split.is_some()))?;
    Some((split, class.clone()))
}
