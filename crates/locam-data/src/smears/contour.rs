//! Outlines of cells and nuclei.

use super::random::Draw;
use std::f32::consts::TAU;

/// Directions at which a contour's radius is kept.
const DIRECTIONS: usize = 256;

/// A star-shaped outline around the origin: a radius for every direction.
#[derive(Clone, Debug)]
pub(super) struct Contour {
    radii: Vec<f32>,
}

impl Contour {
    /// A circle of `radius` that is stretched to a length-to-width ratio of about `1 + elongation` and dented by
    /// random waves of 3 to 8 periods, the largest of which move the outline by about `roughness` of the radius.
    pub(super) fn random(draw: &mut Draw, radius: f32, elongation: f32, roughness: f32) -> Self {
        let mut waves = vec![(2.0, elongation / 2.0, draw.angle())];
        for periods in 3..9 {
            let periods = periods as f32;
            // Falling with the period, as a membrane under tension does.
            waves.push((periods, roughness * draw.normal() * (3.0 / periods).powf(1.7), draw.angle()));
        }
        let radius_towards = |angle: f32| {
            radius
                * waves
                    .iter()
                    .fold(1.0, |sum, (periods, depth, phase)| sum + depth * (periods * angle + phase).cos())
        };
        let radii =
            (0..DIRECTIONS).map(|i| radius_towards(i as f32 / DIRECTIONS as f32 * TAU).max(0.2 * radius));
        Self { radii: radii.collect() }
    }

    /// Pushes the outline inwards around `angle` by `depth` of the radius, over about `width` radians each way.
    pub(super) fn notch(&mut self, angle: f32, depth: f32, width: f32) {
        for (i, radius) in self.radii.iter_mut().enumerate() {
            let apart = (i as f32 / DIRECTIONS as f32 * TAU - angle).rem_euclid(TAU);
            let apart = apart.min(TAU - apart) / width;
            *radius *= 1.0 - depth * (-apart * apart).exp();
        }
    }

    /// The radius towards (`x`, `y`).
    pub(super) fn radius_towards(&self, x: f32, y: f32) -> f32 {
        let turn = (y.atan2(x) / TAU).rem_euclid(1.0) * DIRECTIONS as f32;
        let before = turn as usize % DIRECTIONS;
        let after = (before + 1) % DIRECTIONS;
        super::noise::mix(self.radii[before], self.radii[after], turn.fract())
    }

    /// About the distance of (`x`, `y`) from the outline; negative inside.
    pub(super) fn signed_distance(&self, x: f32, y: f32) -> f32 {
        x.hypot(y) - self.radius_towards(x, y)
    }

    /// The largest radius.
    pub(super) fn reach(&self) -> f32 {
        self.radii.iter().copied().fold(0.0, f32::max)
    }
}
