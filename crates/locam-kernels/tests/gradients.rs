//! The gradients of convolutions, of every algorithm and instruction set, against their naive twin.

use locam_kernels::testing::{Tolerance, padded, random_values};
use locam_kernels::{
    Algorithm, ConvGradients, ConvParams, Extent, GradientOf, GradientWorkspace, InputGradient, Isa,
    Statistics, naive_convolution_gradients, reorder_weight, restore_weight,
};

/// Kernel, stride, padding, input channels, output channels, batch, height, width.
type Row = (usize, usize, usize, usize, usize, usize, usize, usize);

const ROWS: [Row; 22] = [
    (1, 1, 0, 1, 1, 1, 1, 1),
    (1, 1, 0, 3, 5, 2, 4, 3),
    (1, 2, 0, 24, 70, 1, 7, 13),
    (3, 1, 1, 1, 1, 1, 1, 1),
    (3, 1, 1, 2, 3, 1, 7, 13),
    (3, 1, 0, 4, 6, 2, 5, 3),
    (3, 1, 1, 16, 16, 1, 1, 1),
    (3, 1, 1, 16, 64, 1, 7, 7),
    (3, 1, 1, 64, 64, 1, 7, 13),
    (3, 1, 1, 64, 80, 2, 14, 14),
    (3, 1, 1, 17, 19, 1, 11, 9),
    (3, 1, 2, 16, 24, 1, 6, 5),
    (3, 1, 1, 96, 130, 5, 13, 11),
    (3, 2, 1, 8, 70, 1, 9, 10),
    (3, 2, 1, 32, 40, 2, 14, 14),
    (3, 3, 2, 5, 7, 1, 11, 8),
    (5, 1, 2, 3, 4, 1, 6, 5),
    (7, 2, 3, 3, 64, 2, 31, 29),
    (7, 2, 3, 3, 10, 2, 1, 1),
    (2, 3, 1, 6, 6, 1, 5, 6),
    (4, 2, 1, 1, 1, 1, 17, 4),
    (11, 4, 2, 3, 8, 1, 37, 41),
];

fn check(isa: Isa, params: ConvParams, extent: Extent, algorithm: Algorithm) {
    let name = format!("{isa} {params:?} {extent:?} {algorithm:?}");
    let out = params.output(extent).unwrap();
    let (inputs, outputs) =
        (extent.values(params.channels_in).unwrap(), out.values(params.channels_out).unwrap());
    let input = random_values(inputs, 1);
    let weight: Vec<f32> = random_values(params.weight_len(), 2).iter().map(|w| w * 0.2).collect();
    let gradient = random_values(outputs, 3);
    let (to_input, to_weight) = naive_convolution_gradients(params, extent, &input, &weight, &gradient);

    let mut gradients = ConvGradients::<f32>::new(isa, params, algorithm).unwrap();
    gradients.set_weight(&reorder_weight(params, &weight)).unwrap();
    let mut workspace = GradientWorkspace::default();
    let mut found = vec![7.0; params.weight_len()];
    let read = if algorithm.reads_padding() { padded(params, extent, &input) } else { input.clone() };
    gradients.to_weight(extent, &read, &gradient, &mut found, &mut workspace).unwrap();
    let found = restore_weight(params, &found);
    let sums = Tolerance { absolute: 2e-6 * out.pixels() as f64 + 2e-5, relative: 2e-4 };
    sums.check(&format!("{name} to weight"), found.iter().map(|&v| f64::from(v)), &to_weight);
    if algorithm.reads_padding() {
        return;
    }

    let (addend, rectified) = (random_values(inputs, 4), random_values(inputs, 5));
    let (from, mean) = (random_values(inputs, 6), random_values(params.channels_in, 7));
    let mut values = vec![7.0; inputs];
    let mut statistics = Statistics::default();
    let fused = GradientOf {
        addend: Some(&addend),
        rectified: Some((&rectified, 0.5)),
        normalized: Some((&from, &mean)),
    };
    let to = InputGradient { values: &mut values, fused, sums: &mut statistics };
    gradients.to_input(extent, &gradient, to, &mut workspace).unwrap();
    let mut expected = to_input;
    let mut sums = vec![[0.0; 2]; params.channels_in];
    for (i, value) in expected.iter_mut().enumerate() {
        let passes = rectified[i] > 0.0 && rectified[i] < 0.5;
        *value = if passes { *value + f64::from(addend[i]) } else { 0.0 };
        let channel = i % params.channels_in;
        sums[channel][0] += *value;
        sums[channel][1] += *value * f64::from(from[i] - mean[channel]);
    }
    Tolerance::F32.check(&format!("{name} to input"), values.iter().map(|&v| f64::from(v)), &expected);
    for which in 0..2 {
        let expected: Vec<f64> = sums.iter().map(|sums| sums[which]).collect();
        let total = Tolerance { absolute: 2e-4 * (extent.pixels() as f64).sqrt(), relative: 2e-4 };
        total.check(&name, statistics.sums().iter().map(|sums| sums[which]), &expected);
    }
}

