//! The size of dark things that lie apart.

use crate::histogram::{histogram, otsu};
use image::GrayImage;
use locam_core::median;

/// Things smaller than a circle of this radius, in pixels, don't count.
const LEAST_RADIUS: f64 = 6.0;
/// How many things there must be.
const LEAST_THINGS: usize = 20;

/// The middle one of the sizes of dark things that touch neither each other nor the image's border; none where there are few.
pub(super) fn middle_size(image: &GrayImage) -> Option<f64> {
    let (width, height) = image.dimensions();
    let threshold = otsu(&histogram(image.pixels().map(|pixel| pixel.0[0])));
    let mut is_open: Vec<bool> = image.pixels().map(|pixel| pixel.0[0] <= threshold).collect();
    let least_area = (std::f64::consts::PI * LEAST_RADIUS * LEAST_RADIUS) as usize;
    let (mut sizes, mut reached) = (Vec::new(), Vec::new());
    for first in 0..is_open.len() {
        if !is_open[first] {
            continue;
        }
        reached.push(first);
        let mut area = 0;
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
