//! Batch normalisation in training, and what is done value by value around it.

use crate::conv::{InputGradient, check_length};
use crate::isa::Kernel;
use crate::parallel::{Shared, for_each_task, piece};
use crate::simd::{Simd, load_up_to, read_up_to};
use crate::sink::{Activation, Forward, Sink};
use crate::{Element, Isa, KernelError, Statistics};
use std::ops::Range;

/// Values of a task that only adds.
const CHUNK: usize = 1 << 15;
/// Pixels of a task.
const TASK_PIXELS: usize = 512;

/// Batch normalisation of one batch: what its statistics make of the values (Ioffe and Szegedy, 2015,
/// <https://arxiv.org/abs/1502.03167>).
#[derive(Clone, Debug, Default)]
pub struct BatchNorm {
    /// Mean per channel.
    pub mean: Vec<f32>,
    /// Biased variance per channel.
    pub variance: Vec<f32>,
    /// One over the deviation, per channel.
    inverse_deviation: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl BatchNorm {
    /// Takes up the statistics of `pixels` values per channel: their sums and sums of squares.
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn set(
        &mut self,
        statistics: &Statistics,
        pixels: usize,
        weight: &[f32],
        bias: &[f32],
        epsilon: f64,
    ) {
        let sums = statistics.sums();
        assert!(sums.len() == weight.len() && sums.len() == bias.len(), "one weight and bias per channel");
        let count = pixels.max(1) as f64;
        let moments = sums.iter().map(|&[sum, squares]| {
            let mean = sum / count;
            (mean, (squares / count - mean * mean).max(0.0))
        });
        self.set_moments(moments, weight, bias, epsilon);
    }

    /// Takes up a mean and a variance per channel, such as the running ones.
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn set_fixed(&mut self, mean: &[f32], variance: &[f32], weight: &[f32], bias: &[f32], epsilon: f64) {
        let channels = mean.len();
        assert!(
            [variance, weight, bias].iter().all(|values| values.len() == channels),
            "one value of each per channel"
        );
        let moments =
            mean.iter().zip(variance).map(|(&mean, &variance)| (f64::from(mean), f64::from(variance)));
        self.set_moments(moments, weight, bias, epsilon);
    }

    fn set_moments(
        &mut self,
        moments: impl Iterator<Item = (f64, f64)>,
        weight: &[f32],
        bias: &[f32],
        epsilon: f64,
    ) {
        let per_channel = [&mut self.mean, &mut self.variance, &mut self.inverse_deviation, &mut self.scale];
        per_channel.into_iter().chain([&mut self.shift]).for_each(Vec::clear);
        for (((mean, variance), &weight), &bias) in moments.zip(weight).zip(bias) {
            let inverse = 1.0 / (variance + epsilon).sqrt();
            let scale = f64::from(weight) * inverse;
            self.mean.push(mean as f32);
            self.variance.push(variance as f32);
            self.inverse_deviation.push(inverse as f32);
            self.scale.push(scale as f32);
            self.shift.push((f64::from(bias) - mean * scale) as f32);
        }
    }

    /// Writes `activation(normalised + residual)`, all of the same shape.
    ///
    /// # Errors
    /// [`KernelError::Length`].
    pub fn apply<E: Element>(
        &self,
        isa: Isa,
        values: &[E],
        residual: Option<&[E]>,
        activation: Activation,
        output: &mut [E],
    ) -> Result<(), KernelError> {
        check_length("the output", values.len(), output.len())?;
        check_length("the residual", values.len(), residual.map_or(values.len(), <[E]>::len))?;
        let channels = self.scale.len();
        let sink = Forward {
            output: output.as_mut_ptr(),
            pitch: channels,
            bias: self.shift.as_ptr(),
            residual: residual.map_or(std::ptr::null(), <[E]>::as_ptr),
            residual_pitch: channels,
            activation,
            statistics: std::ptr::null_mut(),
            channels,
        };
        let source = Scaled { values, scales: &self.scale, others: None };
        for_each_chunk(isa, &source, |_| sink);
        Ok(())
    }
}

/// Carries a value's gradient through what made the value; a convolution's gradient does the same on its way.
///
/// # Errors
/// [`KernelError::Length`].
pub fn carry_gradient<E: Element>(
    isa: Isa,
    channels: usize,
    gradient: &[E],
    to: InputGradient<'_, E>,
) -> Result<(), KernelError> {
    let ones = vec![1.0; channels];
    let source = Scaled { values: gradient, scales: &ones, others: None };
    let chunks = chunks(gradient.len(), channels);
    to.run(gradient.len(), channels, chunks, |sink_of| for_each_chunk(isa, &source, sink_of))
}

/// Batch normalisation's gradients.
#[derive(Debug, Default)]
pub struct NormGradient {
    /// To the weight, per channel.
    pub to_weight: Vec<f32>,
    /// To the bias, per channel.
    pub to_bias: Vec<f32>,
    of_gradient: Vec<f32>,
    of_value: Vec<f32>,
    constant: Vec<f32>,
}

impl NormGradient {
    /// Takes up the sums of the output's gradient, and of that times deviations from the mean.
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn set(&mut self, norm: &BatchNorm, weight: &[f32], sums: &Statistics, pixels: usize) {
        assert_eq!(sums.sums().len(), weight.len(), "one weight per channel");
        let count = pixels.max(1) as f64;
        let per_channel = [&mut self.to_weight, &mut self.to_bias, &mut self.of_gradient, &mut self.of_value];
        per_channel.into_iter().chain([&mut self.constant]).for_each(Vec::clear);
        for (channel, &[sum, with_deviation]) in sums.sums().iter().enumerate() {
            let inverse = f64::from(norm.inverse_deviation[channel]);
            let of_gradient = f64::from(weight[channel]) * inverse;
            let of_value = -of_gradient * inverse * inverse * with_deviation / count;
            self.to_weight.push((with_deviation * inverse) as f32);
            self.to_bias.push(sum as f32);
            self.of_gradient.push(of_gradient as f32);
            self.of_value.push(of_value as f32);
            let mean = f64::from(norm.mean[channel]);
            self.constant.push((-of_gradient * sum / count - of_value * mean) as f32);
        }
    }

