//! Reads labelled images and annotations as users have them; cuts patches; generates smears.

mod dataset;
mod error;
mod image_io;
mod resize;
mod text;
mod window;

pub use dataset::{Crop, Dataset, Item, Label, Object, Patch, Problem, Shape, Split};
pub use error::DataError;
pub use image_io::{is_image_path, read_rgb, read_size, sniffed_mismatch};
pub use resize::{RESIZE_FILTER, resize};
pub use text::{GLYPH_SIDE, draw_text, text_width};
pub use window::cut;
