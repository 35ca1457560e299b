//! Convolution forward: weights made ready once, run on any image.

mod depthwise;
pub(crate) mod direct;
mod gradient;
mod naive;
mod pooled;
pub(crate) mod tiles;
pub(crate) mod transforms;
pub(crate) mod weight_gradient;
pub(crate) mod winograd;
pub(crate) mod winograd_gradient;

pub use gradient::{ConvGradients, GradientOf, GradientWorkspace, InputGradient};
pub use naive::{naive_convolution, naive_convolution_gradients};
pub use pooled::{POOLED_COLUMNS, POOLED_ROWS};

use crate::pack::Packed;
use crate::sink::{Activation, Forward};
use crate::statistics::Statistics;
use crate::walk::Walk;
use crate::{Band, Buffer, ConvParams, Element, Extent, Isa, KernelError, for_each_chunk};
use direct::Source;
use tiles::{Form, TileGrid};

/// A convolution with its weights in the order in which the instruction set reads them.
#[derive(Debug)]
pub struct Convolution<E> {
    isa: Isa,
    params: ConvParams,
    algorithm: Algorithm,
    weights: Weights<E>,
    zeros: Buffer<E>,
}

#[derive(Debug)]
enum Weights<E> {
    Direct(Packed<E>),
    Rows(Packed<E>),
    Winograd(winograd::Points<E>),
    Depthwise(Buffer<f32>),
}

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// A matrix product with gathered rows.
    Direct,
    /// The same over whole rows of the window, for few input channels: the input has its padding around it
    /// ([`ConvParams::padded`]).
    Rows,
    /// Winograd's, for windows that are 3 or 4 pixels wide when a stride of 2 is counted as 1: 3x3, and 7x7 at stride 2.
    Winograd,
    /// The same on an input that has its padding around it.
    PaddedWinograd,
    /// Each channel by itself.
    Depthwise,
}

impl Algorithm {
    /// The fastest for a convolution whose input has no padding around it, stored as `E`. At a stride of two Winograd's
    /// algorithm saves but a third of a 3x3 window's products, and its transforms cost as much or more. It loses digits:
    /// in bfloat16, which has few, it is kept for where it saves most. Products of tiles take a fraction of what its
    /// transforms do.
    pub fn best<E: Element>(isa: Isa, params: ConvParams) -> Self {
        let channels = params.channels_in.min(params.channels_out);
        let least = if size_of::<E>() == 4 { 16 } else { 128 };
        let saves = channels >= least && !isa.has_tiles_of::<E>();
        if params.is_depthwise() {
            Self::Depthwise
        } else if params.kernel == 3 && params.stride == 1 && saves {
            Self::Winograd
        } else {
            Self::Direct
        }
    }

    /// The fastest for a convolution whose input has its padding around it, stored as `E`.
    pub fn best_padded<E: Element>(params: ConvParams) -> Self {
        // With fewer products to save than that, or products at twice the speed, the transforms cost more.
        let saves = params.kernel == 7 && params.stride == 2 && size_of::<E>() == 4;
        if saves { Self::PaddedWinograd } else { Self::Rows }
    }

    /// Whether the input has its padding around it.
    pub fn reads_padding(self) -> bool {
        matches!(self, Self::Rows | Self::PaddedWinograd)
    }

    /// Values that the input has; one more where pairs of values are read.
    fn input_len<E: Element>(self, read: Extent, channels: usize) -> Result<usize, KernelError> {
        let pairs = self == Self::Rows && size_of::<E>() == 2;
        Ok(read.values(channels)? + usize::from(pairs))
    }

    /// The kernels rely on it that shapes and algorithm fit: neither forward nor backward checks them again.
    fn expect_for(self, params: ConvParams) {
        let depthwise = self == Self::Depthwise;
        assert_eq!(depthwise, params.is_depthwise(), "depthwise convolutions have an algorithm of their own");
        let is_winograd = matches!(self, Self::Winograd | Self::PaddedWinograd);
        assert!(!is_winograd || params.form().is_possible(), "Winograd's algorithm does not take {params:?}");
    }
}

