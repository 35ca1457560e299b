//! Text on pictures, in `DejaVu Sans`.

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use image::{Rgb, RgbImage};
use std::sync::LazyLock;

/// The name under which the plotting library knows the font; as SVG text it is whatever the viewer has of that kind.
pub(crate) const FAMILY: &str = "sans-serif";

static FONT: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::try_from_slice(bytes()).expect("the font is part of the program and sound"));

/// The font file.
pub(crate) fn bytes() -> &'static [u8] {
    dejavu::sans::regular()
}

/// How text lies at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// The place is the left end.
    Left,
    /// The place is the middle.
    Center,
    /// The place is the right end.
    Right,
}

/// The pixels that a line of text takes in width, at a height of `size` pixels from the highest to the lowest letter.
pub(crate) fn text_width(text: &str, size: f32) -> f32 {
    layout(text, size).1
}

/// Draws a line of text whose top is at `y`, `size` pixels high from the highest to the lowest letter.
pub(crate) fn draw_text(
    canvas: &mut RgbImage,
    (x, y): (f32, f32),
    align: Align,
    size: f32,
    color: Rgb<u8>,
    text: &str,
) {
    let (glyphs, width) = layout(text, size);
    let left = match align {
        Align::Left => x,
        Align::Center => x - width / 2.0,
        Align::Right => x - width,
    };
    for mut glyph in glyphs {
        // A whole-pixel start keeps letters equally sharp wherever the text begins.
        glyph.position += point(left.round(), y.round());
        let Some(outline) = FONT.outline_glyph(glyph) else { continue };
        let bounds = outline.px_bounds();
        outline.draw(|dx, dy, coverage| {
            blend(
                canvas,
                bounds.min.x as i64 + i64::from(dx),
                bounds.min.y as i64 + i64::from(dy),
                color,
                coverage,
            );
        });
    }
}

/// The letters of a line that begins at x = 0 and whose top is at y = 0, and its width.
fn layout(text: &str, size: f32) -> (Vec<Glyph>, f32) {
    let scale = PxScale::from(size);
    let font = FONT.as_scaled(scale);
    let baseline = font.ascent().round();
    let mut x = 0.0;
    let mut previous = None;
    let mut glyphs = Vec::new();
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        let id = font.glyph_id(letter);
        x += previous.map_or(0.0, |previous| font.kern(previous, id));
        glyphs.push(id.with_scale_and_position(scale, point(x, baseline)));
        x += font.h_advance(id);
        previous = Some(id);
    }
    (glyphs, x)
}

/// Mixes a colour into one pixel; nothing happens outside the picture.
pub(crate) fn blend(canvas: &mut RgbImage, x: i64, y: i64, Rgb(color): Rgb<u8>, amount: f32) {
    let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
    if let Some(Rgb(pixel)) = canvas.get_pixel_mut_checked(x, y) {
        for (under, over) in pixel.iter_mut().zip(color) {
            *under = (f32::from(*under) + (f32::from(over) - f32::from(*under)) * amount.clamp(0.0, 1.0))
                .round() as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_leaves_ink_where_it_is_put_and_nowhere_else() {
        let mut canvas = RgbImage::from_pixel(120, 40, Rgb([255; 3]));
        draw_text(&mut canvas, (10.0, 10.0), Align::Left, 16.0, Rgb([0; 3]), "Größe 3");
        let width = text_width("Größe 3", 16.0);
        let inked: Vec<_> = canvas.enumerate_pixels().filter(|(_, _, p)| p.0[0] < 128).collect();
        assert!(inked.len() > 50);
        assert!(
            inked.iter().all(|(x, y, _)| (10..=10 + width.ceil() as u32).contains(x) && (10..26).contains(y))
        );
    }

    #[test]
    fn text_beyond_the_edge_is_cut_and_control_characters_are_left_out() {
        let mut canvas = RgbImage::from_pixel(8, 8, Rgb([255; 3]));
        draw_text(&mut canvas, (-30.0, -3.0), Align::Left, 20.0, Rgb([0; 3]), "far too long for this");
        assert!((text_width("a\nb\u{7}", 12.0) - text_width("ab", 12.0)).abs() < 1e-3);
    }
}
