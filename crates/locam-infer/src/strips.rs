//! Very wide images in strips of columns, so that memory no longer grows with the width.
//!
//! A strip is run as if it were an image. At an edge that is not the image's it meets padding where the image goes on, so
//! that the values near it are others than the image's: by how many columns follows from the windows of all steps. Strips
//! overlap by these. They begin where tiles of Winograd's algorithm do in every step, so that what is kept of them is the
//! whole image's, bit by bit.

use crate::InferError;
use crate::network::{Kernels, Network, Step};
use locam_core::Size;
use locam_kernels::{Element, Extent, POOLED_COLUMNS};
use std::ops::Range;

/// Columns of an image from one strip to the next, or somewhat fewer: with `ResNet-18` a strip takes 0.6 GB, and strips of a
/// very wide image read 6 % of it twice.
pub(crate) const STRIP_COLUMNS: usize = 22_400;

/// Columns of an image that are run by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strip {
    /// Columns of the image.
    pub input: Range<u32>,
    /// Columns of the whole image's last feature maps that the strip has.
    pub map: Range<u32>,
    /// The first of them in the strip's own maps.
    pub skip: u32,
}

impl<E: Element> Network<E> {
    /// Cuts an image into strips that begin every `columns` columns or somewhat fewer, and read as many more as they need.
    pub(crate) fn strips(&self, size: Size, columns: usize) -> Result<Vec<Strip>, InferError> {
        let extent = Extent { batch: 1, height: size.height as usize, width: size.width as usize };
        let whole = self.trace(extent, 0..extent.width)?;
        let (unit, stride) = self.alignment();
        let step = (columns / unit).max(1) * unit;
        // Where strips begin, and the first column of the maps that is right in them.
        let mut starts = vec![(0, 0)];
        for start in (step..extent.width).step_by(step) {
            match self.trace(extent, start..extent.width) {
                Ok(trace) if !trace.exact.is_empty() => starts.push((start, trace.exact.start)),
                // What is left at the right is narrower than what a strip loses: the strip before has it.
                _ => break,
            }
        }
        let ends = starts.iter().skip(1).map(|&(_, first)| first).chain([whole.exact.end]);
        starts.iter().zip(ends).map(|(&start, end)| self.strip(extent, start, end, stride)).collect()
    }

    /// The narrowest strip from `start` on that has the columns `first` to `end` of the maps.
    fn strip(
        &self,
        extent: Extent,
        (start, first): (usize, usize),
        end: usize,
        stride: usize,
    ) -> Result<Strip, InferError> {
        let cut = |trace: &Columns, right: usize| Strip {
            input: start as u32..right as u32,
            map: first as u32..end as u32,
            skip: (first - trace.start) as u32,
        };
        let widths = (start + stride..extent.width).step_by(stride).skip((end - first).saturating_sub(1));
        for right in widths {
            match self.trace(extent, start..right) {
                Ok(trace) if trace.exact.start <= first && trace.exact.end >= end => {
                    return Ok(cut(&trace, right));
                }
                // Too narrow, for what is wanted or for a window.
                _ => {}
            }
        }
        Ok(cut(&self.trace(extent, start..extent.width)?, extent.width))
    }

    /// Multiples of so many columns lie at the beginning of a tile in every step; and the stride of the last maps.
    fn alignment(&self) -> (usize, usize) {
        let mut strides = vec![1; self.values()];
        let (mut unit, mut last) = (1, 1);
        for step in &self.steps {
            let before = step.input.map_or(1, |place| strides[place.value]);
            last = before * step.work.stride();
            strides[step.output.value] = last;
            unit = lcm(unit, last * step.work.tile_columns());
        }
        (unit, last)
    }

