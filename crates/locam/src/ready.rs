//! The model that comes with the program, so that white cells are found with no training and no download.

use crate::Error;
use locam_net::Model;

/// What the ready model is called. `benchmarks/ready_model.sh` makes it, and `models/white-cells/README.md` is its card.
pub const READY_MODEL: &str = "ready model white-cells";

/// The ready model's two files are part of the binary: an installed program has no folder beside it.
const SPEC: &str = include_str!("../../../models/white-cells/model.json");
const WEIGHTS: &[u8] = include_bytes!("../../../models/white-cells/model.safetensors");

/// The ready model: white blood cells on stained smears. Not for diagnosis.
///
/// # Errors
/// None in a sound build; what [`Model::from_bytes`] says where the two files do not belong together.
pub fn ready_model() -> Result<Model, Error> {
    Ok(Model::from_bytes(SPEC, WEIGHTS, READY_MODEL)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_model_seeks_white_cells_and_was_calibrated() {
        let spec = ready_model().unwrap().spec;
        let sought: Vec<_> = spec.sought_classes().map(|(_, class)| class.name.as_str()).collect();
        assert_eq!(sought, ["WBC"]);
        assert!(!spec.provenance.thresholds_from.is_empty());
        assert!(spec.object_size.is_some() && spec.image_scale.is_some());
        assert!(WEIGHTS.len() < 8_000_000);
    }
}
