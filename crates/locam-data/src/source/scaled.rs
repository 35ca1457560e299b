use super::window::SourceWindow;
use super::{ImageSource, taps::Taps};
use crate::DataError;
use locam_core::{Rect, Size};
use rayon::prelude::*;
use std::ops::Range;

/// Rows that are scaled at a time, so that the rows of the source that wait for it stay few.
const STEP: usize = 32;

/// The rows of an image scaled to the network's input, some columns of it, from top to bottom, in bounded memory.
///
/// Bytes are those of [`crate::resize()`] over the whole of the pyramid's level that is read: the smallest that is at
/// least as large as the scaled image, so the image itself where it has one level.
pub struct ScaledRows {
    window: SourceWindow,
    /// Along x, from the level's columns to those of the scaled whole image.
    across: Option<Taps>,
    down: Option<Taps>,
    columns: Range<u32>,
    height: u32,
    first_row: usize,
    pixels: Vec<u8>,
}

impl ScaledRows {
    /// Rows of `source` scaled as a whole to `input_size`, of which only `columns` are made.
    ///
    /// # Errors
    /// [`DataError::Resize`] where there are no columns or rows, or more columns than the scaled image has; those of
    /// opening the file again.
    pub fn new(source: &ImageSource, input_size: Size, columns: Range<u32>) -> Result<Self, DataError> {
        if columns.is_empty() || columns.end > input_size.width || input_size.height == 0 {
            return Err(DataError::Resize {
                from: source.size(),
                to: input_size,
                reason: format!("columns {} to {} of it do not exist", columns.start, columns.end),
            });
        }
        let level = source.level_for(input_size);
        let size = source.levels()[level].size;
        let across = Taps::new(size.width, input_size.width);
        let down = Taps::new(size.height, input_size.height);
        let needed = match &across {
            Some(taps) => taps.inputs(columns.start as usize..columns.end as usize),
            None => columns.clone(),
        };
        Ok(Self {
            window: SourceWindow::new(source, level, needed)?,
            across,
            down,
            columns,
            height: input_size.height,
            first_row: 0,
            pixels: Vec::new(),
        })
    }

    /// Columns and rows that are made.
    pub fn size(&self) -> Size {
        Size::new(self.columns.len() as u32, self.height)
    }

    /// Red, green, blue of these rows, one after the other, and the row at which the bytes begin: no later than the
    /// first that was asked for. Rows are asked for from top to bottom; what lies above these is forgotten.
    ///
    /// # Errors
    /// Those of decoding; damaged parts of a TIFF are white instead, see [`missing`](Self::missing).
    ///
    /// # Panics
    /// Where rows are asked for that were forgotten or lie below the image.
    pub fn rows(&mut self, rows: Range<usize>) -> Result<(&[u8], usize), DataError> {
        assert!(
            self.first_row <= rows.start && rows.end <= self.height as usize,
            "rows {rows:?} of {} after row {}",
            self.height,
            self.first_row
        );
        let pitch = 3 * self.columns.len();
        let passed = (rows.start - self.first_row).min(self.pixels.len() / pitch);
        self.pixels.drain(..passed * pitch);
        self.first_row += passed;
        while self.first_row + self.pixels.len() / pitch < rows.end {
            let next = self.first_row + self.pixels.len() / pitch;
            if next < rows.start {
                // Rows between the last and these were passed over: they are never made.
                self.first_row = rows.start;
                continue;
            }
            self.make(next..rows.end.min(next + STEP))?;
        }
        Ok((&self.pixels, self.first_row))
    }

    /// The parts of the image that were damaged and read as white, in full-resolution pixels, of the rows read so far.
    pub fn missing(&self) -> &[Rect] {
        self.window.missing()
    }

    fn make(&mut self, rows: Range<usize>) -> Result<(), DataError> {
        let inputs = match &self.down {
            Some(taps) => taps.inputs(rows.clone()),
            None => rows.start as u32..rows.end as u32,
        };
        self.window.hold(inputs)?;
        let pitch = 3 * self.columns.len();
        let at = self.pixels.len();
        self.pixels.resize(at + rows.len() * pitch, 0);
        let (window, across, down) = (&self.window, self.across.as_ref(), self.down.as_ref());
        let columns = self.columns.clone();
        self.pixels[at..].par_chunks_mut(pitch).zip(rows).for_each_init(Vec::new, |scratch, (out, row)| {
            let Some(taps) = down else {
                return scale_across(across, window, &columns, window.row(row), out);
            };
            scale_down(taps, window, row, scratch);
            scale_across(across, window, &columns, scratch, out);
        });
        Ok(())
    }
}

/// One row of the scaled image at the width of the source.
fn scale_down(taps: &Taps, window: &SourceWindow, row: usize, out: &mut Vec<u8>) {
    // Short runs keep the sums in registers and the nearest cache.
    const RUN: usize = 256;
    let (first, weights) = taps.at(row);
    let width = window.row(first).len();
    out.resize(width, 0);
    for (index, out) in out.chunks_mut(RUN).enumerate() {
        let mut sums = [taps.half(); RUN];
        for (offset, &weight) in weights.iter().enumerate() {
            let values = &window.row(first + offset)[index * RUN..][..out.len()];
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum += i32::from(i16::from(value)) * i32::from(weight);
            }
        }
        for (out, &sum) in out.iter_mut().zip(&sums) {
            *out = taps.byte(sum);
        }
    }
}

/// The wanted columns of one row.
fn scale_across(
    taps: Option<&Taps>,
    window: &SourceWindow,
    columns: &Range<u32>,
    row: &[u8],
    out: &mut [u8],
) {
    let first_column = window.first_column();
    let Some(taps) = taps else {
        out.copy_from_slice(row);
        return;
    };
    let (row, _) = row.as_chunks::<3>();
    for (out, column) in out.as_chunks_mut::<3>().0.iter_mut().zip(columns.clone()) {
        let (first, weights) = taps.at(column as usize);
        let mut sums = [taps.half(); 3];
        for (pixel, &weight) in row[first - first_column..].iter().zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += i32::from(value) * i32::from(weight);
            }
        }
        *out = sums.map(|sum| taps.byte(sum));
    }
}
