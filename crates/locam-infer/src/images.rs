use crate::InferError;
use locam_arch::INPUT_CHANNELS;
use locam_core::{Normalization, Size};
use locam_kernels::{Buffer, ConvParams, Element, Extent, Isa, for_each_chunk, interleave};
use std::ops::Range;

/// Images of equal size, ready for a network.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    /// How many.
    pub count: usize,
    /// The size of each.
    pub size: Size,
    /// Their pixels, image after image.
    pub pixels: Pixels<'a>,
}

/// Pixel values.
#[derive(Clone, Copy, Debug)]
pub enum Pixels<'a> {
    /// Red, green, blue, row by row, to be normalised.
    Bytes(&'a [u8], Normalization),
    /// Normalised already: all red values of an image row by row, then green, then blue.
    Planes(&'a [f32]),
}

/// One image whose pixels come as they are needed.
pub trait ImageRows {
    /// Why rows can't be had.
    type Error: From<InferError>;

    /// The size of the whole image.
    fn size(&self) -> Size;

    /// These rows of the image, as a single image of its width, and the row at which that begins: no later than the
    /// first that was asked for. Rows are asked for from top to bottom: what lies above these never again.
    ///
    /// # Errors
    /// Rows that can't be had.
    fn rows(&mut self, rows: Range<usize>) -> Result<(Images<'_>, usize), Self::Error>;
}

/// A whole image in memory.
impl ImageRows for Images<'_> {
    type Error = InferError;

    fn size(&self) -> Size {
        self.size
    }

    fn rows(&mut self, _: Range<usize>) -> Result<(Images<'_>, usize), InferError> {
        self.check()?;
        Ok((*self, 0))
    }
}

impl Images<'_> {
    /// Checks that there are as many values as the size says.
    ///
    /// # Errors
    /// [`InferError::Pixels`].
    pub fn check(&self) -> Result<(), InferError> {
        let found = match self.pixels {
            Pixels::Bytes(values, _) => values.len(),
            Pixels::Planes(values) => values.len(),
        };
        let (count, size) = (self.count, self.size);
        let expected = self.extent().values(INPUT_CHANNELS)?;
        if expected == found { Ok(()) } else { Err(InferError::Pixels { count, size, expected, found }) }
    }

    /// Some of them.
    pub(crate) fn part(&self, images: Range<usize>) -> Self {
        let values = self.size.area() as usize * INPUT_CHANNELS;
        let pixels = images.start * values..images.end * values;
        let pixels = match self.pixels {
            Pixels::Bytes(all, normalization) => Pixels::Bytes(&all[pixels], normalization),
            Pixels::Planes(all) => Pixels::Planes(&all[pixels]),
        };
        Self { count: images.len(), size: self.size, pixels }
    }

    /// Their extent.
    pub fn extent(&self) -> Extent {
        Extent { batch: self.count, height: self.size.height as usize, width: self.size.width as usize }
    }

    /// Writes the normalised values channels-last, with the padding of the first convolution around each image and a
    /// value of zero at the end, where kernels on bfloat16 read a pair.
    pub fn write_padded<E: Element>(&self, isa: Isa, params: ConvParams, into: &mut Buffer<E>) {
        self.write_padded_rows(isa, params, 0, 0..params.padded(self.extent()).height, into);
    }

    /// Some rows, counted in the padded image, of what [`Images::write_padded`] writes of the image that these are
    /// rows of, from row `first` on. Rows that are not here are padding.
    pub(crate) fn write_padded_rows<E: Element>(
        &self,
        isa: Isa,
        params: ConvParams,
        first: usize,
        rows: Range<usize>,
        into: &mut Buffer<E>,
    ) {
        let (extent, padded) = (self.extent(), params.padded(self.extent()));
        let values = extent.batch * rows.len() * padded.width * INPUT_CHANNELS;
        into.resize(values + usize::from(size_of::<E>() == 2));
        into[values..].fill(E::default());
        let table = match self.pixels {
            Pixels::Bytes(_, normalization) => byte_values(normalization),
            Pixels::Planes(_) => Vec::new(),
        };
        let row_len = (padded.width * INPUT_CHANNELS).max(1);
        let edge = params.padding * INPUT_CHANNELS;
        for_each_chunk(&mut into[..values], row_len, |row, into| {
            let image = row / rows.len();
            let y = (rows.start + row % rows.len()).wrapping_sub(params.padding).wrapping_sub(first);
            if y >= extent.height {
                into.fill(E::default());
                return;
            }
            into[..edge].fill(E::default());
            into[row_len - edge..].fill(E::default());
            let pixels = into[edge..row_len - edge].as_chunks_mut::<INPUT_CHANNELS>().0;
            self.write_row(isa, image, y, &table, pixels);
        });
    }

    fn write_row<E: Element>(
        &self,
        isa: Isa,
        image: usize,
        y: usize,
        table: &[[E; INPUT_CHANNELS]],
        into: &mut [[E; INPUT_CHANNELS]],
    ) {
        let Extent { height, width, .. } = self.extent();
        match self.pixels {
            Pixels::Bytes(values, _) => {
                let row = &values[(image * height + y) * width * INPUT_CHANNELS..];
                for (into, pixel) in into.iter_mut().zip(row.as_chunks::<INPUT_CHANNELS>().0) {
                    *into = std::array::from_fn(|channel| table[usize::from(pixel[channel])][channel]);
                }
            }
            Pixels::Planes(values) => {
                let plane = |channel: usize| {
                    &values[((image * INPUT_CHANNELS + channel) * height + y) * width..][..width]
                };
                interleave(isa, std::array::from_fn(plane), into);
            }
        }
    }
}

/// The normalised value of each byte, per channel.
fn byte_values<E: Element>(normalization: Normalization) -> Vec<[E; INPUT_CHANNELS]> {
    let (mean, deviation) = normalization.mean_and_deviation();
    (0..=255u8)
        .map(|byte| {
            std::array::from_fn(|channel| {
                E::from_f32((f32::from(byte) / 255.0 - mean[channel]) / deviation[channel])
            })
        })
        .collect()
}
