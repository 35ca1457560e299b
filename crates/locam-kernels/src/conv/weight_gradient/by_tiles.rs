//! The gradient to a weight by tiles ([`crate::amx`]). Its sums run over pixels, so that pixels are what lies side by side: the input
//! is turned to rows of pixels, one per channel ([`Rows`]), and the output's gradient to pairs of pixels ([`Pairs`]). Both count
//! pixels as the output does, with gaps between its rows as wide as the padding that windows share; in the gaps the gradient is
//! zero. So a tap is a place in the rows, and all taps read the same copy.

mod pairs;
mod rows;

use super::{Job, in_segments};
use crate::amx::{Factors, Sums, TILE_COLUMNS, TILE_DEPTH, TILE_ROWS, Tiles};
use crate::isa::Kernel;
use crate::parallel::{Shared, piece, with_scratch};
use crate::simd::{Simd, load_up_to, store_up_to};
use crate::{Bf16, Buffer, Element, Isa};
use pairs::Pairs;
use rows::Rows;
use std::ops::Range;

/// Tasks to aim at.
const LEAST_TASKS: usize = 16;
/// Bytes of all segments' sums, at most, if there is more than one.
const SUMS_BYTES: usize = 4 << 20;
/// Bytes of the copies of a chunk: they stay in the second-level cache of CPUs that have tiles, while all taps are multiplied.
const COPIED_BYTES: usize = 1 << 20;
/// Rows of a map of which copies are made together, at least: each copies the rows that its windows share with the next.
const COPIED_ROWS: usize = 4;
/// Tiles of rows and most tiles of columns of a block of sums: rows, which lie across lines of the cache, are read once.
const BLOCK: (usize, usize) = (2, 3);

/// Fills `to` with a matrix of `width` x `channels` per tap.
///
/// # Safety
/// As [`super::outer_products`].
pub(crate) unsafe fn by_tiles(isa: Isa, job: &Job<'_, Bf16>, to: &mut [f32], partial: &mut Buffer<f32>) {
    let cut = Cut::new(job, to.len());
    in_segments((cut.chunks, cut.segments), cut.groups, to, partial, |chunks, group, to| {
        let rows = piece(group, cut.rows_each, job.width);
        with_scratch::<Bf16, _>(cut.scratch(job, rows.len()), 0, |scratch, _| {
            Bf16::run(isa, Task { job, cut, chunks, rows, scratch, to });
        });
    });
}

/// How the work is cut, by the shape alone.
#[derive(Clone, Copy)]
struct Cut {
    /// Images of a chunk, or rows of an image where that is none.
    images: usize,
    /// Rows of an image.
    height: usize,
    chunks: usize,
    segments: usize,
    /// Groups of the values that a tap reads.
    groups: usize,
    rows_each: usize,
}

impl Cut {
    fn new(job: &Job<'_, Bf16>, sums: usize) -> Self {
        let grid = job.walk.grid;
        let most = (SUMS_BYTES / (size_of::<f32>() * sums)).clamp(1, LEAST_TASKS);
        let block = BLOCK.0 * TILE_ROWS;
        let groups = LEAST_TASKS.div_ceil(most).min(job.width.div_ceil(block));
        let rows_each =
            if job.reads_rows() { job.width } else { job.width.div_ceil(groups).next_multiple_of(block) };
        let row_bytes = Rows::row_bytes(job, rows_each.min(job.width)) + Pairs::row_bytes(job);
        let rows = (COPIED_BYTES / row_bytes).min((grid.batch * grid.height).div_ceil(most)).max(COPIED_ROWS);
        let (images, height) = (rows / grid.height, rows.min(grid.height));
        let chunks =
            if images > 0 { grid.batch.div_ceil(images) } else { grid.batch * grid.height.div_ceil(height) };
        Self {
            images,
            height,
            chunks,
            segments: most.min(chunks),
            groups: job.width.div_ceil(rows_each),
            rows_each,
        }
    }

    /// Values of the copies of a chunk.
    fn scratch(self, job: &Job<'_, Bf16>, rows: usize) -> usize {
        let chunk = self.chunk(job, 0);
        Rows::new(job, &chunk, 0..rows).len + Pairs::new(job, &chunk).len()
    }

    fn chunk(self, job: &Job<'_, Bf16>, number: usize) -> Chunk {
        let grid = job.walk.grid;
        let (images, rows) = if self.images > 0 {
            (piece(number, self.images, grid.batch), 0..grid.height)
        } else {
            let pieces = grid.height.div_ceil(self.height);
            let image = number / pieces;
            (image..image + 1, piece(number % pieces, self.height, grid.height))
        };
        Chunk::new(job, images, rows)
    }
}

