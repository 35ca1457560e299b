//! How large the usual round things on an image are, from their outlines alone.

use crate::{DataError, ImageSource};
use image::RgbImage;
use image::imageops::blur;
use locam_core::{Size, median};
use std::f64::consts::FRAC_1_SQRT_2;

/// The longer side to which images are shrunk first, in pixels.
const WORK_SIDE: u32 = 800;
/// The smallest radius that is tried on the shrunk image, in pixels.
const LEAST_RADIUS: f64 = 6.0;
/// The largest, as a fraction of the shrunk image's shorter side.
const LARGEST_RADIUS: f64 = 0.2;
/// Each radius over the one before.
const STEP: f64 = 1.06;
/// Side of the squares in which votes for a centre are counted, over the radius: cells are not quite round.
const SQUARE: f64 = 0.2;
/// Deviation of the Gaussian that the shrunk image is smoothed with, in its pixels: noise of a camera makes edges that drown the
/// outlines.
const SMOOTHING: f32 = 1.0;
/// Edges weaker than this fraction of the strong ones (the 99th percentile) don't vote.
const LEAST_EDGE: f64 = 0.3;
/// How many times more crowded than chance votes have to be.
const LEAST_CROWDING: f64 = 4.0;
/// How many times more crowded than at the smallest radius. There every outline crowds a little, and those of long cells
/// nowhere much more: on the fields of long cells of chula-rbc up to 1.8 times, on others from 2 to 150 times.
const LEAST_PROMINENCE: f64 = 2.0;
/// Separate things whose size is measured by itself where no radius stands out.
const LEAST_THINGS: usize = 20;

/// A place on an outline, in pixels, and the unit vector to the dark side.
struct Edge {
    x: f64,
    y: f64,
    inward: [f64; 2],
}

impl ImageSource {
    /// The diameter that most round, dark things on a bright ground have, in pixels of the image: on a blood smear, that of
    /// the red cells. `None` where no size stands out, or the image is too small.
    ///
    /// Every place on an outline votes for the centres that lie a radius further to the dark side. At the right radius the
    /// votes of one cell meet; how crowded they are, over chance and over the votes to the bright side, decides. The pale
    /// middle of a red cell is bright and votes the other way. Where no radius stands out, as with sickle cells or
    /// elliptocytes, the middle one of the sizes of separate dark things counts: each as a circle between its length and width.
    ///
    /// # Errors
    /// Those of decoding.
    pub fn usual_cell_diameter(&self) -> Result<Option<f64>, DataError> {
        let reduced = self.reduced(WORK_SIDE)?;
        let scale = f64::from(reduced.width()) / f64::from(self.size().width);
        Ok(usual_diameter(&reduced).map(|diameter| diameter / scale))
    }
}

/// The same in pixels of an image that was shrunk.
fn usual_diameter(image: &RgbImage) -> Option<f64> {
    let edges = edges(image);
    let size = Size::new(image.width(), image.height());
    let largest = LARGEST_RADIUS * f64::from(size.width.min(size.height));
    let crowdings: Vec<(f64, f64)> = std::iter::successors(Some(LEAST_RADIUS), |radius| Some(radius * STEP))
        .take_while(|&radius| radius <= largest)
        .map(|radius| (radius, crowding(&edges, size, radius) - crowding(&edges, size, -radius)))
        .collect();
    let &(_, at_first) = crowdings.first()?;
    let &(radius, crowding) = crowdings.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let stands_out = crowding >= LEAST_CROWDING && crowding >= LEAST_PROMINENCE * at_first;
    if stands_out { Some(2.0 * radius) } else { middle_size(image) }
}

