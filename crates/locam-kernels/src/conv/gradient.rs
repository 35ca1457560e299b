//! The gradients of a convolution: to its input, which is again a convolution, and to its weight.

use super::direct::{self, Source};
use super::tiles::TileGrid;
use super::weight_gradient::{self, Job};
use super::{Algorithm, check_length, check_pairs, check_precision, depthwise, winograd};
use crate::pack::Packed;
use crate::sink::Backward;
use crate::statistics::Statistics;
use crate::walk::Walk;
use crate::{Buffer, ConvParams, Element, Extent, Isa, KernelError};

/// The gradients of a convolution, with weights made ready for them.
#[derive(Debug)]
pub struct ConvGradients<E> {
    isa: Isa,
    params: ConvParams,
    algorithm: Algorithm,
    weights: Weights<E>,
    transposed: Buffer<f32>,
    zeros: Buffer<E>,
}

#[derive(Debug)]
enum Weights<E> {
    /// Nobody asks for the gradient to the input.
    None,
    /// Weights per phase of the stride, row by row.
    Direct(Vec<Packed<E>>),
    Winograd(winograd::Points<E>),
    Depthwise,
}

/// Memory that gradients use on the way; lend the same to every call.
#[derive(Debug)]
pub struct GradientWorkspace<E> {
    pub(crate) input_points: Buffer<E>,
    pub(crate) gradient_points: Buffer<f32>,
    pub(crate) sums: Buffer<f32>,
}

impl<E> Default for GradientWorkspace<E> {
    fn default() -> Self {
        let (gradient_points, sums) = (Buffer::default(), Buffer::default());
        Self { input_points: Buffer::default(), gradient_points, sums }
    }
}

impl<E: Element> GradientWorkspace<E> {
    /// Bytes that are held.
    pub fn bytes(&self) -> usize {
        self.input_points.bytes() + self.gradient_points.bytes() + self.sums.bytes()
    }
}

/// Where the gradient to an input goes, and what is done to it on the way. All tensors are shaped as the input.
#[derive(Debug)]
pub struct InputGradient<'a, E> {
    /// Takes the gradient.
    pub values: &'a mut [E],
    /// What comes before it.
    pub fused: GradientOf<'a, E>,
    /// Filled with two sums per channel, for [`crate::NormGradient`], where `fused` has `normalized`.
    pub sums: &'a mut Statistics,
}

/// What a value was made by, so that its gradient can be carried through.
#[derive(Clone, Copy, Debug)]
pub struct GradientOf<'a, E> {
    /// The value's gradient from elsewhere, which is added.
    pub addend: Option<&'a [E]>,
    /// The value itself where it is a rectifier's output, and the rectifier's ceiling ([`f32::INFINITY`] for `ReLU`).
    pub rectified: Option<(&'a [E], f32)>,
    /// What batch normalisation made the value from, and the mean per channel of that.
    pub normalized: Option<(&'a [E], &'a [f32])>,
}

impl<E> Default for GradientOf<'_, E> {
    fn default() -> Self {
        Self { addend: None, rectified: None, normalized: None }
    }
}

impl<E: Element> GradientOf<'_, E> {
    pub(crate) fn check(&self, values: usize, channels: usize) -> Result<(), KernelError> {
        let lengths = [
            ("the addend", self.addend.map(<[E]>::len), values),
            ("the rectified value", self.rectified.map(|(v, _)| v.len()), values),
            ("the value before normalisation", self.normalized.map(|(v, _)| v.len()), values),
            ("the mean", self.normalized.map(|(_, m)| m.len()), channels),
        ];
        for (what, found, expected) in lengths {
            check_length(what, expected, found.unwrap_or(expected))?;
        }
        Ok(())
    }

    pub(crate) fn sink(&self, output: *mut E, channels: usize) -> Backward<E> {
        let null = std::ptr::null();
        Backward {
            output,
            pitch: channels,
            addend: self.addend.map_or(null, <[E]>::as_ptr),
            rectified: self.rectified.map_or(null, |(v, _)| v.as_ptr()),
            ceiling: self.rectified.map_or(f32::INFINITY, |(_, ceiling)| ceiling),
            normalized_from: self.normalized.map_or(null, |(v, _)| v.as_ptr()),
            mean: self.normalized.map_or(std::ptr::null(), |(_, m)| m.as_ptr()),
            sums: std::ptr::null_mut(),
        }
    }
}

impl<E: Element> InputGradient<'_, E> {
    /// Lets `work` write `values` gradients of `channels` channels, in chunks with a sink each, which `sink_of` gives.
    pub(crate) fn run(
        self,
        values: usize,
        channels: usize,
        chunks: usize,
        work: impl FnOnce(&(dyn Fn(usize) -> Backward<E> + Sync)),
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

impl<E: Element> ConvGradients<E> {
    /// Gradients of a convolution that runs by `algorithm`. One that reads an input with its padding around
    /// it ([`Algorithm::reads_padding`]) reads images, to which nobody asks the gradient.
    ///
    /// # Errors
    /// [`KernelError::Convolution`], or [`KernelError::Precision`] where `E` has no kernels for this instruction set.
    ///
    /// # Panics
    /// If the algorithm is not one for these parameters.
    pub fn new(isa: Isa, params: ConvParams, algorithm: Algorithm) -> Result<Self, KernelError> {
        params.check()?;
        if !algorithm.reads_padding() {
            check_pairs::<E>(params, params.channels_out)?;
        }
        check_precision::<E>(isa)?;
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
        gradient: &[E],
        to: InputGradient<'_, E>,
        workspace: &mut GradientWorkspace<E>,
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
                vec![winograd::Cut::new::<E>(&grid, self.params.channels_out).chunks()]
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
        input: &[E],
        gradient: &[E],
        to: &mut [f32],
        workspace: &mut GradientWorkspace<E>,
    ) -> Result<(), KernelError> {
        let (isa, params) = (self.isa, self.params);
        let out = params.output(extent)?;
        let has_padding = self.algorithm.reads_padding();
        let read = if has_padding { params.padded(extent) } else { extent };
        check_length("the input", self.algorithm.input_len::<E>(read, params.channels_in)?, input.len())?;
        check_length("the gradient", out.values(params.channels_out)?, gradient.len())?;
        check_length("the gradient to the weight", params.weight_len(), to.len())?;
        if gradient.is_empty() {
            // No task would write the sum of no products.
            to.fill(0.0);
            return Ok(());
        }
        let (walk, width) = if has_padding {
            (Walk::over_rows(params, read, out), params.kernel * params.channels_in)
        } else {
            (Walk::forward(params, params.padding, extent, out), params.channels_in)
        };
        let job = Job {
            walk,
            source: Source { values: input.as_ptr(), pitch: params.channels_in, zeros: self.zeros.as_ptr() },
            width,
            gradient,
            channels: params.channels_out,
        };
        // SAFETY: all tensors have the lengths that the shapes ask for.
        unsafe {
            match self.algorithm {
                Algorithm::Depthwise => weight_gradient::depthwise(isa, &job, to, &mut workspace.sums),
                // A sum over all pixels has products enough for blocks that need no points: by Winograd's algorithm few
                // channels become many points to write and read.
                Algorithm::Direct | Algorithm::Rows | Algorithm::PaddedWinograd => {
                    E::weight_gradient(isa, &job, None, to, workspace);
                }
                Algorithm::Winograd => {
                    let winograd = Some((params.form(), params.padding));
                    E::weight_gradient(isa, &job, winograd, to, workspace);
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

#[cfg(test)]
mod tests;
