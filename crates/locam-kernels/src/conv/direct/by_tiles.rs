//! A direct convolution's matrix products by tiles ([`crate::amx`]).

use super::Task;
use super::tile_rows::{NO_PIXEL, TileRows};
use crate::Element;
use crate::amx::{Depths, Factors, Shape, Sums, TILE_BYTES, TILE_COLUMNS, TILE_ROWS, Tiles};
use crate::isa::Kernel;
use crate::parallel::piece;
use crate::simd::Simd;
use crate::sink::Sink;
use std::ops::Range;

/// Vectors of sums that go to the sink together.
const VECTORS: usize = 8;
/// Sums of the block before go to the sink in parts, each after one of a block's last steps: so that both overlap, and the memory of the
/// sums is near when it is written again. A block has a part for so many steps.
const STEPS_A_PART: usize = 4;
/// Most parts.
const MOST_PARTS: usize = 6;

/// Bytes of a block's rows that stay in the first-level cache while they are multiplied by one panel after the other. Others give way
/// to weights, so that for these block after block is multiplied by a panel, which stays in the second-level cache.
const NEAR_BYTES: usize = 24 << 10;

/// A task by tiles, with room for the rows that these read.
pub(super) struct ByTiles<'a, E, K> {
    pub(super) task: Task<'a, E, K>,
    pub(super) scratch: &'a mut [E],
}

impl<E: Element, K: Sink<E>> Kernel<E> for ByTiles<'_, E, K> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(self) {
        let Self { task, scratch } = self;
        // SAFETY: the input is there, as is the instruction set; rows and weights have the depths that the steps say, and output
        // pixels are the task's own.
        unsafe {
            let rows = TileRows::new::<S, E, K>(&task, scratch);
            // Where no tap meets an output pixel there are no products, and sums are zeros.
            let (steps, panel_bytes) = (rows.steps.len(), task.weights.panel_bytes());
            let shape = Shape::of(rows.stride);
            let parts = (steps / STEPS_A_PART).clamp(1, MOST_PARTS);
            let mut sink = task.sink;
            let mut sums = Sums::zeroed();
            let mut done = Done {
                outputs: &[],
                first: task.walk.output_pixel(task.walk.place(task.pixels.start)),
                step: task.walk.output_step,
                channel: 0,
                columns: 1,
                channels: task.channels,
            };
            let depth = Depths::new(task.weights.rows).size();
            let mut tiles = Tiles::new(depth);
            let panels = task.panels.len().div_ceil(shape.columns);
            let blocks = rows.firsts.len().div_ceil(shape.rows);
            let rows_stay = steps * shape.rows * TILE_BYTES <= NEAR_BYTES;
            for number in 0..panels * blocks {
                let (panel, block) = if rows_stay {
                    (number % panels, number / panels)
                } else {
                    (number / blocks, number % blocks)
                };
                let panel = task.panels.start + panel * shape.columns;
                let factors = Factors {
                    rows: piece_of(&rows.firsts, block, shape.rows),
                    row_stride: rows.stride,
                    steps: &rows.steps,
                    weights: task.weights.panel(panel).cast(),
                    weights_stride: panel_bytes,
                    columns: shape.columns.min(task.panels.end - panel),
                    depth,
                };
                let first = steps.saturating_sub(parts);
                tiles.add_products(&factors, 0..first);
                let groups = done.groups();
                for part in 0..parts {
                    tiles.add_products(&factors, (first + part).min(steps)..(first + part + 1).min(steps));
                    for group in part * groups / parts..(part + 1) * groups / parts {
                        done.put::<S, E, K>(&sums, group, &mut sink);
                    }
                }
                tiles.store(&factors, &mut sums);
                let outputs = piece_of(&rows.outputs, block, shape.rows * TILE_ROWS);
                done = Done { outputs, channel: panel * TILE_COLUMNS, columns: factors.columns, ..done };
            }
            for group in 0..done.groups() {
                done.put::<S, E, K>(&sums, group, &mut sink);
            }
        }
    }
}

