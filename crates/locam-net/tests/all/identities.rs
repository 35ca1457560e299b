//! What class activation maps promise, on whole models and oblong images.

use crate::common::{CLASSES, assert_close, filled, filled_state, host, input, numbers};
use burn::tensor::Device;
use locam_arch::ArchName;
use locam_core::{ClassSpec, ModelSpec, Normalization, Point, Provenance, Size};
use locam_infer::{Features, Head};
use locam_kernels::Extent;
use locam_net::{
    ChannelChoice, Compute, Model, NothingKept, Precision, Predictor, WholeImage, class_maps, to_tensor,
};

/// One architecture per kind of head and stride.
const KINDS: [ArchName; 3] = [ArchName::Resnet18, ArchName::Squeezenet1_1, ArchName::MobilenetV2];

pub(crate) fn model(arch: ArchName) -> Model {
    let class = |i| ClassSpec::new(format!("class {i}"), i == 0);
    let spec = ModelSpec {
        format: ModelSpec::FORMAT,
        architecture: arch.to_string(),
        classes: (0..CLASSES).map(class).collect(),
        patch_size: 96,
        object_size: Some(40.0),
        image_scale: None,
        microns_per_pixel: None,
        stain: None,
        displacement: Point::default(),
        normalization: Normalization::Imagenet,
        resize_filter: "bilinear-antialias".to_owned(),
        weights_sha256: String::new(),
        provenance: Provenance::default(),
    };
    Model { spec, weights: filled_state(arch) }
}

fn picture(size: Size) -> Vec<u8> {
    numbers("picture", size.area() as usize * 3).into_iter().map(|unit| (unit * 256.0) as u8).collect()
}

/// On our kernels, and on Burn.
fn predictors(model: &Model) -> [Predictor; 2] {
    [Compute::Cpu, Compute::Burn(Device::flex())]
        .map(|compute| Predictor::new(model, &compute, Precision::F32).unwrap())
}

fn predictor(arch: ArchName) -> Predictor {
    Predictor::new(&model(arch), &Compute::Cpu, Precision::F32).unwrap()
}

#[test]
fn the_mean_of_a_map_is_the_logit() {
    for arch in KINDS {
        let size = Size::new(160, 96);
        let pixels = picture(size);
        for predictor in predictors(&model(arch)) {
            let logits = predictor.logits(&pixels, 1, size).unwrap().concat();
            let maps = predictor.maps(&predictor.features(&pixels, 1, size).unwrap());
            let mean = |map: &Vec<f32>| map.iter().sum::<f32>() / map.len() as f32;
            assert_close(&format!("{arch}"), &maps.iter().map(mean).collect::<Vec<_>>(), &logits);
        }
    }
}

#[test]
fn finer_maps_are_the_same_on_our_kernels_and_on_burn() {
    // Odd sides, so that phases end differently.
    let size = Size::new(161, 107);
    let pixels: Vec<u8> = [picture(size), picture(size).into_iter().rev().collect()].concat();
    for arch in KINDS {
        let model = model(arch);
        for steps in [2, 4] {
            let [ours, burn] = [Compute::Cpu, Compute::Burn(Device::flex())].map(|compute| {
                let predictor = Predictor::finer(&model, &compute, Precision::F32, steps).unwrap();
                // Two images, which run whole, and one, which runs in bands.
                let both = predictor.features(&pixels, 2, size).unwrap();
                let one = predictor.features(&pixels[..pixels.len() / 2], 1, size).unwrap();
                assert_close(
                    &format!("{arch} in {steps} steps"),
                    &one.values,
                    &both.values[..one.values.len()],
                );
                both
            });
            assert_eq!(ours.extent, burn.extent, "{arch}");
            assert_close(&format!("{arch} in {steps} steps"), &ours.values, &burn.values);
        }
    }
}

#[test]
fn a_map_is_the_head_applied_at_each_place() {
    for arch in KINDS {
        let network = filled(arch, &Device::default());
        let head = Head::new(&arch.graph(), &filled_state(arch), CLASSES).unwrap();
        let features = network.features(input("identity", 96, 160, &network.device()));
        let [_, channels, height, width] = features.dims();
        let values = host(features.clone().permute([0, 2, 3, 1]));
        let found = Features { extent: Extent { batch: 1, height, width }, channels, values };
        let maps = head.maps(&found);
        for (row, column) in [(0, 0), (height - 1, width - 1), (1, width - 2)] {
            let there = features.clone().narrow(2, row, 1).narrow(3, column, 1);
            let logits = host(network.logits_from_features(there));
            let values: Vec<f32> = maps.iter().map(|map| map[row * width + column]).collect();
            assert_close(&format!("{arch} at {row}, {column}"), &values, &logits);
        }
    }
}

