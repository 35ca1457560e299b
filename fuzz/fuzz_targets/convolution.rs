//! A convolution of any shape, by any algorithm and instruction set, forward and backward, against its naive twin.
//! Shapes that cannot be must be refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use locam_kernels::testing::{Tolerance, random_values};
use locam_kernels::{
    Algorithm, Buffer, ConvGradients, ConvParams, Convolution, Extent, GradientOf, GradientWorkspace, InputGradient,
    Isa, Output, Statistics, naive_convolution, naive_convolution_gradients, reorder_weight, restore_weight,
};

/// Multiplications that a naive twin does in a moment.
const MOST_WORK: u64 = 1 << 20;

#[derive(Debug, arbitrary::Arbitrary)]
struct Case {
    isa: u8,
    algorithm: u8,
    channels_in: u8,
    channels_out: u8,
    kernel: u8,
    stride: u8,
    padding: u8,
    batch: u8,
    height: u8,
    width: u8,
    is_depthwise: bool,
    seed: u8,
}

fuzz_target!(|case: Case| {
    let isas = Isa::available();
    let isa = isas[usize::from(case.isa) % isas.len()];
    let channels_in = usize::from(case.channels_in);
    let (channels_out, groups) =
        if case.is_depthwise { (channels_in, channels_in) } else { (usize::from(case.channels_out), 1) };
    let params = ConvParams {
        channels_in,
        channels_out,
        kernel: usize::from(case.kernel % 12),
        stride: usize::from(case.stride % 6),
        padding: usize::from(case.padding % 8),
        groups,
    };
    let extent = Extent {
        batch: usize::from(case.batch % 4),
        height: usize::from(case.height),
        width: usize::from(case.width),
    };
    let Ok(out) = params.output(extent) else {
        let weight = [0.0; 1];
        assert!(params.check().is_ok() || Convolution::<f32>::new(isa, params, Algorithm::Direct, &weight).is_err());
        return;
    };
    let algorithm = match case.algorithm % 3 {
        _ if case.is_depthwise && channels_in > 1 => Algorithm::Depthwise,
        0 if params.kernel == 3 && params.stride == 1 => Algorithm::Winograd,
        1 => Algorithm::Rows,
        _ => Algorithm::Direct,
    };
    if params.multiply_adds(out) > MOST_WORK || extent.pixels() * channels_in > 1 << 16 {
        return;
    }
    check(isa, params, algorithm, extent, out, u64::from(case.seed));
});

fn check(isa: Isa, params: ConvParams, algorithm: Algorithm, extent: Extent, out: Extent, seed: u64) {
    let input = random_values(extent.pixels() * params.channels_in, seed);
    let weight: Vec<f32> = random_values(params.weight_len(), seed + 1).iter().map(|w| w * 0.2).collect();
    let read = if algorithm == Algorithm::Rows { padded(params, extent, &input) } else { input.clone() };
    let tolerance = Tolerance { absolute: 1e-3, relative: 1e-3 };
    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();

    let ordered = reorder_weight(params, &weight);
    let convolution = Convolution::<f32>::new(isa, params, algorithm, &ordered).expect("a shape that has an output");
    let mut output = vec![7.0; out.pixels() * params.channels_out];
    let to = Output::plain(&mut output, params.channels_out);
    convolution.run(extent, &read, to, &mut Buffer::default()).expect("lengths that fit");
    tolerance.check("the output", wide(&output), &naive_convolution(params, extent, &input, &weight));

    let gradient = random_values(output.len(), seed + 2);
    let (to_input, to_weight) = naive_convolution_gradients(params, extent, &input, &weight, &gradient);
    let mut gradients = ConvGradients::new(isa, params, algorithm).expect("as above");
    gradients.set_weight(&ordered).expect("as above");
    let mut workspace = GradientWorkspace::default();
    let mut found = vec![7.0; weight.len()];
    gradients.to_weight(extent, &read, &gradient, &mut found, &mut workspace).expect("lengths that fit");
    tolerance.check("the gradient to the weight", wide(&restore_weight(params, &found)), &to_weight);
    if algorithm != Algorithm::Rows {
        let mut values = vec![7.0; input.len()];
        let mut sums = Statistics::default();
        let to = InputGradient { values: &mut values, fused: GradientOf::default(), sums: &mut sums };
        gradients.to_input(extent, &gradient, to, &mut workspace).expect("lengths that fit");
        tolerance.check("the gradient to the input", wide(&values), &to_input);
    }
}

/// Images with their padding around them.
fn padded(params: ConvParams, extent: Extent, input: &[f32]) -> Vec<f32> {
    let (around, channels) = (params.padded(extent), params.channels_in);
    let mut values = vec![0.0; around.pixels() * channels];
    for (row, source) in input.chunks_exact((extent.width * channels).max(1)).enumerate() {
        let (image, y) = (row / extent.height, row % extent.height);
        let at = ((image * around.height + y + params.padding) * around.width + params.padding) * channels;
        values[at..at + source.len()].copy_from_slice(source);
    }
    values
}