/// The middle one of the sizes of dark things that touch neither each other nor the image's border; none where there are few.
fn middle_size(image: &RgbImage) -> Option<f64> {
    let (width, height) = image.dimensions();
    let threshold = otsu(image);
    let mut is_open: Vec<bool> = image.pixels().map(|pixel| pixel.0[1] <= threshold).collect();
    let least_area = (std::f64::consts::PI * LEAST_RADIUS * LEAST_RADIUS) as usize;
    let mut sizes = Vec::new();
    for first in 0..is_open.len() {
        let (mut area, mut reached) = (0, vec![first]);
        let (mut left, mut right, mut top, mut bottom) = (width, 0, height, 0);
        while let Some(place) = reached.pop() {
            if !std::mem::take(&mut is_open[place]) {
                continue;
            }
            let (x, y) = (place as u32 % width, place as u32 / width);
            area += 1;
            (left, right, top, bottom) = (left.min(x), right.max(x), top.min(y), bottom.max(y));
            // A step over the border leads elsewhere on it, and what touches it is left out.
            reached.extend([
                place.saturating_sub(1),
                (place + 1).min(is_open.len() - 1),
                place.saturating_sub(width as usize),
                (place + width as usize).min(is_open.len() - 1),
            ]);
        }
        if area >= least_area && left > 0 && top > 0 && right + 1 < width && bottom + 1 < height {
            sizes.push((f64::from(right + 1 - left) * f64::from(bottom + 1 - top)).sqrt());
        }
    }
    if sizes.len() < LEAST_THINGS { None } else { median(sizes) }
}

/// The value of the green channel up to which pixels are dark: both sides are as alike in themselves as can be (Otsu, 1979).
fn otsu(image: &RgbImage) -> u8 {
    let mut counts = [0.0_f64; 256];
    image.pixels().for_each(|pixel| counts[usize::from(pixel.0[1])] += 1.0);
    let count: f64 = counts.iter().sum();
    let total: f64 = counts.iter().enumerate().map(|(value, count)| value as f64 * count).sum();
    let (mut dark, mut sum, mut best) = (0.0, 0.0, (0.0, 0));
    for (value, counted) in (0..=u8::MAX).zip(counts) {
        dark += counted;
        sum += f64::from(value) * counted;
        let between = (total * dark / count - sum).powi(2) / (dark * (count - dark));
        if between > best.0 {
            best = (between, value);
        }
    }
    best.1
}

/// How many more pairs of votes meet in a square than chance would bring together; negative radii vote to the bright side.
fn crowding(edges: &[Edge], size: Size, radius: f64) -> f64 {
    let square = SQUARE * radius.abs();
    let columns = (f64::from(size.width) / square).ceil() as usize;
    let rows = (f64::from(size.height) / square).ceil() as usize;
    let mut votes = vec![0_u32; columns * rows];
    for edge in edges {
        let x = ((edge.x + radius * edge.inward[0]) / square).floor();
        let y = ((edge.y + radius * edge.inward[1]) / square).floor();
        if x >= 0.0 && y >= 0.0 && (x as usize) < columns && (y as usize) < rows {
            votes[y as usize * columns + x as usize] += 1;
        }
    }
    let pairs: f64 = votes.iter().map(|&count| f64::from(count) * (f64::from(count) - 1.0)).sum();
    let count = edges.len() as f64;
    pairs * votes.len() as f64 / (count * (count - 1.0)).max(1.0)
}

/// The strong edges of the green channel, in which both dyes and haemoglobin are dark, thinned to lines.
fn edges(image: &RgbImage) -> Vec<Edge> {
    let [width, height] = [image.width(), image.height()].map(|side| side as usize);
    let gradients = gradients(&blur(image, SMOOTHING));
    let strength = |x: usize, y: usize| {
        let [dx, dy] = gradients[y * width + x];
        dx.hypot(dy)
    };
    let mut strengths: Vec<f64> = gradients.iter().map(|[dx, dy]| dx.hypot(*dy)).collect();
    let place = strengths.len().saturating_sub(1) * 99 / 100;
    let least = LEAST_EDGE * *strengths.select_nth_unstable_by(place, f64::total_cmp).1;
    let mut edges = Vec::new();
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let here = strength(x, y);
            if here <= least.max(1.0) {
                continue;
            }
            let inward = gradients[y * width + x].map(|part| -part / here);
            let step = inward.map(|part| (part / FRAC_1_SQRT_2).trunc().clamp(-1.0, 1.0) as isize);
            let at = |sign: isize| {
                strength(x.wrapping_add_signed(sign * step[0]), y.wrapping_add_signed(sign * step[1]))
            };
            if here > at(-1) && here >= at(1) {
                edges.push(Edge { x: x as f64 + 0.5, y: y as f64 + 0.5, inward });
            }
        }
    }
    edges
}

