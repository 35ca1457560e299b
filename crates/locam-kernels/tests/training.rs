//! What surrounds convolutions in a training step, of every instruction set, against plain loops in `f64`: max pooling
//! with its gradient, batch normalisation with its gradient, and gradients on their way through both.

use locam_kernels::testing::{Tolerance, narrow, random_values};
use locam_kernels::{
    Activation, Band, BatchNorm, Bf16, Extent, GradientOf, InputGradient, Isa, NormGradient, PoolParams,
    Statistics, add_assign, carry_gradient, copy_channels, global_mean, max_pool, max_pool_gradient,
    max_pool_with_places,
};

/// Kernel, stride, padding, whether in ceil mode, channels, batch, height, width.
type Row = (usize, usize, usize, bool, usize, usize, usize, usize);

const POOLS: [Row; 9] = [
    (3, 2, 1, false, 64, 2, 11, 14),
    (3, 2, 0, true, 17, 1, 13, 12),
    (3, 2, 0, true, 1, 2, 7, 7),
    (2, 2, 0, false, 33, 1, 8, 9),
    (3, 1, 1, false, 5, 1, 4, 3),
    (1, 1, 0, false, 3, 1, 1, 1),
    (2, 3, 1, false, 16, 3, 5, 7),
    (5, 2, 2, true, 40, 1, 6, 5),
    (17, 5, 3, false, 2, 1, 31, 23),
];

/// Values and, per value, the index in the input that won: the first of the largest of each window.
fn naive_pool(params: PoolParams, extent: Extent, channels: usize, input: &[f32]) -> (Vec<f32>, Vec<usize>) {
    let out = params.output(extent).unwrap();
    let along = |at: usize, length: usize| {
        (at * params.stride..at * params.stride + params.kernel)
            .filter_map(move |at| at.checked_sub(params.padding).filter(|&at| at < length))
    };
    let (mut values, mut winners) = (Vec::new(), Vec::new());
    for image in 0..extent.batch {
        for y in 0..out.height {
            for x in 0..out.width {
                for channel in 0..channels {
                    let places = along(y, extent.height)
                        .flat_map(|y| along(x, extent.width).map(move |x| (y, x)))
                        .map(|(y, x)| ((image * extent.height + y) * extent.width + x) * channels + channel);
                    let winner = places.fold(None, |best: Option<usize>, place| match best {
                        Some(best) if input[place] <= input[best] => Some(best),
                        _ => Some(place),
                    });
                    let winner = winner.expect("a window meets the image");
                    values.push(input[winner]);
                    winners.push(winner);
                }
            }
        }
    }
    (values, winners)
}

fn pools() -> impl Iterator<Item = (PoolParams, Extent, usize)> {
    POOLS.into_iter().map(|(kernel, stride, padding, ceil_mode, channels, batch, height, width)| {
        (PoolParams { kernel, stride, padding, ceil_mode }, Extent { batch, height, width }, channels)
    })
}

#[test]
fn the_first_of_the_largest_wins_and_takes_the_gradient() {
    for isa in Isa::available() {
        for (params, extent, channels) in pools() {
            let name = format!("{isa} {params:?} {extent:?} {channels} channels");
            // Few different values, so that many windows have several largest ones.
            let input: Vec<f32> = random_values(extent.values(channels).unwrap(), 1)
                .iter()
                .map(|value| (value * 4.0).round() / 4.0)
                .collect();
            let (expected, winners) = naive_pool(params, extent, channels, &input);
            let (mut output, mut places) = (vec![7.0; expected.len()], vec![7.0; expected.len()]);
            max_pool_with_places(isa, params, extent, channels, &input, &mut output, &mut places).unwrap();
            assert_eq!(output, expected, "{name}");
            output.fill(7.0);
            let band = Band { above: params.padding, rows: params.output(extent).unwrap().height };
            max_pool(isa, params, (extent, band), channels, &input, &mut output).unwrap();
            assert_eq!(output, expected, "{name}, without places");

            let gradient = random_values(expected.len(), 2);
            let mut to_input = vec![0.0f64; input.len()];
            winners.iter().zip(&gradient).for_each(|(&winner, &value)| to_input[winner] += f64::from(value));
            check_carried(&name, channels, &input, &to_input, |to| {
                max_pool_gradient(isa, params, (extent, channels), &gradient, &places, to).unwrap();
            });
        }
    }
}

