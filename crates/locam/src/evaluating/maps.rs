//! The figures of maps that need no threshold.

use super::{MapFigures, SEED};
use crate::assessing::{Assessed, truths_of};
use locam_core::ClassId;
use locam_locate::{BoxOverlaps, Resamples, Truth, TruthShape, max_box_accuracy, max_box_accuracy_v2};
use locam_report::ScoreRange;
use rayon::prelude::*;

/// Thresholds that boxes are drawn at, evenly over the scores of all maps.
const THRESHOLDS: u32 = 100;

/// Over the images with objects that all have boxes; `None` where there is no such image.
pub(super) fn map_figures(id: ClassId, assessed: &[Assessed]) -> Option<MapFigures> {
    let images: Vec<(&Assessed, Vec<Truth>)> = assessed
        .iter()
        .map(|one| (one, truths_of(id, &one.truths)))
        .filter(|(_, truths)| !truths.is_empty() && truths.iter().all(is_boxed))
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
    let resamples = Resamples::new(overlaps.len(), Resamples::USUAL, SEED);
    Some(MapFigures {
        max_box_accuracy: resamples.estimate(|times| max_box_accuracy(&overlaps, times)),
        max_box_accuracy_v2: resamples.estimate(|times| max_box_accuracy_v2(&overlaps, times)),
    })
}

fn is_boxed(truth: &Truth) -> bool {
    matches!(truth.shape, TruthShape::Box(_))
}