#[test]
fn an_images_maps_average_to_its_logits_and_lie_as_it_lies() {
    let model = model(ArchName::Resnet18);
    let size = Size::new(320, 224);
    let pixels = picture(size);
    let network = filled(ArchName::Resnet18, &Device::default());
    let images = to_tensor(&pixels, 1, size, Normalization::Imagenet, &Device::default());
    let logits = host(network.forward(images.clone()));
    let features = host(network.features(images));
    for predictor in predictors(&model) {
        let found = class_maps(
            &predictor,
            &mut WholeImage::new(size, &pixels),
            ChannelChoice::Strongest(4),
            &NothingKept,
        )
        .unwrap();
        let means: Vec<f32> = found.maps.iter().map(|map| map.mean() as f32).collect();
        assert_close("means", &means, &logits);
        assert!(found.maps.iter().all(|map| map.size() == Size::new(10, 7)));
        assert_eq!(found.mean.transform(), predictor.graph().map_transform());
        let average: f32 = features.iter().sum::<f32>() / features.len() as f32;
        assert!((found.mean.mean() as f32 / average - 1.0).abs() < 1e-4);

        let means: Vec<f64> = found.channels.iter().map(|(_, map)| map.mean()).collect();
        assert!(means.len() == 4 && means.is_sorted_by(|a, b| a >= b), "{means:?}");
        for (channel, map) in &found.channels {
            assert_close("channel", map.values(), &features[channel * 70..(channel + 1) * 70]);
        }
        let best = features.chunks_exact(70).map(|map| map.iter().sum::<f32>()).fold(0.0, f32::max);
        assert!((means[0] as f32 * 70.0 / best - 1.0).abs() < 1e-4);
    }
}

#[test]
fn a_turned_image_has_a_turned_map_size() {
    let predictor = predictor(ArchName::Squeezenet1_1);
    let size = Size::new(224, 320);
    let pixels = picture(size);
    let mut image = WholeImage::new(size, &pixels);
    let tall = class_maps(&predictor, &mut image, ChannelChoice::None, &NothingKept).unwrap();
    assert_eq!(tall.maps[0].size(), Size::new(13, 19));
}

#[test]
fn random_channels_follow_their_seed() {
    let predictor = predictor(ArchName::Squeezenet1_1);
    let size = Size::new(240, 224);
    let drawn = |seed| -> Vec<usize> {
        let choice = ChannelChoice::Random { count: 4, seed };
        let maps =
            class_maps(&predictor, &mut WholeImage::new(size, &picture(size)), choice, &NothingKept).unwrap();
        maps.channels.iter().map(|(channel, _)| *channel).collect()
    };
    let first = drawn(1);
    let distinct: std::collections::BTreeSet<_> = first.iter().collect();
    assert_eq!(distinct.len(), 4);
    assert_eq!(first, drawn(1));
    assert_ne!(first, drawn(2));
}

#[test]
fn pixels_become_channels_in_the_images_own_order() {
    let size = Size::new(3, 2);
    let pixels: Vec<u8> = (0..36).map(|i| i * 7).collect();
    let tensor = to_tensor(&pixels, 2, size, Normalization::Unit, &Device::default());
    assert_eq!(tensor.dims(), [2, 3, 2, 3]);
    let values = host(tensor);
    for (image, channel, row, column) in [(0, 0, 0, 0), (0, 2, 1, 0), (1, 1, 0, 2), (1, 2, 1, 2)] {
        let expected = f32::from(pixels[((image * 2 + row) * 3 + column) * 3 + channel]) / 255.0;
        let found = values[((image * 3 + channel) * 2 + row) * 3 + column];
        assert!((found - expected).abs() < 1e-6);
    }
    let white = host(to_tensor(&[255; 3], 1, Size::new(1, 1), Normalization::Imagenet, &Device::default()));
    assert!(
        (white[0] - (1.0 - 0.485) / 0.229).abs() < 1e-5 && (white[2] - (1.0 - 0.406) / 0.225).abs() < 1e-5
    );
}