    /// Writes the gradient to the values that were normalised, from the output's gradient.
    ///
    /// # Errors
    /// [`KernelError::Length`].
    pub fn apply<E: Element>(
        &self,
        isa: Isa,
        gradient: &[E],
        values: &[E],
        output: &mut [E],
    ) -> Result<(), KernelError> {
        check_length("the values", gradient.len(), values.len())?;
        check_length("the output", gradient.len(), output.len())?;
        let channels = self.constant.len();
        let sink = Forward {
            output: output.as_mut_ptr(),
            pitch: channels,
            bias: self.constant.as_ptr(),
            residual: std::ptr::null(),
            residual_pitch: channels,
            activation: Activation::None,
            statistics: std::ptr::null_mut(),
            channels,
        };
        let source =
            Scaled { values: gradient, scales: &self.of_gradient, others: Some((values, &self.of_value)) };
        for_each_chunk(isa, &source, |_| sink);
        Ok(())
    }
}

/// Values times a factor per channel, and perhaps others times another.
struct Scaled<'a, E> {
    values: &'a [E],
    scales: &'a [f32],
    others: Option<(&'a [E], &'a [f32])>,
}

fn chunks(values: usize, channels: usize) -> usize {
    (values / channels.max(1)).div_ceil(TASK_PIXELS)
}

fn for_each_chunk<E: Element, K: Sink<E>>(
    isa: Isa,
    source: &Scaled<'_, E>,
    sink_of: impl Fn(usize) -> K + Sync + Send,
) {
    let channels = source.scales.len();
    let pixels = source.values.len() / channels.max(1);
    for_each_task(chunks(source.values.len(), channels), |chunk| {
        E::run(isa, ScaleTask { source, pixels: piece(chunk, TASK_PIXELS, pixels), sink: sink_of(chunk) });
    });
}

struct ScaleTask<'a, E, K> {
    source: &'a Scaled<'a, E>,
    pixels: Range<usize>,
    sink: K,
}

impl<E: Element, K: Sink<E>> Kernel<E> for ScaleTask<'_, E, K> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(mut self) {
        let Scaled { values, scales, others } = *self.source;
        let channels = scales.len();
        for pixel in self.pixels.clone() {
            for channel in (0..channels).step_by(S::LANES) {
                let count = S::LANES.min(channels - channel);
                let at = pixel * channels + channel;
                // SAFETY: all slices have `channels` values per pixel, or `channels` values.
                unsafe {
                    let scale: S = load_up_to(scales.as_ptr().add(channel), count);
                    let mut value = scale.mul(read_up_to(values.as_ptr().add(at), count));
                    if let Some((others, factors)) = others {
                        let factor: S = load_up_to(factors.as_ptr().add(channel), count);
                        value = factor.mul_add(read_up_to(others.as_ptr().add(at), count), value);
                    }
                    self.sink.put([(pixel, channel)], count, [value]);
                }
            }
        }
    }
}

/// Adds `values` to `sums`, value by value.
///
/// # Panics
/// If they differ in length.
pub fn add_assign<E: Element>(sums: &mut [E], values: &[E]) {
    assert_eq!(sums.len(), values.len(), "sums of equal length");
    let (len, target) = (sums.len(), Shared::new(sums));
    for_each_task(len.div_ceil(CHUNK), |task| {
        let range = piece(task, CHUNK, len);
        // SAFETY: each task has a range of its own.
        let sums = unsafe { target.slice(range.clone()) };
        for (sum, value) in sums.iter_mut().zip(&values[range]) {
            *sum = E::from_f32(sum.to_f32() + value.to_f32());
        }
    });
}
