//! How well labelled patches are classified, from the probabilities of their classes.

use crate::{ConfusionMatrix, Reliability, Verdict, reliability};

/// A patch of known class, and what was said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Classified {
    /// The class that it is of.
    pub truth: usize,
    /// The probability of each class; together 1.
    pub probabilities: Vec<f64>,
}

impl Classified {
    /// From the logits that a network gave, by their softmax.
    pub fn from_logits(truth: usize, logits: &[f32]) -> Self {
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let odds: Vec<f64> =
            logits.iter().map(|&logit| (f64::from(logit) - f64::from(highest)).exp()).collect();
        let sum: f64 = odds.iter().sum();
        Self { truth, probabilities: odds.iter().map(|odds| odds / sum).collect() }
    }

    /// The likeliest class; the first of equals.
    pub fn predicted(&self) -> usize {
        let mut best = 0;
        for (class, &probability) in self.probabilities.iter().enumerate() {
            if probability > self.probabilities[best] {
                best = class;
            }
        }
        best
    }
}

/// How often each class was taken for each, every patch as often as it counts.
pub fn confusion(patches: &[Classified], classes: usize, times: &[u32]) -> ConfusionMatrix {
    let mut matrix = ConfusionMatrix::new(classes);
    for (patch, &times) in patches.iter().zip(times) {
        (0..times).for_each(|_| matrix.record(patch.truth, patch.predicted()));
    }
    matrix
}

/// Probabilities of one class by rising value, each with its patch: sorted once, for many resamples.
#[derive(Clone, Debug)]
pub struct RocRanking {
    patches: Vec<(usize, f64, bool)>,
}

impl RocRanking {
    /// Ranks all patches by the probability of `class`.
    pub fn new(patches: &[Classified], class: usize) -> Self {
        let mut patches: Vec<_> = patches
            .iter()
            .enumerate()
            .map(|(place, patch)| (place, patch.probabilities[class], patch.truth == class))
            .collect();
        patches.sort_by(|a, b| a.1.total_cmp(&b.1));
        Self { patches }
    }

    /// The area under the curve of true over false positive rate: the probability that a patch of the class is ranked
    /// above one that is not, ties counting half (Hanley and `McNeil`, "The meaning and use of the area under a
    /// receiver operating characteristic curve", 1982). `None` where there are only patches of the class, or none.
    pub fn area(&self, times: &[u32]) -> Option<f64> {
        let (mut below, mut positives, mut won) = (0.0, 0.0, 0.0);
        for tied in self.patches.chunk_by(|a, b| a.1.total_cmp(&b.1).is_eq()) {
            let count = |of_class: bool| -> f64 {
                let counted = tied.iter().filter(|patch| patch.2 == of_class);
                counted.map(|patch| f64::from(times[patch.0])).sum()
            };
            let (here, others) = (count(true), count(false));
            won += here * (below + others / 2.0);
            positives += here;
            below += others;
        }
        (positives > 0.0 && below > 0.0).then(|| won / (positives * below))
    }
}

/// The mean over classes of each class's area against all others (one against the rest); for two classes both are
/// equal. `None` where one of them is undefined.
pub fn mean_area(rankings: &[RocRanking], times: &[u32]) -> Option<f64> {
    let areas: Option<Vec<f64>> = rankings.iter().map(|ranking| ranking.area(times)).collect();
    areas.filter(|areas| !areas.is_empty()).map(|areas| areas.iter().sum::<f64>() / areas.len() as f64)
}

/// The probability of the likeliest class beside the share that is of it, and the expected calibration error of Naeini
/// et al., "Obtaining well calibrated probabilities using Bayesian binning", 2015, in bins of equal width from the
/// least probability that a likeliest class can have (one over the number of classes) to 1.
pub fn top_label_reliability(patches: &[Classified], bins: usize) -> Reliability {
    let classes = patches.first().map_or(1, |patch| patch.probabilities.len());
    let verdict = |patch: &Classified| {
        let class = patch.predicted();
        let probability = patch.probabilities[class];
        Verdict { score: (probability / (1.0 - probability)).ln(), hit: class == patch.truth }
    };
    let verdicts: Vec<Verdict> = patches.iter().map(verdict).collect();
    let least = if classes > 1 { 1.0 / classes as f64 } else { 0.0 };
    reliability(&verdicts, least, bins)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn patch(truth: usize, probability: f64) -> Classified {
        Classified { truth, probabilities: vec![1.0 - probability, probability] }
    }

    #[test]
    fn softmax_is_stable_and_the_first_of_equals_wins() {
        let certain = Classified::from_logits(1, &[1000.0, 0.0]);
        assert_eq!((certain.predicted(), certain.probabilities[0]), (0, 1.0));
        assert_eq!(Classified::from_logits(1, &[2.0, 2.0]).predicted(), 0);
    }

    #[test]
    fn area_is_one_for_a_perfect_order_and_half_for_ties() {
        let area = |patches: &[Classified]| RocRanking::new(patches, 1).area(&vec![1; patches.len()]);
        assert_eq!(area(&[patch(0, 0.1), patch(1, 0.2), patch(1, 0.9)]), Some(1.0));
        assert_eq!(area(&[patch(0, 0.5), patch(1, 0.5)]), Some(0.5));
        assert_eq!(area(&[patch(1, 0.5)]), None);
    }

    #[test]
    fn overconfidence_is_the_calibration_error() {
        let patches: Vec<_> = (0..10).map(|i| patch(usize::from(i < 5), 0.9)).collect();
        assert!((top_label_reliability(&patches, 10).expected_calibration_error - 0.4).abs() < 1e-12);
        let certain = [patch(1, 1.0)];
        assert_eq!(top_label_reliability(&certain, 10).expected_calibration_error, 0.0);
    }

    proptest! {
        #[test]
        fn the_area_is_the_share_of_pairs_in_order(
            all in prop::collection::vec((0..2_usize, 0..8_u8), 1..25), seed in any::<u64>(),
        ) {
            let patches: Vec<_> = all.iter().map(|&(truth, p)| patch(truth, f64::from(p) / 8.0)).collect();
            let times: Vec<u32> = (0..all.len()).map(|i| (seed >> (i % 32) & 3) as u32).collect();
            let (mut won, mut pairs) = (0.0, 0.0);
            for (a, &times_a) in patches.iter().zip(&times).filter(|(p, _)| p.truth == 1) {
                for (b, &times_b) in patches.iter().zip(&times).filter(|(p, _)| p.truth == 0) {
                    let order = a.probabilities[1].total_cmp(&b.probabilities[1]);
                    let weight = f64::from(times_a * times_b);
                    pairs += weight;
                    won += weight * f64::from(order as i8 + 1) / 2.0;
                }
            }
            let area = RocRanking::new(&patches, 1).area(&times);
            match area {
                Some(area) => prop_assert!((area - won / pairs).abs() < 1e-9, "{area} {won} {pairs}"),
                None => prop_assert!(pairs == 0.0),
            }
        }
    }
}
