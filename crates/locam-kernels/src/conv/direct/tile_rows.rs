//! What tiles of pixels read. Sixteen rows of a tile lie evenly spaced in memory, and windows do so only as long as they neither
//! meet the padding nor pass to the next row. Elsewhere tiles read a copy.

use super::Task;
use crate::amx::{Depths, TILE_DEPTH, TILE_ROWS};
use crate::walk::{Place, Tap, Walk};
use crate::{Element, Extent};
use std::ops::Range;

/// Where tiles of pixels read; a function of the shape alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// From the input. Tiles that would pass the end of a line of so many pixels begin earlier.
    InPlace(usize),
    /// From a copy of the part of the map, with its padding: all taps read the same pixels, shifted. Tiles pass over
    /// the padding between rows, whose sums are dropped.
    Shifted,
    /// From copies of windows, tile by tile as they are read.
    Gathered,
}

/// Cycles to copy a depth of a pixel.
const COPY_CYCLES: usize = 3;
/// Output channels that a depth of a pixel is multiplied by in a cycle.
const CHANNELS_A_CYCLE: usize = 16;

impl Arrangement {
    /// `channels` are those of the output.
    pub(super) fn of(walk: &Walk, channels: usize) -> Self {
        if walk.stays_inside() {
            return if walk.line() >= TILE_ROWS { Self::InPlace(walk.line()) } else { Self::Gathered };
        }
        let Extent { height, width, .. } = walk.grid;
        let dropped = (Shifts::new(walk).passed(walk, height) - height * width) * channels / CHANNELS_A_CYCLE;
        let copied = COPY_CYCLES * height * width;
        if walk.input_step == 1 && dropped <= copied { Self::Shifted } else { Self::Gathered }
    }
}

/// The rows of all tiles of a task.
pub(super) struct TileRows {
    /// The beginning of each tile's first row.
    pub(super) firsts: Vec<*const u8>,
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    /// Bytes from a row's beginning to each of its depths, tap by tap.
    pub(super) steps: Vec<isize>,
    /// Per row of each tile its output pixel; none where the sums are dropped.
    pub(super) outputs: Vec<Option<usize>>,
}

impl TileRows {
    /// Values of the copy that the rows of a task's tiles lie in.
    pub(super) fn scratch<E: Element, K>(task: &Task<'_, E, K>) -> usize {
        let (walk, pixels) = (task.walk, task.pixels.clone());
        match Arrangement::of(walk, task.channels) {
            Arrangement::InPlace(_) => 0,
            Arrangement::Shifted => {
                let shifts = Shifts::new(walk);
                parts(walk, pixels).map(|part| shifts.pixels(&part)).sum::<usize>() * task.source.pitch
            }
            Arrangement::Gathered => pixels.len().div_ceil(TILE_ROWS) * Copies::new(task).tile,
        }
    }

    /// # Safety
    /// The walk's input is there, and taps read no further than its end.
    #[inline(always)]
    pub(super) unsafe fn new<E: Element, K>(task: &Task<'_, E, K>, scratch: &mut [E]) -> Self {
        // SAFETY: the caller's.
        unsafe {
            match Arrangement::of(task.walk, task.channels) {
                Arrangement::InPlace(line) => Self::in_place(task, line),
                Arrangement::Shifted => Self::shifted(task, scratch),
                Arrangement::Gathered => Self::gathered(task, scratch),
            }
        }
    }

    /// `stride` and `taps` count values.
    fn empty<E: Element, K>(
        task: &Task<'_, E, K>,
        stride: usize,
        taps: impl IntoIterator<Item = isize>,
    ) -> Self {
        let bytes = size_of::<E>();
        let starts = Depths::new(task.weights.rows).starts();
        let step = |tap: isize, start: usize| (tap + start as isize) * bytes as isize;
        let steps = taps.into_iter().flat_map(|tap| starts.clone().map(move |start| step(tap, start)));
        let tiles = task.pixels.len().div_ceil(TILE_ROWS);
        Self {
            steps: steps.collect(),
            stride: stride * bytes,
            firsts: Vec::with_capacity(tiles),
            outputs: Vec::with_capacity(tiles * TILE_ROWS),
        }
    }

