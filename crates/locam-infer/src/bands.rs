//! One image in bands of rows: every layer keeps the rows that the next ones still need, and nothing is computed twice.
//! Memory grows with the image's width alone.
//!
//! The last layer that can run is run first, so that values are read while they are in the cache. How many rows a layer
//! waits for depends on its shape alone; bands end between tiles of Winograd's algorithm, so that every value is the
//! same, bit by bit, as if the layer had seen the whole image at once.

use crate::memory::Memory;
use crate::network::{Kernels, Network, Step, StepTime};
use crate::phases::skipped;
use crate::places::Place;
use crate::{ImageRows, InferError};
use locam_core::Size;
use locam_kernels::{Band, Buffer, ConvParams, Element, Extent};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Bands of layers without tiles are a multiple of this many rows.
const ROWS: usize = 4;
/// Bytes of output that a band has at least: enough work for all threads, and little enough for the caches.
const BAND_BYTES: usize = 1 << 20;
/// A band has at least this part of its layer's weights, which have to come from memory for each.
const WEIGHT_PART: usize = 16;

impl<E: Element> Network<E> {
    /// Runs all steps on one image, and hands on the rows of the last feature maps, whose extent
    /// it names, as they are ready.
    pub(crate) fn run_in_bands<R: ImageRows>(
        &self,
        image: &mut R,
        memory: &mut Memory<E>,
        mut ready: impl FnMut(Extent, &[E]) -> Result<(), R::Error>,
    ) -> Result<(Extent, Vec<StepTime>), R::Error> {
        let mut run = Run::new(self, image, memory)?;
        let extent = run.maps_extent();
        run.finish(|rows| ready(extent, rows))?;
        let times = run.flows.iter().map(|flow| flow.step.time(flow.input, flow.took)).collect();
        Ok((extent, times))
    }
}

/// How far a step is.
struct Flow<'a, E> {
    step: &'a Step<E>,
    /// Of the whole image, without what is left out.
    input: Extent,
    output: Extent,
    /// Bands have multiples of these rows, so that they end where tiles of Winograd's algorithm do.
    tile: usize,
    /// Rows that a band has.
    band: usize,
    /// Rows that are made.
    done: usize,
    took: Duration,
}