/// Where a convolution's output goes, and what is done to it on the way.
#[derive(Debug)]
pub struct Output<'a, E> {
    /// Channels-last, `pitch` values per pixel.
    pub values: &'a mut [E],
    /// Values from one pixel to the next; at least `offset` plus the output channels.
    pub pitch: usize,
    /// The first channel written.
    pub offset: usize,
    /// Added per channel.
    pub bias: Option<&'a [f32]>,
    /// Added per value; shaped as the output, without gaps.
    pub residual: Option<&'a [E]>,
    /// Applied last.
    pub activation: Activation,
    /// Filled with the sums and sums of squares of what is written.
    pub statistics: Option<&'a mut Statistics>,
}

impl<'a, E> Output<'a, E> {
    /// Plain output of so many channels.
    pub fn plain(values: &'a mut [E], channels: usize) -> Self {
        Self {
            values,
            pitch: channels,
            offset: 0,
            bias: None,
            residual: None,
            activation: Activation::None,
            statistics: None,
        }
    }
}

impl<E: Element> Convolution<E> {
    /// Makes weights ready: `weight` has a matrix of input channels per group x output channels, row-major, for each
    /// place of the window, row by row ([`reorder_weight`] makes it from the usual order).
    ///
    /// # Errors
    /// [`KernelError::Convolution`], [`KernelError::Length`], or [`KernelError::Precision`] where `E` has no kernels
    /// for this instruction set.
    ///
    /// # Panics
    /// If the algorithm is not one for these parameters.
    pub fn new(
        isa: Isa,
        params: ConvParams,
        algorithm: Algorithm,
        weight: &[f32],
    ) -> Result<Self, KernelError> {
        params.check()?;
        if algorithm != Algorithm::Rows {
            check_pairs::<E>(params, params.channels_in)?;
        }
        check_precision::<E>(isa)?;
        algorithm.expect_for(params);
        let weights = match algorithm {
            Algorithm::Direct => Weights::Direct(Packed::empty()),
            Algorithm::Rows => Weights::Rows(Packed::empty()),
            Algorithm::Winograd | Algorithm::PaddedWinograd => Weights::Winograd(winograd::Points::empty()),
            Algorithm::Depthwise => Weights::Depthwise(Buffer::zeroed(0)),
        };
        let tap = params.kernel.max(params.stride) * params.channels_in;
        let mut convolution = Self { isa, params, algorithm, weights, zeros: Buffer::zeroed(tap + 1) };
        convolution.set_weight(weight)?;
        Ok(convolution)
    }

    /// Other weights, in the memory that is there.
    ///
    /// # Errors
    /// [`KernelError::Length`].
    pub fn set_weight(&mut self, weight: &[f32]) -> Result<(), KernelError> {
        let ConvParams { channels_in, channels_out, kernel, .. } = self.params;
        check_length("the weight", self.params.weight_len(), weight.len())?;
        let isa = self.isa;
        match &mut self.weights {
            Weights::Direct(packed) => {
                let places: Vec<usize> = (0..kernel * kernel).collect();
                packed.fill(isa, weight, &places, channels_in, channels_out);
            }
            Weights::Rows(packed) => {
                // The matrices of a row of the window follow each other: one of kernel * channels rows.
                let places: Vec<usize> = (0..kernel).collect();
                packed.fill(isa, weight, &places, kernel * channels_in, channels_out);
            }
            Weights::Winograd(points) => {
                points.fill(isa, weight, (self.params.form(), false), channels_in);
            }
            Weights::Depthwise(rows) => *rows = Buffer::from_slice(weight),
        }
        Ok(())
    }

    /// The parameters.
    pub fn params(&self) -> ConvParams {
        self.params
    }

    /// Bytes that the weights take.
    pub fn bytes(&self) -> usize {
        match &self.weights {
            Weights::Direct(packed) | Weights::Rows(packed) => packed.bytes(),
            Weights::Winograd(points) => points.bytes(),
            Weights::Depthwise(rows) => rows.bytes(),
        }
    }

    /// Rows of the tiles in which values are computed together: see [`Convolution::run_band`].
    pub fn tile_rows(&self) -> usize {
        match &self.weights {
            Weights::Winograd(_) => tiles::sizes(self.params.form().taps()).0,
            Weights::Direct(_) | Weights::Rows(_) | Weights::Depthwise(_) => 1,
        }
    }

