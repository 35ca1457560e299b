//! What a part of an image, run as if it were an image, has of the whole image's values, bit by bit.
//!
//! At an edge that is not the image's a part meets padding where the image goes on, so that the values near it are others
//! than the image's: by how many follows from the windows of all steps. Parts begin where tiles of Winograd's algorithm do in
//! every step, so that all other values are the same. Columns and rows follow the same rules, as windows are square.

use crate::InferError;
use crate::network::{Kernels, Network, Step};
use locam_kernels::{Element, Extent, POOLED_COLUMNS, POOLED_ROWS};
use std::ops::Range;

/// The axis along which an image is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    Columns,
    Rows,
}

impl Axis {
    /// The extent with this axis as its width.
    pub(crate) fn along(self, extent: Extent) -> Extent {
        match self {
            Self::Columns => extent,
            Self::Rows => Extent { height: extent.width, width: extent.height, ..extent },
        }
    }

    /// Of rows and columns.
    fn of(self, [rows, columns]: [usize; 2]) -> usize {
        match self {
            Self::Columns => columns,
            Self::Rows => rows,
        }
    }

    /// Places of pooled pixels that are computed together.
    fn pooled(self) -> usize {
        match self {
            Self::Columns => POOLED_COLUMNS,
            Self::Rows => POOLED_ROWS,
        }
    }
}

/// The places of a value, along an axis, that a part has.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    /// Of the whole image, and of the part by itself; the axis is the width.
    whole: Extent,
    part: Extent,
    /// The part's first place, in the whole.
    pub(crate) start: usize,
    /// Those that are the whole image's, bit by bit.
    pub(crate) exact: Range<usize>,
}

impl<E: Element> Network<E> {
    /// Multiples of so many places of the image lie at the beginning of a tile in every step; and the stride of the last maps.
    /// Phases begin at multiples of the network's own stride, which these are.
    pub(crate) fn alignment(&self, axis: Axis) -> (usize, usize) {
        let mut strides = vec![1; self.values()];
        let (mut unit, mut last) = (1, 1);
        for step in &self.steps {
            let before = step.input.map_or(1, |place| strides[place.value]);
            last = before * step.work.stride();
            strides[step.output.value] = last;
            unit = lcm(unit, last * step.work.tile(axis));
        }
        (unit, last / self.phases.along(axis).len())
    }

    /// Follows these places of an image along an axis through all steps, to the last feature maps.
    pub(crate) fn trace(&self, image: Extent, axis: Axis, places: Range<usize>) -> Result<Trace, InferError> {
        let whole = axis.along(image);
        let part = Extent { width: places.len(), ..whole };
        let image = Trace { whole, part, start: places.start, exact: places };
        let mut values: Vec<Option<Trace>> = vec![None; self.values()];
        for step in &self.steps {
            let of = |value: usize| values[value].as_ref();
            let input = step.input.and_then(|place| of(place.value)).unwrap_or(&image);
            let mut found = step.trace(axis, &input.without(axis.of(step.skip)))?;
            // A sum is as right as both its parts; so is a concatenation, of which one part comes after the other.
            let residual = step.residual.and_then(|place| of(place.value));
            for other in residual.into_iter().chain(of(step.output.value)) {
                found.exact.start = found.exact.start.max(other.exact.start);
                found.exact.end = found.exact.end.min(other.exact.end);
            }
            values[step.output.value] = Some(found);
        }
        let phases = self.phases.along(axis).into_iter().filter_map(|place| values[place.value].take());
        Ok(Trace::interleaved(&phases.collect::<Vec<_>>()))
    }

    fn values(&self) -> usize {
        self.steps.iter().map(|step| step.output.value + 1).max().unwrap_or(0)
    }
}

impl Trace {
    /// Without the first places of the whole, or of the part.
    fn without(&self, skipped: usize) -> Self {
        let [whole, part] = [self.whole, self.part]
            .map(|extent| Extent { width: extent.width.saturating_sub(skipped), ..extent });
        let Range { start, end } = self.exact;
        // What begins within the image still has no place before its first.
        let start = if start == 0 { 0 } else { start.saturating_sub(skipped).max(self.start) };
        Self { whole, part, start: self.start, exact: start..end.saturating_sub(skipped) }
    }

    /// What phases along the axis, of which each has one of so many places in turn, have together.
    fn interleaved(phases: &[Self]) -> Self {
        let steps = phases.len();
        let width = |of: fn(&Self) -> Extent| phases.iter().map(|phase| of(phase).width).sum();
        let first = &phases[0];
        let whole = Extent { width: width(|phase| phase.whole), ..first.whole };
        let part = Extent { width: width(|phase| phase.part), ..first.part };
        // Behind the last wrong place at the beginning, and before the first one at the end.
        let start = |(number, phase): (usize, &Self)| {
            phase.exact.start.checked_sub(1).map_or(0, |wrong| wrong * steps + number + 1)
        };
        let end = |(number, phase): (usize, &Self)| {
            let all = phase.exact.end == phase.whole.width;
            if all { whole.width } else { phase.exact.end * steps + number }
        };
        let numbered = || phases.iter().enumerate();
        let exact = numbered().map(start).max().unwrap_or(0)..numbered().map(end).min().unwrap_or(0);
        Self { whole, part, start: first.start * steps, exact }
    }

    /// After windows that are computed one by one.
    fn windowed(&self, (whole, part): (Extent, Extent), [kernel, stride, padding]: [usize; 3]) -> Self {
        let Range { start, end } = self.exact;
        let start = if start == 0 { 0 } else { (start + padding).div_ceil(stride) };
        let end = if end == self.whole.width {
            whole.width
        } else {
            (end + padding).checked_sub(kernel).map_or(0, |last| last / stride + 1)
        };
        Self { whole, part, start: self.start / stride, exact: start..end }
    }

    /// Where values are computed in tiles of so many places, of which the last three may be shorter by one.
    fn tiled(mut self, tile: usize) -> Self {
        if self.exact.start > 0 {
            self.exact.start = self.exact.start.next_multiple_of(tile);
        }
        if self.exact.end < self.whole.width {
            let long = self.part.width.saturating_sub(3 * (tile - 1)) / tile * tile;
            self.exact.end = (self.exact.end / tile * tile).min(self.start + long);
        }
        self
    }

    /// Where values are computed in pieces of so many places, of which the first begins at the part's edge.
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
    fn trace(&self, axis: Axis, input: &Trace) -> Result<Trace, InferError> {
        let work = &self.work;
        let output = (work.output(input.whole)?, work.output(input.part)?);
        Ok(match &**work {
            Kernels::Conv { conv, .. } => {
                let params = conv.params();
                let window = [params.kernel, params.stride, params.padding];
                input.windowed(output, window).tiled(conv.tile_rows())
            }
            Kernels::PooledConv { conv, pool, .. } => {
                let params = conv.params();
                let between = (params.output(input.whole)?, params.output(input.part)?);
                let between = input.windowed(between, [params.kernel, params.stride, params.padding]);
                between.windowed(output, [pool.kernel, pool.stride, pool.padding]).in_pieces(axis.pooled())
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

    /// Places that are computed together, counted from the edge.
    fn tile(&self, axis: Axis) -> usize {
        match self {
            Self::Conv { conv, .. } => conv.tile_rows(),
            Self::PooledConv { .. } => axis.pooled(),
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
