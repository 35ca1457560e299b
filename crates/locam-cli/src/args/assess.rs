use super::{DataArgs, LocatorArgs, number, parse_score};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Annotated whole images to compare with.
#[derive(Debug, Args)]
pub(crate) struct TruthArgs {
    /// A folder of annotated whole images
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) locator: LocatorArgs,
    #[command(flatten)]
    pub(crate) data_args: DataArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  locam calibrate --model runs/white bccd")]
pub(crate) struct CalibrateArgs {
    #[command(flatten)]
    pub(crate) truth: TruthArgs,
    /// The part of the data to choose on; test data must not be it
    #[arg(long, default_value = "val")]
    pub(crate) split: CalibrationSplit,
}

/// Parts of a data set that a threshold may be chosen on.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum CalibrationSplit {
    Train,
    Val,
}

/// What another program found, to be compared instead of searching with a model.
#[derive(Debug, Args)]
#[group(conflicts_with = "LocatorArgs")]
pub(crate) struct FoundArgs {
    /// Compare what another program found, instead of searching with a model
    #[arg(long, value_name = "FILE")]
    pub(crate) predictions: Option<PathBuf>,
    /// With predictions: the classes to compare, separated by commas [default: all that the data annotate]
    #[arg(long, requires = "predictions", value_delimiter = ',', value_name = "NAMES")]
    pub(crate) classes: Option<Vec<String>>,
    /// With predictions: the score from which one counts, as scores stand in the file [default: all]
    #[arg(long, requires = "predictions", allow_hyphen_values = true, value_parser = parse_score)]
    pub(crate) threshold: Option<f64>,
    /// With predictions: the largest distance from an object that is marked by a point
    #[arg(long, requires = "predictions", value_name = "PIXELS", value_parser = number(0.1, 100_000.0))]
    pub(crate) radius: Option<f64>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  locam evaluate --model runs/white bccd --split test --out results
  locam evaluate --model runs/blasts ALL_IDB2 --out results
  locam evaluate --predictions found.json coco --split val --out results

Data of annotated whole images are searched, labelled patches classified. Objects known by their pixels (COCO's
segmentation, or label images: masks/CLASS/NAME.png for each image, 0 for the background and another value for each
object) give the figures of their boxes and PxAP, the average precision of pixels. Predictions of other programs are read from
COCO JSON (results are looked up in a coco.json beside them or in the data's own), GeoJSON as QuPath exports it (one file
per image with its name, or a folder of them), or CSV with the columns image, class, probability or score, and left,
top, right, bottom or x, y, in pixels.")]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    pub(crate) truth: TruthArgs,
    #[command(flatten)]
    pub(crate) found: FoundArgs,
    /// The part of the data to look at; patches without splits are those that the model's run kept for it, or all
    /// where it was trained on others
    #[arg(long, default_value = "test")]
    pub(crate) split: EvaluationSplit,
    /// Write a report (report.html), figures, curves, and the pictures and tables of `locam locate`
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Parts of a data set.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum EvaluationSplit {
    Train,
    Val,
    Test,
    All,
}

impl EvaluationSplit {
    /// The name of the list that names the part's images; all of them need none.
    pub(crate) const fn list_name(self) -> Option<&'static str> {
        match self {
            Self::Train => Some("train"),
            Self::Val => Some("val"),
            Self::Test => Some("test"),
            Self::All => None,
        }
    }
}
