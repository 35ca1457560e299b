//! The model folder: saved, loaded, damaged.

use crate::identities::model;
use locam_arch::ArchName;
use locam_net::{Model, NetError, Stored};
use std::fs;
use std::path::Path;

fn saved() -> (tempfile::TempDir, Model) {
    let folder = tempfile::tempdir().unwrap();
    let model = model(ArchName::Squeezenet1_1);
    model.save(folder.path()).unwrap();
    (folder, model)
}

fn load(folder: &Path) -> Result<Model, NetError> {
    Model::load(folder)
}

/// The error of loading after `change` was made to the description.
fn error_after(change: impl Fn(&str) -> String) -> String {
    let (folder, _) = saved();
    let path = folder.path().join("model.json");
    let text = fs::read_to_string(&path).unwrap();
    let changed = change(&text);
    assert_ne!(changed, text);
    fs::write(&path, changed).unwrap();
    load(folder.path()).unwrap_err().to_string()
}

#[test]
fn a_saved_model_is_the_same_when_loaded() {
    let (folder, model) = saved();
    let loaded = load(folder.path()).unwrap();
    assert_eq!(loaded.spec.weights_sha256.len(), 64);
    assert_eq!(loaded.spec.classes, model.spec.classes);
    assert_eq!(loaded.weights, model.weights);
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["model.json", "model.safetensors"]);
}

#[test]
fn a_run_folders_best_model_is_found() {
    let run = tempfile::tempdir().unwrap();
    model(ArchName::Squeezenet1_1).save(&run.path().join("best")).unwrap();
    assert_eq!(load(run.path()).unwrap().spec.architecture, "squeezenet1_1");
}

#[test]
fn a_save_stopped_between_its_renames_still_loads() {
    let (folder, old) = saved();
    let newer = tempfile::tempdir().unwrap();
    let mut changed = old.clone();
    changed.spec.patch_size = 77;
    changed.weights = locam_net::initial_state(&ArchName::Squeezenet1_1.graph(), 5, 9);
    changed.save(newer.path()).unwrap();
    fs::copy(newer.path().join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    fs::copy(newer.path().join("model.json"), folder.path().join(".model.json.part")).unwrap();
    let loaded = load(folder.path()).unwrap();
    assert_eq!(loaded.spec.patch_size, 77);
    assert_eq!(loaded.weights, changed.weights);
}

#[test]
fn missing_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("there is no model.json in it nor in its folder `best`"), "{error}");
    let (folder, _) = saved();
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(error.starts_with("cannot read") && error.contains("model.safetensors"), "{error}");
}

#[test]
fn damaged_descriptions_are_told_apart() {
    let error = error_after(|text| text[..text.len() / 2].to_owned());
    assert!(error.contains("it is no description of a model"), "{error}");
    let error = error_after(|text| text.replace("\"patch_size\"", "\"patch_seize\""));
    assert!(error.contains("patch_seize"), "{error}");
    let error = error_after(|text| text.replace("\"format\": 3", "\"format\": 4"));
    assert!(
        error.contains("its format 4 is newer than 3, which this program knows; update locam"),
        "{error}"
    );
    let error = error_after(|text| text.replacen("\"temperature\": 1.0", "\"temperature\": -1.0", 1));
    assert!(
        error.contains(
            "its class class 0 has the midpoint 0, the temperature -1, the threshold 0 and the contour 0"
        ),
        "{error}"
    );
    let error = error_after(|text| text.replace("\"object_size\": 40.0", "\"object_size\": 0.0"));
    assert!(error.contains("an object size of 0 makes no sense"), "{error}");
    let error =
        error_after(|text| text.replacen("\"temperature\"", "\"object_size\": -4.0, \"temperature\"", 1));
    assert!(error.contains("an object size of -4 makes no sense"), "{error}");
    let error = error_after(|text| text.replace("squeezenet1_1", "squeezenet9"));
    assert!(error.contains("unknown architecture `squeezenet9`"), "{error}");
}

#[test]
fn changed_weights_are_noticed() {
    let (folder, _) = saved();
    let path = folder.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = load(folder.path()).unwrap_err();
    assert!(matches!(error, NetError::Hash { .. }), "{error}");
}

#[test]
fn a_description_of_another_network_is_refused() {
    let error = error_after(|text| text.replace("\"squeezenet1_1\"", "\"resnet18\""));
    assert!(error.contains("the weights do not fit resnet18 with 5 classes; missing"), "{error}");
}

#[test]
fn a_model_of_halves_is_half_as_large_and_as_valid() {
    let (whole, model) = saved();
    let halves = tempfile::tempdir().unwrap();
    model.save_as(halves.path(), Stored::Half).unwrap();
    let loaded = load(halves.path()).unwrap();
    assert_ne!(loaded.spec.weights_sha256, load(whole.path()).unwrap().spec.weights_sha256);
    let [large, small] = [whole.path(), halves.path()].map(|folder| Model::weights_bytes(folder).unwrap());
    assert!(small * 10 < large * 6, "{small} bytes of {large}");
    for (key, value) in &model.weights {
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-7 + b.abs() / 2048.0;
        assert!(loaded.weights[key].data.iter().zip(&value.data).all(near), "{key}");
    }
}
