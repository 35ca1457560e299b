//! The one resize filter, so that a network sees in locating what it saw in training.

use crate::DataError;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;
use locam_core::Size;

/// The name of the filter of [`resize`], as models record it.
pub const RESIZE_FILTER: &str = "bilinear-antialias";

/// Resizes to exactly `size` with a triangle filter that widens with the scale when shrinking, as Pillow's
/// `BILINEAR` and `PyTorch`'s `antialias=True` do. The aspect ratio is not kept.
///
/// # Errors
/// [`DataError::Resize`] where either size has no pixels.
pub fn resize(image: &RgbImage, size: Size) -> Result<RgbImage, DataError> {
    let from = Size::new(image.width(), image.height());
    let fail = |reason: String| DataError::Resize { from, to: size, reason };
    if from.area() == 0 || size.area() == 0 {
        return Err(fail("a size without pixels".to_owned()));
    }
    if from == size {
        return Ok(image.clone());
    }
    let mut resized = RgbImage::new(size.width, size.height);
    let source = TypedImageRef::<U8x3>::from_buffer(from.width, from.height, image.as_raw())
        .map_err(|error| fail(error.to_string()))?;
    let mut target = TypedImage::<U8x3>::from_buffer(size.width, size.height, &mut resized)
        .map_err(|error| fail(error.to_string()))?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize_typed(&source, &mut target, &options).map_err(|error| fail(error.to_string()))?;
    Ok(resized)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// For each output place the input places that it draws from, with weights that sum to 1.
    fn taps(input: u32, output: u32) -> Vec<Vec<(u32, f64)>> {
        let scale = f64::from(input) / f64::from(output);
        let radius = scale.max(1.0);
        (0..output)
            .map(|o| {
                let center = (f64::from(o) + 0.5) * scale;
                let weight = |i: u32| (1.0 - ((f64::from(i) + 0.5 - center) / radius).abs()).max(0.0);
                let total: f64 = (0..input).map(weight).sum();
                (0..input).map(|i| (i, weight(i) / total)).filter(|tap| tap.1 > 0.0).collect()
            })
            .collect()
    }

    fn naive(image: &RgbImage, size: Size) -> Vec<f64> {
        let columns = taps(image.width(), size.width);
        let rows = taps(image.height(), size.height);
        let mut values = Vec::new();
        for row in &rows {
            for column in &columns {
                for channel in 0..3 {
                    values.push(
                        row.iter()
                            .flat_map(|&(y, wy)| column.iter().map(move |&(x, wx)| (x, y, wx * wy)))
                            .map(|(x, y, w)| w * f64::from(image.get_pixel(x, y).0[channel]))
                            .sum(),
                    );
                }
            }
        }
        values
    }

    fn noise(size: Size, seed: u64) -> RgbImage {
        use rand::Rng;
        use rand::SeedableRng;
        let mut image = RgbImage::new(size.width, size.height);
        rand_chacha::ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut image);
        image
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        // Each of the two passes rounds to whole grey levels (half a level each, and the weights sum to 1), in
        // fixed point, whose own error is below a hundredth of a level.
        #[test]
        fn agrees_with_the_naive_filter(
            (w, h, to_w, to_h) in (1_u32..40, 1_u32..40, 1_u32..40, 1_u32..40),
            seed in any::<u64>(),
        ) {
            let image = noise(Size::new(w, h), seed);
            let size = Size::new(to_w, to_h);
            let resized = resize(&image, size).unwrap();
            prop_assert_eq!(resized.dimensions(), (to_w, to_h));
            for (&fast, slow) in resized.as_raw().iter().zip(naive(&image, size)) {
                prop_assert!((f64::from(fast) - slow).abs() <= 1.01, "{} against {}", fast, slow);
            }
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let image = noise(Size::new(17, 5), 1);
        assert_eq!(resize(&image, Size::new(17, 5)).unwrap(), image);
    }

    #[test]
    fn a_size_without_pixels_is_an_error() {
        let image = noise(Size::new(4, 4), 1);
        let message = resize(&image, Size::new(0, 7)).unwrap_err().to_string();
        assert!(message.contains("4x4 to 0x7"), "{message}");
        assert!(resize(&RgbImage::new(0, 3), Size::new(2, 2)).is_err());
    }
}
