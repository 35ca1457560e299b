//! What counts of values from 0 to 255 tell.

/// How often each value is there.
pub(crate) type Histogram = [usize; 256];

/// The histogram of some values.
pub(crate) fn histogram(values: impl Iterator<Item = u8>) -> Histogram {
    let mut counts = [0; 256];
    values.for_each(|value| counts[usize::from(value)] += 1);
    counts
}

/// The smallest value that more than `part` of all don't exceed; 255 where there are none.
pub(crate) fn quantile(counts: &Histogram, part: f64) -> u8 {
    let below = (part * counts.iter().sum::<usize>() as f64) as usize;
    let mut up_to = 0;
    let is_beyond = |&value: &u8| {
        up_to += counts[usize::from(value)];
        up_to > below
    };
    (0..=u8::MAX).find(is_beyond).unwrap_or(u8::MAX)
}

/// The value up to which pixels are dark: both sides are as alike in themselves as can be (Otsu, "A Threshold Selection Method from
/// Gray-Level Histograms", 1979).
pub(crate) fn otsu(counts: &Histogram) -> u8 {
    let count = counts.iter().sum::<usize>() as f64;
    let total: f64 = counts.iter().enumerate().map(|(value, &counted)| (value * counted) as f64).sum();
    let (mut dark, mut sum, mut best) = (0.0, 0.0, (0.0, 0));
    for (value, &counted) in (0..=u8::MAX).zip(counts) {
        dark += counted as f64;
        sum += f64::from(value) * counted as f64;
        let between = (total * dark / count - sum).powi(2) / (dark * (count - dark));
        if between > best.0 {
            best = (between, value);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_has_its_part_of_values_up_to_it() {
        let counts = histogram((0..100).chain([200; 100]));
        assert_eq!([0.0, 0.25, 0.5, 0.75].map(|part| quantile(&counts, part)), [0, 50, 200, 200]);
        assert_eq!(quantile(&histogram([].into_iter()), 0.5), 255);
    }

    #[test]
    fn the_threshold_lies_between_dark_and_bright() {
        let counts = histogram([40, 42, 44, 44, 200, 202].into_iter());
        assert!((44..200).contains(&otsu(&counts)), "{}", otsu(&counts));
    }
}
