//! How exact the CPU's engine is on a whole network: `ResNet`-18 by definition in `f64`, layer by layer, beside it.
//!
//! Winograd's algorithm loses digits, and how many depends on the values. So each layer that it computes is run on the
//! values that the layer has in the network, with batch normalisation folded in as the engine folds it.

use crate::common::{CLASSES, filled_state, numbers, shared, shared_weights};
use locam_arch::{ArchName, Conv, Graph, NodeId};
use locam_core::{Normalization, Size};
use locam_infer::{Head, Images, Pixels, Plan, Precision, Stage, Work, conv_params, stages};
use locam_kernels::testing::padded;
use locam_kernels::{
    Activation, Algorithm, Band, Buffer, ConvParams, Convolution, Extent, Isa, Output, PoolParams, max_pool,
    naive_convolution, reorder_weight,
};
use locam_net::{StateDict, read_weights};
use std::collections::BTreeMap;

/// Maps of 28, 14, 7 and 4 pixels follow, which Winograd's tiles of four and of three cover.
const SIDE: usize = 112;
/// `ResNet`-18's convolutions of 3x3 at stride 1, and its first.
const WINOGRAD_LAYERS: usize = 14;
/// The largest error of a layer, over its largest value.
const LARGEST_ERROR: f64 = 1e-4;
const LARGEST_LOGIT_ERROR: f64 = 1e-3;

/// A value of the graph: channels-last.
struct Value {
    extent: Extent,
    channels: usize,
    data: Vec<f32>,
}

/// A convolution with batch normalisation folded in.
fn folded(state: &StateDict, conv: &Conv, norm: &str) -> (Vec<f32>, Vec<f64>) {
    let read = |name: &str| &state[&format!("{norm}.{name}")].data;
    let (gamma, beta) = (read("weight"), read("bias"));
    let (mean, variance) = (read("running_mean"), read("running_var"));
    let mut weight = state[&format!("{}.weight", conv.key)].data.clone();
    let each = weight.len() / conv.channels_out;
    let mut bias = Vec::new();
    for (channel, weights) in weight.chunks_exact_mut(each).enumerate() {
        let deviation = (f64::from(variance[channel]) + Graph::BATCH_NORM_EPSILON).sqrt();
        let scale = f64::from(gamma[channel]) / deviation;
        for weight in weights.iter_mut() {
            *weight = (f64::from(*weight) * scale) as f32;
        }
        bias.push(f64::from(beta[channel]) - f64::from(mean[channel]) * scale);
    }
    (weight, bias)
}

/// The largest error of Winograd's algorithm by any instruction set, over the largest value.
fn winograd_error(
    (params, algorithm): (ConvParams, Algorithm),
    input: &Value,
    weight: &[f32],
    exact: &[f64],
) -> f64 {
    let largest = exact.iter().fold(0f64, |largest, value| largest.max(value.abs()));
    let ordered = reorder_weight(params, weight);
    let around = algorithm.reads_padding().then(|| padded(params, input.extent, &input.data));
    let read = around.as_ref().unwrap_or(&input.data);
    let error = |isa| {
        let conv = Convolution::<f32>::new(isa, params, algorithm, &ordered).unwrap();
        let mut found = vec![f32::NAN; exact.len()];
        let output = Output::plain(&mut found, params.channels_out);
        conv.run(input.extent, read, output, &mut Buffer::default()).unwrap();
        let errors = found.iter().zip(exact).map(|(&found, &exact)| (f64::from(found) - exact).abs());
        // Not `max`, which would pass over what is not a number.
        errors.fold(0f64, |most, error| if error <= most { most } else { error }) / largest
    };
    let errors = Isa::available().into_iter().map(error);
    errors.fold(0.0, |most, error| if error <= most { most } else { error })
}

/// What a stage makes of the values before it; notes the errors of Winograd's algorithm.
fn computed(
    stage: &Stage,
    state: &StateDict,
    values: &BTreeMap<usize, Value>,
    errors: &mut Vec<(String, f64)>,
) -> Value {
    let input = &values[&stage.input.0];
    match &stage.work {
        Work::Conv { conv, norm, residual, activation } => {
            let params = conv_params(conv);
            let (weight, bias) = folded(state, conv, norm.as_ref().expect("ResNet normalises everywhere"));
            let exact = naive_convolution(params, input.extent, &input.data, &weight);
            let algorithm = match stage.input {
                NodeId(0) => Algorithm::best_padded::<f32>(params),
                _ => Algorithm::best::<f32>(Isa::PORTABLE, params),
            };
            if matches!(algorithm, Algorithm::Winograd | Algorithm::PaddedWinograd) {
                let error = winograd_error((params, algorithm), input, &weight, &exact);
                errors.push((conv.key.clone(), error));
            }
            let residual = residual.map(|value| &values[&value.0].data);
            let value = |(i, sum): (usize, f64)| {
                let sum = sum + bias[i % bias.len()] + residual.map_or(0.0, |values| f64::from(values[i]));
                (if *activation == Activation::Relu { sum.max(0.0) } else { sum }) as f32
            };
            let data = exact.into_iter().enumerate().map(value).collect();
            Value { extent: params.output(input.extent).unwrap(), channels: params.channels_out, data }
        }
        Work::MaxPool(pool) => {
            let params = PoolParams {
                kernel: pool.kernel,
                stride: pool.stride,
                padding: pool.padding,
                ceil_mode: pool.ceil_mode,
            };
            let extent = params.output(input.extent).unwrap();
            let mut data = vec![f32::NAN; extent.pixels() * input.channels];
            let whole = Band { above: params.padding, rows: extent.height };
            max_pool(Isa::PORTABLE, params, (input.extent, whole), input.channels, &input.data, &mut data)
                .unwrap();
            Value { extent, channels: input.channels, data }
        }
        Work::Concat(_) | Work::Interleave(..) => unreachable!("ResNet has neither at its own stride"),
    }
}

