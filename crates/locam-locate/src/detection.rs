//! Curves over all thresholds: how many objects are found for how many false alarms.

use crate::{MatchRule, Truth, Verdict, match_regions};
use locam_core::Region;
use serde::Serialize;

/// The regions of one image, each with whether it is an object, and how many objects there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageVerdicts {
    /// One per region, in their order.
    pub verdicts: Vec<Verdict>,
    /// Objects on the image.
    pub objects: usize,
}

impl ImageVerdicts {
    /// Compares regions of one class with the objects of that class.
    pub fn new(regions: &[Region], truths: &[Truth], rule: MatchRule) -> Self {
        let mut verdicts: Vec<Verdict> =
            regions.iter().map(|region| Verdict { score: region.score, hit: false }).collect();
        for (region, _) in match_regions(regions, truths, rule).hits {
            verdicts[region].hit = true;
        }
        Self { verdicts, objects: truths.len() }
    }
}

/// A threshold's place on the curve of precision over recall.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PrecisionRecall {
    /// Regions of at least this score are counted.
    pub score: f64,
    /// The share of objects that are found.
    pub recall: f64,
    /// The share of regions that are objects.
    pub precision: f64,
}

/// A threshold's place on the free-response curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FrocPoint {
    /// Regions of at least this score are counted.
    pub score: f64,
    /// Regions that are no object, per image.
    pub false_alarms_per_image: f64,
    /// The share of objects that are found.
    pub sensitivity: f64,
}

/// False alarms per image at which the sensitivity is averaged for [`Ranking::froc_score`].
pub const FROC_RATES: [f64; 6] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0];
/// Recalls at which COCO reads the precision.
const RECALLS: u32 = 101;

/// The regions of all images by falling score.
///
/// Every figure is given how often each image counts, so that the same ranking serves all resamples.
#[derive(Clone, Debug)]
pub struct Ranking {
    regions: Vec<Ranked>,
    objects: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Ranked {
    image: usize,
    verdict: Verdict,
}

/// What has been counted down to some region of the ranking.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    hits: f64,
    false_alarms: f64,
}

impl Ranking {
    /// Ranks the regions of some images; of equal scores the earlier image's is first.
    pub fn new(images: &[ImageVerdicts]) -> Self {
        let mut regions: Vec<Ranked> = images
            .iter()
            .enumerate()
            .flat_map(|(image, one)| one.verdicts.iter().map(move |&verdict| Ranked { image, verdict }))
            .collect();
        regions.sort_by(|a, b| b.verdict.score.total_cmp(&a.verdict.score));
        Self { regions, objects: images.iter().map(|image| image.objects).collect() }
    }

    /// Average precision as COCO's evaluation computes it (Lin et al., "Microsoft COCO: common objects in context",
    /// 2014): the precision at 101 recalls from 0 to 1, each the highest at that recall or above, averaged. Unlike
    /// there, all regions of an image are counted, not only the 100 strongest. `None` without objects.
    pub fn average_precision(&self, times: &[u32]) -> Option<f64> {
        let objects = self.objects(times)?;
        let mut curve: Vec<(f64, f64)> = Vec::with_capacity(self.regions.len());
        self.walk(times, |_, tally| {
            curve.push((tally.hits / objects, tally.hits / (tally.hits + tally.false_alarms)));
        });
        let mut highest = 0.0;
        for (_, precision) in curve.iter_mut().rev() {
            highest = f64::max(highest, *precision);
            *precision = highest;
        }
        let at = |step: u32| {
            // As COCO's evaluation has them, down to the last bit.
            let recall = if step + 1 == RECALLS { 1.0 } else { f64::from(step) * 0.01 };
            let place = curve.partition_point(|&(reached, _)| reached < recall);
            curve.get(place).map_or(0.0, |&(_, precision)| precision)
        };
        Some((0..RECALLS).map(at).sum::<f64>() / f64::from(RECALLS))
    }

    /// Precision over recall, from the strongest region down; one point per score. Empty without objects.
    pub fn precision_recall(&self) -> Vec<PrecisionRecall> {
        let Some(objects) = self.objects(&self.once()) else { return Vec::new() };
        self.by_score(&self.once())
            .into_iter()
            .map(|(score, Tally { hits, false_alarms })| PrecisionRecall {
                score,
                recall: hits / objects,
                precision: hits / (hits + false_alarms),
            })
            .collect()
    }

