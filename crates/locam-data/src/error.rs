use crate::Layout;
use locam_core::Size;
use std::io;
use std::path::PathBuf;

/// What can go wrong while reading or making labelled images.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file could not be opened or read.
    #[error("cannot read {}: {source}; check that it exists and may be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}; check the folder and the free space", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A folder that is to be written is already there.
    #[error("{} already exists and is not an empty folder; remove it or name another", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A file has no bytes.
    #[error("{} is empty (zero bytes); copy it again or remove it", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A file is not in an image format that is read here.
    #[error("{} is not a JPEG, PNG, TIFF, BMP or WebP image; convert or remove it", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
    },
    /// A file is a slide in a scanner's own format, and this crate was built without the feature `slides`.
    #[error(
        "{} is a slide in a scanner's own format, which this build does not read; build with `--features slides`, \
         which needs OpenSlide, or convert it, as with `vips tiffsave SLIDE OUT.tif --tile --pyramid --bigtiff \
         --compression jpeg`",
        path.display()
    )]
    SlideFormat {
        /// The file.
        path: PathBuf,
    },
    /// `OpenSlide` can't read a slide.
    #[cfg(feature = "slides")]
    #[error(
        "OpenSlide {version} cannot read {}: {reason}; check that all files of the slide were copied, use another \
         version of OpenSlide (DICOM needs 4.0), or convert it to a tiled TIFF, as with Bio-Formats' `bfconvert`",
        path.display()
    )]
    OpenSlide {
        /// The file.
        path: PathBuf,
        /// The version of `OpenSlide` that is in use.
        version: String,
        /// What it said.
        reason: String,
    },
    /// An image claims more pixels than are read.
    #[error("{} claims {width} x {height} pixels, more than {limit} in all; cut it into tiles", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Columns that the header claims.
        width: u32,
        /// Rows that the header claims.
        height: u32,
        /// The most pixels that an image may have.
        limit: u64,
    },
    /// An image has no pixels.
    #[error("{} claims {width} x {height} pixels, so it has none; remove it", path.display())]
    NoPixels {
        /// The file.
        path: PathBuf,
        /// Columns that the header claims.
        width: u32,
        /// Rows that the header claims.
        height: u32,
    },
    /// An image ends early.
    #[error("{} is cut short: {reason}; copy it again or remove it", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// An image is damaged, or uses a feature that is not read here.
    #[error("cannot decode {}: {reason}; save it again as 8-bit PNG, or remove it", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A level of a pyramid is not a smaller copy of the image.
    #[error(
        "level {level} of {} is {size} pixels, another shape than the image of {full}; write the pyramid again, or \
         convert the full image alone",
        path.display()
    )]
    LevelsDisagree {
        /// The file.
        path: PathBuf,
        /// The level, counted from the full image at 0.
        level: usize,
        /// Its size.
        size: Size,
        /// The size of the full image.
        full: Size,
    },
    /// An image could not be resized.
    #[error("cannot resize {from} to {to}: {reason}")]
    Resize {
        /// The size it has.
        from: Size,
        /// The size it was to get.
        to: Size,
        /// What was wrong.
        reason: String,
    },
    /// A worker thread could not be started or ended without an answer.
    #[error("a loader thread failed: {reason}; run with fewer workers")]
    Worker {
        /// What happened.
        reason: String,
    },
    /// A word names no change of training patches.
    #[error("no augmentation is called `{name}`; there are the presets {presets}, and the changes {changes}")]
    UnknownChange {
        /// The word.
        name: String,
        /// The presets.
        presets: String,
        /// The single changes.
        changes: String,
    },
    /// A word names no laboratory's look.
    #[error("no stain is called `{name}`; there are {known}")]
    UnknownStain {
        /// The word.
        name: String,
        /// All stains.
        known: String,
    },
    /// A field takes too much memory to be drawn.
    #[error("a field of {size} pixels is too large to be drawn; give at most {most} on a side")]
    FieldSize {
        /// Its size.
        size: Size,
        /// The longest side.
        most: u32,
    },
    /// A magnification can't be drawn.
    #[error("a cell scale of {scale} can't be drawn; give one from 0.1 to 10")]
    CellScale {
        /// The magnification.
        scale: f64,
    },
    /// A word names no layout.
    #[error("no layout is called `{name}`; there are {known}")]
    UnknownLayout {
        /// The word.
        name: String,
        /// The layouts.
        known: String,
    },
    /// A folder is laid out in no known way.
    #[error("{} holds nothing labelled that is recognised ({files} files); looked for\n{looked_for}", path.display())]
    NoLayout {
        /// The folder.
        path: PathBuf,
        /// How many files it holds.
        files: usize,
        /// The layouts and their signs.
        looked_for: String,
    },
    /// A single file is no data set.
    #[error(
        "{} is neither a CSV file with the columns path,label nor a COCO file (JSON with images, annotations and \
         categories); name such a file, or a folder of images",
        path.display()
    )]
    NoManifest {
        /// The file.
        path: PathBuf,
    },
    /// A layout was read and there was nothing in it.
    #[error("{} holds no labelled image; read as {layout}, which is {sign}{first_problem}", path.display())]
    NothingLabelled {
        /// The folder.
        path: PathBuf,
        /// The layout.
        layout: Layout,
        /// What the layout consists of.
        sign: &'static str,
        /// The first file that was passed over.
        first_problem: String,
    },
    /// A file can't be used, and none may be passed over.
    #[error("{}: {reason} (without --strict such a file is passed over)", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A manifest can't be understood.
    #[error("{}: {reason}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The data do not make a training set.
    #[error("{}: {reason}", path.display())]
    Unfit {
        /// The data set.
        path: PathBuf,
        /// What was looked for, and what is there.
        reason: String,
    },
}
