//! A training step on our kernels against the same step on Burn: losses, gradients, running statistics.

use crate::common::{CLASSES, filled_state, host, numbers};
use burn::module::{Module as _, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use locam_arch::ArchName;
use locam_core::Size;
use locam_infer::{Images, Pixels};
use locam_net::Network;
use locam_step::{CrossEntropy, FrozenOutput, Optimizer, Trainer};

const BATCH: usize = 4;
const SIZE: Size = Size::new(64, 96);
const LABELS: [usize; BATCH] = [0, 3, 1, 4];

/// The gradients of all parameters in the order of their ids, which is the order of the layers.
struct Collector<'a> {
    gradients: &'a GradientsParams,
    found: Vec<(u64, Vec<f32>)>,
}

impl ModuleVisitor for Collector<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.found.push((param.id.val(), host(gradient)));
        }
    }
}

fn planes(batch: &str) -> Vec<f32> {
    let count = BATCH * 3 * SIZE.area() as usize;
    numbers(batch, count).into_iter().map(|unit| (2.0 * unit - 1.0) as f32).collect()
}

/// The loss, and the gradients of all layers that are not frozen.
fn burn_step(arch: ArchName, planes: &[f32], is_frozen: fn(&str) -> bool) -> (f32, Vec<Vec<f32>>) {
    let device = Device::flex().autodiff();
    let network = Network::from_state(arch, CLASSES, &filled_state(arch), &device).unwrap();
    let network = network.freeze_layers(is_frozen);
    let shape = [BATCH, 3, SIZE.height as usize, SIZE.width as usize];
    let images = Tensor::<4>::from_data(TensorData::new(planes.to_vec(), shape), &device);
    let labels: Vec<i64> = LABELS.iter().map(|&label| i64::from(label as u32)).collect();
    let index = Tensor::<2, Int>::from_data(TensorData::new(labels, [BATCH, 1]), &device);
    let loss = log_softmax(network.forward(images), 1).gather(1, index).mean().neg();
    let value = loss.clone().into_scalar::<f32>();
    let gradients = GradientsParams::from_grads(loss.backward(), &network);
    let mut collector = Collector { gradients: &gradients, found: Vec::new() };
    network.visit(&mut collector);
    collector.found.sort_by_key(|(id, _)| *id);
    (value, collector.found.into_iter().map(|(_, gradient)| gradient).collect())
}

/// How far each parameter's gradient is from Burn's, as a part of its length.
fn errors(arch: ArchName, planes: &[f32], is_frozen: fn(&str) -> bool) -> Vec<(String, f32)> {
    let (loss, expected) = burn_step(arch, planes, is_frozen);
    let graph = arch.graph();
    let optimizer = Optimizer::Sgd { momentum: 0.9, weight_decay: 0.0 };
    let trainer = Trainer::<f32>::new(&graph, &filled_state(arch), CLASSES, optimizer).unwrap();
    let mut trainer = trainer.with_rates(|layer| if is_frozen(layer) { 0.0 } else { 1.0 });
    let images = Images { count: BATCH, size: SIZE, pixels: Pixels::Planes(planes) };
    let targets = CrossEntropy::plain(CLASSES).targets_of_labels(&LABELS);
    let outcome = trainer.step(images, &targets, 0.0).unwrap();
    assert!((outcome.loss as f32 - loss).abs() < 1e-3 * loss.abs(), "{arch}: {} and {loss}", outcome.loss);
    let found = trainer.gradients();
    let keys = graph.parameters(CLASSES).into_iter().map(|(key, _)| key);
    let keys: Vec<String> = keys.filter(|key| !is_frozen(key.rsplit_once('.').unwrap().0)).collect();
    assert_eq!(keys.len(), expected.len(), "{arch}: one gradient per parameter");
    // A bias whose every effect the next batch normalisation takes away has a gradient of nothing but rounding.
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>().sqrt();
    let longest = expected.iter().fold(0f32, |longest, g| longest.max(norm(&mut g.iter().copied())));
    let error = |(key, expected): (String, &Vec<f32>)| {
        let length = norm(&mut expected.iter().copied()).max(1e-5 * longest);
        let off = norm(&mut found[&key].data.iter().zip(expected).map(|(a, b)| a - b));
        (key, off / length)
    };
    keys.into_iter().zip(&expected).map(error).collect()
}

