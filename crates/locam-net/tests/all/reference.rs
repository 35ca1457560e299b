//! Every architecture against values that `PyTorch` computed (`fixtures/make_reference.py`).

use crate::common::{CLASSES, assert_close, filled, filled_state, fixture, host, input};
use burn::tensor::{Device, Tensor, TensorData};
use locam_arch::ArchName;
use locam_core::Size;
use locam_infer::{Head, Images, Pixels, Plan, Precision};
use locam_net::{StateDict, read_weights};

const INPUTS: [(&str, usize, usize); 2] = [("square", 96, 96), ("oblong", 96, 160)];
/// The fixtures hold about so many channels, evenly chosen.
const KEPT_CHANNELS: usize = 128;

/// Burn's network and the CPU's plan against the same values.
fn compare(arch: ArchName) {
    let device = Device::default();
    let network = filled(arch, &device);
    let state = filled_state(arch);
    let plan = Plan::new(&arch.graph(), &state, Precision::F32).unwrap();
    let head = Head::new(&arch.graph(), &state, CLASSES).unwrap();
    let reference: StateDict = read_weights(&fixture(&format!("{arch}.safetensors"))).unwrap();
    for (case, rows, columns) in INPUTS {
        let images = input(&format!("input.{case}"), rows, columns, &device);
        let planes = host(images.clone());
        let size = Size::new(columns as u32, rows as u32);
        let images_of_plan = Images { count: 1, size, pixels: Pixels::Planes(&planes) };
        let features = network.features(images);
        let logits = host(network.logits_from_features(features.clone()));
        check(&format!("{arch} {case} on Burn"), case, &reference, features, &logits);

        let features = plan.features(images_of_plan).unwrap();
        let logits = head.logits(&features).unwrap().concat();
        let shape = [1, features.extent.height, features.extent.width, features.channels];
        let features = Tensor::<4>::from_data(TensorData::new(features.values, shape), &device);
        check(&format!("{arch} {case} planned"), case, &reference, features.permute([0, 3, 1, 2]), &logits);
    }
}

fn check(what: &str, case: &str, reference: &StateDict, features: Tensor<4>, logits: &[f32]) {
    let name = |part: &str| format!("{case}.{part}");
    let [_, channels, map_rows, map_columns] = features.dims();
    let kept = &reference[&name("features")];
    assert_eq!(kept.shape[1..], [map_rows, map_columns], "{what}");
    let values = host(features);
    let maps = values.chunks_exact(map_rows * map_columns);
    let means: Vec<f32> = maps.clone().map(|map| map.iter().sum::<f32>() / map.len() as f32).collect();
    assert_close(&format!("{what}: means"), &means, &reference[&name("channel_means")].data);
    let found = maps.step_by(channels.div_ceil(KEPT_CHANNELS)).flatten().copied().collect::<Vec<f32>>();
    assert_close(&format!("{what}: features"), &found, &kept.data);
    assert_close(&format!("{what}: logits"), logits, &reference[&name("logits")].data);
}

macro_rules! compare {
    ($($test:ident: $arch:ident,)*) => {
        $(#[test]
        fn $test() {
            compare(ArchName::$arch);
        })*

        #[test]
        fn every_architecture_is_compared() {
            assert!(ArchName::all().eq([$(ArchName::$arch),*]));
        }
    };
}

compare! {
    resnet18: Resnet18,
    resnet34: Resnet34,
    resnet50: Resnet50,
    vgg16: Vgg16,
    vgg19: Vgg19,
    squeezenet1_1: Squeezenet1_1,
    mobilenet_v2: MobilenetV2,
}