impl<E: Element> Flow<'_, E> {
    /// The next rows, about as many as asked for.
    fn next_rows(&self, rows: usize) -> Range<usize> {
        // With three shorter tiles in the last band at least the cover of its rows is that of the whole.
        let (left, last) = (self.output.height - self.done, 3 * (self.tile - 1));
        let is_last = left <= rows || left < last + self.tile;
        let rows = if is_last { left } else { rows.min((left - last) / self.tile * self.tile) };
        self.done..self.done + rows
    }

    fn is_done(&self) -> bool {
        self.done == self.output.height
    }

    /// The input rows that the step still needs, from the first of them on, counted with those that are left out.
    fn needs_from(&self) -> usize {
        let first =
            if self.is_done() { self.input.height } else { self.reads(self.done..self.done + 1).0.start };
        first + self.step.skip[0]
    }

    /// The input rows that output rows need, and the rows of padding above the first of them.
    ///
    /// The image has its padding around it; its rows are counted with that. Rows that are left out aren't counted.
    fn reads(&self, rows: Range<usize>) -> (Range<usize>, usize) {
        match &*self.step.work {
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
pub(crate) fn covered(
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
pub(crate) struct Window<'m, E> {
    /// The row at the beginning of the memory.
    pub(crate) base: usize,
    pub(crate) end: usize,
    /// Rows that the memory has room for.
    pub(crate) room: usize,
    pub(crate) row_values: usize,
    pub(crate) values: &'m mut [E],
}

impl<E: Element> Window<'_, E> {
    pub(crate) fn range(&self, rows: Range<usize>) -> Range<usize> {
        (rows.start - self.base) * self.row_values..(rows.end - self.base) * self.row_values
    }

    pub(crate) fn rows(&self, rows: Range<usize>) -> &[E] {
        &self.values[self.range(rows)]
    }

    /// Takes in rows up to `end`; those before `keep` are dropped where there is no room.
    pub(crate) fn advance(&mut self, keep: usize, end: usize) {
        if end - self.base > self.room {
            let kept = self.range(keep..self.end);
            self.values.copy_within(kept, 0);
            self.base = keep;
        }
        self.end = end;
    }
}

struct Run<'a, 'm, E, R> {
    network: &'a Network<E>,
    image: &'a mut R,
    extent: Extent,
    flows: Vec<Flow<'a, E>>,
    /// By value.
    windows: Vec<Window<'m, E>>,
    /// The rows of the image that the first step reads, with its padding.
    padded: &'m mut Buffer<E>,
    /// Rows that a step reads, without the columns that it leaves out.
    skipped: &'m mut Buffer<E>,
    /// Rows of the last maps, where they are put together from several.
    maps: &'m mut Buffer<E>,
    workspace: &'m mut Buffer<E>,
    /// Rows of the last maps that were handed on.
    handed_on: usize,
}

impl<'a, 'm, E: Element, R: ImageRows> Run<'a, 'm, E, R> {
    fn new(network: &'a Network<E>, image: &'a mut R, memory: &'m mut Memory<E>) -> Result<Self, InferError> {
        let Size { width, height } = image.size();
        let extent = Extent { batch: 1, height: height as usize, width: width as usize };
        let values = network.steps.iter().map(|step| step.output.value + 1).max().unwrap_or(0);
        let mut extents = vec![extent; values];
        let window = |_| Window { base: 0, end: 0, room: 0, row_values: 0, values: Default::default() };
        let mut windows: Vec<_> = (0..values).map(window).collect();
        let mut flows = Vec::with_capacity(network.steps.len());
        for step in &network.steps {
            let [rows, columns] = step.skip;
            let Extent { height, width, batch } = step.input.map_or(extent, |place| extents[place.value]);
            let input =
                Extent { height: height.saturating_sub(rows), width: width.saturating_sub(columns), batch };
            let output = step.work.output(input)?;
            let row_values = Extent { height: 1, ..output }.values(step.output.pitch)?;
            let bytes = BAND_BYTES.max(step.work.bytes() / WEIGHT_PART);
            let tile = if step.work.tile_rows() == 1 { ROWS } else { step.work.tile_rows() };
            let band = (bytes / (row_values * size_of::<E>())).max(1).next_multiple_of(tile);
            extents[step.output.value] = output;
            windows[step.output.value].row_values = row_values;
            flows.push(Flow { step, input, output, tile, band, done: 0, took: Duration::ZERO });
        }
        let Memory { images: padded, bands, skipped, maps, workspace, .. } = memory;
        let mut run =
            Self { network, image, extent, flows, windows, padded, skipped, maps, workspace, handed_on: 0 };
        run.make_room(bands);
        Ok(run)
    }

    /// Goes through all bands without computing them, and gives each window the part of the memory that it will need.
    fn make_room(&mut self, memory: &'m mut Buffer<E>) {
        while let Some((number, Range { end, .. })) = self.next_band() {
            let output = self.flows[number].step.output.value;
            let keep = self.needed_from(output);
            let window = &mut self.windows[output];
            window.room = window.room.max(end - keep);
            window.end = window.end.max(end);
            self.flows[number].done = end;
            self.handed_on = self.maps_made();
        }
        let line = 64 / size_of::<E>();
        self.windows.iter_mut().for_each(|window| window.end = 0);
        let len = |window: &Window<'_, E>| (window.room * window.row_values).next_multiple_of(line);
        memory.resize(self.windows.iter().map(len).sum());
        let mut rest = &mut **memory;
        for window in &mut self.windows {
            (window.values, rest) = rest.split_at_mut(len(window));
        }
        self.flows.iter_mut().for_each(|flow| flow.done = 0);
        self.handed_on = 0;
    }

    fn finish(&mut self, mut ready: impl FnMut(&[E]) -> Result<(), R::Error>) -> Result<(), R::Error> {
        while let Some((step, rows)) = self.next_band() {
            self.make(step, rows)?;
            let made = self.maps_made();
            if made > self.handed_on {
                ready(self.map_rows(self.handed_on..made))?;
                self.handed_on = made;
            }
        }
        Ok(())
    }

    /// The extent of the last maps.
    fn maps_extent(&self) -> Extent {
        let of = |place: Place| self.flows.iter().find(|flow| flow.step.output.value == place.value);
        self.network.phases.extent(|place| of(place).map_or(self.extent, |flow| flow.output))
    }

    /// Rows of the last maps that can be handed on.
    fn maps_made(&self) -> usize {
        self.network.phases.made(|place| self.made(place.value))
    }

    /// These rows of the last maps.
    fn map_rows(&mut self, rows: Range<usize>) -> &[E] {
        let phases = &self.network.phases;
        if let Some(place) = phases.only() {
            return self.windows[place.value].rows(rows);
        }
        let width = self.maps_extent().width;
        self.maps.resize(rows.len() * width * self.flows.last().map_or(0, |flow| flow.step.output.pitch));
        let row = |place: Place, row: usize| self.windows[place.value].rows(row..row + 1);
        phases.interleave(rows, width, row, self.maps);
        self.maps
    }

    /// Rows of a value that all its parts have.
    fn made(&self, value: usize) -> usize {
        let parts = self.flows.iter().filter(|flow| flow.step.output.value == value);
        parts.map(|flow| flow.done).min().unwrap_or(0)
    }

    /// The last step that can make a band or almost one, and the rows that it can make.
    fn next_band(&self) -> Option<(usize, Range<usize>)> {
        let can_make = |flow: &Flow<'_, E>, rows: &Range<usize>| {
            let has = |value: usize, end: usize| self.made(value) >= end;
            let read = flow.reads(rows.clone()).0.end + flow.step.skip[0];
            flow.step.input.is_none_or(|place| has(place.value, read))
                && flow.step.residual.is_none_or(|place| has(place.value, rows.end))
        };
        self.flows.iter().enumerate().rev().filter(|(_, flow)| !flow.is_done()).find_map(|(number, flow)| {
            // What is made falls behind what is read by some rows at every step, which a shorter band makes good.
            let bands = [flow.band, flow.band - flow.tile].into_iter().filter(|&rows| rows > 0);
            let rows = bands.map(|rows| flow.next_rows(rows)).find(|rows| can_make(flow, rows))?;
            Some((number, rows))
        })
    }

    /// The first row of a value that is still to be read.
    fn needed_from(&self, value: usize) -> usize {
        let read_from = |flow: &Flow<'_, E>| {
            let is = |place: Option<Place>| place.is_some_and(|place| place.value == value);
            let input = is(flow.step.input).then(|| flow.needs_from());
            let residual = is(flow.step.residual).then_some(flow.done);
            [input, residual].into_iter().flatten().min()
        };
        let handed_on = || self.network.phases.needed_from(value, self.handed_on);
        self.flows.iter().filter_map(read_from).min().unwrap_or_else(handed_on)
    }

    /// Makes rows of a step.
    fn make(&mut self, number: usize, rows: Range<usize>) -> Result<(), R::Error> {
        let flow = &self.flows[number];
        let step = flow.step;
        let (read, above) = flow.reads(rows.clone());
        if let (None, Some(params)) = (step.input, step.work.params()) {
            self.pad(params, read.clone())?;
        }
        let output = step.output.value;
        if rows.end > self.windows[output].end {
            let keep = self.needed_from(output);
            self.windows[output].advance(keep, rows.end);
        }
        let values = std::mem::take(&mut self.windows[output].values);
        let target = self.windows[output].range(rows.clone());

        let flow = &mut self.flows[number];
        let start = Instant::now();
        let band = Band { above, rows: rows.len() };
        let (input, height) = if let Some(place) = step.input {
            let [above, left] = step.skip;
            let rows = self.windows[place.value].rows(read.start + above..read.end + above);
            let all = Extent { height: read.len(), width: flow.input.width + left, ..flow.input };
            (skipped(rows, all, place.pitch, [0, left], self.skipped).0, read.len())
        } else {
            (&**self.padded, read.len() - 2 * step.work.params().map_or(0, |params| params.padding))
        };
        let extent = Extent { height, ..flow.input };
        let residual = step.residual.map(|place| self.windows[place.value].rows(rows.clone()));
        let done =
            step.run(self.network.isa, (extent, band), input, residual, &mut values[target], self.workspace);
        flow.took += start.elapsed();
        flow.done = rows.end;
        self.windows[output].values = values;
        Ok(done?)
    }

    /// Gets the rows of the image that lie in these rows of the padded image, and writes them with the padding.
    fn pad(&mut self, params: ConvParams, padded: Range<usize>) -> Result<(), R::Error> {
        let inside = |row: usize| row.saturating_sub(params.padding).min(self.extent.height);
        let (images, first) = self.image.rows(inside(padded.start)..inside(padded.end))?;
        images.write_padded_rows(self.network.isa, params, first, padded, self.padded);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
