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

    /// Red, green, blue of these rows, whole and one after the other, and the row at which the bytes begin: no later
    /// than the first that was asked for. Rows are asked for from top to bottom: what lies above these never again.
    ///
    /// # Errors
    /// Rows that can't be had.
    fn rows(&mut self, rows: Range<usize>) -> Result<(&[u8], usize), Self::Error>;
}

/// A whole image in memory.
#[derive(Clone, Copy, Debug)]
pub struct WholeImage<'a> {
    /// Its size.
    pub size: Size,
    /// Red, green, blue, row by row.
    pub pixels: &'a [u8],
}

impl RgbRows for WholeImage<'_> {
    type Error = NetError;

    fn size(&self) -> Size {
        self.size
    }

    fn rows(&mut self, _: Range<usize>) -> Result<(&[u8], usize), NetError> {
        Ok((self.pixels, 0))
    }
}

/// Rows with what is to happen to their values.
pub(crate) struct Normalized<'a, R> {
    pub(crate) rows: &'a mut R,
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
        self.rows.size()
    }

    fn rows(&mut self, rows: Range<usize>) -> Result<(Images<'_>, usize), Self::Error> {
        let width = self.rows.size().width;
        let (pixels, first) = self.rows.rows(rows).map_err(RowError)?;
        let size = Size::new(width, (pixels.len() / (3 * width as usize).max(1)) as u32);
        let images = Images { count: 1, size, pixels: Pixels::Bytes(pixels, self.normalization) };
        images.check()?;
        Ok((images, first))
    }
}
