//! The few drawing operations that overlays and panels share.

use crate::font::{Align, blend, draw_text, text_width};
use crate::{ScoreRange, heat_color};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use locam_core::{Point, Rect, ScoreMap, Size};

pub(crate) const WHITE: Rgb<u8> = Rgb([255, 255, 255]);
pub(crate) const INK: Rgb<u8> = Rgb([32, 33, 36]);
pub(crate) const FAINT: Rgb<u8> = Rgb([110, 113, 120]);

/// Sizes of text and gaps that suit a picture, in its pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Height of a line of text.
    pub(crate) text: f32,
    /// Gap around things.
    pub(crate) pad: u32,
    /// Width of lines.
    pub(crate) line: u32,
}

impl Style {
    /// A fortieth of the picture's side, between what can be read and what would look like a poster.
    pub(crate) fn for_size(size: Size) -> Self {
        let text = ((size.area() as f32).sqrt() / 38.0).clamp(14.0, 30.0).round();
        Self { text, pad: (text * 0.7).round() as u32, line: (text / 8.0).round().max(2.0) as u32 }
    }

    /// The side of a small sample of a mark, as large as a capital letter.
    pub(crate) fn sample(self) -> u32 {
        (self.text * 0.8).round() as u32
    }
}

/// `image` at another size, smooth both ways.
pub(crate) fn scaled(image: &RgbImage, size: Size) -> RgbImage {
    if (image.width(), image.height()) == (size.width, size.height) {
        return image.clone();
    }
    imageops::resize(image, size.width, size.height, FilterType::Triangle)
}

/// `size` with its longest side between `smallest` and `largest`, and its aspect kept. What must be enlarged is so by a
/// whole factor.
pub(crate) fn fitted(size: Size, smallest: u32, largest: u32) -> Size {
    let longest = size.width.max(size.height).max(1);
    let factor = if longest > largest {
        f64::from(largest) / f64::from(longest)
    } else if longest < smallest {
        f64::from(smallest.div_ceil(longest))
    } else {
        1.0
    };
    let side = |length: u32| ((f64::from(length) * factor).round() as u32).max(1);
    Size::new(side(size.width), side(size.height))
}

/// Fills a rectangle as far as it lies on the picture.
pub(crate) fn fill(canvas: &mut RgbImage, (x, y): (u32, u32), size: Size, color: Rgb<u8>) {
    for row in y..(y + size.height).min(canvas.height()) {
        for column in x..(x + size.width).min(canvas.width()) {
            canvas.put_pixel(column, row, color);
        }
    }
}

/// Draws the edge of a rectangle, `line` pixels wide and inside it, as far as it lies within `clip`.
pub(crate) fn outline(canvas: &mut RgbImage, rect: Rect, line: u32, color: Rgb<u8>, clip: Rect) {
    let rect = rect.intersection(clip);
    let (left, top) = (rect.left.round() as i64, rect.top.round() as i64);
    let (right, bottom) = (rect.right.round() as i64, rect.bottom.round() as i64);
    let line = i64::from(line);
    for y in top..bottom {
        for x in left..right {
            let inner = (left + line..right - line).contains(&x) && (top + line..bottom - line).contains(&y);
            if !inner {
                blend(canvas, x, y, color, 1.0);
            }
        }
    }
}

/// Draws a circle `line` pixels wide, smooth at its edges.
pub(crate) fn ring(canvas: &mut RgbImage, center: Point, radius: f64, line: u32, color: Rgb<u8>) {
    let reach = radius + f64::from(line);
    for y in (center.y - reach).floor() as i64..=(center.y + reach).ceil() as i64 {
        for x in (center.x - reach).floor() as i64..=(center.x + reach).ceil() as i64 {
            let distance = Point::new(x as f64 + 0.5, y as f64 + 0.5).distance(center);
            let coverage = f64::from(line) / 2.0 + 0.5 - (distance - radius).abs();
            blend(canvas, x, y, color, coverage as f32);
        }
    }
}

/// The scores of a map over the whole of an image of `image` pixels, as positions on the scale, one per pixel of a
/// picture of `picture` pixels, row by row.
pub(crate) fn positions(
    map: &ScoreMap,
    range: ScoreRange,
    image: Size,
    picture: Size,
) -> impl Iterator<Item = (u32, u32, f64)> {
    let step_x = f64::from(image.width) / f64::from(picture.width);
    let step_y = f64::from(image.height) / f64::from(picture.height);
    (0..picture.height).flat_map(move |y| {
        (0..picture.width).map(move |x| {
            let place = Point::new((f64::from(x) + 0.5) * step_x, (f64::from(y) + 0.5) * step_y);
            (x, y, range.position(f64::from(map.sample(place))))
        })
    })
}

