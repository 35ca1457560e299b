//! How far figures would move on other images of the same kind.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure on the images at hand.
    pub value: f64,
    /// The 2.5th percentile over resamples.
    pub low: f64,
    /// The 97.5th.
    pub high: f64,
}

impl std::fmt::Display for Estimate {
    /// As `0.966 (0.934 to 0.990)`, or with as many digits as the format's precision says.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = f.precision().unwrap_or(3);
        write!(f, "{:.digits$} ({:.digits$} to {:.digits$})", self.value, self.low, self.high)
    }
}

/// Images drawn again and again with replacement: how often each was drawn each time.
///
/// The bootstrap of Efron, "Bootstrap methods: another look at the jackknife", 1979, with percentile intervals. What is
/// drawn are whole images, since objects on one image are not independent of each other. All figures of an
/// evaluation use the same draws, which follow from the seed alone.
#[derive(Clone, Debug)]
pub struct Resamples {
    images: usize,
    draws: Vec<Vec<u32>>,
}

impl Resamples {
    /// So many resamples as make the ends of an interval steady to about a hundredth of its width.
    pub const USUAL: usize = 1000;

    /// Draws `count` resamples of so many images.
    pub fn new(images: usize, count: usize, seed: u64) -> Self {
        let draw = |number: usize| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(number as u64);
            let mut times = vec![0; images];
            for _ in 0..images {
                times[random.random_range(0..images)] += 1;
            }
            times
        };
        Self { images, draws: (0..count).map(draw).collect() }
    }

    /// Draws sources instead of images, which are of the sources with these numbers (from 0 on): the images of one source are
    /// drawn together.
    pub fn of_sources(source_of: &[usize], count: usize, seed: u64) -> Self {
        let sources = source_of.iter().max().map_or(0, |last| last + 1);
        let expand = |times: Vec<u32>| source_of.iter().map(|&source| times[source]).collect();
        let drawn = Self::new(sources, count, seed);
        Self { images: source_of.len(), draws: drawn.draws.into_iter().map(expand).collect() }
    }

    /// A statistic with its interval. It is given how often each image counts, and may be undefined (`None`); resamples
    /// on which it is are left out.
    pub fn estimate(&self, statistic: impl Fn(&[u32]) -> Option<f64>) -> Option<Estimate> {
        let value = statistic(&vec![1; self.images])?;
        let mut values: Vec<f64> = self.draws.iter().filter_map(|times| statistic(times)).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (percentile(&values, 0.025), percentile(&values, 0.975));
        Some(Estimate { value, low: low.unwrap_or(value), high: high.unwrap_or(value) })
    }

    /// The mean of a statistic over the resamples on which it is defined (Breiman, "Bagging predictors", 1996): steadier than its value
    /// on the images at hand, where a single one of them can decide.
    pub fn mean(&self, statistic: impl Fn(&[u32]) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = self.draws.iter().filter_map(|times| statistic(times)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// A sum over images divided by another, e.g. hits over objects, from each image's part of both.
    ///
    /// # Panics
    /// If there is not one pair per image.
    pub fn ratio(&self, parts: &[(f64, f64)]) -> Option<Estimate> {
        assert_eq!(parts.len(), self.images, "every image has a part in a ratio");
        self.estimate(|times| {
            let sum = |part: fn(&(f64, f64)) -> f64| -> f64 {
                parts.iter().zip(times).map(|(pair, &times)| part(pair) * f64::from(times)).sum()
            };
            let whole = sum(|pair| pair.1);
            (whole > 0.0).then(|| sum(|pair| pair.0) / whole)
        })
    }
}

/// Linear between the two nearest of sorted values, as NumPy's.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(low + (high - low) * place.fract())
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn draws_follow_from_the_seed() {
        let draws = |seed| Resamples::new(20, 5, seed).draws;
        assert_eq!(draws(3), draws(3));
        assert_ne!(draws(3), draws(4));
        assert_ne!(draws(3)[0], draws(3)[1]);
    }

    #[test]
    fn images_of_one_source_come_together() {
        let found = Resamples::of_sources(&[0, 1, 0, 2], 50, 3);
        let sources = Resamples::new(3, 50, 3);
        for (times, of_source) in found.draws.iter().zip(&sources.draws) {
            assert_eq!(*times, [0, 1, 0, 2].map(|source: usize| of_source[source]));
        }
    }

    #[test]
    fn the_interval_of_a_mean_is_about_four_standard_errors_wide() {
        let parts: Vec<_> = (0..400).map(|i| (f64::from(i % 2), 1.0)).collect();
        let found = Resamples::new(400, Resamples::USUAL, 0).ratio(&parts).unwrap();
        let standard_error = 0.5 / 400_f64.sqrt();
        assert!(found.value == 0.5, "{found:?}");
        assert!((found.high - found.low - 2.0 * 1.96 * standard_error).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn the_mean_leaves_out_draws_on_which_nothing_is_defined() {
        let resamples = Resamples::new(2, 100, 0);
        let first = |times: &[u32]| (times[0] > 0).then(|| f64::from(times[0]));
        // Both images once in half of the draws, the first alone in a quarter: the mean of 1, 1 and 2.
        let found = resamples.mean(first).unwrap();
        assert!((found - 4.0 / 3.0).abs() < 0.1, "{found}");
        assert_eq!(resamples.mean(|_| None), None);
    }

    #[test]
    fn what_is_undefined_has_no_estimate_and_a_single_image_no_width() {
        assert_eq!(Resamples::new(2, 10, 0).ratio(&[(0.0, 0.0), (0.0, 0.0)]), None);
        assert_eq!(Resamples::new(0, 10, 0).ratio(&[]), None);
        let one = Resamples::new(1, 10, 0).ratio(&[(1.0, 4.0)]);
        assert_eq!(one, Some(Estimate { value: 0.25, low: 0.25, high: 0.25 }));
        assert_eq!(one.unwrap().to_string(), "0.250 (0.250 to 0.250)");
    }

    proptest! {
        #[test]
        fn every_resample_has_as_many_images_and_the_interval_lies_within_the_range(
            values in prop::collection::vec(0.0_f64..1.0, 1..30), seed in any::<u64>(),
        ) {
            let resamples = Resamples::new(values.len(), 50, seed);
            prop_assert!(resamples.draws.iter().all(|times| times.iter().sum::<u32>() as usize == values.len()));
            let parts: Vec<_> = values.iter().map(|&value| (value, 1.0)).collect();
            let found = resamples.ratio(&parts).unwrap();
            let least = values.iter().copied().fold(1.0, f64::min);
            let most = values.iter().copied().fold(0.0, f64::max);
            prop_assert!(least - 1e-12 <= found.low && found.low <= found.high && found.high <= most + 1e-12);
        }
    }
}
