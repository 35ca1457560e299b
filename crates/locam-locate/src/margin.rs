use locam_core::ScoreMap;

/// The largest logit that is told apart: beyond it, and for infinities, sums would stop being numbers.
const LARGEST: f64 = f32::MAX as f64 / 4.0;

/// Per class the log-odds of the class against all others together, at every place.
///
/// For logits `l` the margin of class `c` is `l_c - log(sum over k != c of exp(l_k))`: the logarithm of
/// `p_c / (1 - p_c)` where `p` is the softmax. `maps` are the logits of all classes over the same places.
///
/// The result is finite wherever any logit is a number: an infinite logit counts as a very large one, and one that is not
/// a number as the smallest, so that it is never found. Where none is a number, as at places that were not searched, no
/// margin is. A single map is compared with a logit of 0.
///
/// # Panics
/// If the maps differ in size.
pub fn margins(maps: &[ScoreMap]) -> Vec<ScoreMap> {
    let places = maps.first().map_or(0, |map| map.values().len());
    assert!(maps.iter().all(|map| map.values().len() == places), "the maps of all classes have one size");
    let mut out = vec![Vec::with_capacity(places); maps.len()];
    let mut logits = vec![0.0; maps.len()];
    let mut after = vec![f64::NEG_INFINITY; maps.len() + 1];
    for place in 0..places {
        if maps.iter().all(|map| map.values()[place].is_nan()) {
            for margin in &mut out {
                margin.push(f32::NAN);
            }
            continue;
        }
        for (logit, map) in logits.iter_mut().zip(maps) {
            *logit = bounded(map.values()[place]);
        }
        for class in (0..maps.len()).rev() {
            after[class] = log_add_exp(after[class + 1], logits[class]);
        }
        // The sum over the others is built from those before and those after: taking one class out of the sum over
        // all would cancel where that class dominates, which is exactly where objects are.
        let mut before = if maps.len() == 1 { 0.0 } else { f64::NEG_INFINITY };
        for class in 0..maps.len() {
            let others = log_add_exp(before, after[class + 1]);
            out[class].push((logits[class] - others) as f32);
            before = log_add_exp(before, logits[class]);
        }
    }
    maps.iter().zip(out).map(|(map, values)| map.with_values(values)).collect()
}

fn bounded(logit: f32) -> f64 {
    if logit.is_nan() { -LARGEST } else { f64::from(logit).clamp(-LARGEST, LARGEST) }
}

/// `log(exp(a) + exp(b))` without overflow.
fn log_add_exp(a: f64, b: f64) -> f64 {
    let (high, low) = if a >= b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_core::{MapTransform, Size};
    use proptest::prelude::*;

    fn map(values: Vec<f32>) -> ScoreMap {
        ScoreMap::new(Size::new(values.len() as u32, 1), values, MapTransform::uniform(0.5, 32.0))
    }

    #[test]
    fn two_classes_differ_by_their_logits() {
        let found = margins(&[map(vec![3.0, -40.0]), map(vec![1.0, 60.0])]);
        assert_eq!(found[0].values(), [2.0, -100.0]);
        assert_eq!(found[1].values(), [-2.0, 100.0]);
    }

    #[test]
    fn a_dominating_class_keeps_its_margin() {
        let found = margins(&[map(vec![200.0]), map(vec![0.0]), map(vec![0.0])]);
        assert!((found[0].values()[0] - (200.0 - 2.0_f32.ln())).abs() < 1e-4);
    }

    #[test]
    fn one_class_alone_is_compared_with_zero() {
        assert_eq!(margins(&[map(vec![1.5])])[0].values(), [1.5]);
        assert!(margins(&[]).is_empty());
    }

    #[test]
    fn places_that_were_not_searched_have_no_margin() {
        let found = margins(&[map(vec![f32::NAN, f32::NAN]), map(vec![f32::NAN, 1.0])]);
        assert!(found.iter().all(|margin| margin.values()[0].is_nan()));
        assert!(found[0].values()[1] < -1e30 && found[1].values()[1] > 1e30);
    }

    proptest! {
        #[test]
        fn margins_are_the_odds_of_the_softmax(
            logits in prop::collection::vec(-20.0_f32..20.0, 2..6)
        ) {
            let maps: Vec<_> = logits.iter().map(|&l| map(vec![l])).collect();
            for (class, found) in margins(&maps).iter().enumerate() {
                let others = logits.iter().enumerate().filter(|(other, _)| *other != class);
                let odds = f64::from(logits[class]) - others.map(|(_, &l)| f64::from(l).exp()).sum::<f64>().ln();
                prop_assert!((f64::from(found.values()[0]) - odds).abs() < 1e-3, "{found:?} {odds}");
            }
        }

        #[test]
        fn margins_are_finite_and_ignore_a_common_shift(
            logits in prop::collection::vec(any::<f32>(), 2..5), small in prop::collection::vec(-9.0_f32..9.0, 3)
        ) {
            let of = |l: &[f32]| margins(&l.iter().map(|&l| map(vec![l])).collect::<Vec<_>>());
            prop_assert!(of(&logits).iter().all(|m| m.values()[0].is_finite()));
            let shifted: Vec<_> = small.iter().map(|l| l + 64.0).collect();
            for (a, b) in of(&small).iter().zip(of(&shifted)) {
                prop_assert!((a.values()[0] - b.values()[0]).abs() < 1e-3);
            }
        }
    }
}
