//! What a person or another program gets to see: raw maps, tables of regions, overlays, panels, plots and the HTML
//! page.
//!
//! Nothing here decides anything. Colour scales, thresholds and regions come in as arguments, so that all pictures of
//! a run share one scale and a picture never shows more than the numbers say. Pictures are made without fonts or
//! other files of the system (the font, `DejaVu Sans`, is in the program), so they look the same everywhere.

mod atomic;
mod canvas;
mod coco;
mod colormap;
mod error;
mod font;
mod geojson;
mod html;
mod marked;
mod marks;
mod masks;
mod npy;
mod overlay;
mod panel;
mod plots;
mod predictions;
mod records;
mod sheet;
mod yolo;

pub use atomic::{WriteSeek, delete_leftovers, write_atomically, write_image};
pub use coco::{write_coco, write_coco_results};
pub use colormap::{ScoreRange, class_color, heat_color};
pub use error::ReportError;
pub use geojson::write_geojson;
pub use html::{Block, Drawing, Figure, Page, Picture, Section, Table};
pub use marked::marked_picture;
pub use masks::{write_png_mask, write_tiff_mask};
pub use npy::write_npy;
pub use overlay::{DEFAULT_LONGEST_SIDE, Overlay};
pub use panel::Panel;
pub use plots::{
    EpochRecord, Plot, RateLoss, ReliabilityOf, confusion_plot, froc_plot, learning_rate_plot,
    precision_recall_plot, reliability_plot, training_curves,
};
pub use predictions::{ImageRecord, read_json, write_csv, write_json};
pub use records::Records;
pub use sheet::{CUTOUT_SIDE, Cutout, Sheet};
pub use yolo::{write_yolo, write_yolo_classes};
