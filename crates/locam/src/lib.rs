//! Train on small labelled patches, find things on whole images: the one public surface of locam, on which every
//! front (the binary, and whatever follows it) is a thin layer, so that they can't disagree in a single number.
//!
//! The jobs, in the order in which a user meets them:
//!
//! 1. [`Dataset::open`] reads labelled data as they are laid out, [`prepare`] splits them and cuts patches;
//! 2. [`train_run`] trains a network into a run folder that survives being killed;
//! 3. [`Locator`] lays a trained model over whole images, [`locate_all`] writes what it finds;
//! 4. [`calibrate`] chooses thresholds and temperatures on validation images, [`figures`] counts hits on others;
//! 5. [`demo`] does all of it on generated smears.

mod assessing;
mod bench;
mod calibrating;
mod cutouts;
mod demo;
mod demo_page;
mod error;
mod evaluating;
mod fold_search;
mod folding;
mod images;
mod in_order;
mod input_rows;
mod journal;
mod leakage;
mod learning_rate;
mod locating;
mod memory;
mod mining;
mod mirrored;
mod models;
mod outputs;
mod part_maps;
mod parts;
mod pictures;
mod progress;
mod ready;
mod report;
mod row_file;
mod runs;
mod scales;
mod scaling;
mod shortcuts;
mod stain_normalization;
#[cfg(test)]
mod testing;
mod training;
mod usual_box;
mod visible;
mod writing;

pub use assessing::{Assessed, annotated_items, assess, split_name, write_assessed};
pub use bench::{BenchPlan, BenchResult, BenchTask, bench, peak_memory};
pub use calibrating::{Calibrated, Calibration, calibrate};
pub use demo::{DemoPlan, DemoResult, demo};
pub use error::Error;
pub use evaluating::{
    ClassFigures, EmptyFigures, Evaluation, FigureRow, MapFigures, OverlapFigures, PatchClassFigures,
    PatchEvaluation, PredictionOptions, evaluate_patches, figures, prediction_figures, write_figures,
    write_patch_figures,
};
pub use folding::{CrossRun, CrossValidation, FoldFigures, cross_validate};
pub use images::find_images;
pub use leakage::{Leak, Likeness, RunImage, RunImages, SeenBefore, seen_before};
pub use learning_rate::find_learning_rate;
pub use locam_arch::ArchName;
pub use locam_core::{ClassId, ModelSpec, Normalization, Point, Rect, Region, ScoreMap, Size, UsualBox};
pub use locam_data::{
    Dataset, Inspection, Layout, OpenOptions, Predictions, Problem, Sampling, SmearPlan, Split, StainPreset,
    Strictness, contact_sheet, inspect, read_predictions, write_patches, write_smears, write_voc,
};
pub use locam_locate::{Estimate, FrocPoint, PrecisionRecall, ReliabilityBin};
pub use locam_net::{ChannelChoice, DeviceChoice, Model, Precision};
pub use locam_report::write_image;
pub use locam_train::{
    ClassWeights, EpochMetrics, Event, Observer, OptimizerName, Outcome, PatchConfig, RateStep, RateTest,
    Schedule, Start, Summary, TrainConfig, Weights,
};
pub use locating::{LocateOptions, Located, Locator};
pub use mining::{Mined, MiningFigures, MiningRun, mine};
pub use models::{compact_model, export_weights, show_model, store_calibration};
pub use outputs::{Output, Outputs};
pub use progress::Progress;
pub use ready::{READY_MODEL, ready_model};
pub use report::{ReportSubject, write_patch_report, write_prediction_report, write_report};
pub use runs::{LocateEvent, LocateSummary, locate_all};
pub use scaling::{Scaling, SmallImages};
pub use shortcuts::{ShortcutFigures, ShortcutFinding, check_shortcuts};
pub use training::{Prepared, patch_plan, prepare, preview_training, settled, train_run};
