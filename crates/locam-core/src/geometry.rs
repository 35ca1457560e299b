use serde::{Deserialize, Serialize};

/// Width and height in whole pixels or cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// A size of `width` columns and `height` rows.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Columns times rows.
    pub const fn area(self) -> u64 {
        self.width as u64 * self.height as u64
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// A place. The variable's name says in which space: `point_in_image`, `peak_in_map`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Down.
    pub y: f64,
}

impl Point {
    /// The place (`x`, `y`).
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    /// Euclidean distance.
    pub fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// An upright rectangle by its edges; a pixel (column, row) covers `column..column + 1` and `row..row + 1`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rect {
    /// Smallest x.
    pub left: f64,
    /// Smallest y.
    pub top: f64,
    /// Largest x.
    pub right: f64,
    /// Largest y.
    pub bottom: f64,
}

impl Rect {
    /// The rectangle between two edges each way.
    pub const fn new(left: f64, top: f64, right: f64, bottom: f64) -> Self {
        Self { left, top, right, bottom }
    }

    /// A rectangle of `width` by `height` around `center`.
    pub fn around(center: Point, width: f64, height: f64) -> Self {
        Self::new(
            center.x - width / 2.0,
            center.y - height / 2.0,
            center.x + width / 2.0,
            center.y + height / 2.0,
        )
    }

    /// Extent along x; never negative.
    pub fn width(self) -> f64 {
        (self.right - self.left).max(0.0)
    }

    /// Extent along y; never negative.
    pub fn height(self) -> f64 {
        (self.bottom - self.top).max(0.0)
    }

    /// Width times height.
    pub fn area(self) -> f64 {
        self.width() * self.height()
    }

    /// The middle.
    pub fn center(self) -> Point {
        Point::new(f64::midpoint(self.left, self.right), f64::midpoint(self.top, self.bottom))
    }

    /// The four corners, clockwise as seen, from the left top.
    pub fn corners(self) -> [Point; 4] {
        let Self { left, top, right, bottom } = self;
        [(left, top), (right, top), (right, bottom), (left, bottom)].map(|(x, y)| Point::new(x, y))
    }

    /// Whether `point` lies inside or on the edge.
    pub fn contains(self, point: Point) -> bool {
        (self.left..=self.right).contains(&point.x) && (self.top..=self.bottom).contains(&point.y)
    }

    /// With edges so many pixels further out.
    #[must_use]
    pub fn grown(self, by: f64) -> Self {
        Self::new(self.left - by, self.top - by, self.right + by, self.bottom + by)
    }

    /// The smallest rectangle that holds both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self::new(
            self.left.min(other.left),
            self.top.min(other.top),
            self.right.max(other.right),
            self.bottom.max(other.bottom),
        )
    }

    /// The part that both cover; empty (of zero area) where they do not meet.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self::new(
            self.left.max(other.left),
            self.top.max(other.top),
            self.right.min(other.right),
            self.bottom.min(other.bottom),
        )
    }

    /// The part inside an image of `size`.
    #[must_use]
    pub fn clamped_to(self, size: Size) -> Self {
        self.intersection(Self::new(0.0, 0.0, size.width as f64, size.height as f64))
    }

    /// Intersection over union, in 0..=1; 0 for two empty rectangles.
    pub fn iou(self, other: Self) -> f64 {
        let both = self.intersection(other).area();
        let either = self.area() + other.area() - both;
        if either > 0.0 { both / either } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iou_of_half_overlap_is_a_third() {
        let a = Rect::new(0.0, 0.0, 2.0, 1.0);
        let b = Rect::new(1.0, 0.0, 3.0, 1.0);
        assert!((a.iou(b) - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn apart_rectangles_share_nothing() {
        let a = Rect::new(0.0, 0.0, 1.0, 1.0);
        let b = Rect::new(5.0, 5.0, 6.0, 6.0);
        assert!(a.intersection(b).area() == 0.0 && a.iou(b) == 0.0);
    }

    #[test]
    fn around_has_its_center_in_the_middle() {
        let rect = Rect::around(Point::new(3.0, 4.0), 2.0, 6.0);
        assert_eq!(rect, Rect::new(2.0, 1.0, 4.0, 7.0));
        assert_eq!(rect.center(), Point::new(3.0, 4.0));
    }

    #[test]
    fn grown_moves_all_edges() {
        let rect = Rect::new(1.0, 2.0, 4.0, 6.0);
        assert_eq!(rect.grown(0.5), Rect::new(0.5, 1.5, 4.5, 6.5));
        assert_eq!(rect.grown(0.5).grown(-0.5), rect);
    }
}
