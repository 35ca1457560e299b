use crate::{Mask, Point, Rect};
use std::sync::Arc;

/// How the place of an object is known, in pixels of its image.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// By the box around it. It may cross the image's border.
    Box(Rect),
    /// By its centre.
    Point(Point),
    /// By its pixels. It counts as the box around them, but where it is asked whether a place lies
    /// on the object.
    Mask(Arc<Mask>),
}

impl Shape {
    /// The box around the object; none of a point.
    pub fn rect(&self) -> Option<Rect> {
        match self {
            Self::Box(rect) => Some(*rect),
            Self::Point(_) => None,
            Self::Mask(mask) => Some(mask.rect()),
        }
    }

    /// The box's middle, or the point.
    pub fn center(&self) -> Point {
        match self {
            Self::Box(rect) => rect.center(),
            Self::Point(point) => *point,
            Self::Mask(mask) => mask.rect().center(),
        }
    }

    /// Whether a place lies on the object: in or on the edge of its box or of one of its pixels, or at most `radius` pixels
    /// from its point.
    pub fn contains(&self, place: Point, radius: f64) -> bool {
        match self {
            Self::Box(rect) => rect.contains(place),
            Self::Point(point) => place.distance(*point) <= radius,
            Self::Mask(mask) => mask.contains(place),
        }
    }
}
