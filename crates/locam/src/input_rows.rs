//! The network's input, read from an image file by rows as the network asks for them.

use crate::Error;
use crate::mirrored::{MIRRORED, MirroredAxis, mirrored_size};
use crate::parts::Part;
use crate::progress::ImageProgress;
use crate::row_file::RowFile;
use crate::stain_normalization::StainNormalization;
use locam_core::{Rect, Size};
use locam_data::{ImageSource, ScaledRows};
use locam_net::RgbRows;
use std::ops::Range;

/// An image that is scaled as a whole and goes on beyond its borders as its own mirror image.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) source: &'a ImageSource,
    /// That of the whole image, scaled.
    pub(crate) scaled: Size,
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
    /// The rows of the scaled image, those of its columns that are needed.
    scaled: Option<ScaledRows>,
    /// Where each column is among these.
    columns: Vec<u32>,
    /// The rows that were read last.
    pixels: Vec<u8>,
    /// The first of them, and the one behind the last.
    held: Range<usize>,
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
            scaled: None,
            columns: Vec::new(),
            pixels: Vec::new(),
            held: 0..0,
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
        for part in self.scaled.iter().flat_map(ScaledRows::missing) {
            if !self.missing.contains(part) {
                self.missing.push(*part);
            }
        }
    }

    /// Forgets the rows above this one.
    fn forget_above(&mut self, row: usize) {
        let passed = row.min(self.held.end) - self.held.start;
        self.pixels.drain(..passed * 3 * self.columns.len());
        self.held.start += passed;
        if row > self.held.end {
            // Those between were passed over, and are never read.
            self.held = row..row;
        }
    }

    /// Reads the next rows up to this one, where it was not reached yet.
    fn read_up_to(&mut self, end: usize) -> Result<(), Error> {
        let Some(scaled) = &mut self.scaled else { return Ok(()) };
        let [_, down] = MirroredAxis::both(self.input.scaled, MIRRORED);
        let place = |row: usize| self.top + row as u32;
        let new = self.held.end..end;
        let last = new.clone().map(|row| down.pixel(place(row))).max();
        let Some(last) = last else { return Ok(()) };
        // Whatever is mirrored further down must not be forgotten.
        let first = down.first(place(new.start)..self.top + self.size.height);
        let width = scaled.size().width as usize;
        let (pixels, first) = scaled.rows(first as usize..last as usize + 1)?;
        let (pixels, columns) = (pixels.as_chunks::<3>().0, &self.columns);
        let at = self.pixels.len();
        self.pixels.resize(at + 3 * new.len() * columns.len(), 0);
        let made = &mut self.pixels[at..];
        for (row, made) in new.clone().zip(made.chunks_exact_mut(3 * columns.len())) {
            let row = &pixels[(down.pixel(place(row)) as usize - first) * width..][..width];
            for (made, &column) in made.as_chunks_mut().0.iter_mut().zip(columns) {
                *made = row[column as usize];
            }
        }
        if !scaled.missing().is_empty() {
            // Whoever went on from here would not meet what was damaged above.
            self.input.kept.give_up();
        }
        if let Some(stain) = self.input.stain {
            stain.apply(made);
        }
        let read = (new.len() * self.columns.len()) as f64;
        self.input.progress.add(read / mirrored_size(self.input.scaled).area() as f64);
        self.held.end = end;
        Ok(())
    }
}

impl RgbRows for InputRows<'_> {
    type Error = Error;

    fn size(&self) -> Size {
        self.size
    }

    fn select(&mut self, columns: Range<u32>) -> Result<(), Error> {
        self.note_missing();
        // Memory of the columns before is given back first.
        self.scaled = None;
        self.pixels.clear();
        self.held = 0..0;
        let [across, _] = MirroredAxis::both(self.input.scaled, MIRRORED);
        let columns = columns.start + self.left..columns.end + self.left;
        let first = across.first(columns.clone());
        self.columns = columns.map(|column| across.pixel(column) - first).collect();
        let end = first + self.columns.iter().max().map_or(0, |last| last + 1);
        self.scaled = Some(ScaledRows::new(self.input.source, self.input.scaled, first..end)?);
        Ok(())
    }

    fn rows(&mut self, rows: Range<usize>) -> Result<(&[u8], usize), Error> {
        if self.scaled.is_none() {
            self.select(0..self.size.width)?;
        }
        self.forget_above(rows.start);
        self.read_up_to(rows.end)?;
        Ok((&self.pixels, self.held.start))
    }
}
