//! How large the usual round things on an image are, from their outlines alone.

mod outlines;
mod separate;

use crate::{DataError, ImageSource};
use image::GrayImage;
use image::imageops::{self, FilterType};
use outlines::{Outlines, Squares};
use rayon::prelude::*;
use separate::middle_size;
use std::borrow::Cow;

/// The longer side to which images are shrunk first, in pixels.
const WORK_SIDE: u32 = 1600;
/// The longer side at which things that lie apart are measured, in pixels.
const SEPARATE_SIDE: u32 = 800;
/// The smallest radius that is tried, in pixels of the shrunk image.
const LEAST_RADIUS: f64 = 6.0;
/// The radius, in pixels, at which outlines are seen best: smaller ones are blurred, and of larger ones every grain and fold
/// within is an outline, too. From twice of it on images are halved.
const BEST_RADIUS: f64 = 12.0;
/// The largest radius, as a fraction of the image's shorter side.
const LARGEST_RADIUS: f64 = 0.2;
/// Each radius over the one before, and where the best one is known.
const STEPS: [f64; 2] = [1.06, 1.04];
/// How many times more crowded than chance votes have to be.
const LEAST_CROWDING: f64 = 2.0;
/// How many times more crowded than at the smaller radius where they are least so: outlines of anything crowd a little.
const LEAST_PROMINENCE: f64 = 2.0;
/// Around the best radius, the smallest and the largest over it that are looked at once more.
const AROUND: [f64; 2] = [0.6, 1.7];
/// Radii at which votes are at least so crowded, over the most crowded, are nearly as good.
const NEARLY_BEST: f64 = 0.6;
/// The least roundness of votes where things are taken for round. On chula-rbc fields of elliptocytes have 0.5 to 0.6, others 0.6 to 1.
const LEAST_ROUNDNESS: f64 = 0.65;
/// To how many circles all outlines come where round votes are of more than a single cell, of which the lobes of the nucleus are
/// measured.
const SEVERAL_CIRCLES: f64 = 5.0;
/// And where they are of many cells: most of BCCD's fields have 20 to 30, what is cut out around one white cell 16 at most.
const MANY_CIRCLES: f64 = 16.0;

/// The usual size of the cells on an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellSize {
    /// Their diameter in pixels of the image.
    pub diameter: f64,
    /// Whether it is that of several round ones, or of many that lie apart. Otherwise it is a guess.
    pub is_sure: bool,
    /// Whether outlines are of many cells, round or not.
    pub are_many: bool,
}

impl ImageSource {
    /// The size that most round, dark things on a bright ground have: on a blood smear, that of the red cells. `None` where no
    /// size stands out, or the image is too small.
    ///
    /// Every place on an outline votes for the centres that lie a radius further to the dark side. At the right radius the
    /// votes of one cell meet; how crowded they are, over chance and over the votes to the bright side, decides. The pale
    /// middle of a red cell is bright and votes the other way. Where no radius stands out, or votes come from two sides, as with
    /// sickle cells or elliptocytes, the middle one of the sizes of separate dark things counts, if there are enough: each as a circle
    /// between its length and width.
    ///
    /// # Errors
    /// Those of decoding.
    pub fn usual_cell_size(&self) -> Result<Option<CellSize>, DataError> {
        let reduced = self.reduced(WORK_SIDE)?;
        let scale = f64::from(reduced.width()) / f64::from(self.size().width);
        // Both dyes and haemoglobin are dark in green.
        let mut green = GrayImage::new(reduced.width(), reduced.height());
        for (value, pixel) in green.iter_mut().zip(reduced.pixels()) {
            *value = pixel.0[1];
        }
        Ok(usual_size(&green).map(|size| CellSize { diameter: size.diameter / scale, ..size }))
    }
}

