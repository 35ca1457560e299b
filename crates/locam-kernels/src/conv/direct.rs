//! Convolution as a matrix product whose rows are gathered by pointers: the sums of a few output pixels stay in
//! registers over all taps of the window, and nothing is copied (Dukhan, "The Indirect Convolution Algorithm", 2019,
//! <https://arxiv.org/abs/1907.02129>).

mod by_tiles;
mod cut;
mod planes;
mod tile_rows;

pub(crate) use cut::Cut;

use crate::isa::Kernel;
use crate::multiply::{each_row, product, with_rows, with_vectors};
use crate::pack::Packed;
use crate::parallel::{for_each_task, with_scratch};
use crate::simd::Simd;
use crate::sink::Sink;
use crate::walk::{Place, Walk};
use crate::{Element, Isa};
use by_tiles::ByTiles;
use std::marker::PhantomData;
use std::ops::Range;
use tile_rows::TileRows;

/// The input of a direct convolution.
#[derive(Clone, Copy)]
pub(crate) struct Source<E> {
    /// Channel 0 of pixel 0.
    pub(crate) values: *const E,
    /// Values from one pixel to the next.
    pub(crate) pitch: usize,
    /// At least as many zeros as a tap reads.
    pub(crate) zeros: *const E,
}

// SAFETY: it is only read.
unsafe impl<E: Sync> Send for Source<E> {}
// SAFETY: as above.
unsafe impl<E: Sync> Sync for Source<E> {}

/// Convolves. `sink_of` gives the sink of a chunk of pixels.
///
/// # Safety
/// The walk's input has the pixels that it says at `source`, each tap reads no further than the input's end, and the
/// sinks take every pixel of the walk's output.
pub(crate) unsafe fn convolve<E: Element, K: Sink<E>>(
    isa: Isa,
    walk: &Walk,
    source: Source<E>,
    weights: &Packed<E>,
    channels: usize,
    sink_of: impl Fn(usize) -> K + Sync + Send,
) {
    let cut = Cut::new(isa, walk, weights);
    for_each_task(cut.tasks(), |task| {
        let (chunk, pixels, panels) = cut.task(task);
        let sink = sink_of(chunk);
        Task { walk, source, weights, channels, pixels, panels, sink, stored: PhantomData }.run_on(isa);
    });
}

/// Convolves in one task, for a caller that is one itself.
///
/// # Safety
/// As [`convolve`].
pub(crate) unsafe fn put_tile<E: Element, K: Sink<E>>(
    isa: Isa,
    walk: &Walk,
    source: Source<E>,
    weights: &Packed<E>,
    channels: usize,
    sink: K,
) {
    let (pixels, panels) = (0..walk.grid.pixels(), 0..weights.panels);
    Task { walk, source, weights, channels, pixels, panels, sink, stored: PhantomData }.run_on(isa);
}

/// A chunk of pixels by some panels.
struct Task<'a, E, K> {
    walk: &'a Walk,
    source: Source<E>,
    weights: &'a Packed<E>,
    channels: usize,
    pixels: Range<usize>,
    panels: Range<usize>,
    sink: K,
    stored: PhantomData<E>,
}

impl<E: Element, K: Sink<E>> Task<'_, E, K> {
    fn run_on(self, isa: Isa) {
        if !isa.has_tiles_of::<E>() {
            return E::run(isa, self);
        }
        with_scratch::<E, _>(TileRows::scratch(&self), 0, |scratch, _| {
            E::run(isa, ByTiles { task: self, scratch });
        });
    }
}

impl<E: Element, K: Sink<E>> Kernel<E> for Task<'_, E, K> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(self) {
        let taps = self.walk.taps.len();
        let (pointers, outputs) = self.gather::<R>();
        let mut sink = self.sink;
        for panel in self.panels.clone() {
            let weights = self.weights.panel(panel);
            let channel = panel * V * S::LANES;
            for (group, outputs) in outputs.chunks(R).enumerate() {
                let rows = &pointers[group * taps..][..taps];
                let pitch = V * S::LANES * S::PER_WORD;
                let product = Product { rows, words: self.weights.words, weights, pitch, channel, outputs };
                let vectors = (self.channels - channel).div_ceil(S::LANES);
                // SAFETY: the pointers are those of pixels with as many words as the weights have, or of zeros; the
                // outputs are this task's own.
                unsafe {
                    if vectors < V {
                        with_vectors!(vectors, FEW => product.run::<S, K, R, FEW>(self.channels, &mut sink));
                    } else {
                        with_rows!(outputs.len(), USED => product.run::<S, K, USED, V>(self.channels, &mut sink));
                    }
                }
            }
        }
    }
}

