//! The gradient to a weight as a sum over pixels of outer products of the input and the output's gradient.

mod by_tiles;

use super::direct::Source;
use crate::isa::Kernel;
use crate::multiply::{add_block, outer_product, with_rows, with_vectors};
use crate::parallel::{Shared, for_each_task, piece};
use crate::simd::{Simd, load_up_to, read_up_to, store_up_to};
use crate::walk::Walk;
use crate::{Buffer, Element, Isa};
pub(crate) use by_tiles::by_tiles;
use std::ops::Range;

/// Pixels whose rows are in the second-level cache together.
const CHUNK: usize = 128;
/// Bytes of sums of a task: they share the second-level cache with a chunk of pixels, which all taps of the task read
/// while it is there.
const SUMS_BYTES: usize = 384 << 10;
/// Tasks to aim at; where taps and panels give fewer, pixels are dealt out too.
const LEAST_TASKS: usize = 24;

/// Sums of a task that adds up segments.
const REDUCED: usize = 4096;

/// A convolution whose weight's gradient is wanted.
pub(crate) struct Job<'a, E> {
    pub(crate) walk: Walk,
    pub(crate) source: Source<E>,
    /// Values that a tap reads.
    pub(crate) width: usize,
    pub(crate) gradient: &'a [E],
    /// Channels of the output.
    pub(crate) channels: usize,
}

impl<E> Job<'_, E> {
    /// Whether taps read whole rows of the window.
    fn reads_rows(&self) -> bool {
        self.width != self.source.pitch
    }
}

/// Fills `to` with a matrix of `width` x `channels` per tap.
///
/// # Safety
/// The walk's input has the pixels that it says at the source, and the gradient those of its grid.
pub(crate) unsafe fn outer_products<E: Element>(
    isa: Isa,
    job: &Job<'_, E>,
    to: &mut [f32],
    partial: &mut Buffer<f32>,
) {
    let pixels = job.walk.grid.pixels();
    let panels = job.channels.div_ceil(isa.panel());
    let taps = job.walk.taps.len();
    let most = (SUMS_BYTES / (job.width * isa.panel() * 4)).max(1);
    let groups = taps.div_ceil(most);
    let each = taps.div_ceil(groups);
    let tasks = groups * panels;
    in_segments((pixels, segments(pixels, tasks)), tasks, to, partial, |segment, task, to| {
        let (group, panel) = (task / panels, task % panels);
        E::run(isa, Task { job, taps: piece(group, each, taps), panel, pixels: segment, to });
    });
}

/// Fills `to` with a row of channels per tap.
///
/// # Safety
/// As [`outer_products`].
pub(crate) unsafe fn depthwise<E: Element>(
    isa: Isa,
    job: &Job<'_, E>,
    to: &mut [f32],
    partial: &mut Buffer<f32>,
) {
    let pixels = job.walk.grid.pixels();
    in_segments((pixels, segments(pixels, 1)), 1, to, partial, |segment, _, to| {
        E::run(isa, DepthwiseTask { job, pixels: segment, to });
    });
}

/// Segments of the pixels.
fn segments(pixels: usize, tasks: usize) -> usize {
    LEAST_TASKS.div_ceil(tasks).min(pixels.div_ceil(CHUNK))
}

/// Runs `tasks` tasks for each segment of so many pieces, each segment with sums of its own, and adds these up in order.
fn in_segments(
    (pieces, segments): (usize, usize),
    tasks: usize,
    to: &mut [f32],
    partial: &mut Buffer<f32>,
    run: impl Fn(Range<usize>, usize, Shared<f32>) + Sync + Send,
) {
    let size = pieces.div_ceil(segments.max(1)).max(1);
    let segments = pieces.div_ceil(size);
    let len = to.len();
    if segments <= 1 {
        let to = Shared::new(to);
        for_each_task(tasks, |task| run(0..pieces, task, to));
        return;
    }
    partial.resize(segments * len);
    let sums = Shared::new(partial);
    for_each_task(segments * tasks, |task| {
        let (segment, task) = (task / tasks, task % tasks);
        // SAFETY: each segment has sums of its own.
        let sums = unsafe { Shared::new(sums.slice(segment * len..(segment + 1) * len)) };
        run(piece(segment, size, pieces), task, sums);
    });
    let to = Shared::new(to);
    for_each_task(len.div_ceil(REDUCED), |task| {
        let range = piece(task, REDUCED, len);
        // SAFETY: each task has a range of its own.
        let to = unsafe { to.slice(range.clone()) };
        to.copy_from_slice(&partial[range.clone()]);
        for segment in partial.chunks_exact(len).skip(1) {
            to.iter_mut().zip(&segment[range.clone()]).for_each(|(sum, part)| *sum += part);
        }
    });
}

