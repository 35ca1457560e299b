//! YOLO's text files: `class cx cy w h`, in parts of the image's width and height.

use super::Found;
use super::tree::{Tree, head, nearest, parse_lines, read_text, stem};
use crate::{DataError, Item, Label, Object, read_size};
use locam_core::{ClassId, Point, Rect, Shape, Size};
use std::path::PathBuf;

/// Files that name the classes, one a line.
const NAME_LISTS: [&str; 3] = ["classes.txt", "obj.names", "_darknet.labels"];

/// A class number and `cx cy w h`.
type NormalizedBox = (usize, [f64; 4]);

pub(super) fn fits(tree: &Tree) -> bool {
    let images = tree.images_by_stem();
    tree.with_extension("txt").filter(|path| images.contains_key(&stem(path))).any(|path| {
        head(path).lines().find(|line| !line.trim().is_empty()).is_some_and(|line| parse(line).is_ok())
    })
}

pub(super) fn read(tree: &Tree) -> Result<Found, DataError> {
    let mut found = Found { classes: class_names(tree)?, ..Found::default() };
    let images = tree.images_by_stem();
    let mut read: Vec<(PathBuf, Vec<NormalizedBox>)> = Vec::new();
    for path in tree.with_extension("txt") {
        let Some(image) = images.get(&stem(path)).and_then(|images| nearest(images, path)) else { continue };
        match parse_lines(path, parse) {
            Ok(boxes) => read.push((image.clone(), boxes)),
            Err(reason) => found.skip(path, reason),
        }
    }
    let most = read.iter().flat_map(|(_, boxes)| boxes.iter().map(|(class, _)| class + 1)).max().unwrap_or(0);
    for unnamed in found.classes.len()..most {
        found.classes.push(unnamed.to_string());
    }
    for (path, boxes) in read {
        match read_size(&path) {
            Ok(size) => {
                let label = Label::Objects(boxes.into_iter().map(|parts| in_pixels(parts, size)).collect());
                let (split, group) = (tree.split_of(&path), Some(tree.parts(&path).join("/")));
                found.items.push(Item { path, label, split, group });
            }
            Err(error) => found.skip(path, error.to_string()),
        }
    }
    Ok(found)
}

fn in_pixels((class, [cx, cy, w, h]): NormalizedBox, size: Size) -> Object {
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    let rect = Rect::around(Point::new(cx * width, cy * height), w * width, h * height).clamped_to(size);
    Object { class: ClassId(class), shape: Shape::Box(rect) }
}

fn parse(line: &str) -> Result<NormalizedBox, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let wrong = || format!("`{}` is not `class cx cy w h` with parts of the image from 0 to 1", line.trim());
    let [class, cx, cy, w, h] = words[..] else { return Err(wrong()) };
    // A class number beyond any list of classes would make as many names.
    let class: usize = class.parse().ok().filter(|&class| class < 10_000).ok_or_else(wrong)?;
    let mut parts = [0.0; 4];
    for (part, word) in parts.iter_mut().zip([cx, cy, w, h]) {
        *part = word.parse().ok().filter(|value| (0.0..=1.0).contains(value)).ok_or_else(wrong)?;
    }
    if parts[2] > 0.0 && parts[3] > 0.0 { Ok((class, parts)) } else { Err(wrong()) }
}

fn class_names(tree: &Tree) -> Result<Vec<String>, DataError> {
    for path in tree.files() {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        if NAME_LISTS.contains(&name.as_str()) {
            let text = read_text(path)?;
            return Ok(text
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect());
        }
        if name == "data.yaml" || name == "data.yml" {
            return Ok(names_in_yaml(&read_text(path)?));
        }
    }
    Ok(Vec::new())
}

/// The key `names` of YOLO's `data.yaml` in its three spellings: `[a, b]`, a list of `- a`, a map of `0: a`. That one
/// key is all that is read of the file, which does not earn a YAML parser.
fn names_in_yaml(text: &str) -> Vec<String> {
    let clean = |word: &str| word.trim().trim_matches(['"', '\'']).to_owned();
    let mut lines = text.lines().skip_while(|line| !line.starts_with("names:"));
    let first = lines.next().and_then(|line| line.strip_prefix("names:")).unwrap_or_default().trim();
    if let Some(inside) = first.strip_prefix('[') {
        let inside = inside.trim_end_matches(']');
        return inside.split(',').map(clean).filter(|name| !name.is_empty()).collect();
    }
    lines
        .take_while(|line| line.starts_with([' ', '-']))
        .filter_map(|line| {
            let line = line.trim();
            line.strip_prefix("- ").or_else(|| line.split_once(':').map(|(_, name)| name)).map(clean)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::names_in_yaml;

    #[test]
    fn names_are_read_in_all_three_spellings() {
        for text in
            ["names: ['a', \"b\"]\n", "nc: 2\nnames:\n  - a\n  - b\nval: x\n", "names:\n  0: a\n  1: b\n"]
        {
            assert_eq!(names_in_yaml(text), ["a", "b"], "{text}");
        }
        assert!(names_in_yaml("train: x\n").is_empty());
    }
}
