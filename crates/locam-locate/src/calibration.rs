//! Whether scores mean what they say: their scaling, fitted to what was right and wrong, and how far off
//! probabilities are.

use serde::Serialize;

/// How certain a model was of something, and whether it was right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// The score in log-odds.
    pub score: f64,
    /// Whether it was right.
    pub hit: bool,
}

/// The least and the largest temperature that is fitted.
const TEMPERATURES: (f64, f64) = (0.01, 100.0);
/// Halvings of a range, after which nothing is left to be found in a `f64`.
const HALVINGS: usize = 64;

/// A slope of the likelihood, per score, that is no slope but rounding.
const LEVEL: f64 = 1e-12;

/// How margins become log-odds: less the midpoint, over the temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// Of even odds; not below 0.
    pub midpoint: f64,
    /// In 0.01 to 100.
    pub temperature: f64,
}

/// The scaling that makes the logistic of `(score - midpoint) / temperature` the likeliest probability of being right.
///
/// After Platt, "Probabilistic outputs for support vector machines", 1999, with his targets: of `n` scores that were all right a
/// share of `(n + 1) / (n + 2)` is believed, so that few or perfect examples don't make for certainty. The midpoint is not
/// below 0, so that no evidence becomes none for an object where few scores were wrong. There a temperature
/// alone is fitted (Guo et al., "On calibration of modern neural networks", 2017). Without verdicts scores stay as they are.
pub fn fit_scaling(verdicts: &[Verdict]) -> Scaling {
    if verdicts.is_empty() {
        return Scaling { midpoint: 0.0, temperature: 1.0 };
    }
    // The likelihood has no second maximum in 1 / t and the intercept, nor in 1 / t with the best intercept for each. Where it
    // is level, as for scores that are all the same, the largest temperature of those is the least sure of other scores.
    let level = LEVEL * verdicts.iter().map(|verdict| verdict.score.abs()).sum::<f64>();
    let targets = Targets::of(verdicts);
    let (mut cold, mut hot) = (TEMPERATURES.0.ln(), TEMPERATURES.1.ln());
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(cold, hot);
        let inverse = (-middle).exp();
        if targets.slope(verdicts, inverse, targets.intercept(verdicts, inverse)) > level {
            hot = middle;
        } else {
            cold = middle;
        }
    }
    let temperature = f64::midpoint(cold, hot).exp();
    let intercept = targets.intercept(verdicts, 1.0 / temperature);
    Scaling { midpoint: 0.0 - intercept * temperature, temperature }
}

/// The probabilities that right and wrong scores are to have.
struct Targets {
    hit: f64,
    miss: f64,
}

impl Targets {
    fn of(verdicts: &[Verdict]) -> Self {
        let hits = verdicts.iter().filter(|verdict| verdict.hit).count() as f64;
        let misses = verdicts.len() as f64 - hits;
        Self { hit: (hits + 1.0) / (hits + 2.0), miss: 1.0 / (misses + 2.0) }
    }

    /// By how much a verdict is to be likelier than it is.
    fn lack(&self, verdict: &Verdict, inverse: f64, intercept: f64) -> f64 {
        let target = if verdict.hit { self.hit } else { self.miss };
        target - logistic(verdict.score * inverse + intercept)
    }

    /// By how much the log-likelihood rises with the inverse temperature.
    fn slope(&self, verdicts: &[Verdict], inverse: f64, intercept: f64) -> f64 {
        verdicts.iter().map(|verdict| verdict.score * self.lack(verdict, inverse, intercept)).sum()
    }

    /// The likeliest addend, not above 0, to scores over a temperature.
    fn intercept(&self, verdicts: &[Verdict], inverse: f64) -> f64 {
        // It makes the mean probability the mean target.
        let lack =
            |intercept: f64| verdicts.iter().map(|one| self.lack(one, inverse, intercept)).sum::<f64>();
        if lack(0.0) >= 0.0 {
            return 0.0;
        }
        let largest = verdicts.iter().map(|verdict| verdict.score).fold(0.0, f64::max);
        // There no probability reaches the least target.
        let (mut low, mut high) = (-largest * inverse - (verdicts.len() as f64 + 2.0).ln(), 0.0);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if lack(middle) > 0.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        f64::midpoint(low, high)
    }
}

/// The probability that log-odds stand for.
pub fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// Verdicts of about the same probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// How many there are.
    pub count: usize,
    /// The mean of their probabilities.
    pub probability: f64,
    /// The share that was right.
    pub hit_rate: f64,
}

/// How well probabilities agree with what came true.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reliability {
    /// The bins that hold anything, by rising probability.
    pub bins: Vec<ReliabilityBin>,
    /// The mean over all verdicts of the distance between their bin's probability and its hit rate; 0 without any.
    pub expected_calibration_error: f64,
}

