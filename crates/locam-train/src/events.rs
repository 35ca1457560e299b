use crate::EpochMetrics;
use serde::Serialize;
use std::path::PathBuf;

/// Something that happened in a run. Epochs and batches are counted from 1. As JSON each event is an object
/// with its name under `event`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// ImageNet weights are coming over the network.
    Download {
        /// Bytes so far.
        done: u64,
        /// Bytes in all, where the server said so.
        total: Option<u64>,
    },
    /// Initial weights were put into the network.
    WeightsLoaded {
        /// Where they came from.
        source: String,
        /// Tensors that were loaded.
        loaded: usize,
        /// Tensors of the old head, which were left out.
        dropped: Vec<String>,
        /// Tensors of the file that the network has no place for.
        unexpected: Vec<String>,
    },
    /// Training begins, or goes on where it had stopped.
    Started {
        /// Epochs of the whole run.
        epochs: usize,
        /// The epoch that is trained first.
        epoch: usize,
        /// The batch that is trained first.
        batch: usize,
        /// Training patches.
        train_images: usize,
        /// What computes, in words.
        device: String,
    },
    /// An epoch begins, or goes on.
    EpochStarted {
        /// Which one.
        epoch: usize,
        /// Its batches.
        batches: usize,
    },
    /// A batch was trained on.
    BatchDone {
        /// The epoch.
        epoch: usize,
        /// The batch.
        batch: usize,
        /// Batches of the epoch.
        batches: usize,
        /// Patches of the batch.
        images: usize,
        /// Mean loss over the batch.
        loss: f64,
        /// The learning rate of the step.
        learning_rate: f64,
        /// Patches a second since the epoch began or went on.
        images_per_second: f64,
    },
    /// An epoch was trained and validated.
    EpochDone(EpochMetrics),
    /// A file or folder of the run was written.
    Saved {
        /// Which one.
        path: PathBuf,
    },
    /// The best model was tried on a part of the data at the end.
    Evaluated {
        /// `val` or `test`.
        split: String,
        /// Mean loss per patch.
        loss: f64,
        /// Part classified rightly, in 0..=1.
        accuracy: f64,
        /// Patches.
        images: usize,
    },
}

/// Is told what happens in a run; every closure over [`Event`] is one.
pub trait Observer {
    /// Called from the training thread, so that it should return quickly.
    fn observe(&mut self, event: &Event);
}

impl<F: FnMut(&Event)> Observer for F {
    fn observe(&mut self, event: &Event) {
        self(event);
    }
}
