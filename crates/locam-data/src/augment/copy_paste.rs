//! Crowds of small objects of other classes: a sought object is told from many smaller ones together, and found beside them.

use super::Change;
use super::draw::Draw;
use super::geometry::sample;
use crate::histogram::{histogram, quantile};
use crate::{Patch, View, read_rgb, resize};
use image::{RgbImage, imageops};
use locam_core::{ClassId, Point, Rect, Size};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The most objects of a class that are kept, evenly from all there are.
const MOST: usize = 256;
/// How much of its surroundings an object is cut out with, on each side, as a part of its size.
const RIM: f64 = 0.1;
/// The part of an object, from its rim inwards, over which it fades.
const FADE: f32 = 0.25;
/// Of the colours on the rim of a cut-out, the one that what lies behind an object is taken to have.
const BEHIND: f64 = 0.7;
/// How likely a crowd is put somewhere on a patch or its surroundings.
const LIKELY: f32 = 0.8;
/// How far a crowd's first object stays from sought ones, as a part of their size: others may touch them.
const CLEAR: f64 = 0.35;
/// The fewest objects of a crowd.
const FEWEST: f32 = 2.0;
/// The most objects of a crowd cover about this much of a sought one.
const COVER: f32 = 0.9;
/// Between two neighbours of a crowd, as a part of the usual size.
const STEPS: [f32; 2] = [0.5, 0.9];
/// The least between any two, as a part of the usual size.
const NEAREST: f32 = 0.4;
/// Places that are tried for each object.
const TRIES: usize = 20;
/// Objects are pasted so many times smaller and larger.
const SCALES: [f32; 2] = [0.8, 1.4];

/// Small objects of classes that are not sought, cut out of training images to be pasted into patches (after Ghiasi et al.,
/// "Simple Copy-Paste is a strong data augmentation method", 2021).
#[derive(Clone, Debug)]
pub struct SmallObjects {
    kinds: Vec<Kind>,
    /// Around each image's sought objects, what no crowd begins in.
    kept_clear: BTreeMap<PathBuf, Vec<Rect>>,
}

/// Small objects of one class.
#[derive(Clone, Debug)]
struct Kind {
    /// Which part of the light passes through each, from 0 to 255 in each channel; all of it around the object.
    passing: Vec<View<'static>>,
    /// The mean of their sizes, in pixels of patches.
    usual_size: f32,
    /// The most that are side by side.
    most: f32,
}

/// A box of a class in an image.
type Boxed = (PathBuf, ClassId, Rect);

impl SmallObjects {
    /// Cuts objects out of their images, by their boxes, and scales them as patches are; `boxes` are in the order of images.
    /// Those at a border and those of images that can't be read are left out. `None` where none remains.
    ///
    /// `sought` are the boxes of what is sought on each training image, `size` is its usual size.
    pub fn open(boxes: &[Boxed], scale: f64, sought: &[(PathBuf, Rect)], size: f64) -> Option<Self> {
        let kinds: Vec<Kind> = cut_out_of_images(&thinned(boxes), scale)
            .into_values()
            .map(|passing| Kind::new(passing, size * scale))
            .collect();
        let mut kept_clear: BTreeMap<PathBuf, Vec<Rect>> = BTreeMap::new();
        for (path, rect) in sought {
            kept_clear.entry(path.clone()).or_default().push(rect.grown(CLEAR * size));
        }
        (!kinds.is_empty()).then_some(Self { kinds, kept_clear })
    }

