//! A convolution over images with few channels and the max pooling after it, tile by tile: what the convolution makes is
//! four times what the pooling leaves, and never leaves the second-level cache.

use super::direct::{Source, put_tile};
use super::{Convolution, Weights, check_length};
use crate::parallel::{Shared, for_each_task, piece, with_scratch};
use crate::pool::{pool_tile, window};
use crate::sink::{Activation, Forward};
use crate::walk::{Tap, Walk};
use crate::{Band, Element, Extent, KernelError, PoolParams};
use std::ops::Range;

/// Rows and columns of pooled pixels of a task. The convolution's pixels at tiles' borders are computed in both tiles:
/// 8 % more than once for a window of 3 at stride 2.
const TILE: (usize, usize) = (8, 28);

impl<E: Element> Convolution<E> {
    /// Convolves padded images ([`super::Algorithm::Rows`]), adds a bias, rectifies, and pools: all rows, or a band of
    /// pooled rows and the convolution's rows that they need.
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
        let Weights::Rows(packed) = &self.weights else {
            panic!("only for convolutions that read whole rows")
        };
        let (params, channels) = (self.params, self.params.channels_out);
        let conv_out = params.output(extent)?;
        let out = pool.band_output(conv_out, band)?;
        let read = params.padded(extent);
        check_length("the input", params.input_len(read, &self.weights), input.len())?;
        check_length("the bias", channels, bias.len())?;
        check_length("the output", out.values(channels)?, output.len())?;
        let output = Shared::new(output);
        let (rows, columns) = (out.height.div_ceil(TILE.0), out.width.div_ceil(TILE.1));
        for_each_task(out.batch * rows * columns, |task| {
            let (image, tile) = (task / (rows * columns), task % (rows * columns));
            let (ys, xs) =
                (piece(tile / columns, TILE.0, out.height), piece(tile % columns, TILE.1, out.width));
            let (conv_ys, conv_xs) = (
                windows(pool, band.above, &ys, conv_out.height),
                windows(pool, pool.padding, &xs, conv_out.width),
            );
            let grid = Extent { batch: 1, height: conv_ys.len(), width: conv_xs.len() };
            let start = |at: usize| (at * params.stride) as isize;
            let taps = (0..params.kernel)
                .map(|y| Tap { y: start(conv_ys.start) + y as isize, x: start(conv_xs.start) })
                .collect();
            let input_extent = Extent { batch: 1, ..read };
            let walk =
                Walk { grid, output: grid, input: input_extent, taps, ..Walk::over_rows(params, read, grid) };
            let first = image * read.height * read.width * params.channels_in;
            let source = Source {
                values: input[first..].as_ptr(),
                pitch: params.channels_in,
                zeros: self.zeros.as_ptr(),
            };
            with_scratch::<E, _>(grid.pixels() * channels, 0, |between, _| {
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
                // SAFETY: the walk reads rows of the window within the padded image, and writes `between`.
                unsafe { put_tile(self.isa, &walk, source, packed, channels, sink) };
                let target = (out, image, ys, xs);
                // SAFETY: each task has pooled pixels of its own.
                unsafe {
                    let pooling = (pool, band.above);
                    pool_tile(self.isa, pooling, (conv_ys, conv_xs), between, channels, target, output);
                };
            });
        });
        Ok(())
    }
}

/// The part of an axis, with so much padding before it, that the windows at `places` cover.
fn windows(pool: PoolParams, before: usize, places: &Range<usize>, length: usize) -> Range<usize> {
    window(pool, before, places.start, length).start..window(pool, before, places.end - 1, length).end
}