/// Batches that are tried for one in which no derivative jumps.
const MOST_BATCHES: usize = 16;

/// Demands that every parameter's gradient has the length and direction of Burn's in one of several batches: the
/// difference is at most a part of its length. Where a rectifier's input or the lead of a pooling's winner is a
/// rounding away from zero, a derivative jumps, and every gradient before it with it: of about a million rectified values one
/// is, in most batches. A fault is in all of them.
fn compare(arch: ArchName, is_frozen: fn(&str) -> bool, tolerance: f32) {
    let mut least: Vec<(String, f32)> = Vec::new();
    for batch in 1..=MOST_BATCHES {
        let errors = errors(arch, &planes(&format!("batch {batch}")), is_frozen);
        println!("{arch}, batch {batch}: {:?}", errors.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap());
        if least.is_empty() {
            least = errors;
        } else {
            for (least, (_, error)) in least.iter_mut().zip(errors) {
                least.1 = least.1.min(error);
            }
        }
        if least.iter().all(|(_, error)| *error <= tolerance) {
            return;
        }
    }
    let (key, error) = least.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    panic!("{arch}: the gradient to {key} is off by {error} of its length");
}

#[test]
fn resnet18_has_burns_gradients() {
    compare(ArchName::Resnet18, |_| false, 1e-3);
}

#[test]
fn squeezenet_with_its_concatenations_has_burns_gradients() {
    compare(ArchName::Squeezenet1_1, |_| false, 1e-4);
}

#[test]
fn mobilenet_with_its_depthwise_convolutions_has_burns_gradients() {
    compare(ArchName::MobilenetV2, |_| false, 3e-2);
}

#[test]
fn vgg16_with_its_biases_has_burns_gradients() {
    compare(ArchName::Vgg16, |_| false, 1e-2);
}

#[test]
fn resnet18_with_frozen_layers_has_burns_gradients() {
    let is_frozen =
        |layer: &str| ["conv1", "bn1", "layer1", "layer2"].iter().any(|one| layer.starts_with(one));
    compare(ArchName::Resnet18, is_frozen, 1e-3);
}

#[test]
fn squeezenet_with_frozen_concatenations_has_burns_gradients() {
    let is_frozen =
        |layer: &str| ["features.0", "features.3.", "features.4."].iter().any(|one| layer.starts_with(one));
    compare(ArchName::Squeezenet1_1, is_frozen, 1e-4);
}

#[test]
fn frozen_layers_stay_bit_for_bit_on_both_engines() {
    let arch = ArchName::MobilenetV2;
    let is_frozen = |layer: &str| (0..8).any(|place| layer.starts_with(&format!("features.{place}.")));
    let before = filled_state(arch);
    let optimizer = Optimizer::AdamW { weight_decay: 0.1 };
    let trainer = Trainer::<f32>::new(&arch.graph(), &before, CLASSES, optimizer).unwrap();
    let mut trainer = trainer.with_rates(|layer| if is_frozen(layer) { 0.0 } else { 1.0 });
    let planes = planes("training step");
    let images = Images { count: BATCH, size: SIZE, pixels: Pixels::Planes(&planes) };
    let targets = CrossEntropy::plain(CLASSES).targets_of_labels(&LABELS);
    trainer.step(images, &targets, 1e-2).unwrap();

    let device = Device::flex().autodiff();
    let network = Network::from_state(arch, CLASSES, &before, &device).unwrap().freeze_layers(is_frozen);
    let shape = [BATCH, 3, SIZE.height as usize, SIZE.width as usize];
    network.forward(Tensor::<4>::from_data(TensorData::new(planes.clone(), shape), &device));

    for (key, value) in trainer.state_dict() {
        let frozen = is_frozen(key.rsplit_once('.').unwrap().0);
        assert_eq!(value == before[&key], frozen, "{key}");
    }
    for (key, value) in network.state_dict().into_iter().filter(|(key, _)| key.contains("running")) {
        assert_eq!(value == before[&key], is_frozen(key.rsplit_once('.').unwrap().0), "{key}");
    }
}

