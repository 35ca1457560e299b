//! Random numbers by purpose and index, so that nothing depends on the order in which things are drawn.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::f32::consts::TAU;

/// What random numbers are for; each purpose has streams of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Stain = 1,
    Layout,
    WhiteCell,
    RedCell,
    Platelet,
    Optics,
    SensorRow,
    Plan,
}

/// One stream of random numbers.
pub(super) struct Draw {
    generator: ChaCha8Rng,
}

impl Draw {
    pub(super) fn new(seed: u64, purpose: Purpose, index: usize) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(((purpose as u64) << 48) | index as u64);
        Self { generator }
    }

    /// Uniform between two ends.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.generator.random::<f32>()
    }

    /// Uniform in 0..2π.
    pub(super) fn angle(&mut self) -> f32 {
        self.between(0.0, TAU)
    }

    /// About normal, of mean 0 and variance 1, never beyond ±3.5: the sum of four uniform numbers.
    pub(super) fn normal(&mut self) -> f32 {
        let sum: f32 = (0..4).map(|_| self.generator.random::<f32>()).sum();
        (sum - 2.0) * 3.0_f32.sqrt()
    }

    /// Two independent numbers as [`Draw::normal`]'s, from one word: coarse, but fast enough for every pixel.
    pub(super) fn normal_pair(&mut self) -> [f32; 2] {
        let bytes = self.generator.next_u64().to_le_bytes();
        let normal = |four: &[u8]| (four.iter().map(|byte| f32::from(*byte)).sum::<f32>() - 510.0) / 147.8;
        [normal(&bytes[..4]), normal(&bytes[4..])]
    }

    /// True with the given probability.
    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.generator.random::<f32>() < probability
    }

    /// Uniform among `low..=high`.
    pub(super) fn count(&mut self, low: usize, high: usize) -> usize {
        self.generator.random_range(low..=high.max(low))
    }

    /// Any number, to seed noise with.
    pub(super) fn seed(&mut self) -> u32 {
        self.generator.next_u32()
    }

    /// Any number, to seed another smear with.
    pub(super) fn wide_seed(&mut self) -> u64 {
        self.generator.next_u64()
    }
}
