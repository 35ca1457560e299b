//! Small copies of large images, to be looked at.

use super::{ImageSource, ScaledRows};
use crate::DataError;
use image::RgbImage;
use locam_core::Size;

/// Rows that are made at a time.
const STEP: usize = 64;

impl ImageSource {
    /// A copy whose longest side has at most `longest_side` pixels, made without holding the image; the image itself
    /// where that is no larger. Damaged parts of a TIFF are white.
    ///
    /// # Errors
    /// Those of decoding.
    pub fn reduced(&self, longest_side: u32) -> Result<RgbImage, DataError> {
        let size = reduced_size(self.size(), longest_side);
        let mut rows = ScaledRows::new(self, size, 0..size.width)?;
        let (height, pitch) = (size.height as usize, 3 * size.width as usize);
        let mut image = RgbImage::new(size.width, size.height);
        for (number, into) in image.chunks_mut(STEP * pitch).enumerate() {
            let from = number * STEP;
            let (pixels, first) = rows.rows(from..(from + STEP).min(height))?;
            into.copy_from_slice(&pixels[(from - first) * pitch..][..into.len()]);
        }
        Ok(image)
    }
}

/// `size` with its aspect, and no side longer than that.
fn reduced_size(size: Size, longest_side: u32) -> Size {
    let longest = size.width.max(size.height);
    if longest <= longest_side {
        return size;
    }
    let factor = f64::from(longest_side) / f64::from(longest);
    let side = |length: u32| ((f64::from(length) * factor).round() as u32).max(1);
    Size::new(side(size.width), side(size.height))
}
