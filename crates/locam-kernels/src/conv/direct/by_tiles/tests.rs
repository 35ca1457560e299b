//! Products of tiles against the naive twin, digit for digit: small whole numbers make sums that no order rounds. Where the
//! CPU has no tiles their twin in plain Rust multiplies, so that all but the instructions is tested.

mod guarded;

use super::super::tile_rows::Arrangement;
use crate::conv::{Algorithm, Convolution, Output, naive_convolution, reorder_weight};
use crate::testing::{narrow, padded, whole_numbers};
use crate::walk::Walk;
use crate::{Activation, Band, Bf16, Buffer, ConvParams, Extent, Isa, Statistics, on_this_thread};
use guarded::Guarded;

/// Kernel, stride, padding, input channels, output channels, batch, height, width.
type Row = [usize; 8];

const ROWS: [Row; 45] = [
    [1, 1, 0, 2, 1, 1, 1, 1],
    [1, 1, 0, 2, 33, 1, 3, 5],
    [1, 1, 0, 4, 5, 2, 4, 4],
    [1, 1, 0, 16, 24, 1, 7, 13],
    [1, 1, 0, 24, 16, 3, 7, 13],
    [1, 1, 0, 30, 17, 1, 5, 5],
    [1, 1, 0, 32, 32, 1, 4, 4],
    [1, 1, 0, 34, 31, 1, 3, 11],
    [1, 1, 0, 62, 64, 1, 9, 9],
    [1, 1, 0, 144, 48, 1, 6, 7],
    [1, 1, 0, 160, 130, 1, 3, 3],
    [1, 2, 0, 8, 70, 1, 9, 10],
    [1, 2, 0, 64, 128, 1, 7, 37],
    [1, 3, 0, 6, 9, 2, 11, 2],
    [3, 1, 1, 2, 3, 1, 7, 13],
    [3, 1, 1, 2, 1, 1, 1, 1],
    [3, 1, 0, 4, 6, 2, 5, 3],
    [3, 1, 0, 6, 11, 1, 5, 19],
    [3, 1, 1, 16, 64, 1, 7, 7],
    [3, 1, 1, 16, 16, 3, 2, 3],
    [3, 1, 1, 34, 33, 1, 13, 17],
    [3, 1, 1, 64, 64, 2, 14, 14],
    [3, 1, 1, 32, 520, 3, 7, 7],
    [3, 1, 1, 16, 300, 1, 8, 8],
    [3, 1, 2, 18, 26, 1, 6, 5],
    [3, 2, 1, 8, 70, 1, 9, 10],
    [3, 2, 1, 32, 40, 2, 14, 14],
    [3, 3, 2, 6, 7, 1, 11, 8],
    [5, 1, 2, 4, 8, 1, 6, 23],
    [5, 2, 2, 4, 8, 1, 6, 23],
    [2, 1, 0, 6, 6, 1, 5, 6],
    [2, 1, 1, 6, 6, 1, 1, 31],
    [4, 1, 2, 10, 7, 1, 9, 11],
    [4, 2, 1, 2, 1, 1, 17, 4],
    [7, 2, 3, 4, 64, 1, 31, 29],
    [3, 1, 1, 2, 2, 1, 40, 90],
    [3, 1, 1, 4, 34, 1, 56, 56],
    [3, 1, 1, 2, 40, 5, 28, 28],
    [5, 1, 2, 4, 20, 6, 3, 1],
    [3, 1, 1, 8, 80, 33, 2, 1],
    [3, 1, 1, 40, 100, 40, 7, 7],
    [3, 1, 1, 6, 33, 19, 14, 14],
    [3, 2, 1, 8, 48, 37, 5, 5],
    [1, 2, 0, 16, 40, 35, 9, 9],
    [1, 1, 0, 34, 130, 40, 7, 7],
];

/// Those that are read with their padding, of any number of channels.
const PADDED: [Row; 9] = [
    [7, 2, 3, 3, 64, 2, 40, 57],
    [7, 2, 3, 3, 10, 2, 1, 1],
    [7, 2, 3, 3, 64, 1, 31, 29],
    [11, 4, 2, 3, 8, 1, 37, 41],
    [3, 2, 1, 3, 32, 1, 33, 35],
    [3, 1, 1, 1, 1, 1, 1, 1],
    [5, 1, 2, 3, 4, 1, 6, 5],
    [3, 1, 1, 17, 19, 1, 11, 9],
    [3, 1, 1, 17, 19, 1, 11, 29],
];

fn parameters(
    [kernel, stride, padding, channels_in, channels_out, batch, height, width]: Row,
) -> (ConvParams, Extent) {
    let params = ConvParams { channels_in, channels_out, kernel, stride, padding, groups: 1 };
    (params, Extent { batch, height, width })
}

/// A convolution, and what it reads and gives.
struct Case {
    convolution: Convolution<Bf16>,
    extent: Extent,
    read: Vec<Bf16>,
    bias: Vec<f32>,
    residual: Vec<Bf16>,
    /// Before they are rounded.
    sums: Vec<f32>,
    expected: Vec<Bf16>,
}

