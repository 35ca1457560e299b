use crate::canvas::{Style, fitted, mask_outline, outline, ring, scaled};
use image::{Rgb, RgbImage};
use locam_core::{Point, Rect, Region, Shape, Size};
use locam_locate::Truth;

const FOUND: Rgb<u8> = Rgb([255, 255, 255]);
const HALO: Rgb<u8> = Rgb([20, 20, 24]);
const TRUTH: Rgb<u8> = Rgb([0, 190, 80]);
/// The longest side in pixels.
const LONGEST_SIDE: u32 = 1200;
const SHORTEST_LONGEST_SIDE: u32 = 480;

/// An image with what was found in white and the truth in green, where there is no map to lay over it. What is known by
/// a point is a ring, and of a mask the edge is drawn.
pub fn marked_picture(image: &RgbImage, regions: &[Region], truths: &[Truth]) -> RgbImage {
    let size = fitted(Size::new(image.width(), image.height()), SHORTEST_LONGEST_SIDE, LONGEST_SIDE);
    let style = Style::for_size(size);
    let mut picture = scaled(image, size);
    let (x, y) = (
        f64::from(size.width) / f64::from(image.width()),
        f64::from(size.height) / f64::from(image.height()),
    );
    let whole = Rect::new(0.0, 0.0, size.width.into(), size.height.into());
    let point = |point: Point| Point::new(point.x * x, point.y * y);
    let rect = |rect: Rect| Rect::new(rect.left * x, rect.top * y, rect.right * x, rect.bottom * y);
    let radius = f64::from(style.sample());
    for region in regions {
        if region.rect.area() > 0.0 {
            outline(&mut picture, rect(region.rect), style.line + 2, HALO, whole);
            outline(&mut picture, rect(region.rect), style.line, FOUND, whole);
        } else {
            ring(&mut picture, point(region.centroid), radius, style.line + 2, HALO);
            ring(&mut picture, point(region.centroid), radius, style.line, FOUND);
        }
    }
    for truth in truths {
        match &truth.shape {
            Shape::Box(of) => outline(&mut picture, rect(*of), style.line, TRUTH, whole),
            Shape::Point(of) => ring(&mut picture, point(*of), radius / 2.0, style.line, TRUTH),
            Shape::Mask(of) => {
                let place = (Point::default(), Point::new(x, y));
                mask_outline(&mut picture, of, place, (style.line, TRUTH), whole);
            }
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_core::{ClassId, Mask, Run};
    use std::sync::Arc;

    #[test]
    fn boxes_and_points_are_drawn_where_they_are_and_nothing_else() {
        let image = RgbImage::from_pixel(600, 400, Rgb([90, 90, 90]));
        let truth = |shape| Truth { class: ClassId(0), shape };
        let truths = [
            truth(Shape::Box(Rect::new(100.0, 100.0, 200.0, 200.0))),
            truth(Shape::Point(Point::new(400.0, 300.0))),
        ];
        let marked = marked_picture(&image, &[], &truths);
        let green: Vec<_> = marked.enumerate_pixels().filter(|(.., pixel)| pixel.0 == TRUTH.0).collect();
        assert!(green.iter().any(|(x, y, _)| *x < 250 && *y < 250) && green.iter().any(|(x, ..)| *x > 380));
        assert_eq!(marked_picture(&image, &[], &[]), image);
        let runs =
            (100..150).map(|row| Run { row, columns: 100..150 }).chain([Run { row: 390, columns: 590..900 }]);
        let mask = Mask::from_runs(runs.collect()).unwrap();
        let marked = marked_picture(&image, &[], &[truth(Shape::Mask(Arc::new(mask)))]);
        let is_green = |x, y| marked.get_pixel(x, y).0 == TRUTH.0;
        assert!(is_green(100, 100) && is_green(149, 120) && is_green(595, 390));
        assert!(!is_green(125, 125) && !is_green(151, 120) && !is_green(99, 120));
        let region = |rect: Rect| Region {
            class: ClassId(0),
            score: 1.0,
            peak: rect.center(),
            centroid: rect.center(),
            rect,
            area: rect.area(),
            outline: rect.corners().to_vec(),
            at_border: false,
        };
        let regions = [
            region(Rect::new(-9e3, -9e3, 9e3, 9e3)),
            region(Rect::around(Point::new(50.0, 50.0), 0.0, 0.0)),
            region(Rect::new(300.0, 20.0, 380.0, 90.0)),
        ];
        let found = marked_picture(&image, &regions, &[]);
        assert!(found.pixels().any(|pixel| pixel.0 == FOUND.0));
    }
}