/// The same in pixels of an image that was shrunk.
fn usual_size(image: &GrayImage) -> Option<CellSize> {
    let voted = outstanding_radius(image).map(|radius| measured_again(image, radius));
    let of_votes = |voted: &Measured, is_sure| CellSize {
        diameter: 2.0 * voted.radius,
        is_sure,
        are_many: voted.circles >= MANY_CIRCLES,
    };
    if let Some(voted) = voted.as_ref().filter(|voted| voted.roundness >= LEAST_ROUNDNESS) {
        return Some(of_votes(voted, voted.circles >= SEVERAL_CIRCLES));
    }
    let scale = (f64::from(SEPARATE_SIDE) / f64::from(image.width().max(image.height()))).min(1.0);
    let apart = middle_size(&shrunk(image, scale)).map(|diameter| CellSize {
        diameter: diameter / scale,
        is_sure: true,
        are_many: true,
    });
    apart.or(voted.map(|voted| of_votes(&voted, false)))
}

/// The radius at which votes are most crowded, if that is by much; every octave of radii on an image of its own, where they are
/// about the best radius.
fn outstanding_radius(image: &GrayImage) -> Option<f64> {
    let largest = LARGEST_RADIUS * f64::from(image.width().min(image.height()));
    let radii = radii(LEAST_RADIUS, largest, STEPS[0]);
    let octaves: Vec<&[f64]> = radii.chunk_by(|one, next| halvings(*one) == halvings(*next)).collect();
    let of_octave = |radii: &[f64]| crowdings(image, 0.5_f64.powi(halvings(radii[0])), radii).1;
    let all: Vec<(f64, f64)> = octaves.into_par_iter().flat_map_iter(of_octave).collect();
    let (mut best, mut least) = (None::<(f64, f64)>, f64::INFINITY);
    for (radius, crowding) in all {
        least = least.min(crowding);
        let stands_out = crowding >= LEAST_CROWDING && crowding >= LEAST_PROMINENCE * least;
        if stands_out && best.is_none_or(|(_, most)| crowding > most) {
            best = Some((radius, crowding));
        }
    }
    best.map(|(radius, _)| radius)
}

/// How many times an image is halved before outlines of this radius are looked for.
fn halvings(radius: f64) -> i32 {
    (radius / BEST_RADIUS).log2().floor().max(0.0) as i32
}

/// The radii from one to the other, each so many times the one before.
fn radii(smallest: f64, largest: f64, step: f64) -> Vec<f64> {
    std::iter::successors(Some(smallest), |radius| Some(radius * step))
        .take_while(|&radius| radius <= largest)
        .collect()
}

/// The outlines on an image that is shrunk once more, and how crowded votes are there at each of the radii, which are in pixels of the
/// image before that.
fn crowdings(image: &GrayImage, scale: f64, radii: &[f64]) -> (Outlines, Vec<(f64, f64)>) {
    let outlines = Outlines::of(&shrunk(image, scale));
    let crowding =
        |squares: &mut Squares, &radius: &f64| (radius, outlines.crowding(radius * scale, squares));
    let crowdings = radii.par_iter().map_init(Squares::default, crowding).collect();
    (outlines, crowdings)
}

/// The usual radius, the roundness of votes there, and to how many circles of it all outlines come.
struct Measured {
    radius: f64,
    roundness: f64,
    circles: f64,
}

/// A radius measured once more at the scale where it is best seen, since octaves of radii are not quite comparable: the
/// middle one of those that are nearly as good.
fn measured_again(image: &GrayImage, radius: f64) -> Measured {
    let scale = (BEST_RADIUS / radius).min(1.0);
    let [smallest, largest] = AROUND.map(|factor| factor * radius);
    let (outlines, crowdings) = crowdings(image, scale, &radii(smallest, largest, STEPS[1]));
    let most = crowdings.iter().map(|(_, crowding)| *crowding).fold(0.0, f64::max);
    let (mut sum, mut weights) = (0.0, 0.0);
    for (radius, crowding) in crowdings {
        let weight = (crowding - NEARLY_BEST * most).max(0.0);
        sum += weight * radius.ln();
        weights += weight;
    }
    let radius = if weights > 0.0 { f64::exp(sum / weights) } else { radius };
    let (roundness, circles) = (outlines.roundness(radius * scale), outlines.circles(radius * scale));
    Measured { radius, roundness, circles }
}

