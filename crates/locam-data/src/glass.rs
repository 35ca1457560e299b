//! How bright the light is that passes beside what is on a slide.

use crate::{DataError, ImageSource};

/// The longer side to which images are shrunk first, in pixels.
const WORK_SIDE: u32 = 800;
/// The part of an image that is darker than its glass: dust and highlights in the rest don't count.
const DARKER: f64 = 0.95;

impl ImageSource {
    /// The light of the glass in red, green and blue, from 0 to 255: what 95 % of the image have less than, in each channel by
    /// itself. Where nothing of the glass is seen, that is of what is palest.
    ///
    /// # Errors
    /// Those of decoding.
    pub fn glass(&self) -> Result<[u8; 3], DataError> {
        let reduced = self.reduced(WORK_SIDE)?;
        let mut counts = [[0_usize; 256]; 3];
        for pixel in reduced.pixels() {
            (0..3).for_each(|channel| counts[channel][usize::from(pixel.0[channel])] += 1);
        }
        let darker = (DARKER * reduced.pixels().len() as f64) as usize;
        Ok(counts.map(|counts| {
            let mut up_to = 0;
            let is_beyond = |&value: &u8| {
                up_to += counts[usize::from(value)];
                up_to > darker
            };
            (0..=u8::MAX).find(is_beyond).unwrap_or(u8::MAX)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    #[test]
    fn glass_is_what_is_brightest_but_for_highlights() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("field.png");
        // Cells on the left half, a highlight on every fiftieth pixel.
        let image = RgbImage::from_fn(200, 100, |x, y| match (x, (x + 200 * y) % 50) {
            (_, 0) => Rgb([255; 3]),
            (0..100, _) => Rgb([120, 60, 140]),
            _ => Rgb([180, 190, 150]),
        });
        image.save(&path).unwrap();
        assert_eq!(ImageSource::open(&path).unwrap().glass().unwrap(), [180, 190, 150]);
    }
}