    /// Follows the columns of an image through all steps, to the last feature maps.
    fn trace(&self, image: Extent, columns: Range<usize>) -> Result<Columns, InferError> {
        let image = Columns {
            whole: image,
            strip: Extent { width: columns.len(), ..image },
            start: columns.start,
            exact: columns,
        };
        let mut values: Vec<Option<Columns>> = vec![None; self.values()];
        let mut last = image.clone();
        for step in &self.steps {
            let of = |value: usize| values[value].as_ref();
            let input = step.input.and_then(|place| of(place.value)).unwrap_or(&image);
            last = step.columns(input)?;
            // A sum is as right as both its parts; so is a concatenation, of which one part comes after the other.
            let residual = step.residual().and_then(|place| of(place.value));
            for other in residual.into_iter().chain(of(step.output.value)) {
                last.exact.start = last.exact.start.max(other.exact.start);
                last.exact.end = last.exact.end.min(other.exact.end);
            }
            values[step.output.value] = Some(last.clone());
        }
        Ok(last)
    }

    fn values(&self) -> usize {
        self.steps.iter().map(|step| step.output.value + 1).max().unwrap_or(0)
    }
}

/// The columns of a value that a strip has.
#[derive(Clone, Debug)]
struct Columns {
    /// Of the whole image, and of the strip by itself.
    whole: Extent,
    strip: Extent,
    /// The strip's first column, in the whole.
    start: usize,
    /// Those that are the whole image's, bit by bit.
    exact: Range<usize>,
}

impl Columns {
    /// After windows that are computed one by one.
    fn windowed(&self, (whole, strip): (Extent, Extent), [kernel, stride, padding]: [usize; 3]) -> Self {
        let Range { start, end } = self.exact;
        let start = if start == 0 { 0 } else { (start + padding).div_ceil(stride) };
        let end = if end == self.whole.width {
            whole.width
        } else {
            (end + padding).checked_sub(kernel).map_or(0, |last| last / stride + 1)
        };
        Self { whole, strip, start: self.start / stride, exact: start..end }
    }

    /// Where values are computed in tiles of so many columns, of which the last three may be shorter by one.
    fn tiled(mut self, tile: usize) -> Self {
        if self.exact.start > 0 {
            self.exact.start = self.exact.start.next_multiple_of(tile);
        }
        if self.exact.end < self.whole.width {
            let long = self.strip.width.saturating_sub(3 * (tile - 1)) / tile * tile;
            self.exact.end = (self.exact.end / tile * tile).min(self.start + long);
        }
        self
    }

    /// Where values are computed in pieces of so many columns, of which the first begins at the strip's edge.
    fn in_pieces(mut self, piece: usize) -> Self {
        if self.start > 0 {
            self.exact.start = self.exact.start.max(self.start + piece).next_multiple_of(piece);
        }
        if self.exact.end < self.whole.width {
            self.exact.end = self.exact.end / piece * piece;
        }
        self
    }
}

impl<E: Element> Step<E> {
    fn columns(&self, input: &Columns) -> Result<Columns, InferError> {
        let work = &self.work;
        let output = (work.output(input.whole)?, work.output(input.strip)?);
        Ok(match work {
            Kernels::Conv { conv, .. } => {
                let params = conv.params();
                let window = [params.kernel, params.stride, params.padding];
                input.windowed(output, window).tiled(conv.tile_rows())
            }
            Kernels::PooledConv { conv, pool, .. } => {
                let params = conv.params();
                let between = (params.output(input.whole)?, params.output(input.strip)?);
                let between = input.windowed(between, [params.kernel, params.stride, params.padding]);
                between.windowed(output, [pool.kernel, pool.stride, pool.padding]).in_pieces(POOLED_COLUMNS)
            }
            Kernels::MaxPool(pool) => input.windowed(output, [pool.kernel, pool.stride, pool.padding]),
        })
    }
}

impl<E: Element> Kernels<E> {
    fn stride(&self) -> usize {
        match self {
            Self::Conv { conv, .. } => conv.params().stride,
            Self::PooledConv { conv, pool, .. } => conv.params().stride * pool.stride,
            Self::MaxPool(pool) => pool.stride,
        }
    }

    /// Columns that are computed together, counted from the left edge.
    fn tile_columns(&self) -> usize {
        match self {
            Self::Conv { conv, .. } => conv.tile_rows(),
            Self::PooledConv { .. } => POOLED_COLUMNS,
            Self::MaxPool(_) => 1,
        }
    }
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut divisor, mut rest) = (a, b);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    a / divisor * b
}

#[cfg(test)]
mod tests;
