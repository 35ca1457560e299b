//! From densities on the slide to a camera's picture: lamp, focus, sensor.

use super::canvas::Canvas;
use super::noise::{Noise, mix, smooth_step};
use super::random::{Draw, Purpose};
use super::stain::Stain;
use crate::blur::{add_blurred_columns, add_blurred_row, gaussian};
use image::RgbImage;
use locam_core::Size;
use rayon::prelude::*;

/// Everything between slide and file that varies from field to field.
struct Optics {
    lamp: Lamp,
    /// Standard deviation of the blur where the slide is out of focus, in pixels.
    blur: f32,
    /// Where it is: noise over the image, whose features are `focus_scale` pixels wide.
    focus: Noise,
    focus_scale: f32,
    /// The least and the most of the blurred picture that is mixed in.
    focus_range: [f32; 2],
    /// Standard deviation of the sensor's noise, of 255.
    noise: f32,
}

/// How bright each place is lit.
struct Lamp {
    /// The brightest place, in units of the image's larger side.
    center: [f32; 2],
    falloff: f32,
    /// Slow stains of the medium: noise, its feature size in pixels, and its strength.
    film: Noise,
    film_scale: f32,
    film_depth: f32,
    /// Dust on the sensor's glass: centre and radius in pixels, depth.
    dust: Vec<([f32; 2], f32, f32)>,
}

/// Takes the picture.
pub(super) fn develop(canvas: Canvas, stain: &Stain, pixels_per_micrometre: f32, seed: u64) -> RgbImage {
    let draw = &mut Draw::new(seed, Purpose::Optics, 0);
    let size = canvas.size;
    if size.area() == 0 {
        return RgbImage::new(size.width, size.height);
    }
    let optics = Optics::random(size, pixels_per_micrometre, draw);
    let mut light = optics.lamp.shine_through(canvas, stain);
    optics.defocus(&mut light, size.width as usize);
    optics.expose(&light, size, seed)
}

impl Optics {
    fn random(size: Size, pixels_per_micrometre: f32, draw: &mut Draw) -> Self {
        let least = draw.between(0.1, 0.7);
        Self {
            lamp: Lamp::random(size, pixels_per_micrometre, draw),
            blur: (draw.between(0.1, 0.22) * pixels_per_micrometre).max(0.5),
            focus: Noise::new(draw.seed()),
            focus_scale: draw.between(25.0, 50.0) * pixels_per_micrometre,
            focus_range: [least, (least + draw.between(0.1, 0.6)).min(1.0)],
            noise: draw.between(1.2, 3.2),
        }
    }

    /// Mixes the picture with a blurred one, more where the slide is out of focus.
    fn defocus(&self, light: &mut [[f32; 3]], width: usize) {
        let kernel = gaussian(self.blur);
        let mut across = vec![[0.0; 3]; light.len()];
        across
            .par_chunks_mut(width)
            .zip(light.par_chunks(width))
            .for_each(|(out, line)| add_blurred_row(out, line, &kernel));
        light.par_chunks_mut(width).enumerate().for_each(|(row, line)| {
            let mut soft = vec![[0.0; 3]; width];
            add_blurred_columns(&mut soft, &across, row, &kernel);
            for (column, (sharp, soft)) in line.iter_mut().zip(&soft).enumerate() {
                let place = self.focus.value(column as f32 / self.focus_scale, row as f32 / self.focus_scale);
                let share = mix(self.focus_range[0], self.focus_range[1], place);
                for (sharp, soft) in sharp.iter_mut().zip(soft) {
                    *sharp = mix(*sharp, *soft, share);
                }
            }
        });
    }

    /// Adds the sensor's noise, mostly of brightness, and rounds.
    fn expose(&self, light: &[[f32; 3]], size: Size, seed: u64) -> RgbImage {
        let width = size.width as usize;
        let mut image = RgbImage::new(size.width, size.height);
        image.par_chunks_exact_mut(3 * width).enumerate().for_each(|(row, pixels)| {
            // A stream per row, so that any number of threads gives the same noise.
            let draw = &mut Draw::new(seed, Purpose::SensorRow, row);
            let mut before = 0.0;
            for (pixel, light) in pixels.chunks_exact_mut(3).zip(&light[row * width..]) {
                let [brightness, blue] = draw.normal_pair();
                // Demosaicing smears noise over neighbours.
                let grey = 0.75 * brightness + 0.55 * before;
                before = brightness;
                let noise = [grey, grey - 0.25 * blue, grey + 0.45 * blue].map(|value| value * self.noise);
                for ((value, light), noise) in pixel.iter_mut().zip(light).zip(noise) {
                    *value = (light + noise).round().clamp(0.0, 255.0) as u8;
                }
            }
        });
        image
    }
}

impl Lamp {
    fn random(size: Size, pixels_per_micrometre: f32, draw: &mut Draw) -> Self {
        let extent = [size.width as f32, size.height as f32];
        let larger = extent[0].max(extent[1]);
        let center = extent.map(|side| side / larger * draw.between(0.25, 0.75));
        let specks = draw.count(0, 7);
        let mut speck = |_| {
            let place = extent.map(|side| side * draw.between(0.0, 1.0));
            (place, draw.between(0.35, 1.1) * pixels_per_micrometre, draw.between(0.015, 0.07))
        };
        let dust = (0..specks).map(&mut speck).collect();
        Self {
            center,
            falloff: draw.between(0.03, 0.3),
            film: Noise::new(draw.seed()),
            film_scale: draw.between(12.0, 30.0) * pixels_per_micrometre,
            film_depth: draw.between(0.01, 0.05),
            dust,
        }
    }

    /// Light of 255 after the slide (Beer and Lambert: it falls exponentially with the density).
    fn shine_through(&self, canvas: Canvas, stain: &Stain) -> Vec<[f32; 3]> {
        let width = canvas.size.width as usize;
        let larger = canvas.size.width.max(canvas.size.height) as f32;
        let mut light = canvas.density;
        light.par_chunks_mut(width).enumerate().for_each(|(row, line)| {
            let y = row as f32 + 0.5;
            for (column, light) in line.iter_mut().enumerate() {
                let x = column as f32 + 0.5;
                let off = [x / larger - self.center[0], y / larger - self.center[1]];
                let film = self.film.fractal(x / self.film_scale, y / self.film_scale) - 0.5;
                let lit = (1.0 - self.falloff * (off[0] * off[0] + off[1] * off[1])) * self.behind_dust(x, y);
                for (value, background) in light.iter_mut().zip(stain.background) {
                    *value = background * lit * (-*value - self.film_depth * film).exp();
                }
            }
        });
        light
    }

    /// The share of light that dust lets through: faint rings, since it lies far out of focus.
    fn behind_dust(&self, x: f32, y: f32) -> f32 {
        let mut share = 1.0;
        for &([speck_x, speck_y], radius, depth) in &self.dust {
            let (across, down) = (x - speck_x, y - speck_y);
            if across.abs() < 2.0 * radius && down.abs() < 2.0 * radius {
                let from_middle = across.hypot(down) / radius;
                let disc = 1.0 - smooth_step(0.8, 1.3, from_middle);
                share *= 1.0 - depth * disc * mix(0.3, 1.0, smooth_step(0.2, 0.9, from_middle));
            }
        }
        share
    }
}
