use crate::{Point, Size};
use std::ops::Range;

/// Where the cells of a map lie in the image: an axis-aligned affine transform.
///
/// It is derived from the receptive fields of the layers. A cell's place is the centre of its receptive field,
/// which is *not* the middle of an even partition of the image: with ResNet's padded strides the first cell
/// is centred on the first pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapTransform {
    /// Image coordinates of the centre of the first cell (0.5, 0.5).
    pub first_center: Point,
    /// Pixels from one cell centre to the next, along x and y.
    pub stride: Point,
}

impl MapTransform {
    /// The same step along both axes, as every network here has.
    pub const fn uniform(first_center: f64, stride: f64) -> Self {
        Self { first_center: Point::new(first_center, first_center), stride: Point::new(stride, stride) }
    }

    /// From map coordinates to image coordinates.
    pub fn image_from_map(self, point_in_map: Point) -> Point {
        Point::new(
            self.first_center.x + (point_in_map.x - 0.5) * self.stride.x,
            self.first_center.y + (point_in_map.y - 0.5) * self.stride.y,
        )
    }

    /// From image coordinates to map coordinates.
    pub fn map_from_image(self, point_in_image: Point) -> Point {
        Point::new(
            (point_in_image.x - self.first_center.x) / self.stride.x + 0.5,
            (point_in_image.y - self.first_center.y) / self.stride.y + 0.5,
        )
    }

    /// The transform into an image from which the network's input was made by scaling with `scale_x` and
    /// `scale_y` (input pixels per image pixel).
    #[must_use]
    pub fn for_scaled_input(self, scale_x: f64, scale_y: f64) -> Self {
        Self {
            first_center: Point::new(self.first_center.x / scale_x, self.first_center.y / scale_y),
            stride: Point::new(self.stride.x / scale_x, self.stride.y / scale_y),
        }
    }
}

/// One value per place of the last feature maps, for one class: a logit, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreMap {
    size: Size,
    values: Vec<f32>,
    transform: MapTransform,
}

impl ScoreMap {
    /// A map of `size` cells whose `values` are row by row.
    ///
    /// # Panics
    /// If `values` has not exactly one value per cell.
    pub fn new(size: Size, values: Vec<f32>, transform: MapTransform) -> Self {
        assert_eq!(values.len() as u64, size.area(), "a map of {size} cells needs one value per cell");
        Self { size, values, transform }
    }

    /// A map of which nothing is known yet: a value that is not a number stands for a place that was not searched.
    pub fn unsearched(size: Size, transform: MapTransform) -> Self {
        Self::new(size, vec![f32::NAN; size.area() as usize], transform)
    }

    /// Copies a rectangle of another map's cells, from `first` column and row on, to these columns and rows.
    ///
    /// # Panics
    /// If either map doesn't have them all.
    pub fn copy_from(&mut self, other: &Self, first: (u32, u32), columns: Range<u32>, rows: Range<u32>) {
        for (row, from) in rows.zip(first.1..) {
            let from = from as usize * other.size.width as usize + first.0 as usize;
            let into = row as usize * self.size.width as usize + columns.start as usize;
            self.values[into..into + columns.len()]
                .copy_from_slice(&other.values[from..from + columns.len()]);
        }
    }

    /// The map without so many cells at each of its borders.
    ///
    /// # Panics
    /// If it has no others.
    #[must_use]
    pub fn without_border(&self, cells: u32) -> Self {
        let Size { width, height } = self.size;
        let Point { x, y } = self.transform.stride;
        let moved = Point::new(f64::from(cells) * x, f64::from(cells) * y);
        let size = Size::new(width - 2 * cells, height - 2 * cells);
        let mut inner = Self::unsearched(size, self.transform).moved(moved);
        inner.copy_from(self, (cells, cells), 0..size.width, 0..size.height);
        inner
    }

    /// Columns and rows.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The values, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Where the cells lie in the image.
    pub fn transform(&self) -> MapTransform {
        self.transform
    }

    /// The value of one cell.
    ///
    /// # Panics
    /// If the cell lies outside the map.
    pub fn at(&self, column: u32, row: u32) -> f32 {
        assert!(column < self.size.width && row < self.size.height);
        self.values[row as usize * self.size.width as usize + column as usize]
    }

    /// The value at a place of the image, bilinear between cell centres and constant beyond the outermost ones.
    pub fn sample(&self, point_in_image: Point) -> f32 {
        let place = self.transform.map_from_image(point_in_image);
        let (x0, x1, fx) = neighbours(place.x, self.size.width);
        let (y0, y1, fy) = neighbours(place.y, self.size.height);
        let top = self.at(x0, y0) * (1.0 - fx) + self.at(x1, y0) * fx;
        let bottom = self.at(x0, y1) * (1.0 - fx) + self.at(x1, y1) * fx;
        top * (1.0 - fy) + bottom * fy
    }