/// The image itself where it is not to be smaller.
fn shrunk(image: &GrayImage, scale: f64) -> Cow<'_, GrayImage> {
    if scale >= 1.0 {
        return Cow::Borrowed(image);
    }
    let [width, height] =
        [image.width(), image.height()].map(|side| (f64::from(side) * scale).round().max(1.0) as u32);
    Cow::Owned(imageops::resize(image, width, height, FilterType::Triangle))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Luma;

    /// Dark discs with bright middles on a bright ground, in a shaken grid.
    fn discs(size: u32, radius: f64) -> GrayImage {
        let pitch = 2.6 * radius;
        GrayImage::from_fn(size, size, |x, y| {
            let [x, y] = [x, y].map(|place| f64::from(place) + 0.5);
            let row = (y / pitch).floor();
            let shake = |number: f64| (number * 12.9898).sin() * 0.2 * radius;
            let column = (x / pitch).floor();
            let centre =
                [(column + 0.5) * pitch + shake(row + 3.0 * column), (row + 0.5) * pitch + shake(7.0 * row)];
            match (x - centre[0]).hypot(y - centre[1]) / radius {
                0.4..1.0 => Luma([110]),
                _ => Luma([215]),
            }
        })
    }

    #[test]
    fn the_diameter_of_discs_is_found_at_any_size() {
        for (size, radius) in [(400, 9.0), (700, 30.0), (800, 45.0), (800, 75.0), (1600, 9.0), (1600, 250.0)]
        {
            let found = usual_size(&discs(size, radius)).unwrap().diameter;
            assert!((found / (2.0 * radius) - 1.0).abs() < 0.08, "{found} for {}", 2.0 * radius);
        }
    }

    fn noisy(mut image: GrayImage) -> GrayImage {
        let mut state = 1_u32;
        for value in image.iter_mut() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 26) as i32 - 32;
            *value = (i32::from(*value) + noise).clamp(0, 255) as u8;
        }
        image
    }

    #[test]
    fn the_noise_of_a_camera_does_not_hide_the_outlines() {
        let found = usual_size(&noisy(discs(800, 120.0))).unwrap().diameter;
        assert!((found / 240.0 - 1.0).abs() < 0.08, "{found}");
    }

    #[test]
    fn grains_that_are_as_large_as_small_cells_do_not_hide_the_outlines() {
        let image = noisy(discs(400, 30.0));
        for side in [400, 640, 1000, 1600] {
            let enlarged = imageops::resize(&image, side, side, FilterType::CatmullRom);
            let (found, expected) = (usual_size(&enlarged).unwrap().diameter, 60.0 * f64::from(side) / 400.0);
            assert!((found / expected - 1.0).abs() < 0.08, "{found} for {expected}");
        }
    }

    #[test]
    fn long_cells_have_the_size_of_round_ones_of_their_area() {
        for short in [9.0, 14.0] {
            let pitch = 6.0 * short;
            let long_cells = GrayImage::from_fn(800, 600, |x, y| {
                let [x, y] = [x, y].map(|place| f64::from(place) + 0.5);
                let (column, row) = ((x / pitch).floor(), (y / pitch).floor());
                let (sin, cos) = (3.7 * column + 5.3 * row).sin_cos();
                let (x, y) = (x - (column + 0.5) * pitch, y - (row + 0.5) * pitch);
                let (along, across) = ((x * cos + y * sin) / (2.2 * short), (y * cos - x * sin) / short);
                if along.hypot(across) < 1.0 { Luma([110]) } else { Luma([215]) }
            });
            let (found, expected) = (usual_size(&long_cells).unwrap().diameter, 2.0 * short * 2.2_f64.sqrt());
            assert!((found / expected - 1.0).abs() < 0.2, "{found} for {expected}");
        }
    }

    #[test]
    fn nothing_is_said_of_flat_images_stripes_and_single_pixels() {
        let stripes =
            GrayImage::from_fn(500, 500, |x, _| if x / 40 % 2 == 0 { Luma([90]) } else { Luma([200]) });
        for image in [GrayImage::new(300, 300), GrayImage::new(1, 1), GrayImage::new(3, 800), stripes] {
            assert_eq!(usual_size(&image), None);
        }
    }
}