    /// Pastes a crowd into some patches that are cut from images, away from what is sought, as light passes through one thing
    /// after another.
    pub(crate) fn paste(&self, view: &mut View<'_>, patch: &Patch, side: usize, key: [u64; 3]) {
        let mut draw = Draw::new(key, Some(Change::CopyPaste));
        let (Some(crop), true) = (patch.crop, draw.chance(LIKELY)) else { return };
        let first = [view.width, view.height].map(|length| draw.between(0.0, length as f32));
        let pixels = f64::from(crop.side) / side as f64;
        let in_image = |first: i64, place: f32, before: usize| {
            first as f64 + pixels * (f64::from(place) - before as f64)
        };
        let place =
            Point::new(in_image(crop.left, first[0], view.left), in_image(crop.top, first[1], view.top));
        if self.kept_clear.get(&patch.path).is_some_and(|rects| rects.iter().any(|rect| rect.contains(place)))
        {
            return;
        }
        let kind = &self.kinds[draw.below(self.kinds.len())];
        for place in kind.places(first, &mut draw) {
            let object = &kind.passing[draw.below(kind.passing.len())];
            let scale = draw.factor(SCALES[0], SCALES[1]);
            paste(view, object, place, scale, draw.between(0.0, std::f32::consts::TAU));
        }
    }
}

impl Kind {
    /// `size` is the usual one of what is sought, in pixels of patches; there is at least one object.
    fn new(passing: Vec<View<'static>>, size: f64) -> Self {
        let sizes = passing.iter().map(|view| ((view.width * view.height) as f32).sqrt());
        let usual_size = sizes.sum::<f32>() / passing.len() as f32;
        let most = COVER * (size as f32 / usual_size).powi(2);
        Self { passing, usual_size, most }
    }

    /// The middles of a crowd's objects: each but the first beside another.
    fn places(&self, first: [f32; 2], draw: &mut Draw) -> Vec<[f32; 2]> {
        let count = draw.between(FEWEST, self.most.max(FEWEST) + 1.0) as usize;
        let mut places = vec![first];
        for _ in 0..TRIES * count {
            if places.len() == count {
                break;
            }
            let [x, y] = places[draw.below(places.len())];
            let (sine, cosine) = draw.between(0.0, std::f32::consts::TAU).sin_cos();
            let step = self.usual_size * draw.between(STEPS[0], STEPS[1]);
            let place = [x + step * cosine, y + step * sine];
            let is_free = |other: &[f32; 2]| distance(*other, place) > NEAREST * self.usual_size;
            if places.iter().all(is_free) {
                places.push(place);
            }
        }
        places
    }
}

fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// At most [`MOST`] boxes of each class, in their order.
fn thinned(boxes: &[Boxed]) -> Vec<&Boxed> {
    let mut counts: BTreeMap<ClassId, usize> = BTreeMap::new();
    for (_, class, _) in boxes {
        *counts.entry(*class).or_default() += 1;
    }
    let mut seen: BTreeMap<ClassId, usize> = BTreeMap::new();
    let is_kept = |(_, class, _): &&Boxed| {
        let number = seen.entry(*class).or_default();
        *number += 1;
        (*number - 1).is_multiple_of(counts[class].div_ceil(MOST))
    };
    boxes.iter().filter(is_kept).collect()
}

/// The objects of each class that can be cut out of their images, each of which is read once.
fn cut_out_of_images(boxes: &[&Boxed], scale: f64) -> BTreeMap<ClassId, Vec<View<'static>>> {
    let of_images: Vec<_> = boxes.chunk_by(|a, b| a.0 == b.0).collect();
    let objects: Vec<_> = of_images
        .par_iter()
        .flat_map_iter(|of_image| {
            // Images that can't be read are told of where their patches are cut.
            let image = read_rgb(&of_image[0].0).ok();
            of_image
                .iter()
                .filter_map(move |(_, class, rect)| Some((*class, cut_out(image.as_ref()?, *rect, scale)?)))
        })
        .collect();
    let mut of_classes: BTreeMap<ClassId, Vec<View<'static>>> = BTreeMap::new();
    for (class, object) in objects {
        of_classes.entry(class).or_default().push(object);
    }
    of_classes
}

