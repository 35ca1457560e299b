//! A patch with what is known of its surroundings.

use crate::{Crop, cut};
use image::RgbImage;
use std::borrow::Cow;

/// A piece of an image that holds a square patch and may reach beyond it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// Rows, columns, RGB.
    pub pixels: Cow<'a, [u8]>,
    /// Columns of the piece.
    pub width: usize,
    /// Rows of the piece.
    pub height: usize,
    /// The patch's first column in the piece.
    pub left: usize,
    /// The patch's first row in the piece.
    pub top: usize,
}

impl<'a> View<'a> {
    /// A patch alone.
    pub fn of_patch(pixels: &'a [u8], side: usize) -> Self {
        Self { pixels: pixels.into(), width: side, height: side, left: 0, top: 0 }
    }

    /// The patch of `side` by `side` pixels.
    ///
    /// # Panics
    /// If the piece does not hold it.
    pub fn patch(&self, side: usize) -> Cow<'_, [u8]> {
        if (self.width, self.height) == (side, side) {
            return Cow::Borrowed(&self.pixels);
        }
        let rows = (self.top..self.top + side).flat_map(|y| {
            let start = 3 * (y * self.width + self.left);
            &self.pixels[start..start + 3 * side]
        });
        Cow::Owned(rows.copied().collect())
    }
}

/// The window with up to `margin` pixels more on every side, as far as the image reaches, and the window's place in that.
pub(crate) fn surroundings(image: &RgbImage, crop: Crop, margin: u32) -> (RgbImage, [u32; 2]) {
    if margin == 0 {
        return (cut(image, crop), [0, 0]);
    }
    let span = |first: i64, length: u32| {
        let last = first + i64::from(crop.side);
        let from = (first - i64::from(margin)).max(0).min(first);
        let to = (last + i64::from(margin)).min(length.into()).max(last);
        (from, (to - from) as u32, (first - from) as u32)
    };
    let (left, width, inner_left) = span(crop.left, image.width());
    let (top, height, inner_top) = span(crop.top, image.height());
    let square = cut(image, Crop { left, top, side: width.max(height) });
    (image::imageops::crop_imm(&square, 0, 0, width, height).to_image(), [inner_left, inner_top])
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn image() -> RgbImage {
        RgbImage::from_fn(20, 10, |x, y| Rgb([x as u8, y as u8, 0]))
    }

    #[test]
    fn surroundings_end_where_the_image_does() {
        let crop = Crop { left: 2, top: 4, side: 5 };
        let (piece, inner) = surroundings(&image(), crop, 3);
        assert_eq!((piece.dimensions(), inner), ((10, 9), [2, 3]));
        assert_eq!(piece.get_pixel(0, 0).0, [0, 1, 0]);
        assert_eq!(piece.get_pixel(9, 8).0, [9, 9, 0]);
    }

    #[test]
    fn the_patch_is_the_window_whatever_surrounds_it() {
        for crop in [Crop { left: 2, top: 4, side: 5 }, Crop { left: -3, top: 6, side: 7 }] {
            for margin in [0, 1, 30] {
                let (piece, [left, top]) = surroundings(&image(), crop, margin);
                let [width, height, left, top] =
                    [piece.width(), piece.height(), left, top].map(|pixels| pixels as usize);
                let view = View { pixels: piece.as_raw().into(), width, height, left, top };
                assert_eq!(*view.patch(crop.side as usize), **cut(&image(), crop).as_raw());
            }
        }
    }
}
