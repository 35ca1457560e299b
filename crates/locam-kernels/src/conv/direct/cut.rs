//! How the work of a direct convolution is cut into tasks: a function of the shape alone and, by tiles, of whether the kernel stays on
//! one thread. Values do not depend on it; the order in which statistics are summed does.

use super::planes::Planes;
use super::tile_rows::Arrangement;
use crate::amx::{Shape, TILE_ROWS};
use crate::pack::Packed;
use crate::parallel::{is_on_this_thread, piece};
use crate::walk::Walk;
use crate::{Element, Isa};
use std::ops::Range;

/// Grid pixels of a task: enough to use a panel many times while it is in the second-level cache.
const TASK_PIXELS: usize = 96;
/// Tasks to aim at where there are few pixels: then panels are dealt out too.
const LEAST_TASKS: usize = 16;

/// Grid pixels of a task by tiles that read in place.
const TILED_PIXELS: Range<usize> = 64..448;
/// Bytes of what tiles read in a task: a third of the second-level cache of CPUs that have them.
const TILED_BYTES: usize = 640 << 10;
/// Rows of a map of which a copy is made together, at least: each copies the rows that its windows share with the next.
const COPIED_ROWS: usize = 4;
/// Products of a pixel by a panel for each value that is copied, at least: each group of panels makes the same copies.
const PRODUCTS_A_COPY: usize = 64;

/// Tasks: chunks of pixels by groups of panels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pieces: Pieces,
    chunks: usize,
    panels: usize,
    /// Panels of a group.
    panels_each: usize,
}

/// Pieces of so many pixels, of which the last one of every `whole` pixels may be smaller.
#[derive(Clone, Copy, Debug)]
struct Pieces {
    size: usize,
    whole: usize,
}

impl Cut {
    pub(crate) fn new<E: Element>(isa: Isa, walk: &Walk, weights: &Packed<E>) -> Self {
        let (pixels, panels) = (walk.grid.pixels(), weights.panels);
        let by_tiles = isa.has_tiles_of::<E>();
        let least = if by_tiles && is_on_this_thread() { 1 } else { LEAST_TASKS };
        let pieces = if by_tiles {
            tiled_pieces(walk, weights, least)
        } else {
            Pieces { size: TASK_PIXELS, whole: pixels }
        };
        let chunks = if pixels == 0 { 0 } else { pixels / pieces.whole * pieces.each() };
        let groups = least.div_ceil(chunks.max(1));
        let panels_each = if by_tiles {
            panels.div_ceil(groups.min(tiled_groups(walk, weights))).next_multiple_of(Shape::WIDE.columns)
        } else {
            panels.div_ceil(groups)
        };
        Self { pieces, chunks, panels, panels_each: panels_each.max(1) }
    }

    /// Chunks of pixels; each has a sink of its own.
    pub(crate) fn chunks(self) -> usize {
        self.chunks
    }

    pub(super) fn tasks(self) -> usize {
        self.chunks * self.groups()
    }

    /// The chunk of a task, its pixels and its panels.
    pub(super) fn task(self, task: usize) -> (usize, Range<usize>, Range<usize>) {
        let (chunk, group) = (task / self.groups(), task % self.groups());
        (chunk, self.pieces.pixels(chunk), piece(group, self.panels_each, self.panels))
    }

    /// Groups of panels.
    fn groups(self) -> usize {
        self.panels.div_ceil(self.panels_each)
    }
}

impl Pieces {
    /// Pieces of a whole.
    fn each(self) -> usize {
        self.whole.div_ceil(self.size)
    }

    fn pixels(self, number: usize) -> Range<usize> {
        let first = number / self.each() * self.whole;
        let pixels = piece(number % self.each(), self.size, self.whole);
        first + pixels.start..first + pixels.end
    }
}

/// Most groups of panels.
fn tiled_groups<E: Element>(walk: &Walk, weights: &Packed<E>) -> usize {
    match Arrangement::of(walk) {
        Arrangement::InPlace(_) => LEAST_TASKS,
        Arrangement::Planes => (weights.panels * weights.taps / PRODUCTS_A_COPY).max(1),
    }
}

fn tiled_pieces<E: Element>(walk: &Walk, weights: &Packed<E>, least: usize) -> Pieces {
    let (pixels, width, height) = (walk.grid.pixels(), walk.grid.width, walk.grid.height);
    if let Arrangement::InPlace(_) = Arrangement::of(walk) {
        let bytes = weights.taps * weights.rows * size_of::<E>();
        let even = pixels.div_ceil(least).clamp(TILED_PIXELS.start, TILED_PIXELS.end);
        let block = Shape::LARGE.rows * TILE_ROWS;
        let size = even.min(TILED_BYTES / bytes.max(1)).next_multiple_of(block);
        return Pieces { size: size.max(block), whole: pixels };
    }
    let image = width * height;
    if pixels == 0 {
        return Pieces { size: 1, whole: 1 };
    }
    let bytes = Planes::new(walk, 0..image).depth() * weights.rows * size_of::<E>();
    let tasks = least.div_ceil(tiled_groups(walk, weights));
    let images = (walk.grid.batch / tasks).min(TILED_BYTES / bytes);
    if images > 0 {
        return Pieces { size: images * image, whole: pixels };
    }
    let pieces = (tasks / walk.grid.batch).max(bytes.div_ceil(TILED_BYTES));
    let rows = height.div_ceil(pieces).max(COPIED_ROWS).min(height);
    Pieces { size: rows * width, whole: image }
}
