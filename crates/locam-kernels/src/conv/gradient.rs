//! The gradients of a convolution: to its input, which is again a convolution, and to its weight.

use super::direct::{self, Source};
use super::tiles::TileGrid;
use super::{Algorithm, check_length, depthwise, weight_gradient, winograd, winograd_gradient};
use crate::pack::Packed;
use crate::sink::Backward;
use crate::statistics::Statistics;
use crate::walk::Walk;
use crate::{Buffer, ConvParams, Extent, Isa, KernelError};

/// The gradients of a convolution in `f32`, with weights made ready for them.
#[derive(Debug)]
pub struct ConvGradients {
    isa: Isa,
    params: ConvParams,
    algorithm: Algorithm,
    weights: Weights,
    transposed: Buffer<f32>,
    zeros: Buffer<f32>,
}

#[derive(Debug)]
enum Weights {
    /// Nobody asks for the gradient to the input.
    None,
    /// Weights per phase of the stride, row by row.
    Direct(Vec<Packed<f32>>),
    Winograd(winograd::Points<f32>),
    Depthwise,
}

/// Memory that gradients use on the way; lend the same to every call.
#[derive(Debug, Default)]
pub struct GradientWorkspace {
    pub(crate) input_points: Buffer<f32>,
    pub(crate) gradient_points: Buffer<f32>,
    pub(crate) sums: Buffer<f32>,
}

impl GradientWorkspace {
    /// Bytes that are held.
    pub fn bytes(&self) -> usize {
        self.input_points.bytes() + self.gradient_points.bytes() + self.sums.bytes()
    }
}

/// Where the gradient to an input goes, and what is done to it on the way. All tensors are shaped as the input.
#[derive(Debug)]
pub struct InputGradient<'a> {
    /// Takes the gradient.
    pub values: &'a mut [f32],
    /// What comes before it.
    pub fused: GradientOf<'a>,
    /// Filled with two sums per channel, for [`crate::NormGradient`], where `fused` has `normalized`.
    pub sums: &'a mut Statistics,
}

/// What a value was made by, so that its gradient can be carried through.
#[derive(Clone, Copy, Debug, Default)]
pub struct GradientOf<'a> {
    /// The value's gradient from elsewhere, which is added.
    pub addend: Option<&'a [f32]>,
    /// The value itself where it is a rectifier's output, and the rectifier's ceiling ([`f32::INFINITY`] for `ReLU`).
    pub rectified: Option<(&'a [f32], f32)>,
    /// What batch normalisation made the value from, and the mean per channel of that.
    pub normalized: Option<(&'a [f32], &'a [f32])>,
}

impl GradientOf<'_> {
    pub(crate) fn check(&self, values: usize, channels: usize) -> Result<(), KernelError> {
        let lengths = [
            ("the addend", self.addend.map(<[f32]>::len), values),
            ("the rectified value", self.rectified.map(|(v, _)| v.len()), values),
            ("the value before normalisation", self.normalized.map(|(v, _)| v.len()), values),
            ("the mean", self.normalized.map(|(_, m)| m.len()), channels),
        ];
        for (what, found, expected) in lengths {
            check_length(what, expected, found.unwrap_or(expected))?;
        }
        Ok(())
    }

    pub(crate) fn sink(&self, output: *mut f32, channels: usize) -> Backward {
        let null = std::ptr::null();
        Backward {
            output,
            pitch: channels,
            addend: self.addend.map_or(null, <[f32]>::as_ptr),
            rectified: self.rectified.map_or(null, |(v, _)| v.as_ptr()),
            ceiling: self.rectified.map_or(f32::INFINITY, |(_, ceiling)| ceiling),
            normalized_from: self.normalized.map_or(null, |(v, _)| v.as_ptr()),
            mean: self.normalized.map_or(null, |(_, m)| m.as_ptr()),
            sums: std::ptr::null_mut(),
        }
    }
}

impl InputGradient<'_> {
    /// Lets `work` write `values` gradients of `channels` channels, in chunks with a sink each, which `sink_of` gives.
    pub(crate) fn run(
        self,
        values: usize,
        channels: usize,
        chunks: usize,
        work: impl FnOnce(&(dyn Fn(usize) -> Backward + Sync)),
    ) -> Result<(), KernelError> {
        check_length("the gradient to the input", values, self.values.len())?;
        self.fused.check(values, channels)?;
        let mut first = self.fused.sink(self.values.as_mut_ptr(), channels);
        if self.fused.normalized.is_some() {
            first.sums = self.sums.begin(channels, chunks);
        }
        work(&|chunk| {
            let mut sink = first;
            if !sink.sums.is_null() {
                // SAFETY: there are two rows of sums for every chunk.
                sink.sums = unsafe { sink.sums.add(chunk * 2 * channels) };
            }
            sink
        });
        if !first.sums.is_null() {
            self.sums.end();
        }
        Ok(())
    }
}

