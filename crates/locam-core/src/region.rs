use crate::{ClassId, Point, Rect};
use serde::{Deserialize, Serialize};

/// A place where a class was found. All coordinates and lengths are in pixels of the image as it was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Which class.
    pub class: ClassId,
    /// The strongest margin inside: the log-odds of the class against all others together, 0 where it is as
    /// likely as not.
    pub score: f64,
    /// Where the margin is strongest.
    pub peak: Point,
    /// The middle of the region's mass above the threshold.
    pub centroid: Point,
    /// The smallest upright rectangle around the region.
    pub rect: Rect,
    /// Covered area in square pixels.
    pub area: f64,
    /// The outer edge of what is covered: a simple polygon, clockwise as seen, without its first corner repeated.
    pub outline: Vec<Point>,
    /// Whether it touches the image's border, so that a part of the object may be outside.
    pub at_border: bool,
}
