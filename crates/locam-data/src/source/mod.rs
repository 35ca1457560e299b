//! Images of any size, read by rows.

mod missing;
mod png_rows;
mod reduced;
mod samples;
mod scaled;
#[cfg_attr(not(feature = "slides"), path = "no_slide.rs")]
pub(crate) mod slide;
mod taps;
pub(crate) mod tiff;
mod whole;
mod window;

pub use scaled::ScaledRows;

use crate::DataError;
use crate::image_io::{self, Content};
use image::metadata::Orientation;
use image::{ImageFormat, RgbImage};
use locam_core::Size;
use missing::Missing;
use png_rows::PngBands;
use slide::SlideImage;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tiff::TiffImage;

/// The most bytes of rows that are decoded at once.
const MAX_BAND_BYTES: u64 = 2 << 30;

/// The largest pixel of a microscope's image in micrometres. Coarser resolutions are those of printing (72 dots per
/// inch are 353 micrometres) and say nothing about the specimen.
const COARSEST: f64 = 20.0;

/// One level of an image's pyramid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Its size in pixels, upright.
    pub size: Size,
    /// How many pixels of the full image one of its pixels is wide; 1 for the full image.
    pub downsample: f64,
    /// How many micrometres one of its pixels is wide, where the file says so believably.
    pub microns_per_pixel: Option<f64>,
}

impl Level {
    /// A level of an image of `full`, whose pixels are so many micrometres wide.
    fn of(size: Size, full: Size, microns_per_pixel: Option<f64>) -> Self {
        let downsample = f64::from(full.width) / f64::from(size.width);
        Self { size, downsample, microns_per_pixel: microns_per_pixel.map(|microns| microns * downsample) }
    }
}

/// An image that is read by rows, never whole where its format allows.
///
/// Colours are those of [`crate::read_rgb`]. TIFF and BigTIFF are read by tiles and strips, PNG by rows, slides in scanners'
/// own formats by parts through `OpenSlide` where the feature `slides` is on. JPEG, BMP, WebP, interlaced PNG, and whatever
/// is stored turned are decoded whole while they are opened. Clones share what was decoded.
#[derive(Clone)]
pub struct ImageSource {
    path: PathBuf,
    pixels: Pixels,
    levels: Vec<Level>,
    warnings: Vec<String>,
}

#[derive(Clone)]
enum Pixels {
    Whole(Arc<RgbImage>),
    Tiff(Arc<TiffImage>),
    Png,
    Slide(Arc<SlideImage>),
}

/// The rows of one level.
enum Rows {
    Whole(Arc<RgbImage>),
    Bands(Box<dyn Bands>),
}

/// Decodes some columns of a level from top to bottom.
trait Bands: Send + Sync {
    /// Appends the next few rows, red, green, blue, and adds what of them is damaged; returns the first row that it
    /// appended. Rows above `from` are passed over where that saves work, so this may be any row up to `from`.
    ///
    /// # Errors
    /// Faults that are not confined to a part of the image.
    fn read_next(&mut self, from: u32, pixels: &mut Vec<u8>, missing: &mut Missing)
    -> Result<u32, DataError>;
}

impl ImageSource {
    /// Opens an image file, whose format is recognised by content, that of slides by their extension.
    ///
    /// # Errors
    /// As [`crate::read_rgb`], and [`DataError::LevelsDisagree`]. Of a TIFF and of a slide only the description is read, so
    /// that damaged pixels show later.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        match image_io::open(path)? {
            Content::Slide => Self::open_slide(path),
            Content::Image(_, ImageFormat::Tiff) => Self::open_tiff(path),
            Content::Image(_, ImageFormat::Png) => Self::open_png(path),
            Content::Image(..) => Ok(Self::whole(path, image_io::read_rgb(path)?, None, Vec::new())),
        }
    }

    fn open_slide(path: &Path) -> Result<Self, DataError> {
        let slide = SlideImage::open(path)?;
        let microns = slide.microns_per_pixel();
        let levels = slide.sizes().map(|size| Level::of(size, slide.size(), microns)).collect();
        let pixels = Pixels::Slide(Arc::new(slide));
        Ok(Self { path: path.to_owned(), pixels, levels, warnings: Vec::new() })
    }

    fn open_tiff(path: &Path) -> Result<Self, DataError> {
        let image = TiffImage::open(path)?;
        let (microns, warnings) = (image.microns_per_pixel(), image.warnings().to_vec());
        if image.orientation() != Orientation::NoTransforms {
            return Ok(Self::whole(path, image_io::read_rgb(path)?, microns, warnings));
        }
        let levels = image.sizes().map(|size| Level::of(size, image.size(), microns)).collect();
        let pixels = Pixels::Tiff(Arc::new(image));
        Ok(Self { path: path.to_owned(), pixels, levels, warnings })
    }

    fn open_png(path: &Path) -> Result<Self, DataError> {
        match png_rows::size_of_rows(path)? {
            Some(size) => {
                let levels = vec![Level::of(size, size, None)];
                Ok(Self { path: path.to_owned(), pixels: Pixels::Png, levels, warnings: Vec::new() })
            }
            None => Ok(Self::whole(path, image_io::read_rgb(path)?, None, Vec::new())),
        }
    }

    fn whole(path: &Path, image: RgbImage, microns: Option<f64>, warnings: Vec<String>) -> Self {
        let size = Size::new(image.width(), image.height());
        let (path, pixels) = (path.to_owned(), Pixels::Whole(Arc::new(image)));
        Self { path, pixels, levels: vec![Level::of(size, size, microns)], warnings }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The size of the full image, upright.
    pub fn size(&self) -> Size {
        self.levels[0].size
    }

    /// How many micrometres a pixel of the full image is wide, where the file says so believably.
    pub fn microns_per_pixel(&self) -> Option<f64> {
        self.levels[0].microns_per_pixel
    }

    /// The levels of the pyramid, the full image first; one for plain images.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Whether pixels are decoded as they are needed; false where the whole image had to be decoded.
    pub fn is_streamed(&self) -> bool {
        match &self.pixels {
            Pixels::Whole(_) => false,
            Pixels::Tiff(image) => image.is_streamed(),
            Pixels::Png | Pixels::Slide(_) => true,
        }
    }

    /// What in the file is odd but does not prevent reading, as levels that can't be decoded.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The smallest level that is at least as large as `size`; the full image where none is.
    fn level_for(&self, size: Size) -> usize {
        let large_enough = |level: &Level| level.size.width >= size.width && level.size.height >= size.height;
        let candidates = self.levels.iter().enumerate().filter(|(_, level)| large_enough(level));
        candidates.min_by_key(|(_, level)| level.size.area()).map_or(0, |(index, _)| index)
    }

    /// The rows of these columns of a level.
    fn rows(&self, level: usize, columns: Range<u32>) -> Result<Rows, DataError> {
        Ok(match &self.pixels {
            Pixels::Whole(image) => Rows::Whole(Arc::clone(image)),
            Pixels::Tiff(image) => Rows::Bands(Box::new(image.bands(level, columns)?)),
            Pixels::Png => Rows::Bands(Box::new(PngBands::new(&self.path, columns)?)),
            Pixels::Slide(slide) => Rows::Bands(slide.bands(level, columns)?),
        })
    }
}