impl ConvGradients {
    /// Gradients of a convolution that runs by `algorithm`. One that reads an input with its padding around
    /// it ([`Algorithm::reads_padding`]) reads images, to which nobody asks the gradient.
    ///
    /// # Errors
    /// [`KernelError::Convolution`].
    ///
    /// # Panics
    /// If the algorithm is not one for these parameters.
    pub fn new(isa: Isa, params: ConvParams, algorithm: Algorithm) -> Result<Self, KernelError> {
        params.check()?;
        algorithm.expect_for(params);
        let weights = match algorithm {
            Algorithm::Rows | Algorithm::PaddedWinograd => Weights::None,
            Algorithm::Winograd if params.stride == 1 => Weights::Winograd(winograd::Points::empty()),
            Algorithm::Direct | Algorithm::Winograd => {
                Weights::Direct((0..params.stride * params.stride).map(|_| Packed::empty()).collect())
            }
            Algorithm::Depthwise => Weights::Depthwise,
        };
        let zeros = Buffer::zeroed(params.channels_out.max(params.kernel * params.channels_in));
        Ok(Self { isa, params, algorithm, weights, transposed: Buffer::default(), zeros })
    }

    /// Makes a weight ready, in the order of [`crate::reorder_weight`].
    ///
    /// # Errors
    /// [`KernelError::Length`].
    pub fn set_weight(&mut self, weight: &[f32]) -> Result<(), KernelError> {
        check_length("the weight", self.params.weight_len(), weight.len())?;
        let ConvParams { channels_in, channels_out, kernel, .. } = self.params;
        let extent = Extent { batch: 0, height: 0, width: 0 };
        match &mut self.weights {
            Weights::None => return Ok(()),
            Weights::Depthwise => self.transposed = Buffer::from_slice(weight),
            Weights::Direct(phases) => {
                transpose(weight, &mut self.transposed, kernel * kernel, channels_in, channels_out);
                for (phase, packed) in phases.iter_mut().enumerate() {
                    let phase = (phase / self.params.stride, phase % self.params.stride);
                    let (_, places) = Walk::backward(self.params, extent, extent, phase);
                    packed.fill(self.isa, &self.transposed, &places, channels_out, channels_in);
                }
            }
            Weights::Winograd(points) => {
                transpose(weight, &mut self.transposed, kernel * kernel, channels_in, channels_out);
                points.fill(self.isa, &self.transposed, (self.params.form(), true), channels_out);
            }
        }
        Ok(())
    }

    /// The gradient to images of `extent` from the gradient to the output.
    ///
    /// # Errors
    /// [`KernelError::WindowTooLarge`], [`KernelError::TooLarge`], [`KernelError::Length`].
    ///
    /// # Panics
    /// If the convolution reads images.
    pub fn to_input(
        &self,
        extent: Extent,
        gradient: &[f32],
        to: InputGradient<'_>,
        workspace: &mut GradientWorkspace,
    ) -> Result<(), KernelError> {
        let params = self.params;
        let out = params.output(extent)?;
        let channels = params.channels_in;
        check_length("the gradient", out.values(params.channels_out)?, gradient.len())?;
        let walks: Vec<_> = (0..params.stride * params.stride)
            .map(|phase| Walk::backward(params, extent, out, (phase / params.stride, phase % params.stride)))
            .collect();
        let chunks = self.chunks(extent, &walks);
        let source =
            Source { values: gradient.as_ptr(), pitch: params.channels_out, zeros: self.zeros.as_ptr() };
        let isa = self.isa;
        to.run(extent.values(channels)?, channels, chunks.iter().sum(), |sink_of| {
            // SAFETY: all tensors have the lengths that the shapes ask for, and the phases together take every pixel.
            unsafe {
                match &self.weights {
                    Weights::None => panic!("nobody asks for the gradient to an image"),
                    Weights::Winograd(points) => {
                        let padding = (params.kernel - 1 - params.padding) as isize;
                        let image = winograd::Image {
                            values: gradient.as_ptr(),
                            zeros: self.zeros.as_ptr(),
                            extent: out,
                            channels: params.channels_out,
                            padding: (padding, padding),
                        };
                        winograd::convolve(isa, image, extent, points, &mut workspace.input_points, sink_of);
                    }
                    Weights::Direct(phases) => {
                        let mut before = 0;
                        for ((packed, (walk, _)), chunks) in phases.iter().zip(&walks).zip(&chunks) {
                            let sink_of = |chunk: usize| sink_of(before + chunk);
                            direct::convolve(isa, walk, source, packed, channels, sink_of);
                            before += chunks;
                        }
                    }
                    Weights::Depthwise => {
                        let mut before = 0;
                        for ((walk, places), chunks) in walks.iter().zip(&chunks) {
                            let rows: Vec<f32> = places
                                .iter()
                                .flat_map(|&place| &self.transposed[place * channels..][..channels])
                                .copied()
                                .collect();
                            let sink_of = |chunk: usize| sink_of(before + chunk);
                            depthwise::convolve(isa, walk, source, &rows, channels, sink_of);
                            before += chunks;
                        }
                    }
                }
            }
        })
    }

