//! What tiles of pixels read. Sixteen rows of a tile lie evenly spaced in memory, and windows do so only as long as they neither
//! meet the padding nor pass to the next row. Elsewhere tiles read a copy ([`Planes`]).

use super::Task;
use super::planes::Planes;
use crate::Element;
use crate::amx::{Depths, TILE_DEPTH, TILE_ROWS};
use crate::simd::Simd;
use crate::walk::{Place, Walk};

/// The output of rows whose sums are dropped.
pub(super) const NO_PIXEL: u32 = u32::MAX;

/// Where tiles of pixels read; a function of the shape alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// From the input. Tiles that would pass the end of a line of so many pixels begin earlier.
    InPlace(usize),
    /// From a copy. Tiles pass over the padding between rows, whose sums are dropped.
    Planes,
}

impl Arrangement {
    pub(super) fn of(walk: &Walk) -> Self {
        let line = walk.line();
        if walk.stays_inside() && line >= TILE_ROWS { Self::InPlace(line) } else { Self::Planes }
    }
}

/// The rows of all tiles of a task.
pub(super) struct TileRows {
    /// The beginning of each tile's first row.
    pub(super) firsts: Vec<*const u8>,
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    /// Bytes from a row's beginning to what it reads of each depth and tap.
    pub(super) steps: Vec<isize>,
    /// Per row of each tile its pixel of the output, counted from the task's first one, or [`NO_PIXEL`].
    pub(super) outputs: Vec<u32>,
}

impl TileRows {
    /// Values of the copy that the rows of a task's tiles lie in.
    pub(super) fn scratch<E: Element, K>(task: &Task<'_, E, K>) -> usize {
        match Arrangement::of(task.walk) {
            Arrangement::InPlace(_) => 0,
            Arrangement::Planes => {
                let depth = Planes::new(task.walk, task.pixels.clone()).depth() * TILE_DEPTH;
                Depths::new(task.weights.rows).starts().count() * depth
            }
        }
    }

    /// # Safety
    /// The walk's input is there, and taps read no further than its end.
    #[inline(always)]
    pub(super) unsafe fn new<S: Simd<Stored = E>, E: Element, K>(
        task: &Task<'_, E, K>,
        scratch: &mut [E],
    ) -> Self {
        match Arrangement::of(task.walk) {
            Arrangement::InPlace(line) => Self::in_place(task, line),
            // SAFETY: the caller's.
            Arrangement::Planes => unsafe { Self::copied::<S, E, K>(task, scratch) },
        }
    }

    /// `stride` and `steps` count values.
    fn empty<E: Element, K>(
        task: &Task<'_, E, K>,
        stride: usize,
        steps: impl Iterator<Item = isize>,
    ) -> Self {
        let bytes = size_of::<E>();
        let tiles = task.pixels.len().div_ceil(TILE_ROWS);
        Self {
            steps: steps.map(|step| step * bytes as isize).collect(),
            stride: stride * bytes,
            firsts: Vec::with_capacity(tiles),
            outputs: Vec::with_capacity(tiles * TILE_ROWS),
        }
    }

    fn in_place<E: Element, K>(task: &Task<'_, E, K>, line: usize) -> Self {
        let (walk, pitch) = (task.walk, task.source.pitch);
        let taps = walk.tap_offsets();
        let steps = Depths::new(task.weights.rows)
            .starts()
            .flat_map(|start| taps.iter().map(move |offset| offset * pitch as isize + start as isize));
        let mut rows = Self::empty(task, walk.input_step * pitch, steps);
        let first = walk.output_pixel(walk.place(task.pixels.start));
        let mut pixel = task.pixels.start;
        while pixel < task.pixels.end {
            let at = pixel % line;
            let skipped = at - at.min(line - TILE_ROWS);
            let count = (TILE_ROWS - skipped).min(task.pixels.end - pixel);
            let origin = walk.origin(walk.place(pixel - skipped));
            rows.firsts.push(task.source.values.wrapping_offset(origin * pitch as isize).cast());
            rows.outputs.extend(std::iter::repeat_n(NO_PIXEL, skipped));
            let mut place = walk.place(pixel);
            let mut left = count;
            while left > 0 {
                let run = left.min(walk.grid.width - place.x);
                let output = (walk.output_pixel(place) - first) as u32;
                rows.outputs.extend((output..).step_by(walk.output_step).take(run));
                place = walk.next(Place { x: place.x + run - 1, ..place });
                left -= run;
            }
            rows.outputs.extend(std::iter::repeat_n(NO_PIXEL, TILE_ROWS - skipped - count));
            pixel += count;
        }
        rows
    }

    /// # Safety
    /// As [`TileRows::new`].
    #[inline(always)]
    unsafe fn copied<S: Simd<Stored = E>, E: Element, K>(task: &Task<'_, E, K>, scratch: &mut [E]) -> Self {
        let walk = task.walk;
        let planes = Planes::new(walk, task.pixels.clone());
        // SAFETY: the caller's.
        unsafe { planes.copy::<S, E, K>(task, scratch) };
        let taps: Vec<usize> = walk.taps.iter().map(|&tap| planes.offset(tap)).collect();
        let depths = (0..Depths::new(task.weights.rows).starts().count()).map(|depth| depth * planes.depth());
        let steps =
            depths.flat_map(|depth| taps.iter().map(move |tap| ((depth + tap) * TILE_DEPTH) as isize));
        let mut rows = Self::empty(task, TILE_DEPTH, steps);
        let first = walk.output_pixel(walk.place(task.pixels.start));
        for y in planes.rows.clone() {
            for image in planes.images.clone() {
                let begin = (walk.output_pixel(Place { image, y, x: 0 }) - first) as u32;
                rows.outputs.extend((begin..).step_by(walk.output_step).take(walk.grid.width));
                rows.outputs.extend(std::iter::repeat_n(NO_PIXEL, planes.width - walk.grid.width));
            }
        }
        while rows.outputs.last() == Some(&NO_PIXEL) {
            rows.outputs.pop();
        }
        rows.outputs.resize(rows.outputs.len().next_multiple_of(TILE_ROWS), NO_PIXEL);
        // Without taps nothing is read, and there is no copy.
        let there = walk.taps.is_empty() || rows.outputs.len() * TILE_DEPTH <= scratch.len();
        assert!(there, "a copy of all pixels that are read");
        let firsts = (0..rows.outputs.len()).step_by(TILE_ROWS);
        rows.firsts
            .extend(firsts.map(|first| scratch.as_ptr().wrapping_add(first * TILE_DEPTH).cast::<u8>()));
        rows
    }
}
