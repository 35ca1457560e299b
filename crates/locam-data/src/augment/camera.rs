//! What focus, sensor and file do to a picture, and cut-out.

use super::draw::Draw;
use super::{Augment, Change, Picture};
use crate::blur::blurred;
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{DynamicImage, ExtendedColorType, ImageEncoder};
use std::io::Cursor;

/// How likely each is for a patch.
const LIKELY: f32 = 0.5;
/// Standard deviations of the blur, in pixels.
const BLURS: [f32; 2] = [0.4, 2.2];
/// The most that is added of the difference to the blurred picture, as cameras sharpen.
const MOST_SHARPENING: f32 = 1.2;
/// The largest standard deviation of the noise, of 255.
const MOST_NOISE: f32 = 9.0;
const JPEG_QUALITIES: [f32; 2] = [25.0, 95.0];
/// Sides of the box that is cut out, as parts of the patch's.
const CUT_OUTS: [f32; 2] = [0.1, 0.35];

/// Blurs or sharpens, adds noise and cuts out; the result may lie outside 0 to 255.
pub(super) fn degrade(picture: &mut Picture, side: usize, augment: Augment, key: [u64; 3]) {
    let draw = |change| drawn(augment, change, key);
    if let Some(mut draw) = draw(Change::Blur) {
        focus(picture, side, &mut draw);
    }
    if let Some(mut draw) = draw(Change::Noise) {
        noise(picture, &mut draw);
    }
    if let Some(mut draw) = draw(Change::CutOut) {
        cut_out(picture, side, &mut draw);
    }
}

/// Sends a patch of RGB bytes through a JPEG file.
pub(super) fn compress(pixels: &mut [u8], side: usize, augment: Augment, key: [u64; 3]) {
    let Some(mut draw) = drawn(augment, Change::Jpeg, key) else { return };
    let quality = draw.between(JPEG_QUALITIES[0], JPEG_QUALITIES[1]) as u8;
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .write_image(pixels, side as u32, side as u32, ExtendedColorType::Rgb8)
        .expect("a picture in memory becomes a JPEG in memory");
    let decoder = JpegDecoder::new(Cursor::new(bytes)).expect("the encoder's JPEG has a header");
    let decoded = DynamicImage::from_decoder(decoder).expect("the encoder's JPEG can be decoded");
    pixels.copy_from_slice(decoded.to_rgb8().as_raw());
}

fn drawn(augment: Augment, change: Change, key: [u64; 3]) -> Option<Draw> {
    let mut draw = Draw::new(key, Some(change));
    (augment.has(change) && draw.chance(LIKELY)).then_some(draw)
}

fn focus(picture: &mut Picture, side: usize, draw: &mut Draw) {
    let soft = blurred(picture, side, draw.between(BLURS[0], BLURS[1]));
    let sharpening = if draw.chance(0.4) { draw.between(0.2, MOST_SHARPENING) } else { -1.0 };
    for (pixel, soft) in picture.iter_mut().zip(soft) {
        *pixel = std::array::from_fn(|i| pixel[i] + sharpening * (pixel[i] - soft[i]));
    }
}

/// Noise of brightness and, less of it, of colour.
fn noise(picture: &mut Picture, draw: &mut Draw) {
    let strength = draw.between(0.5, MOST_NOISE);
    let coloured = draw.between(0.0, 0.6);
    for pixel in picture.iter_mut() {
        let [grey, chroma] = draw.normal_pair();
        let noise = [grey - coloured * chroma, grey, grey + coloured * chroma];
        *pixel = std::array::from_fn(|i| pixel[i] + strength * noise[i]);
    }
}

/// Fills a box with the patch's mean colour (`DeVries` and Taylor, 2017).
fn cut_out(picture: &mut Picture, side: usize, draw: &mut Draw) {
    let mut sums = [0.0_f64; 3];
    for pixel in picture.iter() {
        (0..3).for_each(|i| sums[i] += f64::from(pixel[i]));
    }
    let mean = sums.map(|sum| (sum / picture.len() as f64) as f32);
    let [width, height] =
        [(); 2].map(|()| (draw.between(CUT_OUTS[0], CUT_OUTS[1]) * side as f32).round() as usize);
    let first = |length: usize, draw: &mut Draw| (draw.between(0.0, 1.0) * (side - length) as f32) as usize;
    let (left, top) = (first(width, draw), first(height, draw));
    for line in picture.chunks_exact_mut(side).skip(top).take(height) {
        line[left..left + width].fill(mean);
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;

    #[test]
    fn noise_has_its_strength_and_no_shift() {
        let deviations = (0..40).map(|index| {
            let mut picture = vec![[100.0; 3]; 400];
            noise(&mut picture, &mut Draw::new([1, 2, index], Some(Change::Noise)));
            let mean = picture.iter().map(|pixel| pixel[1]).sum::<f32>() / 400.0;
            assert!((mean - 100.0).abs() < 2.0, "{mean}");
            (picture.iter().map(|pixel| (pixel[1] - mean).powi(2)).sum::<f32>() / 400.0).sqrt()
        });
        let deviations: Vec<f32> = deviations.collect();
        assert!(deviations.iter().all(|&deviation| (0.4..1.15 * MOST_NOISE).contains(&deviation)));
        assert!(deviations.iter().any(|&d| d > 6.0) && deviations.iter().any(|&d| d < 3.0), "{deviations:?}");
    }

    #[test]
    fn cut_out_fills_one_box_with_the_mean() {
        for index in 0..50 {
            let mut picture = vec![[0.0; 3]; 1600];
            picture[..800].fill([100.0; 3]);
            cut_out(&mut picture, 40, &mut Draw::new([1, 2, index], Some(Change::CutOut)));
            let filled = picture.iter().filter(|pixel| pixel[0] == 50.0).count();
            assert!((16..=196).contains(&filled), "{filled}");
        }
    }

    #[test]
    fn compression_changes_texture_a_little() {
        let augment: Augment = "jpeg".parse().unwrap();
        let original: Vec<u8> = (0..3 * 48 * 48).map(|i| (i * i / 7 % 251) as u8).collect();
        let mut changed = 0;
        for index in 0..20 {
            let mut pixels = original.clone();
            compress(&mut pixels, 48, augment, [1, 2, index]);
            let difference: f32 =
                pixels.iter().zip(&original).map(|(a, b)| f32::from(a.abs_diff(*b))).sum::<f32>() / 6912.0;
            changed += usize::from(difference > 0.0);
            assert!(difference < 60.0, "{difference}");
        }
        assert!((4..17).contains(&changed), "{changed} of 20");
    }
}
