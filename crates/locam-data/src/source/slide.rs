//! Slides in scanners' own formats, through `OpenSlide` (Goode et al., 2013, "a vendor-neutral software foundation for digital
//! pathology").

use super::whole::read_whole;
use super::{Bands, COARSEST, MAX_BAND_BYTES, Missing};
use crate::DataError;
use image::RgbImage;
use locam_core::Size;
use openslide_rs::errors::OpenSlideError;
use openslide_rs::{Address, OpenSlide, Region};
use rayon::prelude::*;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The least side of what is asked for at once: a call costs more than a small tile.
const LEAST_CHUNK: u32 = 256;

/// Tiles with a longer side are not read as a whole, so that a row of them doesn't fill the memory.
const LARGEST_TILE: u32 = 1024;

/// What a slide's file holds; pixels are read as they are needed.
pub(crate) struct SlideImage {
    path: PathBuf,
    slide: Arc<OpenSlide>,
    levels: Vec<SlideLevel>,
    /// What shows where nothing was scanned.
    background: [u8; 3],
}

/// One level of a slide.
#[derive(Clone, Copy)]
struct SlideLevel {
    /// Its place in the file.
    number: u32,
    size: Size,
    downsample: f64,
    /// The size of its tiles; that of a chunk where they have none, or are long.
    tile: Size,
    /// What is asked for at once, a few whole tiles.
    chunk: Size,
}

impl SlideImage {
    /// Opens a slide and reads its description.
    ///
    /// # Errors
    /// [`DataError::OpenSlide`] for what `OpenSlide` doesn't know or can't read, [`DataError::NoPixels`].
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let slide = open(path)?;
        let levels: Vec<SlideLevel> =
            (0..slide.level_count()).filter_map(|number| SlideLevel::of(&slide, number)).collect();
        match levels.first() {
            Some(SlideLevel { number: 0, size, .. }) if size.area() > 0 => {}
            _ => return Err(DataError::NoPixels { path: path.to_owned(), width: 0, height: 0 }),
        }
        let background = slide.properties().openslide_properties.background_color.as_deref();
        let background = background.and_then(color_of_hex).unwrap_or([u8::MAX; 3]);
        Ok(Self { path: path.to_owned(), slide: Arc::new(slide), levels, background })
    }

    /// The size of the full image.
    pub(crate) fn size(&self) -> Size {
        self.levels[0].size
    }

    /// The sizes of all levels, the full image first.
    pub(super) fn sizes(&self) -> impl Iterator<Item = Size> + '_ {
        self.levels.iter().map(|level| level.size)
    }

    /// Micrometres per pixel of the full image, the mean of both axes.
    pub(super) fn microns_per_pixel(&self) -> Option<f64> {
        let along = |name| self.slide.property_value(name).ok()?.parse::<f64>().ok();
        let microns = f64::midpoint(along("openslide.mpp-x")?, along("openslide.mpp-y")?);
        (microns > 0.0 && microns <= COARSEST).then_some(microns)
    }

    /// The rows of some columns of a level.
    pub(super) fn bands(&self, level: usize, columns: Range<u32>) -> Result<Box<dyn Bands>, DataError> {
        let level = self.levels[level];
        let height = level.chunk.height.min(level.size.height);
        // A chunk has 4 bytes a pixel before its alpha is gone.
        if 4 * columns.len() as u64 * u64::from(height) > MAX_BAND_BYTES {
            let (width, limit) = (columns.len() as u32, MAX_BAND_BYTES / 4);
            return Err(DataError::TooLarge { path: self.path.clone(), width, height, limit });
        }
        Ok(Box::new(SlideBands {
            path: self.path.clone(),
            slide: Arc::clone(&self.slide),
            level,
            background: self.background,
            columns,
            next_row: 0,
        }))
    }

    /// Decodes the whole of the full image, in which no part may be damaged.
    pub(crate) fn read_whole(&self) -> Result<RgbImage, DataError> {
        let size = self.size();
        read_whole(&self.path, size, self.bands(0, 0..size.width)?.as_mut())
    }
}