impl Case {
    fn new(isa: Isa, row: Row, algorithm: Algorithm) -> Self {
        let (params, extent) = parameters(row);
        let out = params.output(extent).unwrap();
        let images = whole_numbers(extent.pixels() * params.channels_in, 1);
        let weight = whole_numbers(params.weight_len(), 2);
        let bias = whole_numbers(params.channels_out, 3);
        let residual = whole_numbers(out.pixels() * params.channels_out, 4);
        let sums = naive_convolution(params, extent, &images, &weight);
        let sums: Vec<f32> = (sums.iter().zip(&residual).enumerate())
            .map(|(i, (&sum, &residual))| (sum as f32 + bias[i % params.channels_out] + residual).max(0.0))
            .collect();
        let mut read = images;
        if algorithm == Algorithm::Rows {
            read = padded(params, extent, &read);
            read.push(0.0);
        }
        let convolution = Convolution::new(isa, params, algorithm, &reorder_weight(params, &weight)).unwrap();
        let (read, residual, expected) = (narrow(&read), narrow(&residual), narrow(&sums));
        Self { convolution, extent, read, bias, residual, sums, expected }
    }

    fn run(&self, input: &[Bf16]) -> (Vec<Bf16>, Vec<[f64; 2]>) {
        let channels = self.convolution.params().channels_out;
        let pitch = channels + 3;
        let mut values = vec![Bf16::from_f32(77.0); self.expected.len() / channels * pitch];
        let mut statistics = Statistics::default();
        let output = Output {
            values: &mut values,
            pitch,
            offset: 2,
            bias: Some(&self.bias),
            residual: Some(&self.residual),
            activation: Activation::Relu,
            statistics: Some(&mut statistics),
        };
        self.convolution.run(self.extent, input, output, &mut Buffer::default()).unwrap();
        let mut found = Vec::new();
        for pixel in values.chunks(pitch) {
            let beside = pixel[..2].iter().chain(&pixel[pitch - 1..]);
            assert!(beside.copied().all(|value| value == Bf16::from_f32(77.0)), "wrote beside");
            found.extend_from_slice(&pixel[2..pitch - 1]);
        }
        (found, statistics.sums().to_vec())
    }
}

fn for_each_case(mut each: impl FnMut(Row, Algorithm, &Case)) {
    let Some(isa) = Isa::with_tiles_or_their_twin() else {
        println!("skipped: this CPU has no AVX512-BF16, which takes the sums of tiles");
        return;
    };
    if !crate::amx::is_here() {
        println!("without the instructions: this CPU has no AMX, so that the twin of tiles multiplies");
    }
    for row in ROWS {
        each(row, Algorithm::Direct, &Case::new(isa, row, Algorithm::Direct));
    }
    for row in PADDED {
        each(row, Algorithm::Rows, &Case::new(isa, row, Algorithm::Rows));
    }
}

#[test]
fn convolutions_by_tiles_are_their_naive_twins_and_read_nothing_beyond_the_input() {
    for_each_case(|row, algorithm, case| {
        let channels = case.convolution.params().channels_out;
        for input in [Guarded::behind_a_gap(&case.read), Guarded::before_a_gap(&case.read)] {
            let (found, statistics) = case.run(input.values());
            assert!(found == case.expected, "{algorithm:?} of {row:?}");
            for (channel, sums) in statistics.iter().enumerate() {
                let expected: f32 = case.sums.iter().skip(channel).step_by(channels).sum();
                assert!(
                    (sums[0] - f64::from(expected)).abs() < 0.5,
                    "{algorithm:?} of {row:?}: channel {channel}"
                );
            }
        }
    });
}

#[test]
fn results_by_tiles_depend_on_neither_threads_nor_bands() {
    for_each_case(|row, algorithm, case| {
        let (params, extent) = parameters(row);
        let out = params.output(extent).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let found = case.run(&case.read);
        assert!(pool.install(|| case.run(&case.read)) == found, "{row:?}");
        assert!(on_this_thread(|| case.run(&case.read)) == found, "{row:?} on one thread");
        if algorithm == Algorithm::Rows || extent.batch > 1 {
            return;
        }
        let row_values = extent.width * params.channels_in;
        let mut found = Vec::new();
        for y in 0..out.height {
            let first = (y * params.stride).saturating_sub(params.padding);
            let end = (y * params.stride + params.kernel).saturating_sub(params.padding).min(extent.height);
            let band = Band { above: params.padding.saturating_sub(y * params.stride), rows: 1 };
            let mut values = vec![Bf16::default(); out.width * params.channels_out];
            let residual = &case.residual[found.len()..][..values.len()];
            let output = Output {
                bias: Some(&case.bias),
                residual: Some(residual),
                activation: Activation::Relu,
                ..Output::plain(&mut values, params.channels_out)
            };
            let rows = &case.read[first * row_values..end * row_values];
            let extent = Extent { height: end - first, ..extent };
            case.convolution.run_band(extent, band, rows, output, &mut Buffer::default()).unwrap();
            found.extend(values);
        }
        assert!(found == case.expected, "{row:?} in bands of one row");
    });
}

#[test]
fn shapes_of_resnet_are_read_in_place_where_windows_meet_no_padding_and_lines_are_long() {
    let of = |[kernel, stride, padding, channels, height, width]: [usize; 6]| {
        let params =
            ConvParams { channels_in: channels, channels_out: channels, kernel, stride, padding, groups: 1 };
        let extent = Extent { batch: 32, height, width };
        Arrangement::of(&Walk::forward(params, padding, extent, params.output(extent).unwrap()))
    };
    assert_eq!(of([3, 1, 1, 64, 56, 56]), Arrangement::Planes);
    assert_eq!(of([3, 2, 1, 128, 56, 56]), Arrangement::Planes);
    assert_eq!(of([1, 2, 0, 128, 56, 56]), Arrangement::InPlace(28));
    assert_eq!(of([1, 2, 0, 256, 28, 28]), Arrangement::Planes);
    assert_eq!(of([1, 1, 0, 96, 7, 7]), Arrangement::InPlace(32 * 49));
}