/// Which part of the light passes through an object, beside what its rim shows; `None` where the rim crosses the border.
fn cut_out(image: &RgbImage, rect: Rect, scale: f64) -> Option<View<'static>> {
    let rim = RIM * rect.area().sqrt();
    let (left, top) = ((rect.left - rim).floor(), (rect.top - rim).floor());
    let (right, bottom) = ((rect.right + rim).ceil(), (rect.bottom + rim).ceil());
    let is_inside =
        left >= 0.0 && top >= 0.0 && right <= f64::from(image.width()) && bottom <= f64::from(image.height());
    if !is_inside {
        return None;
    }
    let [x, y, width, height] = [left, top, right - left, bottom - top].map(|pixels| pixels as u32);
    let piece = imageops::crop_imm(image, x, y, width, height).to_image();
    let behind = behind(&piece);
    let [width, height] = [width, height].map(|pixels| (f64::from(pixels) * scale).round().max(1.0) as u32);
    let mut piece = resize(&piece, Size::new(width, height)).ok()?;
    let [across, down] = [width, height].map(|length| length as f32 / 2.0);
    for (x, y, pixel) in piece.enumerate_pixels_mut() {
        let from_middle = ((x as f32 + 0.5 - across) / across).hypot((y as f32 + 0.5 - down) / down);
        let share = ((1.0 - from_middle) / FADE).clamp(0.0, 1.0);
        for (value, behind) in pixel.0.iter_mut().zip(behind) {
            let passing = (f32::from(*value) / behind).min(1.0);
            *value = (255.0 * passing.powf(share)).round() as u8;
        }
    }
    let (width, height) = (width as usize, height as usize);
    Some(View { pixels: piece.into_raw().into(), width, height, left: 0, top: 0 })
}

/// The colour behind a cut-out object, at least 1 in each channel.
fn behind(piece: &RgbImage) -> [f32; 3] {
    let (right, bottom) = (piece.width() - 1, piece.height() - 1);
    let on_rim = |&(x, y, _): &(u32, u32, &image::Rgb<u8>)| x == 0 || y == 0 || x == right || y == bottom;
    let rim: Vec<_> = piece.enumerate_pixels().filter(on_rim).map(|(.., pixel)| pixel.0).collect();
    std::array::from_fn(|channel| {
        let values = histogram(rim.iter().map(|pixel| pixel[channel]));
        f32::from(quantile(&values, BEHIND).max(1))
    })
}

