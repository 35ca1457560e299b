//! Whether a classifier looks at the object: its answer without the object, and without all else.

use crate::assessing::Assessed;
use crate::evaluating::SEED;
use crate::{Error, Locator};
use image::{Rgb, RgbImage};
use locam_core::{ClassId, Point, Rect, Shape, Size};
use locam_data::{Crop, Problem, cut, resize};
use locam_locate::{Classified, Estimate, Resamples};
use serde::Serialize;

/// At most so many objects of a class are looked at, evenly over all of them.
const MOST_OBJECTS: usize = 100;
/// By so much of its size the hidden part reaches beyond an object on each side, so that no edge of it is left.
const MARGIN: f64 = 0.1;
/// Pixels beside the hidden part whose colours fill it.
const RING: i64 = 8;
/// Patches that go through the network together.
const BATCH: usize = 32;

/// What becomes of the patches around objects of one class, with parts of them hidden.
#[derive(Clone, Debug, Serialize)]
pub struct ShortcutFigures {
    /// The class.
    pub class: String,
    /// Objects looked at.
    pub objects: usize,
    /// The share of patches that are taken for the class.
    pub as_they_are: Estimate,
    /// The same where the object is filled with the colours around it.
    pub object_hidden: Estimate,
    /// The same where all but the object has the mean colour of what was there.
    pub surroundings_hidden: Estimate,
    /// What follows from it.
    pub finding: ShortcutFinding,
}

/// What the shortcut check says of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortcutFinding {
    /// The answer goes with the object and stays without the surroundings.
    Object,
    /// The answer stays for half of the patches at least where there is no object.
    LeansOnSurroundings,
    /// The answer goes for half of the patches at least where there are no surroundings.
    NeedsSurroundings,
    /// Even as they are, fewer than half of the patches are taken for the class, so that nothing can be said.
    NotRecognised,
}

impl ShortcutFinding {
    /// In words, for the table.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Object => "looks at the object",
            Self::LeansOnSurroundings => "answers without the object: may have learned its surroundings",
            Self::NeedsSurroundings => "fails without the surroundings: may not carry over to others",
            Self::NotRecognised => "not recognised even as it is",
        }
    }

    fn of(as_they_are: f64, object_hidden: f64, surroundings_hidden: f64) -> Self {
        match (as_they_are, object_hidden, surroundings_hidden) {
            (whole, ..) if whole < 0.5 => Self::NotRecognised,
            (whole, without, _) if without >= whole / 2.0 => Self::LeansOnSurroundings,
            (whole, _, alone) if alone <= whole / 2.0 => Self::NeedsSurroundings,
            _ => Self::Object,
        }
    }
}

/// A patch as the network takes it, and where in it the object is.
pub(crate) struct ObjectPatch {
    pub(crate) class: ClassId,
    pub(crate) pixels: RgbImage,
    pub(crate) object: Rect,
}

/// Cuts a patch around every object of annotated images and asks for its class as it is, without the object, and
/// without all else. Classes without objects are left out, and so are images that can no longer be read.
///
/// # Errors
/// What the network says.
pub fn check_shortcuts(
    locator: &Locator,
    assessed: &[Assessed],
) -> Result<(Vec<ShortcutFigures>, Vec<Problem>), Error> {
    let (mut patches, mut problems) = (Vec::new(), Vec::new());
    for (Assessed { path, located, .. }, objects) in chosen_objects(locator, assessed) {
        let patches_of = |image: RgbImage| -> Result<Vec<ObjectPatch>, Error> {
            let patch = |(class, shape): &(ClassId, Shape)| {
                patch_around(locator, (&image, located.scale), *class, shape)
            };
            objects.iter().map(patch).collect()
        };
        match locam_data::read_rgb(path).map_err(Error::from).and_then(patches_of) {
            Ok(of_image) => patches.extend(of_image),
            Err(error) => problems.push(Problem { path: path.to_owned(), message: error.to_string() }),
        }
    }
    Ok((figures_of(locator, &patches)?, problems))
}

