//! Weights from real files.

use crate::common::{CLASSES, fixture, shared_weights};
use locam_arch::ArchName;
use locam_net::{HeadRule, NetError, TensorValue, initial_state, merge_weights, read_weights};
use proptest::prelude::*;
use std::fs;

#[test]
fn checkpoints_of_every_container_hold_the_same_weights() {
    for name in ["zip.pth", "twenty_one_characters.pth", "legacy.pth", "nested.pth"] {
        let state = read_weights(&fixture(name)).unwrap();
        assert_eq!(state.len(), 2, "{name}: {:?}", state.keys());
        let weight = TensorValue { shape: vec![2, 3], data: vec![0.0, 0.5, 1.0, 1.5, 2.0, 2.5] };
        assert_eq!(state["a.weight"], weight, "{name}");
        assert_eq!(state["b.bias"], TensorValue { shape: vec![2], data: vec![-1.0, 3.0] }, "{name}");
    }
}

proptest! {
    #[test]
    fn truncated_checkpoints_are_errors(name in prop::sample::select(vec!["zip.pth", "legacy.pth"]), share in 0.0f64..1.0) {
        let bytes = fs::read(fixture(name)).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &bytes[..(bytes.len() as f64 * share) as usize]).unwrap();
        prop_assert!(read_weights(file.path()).is_err());
    }

    #[test]
    fn changed_checkpoints_never_panic(
        name in prop::sample::select(vec!["zip.pth", "legacy.pth", "nested.pth"]),
        share in 0.0f64..1.0,
        byte: u8,
    ) {
        let mut bytes = fs::read(fixture(name)).unwrap();
        let place = (bytes.len() as f64 * share) as usize;
        bytes[place] = byte;
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        let _ = read_weights(file.path());
    }
}

#[test]
fn missing_misshapen_and_unexpected_keys_are_all_listed() {
    let mut state = initial_state(&ArchName::Resnet18.graph(), 2, 0);
    let own = state.clone();
    state.remove("bn1.running_var");
    state.insert("extra.weight".into(), TensorValue { shape: vec![1], data: vec![0.0] });
    state.insert("conv1.weight".into(), TensorValue { shape: vec![3], data: vec![0.0; 3] });
    let merged = merge_weights(ArchName::Resnet18, 2, own, &state, HeadRule::Keep);
    let error = merged.unwrap_err().to_string();
    assert_eq!(
        error,
        "the weights do not fit resnet18 with 2 classes; missing (1): bn1.running_var; of another shape (1): \
         conv1.weight is [3] instead of [64, 3, 7, 7]; unexpected (1): extra.weight; choose the architecture that \
         they were made for"
    );
}

#[test]
fn an_old_head_is_dropped_by_name_whatever_its_shape() {
    let graph = ArchName::Vgg16.graph();
    let own = initial_state(&graph, 2, 0);
    let mut state = initial_state(&graph, 7, 1);
    let other_conv = state["features.28.weight"].clone();
    state.insert("classifier.0.weight".into(), TensorValue { shape: vec![1], data: vec![0.0] });
    state.insert("features.0.num_batches_tracked".into(), TensorValue { shape: vec![1], data: vec![0.0] });
    let (loaded, report) = merge_weights(ArchName::Vgg16, 2, own.clone(), &state, HeadRule::Replace).unwrap();
    assert_eq!(report.dropped, ["classifier.0.weight", "classifier.bias", "classifier.weight"]);
    assert_eq!((report.loaded, report.unexpected.len()), (26, 0));
    assert_eq!(loaded["classifier.weight"], own["classifier.weight"]);
    assert_eq!(loaded["features.28.weight"], other_conv);
}

#[test]
fn pretrained_weights_load_whole() {
    let cases = [
        ("resnet18_imagenet_f16.safetensors", ArchName::Resnet18, 1000, HeadRule::Keep),
        ("resnet18_imagenet_f16.safetensors", ArchName::Resnet18, CLASSES, HeadRule::Replace),
        ("squeezenet1_1.safetensors", ArchName::Squeezenet1_1, 1000, HeadRule::Keep),
        ("mobilenet_v2_features.pth", ArchName::MobilenetV2, CLASSES, HeadRule::Replace),
    ];
    for (file, arch, classes, rule) in cases {
        let Some(path) = shared_weights(file) else { continue };
        let state = read_weights(&path).unwrap();
        let own = initial_state(&arch.graph(), classes, 0);
        let tensors = own.len() - if rule == HeadRule::Replace { 2 } else { 0 };
        let (loaded, report) = merge_weights(arch, classes, own, &state, rule).unwrap();
        assert_eq!(report.loaded, tensors, "{file}");
        assert_eq!(report.unexpected, Vec::<String>::new(), "{file}");
        let first = state.keys().find(|key| key.ends_with("weight")).unwrap();
        assert_eq!(loaded[first], state[first]);
    }
}

#[test]
fn weights_of_another_architecture_are_refused() {
    let Some(path) = shared_weights("squeezenet1_1.safetensors") else { return };
    let own = initial_state(&ArchName::Resnet18.graph(), 2, 0);
    let state = read_weights(&path).unwrap();
    let error = merge_weights(ArchName::Resnet18, 2, own, &state, HeadRule::Replace).unwrap_err();
    assert!(matches!(error, NetError::Weights { ref missing, .. } if missing.len() == 100), "{error}");
}
