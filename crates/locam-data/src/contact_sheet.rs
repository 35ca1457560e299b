//! Some examples of every class on one picture.

use crate::augment::seeded;
use crate::{Crop, DataError, Dataset, GLYPH_SIDE, Label, Object, cut, draw_text, read_rgb, resize};
use image::{Rgb, RgbImage, imageops};
use locam_core::{ClassId, Shape, Size};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use std::path::Path;

/// Columns and rows of a thumbnail.
pub(crate) const THUMBNAIL: u32 = 96;
/// Thumbnails per class.
pub(crate) const PER_CLASS: usize = 8;
/// Classes that are shown; the rest is counted.
const MAX_CLASSES: usize = 60;
/// Pixels between thumbnails and around text.
const GAP: u32 = 4;
/// Rows that a class takes: its name and its thumbnails.
const CLASS_HEIGHT: u32 = GLYPH_SIDE + 2 * GAP + THUMBNAIL + GAP;
/// Side of the window around an object that has no extent.
const POINT_WINDOW: f64 = 96.0;
/// Side of the window around a box, as a multiple of the box's longer side.
const BOX_MARGIN: f64 = 1.2;

const BACKGROUND: Rgb<u8> = Rgb([32, 32, 32]);
const TEXT: Rgb<u8> = Rgb([240, 240, 240]);

/// Something to show: a whole image, or an object of one.
#[derive(Clone, Copy)]
struct Example<'a> {
    path: &'a Path,
    shape: Option<&'a Shape>,
}

/// Draws up to eight examples of each class, drawn by `seed`, under the class's name: whole images, or windows
/// around objects where the images are annotated. Unreadable images are passed over, and of more than 60 classes
/// the first 60 are shown.
pub fn contact_sheet(dataset: &Dataset, seed: u64) -> RgbImage {
    let examples = examples_by_class(dataset);
    let shown = examples.len().min(MAX_CLASSES);
    let rows: Vec<Vec<RgbImage>> = examples[..shown]
        .par_iter()
        .enumerate()
        .map(|(class, examples)| thumbnails(examples.clone(), [seed, class as u64, 0]))
        .collect();
    let titles = dataset.classes.iter().zip(&examples).map(|(name, of)| format!("{name}: {}", of.len()));
    let footer = match examples.len() - shown {
        0 => format!("{} classes", examples.len()),
        more => format!("and {more} more classes"),
    };
    draw_rows(&titles.zip(rows).collect::<Vec<_>>(), &footer)
}

/// Rows of at most [`PER_CLASS`] thumbnails, each row under its title, and a last line.
pub(crate) fn draw_rows(rows: &[(String, Vec<RgbImage>)], footer: &str) -> RgbImage {
    let width = PER_CLASS as u32 * (THUMBNAIL + GAP) + GAP;
    let bottom = rows.len() as u32 * CLASS_HEIGHT;
    let mut sheet = RgbImage::from_pixel(width, bottom + GLYPH_SIDE + 2 * GAP, BACKGROUND);
    for (row, (title, thumbnails)) in (0_u32..).zip(rows) {
        draw_class(&mut sheet, row * CLASS_HEIGHT, title, thumbnails);
    }
    draw_text(&mut sheet, GAP.into(), (bottom + GAP).into(), 1, footer, TEXT);
    sheet
}

fn examples_by_class(dataset: &Dataset) -> Vec<Vec<Example<'_>>> {
    let mut examples = vec![Vec::new(); dataset.classes.len()];
    for item in &dataset.items {
        let mut add = |ClassId(class), shape| examples[class].push(Example { path: &item.path, shape });
        match &item.label {
            Label::Class(class) => add(*class, None),
            Label::Objects(objects) => {
                for Object { class, shape } in objects {
                    add(*class, Some(shape));
                }
            }
        }
    }
    examples
}

fn thumbnails(mut examples: Vec<Example<'_>>, key: [u64; 3]) -> Vec<RgbImage> {
    examples.shuffle(&mut seeded(key));
    examples.into_iter().filter_map(|example| thumbnail(example).ok()).take(PER_CLASS).collect()
}

fn thumbnail(example: Example<'_>) -> Result<RgbImage, DataError> {
    let image = read_rgb(example.path)?;
    let size = Size::new(image.width(), image.height());
    let view = match example.shape {
        Some(shape) => cut(&image, window(shape, size)),
        None => image,
    };
    let longest = f64::from(view.width().max(view.height()));
    let scaled = |length: u32| ((f64::from(length) * f64::from(THUMBNAIL) / longest).round() as u32).max(1);
    resize(&view, Size::new(scaled(view.width()), scaled(view.height())))
}