type ObjectsOfImage<'a> = (&'a Assessed, Vec<(ClassId, Shape)>);

/// Objects evenly over all images, by image.
fn chosen_objects<'a>(locator: &Locator, assessed: &'a [Assessed]) -> Vec<ObjectsOfImage<'a>> {
    let mut by_image: Vec<ObjectsOfImage<'a>> = assessed.iter().map(|one| (one, Vec::new())).collect();
    for (class, _) in locator.model().spec.sought_classes() {
        let of_class = |(image, one): (usize, &Assessed)| -> Vec<(usize, Shape)> {
            let truths = one.truths.iter().filter(|truth| truth.class == class);
            truths.map(|truth| (image, truth.shape.clone())).collect()
        };
        let all: Vec<(usize, Shape)> = assessed.iter().enumerate().flat_map(of_class).collect();
        for place in evenly(all.len(), MOST_OBJECTS) {
            let (image, shape) = &all[place];
            by_image[*image].1.push((class, shape.clone()));
        }
    }
    by_image.retain(|(_, objects)| !objects.is_empty());
    by_image
}

/// At most `most` of so many places, evenly.
pub(crate) fn evenly(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let kept = count.min(most);
    (0..kept).map(move |place| place * count / kept)
}

/// The window that the object would have been trained on, inside the image where that is large enough. The image comes with its
/// network input pixels per pixel.
fn patch_around(
    locator: &Locator,
    (image, scale): (&RgbImage, f64),
    class: ClassId,
    shape: &Shape,
) -> Result<ObjectPatch, Error> {
    let size = Size::new(image.width(), image.height());
    let patch_size = locator.model().spec.patch_size;
    let side = (f64::from(patch_size) / scale).round().max(1.0) as u32;
    let object = shape.rect().unwrap_or_else(|| {
        let extent = locator.object_in_input(&locator.model().spec.classes[class.0]) / scale;
        Rect::around(shape.center(), extent, extent)
    });
    let first = |middle: f64, length: u32| {
        let first = (middle - f64::from(side) / 2.0).round() as i64;
        if length >= side { first.clamp(0, i64::from(length - side)) } else { first }
    };
    let Point { x, y } = object.center();
    let crop = Crop { left: first(x, size.width), top: first(y, size.height), side };
    let pixels = resize(&cut(image, crop), Size::new(patch_size, patch_size))?;
    let factor = f64::from(patch_size) / f64::from(side);
    let (left, top) = (crop.left as f64, crop.top as f64);
    let object = Rect::new(
        (object.left - left) * factor,
        (object.top - top) * factor,
        (object.right - left) * factor,
        (object.bottom - top) * factor,
    );
    Ok(ObjectPatch { class, pixels, object })
}

/// The figures of every class that has patches.
pub(crate) fn figures_of(locator: &Locator, patches: &[ObjectPatch]) -> Result<Vec<ShortcutFigures>, Error> {
    let as_they_are = answers(locator, patches, |patch| patch.pixels.clone())?;
    let object_hidden = answers(locator, patches, |patch| without_object(&patch.pixels, patch.object))?;
    let surroundings_hidden =
        answers(locator, patches, |patch| without_surroundings(&patch.pixels, patch.object))?;
    let classes = locator.model().spec.classes.iter().enumerate();
    Ok(classes
        .filter_map(|(id, class)| {
            let places: Vec<usize> = (0..patches.len()).filter(|&i| patches[i].class.0 == id).collect();
            let resamples = Resamples::new(places.len(), Resamples::USUAL, SEED);
            let share = |answers: &[usize]| {
                let part = |&i: &usize| (f64::from(u8::from(answers[i] == id)), 1.0);
                resamples.ratio(&places.iter().map(part).collect::<Vec<_>>())
            };
            let (whole, without, alone) =
                (share(&as_they_are)?, share(&object_hidden)?, share(&surroundings_hidden)?);
            Some(ShortcutFigures {
                class: class.name.clone(),
                objects: places.len(),
                as_they_are: whole,
                object_hidden: without,
                surroundings_hidden: alone,
                finding: ShortcutFinding::of(whole.value, without.value, alone.value),
            })
        })
        .collect())
}

