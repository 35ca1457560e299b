//! A direct convolution's matrix products by tiles ([`crate::amx`]).

use super::tile_rows::TileRows;
use super::{Task, put_first};
use crate::Element;
use crate::amx::{self, BLOCK_COLUMNS, BLOCK_ROWS, Depths, Factors, Sums};
use crate::isa::Kernel;
use crate::simd::Simd;
use crate::sink::Sink;

/// Output pixels whose sums go to the sink together.
const PIXELS: usize = 4;

/// A task by tiles, with room for the rows that these read.
pub(super) struct ByTiles<'a, E, K> {
    pub(super) task: Task<'a, E, K>,
    pub(super) scratch: &'a mut [E],
}

impl<E: Element, K: Sink<E>> Kernel<E> for ByTiles<'_, E, K> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(self) {
        let Self { task, scratch } = self;
        assert_eq!(task.walk.grid, task.walk.output, "pixels of the grid are those of the output");
        let depth = Depths::new(task.weights.rows).size();
        // SAFETY: the input is there, as is the instruction set; rows and weights have the depths that the steps say, and output
        // pixels are the task's own.
        unsafe {
            let rows = TileRows::new(&task, scratch);
            let mut sink = task.sink;
            let mut sums = Sums::zeroed();
            amx::configure(depth);
            for panel in task.panels.clone() {
                let channel = panel * BLOCK_COLUMNS;
                let columns = (task.channels - channel).min(BLOCK_COLUMNS);
                for (firsts, outputs) in rows.firsts.chunks(2).zip(rows.outputs.chunks(BLOCK_ROWS)) {
                    for pixel in outputs.iter().flatten() {
                        sink.prefetch(*pixel, channel);
                    }
                    let factors = Factors {
                        rows: (firsts[0], firsts.get(1).copied()),
                        row_stride: rows.stride,
                        steps: &rows.steps,
                        columns: task.weights.panel(panel).cast(),
                        depth,
                    };
                    amx::multiply(&factors, columns, &mut sums);
                    if columns == BLOCK_COLUMNS {
                        put_whole::<S, K>(&sums, outputs, channel, &mut sink);
                    } else {
                        put_some::<S, K>(&sums, outputs, channel, task.channels, &mut sink);
                    }
                }
            }
            amx::release();
        }
    }
}

/// Hands the sums of all of a block's channels to the sink.
///
/// # Safety
/// As [`Simd`], whose vectors hold 16 values, and [`Sink::put`].
#[inline(always)]
unsafe fn put_whole<S: Simd, K: Sink<S::Stored>>(
    sums: &Sums,
    outputs: &[Option<usize>],
    channel: usize,
    sink: &mut K,
) {
    for (sums, outputs) in sums.0.chunks_exact(PIXELS).zip(outputs.chunks_exact(PIXELS)) {
        if let &[Some(a), Some(b), Some(c), Some(d)] = outputs {
            let (first, second) = (channel, channel + S::LANES);
            let at = [
                (a, first),
                (a, second),
                (b, first),
                (b, second),
                (c, first),
                (c, second),
                (d, first),
                (d, second),
            ];
            // SAFETY: the caller's.
            unsafe { sink.put(at, S::LANES, vectors::<S, 8>(sums.as_flattened())) };
            continue;
        }
        for (sums, &pixel) in sums.iter().zip(outputs) {
            if let Some(pixel) = pixel {
                // SAFETY: the caller's.
                unsafe {
                    let at = [(pixel, channel), (pixel, channel + S::LANES)];
                    sink.put(at, S::LANES, vectors::<S, 2>(sums));
                }
            }
        }
    }
}

/// Hands the sums of a block to the sink, as far as there are such channels.
///
/// # Safety
/// As [`put_whole`].
#[inline(always)]
unsafe fn put_some<S: Simd, K: Sink<S::Stored>>(
    sums: &Sums,
    outputs: &[Option<usize>],
    channel: usize,
    channels: usize,
    sink: &mut K,
) {
    for (sums, &pixel) in sums.0.iter().zip(outputs) {
        if let Some(pixel) = pixel {
            // SAFETY: the caller's.
            unsafe { put_first::<S, K, 2>(&vectors(sums), pixel, channel, channels, sink) };
        }
    }
}

/// # Safety
/// As [`Simd`]; there are so many vectors.
#[inline(always)]
unsafe fn vectors<S: Simd, const N: usize>(sums: &[f32]) -> [S; N] {
    // SAFETY: the caller has the instruction set.
    let mut vectors = [unsafe { S::zero() }; N];
    for (number, vector) in vectors.iter_mut().enumerate() {
        // SAFETY: the caller's.
        *vector = unsafe { S::load(sums.as_ptr().add(number * S::LANES)) };
    }
    vectors
}

#[cfg(test)]
mod tests;
