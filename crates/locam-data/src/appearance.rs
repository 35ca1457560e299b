//! How the light and the stain of a smear look on an image.

use crate::histogram::{Histogram, histogram, otsu, quantile};
use crate::{DataError, ImageSource};
use image::{Rgb, RgbImage};

/// The longer side to which images are shrunk first, in pixels.
const WORK_SIDE: u32 = 800;
/// The part of an image that is darker than its glass: dust and highlights in the rest don't count.
const DARKER: f64 = 0.95;
/// What lets less of the light pass is no red cell but a nucleus, or a clump.
const LEAST_LIGHT: f64 = 0.5;
/// The least density of a cell; what is fainter is an uneven ground.
const LEAST_DENSITY: f64 = 0.1;
/// The least darkness that a chroma is divided by.
const LEAST_DARKNESS: f64 = 0.02;

/// The light and the stain of a smear.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Appearance {
    /// The light of the glass in red, green and blue, from 0 to 255: what 95 % of the image have less than, in each channel by
    /// itself. Where nothing of the glass is seen, that is of what is palest.
    pub glass: [u8; 3],
    /// How most cells look; `None` where nothing on the glass is darker than it by a tenth.
    pub cells: Option<CellAppearance>,
}

/// How most cells of a smear look. On a blood smear these are red cells: what lets less than half of the light pass doesn't count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellAppearance {
    /// Their optical density in green, where both dyes and haemoglobin are dark: the natural logarithm of the glass's light over theirs.
    pub density: f64,
    /// How far they are from grey, beside how dark they are: the root mean square by which their channels differ from the mean of the
    /// channels, over what that mean lacks to the glass, both with each channel as a part of the glass's. 0 is grey.
    pub chroma: f64,
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
    let cells = cell_greens(channels[1], glass[1]);
    let density = (f64::from(glass[1]) / f64::from(quantile(&cells, 0.5).max(1))).ln();
    let look = || CellAppearance { density, chroma: usual_chroma(image, glass, &cells) };
    Appearance { glass, cells: (density >= LEAST_DENSITY).then(look) }
}

/// The values in green of what is darker than the glass, nuclei and clumps aside.
fn cell_greens(mut green: Histogram, glass: u8) -> Histogram {
    green[..(LEAST_LIGHT * f64::from(glass)) as usize].fill(0);
    let threshold = usize::from(otsu(&green));
    green[threshold + 1..].fill(0);
    green
}

/// The middle chroma of the pixels whose green is some cell's.
fn usual_chroma(image: &RgbImage, glass: [u8; 3], cells: &Histogram) -> f64 {
    let light: [[f64; 256]; 3] =
        glass.map(|glass| std::array::from_fn(|value| value as f64 / f64::from(glass.max(1))));
    let of_cells = image.pixels().filter(|pixel| cells[usize::from(pixel.0[1])] > 0);
    let chroma = |pixel: &Rgb<u8>| {
        let light: [f64; 3] = std::array::from_fn(|i| light[i][usize::from(pixel.0[i])]);
        let mean = light.iter().sum::<f64>() / 3.0;
        let variance = light.iter().map(|light| (light - mean).powi(2)).sum::<f64>() / 3.0;
        variance.sqrt() / (1.0 - mean).max(LEAST_DARKNESS)
    };
    let mut chromas: Vec<f64> = of_cells.map(chroma).collect();
    let middle = chromas.len() / 2;
    *chromas.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let Appearance { glass, cells } = ImageSource::open(&path).unwrap().appearance().unwrap();
        assert_eq!(glass, [180, 190, 150]);
        let CellAppearance { density, chroma } = cells.unwrap();
        assert!((density - (190.0_f64 / 120.0).ln()).abs() < 1e-9, "{density}");
        // 0.889, 0.632 and 0.867 of the glass: 0.796 in the mean, and 0.116 around it.
        assert!((chroma - 0.570).abs() < 1e-3, "{chroma}");
    }

    #[test]
    fn grey_cells_have_no_chroma_and_half_of_the_colour_has_half_of_it() {
        let chroma = |cell| {
            let image = RgbImage::from_fn(60, 60, |x, _| Rgb(if x < 30 { cell } else { [200; 3] }));
            appearance(&image).cells.unwrap().chroma
        };
        assert!(chroma([150; 3]).abs() < 1e-9);
        let [half, whole] = [[160, 145, 145], [170, 140, 140]].map(chroma);
        assert!(whole > 0.2 && (whole - 2.0 * half).abs() < 1e-9, "{half} {whole}");
    }

    #[test]
    fn an_empty_glass_has_no_cells() {
        for image in [
            RgbImage::from_pixel(50, 40, Rgb([200; 3])),
            RgbImage::from_fn(50, 40, |x, _| Rgb([(200 + x % 12) as u8; 3])),
            RgbImage::new(30, 20),
        ] {
            assert_eq!(appearance(&image).cells, None);
        }
    }
}
