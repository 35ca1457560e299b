//! How the light and the stain of a smear look on an image.

use crate::histogram::{Histogram, histogram, otsu, quantile};
use crate::{DataError, ImageSource};
use image::RgbImage;

/// The longer side to which images are shrunk first, in pixels.
const WORK_SIDE: u32 = 800;
/// The part of an image that is darker than its glass: dust and highlights in the rest don't count.
const DARKER: f64 = 0.95;
/// What lets less of the light pass is no red cell but a nucleus, or a clump.
const LEAST_LIGHT: f64 = 0.5;
/// The least density of a cell; what is fainter is an uneven ground.
const LEAST_DENSITY: f64 = 0.1;

/// The light and the stain of a smear.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Appearance {
    /// The light of the glass in red, green and blue, from 0 to 255: what 95 % of the image have less than, in each channel by
    /// itself. Where nothing of the glass is seen, that is of what is palest.
    pub glass: [u8; 3],
    /// The optical density of most cells in green, where both dyes and haemoglobin are dark: the natural logarithm of the glass's light
    /// over theirs. On a blood smear these are red cells: what lets less than half of the light pass doesn't count. `None` where
    /// nothing on the glass is darker than it by a tenth.
    pub density: Option<f64>,
}

impl ImageSource {
    /// How the light and the stain look.
    ///
    /// # Errors
    /// Those of decoding.
    pub fn appearance(&self) -> Result<Appearance, DataError> {
        Ok(appearance(&self.reduced(WORK_SIDE)?))
    }
}

fn appearance(image: &RgbImage) -> Appearance {
    let channels = [0, 1, 2].map(|channel| histogram(image.pixels().map(|pixel| pixel.0[channel])));
    let glass = channels.map(|counts| quantile(&counts, DARKER));
    let density = (f64::from(glass[1]) / f64::from(usual_cell(channels[1], glass[1]).max(1))).ln();
    Appearance { glass, density: Some(density).filter(|&density| density >= LEAST_DENSITY) }
}

/// The middle value of what is darker than the glass, nuclei and clumps aside.
fn usual_cell(mut green: Histogram, glass: u8) -> u8 {
    green[..(LEAST_LIGHT * f64::from(glass)) as usize].fill(0);
    let threshold = usize::from(otsu(&green));
    green[threshold + 1..].fill(0);
    quantile(&green, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn glass_is_what_is_brightest_but_for_highlights_and_cells_are_paler_than_nuclei() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("field.png");
        // Cells on the left half, a nucleus among them, a highlight on every fiftieth pixel.
        let image = RgbImage::from_fn(200, 100, |x, y| match (x, (x + 200 * y) % 50) {
            (_, 0) => Rgb([255; 3]),
            (0..40, _) => Rgb([90, 50, 140]),
            (40..100, _) => Rgb([160, 120, 130]),
            _ => Rgb([180, 190, 150]),
        });
        image.save(&path).unwrap();
        let Appearance { glass, density } = ImageSource::open(&path).unwrap().appearance().unwrap();
        assert_eq!(glass, [180, 190, 150]);
        assert!((density.unwrap() - (190.0_f64 / 120.0).ln()).abs() < 1e-9, "{density:?}");
    }

    #[test]
    fn an_empty_glass_has_no_cells() {
        for image in [
            RgbImage::from_pixel(50, 40, Rgb([200; 3])),
            RgbImage::from_fn(50, 40, |x, _| Rgb([(200 + x % 12) as u8; 3])),
            RgbImage::new(30, 20),
        ] {
            assert_eq!(appearance(&image).density, None);
        }
    }
}
