//! Convolutions of every algorithm, instruction set and stored type against their naive twin.

use locam_kernels::testing::{Tolerance, padded, random_values};
use locam_kernels::{
    Activation, Algorithm, Band, Bf16, Buffer, ConvParams, Convolution, Element, Extent, Isa, KernelError,
    Output, PoolParams, Statistics, max_pool, naive_convolution, on_this_thread, reorder_weight,
};

#[derive(Clone, Copy, Debug)]
struct Case {
    params: ConvParams,
    extent: Extent,
    algorithm: Algorithm,
}

/// Kernel, stride, padding, input channels, output channels, batch, height, width.
type Row = (usize, usize, usize, usize, usize, usize, usize, usize);

const ROWS: [Row; 33] = [
    (1, 1, 0, 1, 1, 1, 1, 1),
    (1, 1, 0, 3, 5, 2, 4, 3),
    (1, 2, 0, 64, 128, 1, 7, 13),
    (1, 1, 0, 512, 24, 1, 5, 5),
    (3, 1, 1, 1, 1, 1, 1, 1),
    (3, 1, 1, 2, 3, 1, 7, 13),
    (3, 1, 0, 4, 6, 2, 5, 3),
    (3, 1, 1, 16, 16, 1, 1, 1),
    (3, 1, 1, 16, 16, 3, 2, 3),
    (3, 1, 1, 16, 64, 1, 7, 7),
    (3, 1, 1, 64, 64, 1, 7, 13),
    (3, 1, 1, 64, 80, 2, 14, 14),
    (3, 1, 1, 17, 19, 1, 11, 9),
    (3, 1, 2, 16, 24, 1, 6, 5),
    (3, 1, 0, 32, 16, 1, 8, 3),
    (3, 1, 1, 160, 96, 5, 13, 11),
    (3, 1, 1, 256, 130, 2, 7, 7),
    (3, 2, 1, 8, 70, 1, 9, 10),
    (3, 2, 1, 64, 128, 2, 14, 14),
    (3, 3, 2, 5, 7, 1, 11, 8),
    (3, 1, 1, 130, 4, 2, 9, 21),
    (3, 2, 1, 130, 4, 1, 12, 23),
    (5, 1, 2, 3, 4, 1, 6, 5),
    (7, 2, 3, 3, 64, 1, 31, 29),
    (7, 2, 3, 3, 10, 2, 1, 1),
    (7, 2, 3, 3, 64, 2, 40, 57),
    (3, 2, 0, 20, 33, 1, 13, 7),
    (2, 1, 0, 6, 6, 1, 5, 6),
    (4, 1, 2, 5, 7, 1, 9, 11),
    (2, 2, 0, 6, 6, 1, 5, 6),
    (2, 3, 1, 6, 6, 1, 5, 6),
    (4, 2, 1, 1, 1, 1, 17, 4),
    (11, 4, 2, 3, 8, 1, 37, 41),
];

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kernel, stride, padding, channels_in, channels_out, batch, height, width) in ROWS {
        let params = ConvParams { channels_in, channels_out, kernel, stride, padding, groups: 1 };
        let extent = Extent { batch, height, width };
        let mut add = |algorithm| cases.push(Case { params, extent, algorithm });
        add(Algorithm::Direct);
        add(Algorithm::Rows);
        if matches!((kernel, stride), (3 | 4, 1) | (7, 2)) {
            add(Algorithm::Winograd);
            add(Algorithm::PaddedWinograd);
        }
        let params = ConvParams { channels_out: channels_in, groups: channels_in, ..params };
        if channels_in > 1 {
            cases.push(Case { params, extent, algorithm: Algorithm::Depthwise });
        }
    }
    cases
}

