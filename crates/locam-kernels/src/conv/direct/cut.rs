//! How the work of a direct convolution is cut into tasks; a function of the shape alone.

use super::tile_rows::{Arrangement, Shifts};
use crate::amx::BLOCK_ROWS;
use crate::pack::Packed;
use crate::parallel::piece;
use crate::walk::Walk;
use crate::{Element, Isa};
use std::ops::Range;

/// Grid pixels of a task: enough to use a panel many times while it is in the second-level cache.
const TASK_PIXELS: usize = 96;
/// Tasks to aim at where there are few pixels: then panels are dealt out too.
const LEAST_TASKS: usize = 16;

/// Grid pixels of a task by tiles.
const TILED_PIXELS: Range<usize> = 64..448;
/// Bytes of what tiles read in a task: half of the second-level cache of CPUs that have them.
const TILED_BYTES: usize = 1 << 20;
/// Rows of a map of which a copy is made together, at least: each copies the rows that its windows share with the next.
const SHIFTED_ROWS: usize = 4;

/// Tasks: chunks of pixels by groups of panels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pieces: Pieces,
    panels: usize,
    chunks: usize,
    panel_groups: usize,
}

/// Pieces of so many pixels, of which the last one of every `whole` pixels may be smaller.
#[derive(Clone, Copy, Debug)]
struct Pieces {
    size: usize,
    whole: usize,
}

impl Cut {
    pub(crate) fn new<E: Element>(isa: Isa, walk: &Walk, weights: &Packed<E>, channels: usize) -> Self {
        let (pixels, panels) = (walk.grid.pixels(), weights.panels);
        let by_tiles = isa.has_tiles_of::<E>();
        let pieces = if by_tiles {
            tiled_pieces(walk, weights, channels)
        } else {
            Pieces { size: TASK_PIXELS, whole: pixels }
        };
        let chunks = if pixels == 0 { 0 } else { pixels / pieces.whole * pieces.each() };
        // Of tiles each group of panels makes the same copies of pixels.
        let groups = if by_tiles { LEAST_TASKS / chunks.max(1) } else { LEAST_TASKS.div_ceil(chunks.max(1)) };
        Self { pieces, panels, chunks, panel_groups: groups.clamp(1, panels.max(1)) }
    }

    /// Chunks of pixels; each has a sink of its own.
    pub(crate) fn chunks(self) -> usize {
        self.chunks
    }

    pub(super) fn tasks(self) -> usize {
        self.chunks * self.panel_groups
    }

    /// The chunk of a task, its pixels and its panels.
    pub(super) fn task(self, task: usize) -> (usize, Range<usize>, Range<usize>) {
        let (chunk, group) = (task / self.panel_groups, task % self.panel_groups);
        let panels_each = self.panels.div_ceil(self.panel_groups);
        (chunk, self.pieces.pixels(chunk), piece(group, panels_each, self.panels))
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

fn tiled_pieces<E: Element>(walk: &Walk, weights: &Packed<E>, channels: usize) -> Pieces {
    let (pixels, width, height) = (walk.grid.pixels(), walk.grid.width, walk.grid.height);
    let even = pixels.div_ceil(LEAST_TASKS).clamp(TILED_PIXELS.start, TILED_PIXELS.end);
    if Arrangement::of(walk, channels) != Arrangement::Shifted {
        let bytes = weights.taps * weights.rows * size_of::<E>();
        let size = even.min(TILED_BYTES / bytes).next_multiple_of(BLOCK_ROWS);
        return Pieces { size: size.max(BLOCK_ROWS), whole: pixels };
    }
    let image = width * height;
    if even >= image {
        return Pieces { size: even / image * image, whole: pixels };
    }
    // Somewhat more rows where these fill their tiles better.
    let most = (even * 3 / 2 / width).max(SHIFTED_ROWS).min(height);
    let shifts = Shifts::new(walk);
    let cycles = |rows: usize| shifts.cycles(walk, rows, channels);
    let of_image = |rows: &usize| height / rows * cycles(*rows) + cycles(height % rows);
    let rows = (1..=most).min_by_key(of_image).unwrap_or(height);
    Pieces { size: rows * width, whole: image }
}
