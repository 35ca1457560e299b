//! How what is known of an object is drawn, the same on all pictures.

use crate::canvas::{Style, outline, ring};
use crate::font::blend;
use image::{Rgb, RgbImage};
use locam_core::{Mask, Point, Rect, Shape, Size};

/// The colour of what was found.
pub(crate) const FOUND: Rgb<u8> = Rgb([255, 255, 255]);
/// What sets it off from a bright ground.
pub(crate) const HALO: Rgb<u8> = Rgb([20, 20, 24]);
/// The colour of what is known.
pub(crate) const TRUTH: Rgb<u8> = Rgb([0, 190, 80]);

/// Where an image lies on a picture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    origin: Point,
    /// How many pixels of the picture one of the image is wide and high.
    scale: Point,
}

impl Placement {
    /// Of an image of `image` pixels that takes `size` pixels of the picture, its left top corner at `origin`.
    pub(crate) fn new(origin: Point, image: Size, size: Size) -> Self {
        let scale = Point::new(
            f64::from(size.width) / f64::from(image.width),
            f64::from(size.height) / f64::from(image.height),
        );
        Self { origin, scale }
    }

    pub(crate) fn point(self, in_image: Point) -> Point {
        Point::new(self.origin.x + in_image.x * self.scale.x, self.origin.y + in_image.y * self.scale.y)
    }

    pub(crate) fn rect(self, in_image: Rect) -> Rect {
        let first = self.point(Point::new(in_image.left, in_image.top));
        let last = self.point(Point::new(in_image.right, in_image.bottom));
        Rect::new(first.x, first.y, last.x, last.y)
    }

    fn point_in_image(self, on_picture: Point) -> Point {
        Point::new(
            (on_picture.x - self.origin.x) / self.scale.x,
            (on_picture.y - self.origin.y) / self.scale.y,
        )
    }
}

/// Draws the edge of a box or of a mask, as far as it lies within `clip`, or a ring around a point.
pub(crate) fn draw_truth(canvas: &mut RgbImage, shape: &Shape, place: Placement, style: Style, clip: Rect) {
    match shape {
        Shape::Box(rect) => outline(canvas, place.rect(*rect), style.line, TRUTH, clip),
        Shape::Point(point) => {
            ring(canvas, place.point(*point), f64::from(style.sample()) / 2.0, style.line, TRUTH);
        }
        Shape::Mask(mask) => mask_outline(canvas, mask, place, style.line, clip),
    }
}

/// Draws the edge of a mask, `line` pixels wide and inside it.
fn mask_outline(canvas: &mut RgbImage, mask: &Mask, place: Placement, line: u32, clip: Rect) {
    let Rect { left, top, right, bottom } = place.rect(mask.rect()).intersection(clip);
    let is_inside =
        |x: i64, y: i64| mask.contains(place.point_in_image(Point::new(x as f64 + 0.5, y as f64 + 0.5)));
    let by = i64::from(line);
    for y in top.floor() as i64..bottom.ceil() as i64 {
        for x in left.floor() as i64..right.ceil() as i64 {
            let around = [(x - by, y), (x + by, y), (x, y - by), (x, y + by)];
            if is_inside(x, y) && !around.into_iter().all(|(x, y)| is_inside(x, y)) {
                blend(canvas, x, y, TRUTH, 1.0);
            }
        }
    }
}
