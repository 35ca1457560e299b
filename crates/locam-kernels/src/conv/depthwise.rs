//! Each channel convolved by itself: nothing to reuse but the weights, so memory bounds it.

use crate::isa::Kernel;
use crate::multiply::with_rows;
use crate::parallel::{for_each_task, piece};
use crate::simd::{Simd, load_up_to, read_up_to};
use crate::sink::Sink;
use crate::walk::{Place, Walk};
use crate::{Element, Isa};
use std::ops::Range;

use super::direct::Source;

/// Grid pixels of a task.
const TASK_PIXELS: usize = 256;

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
        let pixels = piece(chunk, TASK_PIXELS, pixels);
        E::run(isa, Task { walk, source, weights, channels, pixels, sink: sink_of(chunk) });
    });
}

struct Task<'a, E, K> {
    walk: &'a Walk,
    source: Source<E>,
    weights: &'a [f32],
    channels: usize,
    pixels: Range<usize>,
    sink: K,
}

/// Pixels of a row whose sums are kept in registers together: each weight is read once for all of them.
const RUN: usize = 6;

/// What a tap reads, in values from its window's origin, and its row of the weights, in values from the first.
type Reading = (isize, usize);

impl<E: Element, K: Sink<E>> Kernel<E> for Task<'_, E, K> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(self) {
        let (walk, bounds) = (self.walk, self.walk.tap_bounds());
        let offsets = walk.tap_offsets();
        let mut sink = self.sink;
        let mut place = walk.place(self.pixels.start);
        let mut left = self.pixels.len();
        let mut taps: Vec<Reading> = Vec::with_capacity(walk.taps.len());
        while left > 0 {
            let count = walk.run_length(place, &bounds).clamp(1, left.min(RUN));
            taps.clear();
            for (number, (tap, &offset)) in walk.taps.iter().zip(&offsets).enumerate() {
                if walk.input_pixel(place, *tap).is_some() {
                    taps.push((offset * self.source.pitch as isize, number * self.channels));
                }
            }
            let run = Run {
                task: &self,
                taps: &taps,
                origin: walk.origin(place) * self.source.pitch as isize,
                output: walk.output_pixel(place),
            };
            // SAFETY: the taps lie in the input for each pixel of the run, which is this task's own.
            unsafe { with_rows!(count, COUNT => run.put::<S, COUNT>(&mut sink)) };
            left -= count;
            place = walk.next(Place { x: place.x + count - 1, ..place });
        }
    }
}

/// Some neighbouring pixels of a row for which the same taps lie in the input.
struct Run<'a, E, K> {
    task: &'a Task<'a, E, K>,
    taps: &'a [Reading],
    /// Values from the input's first one to the window's origin.
    origin: isize,
    output: usize,
}

impl<E: Element, K: Sink<E>> Run<'_, E, K> {
    /// # Safety
    /// As [`Simd`]; the taps lie in the input for `COUNT` pixels, which are in the output.
    #[inline(always)]
    unsafe fn put<S: Simd<Stored = E>, const COUNT: usize>(&self, sink: &mut K) {
        let channels = self.task.channels;
        let whole = channels / S::LANES * S::LANES;
        for channel in (0..whole).step_by(S::LANES) {
            // SAFETY: the caller's; there are so many channels.
            unsafe { self.put_channels::<S, COUNT>(channel, S::LANES, sink) };
        }
        if whole < channels {
            // SAFETY: as above.
            unsafe { self.put_channels::<S, COUNT>(whole, channels - whole, sink) };
        }
    }

    /// # Safety
    /// As [`Run::put`]; there are `count` channels from `channel` on.
    #[inline(always)]
    unsafe fn put_channels<S: Simd<Stored = E>, const COUNT: usize>(
        &self,
        channel: usize,
        count: usize,
        sink: &mut K,
    ) {
        let Task { walk, source, weights, .. } = self.task;
        let step = walk.input_step * source.pitch;
        // SAFETY: the caller vouches for pixels and channels, and the weights have a row per tap.
        unsafe {
            let mut sums = [S::zero(); COUNT];
            let (weights, origin) = (weights.as_ptr().add(channel), self.origin + channel as isize);
            for &(offset, row) in self.taps {
                let weight = load_up_to(weights.add(row), count);
                let from = source.values.offset(origin + offset);
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = read_up_to::<S>(from.add(i * step), count).mul_add(weight, *sum);
                }
            }
            let at = std::array::from_fn(|i| (self.output + i * walk.output_step, channel));
            sink.put(at, count, sums);
        }
    }
}