/// The class that each patch is taken for, seen through `view`.
fn answers(
    locator: &Locator,
    patches: &[ObjectPatch],
    view: impl Fn(&ObjectPatch) -> RgbImage,
) -> Result<Vec<usize>, Error> {
    let side = locator.model().spec.patch_size;
    let mut answers = Vec::with_capacity(patches.len());
    for batch in patches.chunks(BATCH) {
        let pixels: Vec<u8> = batch.iter().flat_map(|patch| view(patch).into_raw()).collect();
        let logits = locator.predictor().logits(&pixels, batch.len(), Size::new(side, side))?;
        answers.extend(logits.iter().map(|row| Classified::from_logits(0, row).predicted()));
    }
    Ok(answers)
}

/// Columns and rows of the object that lie in the patch, with a margin around it.
fn hidden_part(patch: &RgbImage, object: Rect, margin: f64) -> (i64, i64, i64, i64) {
    let (width, height) = (i64::from(patch.width()), i64::from(patch.height()));
    let (x, y) = (margin * object.width(), margin * object.height());
    (
        ((object.left - x).floor() as i64).clamp(0, width),
        ((object.top - y).floor() as i64).clamp(0, height),
        ((object.right + x).ceil() as i64).clamp(0, width),
        ((object.bottom + y).ceil() as i64).clamp(0, height),
    )
}

/// The patch with its object filled from the four sides: every pixel is the mean of the colours beside the hidden part
/// in its row and column, nearer sides counting more.
fn without_object(patch: &RgbImage, object: Rect) -> RgbImage {
    let (left, top, right, bottom) = hidden_part(patch, object, MARGIN);
    let mut filled = patch.clone();
    for y in top..bottom {
        for x in left..right {
            // The strips to the four sides, each with its distance.
            let sides = [
                (mean(patch, (left - RING, y - RING / 2), (left, y + RING / 2)), x - left + 1),
                (mean(patch, (right, y - RING / 2), (right + RING, y + RING / 2)), right - x),
                (mean(patch, (x - RING / 2, top - RING), (x + RING / 2, top)), y - top + 1),
                (mean(patch, (x - RING / 2, bottom), (x + RING / 2, bottom + RING)), bottom - y),
            ];
            filled.put_pixel(x as u32, y as u32, blended(&sides));
        }
    }
    filled
}

/// The mean colour of a rectangle of pixels, as far as it lies in the patch; `None` where it does not.
fn mean(patch: &RgbImage, (left, top): (i64, i64), (right, bottom): (i64, i64)) -> Option<[f64; 3]> {
    let columns = left.max(0)..right.min(i64::from(patch.width()));
    let rows = top.max(0)..bottom.min(i64::from(patch.height()));
    mean_of(rows.flat_map(|y| columns.clone().map(move |x| *patch.get_pixel(x as u32, y as u32))))
}

fn mean_of(pixels: impl Iterator<Item = Rgb<u8>>) -> Option<[f64; 3]> {
    let (mut sum, mut count) = ([0.0; 3], 0.0);
    for Rgb(pixel) in pixels {
        (0..3).for_each(|channel| sum[channel] += f64::from(pixel[channel]));
        count += 1.0;
    }
    (count > 0.0).then(|| sum.map(|value| value / count))
}

/// The mean of the colours that there are, over their distances; grey without any.
fn blended(sides: &[(Option<[f64; 3]>, i64)]) -> Rgb<u8> {
    let (mut sum, mut weights) = ([0.0; 3], 0.0);
    for (color, distance) in sides.iter().filter_map(|(color, distance)| Some((color.as_ref()?, distance))) {
        let weight = 1.0 / *distance as f64;
        (0..3).for_each(|channel| sum[channel] += weight * color[channel]);
        weights += weight;
    }
    if weights > 0.0 { Rgb(sum.map(|value| (value / weights).round() as u8)) } else { Rgb([128; 3]) }
}

