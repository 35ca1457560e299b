use crate::grid::strongest_point;
use locam_core::{ClassId, Region, ScoreMap, Shape, Size};
use std::ops::{Add, AddAssign};

/// An object that is known to be in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Its class, as the model counts them.
    pub class: ClassId,
    /// Where it is, in pixels of the image.
    pub shape: Shape,
}

/// When a region and an object are the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MatchRule {
    /// The region's centroid lies in the object's box or on its edge, or on one of its pixels where they are known; for
    /// an object known by a point, at most `radius` pixels from it. A centroid is always inside the image, so a box that crosses the border counts
    /// with its visible part, and a point on the border or just beyond it can be met from inside.
    Centroid {
        /// The largest distance from a point, in pixels.
        radius: f64,
    },
    /// Intersection over union of the region's rectangle and the box around the object is at least `iou`; for an object
    /// known by a point, the rectangle contains it.
    Overlap {
        /// The smallest overlap, in 0..=1.
        iou: f64,
    },
}

impl MatchRule {
    /// How well the two agree, larger is better; `None` where they are not the same by this rule.
    fn agreement(self, region: &Region, truth: &Shape) -> Option<f64> {
        let nearness = -region.centroid.distance(truth.center());
        let (fits, agreement) = match (self, truth.rect()) {
            (Self::Centroid { radius }, _) => (truth.contains(region.centroid, radius), nearness),
            (Self::Overlap { iou }, Some(rect)) => {
                let overlap = region.rect.iou(rect);
                (overlap >= iou, overlap)
            }
            (Self::Overlap { .. }, None) => (region.rect.contains(truth.center()), nearness),
        };
        fits.then_some(agreement)
    }
}

/// Which regions are which objects, by their places in the two lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// Region and object of each hit, by region.
    pub hits: Vec<(usize, usize)>,
    /// Regions that are no object, or one that was found already.
    pub false_positives: Vec<usize>,
    /// Objects without a region.
    pub misses: Vec<usize>,
}

impl Matches {
    /// How many there are of each.
    pub fn counts(&self) -> Counts {
        Counts {
            true_positives: self.hits.len(),
            false_positives: self.false_positives.len(),
            misses: self.misses.len(),
        }
    }
}

/// Compares regions with the truth, class by class: regions take turns by falling score, and each takes the object
/// of its class that agrees with it best among those not yet taken. So an object counts once however many regions
/// lie on it, and the strongest of them is the hit.
pub fn match_regions(regions: &[Region], truths: &[Truth], rule: MatchRule) -> Matches {
    let mut order: Vec<usize> = (0..regions.len()).collect();
    order.sort_by(|&a, &b| regions[b].score.total_cmp(&regions[a].score).then(a.cmp(&b)));
    let mut taken = vec![false; truths.len()];
    let mut matches = Matches::default();
    for index in order {
        let region = &regions[index];
        let mut best: Option<(usize, f64)> = None;
        for (place, truth) in truths.iter().enumerate() {
            if taken[place] || truth.class != region.class {
                continue;
            }
            if let Some(agreement) = rule.agreement(region, &truth.shape)
                && best.is_none_or(|(_, so_far)| agreement > so_far)
            {
                best = Some((place, agreement));
            }
        }
        match best {
            Some((place, _)) => {
                taken[place] = true;
                matches.hits.push((index, place));
            }
            None => matches.false_positives.push(index),
        }
    }
    matches.hits.sort_unstable();
    matches.false_positives.sort_unstable();
    matches.misses = (0..truths.len()).filter(|&place| !taken[place]).collect();
    matches
}

/// Whether the strongest point that a map has in an image lies on one of the objects: in or on the edge of its box or of
/// one of its pixels, or, for an object known by a point, at most one stride of the map away. The pointing game of Zhang et al.,
/// "Top-down neural attention by excitation backprop", 2018.
pub fn strongest_point_in_truth(map: &ScoreMap, image: Size, truths: &[Truth]) -> bool {
    let place = strongest_point(map, image);
    let stride = map.transform().stride;
    truths.iter().any(|truth| truth.shape.contains(place, stride.x.max(stride.y)))
}

/// Numbers of hits, false alarms and misses; those of several images add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Regions that are an object.
    pub true_positives: usize,
    /// Regions that are none.
    pub false_positives: usize,
    /// Objects without a region.
    pub misses: usize,
}