    /// The free-response curve (Bunch et al., "A free response approach to the measurement and characterization of
    /// radiographic observer performance", 1977), from the strongest region down; one point per score. Empty
    /// without objects.
    pub fn froc(&self) -> Vec<FrocPoint> {
        let Some(objects) = self.objects(&self.once()) else { return Vec::new() };
        let images = self.objects.len() as f64;
        self.by_score(&self.once())
            .into_iter()
            .map(|(score, Tally { hits, false_alarms })| FrocPoint {
                score,
                false_alarms_per_image: false_alarms / images,
                sensitivity: hits / objects,
            })
            .collect()
    }

    /// The sensitivity at 1/4, 1/2, 1, 2, 4 and 8 false alarms per image, averaged: the score of Ehteshami Bejnordi et
    /// al., "Diagnostic assessment of deep learning algorithms for detection of lymph node metastases in women
    /// with breast cancer" (CAMELYON16), 2017. At each rate it is the highest sensitivity with no more false alarms.
    /// `None` without objects.
    pub fn froc_score(&self, times: &[u32]) -> Option<f64> {
        let objects = self.objects(times)?;
        let images = f64::from(times.iter().sum::<u32>());
        let curve = self.by_score(times);
        let at = |rate: f64| {
            let within = curve.iter().take_while(|(_, tally)| tally.false_alarms <= rate * images);
            within.last().map_or(0.0, |(_, tally)| tally.hits / objects)
        };
        Some(FROC_RATES.map(at).iter().sum::<f64>() / FROC_RATES.len() as f64)
    }

    /// F1 of the regions of at least each of these scores. `None` without objects.
    pub fn f1_from(&self, thresholds: &[f64], times: &[u32]) -> Option<Vec<f64>> {
        let objects = self.objects(times)?;
        let curve = self.by_score(times);
        let from = |&threshold: &f64| {
            let above = curve.partition_point(|&(score, _)| score >= threshold);
            let Tally { hits, false_alarms } =
                above.checked_sub(1).map_or_else(Tally::default, |last| curve[last].1);
            2.0 * hits / (hits + false_alarms + objects)
        };
        Some(thresholds.iter().map(from).collect())
    }

    /// The scores of all regions, and whether they are objects.
    pub fn verdicts(&self) -> Vec<Verdict> {
        self.regions.iter().map(|ranked| ranked.verdict).collect()
    }

    fn once(&self) -> Vec<u32> {
        vec![1; self.objects.len()]
    }

    fn objects(&self, times: &[u32]) -> Option<f64> {
        let all: f64 =
            self.objects.iter().zip(times).map(|(&objects, &times)| objects as f64 * f64::from(times)).sum();
        (all > 0.0).then_some(all)
    }

    /// Counts from the strongest region down; regions of images that don't count are left out.
    fn walk(&self, times: &[u32], mut each: impl FnMut(f64, Tally)) {
        let mut tally = Tally::default();
        for Ranked { image, verdict } in &self.regions {
            let times = f64::from(times[*image]);
            if times > 0.0 {
                if verdict.hit {
                    tally.hits += times;
                } else {
                    tally.false_alarms += times;
                }
                each(verdict.score, tally);
            }
        }
    }

