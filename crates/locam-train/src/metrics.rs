use crate::TrainError;
use crate::files::replace_file;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Sums over patches from which mean loss and accuracy come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sums {
    /// Sum of the losses of all patches.
    pub(crate) loss: f64,
    /// Patches whose highest logit was their own class's.
    pub(crate) correct: usize,
    /// Patches seen.
    pub(crate) images: usize,
}

impl Sums {
    /// Adds a batch of `images` patches with their mean loss.
    pub(crate) fn add(&mut self, mean_loss: f64, correct: usize, images: usize) {
        self.loss += mean_loss * images as f64;
        self.correct += correct;
        self.images += images;
    }

    /// Mean loss per patch.
    pub(crate) fn mean_loss(self) -> f64 {
        self.loss / self.images as f64
    }

    /// The part of the patches that was classified rightly, in 0..=1.
    pub(crate) fn accuracy(self) -> f64 {
        self.correct as f64 / self.images as f64
    }
}

/// What an epoch came to: one row of `metrics.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Counted from 1.
    pub epoch: usize,
    /// Of the epoch's last step.
    pub learning_rate: f64,
    /// Mean over the patches, each at the weights that its batch met.
    pub train_loss: f64,
    /// Part of the training patches classified rightly, each at the weights that its batch met.
    pub train_accuracy: f64,
    /// Mean over the validation patches after the epoch; none without such patches.
    pub val_loss: Option<f64>,
    /// Part of the validation patches classified rightly after the epoch.
    pub val_accuracy: Option<f64>,
    /// Wall-clock time, validation included; the one column that differs from run to run.
    pub seconds: f64,
}

impl EpochMetrics {
    /// Whether a model with these metrics is to be preferred: by higher validation accuracy, then as the later epoch.
    ///
    /// Small validation sets are often classified without a fault early on. What comes after has seen more changed
    /// patches at lower learning rates, and the validation loss says little of that: one sure mistake decides it.
    pub(crate) fn is_better_than(&self, other: &Self) -> bool {
        match (self.val_accuracy, other.val_accuracy) {
            (Some(accuracy), Some(other_accuracy)) if accuracy > other_accuracy => true,
            (Some(accuracy), Some(other_accuracy)) if accuracy < other_accuracy => false,
            _ => self.epoch > other.epoch,
        }
    }
}

/// Writes `metrics.csv`, one row per epoch.
pub(crate) fn write_metrics(path: &Path, history: &[EpochMetrics]) -> Result<(), TrainError> {
    let encode = |reason: String| TrainError::Encode { what: "the metrics", reason };
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in history {
        writer.serialize(row).map_err(|e| encode(e.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|e| encode(e.to_string()))?;
    replace_file(path, &bytes)
}

/// The place of the highest logit; the first of equals.
pub(crate) fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (class, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = class;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: usize, val_loss: Option<f64>, val_accuracy: Option<f64>) -> EpochMetrics {
        EpochMetrics {
            epoch,
            learning_rate: 1e-3,
            train_loss: 0.5,
            train_accuracy: 0.75,
            val_loss,
            val_accuracy,
            seconds: 1.5,
        }
    }

    #[test]
    fn accuracy_decides_and_of_equals_the_later_epoch() {
        let first = row(1, Some(0.5), Some(0.9));
        assert!(row(2, Some(9.0), Some(0.95)).is_better_than(&first));
        assert!(row(2, Some(9.0), Some(0.9)).is_better_than(&first));
        assert!(!first.is_better_than(&row(2, Some(9.0), Some(0.9))));
        assert!(!row(2, Some(0.1), Some(0.8)).is_better_than(&first));
        assert!(row(2, None, None).is_better_than(&row(1, None, None)));
    }

    #[test]
    fn rows_have_named_columns_and_empty_fields_without_validation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        write_metrics(&path, &[row(1, Some(0.25), Some(0.5)), row(2, None, None)]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "epoch,learning_rate,train_loss,train_accuracy,val_loss,val_accuracy,seconds\n\
             1,0.001,0.5,0.75,0.25,0.5,1.5\n2,0.001,0.5,0.75,,,1.5\n"
        );
        let read = crate::RunFolder::new(folder.path()).read_metrics().unwrap();
        assert_eq!(read, [row(1, Some(0.25), Some(0.5)), row(2, None, None)]);
    }

    #[test]
    fn sums_weigh_batches_by_their_size() {
        let mut sums = Sums::default();
        sums.add(1.0, 3, 3);
        sums.add(5.0, 0, 1);
        assert!((sums.mean_loss() - 2.0).abs() < 1e-12 && (sums.accuracy() - 0.75).abs() < 1e-12);
    }
}