/// Sobel's derivatives of the green channel along x and y, by rows; zero at the border.
fn gradients(image: &RgbImage) -> Vec<[f64; 2]> {
    let (width, height) = image.dimensions();
    let green = |x: u32, y: u32| f64::from(image.get_pixel(x, y).0[1]);
    let mut gradients = vec![[0.0; 2]; (width * height) as usize];
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let column = |x: u32| green(x, y - 1) + 2.0 * green(x, y) + green(x, y + 1);
            let row = |y: u32| green(x - 1, y) + 2.0 * green(x, y) + green(x + 1, y);
            gradients[(y * width + x) as usize] = [column(x + 1) - column(x - 1), row(y + 1) - row(y - 1)];
        }
    }
    gradients
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    /// Dark discs with bright middles on a bright ground, in a shaken grid.
    fn discs(size: u32, radius: f64) -> RgbImage {
        let pitch = 2.6 * radius;
        RgbImage::from_fn(size, size, |x, y| {
            let [x, y] = [x, y].map(|place| f64::from(place) + 0.5);
            let row = (y / pitch).floor();
            let shake = |number: f64| (number * 12.9898).sin() * 0.2 * radius;
            let column = (x / pitch).floor();
            let centre =
                [(column + 0.5) * pitch + shake(row + 3.0 * column), (row + 0.5) * pitch + shake(7.0 * row)];
            match (x - centre[0]).hypot(y - centre[1]) / radius {
                0.4..1.0 => Rgb([180, 110, 120]),
                _ => Rgb([220, 215, 210]),
            }
        })
    }

    #[test]
    fn the_diameter_of_discs_is_found_at_any_size() {
        for (size, radius) in [(400, 9.0), (700, 30.0), (800, 45.0), (800, 75.0)] {
            let found = usual_diameter(&discs(size, radius)).unwrap();
            assert!((found / (2.0 * radius) - 1.0).abs() < 0.08, "{found} for {}", 2.0 * radius);
        }
    }

    #[test]
    fn the_noise_of_a_camera_does_not_hide_the_outlines() {
        let mut image = discs(800, 120.0);
        let mut state = 1_u32;
        for value in image.iter_mut() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 26) as i32 - 32;
            *value = (i32::from(*value) + noise).clamp(0, 255) as u8;
        }
        let found = usual_diameter(&image).unwrap();
        assert!((found / 240.0 - 1.0).abs() < 0.08, "{found}");
    }

    #[test]
    fn long_cells_have_the_size_of_round_ones_of_their_area() {
        for short in [9.0, 14.0] {
            let pitch = 6.0 * short;
            let long_cells = RgbImage::from_fn(800, 600, |x, y| {
                let [x, y] = [x, y].map(|place| f64::from(place) + 0.5);
                let (column, row) = ((x / pitch).floor(), (y / pitch).floor());
                let (sin, cos) = (3.7 * column + 5.3 * row).sin_cos();
                let (x, y) = (x - (column + 0.5) * pitch, y - (row + 0.5) * pitch);
                let (along, across) = ((x * cos + y * sin) / (2.2 * short), (y * cos - x * sin) / short);
                if along.hypot(across) < 1.0 { Rgb([180, 110, 120]) } else { Rgb([220, 215, 210]) }
            });
            let (found, expected) = (usual_diameter(&long_cells).unwrap(), 2.0 * short * 2.2_f64.sqrt());
            assert!((found / expected - 1.0).abs() < 0.2, "{found} for {expected}");
        }
    }

    #[test]
    fn nothing_is_said_of_flat_images_stripes_and_single_pixels() {
        let stripes =
            RgbImage::from_fn(500, 500, |x, _| if x / 40 % 2 == 0 { Rgb([90; 3]) } else { Rgb([200; 3]) });
        for image in [RgbImage::new(300, 300), RgbImage::new(1, 1), RgbImage::new(3, 800), stripes] {
            assert_eq!(usual_diameter(&image), None);
        }
    }
}
