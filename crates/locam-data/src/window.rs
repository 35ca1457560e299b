//! Windows of an image.

use crate::Crop;
use image::RgbImage;

/// Cuts a square window out of an image; where it reaches over the border, the border pixel is repeated.
///
/// # Panics
/// If the image has no pixels, which [`read_rgb`](crate::read_rgb) never returns.
pub fn cut(image: &RgbImage, crop: Crop) -> RgbImage {
    let (width, height) = (i64::from(image.width()), i64::from(image.height()));
    assert!(width > 0 && height > 0, "an image without pixels has no border to repeat");
    let source_byte = |x: u32| 3 * crop.left.saturating_add(x.into()).clamp(0, width - 1) as usize;
    let source_row = |y: u32| crop.top.saturating_add(y.into()).clamp(0, height - 1) as usize;
    let stride = 3 * width as usize;
    let mut window = RgbImage::new(crop.side, crop.side);
    for (y, row) in (0..crop.side).zip(window.chunks_exact_mut(3 * crop.side.max(1) as usize)) {
        let source = &image.as_raw()[source_row(y) * stride..][..stride];
        for (x, pixel) in (0..crop.side).zip(row.chunks_exact_mut(3)) {
            pixel.copy_from_slice(&source[source_byte(x)..][..3]);
        }
    }
    window
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use proptest::prelude::*;

    fn numbered(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 7]))
    }

    proptest! {
        #[test]
        fn every_pixel_is_the_nearest_one_of_the_image(
            (width, height) in (1_u32..9, 1_u32..9),
            (left, top) in (-12_i64..20, -12_i64..20),
            side in 1_u32..12,
        ) {
            let window = cut(&numbered(width, height), Crop { left, top, side });
            prop_assert_eq!(window.dimensions(), (side, side));
            for (x, y, pixel) in window.enumerate_pixels() {
                let nearest_x = (left + i64::from(x)).max(0).min(i64::from(width) - 1) as u8;
                let nearest_y = (top + i64::from(y)).max(0).min(i64::from(height) - 1) as u8;
                prop_assert_eq!(pixel.0, [nearest_x, nearest_y, 7]);
            }
        }
    }

    #[test]
    fn far_away_windows_repeat_the_corner() {
        let window = cut(&numbered(4, 3), Crop { left: i64::MAX, top: i64::MAX, side: 2 });
        assert!(window.pixels().all(|pixel| pixel.0 == [3, 2, 7]));
    }
}
