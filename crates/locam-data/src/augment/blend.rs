//! Changes that blend the patches of a batch in pairs, and their classes with them.

use super::draw::Draw;
use super::{Augment, Change};

/// Both parameters of the beta distribution from which `MixUp` draws shares, as on ImageNet in the paper. `CutMix`
/// draws from that of 1, which is uniform.
const MIXUP_ALPHA: f32 = 0.2;

/// What was blended into a patch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blend {
    /// The other patch's class.
    pub label: usize,
    /// The other patch's part in this one, from 0 (nothing was blended in) to 1.
    pub share: f32,
}

impl Augment {
    /// Blends each patch of a batch with the one as far from the batch's end as it is from its beginning; a patch in the
    /// middle stays as it is. With both kinds each patch takes one of them, as likely as the other.
    ///
    /// `pixels` are patches, rows, columns and RGB, `keys` names each patch as for [`Augment::append`].
    pub(crate) fn blend(
        self,
        pixels: &mut [u8],
        side: usize,
        labels: &[usize],
        keys: &[[u64; 3]],
    ) -> Vec<Blend> {
        let (mixup, cutmix) = (self.has(Change::MixUp), self.has(Change::CutMix));
        if !mixup && !cutmix {
            return labels.iter().map(|&label| Blend { label, share: 0.0 }).collect();
        }
        let length = 3 * side * side;
        let before = pixels.to_vec();
        let others = before.chunks_exact(length).zip(labels).rev();
        let patches = pixels.chunks_exact_mut(length).zip(keys).enumerate();
        patches
            .zip(others)
            .map(|((place, (patch, &key)), (other, &label))| {
                if place == labels.len() - 1 - place {
                    return Blend { label, share: 0.0 };
                }
                let mut draw = Draw::new(key, Some(Change::MixUp));
                let is_cut = cutmix && (!mixup || draw.chance(0.5));
                let share =
                    if is_cut { cut(patch, other, side, &mut draw) } else { mix(patch, other, &mut draw) };
                Blend { label, share }
            })
            .collect()
    }
}

/// `MixUp` (Zhang et al., 2018): the weighted mean of both patches. Gives the other's weight.
fn mix(patch: &mut [u8], other: &[u8], draw: &mut Draw) -> f32 {
    let share = beta(draw, MIXUP_ALPHA);
    for (value, &other) in patch.iter_mut().zip(other) {
        let (own, other) = (f32::from(*value), f32::from(other));
        *value = (own + share * (other - own)).round() as u8;
    }
    share
}

/// `CutMix` (Yun et al., 2019): a box of the other patch, which lies at the same place there. Gives the box's part of the
/// area, after what falls outside of the patch is gone.
fn cut(patch: &mut [u8], other: &[u8], side: usize, draw: &mut Draw) -> f32 {
    let length = draw.between(0.0, 1.0).sqrt() * side as f32;
    let mut span = || {
        let middle = draw.between(0.0, side as f32);
        let end = |at: f32| at.round().clamp(0.0, side as f32) as usize;
        (end(middle - length / 2.0), end(middle + length / 2.0))
    };
    let ((left, right), (top, bottom)) = (span(), span());
    for row in top..bottom {
        let place = 3 * (row * side + left)..3 * (row * side + right);
        patch[place.clone()].copy_from_slice(&other[place]);
    }
    ((right - left) * (bottom - top)) as f32 / (side * side) as f32
}

