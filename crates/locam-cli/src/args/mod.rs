//! The command line as typed, a file per command. Nothing is checked here that needs the file system or the model.

mod assess;
mod bench;
mod data;
mod demo;
mod locate;
mod model;
mod settings;
mod train;

pub(crate) use assess::{CalibrateArgs, CalibrationSplit, EvaluateArgs, EvaluationSplit};
pub(crate) use bench::{BenchArgs, BenchTaskArg};
pub(crate) use data::{DataCommand, PreviewArgs};
pub(crate) use demo::DemoArgs;
pub(crate) use locate::{LocateArgs, LocatorArgs, ObjectSize};
pub(crate) use model::ModelCommand;
pub(crate) use settings::{PatchArgs, SettingArgs};
pub(crate) use train::TrainArgs;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

/// Find things in whole images of any size, with a classifier trained on small labelled patches and no box drawn.
#[derive(Debug, Parser)]
#[command(
    name = "locam",
    version,
    max_term_width = 100,
    after_help = "\
Example: from labelled patches to cells on a smear
  locam train patches/ --out runs/cells
  locam locate --model runs/cells smear.jpg --out found/"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// The command line of this process; where it is wrong the program ends.
    pub(crate) fn read() -> Self {
        let matches = with_negative_numbers(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// Takes `-1` after an option for its value, so that the answer tells what the option may be, and not of a flag `-1`.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let takes_value = |arg: &clap::Arg| arg.get_action().takes_values() && !arg.is_positional();
    command
        .mut_args(|arg| if takes_value(&arg) { arg.allow_negative_numbers(true) } else { arg })
        .mut_subcommands(with_negative_numbers)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a classifier on patches, or on patches cut from annotated images
    Train(Box<TrainArgs>),
    /// Show where the classes are on whole images
    Locate(LocateArgs),
    /// Choose each class's threshold on annotated images, and store it in the model
    Calibrate(CalibrateArgs),
    /// Compare what is found on annotated images with the truth
    Evaluate(EvaluateArgs),
    /// Look into, cut or generate data
    #[command(subcommand)]
    Data(DataCommand),
    /// Look into or export models
    #[command(subcommand)]
    Model(ModelCommand),
    /// Measure how fast this machine trains and finds, and how near that is to what it can do
    #[command(after_help = "\
Examples:
  locam bench
  locam bench --task train --arch resnet50 --batch 16
  locam bench --task image --size 3000x2000 --precision bf16 --json")]
    Bench(BenchArgs),
    /// Generate smears, train, locate, and write a page with the results: no data needed
    #[command(after_help = "Example:\n  locam demo --out demo")]
    Demo(DemoArgs),
}

/// How data are read, for every command that reads a data set.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// Layout of the data: folders, all-idb2, all-idb1, voc, yolo, coco, csv, points, masks [default: recognised]
    #[arg(long)]
    pub(crate) layout: Option<String>,
    /// Stop at the first bad file instead of warning and going on
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Parses a number from `least` to `most`.
fn number(least: f64, most: f64) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let value = text.parse().ok().filter(|value| (least..=most).contains(value));
        value.ok_or_else(|| format!("give a number from {least} to {most}"))
    }
}

/// A score, which may have any size and sign.
fn parse_score(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|score: &f64| score.is_finite()).ok_or_else(|| "give a number".to_owned())
}

/// `640x480` as width and height.
fn parse_size(text: &str) -> Result<(u32, u32), String> {
    text.split_once(['x', 'X'])
        .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)))
        .filter(|&(width, height)| width > 0 && height > 0)
        .ok_or_else(|| format!("'{text}' is not a width and a height such as 640x480"))
}