/// Pixels of the output of which copies are made together: whole images, or rows of one.
struct Chunk {
    images: Range<usize>,
    rows: Range<usize>,
    /// Pixels from a row to the next, with the gap.
    pitch: usize,
    /// Pixels that a step multiplies and sums.
    depth: usize,
    /// Steps of an image.
    steps: usize,
}

impl Chunk {
    fn new(job: &Job<'_, Bf16>, images: Range<usize>, rows: Range<usize>) -> Self {
        let pitch = Rows::pitch(job);
        let pixels = (rows.len() - 1) * pitch + job.walk.grid.width;
        let (depth, steps) = if job.reads_rows() {
            (TILE_DEPTH, rows.len() * pitch / TILE_DEPTH)
        } else {
            let steps = pixels.div_ceil(TILE_DEPTH);
            (pixels.div_ceil(steps).next_multiple_of(2), steps)
        };
        Self { images, rows, pitch, depth, steps }
    }

    /// Pixels of an image that steps read.
    fn pixels(&self) -> usize {
        self.steps * self.depth
    }
}

/// Some chunks by some of the values that a tap reads.
struct Task<'a> {
    job: &'a Job<'a, Bf16>,
    cut: Cut,
    chunks: Range<usize>,
    rows: Range<usize>,
    scratch: &'a mut [Bf16],
    to: Shared<f32>,
}

impl Kernel<Bf16> for Task<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = Bf16>, const R: usize, const V: usize>(self) {
        let Self { job, cut, chunks, rows, scratch, to } = self;
        let first_chunk = chunks.start;
        for number in chunks {
            let chunk = cut.chunk(job, number);
            let (left, right) = (Rows::new(job, &chunk, rows.clone()), Pairs::new(job, &chunk));
            let (left_copy, right_copy) = scratch.split_at_mut(left.len);
            // SAFETY: the walk's input and the gradient are there, and the copies have room. Steps read what was copied. This task
            // alone writes these rows of the taps.
            unsafe {
                left.copy::<S>(job, &chunk, left_copy);
                right.copy::<S>(job, &chunk, right_copy);
                let products =
                    Products { job, left: &left, left_copy, right: &right, right_copy, chunk: &chunk };
                products.add::<S>(to, number == first_chunk);
            }
        }
    }
}

/// The factors of a chunk.
struct Products<'a> {
    job: &'a Job<'a, Bf16>,
    left: &'a Rows,
    left_copy: &'a [Bf16],
    right: &'a Pairs,
    right_copy: &'a [Bf16],
    chunk: &'a Chunk,
}

impl Products<'_> {
    /// Adds the chunk's products to the sums, or where `fresh` is set replaces these.
    ///
    /// # Safety
    /// As [`Simd`]; the copies were made, and the sums of these rows are the caller's.
    #[inline(always)]
    unsafe fn add<S: Simd<Stored = Bf16>>(&self, to: Shared<f32>, fresh: bool) {
        let channels = self.job.channels;
        let steps = self.left.steps(self.job, self.chunk);
        let columns = channels.div_ceil(TILE_COLUMNS);
        let pieces = columns.div_ceil(BLOCK.1);
        let mut sums = Sums::zeroed();
        // SAFETY: the caller's; the copies have all that steps read.
        unsafe {
            let mut tiles = Tiles::new(self.chunk.depth);
            for number in 0..pieces {
                let columns = number * columns / pieces..(number + 1) * columns / pieces;
                for block in self.left.tiles.chunks(BLOCK.0) {
                    let mut rows = [std::ptr::null::<u8>(); BLOCK.0];
                    for (row, tile) in rows.iter_mut().zip(block) {
                        *row = self.left_copy[tile.first..].as_ptr().cast();
                    }
                    let factors = Factors {
                        rows: &rows[..block.len()],
                        row_stride: self.left.stride * size_of::<Bf16>(),
                        steps: &steps,
                        weights: self.right_copy[columns.start * self.right.panel..].as_ptr().cast(),
                        weights_stride: self.right.panel * size_of::<Bf16>(),
                        columns: columns.len(),
                        depth: self.chunk.depth,
                    };
                    tiles.add_products(&factors, 0..steps.len());
                    tiles.store(&factors, &mut sums);
                    for (row, tile) in block.iter().enumerate() {
                        for column in columns.clone() {
                            let sums = &sums.0[(column - columns.start) * block.len() + row];
                            let count = TILE_COLUMNS.min(channels - column * TILE_COLUMNS);
                            for (row, sums) in sums.iter().enumerate().take(tile.count) {
                                let at = to.get().add((tile.row + row) * channels + column * TILE_COLUMNS);
                                let before = if fresh { S::zero() } else { load_up_to(at, count) };
                                store_up_to(before.add(S::load(sums.as_ptr())), at, count);
                            }
                        }
                    }
                }
            }
        }
    }
}
