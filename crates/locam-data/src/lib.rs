//! Reads labelled images and annotations as users have them; cuts patches; generates smears.
//!
//! Opening a data set is apart from decoding it: a [`Dataset`] is a sorted list of files with labels, and only
//! [`PatchStore`], [`inspect()`] and [`contact_sheet()`] touch pixels. So one bad file among many costs a [`Problem`]
//! that names it and never the run. Every image goes through [`read_rgb`] and [`resize()`], whoever asks, so that
//! a network sees in locating what it saw in training.

mod appearance;
mod augment;
mod blur;
mod cell_size;
mod contact_sheet;
mod copies;
mod dataset;
mod error;
mod histogram;
mod image_io;
mod inspect;
mod layout;
mod loader;
mod patches;
mod predictions;
mod preview;
mod resize;
mod sampling;
mod smears;
mod source;
mod split;
mod store;
mod text;
mod tissue;
mod view;
mod window;

pub use appearance::{Appearance, CellAppearance};
pub use augment::{AUGMENT_MARGIN, Augment, Blend, Change, SmallObjects};
pub use cell_size::CellSize;
pub use contact_sheet::contact_sheet;
pub use copies::{Copies, Fingerprint, fingerprints};
pub use dataset::{Crop, Dataset, Item, Label, Object, Patch, Problem, Split};
pub use error::DataError;
pub use image_io::{is_image_path, read_rgb, read_size, sniffed_mismatch};
pub use inspect::{ClassSummary, FileNote, Inspection, NEAR_EMPTY, SplitCounts, Spread, inspect};
pub use layout::{Layout, OpenOptions, Strictness};
pub use loader::{Batch, Batches, LoaderConfig, Order, batches};
pub use patches::{
    BACKGROUND, Background, FittingWindows, PatchClass, PatchPlan, PatchSet, WrittenPatches, fitting_windows,
    mined_patch, plan_patches, write_patches,
};
pub use predictions::{Predictions, read_predictions};
pub use preview::preview;
pub use resize::{RESIZE_FILTER, resize};
pub use sampling::Sampling;
pub use smears::{
    ALL_IDB2_SIDE, CellKind, CellNames, CellType, Smear, SmearConfig, SmearPlan, SmearSummary, StainPreset,
    VocFields, WhiteCell, generate, write_all_idb1, write_all_idb2, write_smears, write_voc,
};
pub use source::{ImageSource, Level, ScaledRows};
pub use split::{FoldPlan, SplitPlan, assign_folds, assign_splits};
pub use store::{DEFAULT_MEMORY_BUDGET, PatchStore};
pub use text::{GLYPH_SIDE, draw_text, text_width};
pub use tissue::TissueMask;
pub use view::View;
pub use window::cut;
