//! Seeded value noise: smooth, cheap, and the same at a place whatever is drawn around it.

/// Value noise over the plane with one random value per unit square's corner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise {
    seed: u32,
}

impl Noise {
    pub(super) const fn new(seed: u32) -> Self {
        Self { seed }
    }

    /// Smooth noise in 0..=1 whose features are about one unit wide.
    pub(super) fn value(self, x: f32, y: f32) -> f32 {
        let (column, row) = (x.floor(), y.floor());
        let (across, down) = (fade(x - column), fade(y - row));
        let (column, row) = (column as i32, row as i32);
        let upper = mix(self.corner(column, row), self.corner(column + 1, row), across);
        let lower = mix(self.corner(column, row + 1), self.corner(column + 1, row + 1), across);
        mix(upper, lower, down)
    }

    /// Two octaves of [`Noise::value`], turned against each other so that the lattice doesn't show; in 0..=1.
    pub(super) fn fractal(self, x: f32, y: f32) -> f32 {
        let fine = Self::new(self.seed ^ 0x68bc_21eb).value(1.24 * x - 1.66 * y, 1.66 * x + 1.24 * y);
        0.65 * self.value(0.86 * x + 0.51 * y, 0.86 * y - 0.51 * x) + 0.35 * fine
    }

    fn corner(self, column: i32, row: i32) -> f32 {
        let mut hash = self.seed
            ^ (column as u32).wrapping_mul(0x9e37_79b1)
            ^ (row as u32).wrapping_mul(0x85eb_ca77).rotate_left(16);
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x7feb_352d);
        hash = (hash ^ (hash >> 15)).wrapping_mul(0x846c_a68b);
        (hash >> 8) as f32 / (1 << 24) as f32
    }
}

/// From `a` at 0 to `b` at 1.
pub(super) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// 0 up to `from`, 1 beyond `to`, smooth between.
pub(super) fn smooth_step(from: f32, to: f32, value: f32) -> f32 {
    fade(((value - from) / (to - from)).clamp(0.0, 1.0))
}

fn fade(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stays_in_range_and_is_continuous(seed: u32, x in -1e3_f32..1e3, y in -1e3_f32..1e3) {
            let noise = Noise::new(seed);
            prop_assert!((0.0..=1.0).contains(&noise.fractal(x, y)));
            prop_assert!((noise.value(x, y) - noise.value(x + 0.01, y)).abs() < 0.05);
        }
    }

    #[test]
    fn varies_with_seed_and_place() {
        let mean = |seed| (0..400).map(|i| Noise::new(seed).value(i as f32 * 1.7, 0.5)).sum::<f32>() / 400.0;
        assert!((mean(1) - 0.5).abs() < 0.06 && (mean(2) - 0.5).abs() < 0.06);
        assert!((mean(1) - mean(2)).abs() > 1e-4);
    }
}
