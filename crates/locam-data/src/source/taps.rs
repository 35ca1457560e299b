//! The weights of the resize filter along one axis, in the fixed point of `fast_image_resize`.
//!
//! That library scales whole images only: the precision of its weights depends on the largest of them all, and cropping
//! moves them by rounding errors. Bands must have the bytes of the whole image, so the weights are made here, once for an
//! axis, in the same order of operations; [`crate::resize()`] is the twin that tests compare with.

use std::ops::Range;

/// How many bits a weighted sum of bytes may use besides the byte itself.
const MAX_PRECISION: u32 = 32 - 8 - 2;

/// The input places that each output place of an axis draws from, with weights that sum to `1 << precision`.
pub(super) struct Taps {
    precision: u32,
    spans: Vec<Span>,
    weights: Vec<i16>,
}

struct Span {
    input: Range<u32>,
    first_weight: usize,
}

impl Taps {
    /// The taps from `input` to `output` places, both at least 1; none where nothing is to be scaled.
    pub(super) fn new(input: u32, output: u32) -> Option<Self> {
        (input != output).then(|| Self::from_triangle(input, output))
    }

    fn from_triangle(input: u32, output: u32) -> Self {
        let scale = f64::from(input) / f64::from(output);
        let radius = scale.max(1.0);
        let inverse_radius = 1.0 / radius;
        let mut spans = Vec::with_capacity(output as usize);
        let mut exact = Vec::new();
        for place in 0..output {
            let center = (f64::from(place) + 0.5) * scale;
            let first = (center - radius).floor().max(0.0) as u32;
            let end = (center + radius).ceil().min(f64::from(input)) as u32;
            let center = center - 0.5;
            let weight = |at: u32| (1.0 - ((f64::from(at) - center) * inverse_radius).abs()).max(0.0);
            let mut nonzero = (first..end).filter(|&at| weight(at) != 0.0);
            let input =
                nonzero.clone().next().unwrap_or(first)..nonzero.next_back().map_or(first, |last| last + 1);
            let total: f64 = input.clone().map(weight).sum();
            spans.push(Span { input: input.clone(), first_weight: exact.len() });
            exact.extend(input.map(|at| weight(at) / total));
        }
        let precision = precision_of(exact.iter().copied().fold(0.0, f64::max));
        let one = f64::from(1 << precision);
        let weights = exact.into_iter().map(|weight| (weight * one).round() as i16).collect();
        Self { precision, spans, weights }
    }

    /// The input places that these output places draw from.
    pub(super) fn inputs(&self, outputs: Range<usize>) -> Range<u32> {
        let spans = &self.spans[outputs];
        match (spans.first(), spans.last()) {
            (Some(first), Some(last)) => first.input.start..last.input.end,
            _ => 0..0,
        }
    }

    /// The first input place of an output place, and the weights from there on.
    pub(super) fn at(&self, output: usize) -> (usize, &[i16]) {
        let span = &self.spans[output];
        (span.input.start as usize, &self.weights[span.first_weight..][..span.input.len()])
    }

    /// Half a unit of the last place that is kept, where sums begin.
    pub(super) fn half(&self) -> i32 {
        1 << (self.precision - 1)
    }

    /// The byte of a sum.
    pub(super) fn byte(&self, sum: i32) -> u8 {
        (sum >> self.precision).clamp(0, 255) as u8
    }
}

/// The most binary digits with which the largest weight still fits 16 bits.
fn precision_of(largest: f64) -> u32 {
    let fits = |precision: u32| (largest * f64::from(1 << (precision + 1))).round() < f64::from(1 << 15);
    (0..MAX_PRECISION).find(|&precision| !fits(precision)).unwrap_or(MAX_PRECISION - 1)
}
