//! Red cells and platelets.

use super::canvas::Canvas;
use super::contour::Contour;
use super::layout::RED_CELL_DIAMETER;
use super::noise::{Noise, mix, smooth_step};
use super::random::Draw;
use super::stain::Stain;

/// What red cells of one slide have in common.
pub(super) struct RedCellStyle {
    /// How pale their middles are, 0..=1.
    pallor: f32,
    /// How much brighter than the background the ring of light around them is.
    halo: f32,
    /// How much they depart from circles.
    roughness: f32,
    /// How many have a refractile ring in the middle: drying water, common on badly dried slides.
    refractile_share: f32,
}

impl RedCellStyle {
    pub(super) fn random(draw: &mut Draw) -> Self {
        Self {
            pallor: draw.between(0.4, 0.8),
            halo: draw.between(0.01, 0.06),
            roughness: draw.between(0.012, 0.035),
            refractile_share: if draw.chance(0.4) { draw.between(0.02, 0.25) } else { 0.0 },
        }
    }
}

/// One red cell, in units of its own radius at every direction: 0 in the middle, 1 at the rim.
struct Profile {
    /// Optical density of the rim, in layers.
    depth: f32,
    pallor: f32,
    pallor_radius: f32,
    /// Width of the slope between rim and middle.
    slope: f32,
    refractile: f32,
}

impl Profile {
    fn random(style: &RedCellStyle, draw: &mut Draw) -> Self {
        let pale = !draw.chance(0.12);
        Self {
            depth: draw.between(0.82, 1.15),
            pallor: if pale { (style.pallor + 0.12 * draw.normal()).clamp(0.05, 0.92) } else { 0.06 },
            pallor_radius: draw.between(0.3, 0.55),
            slope: draw.between(0.22, 0.34),
            refractile: if draw.chance(style.refractile_share) { draw.between(0.12, 0.3) } else { 0.0 },
        }
    }

    /// Layers of haemoglobin at `from_middle`; negative where the cell's edges bend light towards the eye.
    fn layers(&self, from_middle: f32, from_pallor: f32) -> f32 {
        let middle =
            1.0 - smooth_step(self.pallor_radius - self.slope, self.pallor_radius + self.slope, from_pallor);
        let shoulder = bump((from_middle - 0.9) / 0.09);
        let ring = bump((from_pallor - 0.3) / 0.05) - 0.9 * bump((from_pallor - 0.2) / 0.07);
        self.depth * (0.94 + 0.16 * shoulder) * (1.0 - self.pallor * middle) + self.refractile * 3.0 * ring
    }
}

fn bump(x: f32) -> f32 {
    (-x * x).exp()
}

/// Draws a red cell.
pub(super) fn paint_red_cell(
    canvas: &mut Canvas,
    center: [f32; 2],
    pixels_per_micrometre: f32,
    (stain, style): (&Stain, &RedCellStyle),
    draw: &mut Draw,
) {
    let radius = RED_CELL_DIAMETER / 2.0 * pixels_per_micrometre * (1.0 + 0.07 * draw.normal());
    let stretched = if draw.chance(0.16) { draw.between(0.2, 0.55) } else { draw.between(0.0, 0.16) };
    let outline = Contour::random(draw, radius, stretched, style.roughness);
    let profile = Profile::random(style, draw);
    let shift = [0.1, 0.1].map(|by: f32| by * draw.normal());
    let unevenness = Noise::new(draw.seed());
    let softness = (0.14 * pixels_per_micrometre).max(0.8);
    let halo_width = 0.35 * pixels_per_micrometre;
    let reach = outline.reach() + 3.0 * halo_width;
    canvas.paint(center, reach, |mut spot| {
        let edge = outline.radius_towards(spot.x, spot.y);
        let outside = spot.x.hypot(spot.y) - edge;
        if outside > 3.0 * halo_width {
            return;
        }
        let covered = (0.5 - outside / (2.0 * softness)).clamp(0.0, 1.0);
        let from_middle = 1.0 + outside / edge;
        let from_pallor = (spot.x / edge - shift[0]).hypot(spot.y / edge - shift[1]);
        let grain = 0.9 + 0.2 * unevenness.value(spot.x / radius * 2.2, spot.y / radius * 2.2);
        let layers = covered * grain * profile.layers(from_middle, from_pallor);
        let halo = style.halo * bump((outside - halo_width) / halo_width) * (1.0 - covered);
        // Cells flatten where they lie on each other, so the densities of two add up to less than their sum.
        spot.keep(1.0 - 0.36 * covered);
        spot.add(&stain.haemoglobin, layers);
        spot.add(&[1.0; 3], -halo);
    });
}

/// Draws a platelet: a pale blue disc with a cluster of purple granules.
pub(super) fn paint_platelet(
    canvas: &mut Canvas,
    center: [f32; 2],
    pixels_per_micrometre: f32,
    stain: &Stain,
    draw: &mut Draw,
) {
    let radius = draw.between(0.9, 1.6) * pixels_per_micrometre;
    let elongation = draw.between(0.0, 0.45);
    let outline = Contour::random(draw, radius, elongation, 0.08);
    let granules = Noise::new(draw.seed());
    let strength = draw.between(0.7, 1.25);
    let softness = 0.22 * pixels_per_micrometre + 0.6;
    canvas.paint(center, outline.reach() + 2.0 * softness, |mut spot| {
        let outside = outline.signed_distance(spot.x, spot.y);
        let covered = (0.5 - outside / (2.0 * softness)).clamp(0.0, 1.0);
        let inner = smooth_step(0.1, -0.6, outside / radius);
        let grain = 0.5 * pixels_per_micrometre;
        let cluster = smooth_step(0.35, 0.75, granules.fractal(spot.x / grain, spot.y / grain));
        spot.keep(1.0 - 0.45 * covered);
        spot.add(&stain.basophilic, covered * strength * 0.4);
        spot.add(&stain.acidophilic, covered * strength * 0.35);
        spot.add(&stain.chromatin, covered * strength * inner * mix(0.12, 0.36, cluster));
    });
}
