//! Smears in the light and the stain that a model knows.

use crate::Error;
use locam_core::Stain;
use locam_data::{Appearance, CellAppearance, ImageSource};

/// The part of the usual chroma to which paler cells are brought: 0.2 for BCCD, of whose fields most have 0.22 to 0.33.
const PALE: f64 = 0.75;
/// The least and the most by which a channel's light is multiplied. In the dark there is only noise.
const LIGHT: [f64; 2] = [0.8, 2.5];
/// The least and the most by which densities are multiplied.
const CONTRAST: [f64; 2] = [0.6, 2.5];
/// Cells with less than this part of that chroma are grey by their stain, not by the camera.
const GREY: f64 = 0.5;
/// The most by which colours are multiplied.
const SATURATION: f64 = 1.5;

/// What becomes of pixels.
#[derive(Debug)]
pub(crate) struct StainNormalization {
    /// What becomes of each value of the three channels.
    values: [[u8; 256]; 3],
    /// What their difference from grey is multiplied by after that.
    saturation: f32,
}

impl StainNormalization {
    /// Brings the glass of an image to the light that it usually has where a model learned, each channel by itself, and most of its cells
    /// to their density there; and makes them more colourful where they are much paler.
    ///
    /// # Errors
    /// Those of decoding.
    pub(crate) fn of(source: &ImageSource, usual: &Stain) -> Result<Self, Error> {
        Ok(Self::from_appearance(source.appearance()?, usual))
    }

    fn from_appearance(Appearance { glass, cells }: Appearance, usual: &Stain) -> Self {
        let contrast =
            |cells: CellAppearance| (usual.density / cells.density).clamp(CONTRAST[0], CONTRAST[1]);
        let contrast = cells.map_or(1.0, contrast);
        let values = std::array::from_fn(|channel| {
            let light = f64::from(glass[channel].max(1));
            let brightest = light * (usual.glass[channel] / light).clamp(LIGHT[0], LIGHT[1]);
            // A density is a logarithm, so that to multiply it is a power.
            let normalized = |value: usize| brightest * (value as f64 / light).powf(contrast);
            std::array::from_fn(|value| normalized(value).round().min(255.0) as u8)
        });
        let palest = PALE * usual.chroma;
        let pale = cells.filter(|cells| cells.chroma >= GREY * palest);
        let saturation = pale.map_or(1.0, |cells| (palest / cells.chroma).clamp(1.0, SATURATION));
        Self { values, saturation: saturation as f32 }
    }

    /// Brings pixels to that light and stain.
    pub(crate) fn apply(&self, pixels: &mut [u8]) {
        for pixel in pixels.as_chunks_mut().0 {
            let [red, green, blue] = pixel.map(usize::from);
            *pixel = [self.values[0][red], self.values[1][green], self.values[2][blue]];
            if self.saturation > 1.0 {
                self.saturate(pixel);
            }
        }
    }

    fn saturate(&self, pixel: &mut [u8; 3]) {
        let channels = pixel.map(f32::from);
        let grey = channels.iter().sum::<f32>() / 3.0;
        *pixel = channels.map(|value| (grey + self.saturation * (value - grey)).round() as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENSITY: f64 = 0.29;
    /// Below it cells are pale.
    const CHROMA: f64 = 0.2;

    fn normalized(glass: [u8; 3], cells: Option<(f64, f64)>, pixels: &[u8]) -> Vec<u8> {
        let mut pixels = pixels.to_vec();
        let cells = cells.map(|(density, chroma)| CellAppearance { density, chroma });
        let usual = Stain { glass: [210.0; 3], density: DENSITY, chroma: CHROMA / PALE };
        StainNormalization::from_appearance(Appearance { glass, cells }, &usual).apply(&mut pixels);
        pixels
    }

    #[test]
    fn glass_comes_out_as_in_training_and_black_stays_black() {
        let pixels = [105, 210, 84, 0, 0, 0, 50, 250, 200];
        let expected = [210, 210, 210, 0, 0, 0, 100, 250, 255];
        assert_eq!(normalized([105, 210, 84], Some((DENSITY, CHROMA)), &pixels), expected);
        assert_eq!(normalized([105, 210, 84], None, &pixels), expected);
    }

    #[test]
    fn cells_come_out_as_dense_as_in_training() {
        for density in [0.15, 0.29, 0.45] {
            let cell = (190.0 * f64::exp(-density)).round() as u8;
            let expected = 210.0 * f64::exp(-DENSITY);
            let green = normalized([150, 190, 160], Some((density, CHROMA)), &[150, cell, 160])[1];
            assert!((f64::from(green) - expected).abs() <= 2.0, "{green} for {expected}");
        }
    }

    #[test]
    fn pale_cells_come_out_with_more_colour_and_others_with_theirs() {
        let pixels = [120, 90, 150, 210, 210, 210, 10, 0, 230];
        assert_eq!(normalized([210; 3], Some((DENSITY, 2.0 * CHROMA)), &pixels), pixels);
        let stronger = [120, 78, 162, 210, 210, 210, 0, 0, 255];
        assert_eq!(normalized([210; 3], Some((DENSITY, CHROMA / 1.4)), &pixels), stronger);
        let strongest = [120, 75, 165];
        assert_eq!(normalized([210; 3], Some((DENSITY, 1.01 * GREY * CHROMA)), &pixels[..3]), strongest);
        // Greyer ones are so by their stain.
        assert_eq!(normalized([210; 3], Some((DENSITY, 0.0)), &pixels), pixels);
    }

    #[test]
    fn images_are_not_made_of_noise() {
        let cells = Some((DENSITY, CHROMA));
        assert_eq!(normalized([0, 20, 255], cells, &[10, 20, 255]), [25, 50, 210]);
        assert_eq!(normalized([210; 3], Some((0.01, CHROMA)), &[210, 168, 105]), [210, 120, 37]);
    }
}