/// Sorts verdicts into bins of equal width over all probabilities from `least` to 1.
pub fn reliability(verdicts: &[Verdict], least: f64, bins: usize) -> Reliability {
    let mut sums = vec![(0usize, 0.0, 0usize); bins];
    for verdict in verdicts {
        let probability = logistic(verdict.score);
        let place = ((probability - least) / (1.0 - least) * bins as f64).max(0.0) as usize;
        let Some(sum) = sums.get_mut(place.min(bins.saturating_sub(1))) else { continue };
        *sum = (sum.0 + 1, sum.1 + probability, sum.2 + usize::from(verdict.hit));
    }
    let bin = |&(count, probability, hits): &(usize, f64, usize)| {
        let mean = |sum: f64| sum / count as f64;
        (count > 0).then(|| ReliabilityBin {
            count,
            probability: mean(probability),
            hit_rate: mean(hits as f64),
        })
    };
    let bins: Vec<ReliabilityBin> = sums.iter().filter_map(bin).collect();
    let off = |bin: &ReliabilityBin| bin.count as f64 * (bin.probability - bin.hit_rate).abs();
    let expected_calibration_error = bins.iter().map(off).sum::<f64>() / verdicts.len().max(1) as f64;
    Reliability { bins, expected_calibration_error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdicts(scores: &[(f64, bool)]) -> Vec<Verdict> {
        scores.iter().map(|&(score, hit)| Verdict { score, hit }).collect()
    }

    /// Negative log-likelihood of a scaling.
    fn loss(verdicts: &[Verdict], scaling: Scaling) -> f64 {
        let targets = Targets::of(verdicts);
        let one = |verdict: &Verdict| {
            let log_odds = (verdict.score - scaling.midpoint) / scaling.temperature;
            let p = logistic(log_odds).clamp(1e-300, 1.0 - 1e-16);
            let target = if verdict.hit { targets.hit } else { targets.miss };
            -target * p.ln() - (1.0 - target) * (1.0 - p).ln()
        };
        verdicts.iter().map(one).sum()
    }

    #[test]
    fn scores_that_are_twice_too_certain_get_a_temperature_of_about_two() {
        // At log-odds of 1.0986 three of four are right; they are said with twice that.
        let scores: Vec<_> = (0..4000).map(|i| (2.0 * 3.0_f64.ln(), i % 4 != 0)).collect();
        let found = fit_scaling(&verdicts(&scores));
        assert!((found.temperature - 2.0).abs() < 0.01 && found.midpoint.abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn log_odds_that_were_moved_and_stretched_are_found_again() {
        // At each of these log-odds as many of a thousand are right as they say.
        let honest = [-4, -3, -2, -1, 0, 1, 2, 3, 4].map(f64::from);
        let scores: Vec<_> = honest
            .iter()
            .flat_map(|&odds| {
                (0..1000).map(move |i| (12.0 + 3.0 * odds, f64::from(i) < 1000.0 * logistic(odds)))
            })
            .collect();
        let Scaling { midpoint, temperature } = fit_scaling(&verdicts(&scores));
        assert!(
            (midpoint - 12.0).abs() < 0.05 && (temperature - 3.0).abs() < 0.05,
            "{midpoint}, {temperature}"
        );
    }

    #[test]
    fn perfect_scores_are_believed_as_far_as_their_number_allows() {
        let certainty = |count: usize| {
            let all = vec![Verdict { score: 30.0, hit: true }; count];
            let Scaling { midpoint, temperature } = fit_scaling(&all);
            logistic((30.0 - midpoint) / temperature)
        };
        assert!((certainty(8) - 0.9).abs() < 1e-9, "{}", certainty(8));
        assert!((certainty(98) - 0.99).abs() < 1e-9, "{}", certainty(98));
    }

    #[test]
    fn nothing_changes_nothing_and_scores_without_meaning_become_as_likely_as_their_mean() {
        assert_eq!(fit_scaling(&[]), Scaling { midpoint: 0.0, temperature: 1.0 });
        let wrong = verdicts(&[(5.0, false), (6.0, false), (4.0, true)]);
        let Scaling { midpoint, temperature } = fit_scaling(&wrong);
        // Two misses at a fourth and a hit at two thirds.
        let mean = logistic((5.0 - midpoint) / temperature);
        assert!(temperature > 99.0 && (mean - 7.0 / 18.0).abs() < 0.01, "{midpoint}, {temperature}: {mean}");
    }

    #[test]
    fn a_bin_that_promises_more_than_it_keeps_is_the_error() {
        let half: Vec<_> = (0..10).map(|i| (9.0_f64.ln(), i < 5)).collect();
        let found = reliability(&verdicts(&half), 0.5, 10);
        assert_eq!(found.bins.len(), 1);
        assert!((found.expected_calibration_error - 0.4).abs() < 1e-9, "{found:?}");
        assert_eq!(reliability(&[], 0.5, 10), Reliability::default());
    }

    proptest! {
        #[test]
        fn no_other_scaling_is_likelier(
            scores in prop::collection::vec((-20.0_f64..40.0, any::<bool>()), 1..60),
        ) {
            let all = verdicts(&scores);
            let found = fit_scaling(&all);
            let best = loss(&all, found);
            prop_assert!(found.midpoint >= 0.0, "{:?}", found);
            for step in 0..=80 {
                let temperature = TEMPERATURES.0 * 10_f64.powf(f64::from(step) / 20.0);
                for midpoint in [0.0, 1.0, 5.0, 20.0, 100.0, 500.0, found.midpoint] {
                    let other = Scaling { midpoint, temperature };
                    prop_assert!(best <= loss(&all, other) + 1e-6 * best.max(1.0), "{:?} against {:?}", found, other);
                }
            }
        }

        #[test]
        fn every_verdict_is_in_one_bin_and_the_error_is_a_share(
            scores in prop::collection::vec((-3.0_f64..60.0, any::<bool>()), 0..60), bins in 1usize..20,
        ) {
            let found = reliability(&verdicts(&scores), 0.5, bins);
            prop_assert_eq!(found.bins.iter().map(|bin| bin.count).sum::<usize>(), scores.len());
            prop_assert!((0.0..=1.0).contains(&found.expected_calibration_error));
        }
    }
}