/// The patch with the mean colour of its surroundings all around its object.
fn without_surroundings(patch: &RgbImage, object: Rect) -> RgbImage {
    let (left, top, right, bottom) = hidden_part(patch, object, 0.0);
    let is_object =
        |x: u32, y: u32| (left..right).contains(&i64::from(x)) && (top..bottom).contains(&i64::from(y));
    let around = patch.enumerate_pixels().filter(|(x, y, _)| !is_object(*x, *y)).map(|(.., pixel)| *pixel);
    let Some(color) = mean_of(around) else { return patch.clone() };
    let plain = Rgb(color.map(|value| value.round() as u8));
    RgbImage::from_fn(patch.width(), patch.height(), |x, y| {
        if is_object(x, y) { *patch.get_pixel(x, y) } else { plain }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: Rect = Rect::new(20.0, 24.0, 40.0, 44.0);

    /// Light from left to right, with a dark object.
    fn patch() -> RgbImage {
        RgbImage::from_fn(64, 64, |x, y| {
            let inside = (20..40).contains(&x) && (24..44).contains(&y);
            Rgb(if inside { [10, 10, 60] } else { [100 + x as u8, 150, 200] })
        })
    }

    #[test]
    fn a_hidden_object_leaves_no_trace_and_its_surroundings_as_they_are() {
        let hidden = without_object(&patch(), OBJECT);
        let plain = RgbImage::from_fn(64, 64, |x, _| Rgb([100 + x as u8, 150, 200]));
        for (x, y, pixel) in hidden.enumerate_pixels() {
            let wanted = plain.get_pixel(x, y);
            let off = pixel.0.iter().zip(wanted.0).map(|(a, b)| a.abs_diff(b)).max().unwrap();
            assert!(off <= 8, "({x}, {y}): {pixel:?}, not {wanted:?}");
            let is_far = !(17..43).contains(&x) || !(21..47).contains(&y);
            assert!(!is_far || off == 0);
        }
    }

    #[test]
    fn hidden_surroundings_are_plain_and_the_object_as_it_is() {
        let hidden = without_surroundings(&patch(), OBJECT);
        assert_eq!(hidden.get_pixel(30, 30).0, [10, 10, 60]);
        let corner = hidden.get_pixel(0, 0);
        assert_eq!((corner, corner.0[1]), (hidden.get_pixel(63, 50), 150));
    }

    #[test]
    fn objects_without_surroundings_and_outside_of_the_patch_do_no_harm() {
        let whole = Rect::new(-5.0, -5.0, 90.0, 90.0);
        assert!(without_object(&patch(), whole).pixels().all(|pixel| pixel.0 == [128; 3]));
        assert_eq!(without_surroundings(&patch(), whole), patch());
        let outside = Rect::new(100.0, 100.0, 120.0, 120.0);
        assert_eq!(without_object(&patch(), outside), patch());
    }

    #[test]
    fn findings_follow_from_the_shares() {
        let finding = |whole, without, alone| ShortcutFinding::of(whole, without, alone);
        assert_eq!(finding(1.0, 0.1, 0.9), ShortcutFinding::Object);
        assert_eq!(finding(1.0, 0.5, 0.9), ShortcutFinding::LeansOnSurroundings);
        assert_eq!(finding(0.9, 0.1, 0.4), ShortcutFinding::NeedsSurroundings);
        assert_eq!(finding(0.4, 0.0, 0.4), ShortcutFinding::NotRecognised);
    }

    #[test]
    fn choices_are_even() {
        assert_eq!(evenly(3, 10).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(evenly(10, 3).collect::<Vec<_>>(), [0, 3, 6]);
        assert_eq!(evenly(0, 3).count(), 0);
    }
}
