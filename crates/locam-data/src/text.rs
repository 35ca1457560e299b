//! Text on images, in a bitmap font of 8 by 8 pixels.

use font8x8::UnicodeFonts;
use image::{Rgb, RgbImage};

/// Columns and rows of a character at scale 1.
pub const GLYPH_SIDE: u32 = 8;

/// A hollow box, for characters that the font lacks.
const MISSING: [u8; 8] = [0, 0x3E, 0x22, 0x22, 0x22, 0x22, 0x3E, 0];

/// Columns that [`draw_text`] covers, in pixels.
pub fn text_width(text: &str, scale: u32) -> u32 {
    (text.chars().count() as u32).saturating_mul(GLYPH_SIDE.saturating_mul(scale))
}

/// Draws one line of text whose top left corner is the pixel (`x`, `y`), each of the font's pixels as a square of
/// `scale` pixels. What falls outside the image is left out; Latin, Greek and box-drawing characters are known,
/// and others are shown as a hollow box.
pub fn draw_text(image: &mut RgbImage, x: i64, y: i64, scale: u32, text: &str, color: Rgb<u8>) {
    let advance = i64::from(GLYPH_SIDE) * i64::from(scale);
    for (place, character) in (0_i64..).zip(text.chars()) {
        let left = x.saturating_add(place * advance);
        if left >= i64::from(image.width()) {
            break;
        }
        draw_glyph(image, left, y, scale, glyph(character), color);
    }
}

/// The rows of a character from the top; the lowest bit is the leftmost column.
fn glyph(character: char) -> [u8; 8] {
    font8x8::BASIC_FONTS
        .get(character)
        .or_else(|| font8x8::LATIN_FONTS.get(character))
        .or_else(|| font8x8::GREEK_FONTS.get(character))
        .or_else(|| font8x8::BOX_FONTS.get(character))
        .unwrap_or(MISSING)
}

fn draw_glyph(image: &mut RgbImage, left: i64, top: i64, scale: u32, rows: [u8; 8], color: Rgb<u8>) {
    for dy in 0..GLYPH_SIDE * scale {
        let bits = rows[(dy / scale) as usize];
        for dx in (0..GLYPH_SIDE * scale).filter(|dx| bits >> (dx / scale) & 1 == 1) {
            let place =
                (u32::try_from(left.saturating_add(dx.into())), u32::try_from(top.saturating_add(dy.into())));
            if let (Ok(x), Ok(y)) = place
                && let Some(pixel) = image.get_pixel_mut_checked(x, y)
            {
                *pixel = color;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Rgb<u8> = Rgb([255; 3]);

    fn rows_of(image: &RgbImage) -> Vec<String> {
        image.rows().map(|row| row.map(|p| if *p == WHITE { '#' } else { '.' }).collect()).collect()
    }

    #[test]
    fn letters_are_upright_and_not_mirrored() {
        let mut image = RgbImage::new(8, 8);
        draw_text(&mut image, 0, 0, 1, "F", WHITE);
        let expected =
            ["#######.", ".##...#.", ".##.#...", ".####...", ".##.#...", ".##.....", "####....", "........"];
        assert_eq!(rows_of(&image), expected);
    }

    #[test]
    fn scale_multiplies_every_pixel() {
        let (mut small, mut large) = (RgbImage::new(16, 8), RgbImage::new(48, 24));
        draw_text(&mut small, 0, 0, 1, "aÿ", WHITE);
        draw_text(&mut large, 0, 0, 3, "aÿ", WHITE);
        assert!(large.enumerate_pixels().all(|(x, y, pixel)| pixel == small.get_pixel(x / 3, y / 3)));
        assert_eq!(text_width("aÿ", 3), 48);
    }

    #[test]
    fn text_over_the_border_and_unknown_characters_are_survived() {
        let mut image = RgbImage::new(10, 10);
        draw_text(&mut image, -5, -3, 2, "血 cells", WHITE);
        draw_text(&mut image, i64::MAX, 0, 1, "x", WHITE);
        assert!(image.pixels().any(|pixel| *pixel == WHITE));
    }
}