    fn in_place<E: Element, K>(task: &Task<'_, E, K>, line: usize) -> Self {
        let (walk, pitch) = (task.walk, task.source.pitch);
        let taps = walk.tap_offsets().into_iter().map(|offset| offset * pitch as isize);
        let mut rows = Self::empty(task, walk.input_step * pitch, taps);
        let mut pixel = task.pixels.start;
        while pixel < task.pixels.end {
            let at = pixel % line;
            let skipped = at - at.min(line - TILE_ROWS);
            let count = (TILE_ROWS - skipped).min(task.pixels.end - pixel);
            let origin = walk.origin(walk.place(pixel - skipped));
            rows.firsts.push(task.source.values.wrapping_offset(origin * pitch as isize).cast());
            rows.outputs.extend(std::iter::repeat_n(None, skipped));
            rows.outputs.extend((pixel..pixel + count).map(Some));
            rows.outputs.extend(std::iter::repeat_n(None, TILE_ROWS - skipped - count));
            pixel += count;
        }
        rows
    }

    /// # Safety
    /// As [`TileRows::new`].
    unsafe fn shifted<E: Element, K>(task: &Task<'_, E, K>, scratch: &mut [E]) -> Self {
        let (walk, pitch) = (task.walk, task.source.pitch);
        let shifts = Shifts::new(walk);
        let taps = walk.taps.iter().map(|&tap| (shifts.offset(tap) * pitch) as isize);
        let mut rows = Self::empty(task, pitch, taps);
        let mut rest = scratch;
        for part in parts(walk, task.pixels.clone()) {
            let copy;
            (copy, rest) = rest.split_at_mut(shifts.pixels(&part) * pitch);
            // SAFETY: the caller's.
            unsafe { shifts.copy(task, &part, copy) };
            let first = part.start - part.rows.start * walk.grid.width;
            let last = part.rows.len() - 1;
            let end = last * shifts.row + part.end - (part.rows.start + last) * walk.grid.width;
            for tile in (first..end).step_by(TILE_ROWS) {
                rows.firsts.push(copy[tile * pitch..].as_ptr().cast());
                rows.outputs.extend((tile..tile + TILE_ROWS).map(|at| {
                    let (y, x) = (at / shifts.row, at % shifts.row);
                    let pixel = part.image + (part.rows.start + y) * walk.grid.width + x;
                    (at < end && x < walk.grid.width).then_some(pixel)
                }));
            }
        }
        rows
    }

    /// # Safety
    /// As [`TileRows::new`].
    #[inline(always)]
    unsafe fn gathered<E: Element, K>(task: &Task<'_, E, K>, scratch: &mut [E]) -> Self {
        let (walk, source, count) = (task.walk, task.source, task.pixels.len());
        let copies = Copies::new(task);
        let mut rows = Self::empty(task, copies.depth, []);
        rows.steps.extend(copies.depths().map(|depth| (depth * size_of::<E>()) as isize));
        rows.firsts.extend(scratch.chunks_exact(copies.tile).map(|tile| tile.as_ptr().cast()));
        rows.outputs.extend(task.pixels.clone().map(Some));
        rows.outputs.resize(rows.firsts.len() * TILE_ROWS, None);

        let bounds = walk.tap_bounds();
        let step = walk.input_step * source.pitch;
        let mut place = walk.place(task.pixels.start);
        let mut done = 0;
        while done < count {
            let run = walk.run_length(place, &bounds).clamp(1, count - done);
            for (number, tap) in walk.taps.iter().enumerate() {
                let pixel = walk.input_pixel(place, *tap);
                for row in done..done + run {
                    // SAFETY: the tap lies in the input for each pixel of the run.
                    let from = pixel.map_or(source.zeros, |pixel| unsafe {
                        source.values.add(pixel * source.pitch + (row - done) * step)
                    });
                    // SAFETY: a tap reads as many values, and the scratch has room for the rows of all tiles.
                    unsafe { copies.copy(from, number, scratch.as_mut_ptr().add(copies.row(row))) };
                }
            }
            done += run;
            place = walk.next(Place { x: place.x + run - 1, ..place });
        }
        rows
    }
}

/// A task's pixels of one image.
struct Part {
    /// The image's first pixel in the grid.
    image: usize,
    /// Counted from there.
    start: usize,
    end: usize,
    /// The rows of the image that these lie in.
    rows: Range<usize>,
}

fn parts(walk: &Walk, pixels: Range<usize>) -> impl Iterator<Item = Part> {
    let (width, size) = (walk.grid.width, walk.grid.height * walk.grid.width);
    let images = pixels.start / size..pixels.end.div_ceil(size);
    images.map(move |image| {
        let start = pixels.start.saturating_sub(image * size);
        let end = (pixels.end - image * size).min(size);
        Part { image: image * size, start, end, rows: start / width..end.div_ceil(width) }
    })
}

/// A map with its padding, in which all taps read evenly spaced pixels.
pub(super) struct Shifts {
    low: Tap,
    /// Pixels of a row.
    row: usize,
    /// Rows more than those of the output.
    more_rows: usize,
}