#[test]
fn steps_that_begin_behind_frozen_layers_are_the_same() {
    for (arch, frozen) in [
        (ArchName::Resnet18, &["conv1", "bn1", "layer1", "layer2"][..]),
        (ArchName::MobilenetV2, &["features.0.", "features.1.", "features.2."]),
        (ArchName::Squeezenet1_1, &["features.0", "features.3.", "features.4."]),
    ] {
        let trainer = || {
            let optimizer = Optimizer::Sgd { momentum: 0.9, weight_decay: 0.0 };
            let trainer =
                Trainer::<f32>::new(&arch.graph(), &filled_state(arch), CLASSES, optimizer).unwrap();
            trainer
                .with_rates(|layer| if frozen.iter().any(|one| layer.starts_with(one)) { 0.0 } else { 1.0 })
        };
        let planes = planes("training step");
        let of = |planes, count| Images { count, size: SIZE, pixels: Pixels::Planes(planes) };
        let targets = CrossEntropy::plain(CLASSES).targets_of_labels(&LABELS);
        let (mut whole, mut behind) = (trainer(), trainer());
        // What is kept was made in other batches than it is used in.
        let (first, others) = planes.split_at(planes.len() / BATCH);
        let mut kept = behind.frozen_outputs(of(first, 1)).unwrap();
        kept.extend(behind.frozen_outputs(of(others, BATCH - 1)).unwrap());
        let kept: Vec<&FrozenOutput<f32>> = kept.iter().collect();
        for _ in 0..2 {
            let expected = whole.step(of(&planes, BATCH), &targets, 1e-2).unwrap();
            assert_eq!(behind.step_behind_frozen(&kept, &targets, 1e-2).unwrap(), expected, "{arch}");
        }
        assert_eq!(behind.state_dict(), whole.state_dict(), "{arch}");
    }
}

#[test]
fn steps_begin_behind_frozen_layers_where_one_value_leaves_them() {
    let arch = ArchName::Resnet18;
    for (frozen, can) in [
        (&[][..], false),
        (&["conv1", "bn1"], true),
        (&["conv1", "bn1", "layer", "fc"], true),
        // The block's input is read behind what is frozen, too.
        (&["conv1", "bn1", "layer1.0.conv1", "layer1.0.bn1"], false),
    ] {
        let optimizer = Optimizer::Sgd { momentum: 0.9, weight_decay: 0.0 };
        let trainer = Trainer::<f32>::new(&arch.graph(), &filled_state(arch), CLASSES, optimizer).unwrap();
        let rate = |layer: &str| if frozen.iter().any(|one| layer.starts_with(one)) { 0.0 } else { 1.0 };
        assert_eq!(trainer.with_rates(rate).can_begin_behind_frozen(), can, "{frozen:?}");
    }
}

#[test]
fn the_loss_falls_along_the_gradient_as_fast_as_it_says() {
    // A finite difference of the whole network: a small step of plain SGD lowers the loss by rate * |gradient|^2.
    let arch = ArchName::Resnet18;
    let optimizer = Optimizer::Sgd { momentum: 0.0, weight_decay: 0.0 };
    let mut trainer = Trainer::<f32>::new(&arch.graph(), &filled_state(arch), CLASSES, optimizer).unwrap();
    let planes = planes("training step");
    let images = Images { count: BATCH, size: SIZE, pixels: Pixels::Planes(&planes) };
    let targets = CrossEntropy::plain(CLASSES).targets_of_labels(&LABELS);
    let rate = 1e-5;
    let before = trainer.step(images, &targets, rate).unwrap().loss;
    let square: f64 = trainer
        .gradients()
        .values()
        .flat_map(|value| &value.data)
        .map(|&g| f64::from(g) * f64::from(g))
        .sum();
    let after = trainer.step(images, &targets, rate).unwrap().loss;
    let (fell, expected) = (before - after, rate * square);
    assert!((fell / expected - 1.0).abs() < 0.1, "the loss fell by {fell}, expected {expected}");
}
