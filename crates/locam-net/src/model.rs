use crate::files::{
    content_error, finish_part, part_of, read_error, sha256, sha256_of_file, write_error, write_part,
};
use crate::state::keep_known;
use crate::{NetError, StateDict, Stored, read_weights, weights};
use locam_arch::ArchName;
use locam_core::ModelSpec;
use std::fs;
use std::path::{Path, PathBuf};

const WEIGHTS: &str = "model.safetensors";
const SPEC: &str = "model.json";
/// Where a run folder keeps the model to use.
const BEST: &str = "best";

/// The weights of a network with everything that is needed to use them.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Classes, preprocessing, provenance.
    pub spec: ModelSpec,
    /// The weights, by torchvision's names.
    pub weights: StateDict,
}

impl Model {
    /// Writes `model.safetensors`, of 32-bit floats, and `model.json` into `folder`, which is made where it is missing.
    ///
    /// The spec's hash is set to that of the weights. Both files are written beside their old versions first and
    /// renamed last, so that a model can be loaded whenever the program is stopped.
    ///
    /// # Errors
    /// [`NetError::Write`].
    pub fn save(&self, folder: &Path) -> Result<(), NetError> {
        self.save_as(folder, Stored::Full)
    }

    /// As [`Model::save`], with weights of another type; rounded weights have a hash of their own.
    ///
    /// # Errors
    /// [`NetError::Write`].
    pub fn save_as(&self, folder: &Path, stored: Stored) -> Result<(), NetError> {
        fs::create_dir_all(folder).map_err(|source| write_error(folder, source))?;
        let (weights_path, spec_path) = (folder.join(WEIGHTS), folder.join(SPEC));
        let bytes = weights::safetensors_bytes(&self.weights, stored, &weights_path)?;
        let spec = ModelSpec { weights_sha256: sha256(&bytes), ..self.spec.clone() };
        write_part(&weights_path, &bytes)?;
        write_part(&spec_path, &json(&spec, &spec_path)?)?;
        finish_part(&weights_path)?;
        finish_part(&spec_path)
    }

    /// Replaces the description alone in the folder of a saved model, or the run folder around it.
    ///
    /// # Errors
    /// A folder without a model, or files that can't be written.
    pub fn save_spec(&self, folder: &Path) -> Result<(), NetError> {
        let spec_path = find(folder)?.join(SPEC);
        write_part(&spec_path, &json(&self.spec, &spec_path)?)?;
        finish_part(&spec_path)
    }

    /// The bytes that the weights of a saved model take on disk.
    ///
    /// # Errors
    /// A folder without a model.
    pub fn weights_bytes(folder: &Path) -> Result<u64, NetError> {
        let path = find(folder)?.join(WEIGHTS);
        fs::metadata(&path).map(|file| file.len()).map_err(|source| read_error(&path, source))
    }

    /// Loads a model from its folder, or the best one from a run folder.
    ///
    /// # Errors
    /// [`NetError::Read`] or [`NetError::Content`] where a file is missing, damaged, of a newer format or names an
    /// unknown architecture, [`NetError::Hash`] where the weights are not those that the description was written
    /// for, [`NetError::Weights`] where they do not fit the architecture.
    pub fn load(folder: &Path) -> Result<Self, NetError> {
        let folder = find(folder)?;
        let (weights_path, spec_path) = (folder.join(WEIGHTS), folder.join(SPEC));
        let found = sha256_of_file(&weights_path)?;
        let spec = read_spec(&spec_path)?;
        // A save that was stopped between its two renames has left the new description under its temporary name.
        let spec = match read_spec(&part_of(&spec_path)) {
            Ok(newer) if spec.weights_sha256 != found && newer.weights_sha256 == found => newer,
            _ => spec,
        };
        if spec.weights_sha256 != found {
            let advice = "copy the whole model folder again, or train again";
            return Err(NetError::Hash { path: weights_path, expected: spec.weights_sha256, found, advice });
        }
        Self::assemble(spec, read_weights(&weights_path)?, &spec_path)
    }

    /// A model from the content of its two files, `model.json` and `model.safetensors`; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`Model::load`], for what is damaged or does not belong together.
    pub fn from_bytes(spec: &str, weights: &[u8], name: &str) -> Result<Self, NetError> {
        let path = Path::new(name);
        let spec = parse_spec(spec, path)?;
        let found = sha256(weights);
        if spec.weights_sha256 != found {
            let advice = "give weights and description of one model";
            return Err(NetError::Hash {
                path: path.to_owned(),
                expected: spec.weights_sha256,
                found,
                advice,
            });
        }
        Self::assemble(spec, weights::decode_safetensors(weights, path)?, path)
    }