/// Runs a case with everything that can be done to the output, and compares.
fn check<E: Element>(isa: Isa, case: Case, tolerance: Tolerance) {
    let Case { params, extent, algorithm } = case;
    let name = format!("{isa} {case:?}");
    let rounded =
        |values: Vec<f32>| -> Vec<f32> { values.into_iter().map(|v| E::from_f32(v).to_f32()).collect() };
    let out = params.output(extent).unwrap();
    let input = rounded(random_values(extent.values(params.channels_in).unwrap(), 1));
    let weight = rounded(random_values(params.weight_len(), 2));
    let residual = rounded(random_values(out.values(params.channels_out).unwrap(), 3));
    let bias = random_values(params.channels_out, 4);
    let scale = 1.0 / ((params.weight_len() / params.channels_out) as f64).sqrt();
    let weight: Vec<f32> = rounded(weight.iter().map(|w| w * scale as f32).collect());

    let mut read = if algorithm.reads_padding() { padded(params, extent, &input) } else { input.clone() };
    read.extend((algorithm == Algorithm::Rows && size_of::<E>() == 2).then_some(0.0));
    let read: Vec<E> = read.into_iter().map(E::from_f32).collect();
    let residual_stored: Vec<E> = residual.iter().map(|&v| E::from_f32(v)).collect();
    let convolution = Convolution::new(isa, params, algorithm, &reorder_weight(params, &weight)).unwrap();
    let pitch = params.channels_out + 3;
    let mut values = vec![E::from_f32(77.0); out.pixels() * pitch];
    let mut statistics = Statistics::default();
    let output = Output {
        values: &mut values,
        pitch,
        offset: 2,
        bias: Some(&bias),
        residual: Some(&residual_stored),
        activation: Activation::Relu,
        statistics: Some(&mut statistics),
    };
    convolution.run(extent, &read, output, &mut Buffer::default()).unwrap();

    let mut expected = naive_convolution(params, extent, &input, &weight);
    for (i, value) in expected.iter_mut().enumerate() {
        *value = (*value + f64::from(residual[i]) + f64::from(bias[i % params.channels_out])).max(0.0);
    }
    let mut found = Vec::new();
    for pixel in values.chunks(pitch) {
        assert!(
            pixel[..2].iter().chain(&pixel[pitch - 1..]).all(|v| *v == E::from_f32(77.0)),
            "{name} wrote beside"
        );
        found.extend(pixel[2..pitch - 1].iter().map(|v| f64::from(v.to_f32())));
    }
    tolerance.check(&name, found.iter().copied(), &expected);
    let mut sums = vec![[0.0; 2]; params.channels_out];
    for (i, value) in expected.iter().enumerate() {
        sums[i % params.channels_out][0] += value;
        sums[i % params.channels_out][1] += value * value;
    }
    let total = Tolerance { absolute: tolerance.absolute * out.pixels() as f64, ..tolerance };
    for which in 0..2 {
        let expected: Vec<f64> = sums.iter().map(|sums| sums[which]).collect();
        total.check(&name, statistics.sums().iter().map(|sums| sums[which]), &expected);
    }
}

#[test]
fn convolutions_in_f32_are_their_naive_twins() {
    for isa in Isa::available() {
        for case in cases() {
            check::<f32>(isa, case, Tolerance::F32);
        }
    }
}

#[test]
fn convolutions_in_bfloat16_are_near_their_naive_twins() {
    let isas: Vec<Isa> = Isa::available().into_iter().filter(|isa| isa.has_bf16()).collect();
    if !isas.iter().any(|isa| isa.to_string() == "amx") {
        println!("skipped on amx: this CPU or system has none");
    }
    if isas.is_empty() {
        println!("skipped: this CPU has no AVX512-BF16");
    }
    for (isa, case) in isas.into_iter().flat_map(|isa| cases().into_iter().map(move |case| (isa, case))) {
        let pairs = case.params.channels_in.is_multiple_of(2);
        if pairs || matches!(case.algorithm, Algorithm::Rows | Algorithm::Depthwise) {
            // A rounding of 2^-9 of the output; Winograd's transforms round their points too, and enlarge that.
            let is_winograd = matches!(case.algorithm, Algorithm::Winograd | Algorithm::PaddedWinograd);
            let digits = if is_winograd { 0.03 } else { 0.01 };
            check::<Bf16>(isa, case, Tolerance { absolute: digits, relative: 0.01 });
        }
    }
}

/// Pooling's window, stride, padding and whether in ceil mode; convolution's window, stride, padding; input channels,
/// output channels, batch, height, width. The last three have several tiles along an axis or both.
type PooledRow = ((usize, usize, usize, bool), (usize, usize, usize), [usize; 5]);

const POOLED: [PooledRow; 8] = [
    ((1, 1, 0, false), (1, 1, 0), [1, 1, 1, 1, 1]),
    ((3, 2, 1, false), (7, 2, 3), [3, 64, 1, 1, 1]),
    ((3, 2, 0, true), (3, 2, 1), [3, 5, 2, 7, 13]),
    ((2, 3, 1, false), (5, 1, 2), [1, 17, 3, 11, 5]),
    ((5, 2, 2, true), (2, 1, 1), [4, 70, 1, 6, 7]),
    ((3, 2, 1, false), (7, 2, 3), [3, 64, 2, 61, 131]),
    ((3, 2, 1, false), (7, 2, 3), [3, 72, 1, 131, 40]),
    ((3, 2, 0, true), (3, 2, 0), [3, 33, 1, 67, 127]),
];

