//! A convolution over images with few channels and the max pooling after it, tile by tile: what the convolution makes is
//! four times what the pooling leaves, and never leaves the second-level cache.

use super::direct::{Source, put_tile};
use super::{Convolution, Weights, check_length, winograd};
use crate::parallel::{Shared, for_each_task, is_on_this_thread, piece, with_scratch};
use crate::pool::{pool_tile, window};
use crate::sink::{Activation, Forward};
use crate::walk::{Tap, Walk};
use crate::{Band, Element, Extent, KernelError, PoolParams};
use std::ops::Range;

/// Rows of pooled pixels that are computed together. Values do not depend on how an image is cut into bands of multiples
/// of them.
pub const POOLED_ROWS: usize = 7;
/// Columns of pooled pixels of a task, counted from the left. The convolution's pixels at tiles' borders are computed in both tiles: 9 % more
/// than once for a window of 3 at stride 2, which then are whole tiles of Winograd's algorithm.
pub const POOLED_COLUMNS: usize = 28;

/// The same where tiles are multiplied ([`crate::amx`]), whose rows they fill: 127 columns of the convolution for a window of 3 at
/// stride 2.
const TILED_COLUMNS: usize = 63;
/// Rows of pooled pixels of a task there, where a thread has the image for itself: what the convolution makes fills half of the
/// second-level cache for an image of 224 pixels, and one of 57 rows is computed twice.
const TILED_ROWS: usize = 4 * POOLED_ROWS;

impl<E: Element> Convolution<E> {
    /// Convolves padded images ([`super::Algorithm::reads_padding`]), adds a bias, rectifies, and pools: all rows, or a
    /// band of pooled rows and the convolution's rows that they need.
    ///
    /// # Errors
    /// As [`Convolution::run`], and those of the pooling.
    ///
    /// # Panics
    /// If the convolution has another algorithm.
    pub fn run_pooled(
        &self,
        extent: Extent,
        input: &[E],
        bias: &[f32],
        activation: Activation,
        (pool, band): (PoolParams, Band),
        output: &mut [E],
    ) -> Result<(), KernelError> {
        assert!(self.algorithm.reads_padding(), "only for convolutions of padded images");
        let (params, channels) = (self.params, self.params.channels_out);
        let conv_out = params.output(extent)?;
        let out = pool.band_output(conv_out, band)?;
        let read = params.padded(extent);
        check_length("the input", self.algorithm.input_len::<E>(read, params.channels_in)?, input.len())?;
        check_length("the bias", channels, bias.len())?;
        check_length("the output", out.values(channels)?, output.len())?;
        let output = Shared::new(output);
        let scratch = match &self.weights {
            Weights::Winograd(points) => winograd::tile_scratch(points),
            _ => (0, 0),
        };
        let columns_each = if self.isa.has_tiles_of::<E>() { TILED_COLUMNS } else { POOLED_COLUMNS };
        let rows_each =
            if self.isa.has_tiles_of::<E>() && is_on_this_thread() { TILED_ROWS } else { POOLED_ROWS };
        let (rows, columns) = (out.height.div_ceil(rows_each), out.width.div_ceil(columns_each));
        for_each_task(out.batch * rows * columns, |task| {
            let (image, tile) = (task / (rows * columns), task % (rows * columns));
            let ys = piece(tile / columns, rows_each, out.height);
            let xs = piece(tile % columns, columns_each, out.width);
            let conv_ys = windows(pool, band.above, &ys, conv_out.height);
            let conv_xs = windows(pool, pool.padding, &xs, conv_out.width);
            let grid = Extent { batch: 1, height: conv_ys.len(), width: conv_xs.len() };
            let values = grid.pixels() * channels;
            with_scratch::<E, _>(values + scratch.0, scratch.1, |between, products| {
                let (between, points) = between.split_at_mut(values);
                let sink = Forward {
                    output: between.as_mut_ptr(),
                    pitch: channels,
                    bias: bias.as_ptr(),
                    residual: std::ptr::null(),
                    residual_pitch: 0,
                    activation,
                    statistics: std::ptr::null_mut(),
                    channels,
                };
                let image_values = &input[image * read.height * read.width * params.channels_in..];
                let part = Part { input: image_values, read, from: (conv_ys.start, conv_xs.start), grid };
                // SAFETY: the grid is a part of the convolution's output, and `between` has room for it.
                unsafe { self.convolve_part(&part, (points, products), sink) };
                let target = (out, image, ys, xs);
                // SAFETY: each task has pooled pixels of its own.
                unsafe {
                    let pooling = (pool, band.above, activation != Activation::None);
                    pool_tile(self.isa, pooling, (conv_ys, conv_xs), between, channels, target, output);
                };
            });
        });
        Ok(())
    }

    /// # Safety
    /// The sink takes the part's pixels, and they lie in the output of the image.
    unsafe fn convolve_part(&self, part: &Part<'_, E>, scratch: (&mut [E], &mut [f32]), sink: Forward<E>) {
        let (params, values) = (self.params, part.input.as_ptr());
        let input = Extent { batch: 1, ..part.read };
        let start = |at: usize| (at * params.stride) as isize;
        let origin = (start(part.from.0), start(part.from.1));
        match &self.weights {
            Weights::Rows(packed) => {
                let tap = |y: usize| Tap { y: origin.0 + y as isize, x: origin.1 };
                let taps = (0..params.kernel).map(tap).collect();
                let over_rows = Walk::over_rows(params, input, part.grid);
                let walk = Walk { taps, ..over_rows };
                let source = Source { values, pitch: params.channels_in, zeros: self.zeros.as_ptr() };
                // SAFETY: the walk reads rows of the window within the padded image.
                unsafe { put_tile(self.isa, &walk, source, packed, params.channels_out, sink) };
            }
            Weights::Winograd(points) => {
                let padding = (-origin.0, -origin.1);
                let image = winograd::Image {
                    values,
                    zeros: self.zeros.as_ptr(),
                    extent: input,
                    channels: params.channels_in,
                    padding,
                };
                // SAFETY: the image has its padding around it, and the caller gave the scratch.
                unsafe { winograd::convolve_tile(self.isa, image, part.grid, points, scratch, sink) };
            }
            Weights::Direct(_) | Weights::Depthwise(_) => unreachable!("they read images without padding"),
        }
    }
}

/// A part of what a convolution makes of an image.
struct Part<'a, E> {
    input: &'a [E],
    /// The padded image.
    read: Extent,
    /// The first row and column.
    from: (usize, usize),
    grid: Extent,
}

/// The part of an axis, with so much padding before it, that the windows at `places` cover.
fn windows(pool: PoolParams, before: usize, places: &Range<usize>, length: usize) -> Range<usize> {
    window(pool, before, places.start, length).start..window(pool, before, places.end - 1, length).end
}
