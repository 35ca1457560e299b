//! What tests of kernels share: values without a pattern, and the one tolerance.

use crate::{Bf16, ConvParams, Extent};

/// `count` values in -1..1 drawn from `seed` (Marsaglia's xorshift).
pub fn random_values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Whole numbers from -3 to 3, whose sums of products no order rounds.
pub fn whole_numbers(count: usize, seed: u64) -> Vec<f32> {
    random_values(count, seed).into_iter().map(|value| (3.4 * value).round()).collect()
}

/// The nearest values in bfloat16.
pub fn narrow(values: &[f32]) -> Vec<Bf16> {
    values.iter().copied().map(Bf16::from_f32).collect()
}

/// Images, channels-last, with the convolution's padding around them, as some algorithms read them.
pub fn padded(params: ConvParams, extent: Extent, images: &[f32]) -> Vec<f32> {
    let (around, channels) = (params.padded(extent), params.channels_in);
    let mut values = vec![0.0; around.pixels() * channels];
    for (row, source) in images.chunks_exact((extent.width * channels).max(1)).enumerate() {
        let (image, y) = (row / extent.height, row % extent.height);
        let at = ((image * around.height + y + params.padding) * around.width + params.padding) * channels;
        values[at..at + source.len()].copy_from_slice(source);
    }
    values
}

/// How far kernels may be from their naive twins: `|a - b| <= absolute + relative * |b|`.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Allowed everywhere.
    pub absolute: f64,
    /// Allowed in proportion.
    pub relative: f64,
}

impl Tolerance {
    /// For sums of products of values of order one, kept in `f32`; Winograd's transforms lose a digit.
    pub const F32: Self = Self { absolute: 2e-4, relative: 2e-4 };

    /// Panics at the first value that is too far away.
    ///
    /// # Panics
    /// So it does.
    pub fn check(self, what: &str, found: impl IntoIterator<Item = f64>, expected: &[f64]) {
        let mut count = 0;
        for (i, (found, &expected)) in found.into_iter().zip(expected).enumerate() {
            let allowed = self.absolute + self.relative * expected.abs();
            assert!(
                (found - expected).abs() <= allowed,
                "{what}: value {i} is {found} instead of {expected}"
            );
            count += 1;
        }
        assert_eq!(count, expected.len(), "{what}: too few values");
    }
}