fn check_pooled<E: Element>(
    isa: Isa,
    row: PooledRow,
    activation: Activation,
    algorithm: Algorithm,
    tolerance: Tolerance,
) {
    let ((side, step, around, ceil_mode), (kernel, stride, padding), sizes) = row;
    let [channels_in, channels_out, batch, height, width] = sizes;
    let pool = PoolParams { kernel: side, stride: step, padding: around, ceil_mode };
    let params = ConvParams { channels_in, channels_out, kernel, stride, padding, groups: 1 };
    let extent = Extent { batch, height, width };
    let narrow = |values: Vec<f32>| values.into_iter().map(E::from_f32).collect::<Vec<E>>();
    let wide = |values: &[E]| values.iter().map(|value| value.to_f32()).collect::<Vec<f32>>();

    let images = wide(&narrow(random_values(extent.values(channels_in).unwrap(), 1)));
    let mut read = narrow(padded(params, extent, &images));
    read.extend((algorithm == Algorithm::Rows && size_of::<E>() == 2).then_some(E::from_f32(0.0)));
    let weight = reorder_weight(params, &random_values(params.weight_len(), 2));
    let bias = random_values(channels_out, 3);
    let convolution = Convolution::<E>::new(isa, params, algorithm, &weight).unwrap();
    let conv_out = params.output(extent).unwrap();
    let mut between = narrow(vec![7.0; conv_out.values(channels_out).unwrap()]);
    let plain = Output::plain(&mut between, channels_out);
    let output = Output { bias: Some(&bias), activation, ..plain };
    convolution.run(extent, &read, output, &mut Buffer::default()).unwrap();
    let out = pool.output(conv_out).unwrap();
    let mut expected = narrow(vec![7.0; out.values(channels_out).unwrap()]);
    let band = Band { above: around, rows: out.height };
    max_pool(isa, pool, (conv_out, band), channels_out, &between, &mut expected).unwrap();
    let expected: Vec<f64> = expected.iter().map(|value| f64::from(value.to_f32())).collect();
    let run = || {
        let mut found = narrow(vec![7.0; expected.len()]);
        convolution.run_pooled(extent, &read, &bias, activation, (pool, band), &mut found).unwrap();
        found
    };
    for (threads, found) in [("all threads", run()), ("this thread", on_this_thread(run))] {
        let found = found.iter().map(|value| f64::from(value.to_f32()));
        tolerance.check(
            &format!("{isa} {row:?} {algorithm:?} {activation:?} on {threads}"),
            found,
            &expected,
        );
    }
}

