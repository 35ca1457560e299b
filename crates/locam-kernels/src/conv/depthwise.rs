//! Each channel convolved by itself: nothing to reuse but the weights and what neighbouring windows share, so memory bounds it.

mod runs;

use crate::isa::Kernel;
use crate::multiply::{with_constant, with_rows};
use crate::parallel::{for_each_task, piece};
use crate::simd::{Simd, load_up_to, read_up_to};
use crate::sink::Sink;
use crate::walk::Walk;
use crate::{Element, Isa};
use runs::{COLUMNS, Reading, Run, Runs};
use std::ops::Range;

use super::direct::Source;

/// Grid pixels of a task.
const TASK_PIXELS: usize = 256;
/// Bytes of three rows of an input that stay in the first-level cache.
const NEAR_BYTES: usize = 24 << 10;
/// Channels, at least, that are taken together where not all of those of three rows stay there.
const LEAST_CHANNELS: usize = 64;

/// Chunks of pixels; each has a sink of its own.
pub(crate) fn chunks(pixels: usize) -> usize {
    pixels.div_ceil(TASK_PIXELS)
}

/// Convolves each channel by itself. `weights` has a row of `channels` values per tap of the walk.
///
/// # Safety
/// The walk's input has the pixels that it says at `source`, and the sinks take every pixel of the walk's output.
pub(crate) unsafe fn convolve<E: Element, K: Sink<E>>(
    isa: Isa,
    walk: &Walk,
    source: Source<E>,
    weights: &[f32],
    channels: usize,
    sink_of: impl Fn(usize) -> K + Sync + Send,
) {
    assert_eq!(weights.len(), walk.taps.len() * channels, "a row per tap");
    let pixels = walk.grid.pixels();
    for_each_task(chunks(pixels), |chunk| {
        let runs = Runs::new(walk, piece(chunk, TASK_PIXELS, pixels), source.pitch, channels);
        E::run(isa, Task { walk, source, weights, channels, runs: &runs, sink: sink_of(chunk) });
    });
}

struct Task<'a, E, K> {
    walk: &'a Walk,
    source: Source<E>,
    weights: &'a [f32],
    channels: usize,
    runs: &'a Runs,
    sink: K,
}

impl<E: Element, K: Sink<E>> Kernel<E> for Task<'_, E, K> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(self) {
        let Task { walk, source, weights, channels, runs, mut sink } = self;
        let together = channels_together::<E>(walk.input.width, channels);
        for first in (0..channels).step_by(together) {
            for run in &runs.all {
                let readings = &runs.readings[run.readings.clone()];
                let channels = first..channels.min(first + together);
                let put = Put { walk, source, weights, pitch: self.channels, run, readings, channels };
                // SAFETY: the readings lie in the input for each pixel of the run, which is this task's own.
                unsafe {
                    match (runs.by_rows, walk.input_step) {
                        (true, 1) => put.by_rows::<S, K, 1>(&mut sink),
                        (true, _) => put.by_rows::<S, K, 2>(&mut sink),
                        (false, _) => put.by_taps::<S, K>(&mut sink),
                    }
                }
            }
        }
    }
}

/// Channels that are taken together, so that what a row of outputs reads is still in the first-level cache for the next. Where that
/// is but a few, memory is read in too small pieces, and all are taken.
fn channels_together<E>(width: usize, channels: usize) -> usize {
    let near = NEAR_BYTES / (3 * width.max(1) * size_of::<E>());
    if near < LEAST_CHANNELS { channels.max(1) } else { near / LEAST_CHANNELS * LEAST_CHANNELS }
}

/// Convolves some channels of a run.
struct Put<'a, E> {
    walk: &'a Walk,
    source: Source<E>,
    weights: &'a [f32],
    /// Values of a row of the weights.
    pitch: usize,
    run: &'a Run,
    readings: &'a [Reading],
    channels: Range<usize>,
}