#[test]
fn gradients_are_those_of_the_naive_twin() {
    for isa in Isa::available() {
        for (kernel, stride, padding, channels_in, channels_out, batch, height, width) in ROWS {
            let params = ConvParams { channels_in, channels_out, kernel, stride, padding, groups: 1 };
            let extent = Extent { batch, height, width };
            check(isa, params, extent, Algorithm::Direct);
            check(isa, params, extent, Algorithm::Rows);
            if matches!((kernel, stride), (3 | 4, 1) | (7, 2)) {
                check(isa, params, extent, Algorithm::Winograd);
                check(isa, params, extent, Algorithm::PaddedWinograd);
            }
            if channels_in > 1 {
                let params = ConvParams { channels_out: channels_in, groups: channels_in, ..params };
                check(isa, params, extent, Algorithm::Depthwise);
            }
        }
    }
}

#[test]
fn no_images_have_gradients_of_zero() {
    let extent = Extent { batch: 0, height: 5, width: 4 };
    // Winograd's tiles are cut in another way where there are many channels.
    for (isa, channels) in Isa::available().into_iter().flat_map(|isa| [(isa, 4), (isa, 256)]) {
        for algorithm in [Algorithm::Direct, Algorithm::Rows, Algorithm::Winograd, Algorithm::Depthwise] {
            let name = format!("{isa} {algorithm:?} of {channels}");
            let groups = if algorithm == Algorithm::Depthwise { channels } else { 1 };
            let params = ConvParams {
                channels_in: channels,
                channels_out: channels,
                kernel: 3,
                stride: 1,
                padding: 1,
                groups,
            };
            let mut gradients = ConvGradients::<f32>::new(isa, params, algorithm).unwrap();
            gradients.set_weight(&vec![1.0; params.weight_len()]).unwrap();
            let mut workspace = GradientWorkspace::default();
            let mut found = vec![7.0; params.weight_len()];
            gradients.to_weight(extent, &[], &[], &mut found, &mut workspace).unwrap();
            assert!(found.iter().all(|&value| value == 0.0), "{name}");
            if algorithm == Algorithm::Rows {
                continue;
            }
            let (mut sums, mean) = (Statistics::default(), vec![0.0; channels]);
            let fused = GradientOf { normalized: Some((&[], &mean)), ..GradientOf::default() };
            let to = InputGradient { values: &mut [], fused, sums: &mut sums };
            gradients.to_input(extent, &[], to, &mut workspace).unwrap();
            assert_eq!(sums.sums(), vec![[0.0; 2]; channels], "{name}");
        }
    }
}

#[test]
#[should_panic(expected = "an algorithm of their own")]
fn a_depthwise_convolution_has_no_gradients_by_matrix_products() {
    let params = ConvParams { channels_in: 4, channels_out: 4, kernel: 3, stride: 1, padding: 1, groups: 4 };
    let _ = ConvGradients::<f32>::new(Isa::PORTABLE, params, Algorithm::Direct);
}

#[test]
#[should_panic(expected = "Winograd's algorithm does not take")]
fn winograd_has_no_gradients_of_other_windows() {
    let params = ConvParams { channels_in: 4, channels_out: 4, kernel: 5, stride: 1, padding: 1, groups: 1 };
    let _ = ConvGradients::<f32>::new(Isa::PORTABLE, params, Algorithm::Winograd);
}
