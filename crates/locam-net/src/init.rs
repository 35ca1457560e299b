//! How tensors start before training: torchvision's rules, drawn so that a tensor depends on the seed and its own
//! name alone, and not on the device, the order of the layers or the number of threads.

use crate::{StateDict, TensorValue};
use locam_arch::{Conv, ConvInit, Graph, HeadInit, Op};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use sha2::{Digest as _, Sha256};
use std::f64::consts::TAU;

/// All tensors of a network before training, with torchvision's initialisation drawn from `seed` alone.
pub fn initial_state(graph: &Graph, classes: usize, seed: u64) -> StateDict {
    let mut state = StateDict::new();
    for node in graph.nodes() {
        match &node.op {
            Op::Conv2d(conv) => insert_conv(&mut state, conv, graph.conv_init(), seed),
            Op::BatchNorm { key, channels } => insert_batch_norm(&mut state, key, *channels),
            Op::Input
            | Op::Relu
            | Op::Relu6
            | Op::MaxPool(_)
            | Op::Add
            | Op::Concat
            | Op::Skip { .. }
            | Op::Interleave(_) => {}
        }
    }
    insert_head(&mut state, graph, classes, seed);
    state
}

fn insert_conv(state: &mut StateDict, conv: &Conv, init: ConvInit, seed: u64) {
    let shape = conv.weight_shape();
    let key = format!("{}.weight", conv.key);
    let window = (conv.kernel * conv.kernel) as f64;
    let mut numbers = Numbers::new(seed, &key);
    let count = shape.iter().product();
    let data = match init {
        // Torchvision counts all output channels, also in grouped convolutions.
        ConvInit::KaimingNormalFanOut => {
            numbers.normal(count, (2.0 / (conv.channels_out as f64 * window)).sqrt())
        }
        ConvInit::KaimingUniformFanIn => numbers.uniform(count, (6.0 / (shape[1] as f64 * window)).sqrt()),
    };
    state.insert(key, TensorValue { shape: shape.to_vec(), data });
    if conv.bias {
        insert_constant(state, format!("{}.bias", conv.key), conv.channels_out, 0.0);
    }
}

fn insert_batch_norm(state: &mut StateDict, key: &str, channels: usize) {
    for (part, value) in [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
        insert_constant(state, format!("{key}.{part}"), channels, value);
    }
}

fn insert_head(state: &mut StateDict, graph: &Graph, classes: usize, seed: u64) {
    let head = graph.head();
    let (weight_key, bias_key) = (format!("{}.weight", head.key), format!("{}.bias", head.key));
    let count = classes * head.in_features;
    let mut numbers = Numbers::new(seed, &weight_key);
    let (weight, bias) = match head.init {
        HeadInit::UniformFanIn => {
            let bound = 1.0 / (head.in_features as f64).sqrt();
            (numbers.uniform(count, bound), Numbers::new(seed, &bias_key).uniform(classes, bound))
        }
        HeadInit::SmallNormal => (numbers.normal(count, 0.01), vec![0.0; classes]),
    };
    state.insert(weight_key, TensorValue { shape: head.weight_shape(classes), data: weight });
    state.insert(bias_key, TensorValue { shape: vec![classes], data: bias });
}

fn insert_constant(state: &mut StateDict, key: String, count: usize, value: f32) {
    state.insert(key, TensorValue { shape: vec![count], data: vec![value; count] });
}

/// Random numbers of one tensor.
struct Numbers(ChaCha8Rng);

impl Numbers {
    fn new(seed: u64, key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(key.as_bytes());
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// In 0..1, never 0.
    fn unit(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn uniform(&mut self, count: usize, bound: f64) -> Vec<f32> {
        (0..count).map(|_| ((2.0 * self.unit() - 1.0) * bound) as f32).collect()
    }

    /// Normal numbers by the method of Box and Muller.
    fn normal(&mut self, count: usize, deviation: f64) -> Vec<f32> {
        let draw = |numbers: &mut Self| {
            let radius = (-2.0 * numbers.unit().ln()).sqrt();
            (radius * (TAU * numbers.unit()).cos() * deviation) as f32
        };
        (0..count).map(|_| draw(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_arch::ArchName;

    fn deviation(values: &[f32]) -> f64 {
        let squares: f64 = values.iter().map(|&v| f64::from(v).powi(2)).sum();
        (squares / values.len() as f64).sqrt()
    }

    #[test]
    fn weights_have_the_deviation_of_their_rule() {
        let resnet = initial_state(&ArchName::Resnet18.graph(), 2, 1);
        let conv = deviation(&resnet["layer4.1.conv2.weight"].data);
        assert!((conv / (2.0 / (512.0 * 9.0f64)).sqrt() - 1.0).abs() < 0.01, "{conv}");
        let head = &resnet["fc.weight"].data;
        assert!(head.iter().all(|v| v.abs() <= 1.0 / 512f32.sqrt()));
        assert!((deviation(head) * (3.0 * 512.0f64).sqrt() - 1.0).abs() < 0.1);

        let squeezenet = initial_state(&ArchName::Squeezenet1_1.graph(), 2, 1);
        let expand = &squeezenet["features.12.expand3x3.weight"].data;
        let bound = (6.0 / (64.0 * 9.0f32)).sqrt();
        assert!(expand.iter().all(|v| v.abs() <= bound) && expand.iter().any(|v| v.abs() > 0.99 * bound));
        assert!((deviation(&squeezenet["classifier.1.weight"].data) / 0.01 - 1.0).abs() < 0.1);
    }

    #[test]
    fn tensors_depend_on_the_seed_and_their_key_alone() {
        let two = initial_state(&ArchName::Resnet18.graph(), 2, 1);
        let three = initial_state(&ArchName::Resnet34.graph(), 3, 1);
        let other = initial_state(&ArchName::Resnet18.graph(), 2, 2);
        assert_eq!(two["layer1.0.conv1.weight"], three["layer1.0.conv1.weight"]);
        assert_ne!(two["layer1.0.conv1.weight"], other["layer1.0.conv1.weight"]);
        assert_ne!(two["layer1.0.conv1.weight"].data, two["layer1.0.conv2.weight"].data);
    }
}
