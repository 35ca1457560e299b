//! The network's input, read from an image file by rows as the network asks for them.

use crate::Error;
use locam_core::{Rect, Size};
use locam_data::{ImageSource, ScaledRows};
use locam_net::RgbRows;
use std::ops::Range;

/// The rows of an image scaled as a whole, without its first columns and rows.
pub(crate) struct InputRows {
    rows: ScaledRows,
    top: usize,
}

impl InputRows {
    /// Rows of `source` scaled to `input_size`, of which `left` columns and `top` rows are left out.
    pub(crate) fn new(
        source: &ImageSource,
        input_size: Size,
        (left, top): (u32, u32),
    ) -> Result<Self, Error> {
        Ok(Self { rows: ScaledRows::new(source, input_size, left..input_size.width)?, top: top as usize })
    }

    /// The damaged parts of the image among the rows that were read, in its pixels.
    pub(crate) fn missing(&self) -> &[Rect] {
        self.rows.missing()
    }
}

impl RgbRows for InputRows {
    type Error = Error;

    fn size(&self) -> Size {
        let Size { width, height } = self.rows.size();
        Size::new(width, height - self.top as u32)
    }

    fn rows(&mut self, rows: Range<usize>) -> Result<(&[u8], usize), Error> {
        let (pixels, first) = self.rows.rows(rows.start + self.top..rows.end + self.top)?;
        // Rows that are left out are never asked for, so none of them is there.
        Ok((pixels, first - self.top))
    }
}