impl<E: Element> Put<'_, E> {
    /// # Safety
    /// As [`Simd`]; the readings lie in the input for the run's pixels, which are in the output.
    #[inline(always)]
    unsafe fn by_rows<S: Simd<Stored = E>, K: Sink<E>, const STEP: usize>(&self, sink: &mut K) {
        // SAFETY: the caller's.
        unsafe {
            with_constant!(self.run.count, COUNT => self.put::<S, K, COUNT, STEP>(sink), 1 2 3 4 5 6 7 else 8);
        }
    }

    /// # Safety
    /// As [`Put::by_rows`].
    #[inline(always)]
    unsafe fn by_taps<S: Simd<Stored = E>, K: Sink<E>>(&self, sink: &mut K) {
        // SAFETY: the caller's.
        unsafe { with_rows!(self.run.count, COUNT => self.put::<S, K, COUNT, 0>(sink)) };
    }

    /// # Safety
    /// As [`Put::by_rows`]; the run has `COUNT` pixels. `STEP` is that of the walk where windows are read by rows, and 0 elsewhere.
    #[inline(always)]
    unsafe fn put<S: Simd<Stored = E>, K: Sink<E>, const COUNT: usize, const STEP: usize>(
        &self,
        sink: &mut K,
    ) {
        let Range { start, end } = self.channels;
        let whole = start + self.channels.len() / S::LANES * S::LANES;
        for channel in (start..whole).step_by(S::LANES) {
            // SAFETY: the caller's; there are so many channels.
            unsafe { self.put_channels::<S, K, COUNT, STEP>(channel, S::LANES, sink) };
        }
        if whole < end {
            // SAFETY: as above.
            unsafe { self.put_channels::<S, K, COUNT, STEP>(whole, end - whole, sink) };
        }
    }

    /// # Safety
    /// As [`Put::put`]; there are `count` channels from `channel` on.
    #[inline(always)]
    unsafe fn put_channels<S: Simd<Stored = E>, K: Sink<E>, const COUNT: usize, const STEP: usize>(
        &self,
        channel: usize,
        count: usize,
        sink: &mut K,
    ) {
        // SAFETY: the caller vouches for pixels and channels, and the weights have a row per tap.
        unsafe {
            let mut sums = [S::zero(); COUNT];
            for &(offset, row) in self.readings {
                let weights = self.weights.as_ptr().add(row + channel);
                // The first column may lie beyond the input, where nothing is read.
                let from = self.source.values.wrapping_offset(self.run.origin + offset + channel as isize);
                if STEP > 0 {
                    self.add_row::<S, COUNT, STEP>(from, weights, count, &mut sums);
                } else {
                    let (weight, step) =
                        (load_up_to(weights, count), self.walk.input_step * self.source.pitch);
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = read_up_to::<S>(from.add(i * step), count).mul_add(weight, *sum);
                    }
                }
            }
            let at = std::array::from_fn(|i| (self.run.output + i * self.walk.output_step, channel));
            sink.put(at, count, sums);
        }
    }

    /// Adds what a row of each pixel's window gives; a value that several windows share is read once. Columns beyond the input are
    /// zeros.
    ///
    /// # Safety
    /// As [`Put::put_channels`]; the row begins at `from`, and its weights at `weights`.
    #[inline(always)]
    unsafe fn add_row<S: Simd<Stored = E>, const COUNT: usize, const STEP: usize>(
        &self,
        from: *const E,
        weights: *const f32,
        count: usize,
        sums: &mut [S; COUNT],
    ) {
        let [left, right] = self.run.beyond;
        let last = (COUNT - 1) * STEP + COLUMNS - 1;
        // SAFETY: the caller's.
        unsafe {
            let mut across = [S::zero(); COLUMNS];
            for (tap, weight) in across.iter_mut().enumerate() {
                *weight = load_up_to(weights.add(tap * self.pitch), count);
            }
            let mut window = [S::zero(); COLUMNS];
            for (i, sum) in sums.iter_mut().enumerate() {
                for tap in 0..COLUMNS {
                    if i > 0 && tap + STEP < COLUMNS {
                        window[tap] = window[tap + STEP];
                        continue;
                    }
                    let column = i * STEP + tap;
                    let is_beyond = column == 0 && left || column == last && right;
                    let value = from.wrapping_add(column * self.source.pitch);
                    window[tap] = read_up_to(if is_beyond { self.source.zeros } else { value }, count);
                }
                for (value, weight) in window.into_iter().zip(across) {
                    *sum = value.mul_add(weight, *sum);
                }
            }
        }
    }
}