impl Shifts {
    pub(super) fn new(walk: &Walk) -> Self {
        let bounds = walk.tap_bounds();
        let (low, high) = (bounds.low, bounds.high);
        let row = walk.grid.width + (high.x - low.x) as usize;
        Self { low, row, more_rows: (high.y - low.y) as usize }
    }

    /// Pixels that the tiles of so many whole rows pass over.
    fn passed(&self, walk: &Walk, rows: usize) -> usize {
        let last = rows.saturating_sub(1) * self.row;
        if rows == 0 { 0 } else { (last + walk.grid.width).next_multiple_of(TILE_ROWS) }
    }

    /// About the cycles that a depth of so many rows takes.
    pub(super) fn cycles(&self, walk: &Walk, rows: usize, channels: usize) -> usize {
        let copied = if rows == 0 { 0 } else { (rows + self.more_rows) * self.row };
        self.passed(walk, rows) * walk.taps.len() * channels / CHANNELS_A_CYCLE + COPY_CYCLES * copied
    }

    /// Pixels of the copy of a part, with those that only rows without an output pixel read.
    fn pixels(&self, part: &Part) -> usize {
        (part.rows.len() + self.more_rows) * self.row + TILE_ROWS
    }

    /// Pixels from what the first tap reads to what this one does.
    fn offset(&self, tap: Tap) -> usize {
        (tap.y - self.low.y) as usize * self.row + (tap.x - self.low.x) as usize
    }

    /// # Safety
    /// The walk's input is there.
    unsafe fn copy<E: Element, K>(&self, task: &Task<'_, E, K>, part: &Part, copy: &mut [E]) {
        let (source, input) = (task.source, task.walk.input);
        let image = part.image / (task.walk.grid.height * task.walk.grid.width);
        let left = (-self.low.x).max(0) as usize;
        let from = self.low.x.max(0) as usize;
        let columns = input.width.saturating_sub(from).min(self.row - left);
        let rows = copy.chunks_exact_mut(self.row * source.pitch).take(part.rows.len() + self.more_rows);
        for (y, row) in rows.enumerate() {
            let y = (part.rows.start + y) as isize + self.low.y;
            if !(0..input.height as isize).contains(&y) {
                row.fill(E::default());
                continue;
            }
            let pixel = (image * input.height + y as usize) * input.width + from;
            // SAFETY: these pixels lie in a row of the input.
            let values = unsafe {
                std::slice::from_raw_parts(source.values.add(pixel * source.pitch), columns * source.pitch)
            };
            let (before, rest) = row.split_at_mut(left * source.pitch);
            let (there, after) = rest.split_at_mut(values.len());
            before.fill(E::default());
            there.copy_from_slice(values);
            after.fill(E::default());
        }
    }
}

/// Windows copied side by side: tile by tile, in a tile depth by depth, in a depth row by row.
struct Copies {
    /// Values of a row of a depth.
    depth: usize,
    /// The first value of each depth of a tap.
    starts: Vec<usize>,
    /// Values of a tile.
    tile: usize,
}

impl Copies {
    fn new<E: Element, K>(task: &Task<'_, E, K>) -> Self {
        let depths = Depths::new(task.weights.rows);
        let (depth, starts) = (depths.size(), depths.starts().collect::<Vec<_>>());
        let tile = task.walk.taps.len() * starts.len() * TILE_ROWS * depth;
        Self { depth, starts, tile }
    }

    /// Where each depth of a row begins, from the row's beginning on.
    fn depths(&self) -> impl Iterator<Item = usize> {
        (0..self.tile).step_by(TILE_ROWS * self.depth)
    }

    /// Where a row begins.
    fn row(&self, row: usize) -> usize {
        row / TILE_ROWS * self.tile + row % TILE_ROWS * self.depth
    }

    /// Copies what tap `number` reads into the row that begins at `to`.
    ///
    /// # Safety
    /// There are as many values, and as much room.
    #[inline(always)]
    unsafe fn copy<E: Element>(&self, from: *const E, number: usize, to: *mut E) {
        let first = number * self.starts.len();
        for (depth, &start) in self.starts.iter().enumerate() {
            // SAFETY: the caller's.
            unsafe {
                let (from, to) = (from.add(start), to.add((first + depth) * TILE_ROWS * self.depth));
                if self.depth == TILE_DEPTH {
                    to.cast::<[E; TILE_DEPTH]>()
                        .write_unaligned(from.cast::<[E; TILE_DEPTH]>().read_unaligned());
                } else {
                    to.copy_from_nonoverlapping(from, self.depth);
                }
            }
        }
    }
}