    fn assemble(spec: ModelSpec, weights: StateDict, spec_path: &Path) -> Result<Self, NetError> {
        let arch: ArchName = spec
            .architecture
            .parse()
            .map_err(|error| content_error(spec_path, format!("{error}; a newer locam may know it")))?;
        let weights = keep_known(arch, spec.classes.len(), weights)?;
        Ok(Self { spec, weights })
    }
}

/// The folder with `model.json`: the given one, or a run folder's best.
fn find(folder: &Path) -> Result<PathBuf, NetError> {
    let candidates = [folder.to_owned(), folder.join(BEST)];
    candidates.into_iter().find(|folder| folder.join(SPEC).is_file()).ok_or_else(|| {
        let reason =
            format!("there is no {SPEC} in it nor in its folder `{BEST}`; give a model or run folder");
        content_error(folder, reason)
    })
}

/// A description as it is written to `path`.
fn json(spec: &ModelSpec, path: &Path) -> Result<Vec<u8>, NetError> {
    let mut text = serde_json::to_string_pretty(spec).map_err(|error| {
        content_error(path, format!("the model's description cannot be written: {error}"))
    })?;
    text.push('\n');
    Ok(text.into_bytes())
}

fn read_spec(path: &Path) -> Result<ModelSpec, NetError> {
    parse_spec(&fs::read_to_string(path).map_err(|source| read_error(path, source))?, path)
}

fn parse_spec(text: &str, path: &Path) -> Result<ModelSpec, NetError> {
    let damaged = |error: serde_json::Error| {
        let reason = format!(
            "it is no description of a model ({error}); copy the model's folder anew, or train again"
        );
        content_error(path, reason)
    };
    // The version is read first: a newer format may have other fields.
    let value: serde_json::Value = serde_json::from_str(text).map_err(damaged)?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format > u64::from(ModelSpec::FORMAT) => {
            let known = ModelSpec::FORMAT;
            let reason =
                format!("its format {format} is newer than {known}, which this program knows; update locam");
            Err(content_error(path, reason))
        }
        _ => checked(serde_json::from_value(value).map_err(damaged)?, path),
    }
}

/// A description whose numbers make sense.
fn checked(spec: ModelSpec, path: &Path) -> Result<ModelSpec, NetError> {
    let senseless = |class: &&locam_core::ClassSpec| {
        let numbers = [Some(class.midpoint), Some(class.temperature), Some(class.threshold), class.contour];
        class.temperature <= 0.0 || !numbers.into_iter().flatten().all(f64::is_finite)
    };
    let is_length = |side: f64| side.is_finite() && side > 0.0;
    let boxless = |class: &&locam_core::ClassSpec| {
        class.usual_box.is_some_and(|usual| {
            !is_length(usual.width) || !is_length(usual.height) || !(0.0..=1.0).contains(&usual.weight)
        })
    };
    if let Some(class) = spec.classes.iter().find(boxless) {
        let reason =
            format!("its class {} has a usual box that makes no sense; calibrate or train again", class.name);
        return Err(content_error(path, reason));
    }
    let senseless_cut =
        |class: &&locam_core::ClassSpec| class.min_visible.is_some_and(|least| !(0.0..=1.0).contains(&least));
    if let Some(class) = spec.classes.iter().find(senseless_cut) {
        let reason = format!(
            "its class {} is told at the border from {} of an object on, which makes no sense; calibrate or train again",
            class.name,
            class.min_visible.unwrap_or_default()
        );
        return Err(content_error(path, reason));
    }
    let sizes = spec.classes.iter().map(|class| class.object_size).chain([spec.object_size]);
    if let Some(size) = sizes.flatten().find(|&size| !is_length(size)) {
        return Err(content_error(path, format!("an object size of {size} makes no sense; train again")));
    }
    match spec.classes.iter().find(senseless) {
        None => Ok(spec),
        Some(class) => {
            let reason = format!(
                "its class {} has the midpoint {}, the temperature {}, the threshold {} and the contour {}, which make no sense; \
                 calibrate or train again",
                class.name,
                class.midpoint,
                class.temperature,
                class.threshold,
                class.contour.unwrap_or(class.threshold)
            );
            Err(content_error(path, reason))
        }
    }
}
