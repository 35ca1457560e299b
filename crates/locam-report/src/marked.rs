use crate::canvas::{Style, fitted, outline, ring, scaled};
use crate::marks::{FOUND, HALO, Placement, draw_truth};
use image::RgbImage;
use locam_core::{Point, Rect, Region, Size};
use locam_locate::Truth;

/// The longest side in pixels.
const LONGEST_SIDE: u32 = 1200;
const SHORTEST_LONGEST_SIDE: u32 = 480;

/// An image with what was found in white and the truth in green, where there is no map to lay over it. What is known by
/// a point is a ring, and of a mask the edge is drawn.
pub fn marked_picture(image: &RgbImage, regions: &[Region], truths: &[Truth]) -> RgbImage {
    let in_image = Size::new(image.width(), image.height());
    let size = fitted(in_image, SHORTEST_LONGEST_SIDE, LONGEST_SIDE);
    let style = Style::for_size(size);
    let mut picture = scaled(image, size);
    let place = Placement::new(Point::default(), in_image, size);
    let whole = Rect::new(0.0, 0.0, size.width.into(), size.height.into());
    let radius = f64::from(style.sample());
    for region in regions {
        for (line, color) in [(style.line + 2, HALO), (style.line, FOUND)] {
            if region.rect.area() > 0.0 {
                outline(&mut picture, place.rect(region.rect), line, color, whole);
            } else {
                ring(&mut picture, place.point(region.centroid), radius, line, color);
            }
        }
    }
    for truth in truths {
        draw_truth(&mut picture, &truth.shape, place, style, whole);
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks::TRUTH;
    use image::Rgb;
    use locam_core::{ClassId, Mask, Run, Shape};
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
