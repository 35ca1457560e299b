//! Gradients in bfloat16 against the naive twin, digit for digit: small whole numbers make sums that no order rounds. By tiles, or
//! by their twin in plain Rust where the CPU has none, and by outer products.

use super::*;
use crate::testing::{narrow, padded, random_values, whole_numbers};
use crate::{Bf16, naive_convolution_gradients, reorder_weight, restore_weight};

/// Kernel, stride, padding, input channels, output channels, batch, height, width.
type Row = [usize; 8];

const ROWS: [Row; 26] = [
    [1, 1, 0, 2, 2, 1, 1, 1],
    [1, 1, 0, 4, 6, 2, 4, 3],
    [1, 1, 0, 34, 70, 3, 7, 7],
    [1, 2, 0, 24, 70, 1, 7, 13],
    [1, 2, 0, 64, 128, 2, 16, 36],
    // Pixels between those that the window reads have gradients of zero, however many they are.
    [1, 2, 0, 8, 8, 1, 13, 13],
    [1, 2, 0, 16, 32, 2, 29, 29],
    [3, 1, 1, 2, 2, 1, 1, 1],
    [3, 1, 1, 2, 4, 1, 7, 13],
    [3, 1, 0, 4, 6, 2, 5, 3],
    [3, 1, 1, 16, 64, 1, 7, 7],
    [3, 1, 1, 64, 80, 2, 14, 14],
    [3, 1, 1, 18, 34, 1, 11, 9],
    [3, 1, 2, 16, 24, 1, 6, 5],
    [3, 1, 1, 96, 130, 5, 13, 11],
    [3, 1, 1, 8, 16, 9, 28, 28],
    [3, 1, 1, 64, 64, 1, 56, 56],
    [3, 2, 1, 8, 70, 1, 9, 10],
    [3, 2, 1, 32, 40, 2, 14, 14],
    [3, 2, 1, 2, 34, 3, 56, 56],
    [3, 3, 2, 6, 8, 1, 11, 8],
    [5, 1, 2, 4, 4, 1, 6, 5],
    [2, 3, 1, 6, 6, 1, 5, 6],
    [4, 2, 1, 2, 2, 1, 17, 4],
    [3, 1, 1, 520, 40, 3, 4, 4],
    [3, 2, 1, 40, 520, 3, 8, 8],
];

/// Those that read an input with its padding, of any number of channels.
const PADDED: [Row; 6] = [
    [7, 2, 3, 3, 64, 2, 31, 29],
    [7, 2, 3, 3, 64, 1, 90, 140],
    [7, 2, 3, 3, 10, 2, 1, 1],
    [11, 4, 2, 3, 8, 1, 37, 41],
    [3, 1, 1, 17, 19, 1, 11, 9],
    [3, 2, 1, 3, 33, 2, 64, 66],
];

fn isas() -> Vec<Isa> {
    let others = Isa::available().into_iter().filter(|isa| isa.has_bf16());
    let mut isas: Vec<Isa> = Isa::with_tiles_or_their_twin().into_iter().chain(others).collect();
    isas.dedup();
    isas
}

fn check(isa: Isa, row: Row, algorithm: Algorithm) {
    let [kernel, stride, padding, channels_in, channels_out, batch, height, width] = row;
    let mut params = ConvParams { channels_in, channels_out, kernel, stride, padding, groups: 1 };
    if algorithm == Algorithm::Depthwise {
        (params.channels_out, params.groups) = (channels_in, channels_in);
    }
    let channels_out = params.channels_out;
    let extent = Extent { batch, height, width };
    let out = params.output(extent).unwrap();
    let name = format!("{isa} {row:?} {algorithm:?}");
    let input = whole_numbers(extent.pixels() * channels_in, 1);
    let weight = whole_numbers(params.weight_len(), 2);
    let gradient = whole_numbers(out.pixels() * channels_out, 3);
    let (to_input, to_weight) = naive_convolution_gradients(params, extent, &input, &weight, &gradient);
    let mut gradients = ConvGradients::<Bf16>::new(isa, params, algorithm).unwrap();
    gradients.set_weight(&reorder_weight(params, &weight)).unwrap();
    let (gradient, mut workspace) = (narrow(&gradient), GradientWorkspace::default());
    let mut read = input;
    if algorithm.reads_padding() {
        read = padded(params, extent, &read);
        read.push(f32::NAN);
    }
    let mut found = vec![7.0; params.weight_len()];
    gradients.to_weight(extent, &narrow(&read), &gradient, &mut found, &mut workspace).unwrap();
    let found: Vec<f64> = restore_weight(params, &found).into_iter().map(f64::from).collect();
    assert!(found == to_weight, "{name}: the gradient to the weight");
    if algorithm.reads_padding() {
        return;
    }

    let values = extent.pixels() * channels_in;
    let (addend, rectified) = (whole_numbers(values, 4), random_values(values, 5));
    let (from, mean) = (whole_numbers(values, 6), whole_numbers(channels_in, 7));
    let (narrow_addend, narrow_rectified, narrow_from) = (narrow(&addend), narrow(&rectified), narrow(&from));
    let fused = GradientOf {
        addend: Some(&narrow_addend),
        rectified: Some((&narrow_rectified, 0.5)),
        normalized: Some((&narrow_from, &mean)),
    };
    let (mut found, mut sums) = (vec![Bf16::from_f32(7.0); values], Statistics::default());
    let to = InputGradient { values: &mut found, fused, sums: &mut sums };
    gradients.to_input(extent, &gradient, to, &mut workspace).unwrap();
    let mut expected = vec![[0.0; 2]; channels_in];
    for (place, (&found, &value)) in found.iter().zip(&to_input).enumerate() {
        let (rectified, channel) = (narrow_rectified[place].to_f32(), place % channels_in);
        let passes = rectified > 0.0 && rectified < 0.5;
        let value = if passes { value as f32 + addend[place] } else { 0.0 };
        assert_eq!(found, Bf16::from_f32(value), "{name}: value {place}");
        expected[channel][0] += f64::from(value);
        expected[channel][1] += f64::from(value * (from[place] - mean[channel]));
    }
    assert_eq!(sums.sums(), expected, "{name}");
}

#[test]
fn gradients_in_bfloat16_are_those_of_the_naive_twin() {
    for isa in isas() {
        for row in ROWS {
            check(isa, row, Algorithm::Direct);
            check(isa, row, Algorithm::Depthwise);
        }
        for row in PADDED {
            check(isa, row, Algorithm::Rows);
        }
    }
}

#[test]
fn pairs_of_a_gradient_are_whole() {
    for isa in isas() {
        let params =
            ConvParams { channels_in: 4, channels_out: 5, kernel: 3, stride: 1, padding: 1, groups: 1 };
        let error = ConvGradients::<Bf16>::new(isa, params, Algorithm::Direct).unwrap_err();
        assert!(error.to_string().contains("even number of channels"), "{error}");
    }
}
