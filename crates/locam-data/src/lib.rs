//! Reads labelled images and annotations as users have them; cuts patches; generates smears.

mod dataset;
mod error;

pub use dataset::{Crop, Dataset, Item, Label, Object, Patch, Problem, Shape, Split};
pub use error::DataError;
