//! The network's input, read from an image file by rows as the network asks for them.

use crate::Error;
use crate::parts::Part;
use crate::progress::ImageProgress;
use locam_core::{Rect, Size};
use locam_data::{ImageSource, ScaledRows};
use locam_net::RgbRows;
use std::ops::Range;

/// A part of an image that is scaled as a whole.
pub(crate) struct InputRows<'a> {
    source: &'a ImageSource,
    /// That of the whole image, scaled.
    input_size: Size,
    left: u32,
    top: u32,
    size: Size,
    /// The columns that are read, and down to which row.
    rows: Option<ScaledRows>,
    end: usize,
    missing: Vec<Rect>,
    progress: Option<(&'a ImageProgress<'a>, f64)>,
}

impl<'a> InputRows<'a> {
    /// `source` scaled to `input_size`, of which a part is read without its first columns and rows.
    pub(crate) fn new(
        source: &'a ImageSource,
        input_size: Size,
        part: &Part,
        (columns, rows): (u32, u32),
    ) -> Self {
        Self {
            source,
            input_size,
            left: part.left + columns,
            top: part.top + rows,
            size: Size::new(part.size.width - columns, part.size.height - rows),
            rows: None,
            end: 0,
            missing: Vec::new(),
            progress: None,
        }
    }

    /// Adds what is read to the image's progress, of which all rows are the given part.
    pub(crate) fn watched_by(self, progress: &'a ImageProgress<'a>, part: f64) -> Self {
        Self { progress: Some((progress, part)), ..self }
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
        self.rows = Some(ScaledRows::new(self.source, self.input_size, columns)?);
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
        if let Some((progress, part)) = self.progress {
            progress.add(part * read / self.input_size.area() as f64);
        }
        let (pixels, first) = scaled.rows(rows.start + top..rows.end + top)?;
        // Rows that are left out are never asked for, so none of them is there.
        Ok((pixels, first - top))
    }
}