/// Some taps by a panel of output channels.
struct Task<'a, E> {
    job: &'a Job<'a, E>,
    taps: Range<usize>,
    panel: usize,
    pixels: Range<usize>,
    to: Shared<f32>,
}

impl<E: Element> Kernel<E> for Task<'_, E> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(self) {
        let Job { walk, source, width, gradient, channels } = self.job;
        let first = self.panel * V * S::LANES;
        let columns = (channels - first).min(V * S::LANES);
        let vectors = columns.div_ceil(S::LANES);
        let mut pointers = Vec::with_capacity(CHUNK);
        for start in self.pixels.clone().step_by(CHUNK) {
            let count = CHUNK.min(self.pixels.end - start);
            for tap in self.taps.clone() {
                pointers.clear();
                walk.for_each_input(walk.taps[tap], start, count, |pixel| {
                    // SAFETY: the pixel lies in the input.
                    let there = pixel.map(|pixel| unsafe { source.values.add(pixel * source.pitch) });
                    pointers.push(there.unwrap_or(source.zeros));
                });
                for row in (0..*width).step_by(R) {
                    // SAFETY: each pointer leads to `width` values, each pixel's gradient has `channels`, and this
                    // task alone writes these columns of the tap.
                    unsafe {
                        let left = |i: usize| pointers.get_unchecked(i).add(row);
                        let right = |i: usize| gradient.as_ptr().add((start + i) * channels + first);
                        let sums = self.to.get().add((tap * width + row) * channels + first);
                        let fresh = start == self.pixels.start;
                        if vectors < V && R <= width - row {
                            with_vectors!(vectors, FEW => {
                                let block = outer_product::<S, R, FEW>(count, left, right, columns);
                                add_block(&block, sums, *channels, columns, fresh);
                            });
                        } else {
                            with_rows!(R.min(width - row), USED => {
                                let block = outer_product::<S, USED, V>(count, left, right, columns);
                                add_block(&block, sums, *channels, columns, fresh);
                            });
                        }
                    }
                }
            }
        }
    }
}

/// All taps and channels of some pixels.
struct DepthwiseTask<'a, E> {
    job: &'a Job<'a, E>,
    pixels: Range<usize>,
    to: Shared<f32>,
}

impl<E: Element> Kernel<E> for DepthwiseTask<'_, E> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(self) {
        let Job { walk, source, gradient, channels, .. } = self.job;
        let taps = walk.taps.len();
        // SAFETY: this task has these sums to itself, a row of channels per tap; pixels lie in the input.
        unsafe {
            self.to.slice(0..taps * channels).fill(0.0);
            let mut place = walk.place(self.pixels.start);
            for pixel in self.pixels.clone() {
                for (i, tap) in walk.taps.iter().enumerate() {
                    let Some(input) = walk.input_pixel(place, *tap) else { continue };
                    for channel in (0..*channels).step_by(S::LANES) {
                        let count = S::LANES.min(channels - channel);
                        let value: S = read_up_to(source.values.add(input * source.pitch + channel), count);
                        let gradient = read_up_to(gradient.as_ptr().add(pixel * channels + channel), count);
                        let sum = self.to.get().add(i * channels + channel);
                        store_up_to(value.mul_add(gradient, load_up_to(sum, count)), sum, count);
                    }
                }
                place = walk.next(place);
            }
        }
    }
}