    /// Chunks of each phase.
    fn chunks(&self, extent: Extent, walks: &[(Walk, Vec<usize>)]) -> Vec<usize> {
        match &self.weights {
            Weights::Winograd(_) => {
                let grid = TileGrid::new(extent, self.params.form().taps());
                vec![winograd::Cut::new::<f32>(&grid, self.params.channels_out).chunks()]
            }
            Weights::Direct(phases) => walks
                .iter()
                .zip(phases)
                .map(|((walk, _), packed)| direct::Cut::new(self.isa, walk, packed).chunks())
                .collect(),
            Weights::Depthwise | Weights::None => {
                walks.iter().map(|(walk, _)| depthwise::chunks(walk.grid.pixels())).collect()
            }
        }
    }

    /// The gradient to the weight, in the order of [`crate::reorder_weight`], from the input (with its padding around
    /// it where the algorithm reads that) and the gradient to the output.
    ///
    /// # Errors
    /// [`KernelError::WindowTooLarge`], [`KernelError::TooLarge`], [`KernelError::Length`].
    pub fn to_weight(
        &self,
        extent: Extent,
        input: &[f32],
        gradient: &[f32],
        to: &mut [f32],
        workspace: &mut GradientWorkspace,
    ) -> Result<(), KernelError> {
        let (isa, params) = (self.isa, self.params);
        let out = params.output(extent)?;
        let has_padding = self.algorithm.reads_padding();
        let read = if has_padding { params.padded(extent) } else { extent };
        check_length("the input", read.values(params.channels_in)?, input.len())?;
        check_length("the gradient", out.values(params.channels_out)?, gradient.len())?;
        check_length("the gradient to the weight", params.weight_len(), to.len())?;
        if gradient.is_empty() {
            // No task would write the sum of no products.
            to.fill(0.0);
            return Ok(());
        }
        let source = Source { values: input.as_ptr(), pitch: params.channels_in, zeros: self.zeros.as_ptr() };
        let job = |walk, width| weight_gradient::Job {
            walk,
            source,
            width,
            gradient,
            channels: params.channels_out,
        };
        // SAFETY: all tensors have the lengths that the shapes ask for.
        unsafe {
            match self.algorithm {
                Algorithm::Direct => {
                    let job = job(Walk::forward(params, params.padding, extent, out), params.channels_in);
                    weight_gradient::outer_products(isa, &job, to, &mut workspace.sums);
                }
                // A sum over all pixels has products enough for blocks that need no points: by Winograd's algorithm few
                // channels become many points to write and read.
                Algorithm::Rows | Algorithm::PaddedWinograd => {
                    let job = job(Walk::over_rows(params, read, out), params.kernel * params.channels_in);
                    weight_gradient::outer_products(isa, &job, to, &mut workspace.sums);
                }
                Algorithm::Depthwise => {
                    let job = job(Walk::forward(params, params.padding, extent, out), params.channels_in);
                    weight_gradient::depthwise(isa, &job, to, &mut workspace.sums);
                }
                Algorithm::Winograd => {
                    let padding = params.padding as isize;
                    let image = winograd::Image {
                        values: input.as_ptr(),
                        zeros: self.zeros.as_ptr(),
                        extent: read,
                        channels: params.channels_in,
                        padding: (padding, padding),
                    };
                    winograd_gradient::to_weight(isa, (image, params.form()), out, gradient, to, workspace);
                }
            }
        }
        Ok(())
    }
}

/// Turns each of `count` matrices `rows` x `columns` into one of `columns` x `rows`.
fn transpose(matrices: &[f32], into: &mut Buffer<f32>, count: usize, rows: usize, columns: usize) {
    use crate::parallel::{Shared, for_each_task, piece};
    const SIDE: usize = 32;
    into.resize(matrices.len());
    let target = Shared::new(into);
    let strips = rows.div_ceil(SIDE);
    for_each_task(count * strips, |task| {
        let (matrix, strip) = (task / strips * rows * columns, task % strips);
        for column in (0..columns).step_by(SIDE) {
            for c in column..(column + SIDE).min(columns) {
                for r in piece(strip, SIDE, rows) {
                    // SAFETY: each task writes columns of its own of its matrix.
                    unsafe { *target.get().add(matrix + c * rows + r) = matrices[matrix + r * columns + c] };
                }
            }
        }
    });
}
