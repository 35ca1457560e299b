//! The words that every other part of locam speaks: sizes and points that name their space, score maps that know
//! where each of their cells lies in the image, regions, masks, and the description of a trained model.
//!
//! Nothing here reads files or computes anything heavy, so that every crate can depend on it.
//!
//! # Spaces
//!
//! Image coordinates are in pixels, x to the right and y down, and the centre of the top left pixel is at
//! (0.5, 0.5). Map coordinates count the cells of a [`ScoreMap`] in the same way: the centre of its first cell is
//! at (0.5, 0.5). Only [`MapTransform`] goes from one to the other.

mod geometry;
mod map;
mod mask;
mod median;
mod model;
mod region;
mod shape;

pub use geometry::{Point, Rect, Size};
pub use map::{MapTransform, ScoreMap};
pub use mask::{Mask, Run};
pub use median::median;
pub use model::{ClassId, ClassSpec, ModelSpec, Normalization, Provenance, Stain, UsualBox};
pub use region::Region;
pub use shape::Shape;