#[test]
fn pooling_inside_a_convolution_is_pooling_after_it() {
    for isa in Isa::available() {
        for row in POOLED {
            let exact = Tolerance { absolute: 0.0, relative: 0.0 };
            for activation in [Activation::Relu, Activation::None] {
                check_pooled::<f32>(isa, row, activation, Algorithm::Rows, exact);
                if isa.has_bf16() {
                    check_pooled::<Bf16>(isa, row, activation, Algorithm::Rows, exact);
                }
            }
            let (_, (kernel, stride, _), _) = row;
            if (kernel, stride) == (7, 2) {
                // Its tiles begin at other pixels than where it runs alone.
                let rounding = Tolerance { absolute: 2e-5, relative: 2e-5 };
                check_pooled::<f32>(isa, row, Activation::Relu, Algorithm::PaddedWinograd, rounding);
            }
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let isa = Isa::detect().unwrap();
    for case in cases() {
        let read = params_input(case);
        let input = random_values(read, 5);
        let weight = random_values(case.params.weight_len(), 6);
        let convolution = Convolution::<f32>::new(isa, case.params, case.algorithm, &weight).unwrap();
        let out = case.params.output(case.extent).unwrap();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut values = vec![0.0; out.values(case.params.channels_out).unwrap()];
            pool.install(|| {
                let output = Output::plain(&mut values, case.params.channels_out);
                convolution.run(case.extent, &input, output, &mut Buffer::default()).unwrap();
            });
            values
        };
        assert_eq!(run(1), run(3), "{case:?}");
    }
}

fn params_input(case: Case) -> usize {
    let Case { params, extent, algorithm } = case;
    let read = if algorithm.reads_padding() { params.padded(extent) } else { extent };
    read.pixels() * params.channels_in
}

#[test]
fn shapes_that_cannot_be_are_errors() {
    let good = ConvParams { channels_in: 4, channels_out: 4, kernel: 3, stride: 1, padding: 1, groups: 1 };
    let bad = [
        ConvParams { channels_in: 0, ..good },
        ConvParams { channels_out: 0, ..good },
        ConvParams { kernel: 0, ..good },
        ConvParams { stride: 0, ..good },
        ConvParams { padding: 3, ..good },
        ConvParams { groups: 2, ..good },
        ConvParams { groups: 0, ..good },
        ConvParams { channels_in: usize::MAX / 2, ..good },
        ConvParams { channels_in: 1 << 40, channels_out: 1 << 40, ..good },
        ConvParams { kernel: 1 << 20, ..good },
    ];
    for params in bad {
        assert!(matches!(params.check(), Err(KernelError::Convolution { .. })), "{params:?}");
        let made = Convolution::<f32>::new(Isa::PORTABLE, params, Algorithm::Direct, &[]);
        assert!(made.is_err(), "{params:?}");
    }
    let huge = Extent { batch: 1 << 30, height: 1 << 30, width: 1 << 30 };
    assert!(matches!(good.output(huge), Err(KernelError::TooLarge { .. })));
    let none_of_huge = Extent { batch: 0, height: usize::MAX, width: 1 };
    assert!(matches!(good.output(none_of_huge), Err(KernelError::TooLarge { .. })));
    let large = ConvParams { kernel: 9, padding: 0, ..good };
    let small = Extent { batch: 1, height: 8, width: 20 };
    assert!(matches!(large.output(small), Err(KernelError::WindowTooLarge { .. })));
    let none = Extent { batch: 1, height: 0, width: 5 };
    assert!(matches!(good.output(none), Err(KernelError::WindowTooLarge { .. })));
    let weight = vec![0.0; good.weight_len()];
    let convolution = Convolution::<f32>::new(Isa::PORTABLE, good, Algorithm::Direct, &weight).unwrap();
    let mut values = [0.0; 4];
    let one = Extent { batch: 1, height: 1, width: 1 };
    let run = |input: &[f32], values: &mut [f32]| {
        convolution.run(one, input, Output::plain(values, 4), &mut Buffer::default())
    };
    assert!(matches!(run(&[0.0; 3], &mut values), Err(KernelError::Length { .. })));
    assert!(matches!(run(&[0.0; 4], &mut values[..3]), Err(KernelError::Length { .. })));
    assert!(run(&[0.0; 4], &mut values).is_ok());
}

#[test]
fn no_images_are_no_error() {
    let extent = Extent { batch: 0, height: 4, width: 5 };
    // Winograd's tiles are cut in another way where there are many channels.
    for (isa, channels) in Isa::available().into_iter().flat_map(|isa| [(isa, 4), (isa, 256)]) {
        for algorithm in [Algorithm::Direct, Algorithm::Rows, Algorithm::Winograd, Algorithm::Depthwise] {
            let groups = if algorithm == Algorithm::Depthwise { channels } else { 1 };
            let params = ConvParams {
                channels_in: channels,
                channels_out: channels,
                kernel: 3,
                stride: 1,
                padding: 1,
                groups,
            };
            let weight = vec![1.0; params.weight_len()];
            let convolution = Convolution::<f32>::new(isa, params, algorithm, &weight).unwrap();
            let mut statistics = Statistics::default();
            let output =
                Output { statistics: Some(&mut statistics), ..Output::plain(&mut [], params.channels_out) };
            convolution.run(extent, &[], output, &mut Buffer::default()).unwrap();
            assert_eq!(statistics.sums(), vec![[0.0; 2]; channels], "{isa} {algorithm:?} of {channels}");
        }
    }
}

#[test]
fn padding_that_could_not_be_addressed_is_an_error() {
    let params =
        ConvParams { channels_in: 1, channels_out: 1, kernel: 4096, stride: 4096, padding: 4095, groups: 1 };
    let weight = vec![0.0; params.weight_len()];
    let convolution = Convolution::<f32>::new(Isa::PORTABLE, params, Algorithm::Rows, &weight).unwrap();
    let extent = Extent { batch: 1 << 40, height: 1, width: 1 };
    assert!(params.output(extent).is_ok(), "without their padding the images could be addressed");
    let found = convolution.run(extent, &[], Output::plain(&mut [], 1), &mut Buffer::default());
    assert!(matches!(found, Err(KernelError::TooLarge { .. })), "{found:?}");
}

#[test]
#[should_panic(expected = "of a pixel with 4")]
fn channels_beyond_the_pixel_are_refused() {
    let params = ConvParams { channels_in: 1, channels_out: 2, kernel: 1, stride: 1, padding: 0, groups: 1 };
    let convolution = Convolution::<f32>::new(Isa::PORTABLE, params, Algorithm::Direct, &[1.0; 2]).unwrap();
    let extent = Extent { batch: 1, height: 1, width: 1 };
    // One more than the largest offset for which offset and channels do not add up to a small number.
    let mut values = [0.0; 4];
    let output = Output { offset: usize::MAX - 1, ..Output::plain(&mut values, 4) };
    let _ = convolution.run(extent, &[1.0], output, &mut Buffer::default());
}
