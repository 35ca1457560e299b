//! How well maps tell the pixels of objects from all others: `PxAP` of Choe et al., "Evaluating weakly supervised object
//! localization methods right", 2020. As with boxes, maps are not normalised image by image.

use locam_core::{Mask, Point, Run, ScoreMap, Size};

/// Thresholds between the lowest and the highest score, of which pixels are counted.
const STEPS: usize = 1000;

/// Pixels of one image by score: those of objects and all others, in a thousand steps over a range that all images share.
#[derive(Clone, Debug, PartialEq)]
pub struct PixelCounts {
    objects: Vec<u64>,
    others: Vec<u64>,
}

impl Default for PixelCounts {
    fn default() -> Self {
        Self { objects: vec![0; STEPS + 1], others: vec![0; STEPS + 1] }
    }
}

impl PixelCounts {
    /// Counts all pixels of an image by the scores that a map has at their centres. `place` says where in the range of all
    /// images a score lies, as [`record`](Self::record) takes it; scores that are not numbers, where nothing was searched,
    /// have the lowest place. Pixels of the masks are objects'.
    pub fn of_image(map: &ScoreMap, image: Size, masks: &[&Mask], place: impl Fn(f32) -> f64) -> Self {
        let runs: Vec<Run> = masks.iter().flat_map(|mask| mask.runs()).cloned().collect();
        let objects = Mask::from_runs(runs);
        let mut counts = Self::default();
        let mut is_object = vec![false; image.width as usize];
        for row in 0..image.height {
            is_object.fill(false);
            for run in objects.iter().flat_map(|objects| objects.runs_of(row)) {
                let end = run.columns.end.min(image.width);
                is_object[run.columns.start.min(end) as usize..end as usize].fill(true);
            }
            for (column, &is_object) in is_object.iter().enumerate() {
                let score = map.sample(Point::new(column as f64 + 0.5, f64::from(row) + 0.5));
                counts.record(if score.is_nan() { 0.0 } else { place(score) }, is_object);
            }
        }
        counts
    }

    /// Counts a pixel by its place in the range, 0 for the lowest score and 1 for the highest.
    pub fn record(&mut self, place: f64, is_object: bool) {
        let step = (place.clamp(0.0, 1.0) * STEPS as f64) as usize;
        let counts = if is_object { &mut self.objects } else { &mut self.others };
        counts[step] += 1;
    }
}

/// `PxAP`: the average precision of pixels, the sum over thresholds of the precision times the rise in recall, where each
/// image counts so many times. `None` where no pixel is an object's.
pub fn pixel_average_precision(images: &[PixelCounts], times: &[u32]) -> Option<f64> {
    let (mut objects, mut others) = ([0.0; STEPS + 1], [0.0; STEPS + 1]);
    for (image, &times) in images.iter().zip(times).filter(|(_, times)| **times > 0) {
        for (sums, counts) in [(&mut objects, &image.objects), (&mut others, &image.others)] {
            for (sum, &count) in sums.iter_mut().zip(counts) {
                *sum += count as f64 * f64::from(times);
            }
        }
    }
    let all: f64 = objects.iter().sum();
    let (mut hits, mut seen, mut area) = (0.0, 0.0, 0.0);
    for (&objects, &others) in objects.iter().zip(&others).rev() {
        hits += objects;
        seen += objects + others;
        if objects > 0.0 {
            area += hits / seen * objects / all;
        }
    }
    (all > 0.0).then_some(area)
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_core::MapTransform;
    use proptest::prelude::*;
    use std::ops::Range;

    fn mask(runs: &[(u32, Range<u32>)]) -> Mask {
        let run = |(row, columns): &(u32, Range<u32>)| Run { row: *row, columns: columns.clone() };
        Mask::from_runs(runs.iter().map(run).collect()).unwrap()
    }

    #[test]
    fn pixels_of_two_masks_count_once_and_what_was_not_searched_is_lowest() {
        let map = ScoreMap::new(Size::new(3, 1), vec![0.25, 0.75, f32::NAN], MapTransform::uniform(0.5, 1.0));
        let (one, other) = (mask(&[(0, 0..1), (1, 0..2)]), mask(&[(1, 1..2), (5, 0..9)]));
        let counts = PixelCounts::of_image(&map, Size::new(3, 2), &[&one, &other], f64::from);
        let seen = |counts: &[u64]| -> Vec<(usize, u64)> {
            counts.iter().copied().enumerate().filter(|&(_, count)| count > 0).collect()
        };
        assert_eq!(seen(&counts.objects), [(250, 2), (750, 1)]);
        assert_eq!(seen(&counts.others), [(0, 2), (750, 1)]);
        // From the top: one of two, then two at once of four.
        assert_eq!(pixel_average_precision(&[counts], &[1]), Some(0.5 / 3.0 + 0.75 * 2.0 / 3.0));
        let none = PixelCounts::of_image(&map, Size::new(3, 2), &[], f64::from);
        assert_eq!(pixel_average_precision(&[none], &[1]), None);
    }

    #[test]
    fn an_image_drawn_twice_counts_twice_and_one_not_drawn_not_at_all() {
        let image = |pixels: &[(f64, bool)]| {
            let mut counts = PixelCounts::default();
            for &(place, is_object) in pixels {
                counts.record(place, is_object);
            }
            counts
        };
        let images = [
            image(&[(0.9, true), (0.5, false)]),
            image(&[(0.7, false), (0.3, true)]),
            image(&[(1.0, false)]),
        ];
        let twice = [images[0].clone(), images[0].clone(), images[1].clone()];
        assert_eq!(pixel_average_precision(&images, &[2, 1, 0]), pixel_average_precision(&twice, &[1, 1, 1]));
        assert!(pixel_average_precision(&images, &[1, 1, 1]) < pixel_average_precision(&images, &[1, 1, 0]));
    }

    proptest! {
        #[test]
        fn pixel_precision_is_a_share_and_perfect_for_a_perfect_map(
            pixels in prop::collection::vec((0.0_f64..1.0, any::<bool>()), 1..60),
        ) {
            let counts = |place: fn(f64, bool) -> f64| {
                let mut counts = PixelCounts::default();
                for &(score, object) in &pixels {
                    counts.record(place(score, object), object);
                }
                counts
            };
            let found = pixel_average_precision(&[counts(|score, _| score)], &[1]);
            let perfect = pixel_average_precision(&[counts(|_, object| f64::from(u8::from(object)))], &[1]);
            let any = pixels.iter().any(|pixel| pixel.1);
            prop_assert!(found.is_none_or(|found| (0.0..=1.0 + 1e-12).contains(&found)));
            prop_assert_eq!(perfect.map(|value| (value * 1e9).round()), any.then_some(1e9));
        }
    }
}