    /// The arithmetic mean over all places.
    pub fn mean(&self) -> f64 {
        self.values.iter().map(|&v| f64::from(v)).sum::<f64>() / self.values.len() as f64
    }

    /// The same places with other values.
    #[must_use]
    pub fn with_values(&self, values: Vec<f32>) -> Self {
        Self::new(self.size, values, self.transform)
    }

    /// The map moved by so many pixels of the image.
    #[must_use]
    pub fn moved(self, by: Point) -> Self {
        let Point { x, y } = self.transform.first_center;
        let first_center = Point::new(x + by.x, y + by.y);
        Self { transform: MapTransform { first_center, ..self.transform }, ..self }
    }

    /// The map laid over the image from which the network's input was made by scaling: see
    /// [`MapTransform::for_scaled_input`].
    #[must_use]
    pub fn for_scaled_input(self, scale_x: f64, scale_y: f64) -> Self {
        Self { transform: self.transform.for_scaled_input(scale_x, scale_y), ..self }
    }
}

/// The two cells around a map coordinate and the weight of the second; a coordinate at a cell has that cell alone, so that
/// one beside it which is not a number doesn't matter.
fn neighbours(coordinate: f64, cells: u32) -> (u32, u32, f32) {
    let last = f64::from(cells - 1);
    let position = (coordinate - 0.5).clamp(0.0, last);
    let low = position as u32;
    let beyond = position - f64::from(low);
    (low, low + u32::from(beyond > 0.0), beyond as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> ScoreMap {
        ScoreMap::new(
            Size::new(3, 2),
            vec![0.0, 1.0, 2.0, 10.0, 11.0, 12.0],
            MapTransform::uniform(0.5, 32.0),
        )
    }

    #[test]
    fn transform_goes_there_and_back() {
        let transform = MapTransform { first_center: Point::new(16.0, 0.5), stride: Point::new(32.0, 8.0) };
        let point = Point::new(77.25, 13.0);
        let back = transform.map_from_image(transform.image_from_map(point));
        assert!(back.distance(point) < 1e-9);
        assert_eq!(transform.image_from_map(Point::new(0.5, 0.5)), transform.first_center);
    }

    #[test]
    fn samples_are_exact_at_centres_and_linear_between() {
        let map = ramp();
        assert!((map.sample(Point::new(32.5, 0.5)) - 1.0).abs() < 1e-6);
        assert!((map.sample(Point::new(48.5, 16.5)) - 6.5).abs() < 1e-6);
    }

    #[test]
    fn samples_beyond_the_border_repeat_it() {
        assert!((ramp().sample(Point::new(500.0, -9.0)) - 2.0).abs() < 1e-6);
    }

    #[test]
    fn what_is_copied_lies_where_it_belongs_and_the_rest_was_not_searched() {
        let mut map = ScoreMap::unsearched(Size::new(4, 3), MapTransform::uniform(0.5, 32.0));
        map.copy_from(&ramp(), (1, 0), 2..4, 1..3);
        let known: Vec<_> = map.values().iter().enumerate().filter(|(_, value)| !value.is_nan()).collect();
        assert_eq!(known, [(6, &1.0), (7, &2.0), (10, &11.0), (11, &12.0)]);
    }

    #[test]
    fn cells_without_those_at_the_border_lie_where_they_lay() {
        let size = Size::new(5, 4);
        let map = ScoreMap::new(size, (0..20).map(|i| i as f32).collect(), MapTransform::uniform(0.5, 32.0));
        let inner = map.without_border(1);
        assert_eq!(inner.values(), [6.0, 7.0, 8.0, 11.0, 12.0, 13.0]);
        let place = Point::new(70.0, 50.0);
        assert!((inner.sample(place) - map.sample(place)).abs() < 1e-6);
        assert_eq!(map.without_border(0), map);
    }

    #[test]
    fn what_a_moved_map_says_is_said_beside() {
        let moved = ramp().moved(Point::new(3.0, -4.0));
        let beside = ramp().sample(Point::new(48.5, 16.5));
        assert!((moved.sample(Point::new(51.5, 12.5)) - beside).abs() < 1e-6);
    }

    #[test]
    fn scaled_input_moves_centres_with_the_scale() {
        let half = MapTransform::uniform(16.0, 32.0).for_scaled_input(0.5, 0.25);
        assert_eq!(half.first_center, Point::new(32.0, 64.0));
        assert_eq!(half.stride, Point::new(64.0, 128.0));
    }
}