impl SlideLevel {
    /// `None` for a level that has no pixels.
    fn of(slide: &OpenSlide, number: u32) -> Option<Self> {
        let size = slide.level_dimensions(number).ok()?;
        let downsample = slide.level_downsample(number).ok()?;
        let known = slide.properties().openslide_properties.levels.get(number as usize);
        let side = |tile: Option<u32>| tile.filter(|tile| (1..=LARGEST_TILE).contains(tile));
        let tile = known.and_then(|level| Some((side(level.tile_width)?, side(level.tile_height)?)));
        let (width, height) = tile.unwrap_or((LEAST_CHUNK, LEAST_CHUNK));
        let chunk = |tile: u32| tile * LEAST_CHUNK.div_ceil(tile);
        (size.w > 0 && size.h > 0).then(|| Self {
            number,
            size: Size::new(size.w, size.h),
            downsample,
            tile: Size::new(width, height),
            chunk: Size::new(chunk(width), chunk(height)),
        })
    }
}

/// Columns and rows of a level.
type Part = (Range<u32>, Range<u32>);

/// Reads rows of chunks, all chunks of a row at once.
struct SlideBands {
    path: PathBuf,
    slide: Arc<OpenSlide>,
    level: SlideLevel,
    background: [u8; 3],
    columns: Range<u32>,
    next_row: u32,
}

impl SlideBands {
    /// The parts of some columns and rows that lie in one cell of a grid each, row by row.
    fn parts(columns: &Range<u32>, rows: &Range<u32>, cell: Size) -> Vec<Part> {
        let across = spans(columns, cell.width);
        spans(rows, cell.height)
            .into_iter()
            .flat_map(|rows| across.iter().map(move |columns| (columns.clone(), rows.clone())))
            .collect()
    }

    /// Red, green, blue of a part of the level.
    fn read(&self, (columns, rows): &Part) -> Result<Vec<u8>, OpenSlideError> {
        // OpenSlide takes places in pixels of the full image, whole ones: where a level's downsample is no whole number, it
        // moves what it reads by at most half a pixel of the full image.
        let place = |at: u32| (f64::from(at) * self.level.downsample).round() as u32;
        let pixels = self.slide.read_region(&Region {
            address: Address { x: place(columns.start), y: place(rows.start) },
            level: self.level.number,
            size: openslide_rs::Size { w: columns.len() as u32, h: rows.len() as u32 },
        })?;
        let (pixels, _) = pixels.as_chunks::<4>();
        Ok(pixels.iter().flat_map(|&argb| over(self.background, u32::from_ne_bytes(argb))).collect())
    }

    /// Reads a part of which something is damaged tile by tile, and notes the tiles that can't be read.
    fn recover(
        &mut self,
        (columns, rows): &Part,
        missing: &mut Missing,
    ) -> Result<Vec<(Part, Vec<u8>)>, DataError> {
        let mut read = Vec::new();
        for tile in Self::parts(columns, rows, self.level.tile) {
            match self.read(&tile) {
                Ok(pixels) => read.push((tile, pixels)),
                Err(fault) => {
                    // After an error a handle answers nothing else.
                    self.slide = Arc::new(open(&self.path)?);
                    missing.add(tile.0, tile.1, open_slide_error(&self.path, &fault));
                }
            }
        }
        Ok(read)
    }
}

