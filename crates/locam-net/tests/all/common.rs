//! What the tests share: the formula of `fixtures/make_reference.py`, closeness, places of files.

use burn::tensor::{Device, Tensor, TensorData};
use locam_arch::ArchName;
use locam_net::{Network, StateDict, TensorValue};
use std::path::PathBuf;

/// Classes of the reference networks.
pub(crate) const CLASSES: usize = 5;

/// Numbers in 0..1 from a key, the same as `numbers` in `make_reference.py`.
pub(crate) fn numbers(key: &str, count: usize) -> Vec<f64> {
    let fnv = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    let seed = key.bytes().fold(2_166_136_261, fnv);
    let mix = |i: usize| {
        let mut x = seed.wrapping_add((i as u32).wrapping_mul(2_654_435_761));
        for _ in 0..2 {
            x = (x ^ (x >> 16)).wrapping_mul(0x045d_9f3b);
        }
        f64::from(x ^ (x >> 16)) / 4_294_967_296.0
    };
    (0..count).map(mix).collect()
}

/// A tensor of a state dict, the same as `fill` in `make_reference.py`.
fn fill(key: &str, shape: &[usize]) -> TensorValue {
    let fan_in: usize = shape.iter().skip(1).product();
    let value = |unit: f64| {
        let centred = 2.0 * unit - 1.0;
        if shape.len() > 1 {
            centred * (4.0 / fan_in as f64).sqrt()
        } else if key.ends_with(".running_var") {
            0.5 + unit
        } else if key.ends_with(".weight") {
            0.75 + 0.5 * unit
        } else {
            0.1 * centred
        }
    };
    let data = numbers(key, shape.iter().product()).into_iter().map(|unit| value(unit) as f32).collect();
    TensorValue { shape: shape.to_vec(), data }
}

/// The tensors of a network, all filled by the formula.
pub(crate) fn filled_state(arch: ArchName) -> StateDict {
    let shapes = arch.graph().state_shapes(CLASSES);
    shapes.into_iter().map(|(key, shape)| (key.clone(), fill(&key, &shape))).collect()
}

/// The network of these tensors.
pub(crate) fn filled(arch: ArchName, device: &Device) -> Network {
    Network::from_state(arch, CLASSES, &filled_state(arch), device).unwrap()
}

/// An input [1, 3, rows, columns] in -1..1 from the formula.
pub(crate) fn input(key: &str, rows: usize, columns: usize, device: &Device) -> Tensor<4> {
    let unit = numbers(key, 3 * rows * columns).into_iter();
    let values: Vec<f32> = unit.map(|unit| (2.0 * unit - 1.0) as f32).collect();
    Tensor::from_data(TensorData::new(values, [1, 3, rows, columns]), device)
}

pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// Demands `|a - b| <= 1e-5 * max |b| + 1e-3 * |b|`, where `b` is the reference.
#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[f32], reference: &[f32]) {
    assert_eq!(found.len(), reference.len(), "{what}: number of values");
    let largest = reference.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    for (i, (a, b)) in found.iter().zip(reference).enumerate() {
        assert!((a - b).abs() <= 1e-5 * largest + 1e-3 * b.abs(), "{what}: value {i} is {a}, expected {b}");
    }
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).join(name)
}

/// A file of pretrained weights, where the machine has it.
pub(crate) fn shared_weights(name: &str) -> Option<PathBuf> {
    shared(&format!("weights/{name}"))
}

/// A file beside the project, where the machine has it.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared = std::env::var_os("LOCAM_SHARED").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let path = shared.join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there; set LOCAM_SHARED", path.display());
    None
}