/// Holds every layer of Winograd's and the engine's logits against `f64`; `planes` is one normalised image.
fn check(what: &str, state: &StateDict, planes: &[f32]) {
    let graph = ArchName::Resnet18.graph();
    let pixels = SIDE * SIDE;
    let data = (0..pixels * 3).map(|i| planes[i % 3 * pixels + i / 3]).collect();
    let extent = Extent { batch: 1, height: SIDE, width: SIDE };
    let mut values = BTreeMap::from([(0, Value { extent, channels: 3, data })]);
    let (mut errors, mut last) = (Vec::new(), 0);
    for stage in stages(&graph) {
        let value = computed(&stage, state, &values, &mut errors);
        values.insert(stage.output.0, value);
        last = stage.output.0;
    }
    let (layer, largest) =
        errors.iter().max_by(|a, b| a.1.total_cmp(&b.1)).expect("ResNet has layers for Winograd's algorithm");
    println!("{what}: largest error of Winograd's algorithm {largest:.1e} ({layer})");
    assert_eq!(errors.len(), WINOGRAD_LAYERS);
    assert!(*largest <= LARGEST_ERROR, "{what}: {errors:?}");

    let expected = logits(state, &values[&last]);
    let plan = Plan::new(&graph, state, Precision::F32).unwrap();
    let head = Head::new(&graph, state, expected.len()).unwrap();
    let size = Size::new(SIDE as u32, SIDE as u32);
    let features = plan.features(Images { count: 1, size, pixels: Pixels::Planes(planes) }).unwrap();
    let found = head.logits(&features).unwrap().concat();
    assert_eq!(found.len(), expected.len());
    let errors = found.iter().zip(&expected).map(|(&found, &exact)| (f64::from(found) - exact).abs());
    let most = errors.fold(0f64, |most, error| if error <= most { most } else { error });
    println!("{what}: largest error of a logit {most:.1e}");
    assert!(most <= LARGEST_LOGIT_ERROR, "{what}: {most}");
}

/// The head in `f64`.
fn logits(state: &StateDict, features: &Value) -> Vec<f64> {
    let mut means = vec![0f64; features.channels];
    for (i, &value) in features.data.iter().enumerate() {
        means[i % features.channels] += f64::from(value) / features.extent.pixels() as f64;
    }
    let rows = state["fc.weight"].data.chunks_exact(features.channels);
    let logit = |(row, &bias): (&[f32], &f32)| {
        f64::from(bias) + row.iter().zip(&means).map(|(&w, mean)| f64::from(w) * mean).sum::<f64>()
    };
    rows.zip(&state["fc.bias"].data).map(logit).collect()
}

#[test]
fn winograds_layers_and_logits_are_exact_on_made_weights() {
    let unit = numbers("input.accuracy", 3 * SIDE * SIDE).into_iter();
    let planes: Vec<f32> = unit.map(|unit| (2.0 * unit - 1.0) as f32).collect();
    let state = filled_state(ArchName::Resnet18);
    assert_eq!(state["fc.bias"].data.len(), CLASSES);
    check("made weights", &state, &planes);
}

#[test]
fn winograds_layers_and_logits_are_exact_on_trained_weights_and_a_photograph() {
    let Some(weights) = shared_weights("resnet18_imagenet_f16.safetensors") else { return };
    let Some(path) = shared("data/bccd/BCCD/JPEGImages/BloodImage_00000.jpg") else { return };
    let photograph = image::open(&path).unwrap().to_rgb8();
    let (left, top) = (photograph.width() / 2 - SIDE as u32 / 2, photograph.height() / 2 - SIDE as u32 / 2);
    let (mean, deviation) = Normalization::Imagenet.mean_and_deviation();
    let value = |i: usize| {
        let (channel, pixel) = (i / (SIDE * SIDE), i % (SIDE * SIDE));
        let (x, y) = (left + (pixel % SIDE) as u32, top + (pixel / SIDE) as u32);
        let byte = photograph.get_pixel(x, y).0[channel];
        (f32::from(byte) / 255.0 - mean[channel]) / deviation[channel]
    };
    let planes: Vec<f32> = (0..3 * SIDE * SIDE).map(value).collect();
    check("trained weights", &read_weights(&weights).unwrap(), &planes);
}
