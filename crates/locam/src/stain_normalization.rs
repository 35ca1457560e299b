//! Smears in the light and the stain that a model knows.

use crate::Error;
use locam_data::{Appearance, ImageSource};

/// The light of the glass on the images that the ready model learned from: BCCD's have 202 to 214 in every channel, generated ones 181
/// to 231.
const GLASS: f64 = 210.0;
/// The density of most cells there: BCCD's fields have 0.20 to 0.35, generated ones 0.20 to 0.44.
const DENSITY: f64 = 0.29;
/// The least and the most by which a channel's light is multiplied. In the dark there is only noise.
const LIGHT: [f64; 2] = [0.8, 2.5];
/// The least and the most by which densities are multiplied.
const CONTRAST: [f64; 2] = [0.6, 2.5];

/// What becomes of each value of the three channels.
#[derive(Debug)]
pub(crate) struct StainNormalization([[u8; 256]; 3]);

impl StainNormalization {
    /// Brings the glass of an image to the light of training, each channel by itself, and most of its cells to the density of
    /// training.
    ///
    /// # Errors
    /// Those of decoding.
    pub(crate) fn of(source: &ImageSource) -> Result<Self, Error> {
        Ok(Self::from_appearance(source.appearance()?))
    }

    fn from_appearance(Appearance { glass, density }: Appearance) -> Self {
        let contrast = density.map_or(1.0, |density| (DENSITY / density).clamp(CONTRAST[0], CONTRAST[1]));
        Self(glass.map(|light| {
            let light = f64::from(light.max(1));
            let brightest = light * (GLASS / light).clamp(LIGHT[0], LIGHT[1]);
            // A density is a logarithm, so that to multiply it is a power.
            let normalized = |value: usize| brightest * (value as f64 / light).powf(contrast);
            std::array::from_fn(|value| normalized(value).round().min(255.0) as u8)
        }))
    }

    /// The pixels in that light and stain, in place of what `into` held.
    pub(crate) fn apply(&self, pixels: &[u8], into: &mut Vec<u8>) {
        into.clear();
        into.extend(
            pixels.iter().zip((0..3).cycle()).map(|(&value, channel)| self.0[channel][usize::from(value)]),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(glass: [u8; 3], density: Option<f64>, pixels: &[u8]) -> Vec<u8> {
        let mut into = vec![9];
        StainNormalization::from_appearance(Appearance { glass, density }).apply(pixels, &mut into);
        into
    }

    #[test]
    fn glass_comes_out_as_in_training_and_black_stays_black() {
        let pixels = [105, 210, 84, 0, 0, 0, 50, 250, 200];
        let expected = [210, 210, 210, 0, 0, 0, 100, 250, 255];
        assert_eq!(normalized([105, 210, 84], Some(DENSITY), &pixels), expected);
        assert_eq!(normalized([105, 210, 84], None, &pixels), expected);
    }

    #[test]
    fn cells_come_out_as_dense_as_in_training() {
        for density in [0.15, 0.29, 0.45] {
            let cell = (190.0 * f64::exp(-density)).round() as u8;
            let expected = 210.0 * f64::exp(-DENSITY);
            let green = normalized([150, 190, 160], Some(density), &[150, cell, 160])[1];
            assert!((f64::from(green) - expected).abs() <= 2.0, "{green} for {expected}");
        }
    }

    #[test]
    fn images_are_not_made_of_noise() {
        assert_eq!(normalized([0, 20, 255], Some(DENSITY), &[10, 20, 255]), [25, 50, 210]);
        assert_eq!(normalized([210; 3], Some(0.01), &[210, 168, 105]), [210, 120, 37]);
    }
}
