//! One image in bands of rows: every layer keeps the rows that the next ones still need, and nothing is computed twice.
//! Memory grows with the image's width alone.
//!
//! The last layer that can run is run first, so that values are read while they are in the cache. How many rows a layer
//! waits for depends on its shape alone; bands end between tiles of Winograd's algorithm, so that every value is the
//! same, bit by bit, as if the layer had seen the whole image at once.

use crate::network::{Kernels, Memory, Network, Step, StepTime};
use crate::{Images, InferError};
use locam_kernels::{Band, Buffer, Element, Extent};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Bands of a layer are a multiple of this many rows, Winograd's larger tiles.
const ROWS: usize = 4;
/// What is left for a layer's last band at least: Winograd's cover of the last rows is then that of the whole.
const LAST_ROWS: usize = 12;
/// Bytes of output that a band has at least: enough work for all threads, and little enough for the caches.
const BAND_BYTES: usize = 1 << 20;
/// A band has at least this part of its layer's weights, which have to come from memory for each.
const WEIGHT_PART: usize = 6;

impl<E: Element> Network<E> {
    /// Runs all steps on one image, and hands on the rows of the last feature maps as they are ready.
    pub(crate) fn run_in_bands(
        &self,
        image: Images<'_>,
        memory: &mut Memory<E>,
        ready: impl FnMut(&[E]),
    ) -> Result<(Extent, Vec<StepTime>), InferError> {
        let mut run = Run::new(self, image, memory)?;
        run.finish(ready)?;
        let times = run.flows.iter().map(|flow| flow.step.time(flow.input, flow.took)).collect();
        let (_, extent) = run.last_value();
        run.give_back();
        Ok((extent, times))
    }
}

/// How far a step is.
struct Flow<'a, E> {
    step: &'a Step<E>,
    /// Of the whole image.
    input: Extent,
    output: Extent,
    /// Rows that a band has.
    band: usize,
    /// Rows that are made.
    done: usize,
    took: Duration,
}

impl<E: Element> Flow<'_, E> {
    /// The rows to be made next; none are left where it is empty.
    fn next_rows(&self) -> Range<usize> {
        let left = self.output.height - self.done;
        let rows = if left < self.band + LAST_ROWS { left } else { self.band };
        self.done..self.done + rows
    }

    fn is_done(&self) -> bool {
        self.done == self.output.height
    }

    /// The input rows that the step still needs, from the first of them on.
    fn needs_from(&self) -> usize {
        if self.is_done() { self.input.height } else { self.reads(self.done..self.done + 1).0.start }
    }

    /// The input rows that output rows need, and the rows of padding above the first of them.
    ///
    /// The image has its padding around it; its rows are counted with that.
    fn reads(&self, rows: Range<usize>) -> (Range<usize>, usize) {
        match &self.step.work {
            Kernels::Conv { conv, .. } => {
                let params = conv.params();
                let padding = if self.step.input.is_none() { 0 } else { params.padding };
                let height = if padding == 0 { usize::MAX } else { self.input.height };
                let (rows, above) = covered(rows, params.kernel, params.stride, padding, height);
                (rows, if self.step.input.is_none() { params.padding } else { above })
            }
            Kernels::PooledConv { conv, pool, .. } => {
                let params = conv.params();
                let height = params.output(self.input).map_or(0, |out| out.height);
                let (rows, above) = covered(rows, pool.kernel, pool.stride, pool.padding, height);
                (covered(rows, params.kernel, params.stride, 0, usize::MAX).0, above)
            }
            Kernels::MaxPool(pool) => {
                covered(rows, pool.kernel, pool.stride, pool.padding, self.input.height)
            }
        }
    }
}

/// The part of an axis that windows at `places` cover, and the padding before it.
fn covered(
    places: Range<usize>,
    kernel: usize,
    stride: usize,
    padding: usize,
    length: usize,
) -> (Range<usize>, usize) {
    let (first, last) = (places.start * stride, (places.end - 1) * stride);
    let end = (last + kernel).saturating_sub(padding).min(length);
    (first.saturating_sub(padding)..end, padding.saturating_sub(first))
}

/// The rows of a value that are kept.
struct Window<E> {
    first: usize,
    end: usize,
    row_values: usize,
    values: Buffer<E>,
}

impl<E: Element> Window<E> {
    fn range(&self, rows: Range<usize>) -> Range<usize> {
        (rows.start - self.first) * self.row_values..(rows.end - self.first) * self.row_values
    }

    fn rows(&self, rows: Range<usize>) -> &[E] {
        &self.values[self.range(rows)]
    }

    /// Drops the rows before `keep`, and makes room for those up to `end`.
    fn advance(&mut self, keep: usize, end: usize) {
        let kept = keep.min(self.end)..self.end;
        let (old, needed) = (self.range(kept.clone()), (end - kept.start) * self.row_values);
        if needed > self.values.len() {
            let mut larger = Buffer::zeroed(needed);
            larger[..old.len()].copy_from_slice(&self.values[old]);
            self.values = larger;
        } else {
            self.values.copy_within(old, 0);
        }
        (self.first, self.end) = (kept.start, end);
    }
}