/// Checks that what `write` writes is a gradient carried through an addition, a rectifier and a normalisation.
fn check_carried(
    name: &str,
    channels: usize,
    rectified: &[f32],
    gradient: &[f64],
    write: impl FnOnce(InputGradient<'_, f32>),
) {
    let (addend, from) = (random_values(gradient.len(), 3), random_values(gradient.len(), 4));
    let mean = random_values(channels, 5);
    let mut values = vec![7.0; gradient.len()];
    let mut statistics = Statistics::default();
    let fused = GradientOf {
        addend: Some(&addend),
        rectified: Some((rectified, 0.5)),
        normalized: Some((&from, &mean)),
    };
    write(InputGradient { values: &mut values, fused, sums: &mut statistics });
    let mut sums = vec![[0.0; 2]; channels];
    let expected: Vec<f64> = gradient
        .iter()
        .enumerate()
        .map(|(i, value)| {
            let passes = rectified[i] > 0.0 && rectified[i] < 0.5;
            let value = if passes { value + f64::from(addend[i]) } else { 0.0 };
            sums[i % channels][0] += value;
            sums[i % channels][1] += value * f64::from(from[i] - mean[i % channels]);
            value
        })
        .collect();
    Tolerance::F32.check(name, values.iter().map(|&v| f64::from(v)), &expected);
    for which in 0..2 {
        let expected: Vec<f64> = sums.iter().map(|sums| sums[which]).collect();
        Tolerance::F32.check(name, statistics.sums().iter().map(|sums| sums[which]), &expected);
    }
}

#[test]
fn gradients_are_carried_through_what_made_a_value() {
    for isa in Isa::available() {
        for (pixels, channels) in [(1, 1), (3, 17), (513, 5), (1100, 64), (7, 130)] {
            let (gradient, rectified) =
                (random_values(pixels * channels, 1), random_values(pixels * channels, 2));
            let expected: Vec<f64> = gradient.iter().map(|&value| f64::from(value)).collect();
            let name = format!("{isa}, {pixels} pixels of {channels}");
            check_carried(&name, channels, &rectified, &expected, |to| {
                carry_gradient(isa, channels, &gradient, to).unwrap();
            });
        }
    }
}

const EPSILON: f64 = 1e-5;

/// Batch normalisation and a rectifier with a residual, forward and backward, from the definitions.
struct NaiveNorm {
    output: Vec<f64>,
    to_values: Vec<f64>,
    to_weight: Vec<f64>,
    to_bias: Vec<f64>,
}

fn naive_norm(values: &[f32], weight: &[f32], bias: &[f32], residual: &[f32], gradient: &[f32]) -> NaiveNorm {
    let channels = weight.len();
    let pixels = values.len() / channels;
    let mut naive = NaiveNorm {
        output: vec![0.0; values.len()],
        to_values: vec![0.0; values.len()],
        to_weight: vec![0.0; channels],
        to_bias: vec![0.0; channels],
    };
    for channel in 0..channels {
        let places = || (0..pixels).map(|pixel| pixel * channels + channel);
        let mean = places().map(|at| f64::from(values[at])).sum::<f64>() / pixels as f64;
        let variance = places().map(|at| (f64::from(values[at]) - mean).powi(2)).sum::<f64>() / pixels as f64;
        let deviation = (variance + EPSILON).sqrt();
        let normal = |at: usize| (f64::from(values[at]) - mean) / deviation;
        let (weight, bias) = (f64::from(weight[channel]), f64::from(bias[channel]));
        for at in places() {
            naive.output[at] = (weight * normal(at) + bias + f64::from(residual[at])).max(0.0);
            naive.to_weight[channel] += f64::from(gradient[at]) * normal(at);
            naive.to_bias[channel] += f64::from(gradient[at]);
        }
        let (to_weight, to_bias) = (naive.to_weight[channel], naive.to_bias[channel]);
        for at in places() {
            let centred = f64::from(gradient[at]) - (to_bias + normal(at) * to_weight) / pixels as f64;
            naive.to_values[at] = weight / deviation * centred;
        }
    }
    naive
}

#[test]
fn batch_norm_and_its_gradient_follow_their_definitions() {
    for isa in Isa::available() {
        for (pixels, channels) in [(2, 1), (9, 3), (91, 17), (600, 64), (50, 130)] {
            let name = format!("{isa}, {pixels} pixels of {channels}");
            let values: Vec<f32> =
                random_values(pixels * channels, 1).iter().map(|value| 3.0 * value + 1.0).collect();
            let (weight, bias) = (random_values(channels, 2), random_values(channels, 3));
            let (residual, gradient) = (random_values(values.len(), 4), random_values(values.len(), 5));
            let naive = naive_norm(&values, &weight, &bias, &residual, &gradient);

            let mut sums = Statistics::default();
            // A value times its deviation from zero is its square.
            let zeros = vec![0.0; channels];
            let fused = GradientOf { normalized: Some((&values, &zeros)), ..GradientOf::default() };
            let mut same = vec![7.0; values.len()];
            let to = InputGradient { values: &mut same, fused, sums: &mut sums };
            carry_gradient(isa, channels, &values, to).unwrap();
            let mut norm = BatchNorm::default();
            norm.set(&sums, pixels, &weight, &bias, EPSILON);
            let mut output = vec![7.0; values.len()];
            norm.apply(isa, &values, Some(&residual), Activation::Relu, &mut output).unwrap();
            let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
            Tolerance::F32.check(&name, wide(&output), &naive.output);

            let fused = GradientOf { normalized: Some((&values, &norm.mean)), ..GradientOf::default() };
            let to = InputGradient { values: &mut same, fused, sums: &mut sums };
            carry_gradient(isa, channels, &gradient, to).unwrap();
            assert_eq!(same, gradient, "{name}: nothing stands in the way");
            let mut backward = NormGradient::default();
            backward.set(&norm, &weight, &sums, pixels);
            Tolerance::F32.check(&name, wide(&backward.to_weight), &naive.to_weight);
            Tolerance::F32.check(&name, wide(&backward.to_bias), &naive.to_bias);
            let mut to_values = vec![7.0; values.len()];
            backward.apply(isa, &gradient, &values, &mut to_values).unwrap();
            Tolerance::F32.check(&name, wide(&to_values), &naive.to_values);
        }
    }
}

fn widen(values: &[Bf16]) -> Vec<f32> {
    values.iter().copied().map(Bf16::to_f32).collect()
}

/// What is stored in bfloat16 is what `f32` comes to, rounded once.
#[test]
fn bfloat16_is_f32_rounded_where_it_is_stored() {
    for isa in Isa::available().into_iter().filter(|isa| isa.has_bf16()) {
        for (params, extent, channels) in pools().filter(|(params, ..)| params.kernel <= 16) {
            let name = format!("{isa} {params:?} {extent:?} {channels} channels");
            let values = extent.values(channels).unwrap();
            let out = params.output(extent).unwrap().values(channels).unwrap();
            let input = widen(&narrow(&random_values(values, 1)));
            let (mut output, mut places) = (vec![7.0; out], vec![7.0; out]);
            max_pool_with_places(isa, params, extent, channels, &input, &mut output, &mut places).unwrap();
            let (mut stored, mut stored_places) = (narrow(&output), narrow(&places));
            stored.fill(Bf16(0));
            stored_places.fill(Bf16(0));
            let from = narrow(&input);
            max_pool_with_places(isa, params, extent, channels, &from, &mut stored, &mut stored_places)
                .unwrap();
            assert_eq!((widen(&stored), widen(&stored_places)), (output, places.clone()), "{name}");

            // The gradient of pooling, and batch normalisation's there and back.
            let gradient = widen(&narrow(&random_values(out, 2)));
            let (mut exact, mut rounded) = (vec![7.0; values], vec![Bf16(0); values]);
            let mut sums = Statistics::default();
            let fused = GradientOf { rectified: Some((&*input, 0.5)), ..GradientOf::default() };
            let to = InputGradient { values: &mut exact, fused, sums: &mut sums };
            max_pool_gradient(isa, params, (extent, channels), &gradient, &places, to).unwrap();
            let fused = GradientOf { rectified: Some((&*from, 0.5)), ..GradientOf::default() };
            let to = InputGradient { values: &mut rounded, fused, sums: &mut sums };
            let shape = (extent, channels);
            max_pool_gradient(isa, params, shape, &narrow(&gradient), &stored_places, to).unwrap();
            assert_eq!(rounded, narrow(&exact), "{name}, the gradient");

            let (mean, weight) = (random_values(channels, 3), random_values(channels, 4));
            let mut norm = BatchNorm::default();
            norm.set_fixed(&mean, &vec![0.5; channels], &weight, &mean, 1e-5);
            norm.apply(isa, &input, Some(&input), Activation::Relu6, &mut exact).unwrap();
            norm.apply(isa, &from, Some(&from), Activation::Relu6, &mut rounded).unwrap();
            assert_eq!(rounded, narrow(&exact), "{name}, normalised");
        }
    }
}

#[test]
fn tensors_of_other_lengths_and_windows_that_cannot_be_are_errors() {
    let isa = Isa::PORTABLE;
    let params = PoolParams { kernel: 3, stride: 2, padding: 1, ceil_mode: false };
    let extent = Extent { batch: 1, height: 4, width: 4 };
    let (mut output, mut places) = ([0.0; 4], [0.0; 4]);
    let mut pool =
        |params, input: &[f32]| max_pool_with_places(isa, params, extent, 1, input, &mut output, &mut places);
    pool(params, &[0.0; 16]).unwrap();
    assert!(pool(params, &[0.0; 15]).unwrap_err().to_string().contains("the input"));
    let wide = PoolParams { kernel: 256, padding: 128, ..params };
    assert!(pool(wide, &[0.0; 16]).unwrap_err().to_string().contains("255"));
    let wide = PoolParams { kernel: 17, padding: 8, ..params };
    let (input, mut output, mut places) = ([Bf16(0); 16], [Bf16(0); 4], [Bf16(0); 4]);
    let error = max_pool_with_places(isa, wide, extent, 1, &input, &mut output, &mut places).unwrap_err();
    assert!(error.to_string().contains("in bfloat16 at most 16"), "{error}");
    let mut sums = Statistics::default();
    let to = InputGradient { values: &mut [0.0; 15], fused: GradientOf::default(), sums: &mut sums };
    let error = max_pool_gradient(isa, params, (extent, 1), &[0.0; 4], &[0.0; 4], to).unwrap_err();
    assert!(error.to_string().contains("the gradient to the input"), "{error}");
}

#[test]
fn means_copies_and_sums_follow_their_definitions() {
    for (batch, height, width, channels) in [(1, 1, 1, 1), (2, 7, 13, 3), (3, 11, 29, 17)] {
        let extent = Extent { batch, height, width };
        let values = random_values(extent.values(channels).unwrap(), 1);
        let mut means = vec![7.0; batch * channels];
        global_mean(extent, channels, &values, &mut means).unwrap();
        let mut expected = vec![0.0; means.len()];
        for (i, &value) in values.iter().enumerate() {
            let image = i / (height * width * channels);
            expected[image * channels + i % channels] += f64::from(value) / (height * width) as f64;
        }
        Tolerance::F32.check("means", means.iter().map(|&mean| f64::from(mean)), &expected);

        // All but the first channel, to the end of wider pixels.
        let (part, pitch) = (channels - 1, channels + 3);
        let mut wider = vec![7.0; extent.pixels() * pitch];
        copy_channels((&values, channels, 1), (&mut wider, pitch, 4), part);
        for (from, to) in values.chunks(channels).zip(wider.chunks(pitch)) {
            assert_eq!((&to[..4], &to[4..]), (&[7.0; 4][..], &from[1..]));
        }

        let (mut sums, addends) = (values.clone(), random_values(values.len(), 2));
        add_assign(&mut sums, &addends);
        let expected: Vec<f32> = values.iter().zip(&addends).map(|(a, b)| a + b).collect();
        assert_eq!(sums, expected);
    }
}

#[test]
#[should_panic(expected = "2 channels fit into a pixel")]
fn channels_are_not_copied_beyond_a_pixel() {
    copy_channels((&[1.0; 6], 3, 0), (&mut [0.0; 6], 3, 2), 2);
}
