//! Text files of `x y class`, one object a line, beside images of the same name.

use super::Found;
use super::tree::{Tree, head, nearest, parse_lines, stem};
use crate::{Item, Label, Object};
use locam_core::{ClassId, Point, Shape};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// One line: where, and which class.
type Line = (Point, String);

pub(super) fn fits(tree: &Tree) -> bool {
    let images = tree.images_by_stem();
    let mut texts = tree.with_extension("txt").filter(|path| images.contains_key(&stem(path)));
    texts.any(|path| {
        head(path).lines().find(|line| !line.trim().is_empty()).is_some_and(|line| parse(line).is_ok())
    })
}

pub(super) fn read(tree: &Tree) -> Found {
    let mut found = Found::default();
    let images = tree.images_by_stem();
    let mut read: Vec<(PathBuf, Vec<Line>)> = Vec::new();
    let mut seen = BTreeSet::new();
    for path in tree.with_extension("txt") {
        let Some(image) = images.get(&stem(path)).and_then(|images| nearest(images, path)) else { continue };
        match parse_lines(path, parse) {
            Ok(lines) => {
                seen.insert(image.clone());
                read.push((image.clone(), lines));
            }
            Err(reason) => found.skip(path, reason),
        }
    }
    for image in tree.images().filter(|image| !seen.contains(*image)) {
        found.skip(image, "has no readable text file with its objects");
    }
    found.classes = class_names(read.iter().flat_map(|(_, lines)| lines.iter().map(|(_, class)| class)));
    for (path, lines) in read {
        let id =
            |class: &String| ClassId(found.classes.iter().position(|name| name == class).unwrap_or_default());
        let objects =
            lines.iter().map(|(point, class)| Object { class: id(class), shape: Shape::Point(*point) });
        let label = Label::Objects(objects.collect());
        let (split, group) = (tree.split_of(&path), Some(tree.parts(&path).join("/")));
        found.items.push(Item { path, label, split, group });
    }
    found
}

/// The names in use; numbers in the order of numbers.
fn class_names<'a>(used: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut names: Vec<String> = used.cloned().collect::<BTreeSet<_>>().into_iter().collect();
    names.sort_by_key(|name| (name.parse::<u64>().unwrap_or(u64::MAX), name.clone()));
    names
}

fn parse(line: &str) -> Result<Line, String> {
    point_and_class(line).ok_or_else(|| format!("`{}` is not `x y class`", line.trim()))
}

fn point_and_class(line: &str) -> Option<Line> {
    let words: Vec<&str> = line
        .split(|c: char| c.is_whitespace() || c == ',' || c == ';')
        .filter(|word| !word.is_empty())
        .collect();
    let [x, y, class] = words[..] else { return None };
    let point = Point::new(x.parse().ok()?, y.parse().ok()?);
    (point.x.is_finite() && point.y.is_finite()).then(|| (point, class.to_owned()))
}
