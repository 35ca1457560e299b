//! Training: losses, schedules, the loop, checkpoints, run folders.
//!
//! [`train`] is one function that either begins a run or carries one on, and a run that was stopped or killed
//! and carried on gives the same numbers, bit for bit, as one that was not. That decides the shape of the
//! rest: all that is random is drawn from the seed, the epoch and the patch, never from a generator with a
//! history; all that has a history (weights and their average, batch-norm statistics, the optimiser's state, the
//! place in the epoch, the sums for its metrics) is in one checkpoint file that one rename replaces; and everything else
//! in the run folder is made from these, so that a crash between two files can't leave a contradiction that
//! resuming does not mend.
//!
//! ```no_run
//! # use locam_net::Compute;
//! # use locam_train::{Event, Run, Start, TrainConfig, TrainData, TrainError, train};
//! # use std::{path::Path, sync::atomic::AtomicBool};
//! # fn example(data: &TrainData) -> Result<(), TrainError> {
//! let config = TrainConfig { epochs: 8, patch_size: 96, ..TrainConfig::default() };
//! let run = Run {
//!     config: &config,
//!     data,
//!     folder: Path::new("runs/cells"),
//!     start: Start::New,
//!     compute: &Compute::Cpu,
//!     device_name: "cpu",
//!     stop: &AtomicBool::new(false),
//! };
//! train(&run, &mut |event: &Event| println!("{event:?}"))?;
//! # Ok(())
//! # }
//! ```

mod average;
mod burn_learner;
mod checkpoint;
mod config;
mod cpu_learner;
mod data;
mod error;
mod events;
mod files;
mod find_learning_rate;
mod kept_outputs;
mod layer_rates;
mod learner;
mod metrics;
mod objective;
mod patch_config;
mod predict;
mod run_folder;
mod schedule;
mod train;
mod weights;

pub use config::{ClassWeights, OptimizerName, Schedule, TrainConfig, Weights};
pub use data::TrainData;
pub use error::TrainError;
pub use events::{Event, Observer};
pub use find_learning_rate::{RateStep, RateTest, find_learning_rate};
pub use metrics::EpochMetrics;
pub use patch_config::{PatchConfig, WINDOW_SIDES};
pub use predict::{Evaluation, evaluate, predict};
pub use run_folder::{DataRecord, Manifest, PartRecord, RunFolder, Start};
pub use schedule::learning_rate;
pub use train::{Outcome, Run, Summary, train};