impl<E: Element, K> Task<'_, E, K> {
    /// Per group of `R` pixels and tap the pointers to what the tap reads, and the output pixels. Pointers past the
    /// last pixel lead to zeros.
    #[inline(always)]
    fn gather<const R: usize>(&self) -> (Vec<[*const E; R]>, Vec<usize>) {
        let (walk, taps, count) = (self.walk, &self.walk.taps, self.pixels.len());
        let mut pointers = vec![[self.source.zeros; R]; count.div_ceil(R) * taps.len()];
        let mut outputs = Vec::with_capacity(count);
        let bounds = walk.tap_bounds();
        let step = walk.input_step * self.source.pitch;
        let mut place = walk.place(self.pixels.start);
        while outputs.len() < count {
            let first = outputs.len();
            let run = walk.run_length(place, &bounds).clamp(1, count - first);
            for (number, tap) in taps.iter().enumerate() {
                let Some(pixel) = walk.input_pixel(place, *tap) else { continue };
                let (mut group, mut row) = (first / R * taps.len() + number, first % R);
                for i in 0..run {
                    // SAFETY: the tap lies in the input for each pixel of the run.
                    pointers[group][row] =
                        unsafe { self.source.values.add(pixel * self.source.pitch + i * step) };
                    row += 1;
                    if row == R {
                        (group, row) = (group + taps.len(), 0);
                    }
                }
            }
            let output = walk.output_pixel(place);
            outputs.extend((0..run).map(|i| output + i * walk.output_step));
            place = walk.next(Place { x: place.x + run - 1, ..place });
        }
        (pointers, outputs)
    }
}

/// A few pixels by the first vectors of one panel.
struct Product<'a, E, const R: usize> {
    rows: &'a [[*const E; R]],
    words: usize,
    weights: *const E,
    /// Stored values from one word of the weights to the next.
    pitch: usize,
    channel: usize,
    outputs: &'a [usize],
}

impl<E: Element, const R: usize> Product<'_, E, R> {
    /// # Safety
    /// As [`Simd`]; the pointers lead to as many words as the weights have, and the first `USED` outputs belong to
    /// the caller.
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, K: Sink<E>, const USED: usize, const V: usize>(
        &self,
        channels: usize,
        sink: &mut K,
    ) {
        // SAFETY: the caller's.
        unsafe {
            for &pixel in self.outputs {
                for v in 0..V {
                    sink.prefetch(pixel, self.channel + v * S::LANES);
                }
            }
            let taps = self.rows.iter().map(|pointers| std::array::from_fn(|r| pointers[r.min(R - 1)]));
            let block = product::<S, USED, V>(taps, self.words, (self.weights, self.pitch));
            if self.channel + V * S::LANES <= channels {
                each_row!(USED, row => if let Some(&pixel) = self.outputs.get(row) {
                    sink.put(std::array::from_fn(|v| (pixel, self.channel + v * S::LANES)), S::LANES, block[row]);
                });
                return;
            }
            // A copy, or the block would be written to memory above as well.
            let copy = block;
            for (sums, &pixel) in copy.iter().zip(self.outputs) {
                put_first(sums, pixel, self.channel, channels, sink);
            }
        }
    }
}

/// Hands a pixel's sums of a panel to the sink, as far as there are such channels.
///
/// # Safety
/// As [`Simd`] and [`Sink::put`].
#[inline(always)]
unsafe fn put_first<S: Simd, K: Sink<S::Stored>, const V: usize>(
    sums: &[S; V],
    pixel: usize,
    first_channel: usize,
    channels: usize,
    sink: &mut K,
) {
    for (v, &value) in sums.iter().enumerate() {
        let channel = first_channel + v * S::LANES;
        if channel < channels {
            let count = S::LANES.min(channels - channel);
            // SAFETY: the channels are there.
            unsafe { sink.put([(pixel, channel)], count, [value]) };
        }
    }
}
