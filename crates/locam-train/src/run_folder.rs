use crate::files::{create_folder, is_empty_folder, replace_file, replace_folder};
use crate::metrics::write_metrics;
use crate::{EpochMetrics, TrainConfig, TrainError};
use locam_net::Model;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a run starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A folder that is absent or empty.
    New,
    /// The run in the folder, where it stopped or died.
    Resume,
}

/// Patches of a part of the data, as the manifest records them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// How many.
    pub patches: usize,
    /// SHA-256 over the sorted hashes of their pixels.
    pub data_hash: String,
    /// SHA-256 over their file names, windows and classes in order, on which the batches depend.
    pub order_hash: String,
}

/// What a run was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Class names in the order of the logits.
    pub classes: Vec<String>,
    /// The patches that weights are fitted on.
    pub train: PartRecord,
    /// The patches that choose the best epoch.
    pub val: Option<PartRecord>,
    /// The patches of the test at the end.
    pub test: Option<PartRecord>,
}

impl DataRecord {
    /// The first thing in which two data sets differ.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<&'static str> {
        let differences = [
            ("the class names", self.classes != other.classes),
            ("the training patches", self.train != other.train),
            ("the validation patches", self.val != other.val),
            ("the test patches", self.test != other.test),
        ];
        differences.into_iter().find_map(|(what, differs)| differs.then_some(what))
    }
}

/// How a run came to be: the content of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the program that began it.
    pub locam_version: String,
    /// The seed of everything random.
    pub seed: u64,
    /// What computed, in words.
    pub device: String,
    /// What it was trained on.
    pub data: DataRecord,
    /// When it began, in seconds since 1970-01-01 UTC.
    pub started_unix: u64,
    /// When it was complete; none before that.
    pub finished_unix: Option<u64>,
    /// The epoch of the best model, counted from 1, once complete.
    pub best_epoch: Option<usize>,
    /// Accuracy of the best model on the test patches, in 0..=1, once complete.
    pub test_accuracy: Option<f64>,
}

/// Seconds since 1970-01-01 UTC.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A run's files.
///
/// ```text
/// config.toml             the configuration
/// manifest.json           seed, data hashes, version, device, times
/// metrics.csv             one row per epoch
/// best/  last/            model folders
/// checkpoint.safetensors  everything that resuming needs
/// ```
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
}

impl RunFolder {
    /// The run in `root`, which need not exist yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The metrics of all epochs.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.csv")
    }

    /// How the run came to be.
    pub fn manifest(&self) -> PathBuf {
        self.root.join("manifest.json")
    }

    /// The model of the epoch with the highest validation accuracy, the last of several such.
    pub fn best(&self) -> PathBuf {
        self.root.join("best")
    }

    /// The model after the latest epoch.
    pub fn last(&self) -> PathBuf {
        self.root.join("last")
    }

    /// Everything that resuming needs.
    pub fn checkpoint(&self) -> PathBuf {
        self.root.join("checkpoint.safetensors")
    }

    /// Reads `manifest.json`.
    pub fn read_manifest(&self) -> Result<Manifest, TrainError> {
        let path = self.manifest();
        let bytes = std::fs::read(&path).map_err(|source| TrainError::Read { path: path.clone(), source })?;
        serde_json::from_slice(&bytes).map_err(|e| TrainError::Damaged { path, reason: e.to_string() })
    }

    /// Reads `metrics.csv`: one row per epoch.
    pub fn read_metrics(&self) -> Result<Vec<EpochMetrics>, TrainError> {
        let path = self.metrics();
        let damaged = |e: csv::Error| TrainError::Damaged { path: path.clone(), reason: e.to_string() };
        let mut reader = csv::Reader::from_path(&path).map_err(damaged)?;
        reader.deserialize().collect::<Result<_, _>>().map_err(damaged)
    }

    /// Makes the folder for a new run, or checks that there is one to resume.
    pub(crate) fn open(&self, start: Start) -> Result<(), TrainError> {
        match start {
            Start::New if is_empty_folder(&self.root)? => create_folder(&self.root),
            Start::New => Err(TrainError::NotEmpty { path: self.root.clone() }),
            Start::Resume if self.manifest().exists() => Ok(()),
            Start::Resume => Err(TrainError::NoRun { path: self.root.clone() }),
        }
    }

    pub(crate) fn write_config(&self, config: &TrainConfig) -> Result<(), TrainError> {
        replace_file(&self.config(), config.to_toml()?.as_bytes())
    }

    pub(crate) fn write_manifest(&self, manifest: &Manifest) -> Result<(), TrainError> {
        let json = serde_json::to_vec_pretty(manifest)
            .map_err(|e| TrainError::Encode { what: "the manifest", reason: e.to_string() })?;
        replace_file(&self.manifest(), &json)
    }

    pub(crate) fn write_metrics(&self, history: &[EpochMetrics]) -> Result<(), TrainError> {
        write_metrics(&self.metrics(), history)
    }

    /// Replaces the model folder at `path`.
    pub(crate) fn write_model(path: &Path, model: &Model) -> Result<(), TrainError> {
        replace_folder(path, |folder| Ok(model.save(folder)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_starts_in_an_empty_folder_and_resumes_where_a_manifest_is() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::new(&folder.path().join("run"));
        assert!(matches!(run.open(Start::Resume), Err(TrainError::NoRun { .. })));
        run.open(Start::New).unwrap();
        std::fs::write(run.manifest(), "{}").unwrap();
        assert!(matches!(run.open(Start::New), Err(TrainError::NotEmpty { .. })));
        run.open(Start::Resume).unwrap();
        assert!(matches!(run.read_manifest(), Err(TrainError::Damaged { .. })));
    }
}
