//! Training steps that store maps in bfloat16, against those in `f32`.

use locam_arch::{ArchName, StateDict, TensorValue};
use locam_core::Size;
use locam_infer::{Images, Pixels};
use locam_kernels::testing::random_values;
use locam_kernels::{Bf16, Element, Isa};
use locam_step::{CrossEntropy, Optimizer, Trainer};

const CLASSES: usize = 3;
const BATCH: usize = 6;
const LABELS: [usize; BATCH] = [0, 2, 1, 0, 1, 2];
const SIZE: Size = Size::new(96, 64);
const STEPS: usize = 20;

/// Random weights that keep the size of what passes through a layer; batch normalisation as it starts.
fn state(arch: ArchName) -> StateDict {
    let filled = |(i, (key, shape)): (usize, (String, Vec<usize>))| {
        let count: usize = shape.iter().product();
        let data = match shape.len() {
            1 if key.ends_with("weight") || key.ends_with("running_var") => vec![1.0; count],
            1 => vec![0.0; count],
            _ => {
                let scale = (6.0 * shape[0] as f32 / count as f32).sqrt();
                random_values(count, i as u64).iter().map(|value| value * scale).collect()
            }
        };
        (key, TensorValue { shape, data })
    };
    arch.graph().state_shapes(CLASSES).into_iter().enumerate().map(filled).collect()
}

/// The losses of some steps, and the gradients of the first.
fn trained<E: Element>(arch: ArchName, threads: usize) -> (Vec<f64>, StateDict) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let optimizer = Optimizer::Sgd { momentum: 0.9, weight_decay: 0.0 };
        let mut trainer = Trainer::<E>::new(&arch.graph(), &state(arch), CLASSES, optimizer).unwrap();
        let pixels = random_values(BATCH * 3 * SIZE.area() as usize, 7);
        let images = Images { count: BATCH, size: SIZE, pixels: Pixels::Planes(&pixels) };
        let targets = CrossEntropy::plain(CLASSES).targets_of_labels(&LABELS);
        let mut losses = vec![trainer.step(images, &targets, 1e-3).unwrap().loss];
        let gradients = trainer.gradients();
        losses.extend((1..STEPS).map(|_| trainer.step(images, &targets, 1e-3).unwrap().loss));
        (losses, gradients)
    })
}

/// The cosine of the angle between two tensors.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let product =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

fn has_bf16() -> bool {
    let has = Isa::detect().unwrap().has_bf16();
    if !has {
        println!("skipped: this CPU has no AVX512-BF16");
    }
    has
}

#[test]
fn losses_and_gradients_are_near_those_in_f32() {
    if !has_bf16() {
        return;
    }
    for arch in [ArchName::Resnet18, ArchName::Vgg16, ArchName::Squeezenet1_1] {
        let (expected, exact) = trained::<f32>(arch, 2);
        let (losses, gradients) = trained::<Bf16>(arch, 2);
        for (step, (loss, expected)) in losses.iter().zip(&expected).enumerate() {
            assert!((loss / expected - 1.0).abs() < 0.1, "{arch}, step {step}: {loss} and {expected}");
        }
        for (key, gradient) in &gradients {
            let cosine = cosine(&gradient.data, &exact[key].data);
            assert!(cosine > 0.8, "{arch}, {key}: the cosine of the gradients' angle is {cosine}");
        }
    }
}

/// Its gradients are none of those in `f32`; these turn as far where pixels change by 0.4 %.
#[test]
fn mobilenets_losses_begin_at_those_in_f32_and_fall() {
    if !has_bf16() {
        return;
    }
    let (expected, losses) =
        (trained::<f32>(ArchName::MobilenetV2, 2).0, trained::<Bf16>(ArchName::MobilenetV2, 2).0);
    assert!((losses[0] / expected[0] - 1.0).abs() < 0.1, "{} and {}", losses[0], expected[0]);
    assert!(losses[STEPS - 1] < 0.1 * losses[0], "{losses:?}");
}

#[test]
fn threads_change_no_bit() {
    if has_bf16() {
        assert_eq!(trained::<Bf16>(ArchName::Resnet18, 1), trained::<Bf16>(ArchName::Resnet18, 3));
    }
}
