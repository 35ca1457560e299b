//! Every architecture against values that `PyTorch` computed (`fixtures/make_reference.py`).

use crate::common::{assert_close, filled, fixture, host, input};
use burn::tensor::Device;
use locam_arch::ArchName;
use locam_net::{StateDict, read_weights};

const INPUTS: [(&str, usize, usize); 2] = [("square", 96, 96), ("oblong", 96, 160)];
/// The fixtures hold about so many channels, evenly chosen.
const KEPT_CHANNELS: usize = 128;

fn compare(arch: ArchName) {
    let device = Device::default();
    let network = filled(arch, &device);
    let reference: StateDict = read_weights(&fixture(&format!("{arch}.safetensors"))).unwrap();
    for (case, rows, columns) in INPUTS {
        let name = |part: &str| format!("{case}.{part}");
        let features = network.features(input(&format!("input.{case}"), rows, columns, &device));
        let [_, channels, map_rows, map_columns] = features.dims();
        let kept = &reference[&name("features")];
        assert_eq!(kept.shape[1..], [map_rows, map_columns], "{arch} {case}");

        let values = host(features.clone());
        let means: Vec<f32> = values
            .chunks_exact(map_rows * map_columns)
            .map(|map| map.iter().sum::<f32>() / map.len() as f32)
            .collect();
        assert_close(&format!("{arch} {case} means"), &means, &reference[&name("channel_means")].data);

        let maps = values.chunks_exact(map_rows * map_columns);
        let found = maps.step_by(channels.div_ceil(KEPT_CHANNELS)).flatten().copied().collect::<Vec<f32>>();
        assert_close(&format!("{arch} {case} features"), &found, &kept.data);

        let logits = host(network.logits_from_features(features));
        assert_close(&format!("{arch} {case} logits"), &logits, &reference[&name("logits")].data);
    }
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
