//! Optimisers against their definitions in `f64`, as `torch.optim` documents them, over a few steps of a whole network.

use locam_arch::{ArchName, StateDict, TensorValue};
use locam_core::Size;
use locam_infer::{Images, Pixels};
use locam_kernels::testing::random_values;
use locam_step::{CrossEntropy, Optimizer, Trainer};

const RATE: f64 = 1e-2;
const DECAY: f64 = 0.01;
const STEPS: i32 = 3;
const CLASSES: usize = 3;
const SIZE: Size = Size::new(32, 32);

/// Small random weights; batch normalisation as it starts.
fn state() -> StateDict {
    let graph = ArchName::Resnet18.graph();
    graph
        .state_shapes(CLASSES)
        .into_iter()
        .enumerate()
        .map(|(i, (key, shape))| {
            let count = shape.iter().product();
            let data = match shape.len() {
                1 if key.ends_with("weight") || key.ends_with("running_var") => vec![1.0; count],
                1 => vec![0.0; count],
                _ => random_values(count, i as u64).iter().map(|value| value * 0.05).collect(),
            };
            (key, TensorValue { shape, data })
        })
        .collect()
}

/// One parameter's value as the definition changes it.
#[derive(Clone, Copy, Default)]
struct Moments {
    first: f64,
    second: f64,
    /// The most by which a gradient was larger than its sum with the decay.
    cancelled: f64,
}

fn defined(optimizer: Optimizer, step: i32, value: f64, gradient: f64, moments: &mut Moments) -> f64 {
    let adam = |value: f64, gradient: f64, moments: &mut Moments| {
        moments.first = 0.9 * moments.first + 0.1 * gradient;
        moments.second = 0.999 * moments.second + 0.001 * gradient * gradient;
        let first = moments.first / (1.0 - 0.9f64.powi(step));
        let second = moments.second / (1.0 - 0.999f64.powi(step));
        value - RATE * first / (second.sqrt() + 1e-8)
    };
    match optimizer {
        Optimizer::Sgd { momentum, weight_decay } => {
            let gradient = gradient + weight_decay * value;
            moments.first = if step == 1 { gradient } else { momentum * moments.first + gradient };
            value - RATE * moments.first
        }
        Optimizer::Adam { weight_decay } => adam(value, gradient + weight_decay * value, moments),
        Optimizer::AdamW { weight_decay } => adam(value * (1.0 - RATE * weight_decay), gradient, moments),
    }
}

#[test]
fn weights_change_as_torch_optim_documents_it() {
    let pixels = random_values(4 * 3 * SIZE.area() as usize, 7);
    let images = Images { count: 4, size: SIZE, pixels: Pixels::Planes(&pixels) };
    let targets = CrossEntropy::plain(CLASSES).targets_of_labels(&[0, 2, 1, 0]);
    for optimizer in [
        Optimizer::Sgd { momentum: 0.9, weight_decay: DECAY },
        Optimizer::Adam { weight_decay: DECAY },
        Optimizer::AdamW { weight_decay: DECAY },
    ] {
        let mut trainer =
            Trainer::<f32>::new(&ArchName::Resnet18.graph(), &state(), CLASSES, optimizer).unwrap();
        let mut moments: Vec<Vec<Moments>> = Vec::new();
        for step in 1..=STEPS {
            let before = trainer.state_dict();
            trainer.step(images, &targets, RATE).unwrap();
            let (gradients, after) = (trainer.gradients(), trainer.state_dict());
            moments.resize(gradients.len(), Vec::new());
            for ((key, gradient), moments) in gradients.iter().zip(&mut moments) {
                moments.resize(gradient.data.len(), Moments::default());
                let values = before[key].data.iter().zip(&gradient.data).zip(&after[key].data);
                for (((&value, &gradient), &found), moments) in values.zip(moments) {
                    let expected = defined(optimizer, step, f64::from(value), f64::from(gradient), moments);
                    // Adam divides a gradient by its own size: where decay and gradient cancel, their rounding shows.
                    let decayed = f64::from(gradient) + DECAY * f64::from(value);
                    let parts = f64::from(gradient).abs() + DECAY * f64::from(value).abs();
                    moments.cancelled = moments.cancelled.max(parts / decayed.abs());
                    let change = 1e-5 + 4e-7 * moments.cancelled;
                    let allowed = change * RATE + 2e-7 * expected.abs();
                    assert!(
                        (f64::from(found) - expected).abs() <= allowed,
                        "{optimizer:?}, step {step}, {key}: {found} instead of {expected}"
                    );
                }
            }
        }
    }
}
