use super::{DataArgs, PatchArgs, SettingArgs};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  locam train ALL_IDB2 --weights imagenet --out runs/blasts
  locam train bccd --classes WBC --arch resnet18 --epochs 8 --out runs/white
  locam train patches/ --config runs/blasts/config.toml --seed 2 --out runs/second
  locam train patches/ --out runs/blasts --resume
  locam train patches/ --weights imagenet --find-learning-rate --out rates
  locam train patches/ --weights imagenet --freeze layer2 --layer-decay 0.8 --ema 0.99 --out runs/tuned
  locam train patches/ --folds 5 --repeats 2 --out runs/five")]
pub(crate) struct TrainArgs {
    /// A folder of labelled patches or of annotated images, or a CSV or COCO file
    pub(crate) data: PathBuf,
    /// The run folder to write
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// Carry on the run in the folder from where it stopped
    #[arg(long)]
    pub(crate) resume: bool,
    /// Cross-validate: train so many models, each tested on another part of the images, in run folders below --out, and
    /// write the figures of all of them together
    #[arg(long, value_name = "COUNT")]
    pub(crate) folds: Option<usize>,
    /// With folds: do it so many times, each with other folds and another seed
    #[arg(long, value_name = "COUNT", default_value_t = 1, requires = "folds")]
    pub(crate) repeats: usize,
    /// Then search the training images with the model, take up to this many of its false alarms as background patches,
    /// and train on, into `mined` in the run folder; validation images are searched before and after
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["resume", "folds"])]
    pub(crate) mine: Option<usize>,
    /// Train no model, but find its learning rate: up to 100 steps at rates that rise from 0.000001 to 10, until the loss
    /// explodes. The rate where it falls most steeply is printed, and learning-rate.csv, .svg and .png are written to
    /// --out
    #[arg(long, conflicts_with_all = ["resume", "folds", "mine"])]
    pub(crate) find_learning_rate: bool,
    /// Settings in TOML, as a run folder's config.toml; flags win over them
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print one JSON object a line instead of progress
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) data_args: DataArgs,
    #[command(flatten)]
    pub(crate) patch_args: PatchArgs,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
}
