//! The network's input, read from an image file by rows as the network asks for them.

use crate::Error;
use crate::parts::Part;
use crate::progress::ImageProgress;
use crate::row_file::RowFile;
use crate::stain_normalization::StainNormalization;
use locam_core::{Rect, Size};
use locam_data::{ImageSource, ScaledRows};
use locam_net::RgbRows;
use std::ops::Range;

/// An image that is scaled as a whole.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) source: &'a ImageSource,
    /// That of the whole image, scaled.
    pub(crate) size: Size,
    /// What is done to its light and stain.
    pub(crate) stain: Option<&'a StainNormalization>,
    pub(crate) progress: &'a ImageProgress<'a>,
    /// The rows of its maps that are kept.
    pub(crate) kept: &'a RowFile,
}

/// A part of such an image.
pub(crate) struct InputRows<'a> {
    input: Input<'a>,
    left: u32,
    top: u32,
    size: Size,
    /// The columns that are read, and down to which row.
    rows: Option<ScaledRows>,
    /// What was read last, in another light and stain.
    normalized: Vec<u8>,
    end: usize,
    missing: Vec<Rect>,
}

impl<'a> InputRows<'a> {
    /// A part of an image.
    pub(crate) fn new(input: Input<'a>, part: &Part) -> Self {
        Self {
            input,
            left: part.left,
            top: part.top,
            size: part.size,
            rows: None,
            normalized: Vec::new(),
            end: 0,
            missing: Vec::new(),
        }
    }

    /// The damaged parts of the image among what was read, in its pixels.
    pub(crate) fn into_missing(mut self) -> Vec<Rect> {
        self.note_missing();
        self.missing
    }

    /// Strips of columns overlap, so that a part may be met twice.
    fn note_missing(&mut self) {
        for part in self.rows.iter().flat_map(ScaledRows::missing) {
            if !self.missing.contains(part) {
                self.missing.push(*part);
            }
        }
    }
}

impl RgbRows for InputRows<'_> {
    type Error = Error;

    fn size(&self) -> Size {
        self.size
    }

    fn select(&mut self, columns: Range<u32>) -> Result<(), Error> {
        self.note_missing();
        let columns = columns.start + self.left..columns.end + self.left;
        // Memory of the columns before is given back first.
        self.rows = None;
        self.end = 0;
        self.rows = Some(ScaledRows::new(self.input.source, self.input.size, columns)?);
        Ok(())
    }

    fn rows(&mut self, rows: Range<usize>) -> Result<(&[u8], usize), Error> {
        if self.rows.is_none() {
            self.select(0..self.size().width)?;
        }
        let top = self.top as usize;
        let Some(scaled) = &mut self.rows else { return Ok((&[], rows.start)) };
        let read = rows.end.saturating_sub(self.end) as f64 * f64::from(scaled.size().width);
        self.end = self.end.max(rows.end);
        self.input.progress.add(read / self.input.size.area() as f64);
        scaled.rows(rows.start + top..rows.end + top)?;
        if !scaled.missing().is_empty() {
            // Whoever went on from here would not meet what was damaged above.
            self.input.kept.give_up();
        }
        // They are there: this only borrows them.
        let (pixels, first) = scaled.rows(rows.start + top..rows.end + top)?;
        // Rows that are left out are never asked for, so none of them is there.
        let first = first - top;
        let Some(stain) = self.input.stain else { return Ok((pixels, first)) };
        stain.apply(pixels, &mut self.normalized);
        Ok((&self.normalized, first))
    }
}