impl Counts {
    /// The share of regions that are objects; 1 where there are no regions, since none of them is wrong.
    pub fn precision(self) -> f64 {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    /// The share of objects that have a region; 1 where there are no objects, since none of them is missed.
    pub fn recall(self) -> f64 {
        share(self.true_positives, self.true_positives + self.misses)
    }

    /// The harmonic mean of precision and recall; 1 where there are neither regions nor objects.
    pub fn f1(self) -> f64 {
        share(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.misses)
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            true_positives: self.true_positives + other.true_positives,
            false_positives: self.false_positives + other.false_positives,
            misses: self.misses + other.misses,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;
    use locam_core::{MapTransform, Mask, Point, Rect};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn region(score: f64, x: f64, y: f64) -> Region {
        let centroid = Point::new(x, y);
        let rect = Rect::around(centroid, 10.0, 10.0);
        let (class, outline) = (ClassId(0), rect.corners().to_vec());
        Region { class, score, peak: centroid, centroid, rect, area: 100.0, outline, at_border: false }
    }

    fn truth(class: usize, shape: Shape) -> Truth {
        Truth { class: ClassId(class), shape }
    }

    const ANY_RADIUS: MatchRule = MatchRule::Centroid { radius: 5.0 };

    #[test]
    fn a_second_region_on_an_object_is_a_false_alarm_and_the_stronger_is_the_hit() {
        let truths = [truth(0, Shape::Box(Rect::new(0.0, 0.0, 30.0, 30.0)))];
        let found = match_regions(&[region(1.0, 15.0, 15.0), region(2.0, 2.0, 2.0)], &truths, ANY_RADIUS);
        assert_eq!((found.hits, found.false_positives, found.misses), (vec![(1, 0)], vec![0], vec![]));
    }

    #[test]
    fn other_classes_never_match() {
        let truths = [truth(1, Shape::Point(Point::new(5.0, 5.0)))];
        let counts = match_regions(&[region(1.0, 5.0, 5.0)], &truths, ANY_RADIUS).counts();
        assert_eq!(counts, Counts { true_positives: 0, false_positives: 1, misses: 1 });
        assert!(counts.f1() == 0.0);
    }

    #[test]
    fn points_are_met_from_within_the_radius_and_boxes_by_overlap() {
        let point = [truth(0, Shape::Point(Point::new(0.0, -1.0)))];
        let hits = |rule, truths: &[Truth]| match_regions(&[region(1.0, 3.0, 3.0)], truths, rule).hits.len();
        assert_eq!(hits(ANY_RADIUS, &point), 1);
        assert_eq!(hits(MatchRule::Centroid { radius: 4.9 }, &point), 0);
        let half = [truth(0, Shape::Box(Rect::new(-2.0, -2.0, 8.0, 3.0)))];
        assert_eq!(hits(MatchRule::Overlap { iou: 0.5 }, &half), 1);
        assert_eq!(hits(MatchRule::Overlap { iou: 0.51 }, &half), 0);
    }

    #[test]
    fn masks_are_met_inside_and_overlapped_by_their_boxes() {
        // A ring: its box holds what lies in the hole, its pixels don't.
        let sides =
            [(0, 0..30), (29, 0..30)].into_iter().chain((1..29).flat_map(|row| [(row, 0..5), (row, 25..30)]));
        let runs = sides.map(|(row, columns)| locam_core::Run { row, columns }).collect();
        let ring = Arc::new(Mask::from_runs(runs).unwrap());
        let truths = [truth(0, Shape::Mask(Arc::clone(&ring)))];
        let hits = |x, y, rule| match_regions(&[region(1.0, x, y)], &truths, rule).hits.len();
        assert_eq!((hits(15.0, 15.0, ANY_RADIUS), hits(3.0, 15.0, ANY_RADIUS)), (0, 1));
        // A box of 10 by 10 in one of 30 by 30.
        assert_eq!(hits(15.0, 15.0, MatchRule::Overlap { iou: 0.11 }), 1);
        assert_eq!(hits(15.0, 15.0, MatchRule::Overlap { iou: 0.12 }), 0);
        let is_strongest_inside = |cell: usize| {
            let values = (0..9).map(|place| if place == cell { 9.0 } else { 0.0 }).collect();
            let map = ScoreMap::new(Size::new(3, 3), values, MapTransform::uniform(0.5, 15.0));
            strongest_point_in_truth(&map, Size::new(31, 31), &truths)
        };
        assert!(!is_strongest_inside(4) && is_strongest_inside(3));
    }

    #[test]
    fn figures_of_nothing_are_one_and_counts_add() {
        let mut counts = Counts::default();
        assert!(counts.precision() == 1.0 && counts.recall() == 1.0 && counts.f1() == 1.0);
        counts += Counts { true_positives: 3, false_positives: 1, misses: 0 };
        counts += Counts { true_positives: 0, false_positives: 0, misses: 3 };
        assert!(counts.precision() == 0.75 && counts.recall() == 0.5 && (counts.f1() - 0.6).abs() < 1e-12);
    }

    #[test]
    fn the_pointing_game_looks_at_the_strongest_place_only() {
        let values = vec![0.0, 0.0, 9.0, 0.0, 0.0, 5.0];
        let map = ScoreMap::new(Size::new(3, 2), values, MapTransform::uniform(0.5, 32.0));
        let at = |x, y| [truth(0, Shape::Box(Rect::around(Point::new(x, y), 9.0, 9.0)))];
        let image = Size::new(96, 64);
        assert!(strongest_point_in_truth(&map, image, &at(64.0, 0.0)));
        assert!(!strongest_point_in_truth(&map, image, &at(64.0, 32.0)));
        assert!(!strongest_point_in_truth(&map, image, &[]));
    }

    proptest! {
        #[test]
        fn every_region_and_every_object_is_counted_once(
            regions in prop::collection::vec((-5.0_f64..5.0, 0.0_f64..60.0, 0.0_f64..60.0), 0..12),
            truths in prop::collection::vec((0_usize..2, 0.0_f64..60.0, 0.0_f64..60.0), 0..12)
        ) {
            let regions: Vec<_> = regions.iter().map(|&(s, x, y)| region(s, x, y)).collect();
            let truths: Vec<_> = truths
                .iter()
                .map(|&(c, x, y)| truth(c, Shape::Box(Rect::around(Point::new(x, y), 25.0, 25.0))))
                .collect();
            let found = match_regions(&regions, &truths, ANY_RADIUS);
            let mut seen: Vec<_> = found.hits.iter().map(|h| h.0).chain(found.false_positives.clone()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..regions.len()).collect::<Vec<_>>());
            let mut known: Vec<_> = found.hits.iter().map(|h| h.1).chain(found.misses.clone()).collect();
            known.sort_unstable();
            prop_assert_eq!(known, (0..truths.len()).collect::<Vec<_>>());
            let c = found.counts();
            let harmonic = 2.0 * c.precision() * c.recall() / (c.precision() + c.recall());
            prop_assert!(c.true_positives == 0 || (c.f1() - harmonic).abs() < 1e-12);
        }
    }
}
