//! Very wide images in strips of columns, so that memory no longer grows with the width.
//!
//! A strip is run as if it were an image. At an edge that is not the image's it meets padding where the image goes on, so
//! that the values near it are others than the image's: by how many columns follows from the windows of all steps. Strips
//! overlap by these. They begin where tiles of Winograd's algorithm do in every step, so that what is kept of them is the
//! whole image's, bit by bit.

use crate::InferError;
use crate::network::Network;
use crate::trace::{Axis, Trace};
use locam_core::Size;
use locam_kernels::{Element, Extent};
use std::ops::Range;

/// Columns of an image from one strip to the next, or somewhat fewer: with `ResNet-18` a strip takes 0.6 GB, and strips of a
/// very wide image read 6 % of it twice. Maps of several phases take as many times the memory along an axis, and have
/// narrower strips.
const STRIP_COLUMNS: usize = 22_400;

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
    /// Cuts an image into strips of which none takes much memory.
    pub(crate) fn strips(&self, size: Size) -> Result<Vec<Strip>, InferError> {
        self.strips_of(size, STRIP_COLUMNS / self.phases.along(Axis::Columns).len())
    }

    /// Cuts an image into strips that begin every `columns` columns or somewhat fewer, and read as many more as they need.
    fn strips_of(&self, size: Size, columns: usize) -> Result<Vec<Strip>, InferError> {
        let extent = Extent { batch: 1, height: size.height as usize, width: size.width as usize };
        let trace = |columns: Range<usize>| self.trace(extent, Axis::Columns, columns);
        let whole = trace(0..extent.width)?;
        let (unit, stride) = self.alignment(Axis::Columns);
        let step = (columns / unit).max(1) * unit;
        // Where strips begin, and the first column of the maps that is right in them.
        let mut starts = vec![(0, 0)];
        for start in (step..extent.width).step_by(step) {
            match trace(start..extent.width) {
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
        let trace = |right: usize| self.trace(extent, Axis::Columns, start..right);
        let cut = |trace: &Trace, right: usize| Strip {
            input: start as u32..right as u32,
            map: first as u32..end as u32,
            skip: (first - trace.start) as u32,
        };
        let widths = (start + stride..extent.width).step_by(stride).skip((end - first).saturating_sub(1));
        for right in widths {
            match trace(right) {
                Ok(trace) if trace.exact.start <= first && trace.exact.end >= end => {
                    return Ok(cut(&trace, right));
                }
                // Too narrow, for what is wanted or for a window.
                _ => {}
            }
        }
        Ok(cut(&trace(extent.width)?, extent.width))
    }
}

#[cfg(test)]
pub(crate) mod tests;
