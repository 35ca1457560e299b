//! Each channel convolved by itself: nothing to reuse but the weights, so memory bounds it.

use crate::isa::Kernel;
use crate::parallel::{for_each_task, piece};
use crate::simd::{Simd, load_up_to, read_up_to};
use crate::sink::Sink;
use crate::walk::Walk;
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

impl<E: Element, K: Sink<E>> Kernel<E> for Task<'_, E, K> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(self) {
        let mut sink = self.sink;
        let mut place = self.walk.place(self.pixels.start);
        let mut taps = Vec::with_capacity(self.walk.taps.len());
        for _ in self.pixels.clone() {
            taps.clear();
            for (i, tap) in self.walk.taps.iter().enumerate() {
                if let Some(pixel) = self.walk.input_pixel(place, *tap) {
                    taps.push((pixel * self.source.pitch, i * self.channels));
                }
            }
            let output = self.walk.output_pixel(place);
            for channel in (0..self.channels).step_by(S::LANES) {
                let count = S::LANES.min(self.channels - channel);
                // SAFETY: the pixels lie in the input, and the weights have a row per tap.
                unsafe {
                    let mut sum = S::zero();
                    for &(pixel, weight) in &taps {
                        let value: S = read_up_to(self.source.values.add(pixel + channel), count);
                        let weight = load_up_to(self.weights.as_ptr().add(weight + channel), count);
                        sum = value.mul_add(weight, sum);
                    }
                    sink.put(output, channel, count, sum);
                }
            }
            place = self.walk.next(place);
        }
    }
}
