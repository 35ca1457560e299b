/// By how much F1 may lie below the best and still count as equally good.
pub const PLATEAU_TOLERANCE: f64 = 0.002;

/// The threshold in the middle of the longest stretch of thresholds that are all about the best, within
/// [`PLATEAU_TOLERANCE`].
///
/// `swept` holds (threshold, F1) by rising threshold. Several thresholds often do equally well on the images at
/// hand; the ends of such a stretch are where other images would fall off. Of equally long stretches the first is
/// taken, of an even number of thresholds the lower middle one. Without any, the margin 0 is
/// returned, at which the class is as likely as not.
pub fn middle_of_plateau(swept: &[(f64, f64)]) -> f64 {
    let best = swept.iter().map(|&(_, f1)| f1).fold(f64::NEG_INFINITY, f64::max);
    let mut longest: &[(f64, f64)] = &[];
    for stretch in swept.chunk_by(|a, b| near(a.1, best) == near(b.1, best)) {
        if near(stretch[0].1, best) && stretch.len() > longest.len() {
            longest = stretch;
        }
    }
    longest.get(longest.len().saturating_sub(1) / 2).map_or(0.0, |&(threshold, _)| threshold)
}

fn near(f1: f64, best: f64) -> bool {
    f1 >= best - PLATEAU_TOLERANCE
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_middle_of_the_longest_plateau_wins_over_a_lonely_peak() {
        let swept = [(0.0, 0.95), (1.0, 0.8), (2.0, 0.949), (3.0, 0.9495), (4.0, 0.949), (5.0, 0.2)];
        assert!(middle_of_plateau(&swept) == 3.0);
    }

    #[test]
    fn a_clear_maximum_is_taken_and_nothing_gives_zero() {
        assert!(middle_of_plateau(&[(-1.0, 0.5), (2.0, 0.7), (3.0, 0.6)]) == 2.0);
        assert!(middle_of_plateau(&[]) == 0.0);
    }

    proptest! {
        #[test]
        fn the_choice_is_a_candidate_that_is_about_the_best(f1 in prop::collection::vec(0.0_f64..=1.0, 1..40)) {
            let swept: Vec<_> = f1.iter().enumerate().map(|(i, &f1)| (i as f64, f1)).collect();
            let chosen = f1[middle_of_plateau(&swept) as usize];
            prop_assert!(f1.iter().all(|&other| chosen >= other - PLATEAU_TOLERANCE));
        }
    }
}
