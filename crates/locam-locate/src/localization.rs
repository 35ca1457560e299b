//! What is asked of maps in weakly supervised localisation, where no threshold is given.
//!
//! All after Choe et al., "Evaluating weakly supervised object localization methods right", 2020. Unlike there, maps are
//! not normalised image by image: their scores compare across images, and one range of thresholds serves all of them.

use crate::Truth;
use crate::components::{Component, components};
use crate::grid::Grid;
use locam_core::{Rect, Region, ScoreMap, Size};

/// Overlaps at which `MaxBoxAccV2` asks; version 1 asks at the middle one alone.
pub const BOX_OVERLAPS: [f64; 3] = [0.3, 0.5, 0.7];

/// How well the boxes of one image agree with its objects, per threshold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BoxOverlaps {
    /// The best overlap (intersection over union) of the largest box with any object: version 1 looks at it.
    pub largest: Vec<f64>,
    /// The best overlap of any box with any object: version 2 looks at it.
    pub any: Vec<f64>,
}

impl BoxOverlaps {
    /// Boxes of the connected parts of a map at or above each threshold, beside the boxes of the objects.
    pub fn new(map: &ScoreMap, image: Size, truths: &[Truth], thresholds: &[f64]) -> Self {
        let boxes: Vec<Rect> = truths.iter().filter_map(|truth| truth.shape.rect()).collect();
        let best = |part: &Component| boxes.iter().map(|rect| part.extent.iou(*rect)).fold(0.0, f64::max);
        let none = vec![0.0; thresholds.len()];
        let mut overlaps = Self { largest: none.clone(), any: none };
        components(&Grid::whole(map, image), thresholds, |threshold, parts| {
            let largest = parts.iter().max_by(|a, b| a.area.total_cmp(&b.area));
            overlaps.largest[threshold] = largest.map_or(0.0, best);
            overlaps.any[threshold] = parts.iter().map(best).fold(0.0, f64::max);
        });
        overlaps
    }
}

/// `MaxBoxAcc`: the share of images whose largest box overlaps an object by at least a half, at the threshold at which
/// this share is highest. `None` without images.
pub fn max_box_accuracy(images: &[BoxOverlaps], times: &[u32]) -> Option<f64> {
    highest_share(images, |image| &image.largest, 0.5, times)
}

/// `MaxBoxAccV2`: as [`max_box_accuracy`] for any box of an image, averaged over overlaps of 0.3, 0.5 and 0.7, each
/// with its own best threshold. `None` without images.
pub fn max_box_accuracy_v2(images: &[BoxOverlaps], times: &[u32]) -> Option<f64> {
    let shares = BOX_OVERLAPS.map(|overlap| highest_share(images, |image| &image.any, overlap, times));
    Some(shares.into_iter().collect::<Option<Vec<f64>>>()?.iter().sum::<f64>() / BOX_OVERLAPS.len() as f64)
}

fn highest_share(
    images: &[BoxOverlaps],
    overlaps: impl Fn(&BoxOverlaps) -> &[f64],
    least: f64,
    times: &[u32],
) -> Option<f64> {
    let all: u32 = times.iter().sum();
    let thresholds = images.first().map_or(0, |image| overlaps(image).len());
    let right = |threshold: usize| -> u32 {
        let reach = images.iter().zip(times).filter(|(image, _)| overlaps(image)[threshold] >= least);
        reach.map(|(_, &times)| times).sum()
    };
    let most = (0..thresholds).map(right).max()?;
    (all > 0).then(|| f64::from(most) / f64::from(all))
}

/// Whether the strongest region's box overlaps an object's box by at least a half (intersection over union): `CorLoc` of
/// Deselaers et al., "Localizing objects while learning their appearance", 2010, for images with an object of
/// the class. Regions of equal score are taken in their order.
pub fn is_correctly_localized(regions: &[Region], truths: &[Truth]) -> bool {
    let strongest = regions.iter().rev().max_by(|a, b| a.score.total_cmp(&b.score));
    strongest.is_some_and(|region| {
        truths.iter().filter_map(|truth| truth.shape.rect()).any(|rect| region.rect.iou(rect) >= 0.5)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use locam_core::{ClassId, MapTransform, Point, Shape};
    use proptest::prelude::*;

    fn object(rect: Rect) -> Truth {
        Truth { class: ClassId(0), shape: Shape::Box(rect) }
    }

    #[test]
    fn the_largest_box_may_be_wrong_where_another_is_right() {
        // A broad low hill to the left, a narrow high one to the right.
        let values = (0..40).map(|x| {
            if x < 20 {
                2.0
            } else if (30..34).contains(&x) {
                5.0
            } else {
                0.0
            }
        });
        let row: Vec<f32> = values.collect();
        let size = Size::new(40, 4);
        let map = ScoreMap::new(size, row.repeat(4), MapTransform::uniform(0.5, 1.0));
        let truth = [object(Rect::new(30.0, 0.0, 34.0, 4.0))];
        let found = BoxOverlaps::new(&map, size, &truth, &[1.0, 4.0]);
        assert!(found.largest[0] < 0.1 && found.any[0] > 0.5 && found.largest[1] > 0.5, "{found:?}");
        assert_eq!(max_box_accuracy(&[found], &[1]), Some(1.0));
    }

    #[test]
    fn version_two_averages_over_overlaps() {
        let image = BoxOverlaps { largest: vec![0.4, 0.6], any: vec![0.4, 0.6] };
        assert_eq!(max_box_accuracy(std::slice::from_ref(&image), &[1]), Some(1.0));
        assert!((max_box_accuracy_v2(&[image], &[1]).unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(max_box_accuracy(&[], &[]), None);
    }

    #[test]
    fn only_the_strongest_region_counts_for_corloc() {
        let region = |score: f64, rect: Rect| Region {
            class: ClassId(0),
            score,
            peak: rect.center(),
            centroid: rect.center(),
            rect,
            area: rect.area(),
            outline: rect.corners().to_vec(),
            at_border: false,
        };
        let (here, there) = (Rect::new(0.0, 0.0, 9.0, 9.0), Rect::new(20.0, 0.0, 29.0, 9.0));
        let truth = [object(here)];
        assert!(is_correctly_localized(&[region(1.0, there), region(2.0, here)], &truth));
        assert!(!is_correctly_localized(&[region(2.0, there), region(1.0, here)], &truth));
        let point = Truth { class: ClassId(0), shape: Shape::Point(Point::new(4.0, 4.0)) };
        assert!(!is_correctly_localized(&[region(2.0, here)], &[point]));
        assert!(!is_correctly_localized(&[], &truth));
    }

    proptest! {
        #[test]
        fn more_thresholds_are_never_worse(overlaps in prop::collection::vec((0.0_f64..1.0, 0.0_f64..1.0), 1..20)) {
            let images = |count: usize| -> Vec<BoxOverlaps> {
                let pair = |&(a, b): &(f64, f64)| [a, b][..count].to_vec();
                overlaps.iter().map(|o| BoxOverlaps { largest: pair(o), any: pair(o) }).collect()
            };
            let times = vec![1; overlaps.len()];
            prop_assert!(max_box_accuracy(&images(1), &times) <= max_box_accuracy(&images(2), &times));
            prop_assert!(max_box_accuracy_v2(&images(1), &times) <= max_box_accuracy_v2(&images(2), &times));
        }
    }
}