struct Run<'a, 'm, E> {
    network: &'a Network<E>,
    image: Images<'a>,
    flows: Vec<Flow<'a, E>>,
    /// By value.
    windows: Vec<Window<E>>,
    memory: &'m mut Memory<E>,
    /// Rows of the last value that were handed on.
    handed_on: usize,
}

impl<'a, 'm, E: Element> Run<'a, 'm, E> {
    fn new(
        network: &'a Network<E>,
        image: Images<'a>,
        memory: &'m mut Memory<E>,
    ) -> Result<Self, InferError> {
        let values = network.steps.iter().map(|step| step.output.value + 1).max().unwrap_or(0);
        let mut extents = vec![image.extent(); values];
        let mut buffers = std::mem::take(&mut memory.values);
        buffers.resize_with(values, Buffer::default);
        let mut windows: Vec<Window<E>> =
            buffers.into_iter().map(|values| Window { first: 0, end: 0, row_values: 0, values }).collect();
        let mut flows = Vec::with_capacity(network.steps.len());
        for step in &network.steps {
            let input = step.input.map_or(image.extent(), |place| extents[place.value]);
            let output = step.work.output(input)?;
            let row_values = Extent { height: 1, ..output }.values(step.output.pitch)?;
            let bytes = BAND_BYTES.max(step.work.bytes() / WEIGHT_PART);
            let band = (bytes / (row_values * size_of::<E>())).max(1).next_multiple_of(ROWS);
            extents[step.output.value] = output;
            windows[step.output.value].row_values = row_values;
            flows.push(Flow { step, input, output, band, done: 0, took: Duration::ZERO });
        }
        Ok(Self { network, image, flows, windows, memory, handed_on: 0 })
    }

    fn finish(&mut self, mut ready: impl FnMut(&[E])) -> Result<(), InferError> {
        let (last, _) = self.last_value();
        while let Some(step) = self.next_step() {
            self.band(step)?;
            let made = self.made(last);
            if made > self.handed_on {
                ready(self.windows[last].rows(self.handed_on..made));
                self.handed_on = made;
            }
        }
        Ok(())
    }

    /// Keeps the windows' memory for the next run.
    fn give_back(self) {
        self.memory.values = self.windows.into_iter().map(|window| window.values).collect();
    }

    /// The number of the network's last value, and its extent.
    fn last_value(&self) -> (usize, Extent) {
        self.flows.last().map_or((0, self.image.extent()), |flow| (flow.step.output.value, flow.output))
    }

    /// Rows of a value that all its parts have.
    fn made(&self, value: usize) -> usize {
        let parts = self.flows.iter().filter(|flow| flow.step.output.value == value);
        parts.map(|flow| flow.done).min().unwrap_or(0)
    }

    /// The last step that has all rows for its next band.
    fn next_step(&self) -> Option<usize> {
        self.flows.iter().rposition(|flow| {
            let rows = flow.next_rows();
            let has = |value: usize, end: usize| self.made(value) >= end;
            !flow.is_done()
                && flow.step.input.is_none_or(|place| has(place.value, flow.reads(rows.clone()).0.end))
                && flow.step.residual().is_none_or(|place| has(place.value, rows.end))
        })
    }

    /// The first row of a value that is still to be read.
    fn needed_from(&self, value: usize) -> usize {
        let read_from = |flow: &Flow<'_, E>| {
            let is = |place: Option<crate::places::Place>| place.is_some_and(|place| place.value == value);
            let input = is(flow.step.input).then(|| flow.needs_from());
            let residual = is(flow.step.residual()).then_some(flow.done);
            [input, residual].into_iter().flatten().min()
        };
        self.flows.iter().filter_map(read_from).min().unwrap_or(self.handed_on)
    }

    /// Makes the next band of a step.
    fn band(&mut self, number: usize) -> Result<(), InferError> {
        let flow = &self.flows[number];
        let (step, rows) = (flow.step, flow.next_rows());
        let (read, above) = flow.reads(rows.clone());
        let output = step.output.value;
        if rows.end > self.windows[output].end {
            let keep = self.needed_from(output);
            self.windows[output].advance(keep, rows.end);
        }
        let mut values = std::mem::take(&mut self.windows[output].values);
        let target = self.windows[output].range(rows.clone());

        let flow = &mut self.flows[number];
        let start = Instant::now();
        let band = Band { above, rows: rows.len() };
        let Memory { images, workspace, .. } = &mut *self.memory;
        let (input, height) = if let Some(place) = step.input {
            (self.windows[place.value].rows(read.clone()), read.len())
        } else {
            let Some(params) = step.work.params() else { unreachable!("networks begin with a convolution") };
            self.image.write_padded_rows(params, read.clone(), images);
            (&**images, read.len() - 2 * params.padding)
        };
        let extent = Extent { height, ..flow.input };
        let residual = step.residual().map(|place| self.windows[place.value].rows(rows.clone()));
        let done =
            step.run(self.network.isa, (extent, band), input, residual, &mut values[target], workspace);
        flow.took += start.elapsed();
        flow.done = rows.end;
        self.windows[output].values = values;
        done
    }
}

#[cfg(test)]
mod tests;
