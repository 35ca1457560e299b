//! The rows of a level that scaling needs at a time.

use super::{Bands, ImageSource, Missing, Rows};
use crate::DataError;
use image::RgbImage;
use locam_core::Rect;
use std::ops::Range;
use std::sync::Arc;

/// Some columns of a level, of which a few rows are held.
pub(super) struct SourceWindow {
    columns: Range<u32>,
    held: Held,
}

enum Held {
    /// The whole level, where it had to be decoded at once.
    Whole(Arc<RgbImage>),
    Bands {
        bands: Box<dyn Bands>,
        first_row: u32,
        pixels: Vec<u8>,
        missing: Missing,
    },
}

impl SourceWindow {
    pub(super) fn new(source: &ImageSource, level: usize, columns: Range<u32>) -> Result<Self, DataError> {
        let held = match source.rows(level, columns.clone())? {
            Rows::Whole(image) => Held::Whole(image),
            Rows::Bands(bands) => {
                let missing = Missing::new(source.levels()[level], source.size());
                Held::Bands { bands, first_row: 0, pixels: Vec::new(), missing }
            }
        };
        Ok(Self { columns, held })
    }

    pub(super) fn first_column(&self) -> usize {
        self.columns.start as usize
    }

    /// Reads until `rows` are held, and forgets what lies above them.
    pub(super) fn hold(&mut self, rows: Range<u32>) -> Result<(), DataError> {
        let pitch = 3 * self.columns.len();
        let Held::Bands { bands, first_row, pixels, missing } = &mut self.held else {
            return Ok(());
        };
        loop {
            let passed = (rows.start.saturating_sub(*first_row) as usize).min(pixels.len() / pitch);
            pixels.drain(..passed * pitch);
            *first_row += passed as u32;
            if *first_row + (pixels.len() / pitch) as u32 >= rows.end {
                return Ok(());
            }
            let was_empty = pixels.is_empty();
            let first_read = bands.read_next(rows.start, pixels, missing)?;
            if was_empty {
                *first_row = first_read;
            }
        }
    }

    /// Red, green, blue of one of the rows that are held.
    pub(super) fn row(&self, row: usize) -> &[u8] {
        let length = 3 * self.columns.len();
        match &self.held {
            Held::Whole(image) => {
                let at = 3 * (row * image.width() as usize + self.columns.start as usize);
                &image.as_raw()[at..][..length]
            }
            Held::Bands { first_row, pixels, .. } => {
                &pixels[(row - *first_row as usize) * length..][..length]
            }
        }
    }

    pub(super) fn missing(&self) -> &[Rect] {
        match &self.held {
            Held::Whole(_) => &[],
            Held::Bands { missing, .. } => missing.regions(),
        }
    }
}
