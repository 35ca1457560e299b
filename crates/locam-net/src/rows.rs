//! Pixels that come as they are needed.

use crate::NetError;
use locam_core::{Normalization, Size};
use locam_infer::{ImageRows, Images, InferError, Pixels};
use std::ops::Range;

/// One image in the network's input scale, whose rows come as they are needed.
pub trait RgbRows {
    /// Why rows can't be had.
    type Error: From<NetError>;

    /// The size of the whole image.
    fn size(&self) -> Size;

    /// Begins at the top, with these columns of every row.
    ///
    /// # Errors
    /// Columns that can't be had.
    fn select(&mut self, columns: Range<u32>) -> Result<(), Self::Error>;

    /// Red, green, blue of the selected columns of these rows, one row after the other, and the row at which the bytes
    /// begin: no later than the first that was asked for. Rows are asked for from top to bottom: what lies above these
    /// never again, until columns are selected anew.
    ///
    /// # Errors
    /// Rows that can't be had.
    fn rows(&mut self, rows: Range<usize>) -> Result<(&[u8], usize), Self::Error>;
}

/// Rows of an image's maps that outlive a pass that is stopped, so that the same passes over the same image go on from them.
pub trait KeptRows: Sync {
    /// Begins with the next strip of the image, and gives the values that are kept of it, row by row from the first on.
    fn next_strip(&self) -> Vec<f32>;

    /// Keeps the values of the next rows of the strip that was begun last.
    fn add(&self, values: &[f32]);
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingKept;

impl KeptRows for NothingKept {
    fn next_strip(&self) -> Vec<f32> {
        Vec::new()
    }

    fn add(&self, _: &[f32]) {}
}

/// A whole image in memory.
#[derive(Clone, Debug)]
pub struct WholeImage<'a> {
    size: Size,
    pixels: &'a [u8],
    /// The selected columns, where they are not all.
    part: Vec<u8>,
}

impl<'a> WholeImage<'a> {
    /// An image of red, green, blue, row by row.
    pub fn new(size: Size, pixels: &'a [u8]) -> Self {
        Self { size, pixels, part: Vec::new() }
    }
}

impl RgbRows for WholeImage<'_> {
    type Error = NetError;

    fn size(&self) -> Size {
        self.size
    }

    fn select(&mut self, columns: Range<u32>) -> Result<(), NetError> {
        self.part.clear();
        if columns != (0..self.size.width) {
            let values = 3 * columns.start as usize..3 * columns.end as usize;
            let rows = self.pixels.chunks_exact(3 * self.size.width as usize);
            self.part = rows.flat_map(|row| &row[values.clone()]).copied().collect();
        }
        Ok(())
    }

    fn rows(&mut self, _: Range<usize>) -> Result<(&[u8], usize), NetError> {
        Ok((if self.part.is_empty() { self.pixels } else { &self.part }, 0))
    }
}

/// The selected rows with what is to happen to their values.
pub(crate) struct Normalized<'a, R> {
    pub(crate) rows: &'a mut R,
    /// Where they begin.
    pub(crate) top: u32,
    /// That of the selected columns, from there on.
    pub(crate) size: Size,
    pub(crate) normalization: Normalization,
}

/// The error of a source of rows, which may be the network's.
pub(crate) struct RowError<E>(pub(crate) E);

impl<E: From<NetError>> From<InferError> for RowError<E> {
    fn from(error: InferError) -> Self {
        Self(NetError::from(error).into())
    }
}

impl<R: RgbRows> ImageRows for Normalized<'_, R> {
    type Error = RowError<R::Error>;

    fn size(&self) -> Size {
        self.size
    }

    fn rows(&mut self, rows: Range<usize>) -> Result<(Images<'_>, usize), Self::Error> {
        let (width, top) = (self.size.width, self.top as usize);
        let pitch = (3 * width as usize).max(1);
        let (pixels, first) = self.rows.rows(rows.start + top..rows.end + top).map_err(RowError)?;
        // What lies above is no part of this image.
        let above = top.saturating_sub(first);
        let (pixels, first) = (&pixels[above * pitch..], first + above - top);
        let size = Size::new(width, (pixels.len() / pitch) as u32);
        let images = Images { count: 1, size, pixels: Pixels::Bytes(pixels, self.normalization) };
        images.check()?;
        Ok((images, first))
    }
}