    /// What is counted at each score: a threshold can't tell equal scores apart.
    fn by_score(&self, times: &[u32]) -> Vec<(f64, Tally)> {
        let mut all: Vec<(f64, Tally)> = Vec::new();
        self.walk(times, |score, tally| match all.last_mut() {
            Some((last, counted)) if last.total_cmp(&score).is_eq() => *counted = tally,
            _ => all.push((score, tally)),
        });
        all
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;
    use crate::Counts;
    use proptest::prelude::*;

    fn image(verdicts: &[(f64, bool)], objects: usize) -> ImageVerdicts {
        let verdicts = verdicts.iter().map(|&(score, hit)| Verdict { score, hit }).collect();
        ImageVerdicts { verdicts, objects }
    }

    #[test]
    fn a_perfect_ranking_has_a_precision_of_one_and_misses_cost_recall() {
        let ranking = Ranking::new(&[image(&[(3.0, true), (1.0, false)], 1), image(&[(2.0, true)], 1)]);
        assert_eq!(ranking.average_precision(&[1, 1]), Some(1.0));
        let missed = Ranking::new(&[image(&[(3.0, true)], 1), image(&[], 1)]);
        // Recalls from 0 to 0.5 are reached, 51 of 101.
        assert_eq!(missed.average_precision(&[1, 1]), Some(51.0 / 101.0));
    }

    #[test]
    fn false_alarms_move_the_curve_to_the_right() {
        let ranking = Ranking::new(&[image(&[(3.0, false), (2.0, true)], 1), image(&[], 1)]);
        let curve = ranking.froc();
        assert_eq!((curve[0].false_alarms_per_image, curve[0].sensitivity), (0.5, 0.0));
        assert_eq!((curve[1].false_alarms_per_image, curve[1].sensitivity), (0.5, 0.5));
        // A quarter of a false alarm per image is not enough for either.
        assert_eq!(ranking.froc_score(&[1, 1]), Some(0.5 * 5.0 / 6.0));
    }

    #[test]
    fn equal_scores_can_not_be_told_apart() {
        let ranking = Ranking::new(&[image(&[(1.0, true), (1.0, false)], 1)]);
        assert_eq!(ranking.precision_recall().len(), 1);
        assert_eq!(ranking.precision_recall()[0].precision, 0.5);
    }

    #[test]
    fn without_objects_nothing_is_defined() {
        let ranking = Ranking::new(&[image(&[(1.0, false)], 0)]);
        assert_eq!((ranking.average_precision(&[1]), ranking.froc_score(&[1])), (None, None));
        assert!(ranking.froc().is_empty() && ranking.precision_recall().is_empty());
    }

    fn images() -> impl Strategy<Value = Vec<ImageVerdicts>> {
        let one = (prop::collection::vec((-5.0_f64..5.0, any::<bool>()), 0..8), 0..4_usize);
        prop::collection::vec(one, 1..6).prop_map(|all| {
            let hits = |verdicts: &[(f64, bool)]| verdicts.iter().filter(|verdict| verdict.1).count();
            all.iter().map(|(verdicts, missed)| image(verdicts, hits(verdicts) + missed)).collect()
        })
    }

    proptest! {
        #[test]
        fn figures_are_shares_and_curves_rise(images in images()) {
            let ranking = Ranking::new(&images);
            let once = vec![1; images.len()];
            for figure in [ranking.average_precision(&once), ranking.froc_score(&once)].into_iter().flatten() {
                prop_assert!((0.0..=1.0).contains(&figure));
            }
            for pair in ranking.froc().windows(2) {
                prop_assert!(pair[0].score > pair[1].score && pair[0].sensitivity <= pair[1].sensitivity);
                prop_assert!(pair[0].false_alarms_per_image <= pair[1].false_alarms_per_image);
            }
        }

        #[test]
        fn an_image_that_counts_twice_is_as_good_as_two_of_it(images in images(), seed in any::<u64>()) {
            let times: Vec<u32> = (0..images.len()).map(|i| (seed >> (2 * i) & 3) as u32).collect();
            let copies: Vec<ImageVerdicts> = images
                .iter()
                .zip(&times)
                .flat_map(|(image, &times)| std::iter::repeat_n(image.clone(), times as usize))
                .collect();
            let (whole, again) = (Ranking::new(&images), Ranking::new(&copies));
            let once = vec![1; copies.len()];
            let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-9,
                (a, b) => a == b,
            };
            prop_assert!(near(whole.froc_score(&times), again.froc_score(&once)));
            // Between equal scores the order of images decides, which is another among copies.
            let mut scores: Vec<f64> = images.iter().flat_map(|one| &one.verdicts).map(|v| v.score).collect();
            scores.sort_by(f64::total_cmp);
            prop_assume!(scores.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(near(whole.average_precision(&times), again.average_precision(&once)));
        }

        #[test]
        fn f1_is_that_of_what_lies_above_a_threshold(images in images(), thresholds in prop::collection::vec(-6.0_f64..6.0, 1..5)) {
            let once = vec![1; images.len()];
            let objects: usize = images.iter().map(|one| one.objects).sum();
            let counted = |&threshold: &f64| {
                let above = images.iter().flat_map(|one| &one.verdicts).filter(|verdict| verdict.score >= threshold);
                let (hits, others): (Vec<&Verdict>, Vec<&Verdict>) = above.partition(|verdict| verdict.hit);
                let (true_positives, false_positives) = (hits.len(), others.len());
                Counts { true_positives, false_positives, misses: objects - true_positives }.f1()
            };
            let naive: Vec<f64> = thresholds.iter().map(counted).collect();
            let found = Ranking::new(&images).f1_from(&thresholds, &once);
            prop_assert_eq!(found, (objects > 0).then_some(naive));
        }

        #[test]
        fn only_the_order_of_scores_matters(images in images()) {
            let stretched: Vec<ImageVerdicts> = images
                .iter()
                .map(|one| ImageVerdicts {
                    verdicts: one.verdicts.iter().map(|v| Verdict { score: v.score.exp(), ..*v }).collect(),
                    ..*one
                })
                .collect();
            let once = vec![1; images.len()];
            let ap = |images: &[ImageVerdicts]| Ranking::new(images).average_precision(&once);
            prop_assert_eq!(ap(&images), ap(&stretched));
        }
    }
}
