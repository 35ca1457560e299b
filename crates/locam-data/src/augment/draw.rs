//! Random numbers for one patch and one kind of change.

use super::Change;
use crate::augment::seeded;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

/// A stream of random numbers. Every kind of change has its own, so that leaving one out does not change the others.
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    /// The stream of `change`, or that of the symmetries.
    pub(super) fn new(key: [u64; 3], change: Option<Change>) -> Self {
        let mut generator = seeded(key);
        generator.set_stream(change.map_or(0, |change| change as u64 + 1));
        Self(generator)
    }

    pub(super) fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Uniform between two ends.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.0.random::<f32>()
    }

    /// One of the numbers below `end`, which is at least 1.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    /// Between two ends above 0, as likely to be enlarged by some factor as to be shrunk by it.
    pub(super) fn factor(&mut self, low: f32, high: f32) -> f32 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// True with the given probability.
    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.0.random::<f32>() < probability
    }

    /// Two about normal numbers of mean 0 and variance 1, from one word: coarse, but fast enough for every pixel.
    pub(super) fn normal_pair(&mut self) -> [f32; 2] {
        let bytes = self.0.next_u64().to_le_bytes();
        let normal = |four: &[u8]| (four.iter().map(|byte| f32::from(*byte)).sum::<f32>() - 510.0) / 147.8;
        [normal(&bytes[..4]), normal(&bytes[4..])]
    }
}