/// The window around an object, never larger than the image that holds it.
fn window(shape: &Shape, image: Size) -> Crop {
    let wanted = shape.rect().map_or(POINT_WINDOW, |rect| rect.width().max(rect.height()) * BOX_MARGIN);
    let side = (wanted.ceil() as u32).clamp(1, image.width.max(image.height));
    let first = |center: f64| (center - f64::from(side) / 2.0).round() as i64;
    let center = shape.center();
    Crop { left: first(center.x), top: first(center.y), side }
}

fn draw_class(sheet: &mut RgbImage, top: u32, title: &str, thumbnails: &[RgbImage]) {
    draw_text(sheet, GAP.into(), (top + GAP).into(), 1, title, TEXT);
    for (place, thumbnail) in (0_u32..).zip(thumbnails) {
        let x = GAP + place * (THUMBNAIL + GAP) + (THUMBNAIL - thumbnail.width()) / 2;
        let y = top + GLYPH_SIDE + 2 * GAP + (THUMBNAIL - thumbnail.height()) / 2;
        imageops::replace(sheet, thumbnail, x.into(), y.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Item, Layout};
    use locam_core::{Point, Rect};

    const RED: Rgb<u8> = Rgb([200, 0, 0]);
    const BLUE: Rgb<u8> = Rgb([0, 0, 200]);

    fn dataset(root: &Path, classes: &[&str], labels: Vec<Label>) -> Dataset {
        let path = root.join("field.png");
        let image = RgbImage::from_fn(400, 200, |x, _| if x < 200 { RED } else { BLUE });
        image.save(&path).unwrap();
        let item = |label| Item { path: path.clone(), label, split: None, group: None };
        Dataset {
            root: root.to_owned(),
            layout: Layout::ClassFolders,
            classes: classes.iter().map(ToString::to_string).collect(),
            items: labels.into_iter().map(item).collect(),
            problems: Vec::new(),
        }
    }

    /// The pixel in the middle of a class's thumbnail.
    fn middle(sheet: &RgbImage, class: u32, place: u32) -> Rgb<u8> {
        let x = GAP + place * (THUMBNAIL + GAP) + THUMBNAIL / 2;
        *sheet.get_pixel(x, class * CLASS_HEIGHT + GLYPH_SIDE + 2 * GAP + THUMBNAIL / 2)
    }

    #[test]
    fn objects_appear_in_the_row_of_their_class() {
        let folder = tempfile::tempdir().unwrap();
        let object = |class, shape| Object { class: ClassId(class), shape };
        let left = Shape::Box(Rect::new(90.0, 50.0, 120.0, 90.0));
        let huge = Shape::Box(Rect::new(-1e12, -1e12, 1e12, 1e12));
        let right = Shape::Point(Point::new(395.0, 5.0));
        let label =
            Label::Objects(vec![object(0, right), object(1, left.clone()), object(1, left), object(2, huge)]);
        let sheet = contact_sheet(&dataset(folder.path(), &["right", "left", "huge"], vec![label]), 1);
        assert_eq!(middle(&sheet, 0, 0), BLUE);
        assert_eq!(middle(&sheet, 0, 1), BACKGROUND);
        assert_eq!((middle(&sheet, 1, 0), middle(&sheet, 1, 1)), (RED, RED));
        assert_ne!(middle(&sheet, 2, 0), BACKGROUND);
    }

    #[test]
    fn oblong_images_keep_their_shape() {
        let folder = tempfile::tempdir().unwrap();
        let sheet = contact_sheet(&dataset(folder.path(), &["a"], vec![Label::Class(ClassId(0))]), 1);
        let column = (0..CLASS_HEIGHT).filter(|&y| *sheet.get_pixel(GAP + 10, y) == RED).count();
        assert_eq!(column, THUMBNAIL as usize / 2);
    }

    #[test]
    fn many_classes_are_cut_off_and_none_is_survived() {
        let folder = tempfile::tempdir().unwrap();
        let names = vec!["x"; 1000];
        let sheet = contact_sheet(&dataset(folder.path(), &names, Vec::new()), 1);
        assert_eq!(sheet.height(), 60 * CLASS_HEIGHT + GLYPH_SIDE + 2 * GAP);
        assert!(contact_sheet(&dataset(folder.path(), &[], Vec::new()), 1).height() > 0);
    }
}
