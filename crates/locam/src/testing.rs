//! A model without training, for tests.

use locam_arch::ArchName;
use locam_core::{ClassSpec, ModelSpec, Normalization, Point, Provenance};
use locam_net::{Model, initial_state};

/// A model of two classes, the first of them background, for objects of 40 pixels.
pub(crate) fn model(arch: ArchName) -> Model {
    let class = |i: usize| ClassSpec::new(format!("class {i}"), i == 0);
    let spec = ModelSpec {
        format: ModelSpec::FORMAT,
        architecture: arch.to_string(),
        classes: (0..2).map(class).collect(),
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
    Model { spec, weights: initial_state(&arch.graph(), 2, 1) }
}
