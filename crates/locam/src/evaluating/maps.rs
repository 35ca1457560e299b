//! The figures of maps that need no threshold.

use super::{MapFigures, SEED};
use crate::assessing::{Assessed, truths_of};
use locam_core::{ClassId, Mask, Shape};
use locam_locate::{
    BoxOverlaps, PixelCounts, Resamples, Truth, max_box_accuracy, max_box_accuracy_v2,
    pixel_average_precision,
};
use locam_report::ScoreRange;
use rayon::prelude::*;

/// Thresholds that boxes are drawn at, evenly over the scores of all maps.
const THRESHOLDS: u32 = 100;

/// Over the images with objects that all have boxes or masks; `None` where there is no such image.
pub(super) fn map_figures(id: ClassId, assessed: &[Assessed]) -> Option<MapFigures> {
    let images: Vec<(&Assessed, Vec<Truth>)> = assessed
        .iter()
        .map(|one| (one, truths_of(id, &one.truths)))
        .filter(|(_, truths)| !truths.is_empty() && truths.iter().all(|truth| truth.shape.rect().is_some()))
        .collect();
    if images.is_empty() {
        return None;
    }
    let range = ScoreRange::of(images.iter().map(|(one, _)| &one.located.margins[id.0]));
    let thresholds: Vec<f64> = (0..THRESHOLDS)
        .map(|step| range.low + (range.high - range.low) * f64::from(step) / f64::from(THRESHOLDS))
        .collect();
    let overlaps: Vec<BoxOverlaps> = images
        .par_iter()
        .map(|(one, truths)| {
            BoxOverlaps::new(&one.located.margins[id.0], one.located.size, truths, &thresholds)
        })
        .collect();
    let pixels: Vec<PixelCounts> = images
        .par_iter()
        .filter_map(|(one, truths)| {
            let masks: Vec<&Mask> = truths.iter().map(mask).collect::<Option<_>>()?;
            let place = |score: f32| range.position(f64::from(score));
            Some(PixelCounts::of_image(&one.located.margins[id.0], one.located.size, &masks, place))
        })
        .collect();
    let resamples = Resamples::new(overlaps.len(), Resamples::USUAL, SEED);
    let of_pixels = Resamples::new(pixels.len(), Resamples::USUAL, SEED);
    Some(MapFigures {
        max_box_accuracy: resamples.estimate(|times| max_box_accuracy(&overlaps, times)),
        max_box_accuracy_v2: resamples.estimate(|times| max_box_accuracy_v2(&overlaps, times)),
        pixel_average_precision: of_pixels.estimate(|times| pixel_average_precision(&pixels, times)),
    })
}

fn mask(truth: &Truth) -> Option<&Mask> {
    match &truth.shape {
        Shape::Mask(mask) => Some(mask),
        Shape::Box(_) | Shape::Point(_) => None,
    }
}