/// The values that piece `index` of pieces of `size` has.
fn piece_of<T>(values: &[T], index: usize, size: usize) -> &[T] {
    &values[piece(index, size, values.len())]
}

/// A block of which all products are summed.
struct Done<'a> {
    /// Counted from the task's first.
    outputs: &'a [u32],
    first: usize,
    /// Output pixels from one of the grid to the next.
    step: usize,
    channel: usize,
    columns: usize,
    channels: usize,
}

impl Done<'_> {
    /// Pixels whose sums go to the sink together.
    fn together(&self) -> usize {
        VECTORS / self.columns.next_power_of_two()
    }

    /// Groups of such pixels.
    fn groups(&self) -> usize {
        self.outputs.len() / self.together()
    }

    /// Hands the sums of a group to the sink.
    ///
    /// # Safety
    /// As [`Simd`], whose vectors hold 16 values, and [`Sink::put`].
    #[inline(always)]
    unsafe fn put<S: Simd<Stored = E>, E, K: Sink<E>>(&self, sums: &Sums, group: usize, sink: &mut K) {
        let first = group * self.together();
        let outputs = &self.outputs[first..][..self.together()];
        let whole = self.channel + self.columns * TILE_COLUMNS <= self.channels
            && outputs[0] != NO_PIXEL
            && outputs.iter().zip((outputs[0]..).step_by(self.step)).all(|(&output, next)| output == next);
        // SAFETY: the caller's.
        unsafe {
            match self.columns {
                1 if whole => self.put_whole::<S, E, K, 1>(sums, first, sink),
                2 if whole => self.put_whole::<S, E, K, 2>(sums, first, sink),
                4 if whole => self.put_whole::<S, E, K, 4>(sums, first, sink),
                _ => self.put_some::<S, E, K>(sums, first..first + self.together(), sink),
            }
        }
    }

    /// The sums of an output, counted in the block, and a tile of columns.
    #[inline(always)]
    fn sums(&self, sums: &Sums, output: usize, column: usize) -> *const f32 {
        sums.0.as_ptr().cast::<f32>().wrapping_add((column * self.outputs.len() + output) * TILE_COLUMNS)
    }

    /// Those of evenly spaced pixels and all channels.
    ///
    /// # Safety
    /// As [`Done::put`].
    #[inline(always)]
    unsafe fn put_whole<S: Simd<Stored = E>, E, K: Sink<E>, const COLUMNS: usize>(
        &self,
        sums: &Sums,
        first: usize,
        sink: &mut K,
    ) {
        let pixel = self.first + self.outputs[first] as usize;
        let at = std::array::from_fn(|i| {
            (pixel + i / COLUMNS * self.step, self.channel + i % COLUMNS * TILE_COLUMNS)
        });
        // SAFETY: the caller's.
        unsafe {
            let mut vectors = [S::zero(); VECTORS];
            for (i, vector) in vectors.iter_mut().enumerate() {
                *vector = S::load(self.sums(sums, first + i / COLUMNS, i % COLUMNS));
            }
            sink.put(at, S::LANES, vectors);
        }
    }

    /// Those that are there.
    ///
    /// # Safety
    /// As [`Done::put`].
    #[inline(always)]
    unsafe fn put_some<S: Simd<Stored = E>, E, K: Sink<E>>(
        &self,
        sums: &Sums,
        outputs: Range<usize>,
        sink: &mut K,
    ) {
        for output in outputs.filter(|&output| self.outputs[output] != NO_PIXEL) {
            let pixel = self.first + self.outputs[output] as usize;
            for column in 0..self.columns {
                let channel = self.channel + column * TILE_COLUMNS;
                if channel < self.channels {
                    let count = S::LANES.min(self.channels - channel);
                    // SAFETY: the caller's; these channels are there.
                    unsafe {
                        sink.put([(pixel, channel)], count, [S::load(self.sums(sums, output, column))]);
                    };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
