//! Pascal VOC: an XML file of boxes for each image.

use super::Found;
use super::tree::{Tree, head, nearest, read_text, split_named, stem};
use crate::{DataError, Item, Label, Object, Problem, Split};
use locam_core::{ClassId, Rect, Shape, Size};
use roxmltree::{Document, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One image's annotation.
struct Annotation {
    image: PathBuf,
    objects: Vec<(String, Rect)>,
}

pub(super) fn fits(tree: &Tree) -> bool {
    tree.with_extension("xml").any(|path| head(path).contains("<annotation"))
}

pub(super) fn read(tree: &Tree) -> Result<Found, DataError> {
    let mut found = Found::default();
    let images = tree.images_by_stem();
    let Lists { splits, training } = Lists::read(tree)?;
    let mut read: Vec<Annotation> = Vec::new();
    for path in tree.with_extension("xml") {
        match annotation(path, &images, &mut found.problems) {
            Ok(annotation) => read.push(annotation),
            Err(reason) => found.skip(path, reason),
        }
    }
    let names: BTreeSet<&String> = read.iter().flat_map(|a| a.objects.iter().map(|(name, _)| name)).collect();
    found.classes = names.into_iter().cloned().collect();
    let mut unlisted = 0;
    for Annotation { image, objects } in read {
        let id =
            |name: &String| ClassId(found.classes.iter().position(|known| known == name).unwrap_or_default());
        let objects = objects.iter().map(|(name, rect)| Object { class: id(name), shape: Shape::Box(*rect) });
        let label = Label::Objects(objects.collect());
        let split = splits.get(&stem(&image)).copied().or_else(|| tree.split_of(&image));
        if split.is_none() && training.is_some() {
            unlisted += 1;
            continue;
        }
        let group = Some(tree.parts(&image).join("/"));
        found.items.push(Item { path: image, label, split, group });
    }
    // They may be what somebody keeps for a test.
    if let Some(list) = training.filter(|_| unlisted > 0) {
        let message = format!(
            "{unlisted} annotated images are in no list beside it and are left out; list them to use them"
        );
        found.skip(list, message);
    }
    Ok(found)
}

/// The lists `ImageSets/Main/train.txt` and the like.
struct Lists {
    /// By image name.
    splits: BTreeMap<String, Split>,
    /// The one of training images.
    training: Option<PathBuf>,
}

impl Lists {
    /// Lists that join others, such as `trainval`, are no split.
    fn read(tree: &Tree) -> Result<Self, DataError> {
        let mut lists = Self { splits: BTreeMap::new(), training: None };
        let is_list = |path: &&PathBuf| tree.parts(path).iter().any(|part| part == "ImageSets");
        for path in tree.with_extension("txt").filter(is_list) {
            let Some(split) = split_named(&stem(path)) else { continue };
            if split == Split::Train {
                lists.training = Some(path.clone());
            }
            for line in read_text(path)?.lines() {
                if let Some(name) = line.split_whitespace().next() {
                    lists.splits.insert(name.to_owned(), split);
                }
            }
        }
        Ok(lists)
    }
}

/// Reads one file; objects without a sound box become problems of their own.
fn annotation(
    path: &Path,
    images: &BTreeMap<String, Vec<&PathBuf>>,
    problems: &mut Vec<Problem>,
) -> Result<Annotation, String> {
    let text = read_text(path).map_err(|error| error.to_string())?;
    let document = Document::parse(&text).map_err(|error| format!("is no XML: {error}"))?;
    let root = document.root_element();
    if root.tag_name().name() != "annotation" {
        return Err(format!("is no annotation: its root is <{}>", root.tag_name().name()));
    }
    let named = child_text(root, "filename").map_or_else(String::new, |name| stem(Path::new(name)));
    let candidates = [named, stem(path)].into_iter().find_map(|name| images.get(&name));
    let image = candidates.and_then(|found| nearest(found, path)).ok_or("its image is not there")?;
    let size = size(root);
    let mut objects = Vec::new();
    for (i, object) in root.children().filter(|node| node.has_tag_name("object")).enumerate() {
        match named_box(object, size) {
            Ok(found) => objects.push(found),
            Err(reason) => {
                problems
                    .push(Problem { path: path.to_owned(), message: format!("object {}: {reason}", i + 1) });
            }
        }
    }
    Ok(Annotation { image: image.clone(), objects })
}

/// The image's size as the annotation says; some say 0.
fn size(root: Node<'_, '_>) -> Option<Size> {
    let size = root.children().find(|node| node.has_tag_name("size"))?;
    let width = child_text(size, "width")?.parse().ok().filter(|&width| width > 0)?;
    let height = child_text(size, "height")?.parse().ok().filter(|&height| height > 0)?;
    Some(Size::new(width, height))
}

fn named_box(object: Node<'_, '_>, size: Option<Size>) -> Result<(String, Rect), String> {
    let name = child_text(object, "name").filter(|name| !name.is_empty()).ok_or("has no name")?;
    let node = object.children().find(|node| node.has_tag_name("bndbox")).ok_or("has no <bndbox>")?;
    let edge = |tag: &str| {
        let text = child_text(node, tag).ok_or_else(|| format!("has no <{tag}>"))?;
        let value: f64 = text.parse().map_err(|_| format!("<{tag}> is `{text}`, no number"))?;
        if value.is_finite() { Ok(value) } else { Err(format!("<{tag}> is `{text}`")) }
    };
    // By VOC's count 1 is the first pixel, and tools that count from 0 write 1 where a box begins at the border.
    let first_edge = |tag| edge(tag).map(|at| if at <= 1.0 { at.min(0.0) } else { at });
    let whole = Rect::new(first_edge("xmin")?, first_edge("ymin")?, edge("xmax")?, edge("ymax")?);
    let rect = size.map_or(whole, |size| whole.clamped_to(size));
    if rect.right > rect.left && rect.bottom > rect.top {
        Ok((name.to_owned(), rect))
    } else {
        Err(format!("its box {}..{} x {}..{} is empty", whole.left, whole.right, whole.top, whole.bottom))
    }
}

fn child_text<'a>(node: Node<'a, '_>, tag: &str) -> Option<&'a str> {
    node.children().find(|child| child.has_tag_name(tag)).map(|child| child.text().unwrap_or_default().trim())
}
