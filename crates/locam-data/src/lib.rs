//! Reads labelled images and annotations as users have them; cuts patches; generates smears.

mod augment;
mod contact_sheet;
mod dataset;
mod error;
mod image_io;
mod inspect;
mod loader;
mod resize;
mod store;
mod text;
mod window;

pub use augment::Augment;
pub use contact_sheet::contact_sheet;
pub use dataset::{Crop, Dataset, Item, Label, Object, Patch, Problem, Shape, Split};
pub use error::DataError;
pub use image_io::{is_image_path, read_rgb, read_size, sniffed_mismatch};
pub use inspect::{ClassSummary, FileNote, Inspection, NEAR_EMPTY, SplitCounts, Spread, inspect};
pub use loader::{Batch, Batches, LoaderConfig, Order, batches};
pub use resize::{RESIZE_FILTER, resize};
pub use store::{DEFAULT_MEMORY_BUDGET, PatchStore};
pub use text::{GLYPH_SIDE, draw_text, text_width};
pub use window::cut;