    /// Convolves images. `extent` is that of the images, without padding around them.
    ///
    /// `workspace` is memory that is used on the way; lend the same to every call.
    ///
    /// # Errors
    /// [`KernelError::WindowTooLarge`], [`KernelError::TooLarge`], [`KernelError::Length`].
    pub fn run(
        &self,
        extent: Extent,
        input: &[E],
        output: Output<'_, E>,
        workspace: &mut Buffer<E>,
    ) -> Result<(), KernelError> {
        let band = Band { above: self.params.padding, rows: self.params.output(extent)?.height };
        self.run_band(extent, band, input, output, workspace)
    }

    /// Convolves what a band of rows needs, as [`Convolution::run`] does for whole images; `extent` counts the input
    /// rows that are there.
    ///
    /// Values are the same as those of the whole, bit by bit, if each band but the last has a multiple of
    /// [`Convolution::tile_rows`] and the last one at least three times one row less, or all.
    ///
    /// # Errors
    /// As [`Convolution::run`], also where a window of the band reaches beyond rows and padding.
    ///
    /// # Panics
    /// If the input has its padding around it already ([`Algorithm::reads_padding`]) and the band is not all of it.
    pub fn run_band(
        &self,
        extent: Extent,
        band: Band,
        input: &[E],
        output: Output<'_, E>,
        workspace: &mut Buffer<E>,
    ) -> Result<(), KernelError> {
        let params = self.params;
        let out = params.band_output(extent, band)?;
        let has_padding = self.algorithm.reads_padding();
        let is_whole = || band.above == params.padding && params.output(extent) == Ok(out);
        assert!(!has_padding || is_whole(), "the padding is in the input");
        let read = if has_padding { params.padded(extent) } else { extent };
        check_length("the input", self.algorithm.input_len::<E>(read, params.channels_in)?, input.len())?;
        let walk = if has_padding {
            Walk::over_rows(params, read, out)
        } else {
            Walk::forward(params, band.above, extent, out)
        };
        let sinks = self.sinks(&walk, out, output)?;
        let source = Source { values: input.as_ptr(), pitch: params.channels_in, zeros: self.zeros.as_ptr() };
        let (isa, channels) = (self.isa, params.channels_out);
        // SAFETY: input and output have the lengths that the shapes ask for, and a tap reads one pixel, of which there
        // are `channels_in` values, or one row of the window in an input with its padding and some values more.
        unsafe {
            match &self.weights {
                Weights::Direct(packed) | Weights::Rows(packed) => {
                    direct::convolve(isa, &walk, source, packed, channels, |chunk| sinks.of(chunk));
                }
                Weights::Winograd(points) => {
                    let image = winograd::Image {
                        values: input.as_ptr(),
                        zeros: self.zeros.as_ptr(),
                        extent: read,
                        channels: params.channels_in,
                        padding: if has_padding {
                            (0, 0)
                        } else {
                            (band.above as isize, params.padding as isize)
                        },
                    };
                    winograd::convolve(isa, image, out, points, workspace, |chunk| sinks.of(chunk));
                }
                Weights::Depthwise(rows) => {
                    depthwise::convolve(isa, &walk, source, rows, channels, |chunk| sinks.of(chunk));
                }
            }
        }
        sinks.finish();
        Ok(())
    }

    fn sinks<'a>(
        &self,
        walk: &Walk,
        out: Extent,
        output: Output<'a, E>,
    ) -> Result<Sinks<'a, E>, KernelError> {
        let channels = self.params.channels_out;
        let (offset, pitch) = (output.offset, output.pitch);
        let fits = pitch.checked_sub(offset).is_some_and(|left| channels <= left);
        assert!(fits, "{channels} channels behind the first {offset} of a pixel with {pitch}");
        let needed = out.values(pitch)?;
        check_length("the output", needed, output.values.len())?;
        if let Some(bias) = output.bias {
            check_length("the bias", channels, bias.len())?;
        }
        if let Some(residual) = output.residual {
            check_length("the residual", out.values(channels)?, residual.len())?;
        }
        let chunks = match &self.weights {
            Weights::Direct(packed) | Weights::Rows(packed) => {
                direct::Cut::new(self.isa, walk, packed).chunks()
            }
            Weights::Winograd(_) => {
                let form = self.params.form();
                let grid = TileGrid::new(out, form.taps());
                winograd::Cut::new::<E>(&grid, form.rows(self.params.channels_in)).chunks()
            }
            Weights::Depthwise(_) => depthwise::chunks(out.pixels()),
        };
        let mut statistics = output.statistics;
        let partial = statistics.as_deref_mut().map_or(std::ptr::null_mut(), |s| s.begin(channels, chunks));
        let first = Forward {
            // There may be no first pixel, so the pointer is not said to lie in it.
            output: output.values.as_mut_ptr().wrapping_add(offset),
            pitch,
            bias: output.bias.map_or(std::ptr::null(), <[f32]>::as_ptr),
            residual: output.residual.map_or(std::ptr::null(), <[E]>::as_ptr),
            residual_pitch: channels,
            activation: output.activation,
            statistics: partial,
            channels,
        };
        Ok(Sinks { first, statistics })
    }
}