/// Lets light pass through an object whose middle lies at a place, scaled and turned.
fn paste(view: &mut View<'_>, object: &View<'_>, place: [f32; 2], scale: f32, angle: f32) {
    let (sine, cosine) = angle.sin_cos();
    let half = [object.width, object.height].map(|length| length as f32 / 2.0);
    let reach = scale * half[0].hypot(half[1]);
    let span = |middle: f32, length: usize| {
        let [from, to] = [middle - reach, middle + reach].map(|end| end.round().clamp(0.0, length as f32));
        from as usize..to as usize
    };
    let (rows, columns) = (span(place[1], view.height), span(place[0], view.width));
    let width = view.width;
    let pixels = view.pixels.to_mut();
    for row in rows {
        for column in columns.clone() {
            let x = (column as f32 + 0.5 - place[0]) / scale;
            let y = (row as f32 + 0.5 - place[1]) / scale;
            let within = [half[0] + cosine * x + sine * y, half[1] + cosine * y - sine * x];
            let is_on = |place: f32, length: usize| (0.0..length as f32).contains(&place);
            if is_on(within[0], object.width) && is_on(within[1], object.height) {
                let passing = sample(object, within);
                for (value, passing) in pixels[3 * (row * width + column)..][..3].iter_mut().zip(passing) {
                    *value = (f32::from(*value) * passing / 255.0).round() as u8;
                }
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;
    use crate::{Crop, Split};
    use image::Rgb;
    use std::path::Path;

    const SIDE: usize = 60;
    const LIGHT: [u8; 3] = [200, 220, 240];
    const SOUGHT: Rect = Rect { left: 40.0, top: 20.0, right: 60.0, bottom: 40.0 };

    /// A field with a dark disc of ten pixels' width around (20, 20), and with another at the border.
    fn field(folder: &Path) -> PathBuf {
        let path = folder.join("field.png");
        let is_dark = |x: u32, y: u32| {
            [(20.0, 20.0), (0.0, 40.0)]
                .iter()
                .any(|&(a, b)| distance([a, b], [x as f32 + 0.5, y as f32 + 0.5]) < 5.0)
        };
        RgbImage::from_fn(80, 60, |x, y| if is_dark(x, y) { Rgb([100, 55, 240]) } else { Rgb(LIGHT) })
            .save(&path)
            .unwrap();
        path
    }

    fn discs(folder: &Path, scale: f64) -> SmallObjects {
        let path = field(folder);
        let boxes = [
            (path.clone(), ClassId(1), Rect::new(15.0, 15.0, 25.0, 25.0)),
            (path, ClassId(1), Rect::new(0.0, 35.0, 5.0, 45.0)),
            (folder.join("missing.png"), ClassId(2), Rect::new(5.0, 5.0, 9.0, 9.0)),
        ];
        let sought = [(boxes[0].0.clone(), SOUGHT)];
        SmallObjects::open(&boxes, scale, &sought, 20.0).unwrap()
    }

    #[test]
    fn objects_are_the_light_that_passes_and_those_that_cannot_be_cut_out_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for (scale, side) in [(1.0, 12), (0.5, 6)] {
            let discs = discs(folder.path(), scale);
            let [discs] = discs.kinds.as_slice() else { panic!("{} kinds", discs.kinds.len()) };
            assert_eq!((discs.passing.len(), discs.usual_size), (1, side as f32));
            assert_eq!(discs.most, 0.9 * (20.0 / 12.0_f32).powi(2));
            let disc = &discs.passing[0];
            let pixel = |x: usize, y: usize| &disc.pixels[3 * (y * side + x)..][..3];
            let middle: Vec<i32> = pixel(side / 2, side / 2).iter().map(|&value| value.into()).collect();
            // 100 of 200, 55 of 220, 240 of 240.
            assert!(
                (middle[0] - 128).abs() <= 2 && (middle[1] - 64).abs() <= 2 && middle[2] == 255,
                "{middle:?}"
            );
            assert_eq!(pixel(0, 0), [255; 3]);
        }
        assert!(SmallObjects::open(&[], 1.0, &[], 20.0).is_none());
    }

    #[test]
    fn many_boxes_of_a_class_are_thinned_evenly() {
        let folder = tempfile::tempdir().unwrap();
        let path = field(folder.path());
        let rect = Rect::new(30.0, 30.0, 34.0, 34.0);
        let boxes = vec![(path.clone(), ClassId(2), rect); 3 * MOST + 1];
        let boxes = [vec![(path, ClassId(0), rect); 7], boxes].concat();
        let found = SmallObjects::open(&boxes, 1.0, &[], 20.0).unwrap();
        let counts: Vec<usize> = found.kinds.iter().map(|kind| kind.passing.len()).collect();
        assert_eq!(counts, [7, (3 * MOST + 1).div_ceil(4)]);
    }

    #[test]
    fn crowds_darken_patches_that_are_cut_from_images() {
        let folder = tempfile::tempdir().unwrap();
        let discs = discs(folder.path(), 1.0);
        let pixels = LIGHT.repeat(80 * 70);
        let mut patch = Patch {
            path: folder.path().join("other.png"),
            crop: Some(Crop { left: 0, top: 0, side: SIDE as u32 }),
            margin: 0,
            class: ClassId(0),
            split: Split::Train,
        };
        let seen = |patch: &Patch, index: u64| {
            let mut view = View { pixels: pixels.as_slice().into(), width: 80, height: 70, left: 9, top: 4 };
            discs.paste(&mut view, patch, SIDE, [1, 2, index]);
            view.pixels.into_owned()
        };
        let mut crowded = 0;
        for index in 0..200 {
            let changed = seen(&patch, index);
            assert_eq!(changed, seen(&patch, index), "the key alone decides");
            assert!(changed.iter().zip(&pixels).all(|(after, before)| after <= before));
            crowded += usize::from(changed != pixels);
        }
        assert!((140..180).contains(&crowded), "{crowded}");
        patch.crop = None;
        assert!((0..50).all(|index| seen(&patch, index) == pixels));
    }

    #[test]
    fn crowds_begin_away_from_what_is_sought() {
        let folder = tempfile::tempdir().unwrap();
        let mut discs = discs(folder.path(), 1.0);
        let path = folder.path().join("field.png");
        // Patches of half the image's scale, ten pixels of the image to the left of it.
        let crop = Some(Crop { left: -10, top: 0, side: 2 * SIDE as u32 });
        let patch = Patch { path: path.clone(), crop, margin: 0, class: ClassId(0), split: Split::Train };
        let white = vec![255; 3 * SIDE * SIDE];
        let seen = |discs: &SmallObjects, index: u64| {
            let mut view = View::of_patch(&white, SIDE);
            discs.paste(&mut view, &patch, SIDE, [1, 2, index]);
            view.pixels.into_owned()
        };
        let clear = discs.kept_clear.remove(&path).unwrap();
        assert_eq!(clear, [Rect::new(33.0, 13.0, 67.0, 47.0)]);
        let everywhere: Vec<Vec<u8>> = (0..400).map(|index| seen(&discs, index)).collect();
        discs.kept_clear.insert(path, clear);
        let left_out = (0..400).filter(|&index| {
            let kept = seen(&discs, index);
            assert!(kept == everywhere[index as usize] || kept == white);
            kept != everywhere[index as usize]
        });
        // 17 of 60 pixels squared, of the four fifths that get a crowd.
        let left_out = left_out.count();
        assert!((14..40).contains(&left_out), "{left_out}");
    }

    #[test]
    fn objects_of_a_crowd_lie_side_by_side_and_cover_about_a_sought_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut kind = discs(folder.path(), 1.0).kinds.remove(0);
        for (most, fewest_seen, most_seen) in [(14.4, 4, 12), (2.6, 2, 3), (0.5, 2, 2)] {
            kind.most = most;
            let mut counts = Vec::new();
            for index in 0..100 {
                let places =
                    kind.places([30.0, 30.0], &mut Draw::new([1, 2, index], Some(Change::CopyPaste)));
                for (i, &place) in places.iter().enumerate().skip(1) {
                    let nearest =
                        places[..i].iter().map(|&other| distance(other, place)).fold(f32::MAX, f32::min);
                    let range = NEAREST * kind.usual_size..=STEPS[1] * kind.usual_size * 1.001;
                    assert!(range.contains(&nearest), "{nearest}");
                }
                counts.push(places.len());
            }
            counts.sort_unstable();
            assert!(counts[0] >= 2 && counts[99] <= (most.ceil() as usize).max(2), "{counts:?}");
            assert!(counts[0] <= fewest_seen && counts[99] >= most_seen, "{counts:?}");
        }
    }

    #[test]
    fn pasted_objects_keep_their_size_and_darken_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let discs = discs(folder.path(), 1.0);
        for (scale, angle) in [(1.0, 0.0), (1.0, 0.7), (2.0, 2.0), (0.8, 4.0)] {
            let pixels = [100; 3].repeat(SIDE * SIDE);
            let mut view = View::of_patch(&pixels, SIDE);
            paste(&mut view, &discs.kinds[0].passing[0], [30.0, 20.0], scale, angle);
            let pixel = |x: usize, y: usize| &view.pixels[3 * (y * SIDE + x)..][..3];
            assert!((47..=53).contains(&pixel(30, 20)[0]) && pixel(30, 20)[2] == 100, "{:?}", pixel(30, 20));
            let dark = view.pixels.chunks(3).filter(|pixel| pixel[0] < 75).count() as f32;
            let expected = std::f32::consts::PI * (5.0 * scale).powi(2);
            assert!((dark / expected - 1.0).abs() < 0.2, "{scale} {angle}: {dark} {expected}");
        }
    }
}
