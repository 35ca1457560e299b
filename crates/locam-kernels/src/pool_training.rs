//! Max pooling that notes which place of each window won, and its gradient, which goes there.

use crate::conv::{InputGradient, check_length};
use crate::isa::Kernel;
use crate::parallel::{Shared, for_each_task};
use crate::pool::window;
use crate::simd::{Simd, read_up_to, write_up_to};
use crate::sink::{Backward, Sink};
use crate::{Element, Extent, Isa, KernelError, PoolParams};
use std::ops::RangeInclusive;

/// Windows up to which every place has a number of its own in what is stored: bfloat16 tells whole numbers apart up to 256.
fn largest_kernel<E: Element>() -> usize {
    if size_of::<E>() == 2 { 16 } else { 255 }
}

/// Max pooling that notes, per value of the output, which place of its window (counted row by row) won: the first of
/// the largest. The numbers are stored like values, which vectors compare like everything else here.
///
/// # Errors
/// As [`crate::max_pool`]; windows may be at most 255 pixels wide, in bfloat16 at most 16.
pub fn max_pool_with_places<E: Element>(
    isa: Isa,
    params: PoolParams,
    extent: Extent,
    channels: usize,
    input: &[E],
    output: &mut [E],
    places: &mut [E],
) -> Result<(), KernelError> {
    let out = output_of::<E>(params, extent)?;
    check_length("the input", extent.values(channels)?, input.len())?;
    check_length("the output", out.values(channels)?, output.len())?;
    check_length("the places", output.len(), places.len())?;
    let (output, places) = (Shared::new(output), Shared::new(places));
    for_each_task(out.batch * out.height, |row| {
        E::run(isa, ForwardRow { params, extent, out, channels, input, row, output, places });
    });
    Ok(())
}

fn output_of<E: Element>(params: PoolParams, extent: Extent) -> Result<Extent, KernelError> {
    if params.kernel > largest_kernel::<E>() {
        return Err(KernelError::Pooling {
            params,
            reason: "with places the window may be at most 255 pixels wide, in bfloat16 at most 16",
        });
    }
    params.output(extent)
}

/// A row of the output.
struct ForwardRow<'a, E> {
    params: PoolParams,
    extent: Extent,
    out: Extent,
    channels: usize,
    input: &'a [E],
    row: usize,
    output: Shared<E>,
    places: Shared<E>,
}

impl<E: Element> Kernel<E> for ForwardRow<'_, E> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(self) {
        let Self { params, extent, out, channels, .. } = self;
        let (image, y) = (self.row / out.height, self.row % out.height);
        let corner = image * extent.height * extent.width;
        let rows = window(params, params.padding, y, extent.height);
        let number = |at: usize, out: usize| at + params.padding - out * params.stride;
        for x in 0..out.width {
            let columns = window(params, params.padding, x, extent.width);
            let pixels = rows.clone().flat_map(|wy| columns.clone().map(move |wx| (wy, wx)));
            for channel in (0..channels).step_by(S::LANES) {
                let count = S::LANES.min(channels - channel);
                // SAFETY: windows lie in the image, and this task alone writes this row.
                unsafe {
                    let mut largest = S::splat(f32::NEG_INFINITY);
                    let mut winner = S::zero();
                    for (i, (wy, wx)) in pixels.clone().enumerate() {
                        let place = S::splat((number(wy, y) * params.kernel + number(wx, x)) as f32);
                        let at = (corner + wy * extent.width + wx) * channels + channel;
                        let value: S = read_up_to(self.input.as_ptr().add(at), count);
                        // Places come in rising order, so the later of two winners is the one with the larger number.
                        let wins = value.sub(largest).where_positive(place);
                        winner = if i == 0 { place } else { winner.max(wins) };
                        largest = largest.max(value);
                    }
                    let at = (self.row * out.width + x) * channels + channel;
                    write_up_to(largest, self.output.get().add(at), count);
                    write_up_to(winner, self.places.get().add(at), count);
                }
            }
        }
    }
}

/// The gradient of max pooling to its input: each value of the output's gradient goes to the place that won.
///
/// # Errors
/// As [`max_pool_with_places`].
pub fn max_pool_gradient<E: Element>(
    isa: Isa,
    params: PoolParams,
    (extent, channels): (Extent, usize),
    gradient: &[E],
    places: &[E],
    to: InputGradient<'_, E>,
) -> Result<(), KernelError> {
    let out = output_of::<E>(params, extent)?;
    check_length("the gradient", out.values(channels)?, gradient.len())?;
    check_length("the places", gradient.len(), places.len())?;
    let rows = extent.batch * extent.height;
    to.run(extent.values(channels)?, channels, rows, |sink_of| {
        for_each_task(rows, |row| {
            let sink = sink_of(row);
            E::run(isa, BackwardRow { params, extent, out, channels, gradient, places, row, sink });
        });
    })
}

/// A row of the input, gathered from the windows that meet it: no two tasks write the same value, and sums have one
/// order.
struct BackwardRow<'a, E> {
    params: PoolParams,
    extent: Extent,
    out: Extent,
    channels: usize,
    gradient: &'a [E],
    places: &'a [E],
    row: usize,
    sink: Backward<E>,
}

impl<E> BackwardRow<'_, E> {
    /// The windows along an axis that meet a place of the input.
    fn windows(&self, at: usize, length: usize) -> RangeInclusive<usize> {
        let PoolParams { kernel, stride, padding, .. } = self.params;
        (at + padding + 1).saturating_sub(kernel).div_ceil(stride)..=((at + padding) / stride).min(length - 1)
    }
}

impl<E: Element> Kernel<E> for BackwardRow<'_, E> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(mut self) {
        let (extent, out, channels) = (self.extent, self.out, self.channels);
        let PoolParams { kernel, stride, padding, .. } = self.params;
        let (image, y) = (self.row / extent.height, self.row % extent.height);
        let rows = self.windows(y, out.height);
        for x in 0..extent.width {
            let columns = self.windows(x, out.width);
            let windows = rows.clone().flat_map(|wy| columns.clone().map(move |wx| (wy, wx)));
            for channel in (0..channels).step_by(S::LANES) {
                let count = S::LANES.min(channels - channel);
                // SAFETY: the windows are there, and this task alone writes this row.
                unsafe {
                    let mut sum = S::zero();
                    for (wy, wx) in windows.clone() {
                        let number = (y + padding - wy * stride) * kernel + x + padding - wx * stride;
                        let at = ((image * out.height + wy) * out.width + wx) * channels + channel;
                        let gradient: S = read_up_to(self.gradient.as_ptr().add(at), count);
                        let place: S = read_up_to(self.places.as_ptr().add(at), count);
                        let distance = place.sub(S::splat(number as f32));
                        let here = S::splat(0.5).sub(distance.mul(distance));
                        sum = sum.add(here.where_positive(gradient));
                    }
                    self.sink.put([(self.row * extent.width + x, channel)], count, [sum]);
                }
            }
        }
    }
}
