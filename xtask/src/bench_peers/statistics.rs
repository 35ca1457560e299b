//! From pairs of measurements to the figures of a table's row.

use super::runner::Measurement;

/// One turn of each side, taken one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    /// Our turn.
    pub(crate) ours: Measurement,
    /// Their turn.
    pub(crate) theirs: Measurement,
}

impl Pair {
    /// Our speed over theirs.
    fn ratio(&self) -> f64 {
        self.theirs.seconds_per_iteration / self.ours.seconds_per_iteration
    }
}

/// What the pairs say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    /// The median of the pairs' ratios of speed, ours over theirs.
    pub(crate) ratio: f64,
    /// The lowest ratio.
    pub(crate) lowest: f64,
    /// The highest ratio.
    pub(crate) highest: f64,
    /// Our median speed in images/s.
    pub(crate) our_rate: f64,
    /// Their median speed in images/s.
    pub(crate) their_rate: f64,
    /// Our peak memory in bytes.
    pub(crate) our_memory: u64,
    /// Their peak memory in bytes.
    pub(crate) their_memory: u64,
}

impl Summary {
    /// Our peak memory over theirs.
    pub(crate) fn memory_ratio(&self) -> f64 {
        self.our_memory as f64 / self.their_memory as f64
    }
}

/// Sums up pairs whose iterations hold `batch` images each; `None` without a pair.
pub(crate) fn summary(pairs: &[Pair], batch: usize) -> Option<Summary> {
    let rate = |measurement: &Measurement| batch as f64 / measurement.seconds_per_iteration;
    let ratios: Vec<f64> = pairs.iter().map(Pair::ratio).collect();
    Some(Summary {
        ratio: median(ratios.clone())?,
        lowest: ratios.iter().copied().min_by(f64::total_cmp)?,
        highest: ratios.iter().copied().max_by(f64::total_cmp)?,
        our_rate: median(pairs.iter().map(|pair| rate(&pair.ours)).collect())?,
        their_rate: median(pairs.iter().map(|pair| rate(&pair.theirs)).collect())?,
        our_memory: pairs.iter().map(|pair| pair.ours.peak_memory_bytes).max()?,
        their_memory: pairs.iter().map(|pair| pair.theirs.peak_memory_bytes).max()?,
    })
}

/// The middle value, or the mean of the two in the middle; `None` of nothing.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let cases: [(&[f64], Option<f64>); 4] = [
            (&[], None),
            (&[3.0], Some(3.0)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
            (&[4.0, 1.0, 9.0, 2.0], Some(3.0)),
        ];
        for (values, expected) in cases {
            assert_eq!(median(values.to_vec()), expected, "{values:?}");
        }
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        // The machine slows down by half in the second pair; each pair's ratio is not moved by that.
        let turn = |seconds, bytes| Measurement { seconds_per_iteration: seconds, peak_memory_bytes: bytes };
        let pairs = [
            Pair { ours: turn(0.5, 10), theirs: turn(1.0, 40) },
            Pair { ours: turn(1.0, 12), theirs: turn(2.0, 41) },
            Pair { ours: turn(0.5, 11), theirs: turn(1.5, 48) },
        ];
        let summary = summary(&pairs, 8).unwrap();
        assert_eq!((summary.ratio, summary.lowest, summary.highest), (2.0, 2.0, 3.0));
        assert_eq!((summary.our_rate, summary.their_rate), (16.0, 8.0 / 1.5));
        assert_eq!((summary.our_memory, summary.their_memory), (12, 48));
        assert!((summary.memory_ratio() - 0.25).abs() < 1e-12);
    }

    #[test]
    fn nothing_has_no_summary() {
        assert_eq!(summary(&[], 8), None);
    }
}