impl Bands for SlideBands {
    fn read_next(
        &mut self,
        from: u32,
        pixels: &mut Vec<u8>,
        missing: &mut Missing,
    ) -> Result<u32, DataError> {
        let SlideLevel { size, chunk, .. } = self.level;
        let first = self.next_row.max(from / chunk.height * chunk.height);
        let rows = first..(first + chunk.height).min(size.height);
        self.next_row = rows.end;
        let parts = Self::parts(&self.columns, &rows, chunk);
        let read: Vec<Result<Vec<u8>, OpenSlideError>> =
            parts.par_iter().map(|part| self.read(part)).collect();
        if read.iter().any(Result::is_err) {
            self.slide = Arc::new(open(&self.path)?);
        }
        let pitch = 3 * self.columns.len();
        let start = pixels.len();
        pixels.resize(start + pitch * rows.len(), u8::MAX);
        let into = &mut pixels[start..];
        for (part, read) in parts.into_iter().zip(read) {
            let read = match read {
                Ok(read) => vec![(part, read)],
                Err(_) => self.recover(&part, missing)?,
            };
            for ((columns, of), from) in read {
                let left = 3 * (columns.start - self.columns.start) as usize;
                let length = 3 * columns.len();
                let below = into[pitch * (of.start - first) as usize..].chunks_exact_mut(pitch);
                for (into, from) in below.zip(from.chunks_exact(length)) {
                    into[left..][..length].copy_from_slice(from);
                }
            }
        }
        Ok(first)
    }
}

/// A range cut at the multiples of `length`.
fn spans(range: &Range<u32>, length: u32) -> Vec<Range<u32>> {
    let cells = range.start / length..range.end.div_ceil(length);
    let end = |cell: u32| cell.saturating_add(1).saturating_mul(length).min(range.end);
    cells.map(|cell| (cell * length).max(range.start)..end(cell)).collect()
}

/// A colour of some opacity before a background. Of `0xAARRGGBB` the colours are already multiplied by the opacity.
fn over(background: [u8; 3], argb: u32) -> [u8; 3] {
    let [alpha, red, green, blue] = argb.to_be_bytes();
    let through = 255 - u32::from(alpha);
    let over = |color: u8, behind: u8| {
        (u32::from(color) + (u32::from(behind) * through + 127) / 255).min(u32::from(u8::MAX)) as u8
    };
    [over(red, background[0]), over(green, background[1]), over(blue, background[2])]
}

/// `RRGGBB`
fn color_of_hex(text: &str) -> Option<[u8; 3]> {
    let is_color = text.len() == 6 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let value = u32::from_str_radix(text, 16).ok().filter(|_| is_color)?;
    let [_, red, green, blue] = value.to_be_bytes();
    Some([red, green, blue])
}

fn open(path: &Path) -> Result<OpenSlide, DataError> {
    OpenSlide::new(path).map_err(|error| open_slide_error(path, &error))
}

fn open_slide_error(path: &Path, error: &OpenSlideError) -> DataError {
    let reason = match error {
        OpenSlideError::UnsupportedFile(_) => "it is in no format that it knows".to_owned(),
        OpenSlideError::LibraryError(reason) => reason.clone(),
        other => other.to_string(),
    };
    let version = OpenSlide::version().unwrap_or_default();
    DataError::OpenSlide { path: path.to_owned(), version, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_scanned_shows_the_background() {
        let paper = [240, 230, 220];
        assert_eq!(over(paper, 0), paper);
        assert_eq!(over(paper, 0xFF_12_34_56), [0x12, 0x34, 0x56]);
        // Half opaque black, and what a rounded sum would carry beyond white.
        assert_eq!(over(paper, 0x80_00_00_00), [120, 115, 110]);
        assert_eq!(over([255; 3], 0x01_02_02_02), [255; 3]);
        assert_eq!(color_of_hex("F0E6dc"), Some(paper));
        assert_eq!((color_of_hex("white"), color_of_hex("+12345"), color_of_hex("")), (None, None, None));
    }

    #[test]
    fn parts_cover_every_pixel_once_and_cross_no_edge_of_the_grid() {
        let parts = SlideBands::parts(&(5..23), &(7..20), Size::new(6, 10));
        let columns = [5..6, 6..12, 12..18, 18..23];
        let expected: Vec<Part> =
            [7..10, 10..20].into_iter().flat_map(|rows| columns.clone().map(|c| (c, rows.clone()))).collect();
        assert_eq!(parts, expected);
    }
}