/// The sinks of all chunks: alike but for the statistics.
struct Sinks<'a, E> {
    first: Forward<E>,
    statistics: Option<&'a mut Statistics>,
}

impl<E: Element> Sinks<'_, E> {
    fn of(&self, chunk: usize) -> Forward<E> {
        let mut sink = self.first;
        if !sink.statistics.is_null() {
            // SAFETY: there are two rows of sums for every chunk.
            sink.statistics = unsafe { sink.statistics.add(chunk * 2 * sink.channels) };
        }
        sink
    }

    fn finish(self) {
        if let Some(statistics) = self.statistics {
            statistics.end();
        }
    }
}

impl ConvParams {
    fn form(self) -> Form {
        Form { kernel: self.kernel, stride: self.stride }
    }

    /// The extent of images with the padding around them.
    pub fn padded(self, extent: Extent) -> Extent {
        Extent { height: extent.height + 2 * self.padding, width: extent.width + 2 * self.padding, ..extent }
    }
}

/// A weight in the order output channels, input channels per group, rows, columns, as a matrix of input channels x
/// output channels for each place of the window; for a depthwise convolution as a row of channels.
///
/// # Panics
/// If the weight has the wrong length.
pub fn reorder_weight(params: ConvParams, weight: &[f32]) -> Vec<f32> {
    assert_eq!(weight.len(), params.weight_len(), "as many weights as the parameters ask for");
    let (ins, outs, places) =
        (params.channels_in / params.groups, params.channels_out, params.kernel * params.kernel);
    let mut reordered = vec![0.0; weight.len()];
    for k in 0..outs {
        for c in 0..ins {
            for place in 0..places {
                reordered[(place * ins + c) * outs + k] = weight[(k * ins + c) * places + place];
            }
        }
    }
    reordered
}

/// The inverse of [`reorder_weight`].
///
/// # Panics
/// If the weight has the wrong length.
pub fn restore_weight(params: ConvParams, reordered: &[f32]) -> Vec<f32> {
    assert_eq!(reordered.len(), params.weight_len(), "as many weights as the parameters ask for");
    let (ins, outs, places) =
        (params.channels_in / params.groups, params.channels_out, params.kernel * params.kernel);
    let mut weight = vec![0.0; reordered.len()];
    // As many output channels together as a cache line holds, so that each is read once.
    let (line, window) = (16, ins * places);
    for_each_chunk(&mut weight, (line * window).max(1), |number, windows| {
        let channels = windows.len() / window;
        for c in 0..ins {
            for place in 0..places {
                let values = &reordered[(place * ins + c) * outs + line * number..][..channels];
                for (window, &value) in windows.chunks_exact_mut(window).zip(values) {
                    window[c * places + place] = value;
                }
            }
        }
    });
    weight
}

/// Where pairs of values are read of each pixel, it has whole pairs.
fn check_pairs<E: Element>(params: ConvParams, channels: usize) -> Result<(), KernelError> {
    let reads_pairs = size_of::<E>() == 2 && !params.is_depthwise();
    if reads_pairs && !channels.is_multiple_of(2) {
        return Err(KernelError::Convolution { params, reason: "bfloat16 needs an even number of channels" });
    }
    Ok(())
}

fn check_precision<E: Element>(isa: Isa) -> Result<(), KernelError> {
    if E::runs_on(isa) { Ok(()) } else { Err(KernelError::Precision { isa: isa.to_string() }) }
}

pub(crate) fn check_length(what: &'static str, expected: usize, found: usize) -> Result<(), KernelError> {
    if expected == found { Ok(()) } else { Err(KernelError::Length { what, expected, found }) }
}