/// A vertical colour bar of `size` pixels at (`x`, `y`) with ticks and numbers to its right. `color` gives the colour of
/// a position on the scale.
pub(crate) fn vertical_bar(
    canvas: &mut RgbImage,
    (x, y): (u32, u32),
    size: Size,
    range: ScoreRange,
    style: Style,
    color: impl Fn(f64) -> Rgb<u8>,
) {
    for row in 0..size.height {
        let position = 1.0 - (f64::from(row) + 0.5) / f64::from(size.height);
        fill(canvas, (x, y + row), Size::new(size.width, 1), color(position));
    }
    let edge = Rect::around(
        Point::new(f64::from(x) + f64::from(size.width) / 2.0, f64::from(y) + f64::from(size.height) / 2.0),
        f64::from(size.width),
        f64::from(size.height),
    );
    outline(canvas, edge, 1, FAINT, edge);
    let right = x + size.width;
    for (tick, label) in tick_labels(range) {
        let middle = f64::from(y) + (1.0 - range.position(tick)) * f64::from(size.height - 1);
        fill(canvas, (right, middle.round() as u32), Size::new(style.pad / 2, 1), INK);
        let place = ((right + style.pad * 3 / 4) as f32, middle as f32 - style.text / 2.0);
        draw_text(canvas, place, Align::Left, style.text, INK, &label);
    }
}

/// A horizontal colour bar with the two ends of the range as numbers beside it, all within `width` pixels; the bar is
/// as high as a capital letter.
pub(crate) fn horizontal_bar(
    canvas: &mut RgbImage,
    (x, y): (u32, u32),
    width: u32,
    range: ScoreRange,
    style: Style,
) {
    let [low, high] = end_labels(range);
    let gap = style.pad as f32 / 2.0;
    let (low_width, high_width) = (text_width(&low, style.text), text_width(&high, style.text));
    draw_text(canvas, (x as f32, y as f32), Align::Left, style.text, INK, &low);
    draw_text(canvas, ((x + width) as f32, y as f32), Align::Right, style.text, INK, &high);
    let left = (x as f32 + low_width + gap).ceil() as u32;
    let right = ((x + width) as f32 - high_width - gap).floor().max(left as f32 + 1.0) as u32;
    let (height, top) = (style.sample(), y + (style.text * 0.14).round() as u32);
    for column in left..right {
        let position = (f64::from(column - left) + 0.5) / f64::from(right - left);
        fill(canvas, (column, top), Size::new(1, height), heat_color(position));
    }
}

/// The ticks of a range with their numbers.
pub(crate) fn tick_labels(range: ScoreRange) -> Vec<(f64, String)> {
    let (ticks, digits) = range.ticks();
    ticks.into_iter().map(|tick| (tick, number(tick, digits))).collect()
}

fn end_labels(range: ScoreRange) -> [String; 2] {
    let span = (range.high - range.low).abs();
    let digits = if span > 0.0 { (1.5 - span.log10()).ceil().clamp(0.0, 4.0) as usize } else { 1 };
    [number(range.low, digits), number(range.high, digits)]
}

/// A number with a true minus sign and without a negative zero.
fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|b| b == b'0' || b == b'.') => rest.to_owned(),
        Some(rest) => format!("\u{2212}{rest}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_core::MapTransform;

    #[test]
    fn pictures_keep_their_aspect() {
        assert_eq!(fitted(Size::new(3000, 2000), 480, 1600), Size::new(1600, 1067));
        assert_eq!(fitted(Size::new(224, 112), 480, 1600), Size::new(672, 336));
        assert_eq!(fitted(Size::new(640, 480), 480, 1600), Size::new(640, 480));
        assert_eq!(fitted(Size::new(1, 9000), 480, 1600), Size::new(1, 1600));
    }

    #[test]
    fn numbers_have_a_minus_sign_and_no_negative_zero() {
        assert_eq!((number(-1.5, 1).as_str(), number(-0.01, 1).as_str()), ("\u{2212}1.5", "0.0"));
    }

    #[test]
    fn a_map_is_laid_over_the_whole_picture_and_not_turned() {
        let map = ScoreMap::new(Size::new(2, 1), vec![0.0, 1.0], MapTransform::uniform(0.5, 63.0));
        let range = ScoreRange { low: 0.0, high: 1.0 };
        let found: Vec<_> = positions(&map, range, Size::new(64, 32), Size::new(64, 32)).collect();
        assert_eq!(found.len(), 64 * 32);
        assert!(found.iter().all(|&(x, _, position)| (position - f64::from(x) / 63.0).abs() < 1e-6));
    }

    #[test]
    fn an_outline_stays_inside_its_clip() {
        let mut canvas = RgbImage::new(20, 20);
        let clip = Rect::new(5.0, 5.0, 15.0, 15.0);
        outline(&mut canvas, Rect::new(0.0, 8.0, 40.0, 12.0), 1, WHITE, clip);
        let drawn: Vec<_> = canvas.enumerate_pixels().filter(|(_, _, p)| p.0[0] > 0).collect();
        assert!(
            drawn.len() == 10 + 10 + 2 + 2
                && drawn.iter().all(|(x, y, _)| clip.contains(Point::new((*x).into(), (*y).into())))
        );
    }
}
