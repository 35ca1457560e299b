//! A convolution of any shape, by any algorithm and instruction set, forward and backward, against its naive twin.
//! Shapes that cannot be must be refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use locam_kernels::testing::{Tolerance, padded, random_values};
use locam_kernels::{
    Activation, Algorithm, Band, Buffer, ConvGradients, ConvParams, Convolution, Extent, GradientOf,
    GradientWorkspace, InputGradient, Isa, Output, PoolParams, Statistics, max_pool, naive_convolution,
    naive_convolution_gradients, reorder_weight, restore_weight,
};

/// Multiplications that a naive twin does in a moment.
const MOST_WORK: u64 = 1 << 17;

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
    pool: [u8; 3],
    ceil_mode: bool,
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
    if params.check().is_err() {
        assert!(Convolution::<f32>::new(isa, params, Algorithm::Direct, &[]).is_err());
        assert!(ConvGradients::<f32>::new(isa, params, Algorithm::Direct).is_err());
        return;
    }
    let takes_winograd = params.stride <= 2 && matches!(params.kernel.div_ceil(params.stride), 3 | 4);
    let algorithm = match case.algorithm % 4 {
        _ if case.is_depthwise && channels_in > 1 => Algorithm::Depthwise,
        0 if takes_winograd => Algorithm::Winograd,
        3 if takes_winograd => Algorithm::PaddedWinograd,
        1 => Algorithm::Rows,
        _ => Algorithm::Direct,
    };
    let Ok(out) = params.output(extent) else {
        check_refusal(isa, params, algorithm, extent);
        return;
    };
    if params.multiply_adds(out) > MOST_WORK || params.padded(extent).pixels() * channels_in > 1 << 18 {
        return;
    }
    check(isa, params, algorithm, extent, out, u64::from(case.seed));
    if algorithm.reads_padding() {
        let [kernel, stride, padding] = case.pool.map(|value| usize::from(value % 6));
        let pool = PoolParams { kernel, stride, padding, ceil_mode: case.ceil_mode };
        check_pooled(isa, params, algorithm, extent, pool, u64::from(case.seed));
    }
});

/// Images that a window does not fit into are errors, forward and backward.
fn check_refusal(isa: Isa, params: ConvParams, algorithm: Algorithm, extent: Extent) {
    if params.weight_len() as u64 > MOST_WORK {
        return;
    }
    let mut weight = vec![0.0; params.weight_len()];
    let convolution =
        Convolution::<f32>::new(isa, params, algorithm, &weight).expect("parameters that make sense");
    let to = Output::plain(&mut [], params.channels_out);
    assert!(convolution.run(extent, &[], to, &mut Buffer::default()).is_err());
    let gradients = ConvGradients::<f32>::new(isa, params, algorithm).expect("parameters that make sense");
    let mut workspace = GradientWorkspace::default();
    assert!(gradients.to_weight(extent, &[], &[], &mut weight, &mut workspace).is_err());
    let mut sums = Statistics::default();
    let to = InputGradient { values: &mut [], fused: GradientOf::default(), sums: &mut sums };
    assert!(gradients.to_input(extent, &[], to, &mut workspace).is_err());
}

/// Compares output and gradients with the naive twins.
fn check(isa: Isa, params: ConvParams, algorithm: Algorithm, extent: Extent, out: Extent, seed: u64) {
    let input = random_values(extent.pixels() * params.channels_in, seed);
    let weight: Vec<f32> = random_values(params.weight_len(), seed + 1).iter().map(|w| w * 0.2).collect();
    let read = if algorithm.reads_padding() { padded(params, extent, &input) } else { input.clone() };
    let tolerance = Tolerance { absolute: 1e-3, relative: 1e-3 };
    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();

    let ordered = reorder_weight(params, &weight);
    let convolution =
        Convolution::<f32>::new(isa, params, algorithm, &ordered).expect("a shape that has an output");
    let mut output = vec![7.0; out.pixels() * params.channels_out];
    let to = Output::plain(&mut output, params.channels_out);
    convolution.run(extent, &read, to, &mut Buffer::default()).expect("lengths that fit");
    tolerance.check("the output", wide(&output), &naive_convolution(params, extent, &input, &weight));

    let gradient = random_values(output.len(), seed + 2);
    let (to_input, to_weight) = naive_convolution_gradients(params, extent, &input, &weight, &gradient);
    let mut gradients = ConvGradients::<f32>::new(isa, params, algorithm).expect("as above");
    gradients.set_weight(&ordered).expect("as above");
    let mut workspace = GradientWorkspace::default();
    let mut found = vec![7.0; weight.len()];
    gradients.to_weight(extent, &read, &gradient, &mut found, &mut workspace).expect("lengths that fit");
    tolerance.check("the gradient to the weight", wide(&restore_weight(params, &found)), &to_weight);
    if !algorithm.reads_padding() {
        let mut values = vec![7.0; input.len()];
        let mut sums = Statistics::default();
        let to = InputGradient { values: &mut values, fused: GradientOf::default(), sums: &mut sums };
        gradients.to_input(extent, &gradient, to, &mut workspace).expect("lengths that fit");
        tolerance.check("the gradient to the input", wide(&values), &to_input);
    }
}

/// Pooling inside a convolution is pooling after it.
fn check_pooled(
    isa: Isa,
    params: ConvParams,
    algorithm: Algorithm,
    extent: Extent,
    pool: PoolParams,
    seed: u64,
) {
    let read = padded(params, extent, &random_values(extent.pixels() * params.channels_in, seed));
    let weight = random_values(params.weight_len(), seed + 1);
    let (bias, channels) = (random_values(params.channels_out, seed + 2), params.channels_out);
    let convolution = Convolution::<f32>::new(isa, params, algorithm, &weight).expect("checked before");
    let conv_out = params.output(extent).expect("checked before");
    let Ok(out) = pool.output(conv_out) else {
        let pooling = (pool, Band { above: pool.padding, rows: 1 });
        let found = convolution.run_pooled(extent, &read, &bias, Activation::Relu, pooling, &mut []);
        assert!(found.is_err());
        return;
    };
    let mut between = vec![7.0; conv_out.pixels() * channels];
    let plain = Output::plain(&mut between, channels);
    let output = Output { bias: Some(&bias), activation: Activation::Relu, ..plain };
    convolution.run(extent, &read, output, &mut Buffer::default()).expect("lengths that fit");
    let mut expected = vec![7.0; out.pixels() * channels];
    let band = Band { above: pool.padding, rows: out.height };
    max_pool(isa, pool, (conv_out, band), channels, &between, &mut expected).expect("lengths that fit");
    let mut found = vec![7.0; expected.len()];
    convolution
        .run_pooled(extent, &read, &bias, Activation::Relu, (pool, band), &mut found)
        .expect("lengths that fit");
    let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect::<Vec<_>>();
    let tolerance = Tolerance { absolute: 1e-3, relative: 1e-3 };
    tolerance.check("pooled inside", wide(found), &wide(expected));
}