/// A draw from the beta distribution with both parameters `alpha`, by Jöhnk's method.
fn beta(draw: &mut Draw, alpha: f32) -> f32 {
    loop {
        let mut power = || draw.between(0.0, 1.0).powf(1.0 / alpha);
        let (one, other) = (power(), power());
        if one + other > 0.0 && one + other <= 1.0 {
            return one / (one + other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 8;
    const LENGTH: usize = 3 * SIDE * SIDE;

    /// Blends `count` patches whose values are all 20 times their place in the batch, which is also their class.
    fn blended(words: &str, count: usize, seed: u64) -> (Vec<u8>, Vec<Blend>) {
        let mut pixels: Vec<u8> = (0..count).flat_map(|i| [20 * i as u8; LENGTH]).collect();
        let labels: Vec<usize> = (0..count).collect();
        let keys: Vec<[u64; 3]> = (0..count).map(|i| [seed, 4, i as u64]).collect();
        let blends = words.parse::<Augment>().unwrap().blend(&mut pixels, SIDE, &labels, &keys);
        (pixels, blends)
    }

    #[test]
    fn mixed_patches_are_weighted_means_with_the_weights_that_are_told() {
        let (pixels, blends) = blended("mixup", 5, 1);
        for (place, (patch, blend)) in pixels.chunks_exact(LENGTH).zip(&blends).enumerate() {
            assert_eq!(blend.label, 4 - place);
            let (own, other) = (20.0 * place as f32, 20.0 * blend.label as f32);
            let expected = (1.0 - blend.share) * own + blend.share * other;
            assert!(
                patch.iter().all(|&value| (f32::from(value) - expected).abs() <= 0.5),
                "{place}: {blend:?}"
            );
        }
        assert!(blends[2].share == 0.0 && blends.iter().filter(|blend| blend.share > 0.0).count() == 4);
    }

    #[test]
    fn cut_patches_have_as_much_of_the_other_as_is_told() {
        for seed in 0..20 {
            let (pixels, blends) = blended("cutmix", 4, seed);
            for (place, (patch, blend)) in pixels.chunks_exact(LENGTH).zip(&blends).enumerate() {
                assert_eq!(blend.label, 3 - place);
                let of =
                    |class: usize| patch.iter().filter(|value| usize::from(**value) == 20 * class).count();
                assert_eq!(of(place) + of(blend.label), LENGTH, "nothing else");
                let share = of(blend.label) as f32 / LENGTH as f32;
                assert!((blend.share - share).abs() < 1e-6, "{blend:?}, {share}");
            }
        }
    }

    #[test]
    fn both_take_turns_and_the_key_alone_decides() {
        let kinds: Vec<bool> = (0..40)
            .map(|seed| {
                let (pixels, _) = blended("mixup,cutmix", 2, seed);
                pixels[..LENGTH].iter().all(|value| [0, 20].contains(value))
            })
            .collect();
        let cut = kinds.iter().filter(|is_cut| **is_cut).count();
        // Of shares from a beta distribution of 0.2 many round to none or all.
        assert!((15..40).contains(&cut), "{cut} of 40");
        assert_eq!(blended("mixup,cutmix", 6, 9), blended("mixup,cutmix", 6, 9));
        assert_ne!(blended("mixup,cutmix", 6, 9), blended("mixup,cutmix", 6, 10));
    }

    #[test]
    fn without_a_pair_or_a_change_patches_stay() {
        for (words, count) in [("mixup,cutmix", 1), ("mixup", 0), ("flips", 4), ("none", 4)] {
            let (pixels, blends) = blended(words, count, 3);
            let expected: Vec<u8> = (0..count).flat_map(|i| [20 * i as u8; LENGTH]).collect();
            assert!(pixels == expected && blends.iter().all(|blend| blend.share == 0.0), "{words}");
        }
    }

    #[test]
    fn shares_have_the_moments_of_their_distribution() {
        // Mean 1/2; variance 1 / (4 * (2 * alpha + 1)).
        for alpha in [0.2, 1.0] {
            let shares: Vec<f32> = (0..4000).map(|i| beta(&mut Draw::new([5, 6, i], None), alpha)).collect();
            let mean = shares.iter().sum::<f32>() / 4000.0;
            let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f32>() / 4000.0;
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((mean - 0.5).abs() < 0.03, "mean {mean} with {alpha}");
            assert!((variance / expected - 1.0).abs() < 0.06, "variance {variance}, not {expected}");
        }
    }
}
