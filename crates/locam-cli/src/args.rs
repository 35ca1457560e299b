//! The command line as typed. Nothing is checked here that needs the file system or the model.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

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

/// How patches are cut from annotated whole images.
#[derive(Debug, Args)]
pub(crate) struct PatchArgs {
    /// Object classes to use, separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) classes: Option<Vec<String>>,
    /// Background patches cut from each annotated image, away from the objects; 0 for no background class
    /// [default: 1]
    #[arg(long, value_name = "COUNT")]
    pub(crate) background: Option<usize>,
    /// Side of the square window cut from annotated images, in their pixels [default: the patch size]
    #[arg(long, value_name = "PIXELS")]
    pub(crate) window: Option<u32>,
    /// Largest shift of a window from its object's centre, as a fraction of the window [default: 0]
    #[arg(long, value_name = "FRACTION")]
    pub(crate) jitter: Option<f64>,
    /// Size of the objects in labelled patches, in pixels of the patches [default: known where boxes are annotated]
    #[arg(long, value_name = "PIXELS")]
    pub(crate) patch_object_size: Option<f64>,
    /// Microns per pixel of the images, where they don't say it themselves: slides are then scaled by theirs [default: as
    /// the images say]
    #[arg(long, value_name = "MICRONS")]
    pub(crate) microns_per_pixel: Option<f64>,
}

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

/// Each flag says the same as the key of that name in the TOML file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingArgs {
    /// The network, by torchvision's name: resnet18, resnet34, resnet50, vgg16, vgg19, `squeezenet1_1`, `mobilenet_v2`
    /// [default: resnet18]
    #[arg(long)]
    pub(crate) arch: Option<String>,
    /// Where the weights start: none, imagenet, or a .safetensors or .pth file [default: none]
    #[arg(long)]
    pub(crate) weights: Option<String>,
    /// Passes over the training patches [default: 15]
    #[arg(long)]
    pub(crate) epochs: Option<usize>,
    /// Patches a step [default: 32]
    #[arg(long)]
    pub(crate) batch_size: Option<usize>,
    /// Side to which patches are resized, in pixels [default: 224]
    #[arg(long, value_name = "PIXELS")]
    pub(crate) patch_size: Option<u32>,
    /// sgd, adam or adamw [default: sgd]
    #[arg(long)]
    pub(crate) optimizer: Option<String>,
    /// Learning rate after warm-up
    #[arg(long)]
    pub(crate) learning_rate: Option<f64>,
    /// Momentum of SGD [default: 0.9]
    #[arg(long)]
    pub(crate) momentum: Option<f64>,
    /// Weight decay [default: 0]
    #[arg(long)]
    pub(crate) weight_decay: Option<f64>,
    /// constant, step or cosine [default: constant]
    #[arg(long)]
    pub(crate) schedule: Option<String>,
    /// With the step schedule: epochs from one step to the next [default: 5]
    #[arg(long, value_name = "EPOCHS")]
    pub(crate) step_every: Option<usize>,
    /// With the step schedule: what each step multiplies the learning rate by [default: 0.1]
    #[arg(long, value_name = "FACTOR")]
    pub(crate) step_factor: Option<f64>,
    /// Epochs over which the learning rate rises to its value; may be fractional [default: 0]
    #[arg(long)]
    pub(crate) warmup_epochs: Option<f64>,
    /// The part of each target that is spread evenly over all classes, from 0 to below 1 [default: 0]
    #[arg(long, value_name = "PART")]
    pub(crate) label_smoothing: Option<f64>,
    /// How much patches of each class count in the loss: none (all the same) or balanced (inverse to how many training
    /// patches the class has) [default: none]
    #[arg(long, value_name = "RULE")]
    pub(crate) class_weights: Option<String>,
    /// How the patches of an epoch are drawn: shuffled (each once) or balanced (each class as often as the others; rare
    /// patches come several times, of frequent ones each epoch shows others) [default: shuffled]
    #[arg(long, value_name = "RULE")]
    pub(crate) sampling: Option<String>,
    /// Validate and keep an exponential moving average of the weights and of batch norm's statistics with this decay, e.g.
    /// 0.99; in the first steps the decay is (1 + steps) / (10 + steps) where that is less [default: no average]
    #[arg(long, value_name = "DECAY")]
    pub(crate) ema: Option<f64>,
    /// Keep the network up to this module as the weights have it, its batch norm too: conv1, layer1 to layer4 in resnets,
    /// features.0, features.1 and so on in the others [default: train all]
    #[arg(long, value_name = "MODULE")]
    pub(crate) freeze: Option<String>,
    /// Multiply the learning rate by this from each module to the one before; the head has the full rate [default: 1]
    #[arg(long, value_name = "FACTOR")]
    pub(crate) layer_decay: Option<f64>,
    /// End training after so many epochs without a better one on the validation patches [default: never]
    #[arg(long, value_name = "EPOCHS")]
    pub(crate) patience: Option<usize>,
    /// Scaling of pixel values: unit (0 to 1) or imagenet (its mean and deviation) [default: unit]
    #[arg(long)]
    pub(crate) normalization: Option<String>,
    /// How training patches are changed at random: the preset microscopy, photo, characters or none, or single changes
    /// separated by commas: flips, turns, rotation, tilt, scale, shift, stain, colour, light, blur, noise, jpeg,
    /// cut-out, and mixup and cutmix, which blend the patches of a batch in pairs with their classes and are in no
    /// preset [default: none]
    #[arg(long, value_name = "PRESET")]
    pub(crate) augment: Option<String>,
    /// Mirror training patches at random, whatever --augment says
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) flips: Option<bool>,
    /// Turn training patches by right angles at random, whatever --augment says
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) turns: Option<bool>,
    /// Seed of everything random [default: 0]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Threads that decode and resize ahead of training [default: 2]
    #[arg(long)]
    pub(crate) workers: Option<usize>,
    /// auto, cpu, cuda or wgpu [default: auto]
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// Part of the patches kept for choosing the best epoch, where the data give no split [default: 0.15]
    #[arg(long, value_name = "FRACTION")]
    pub(crate) val_fraction: Option<f64>,
    /// Part of the patches kept for the test at the end, where the data give no split [default: 0.2]
    #[arg(long, value_name = "FRACTION")]
    pub(crate) test_fraction: Option<f64>,
}

/// How large objects are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ObjectSize {
    /// As the red cells on each image tell.
    Auto,
    /// In pixels of the images.
    Pixels(f64),
}

/// A model and how it is laid over images.
#[derive(Debug, Args)]
pub(crate) struct LocatorArgs {
    /// A run folder or a model folder [default: the ready model, which finds white blood cells; `calibrate` needs one]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) model: Option<PathBuf>,
    /// Size of the objects in these images, in pixels: images are scaled so that objects come out as in training. For
    /// white cells on stained smears also `auto`: 1.8 times the size of the red cells, measured on each image [default:
    /// auto with the ready model]
    #[arg(long, value_name = "PIXELS|auto", conflicts_with = "scale", value_parser = parse_object_size)]
    pub(crate) object_size: Option<ObjectSize>,
    /// Scale images by this factor [default: as the training patches were]
    #[arg(long, value_name = "FACTOR")]
    pub(crate) scale: Option<f64>,
    /// Microns per pixel of images that don't say it themselves; where the model knows its own, images are scaled to it
    #[arg(long, value_name = "MICRONS", conflicts_with_all = ["scale", "object_size"])]
    pub(crate) microns_per_pixel: Option<f64>,
    /// For objects of several sizes: search at each of these factors of the scale, and take at every place the one at which
    /// the network is surest; takes as long as all of them together [default: 1]
    #[arg(
        long,
        value_name = "FACTORS",
        value_delimiter = ',',
        default_value = "1",
        hide_default_value = true
    )]
    pub(crate) scales: Vec<f64>,
    /// Enlarge images that are too small for the network instead of refusing them
    #[arg(long)]
    pub(crate) upscale: bool,
    /// Pixels from one cell of the class maps to the next, for objects that touch: half the network's own (16) takes
    /// 4 times as long, a quarter (8) 16 times [default: the network's own]
    #[arg(long, value_name = "PIXELS")]
    pub(crate) stride: Option<u32>,
    /// Search glass, too: of images above 6 megapixels only what lies near tissue is searched, which is whatever takes 9 % of
    /// the light
    #[arg(long)]
    pub(crate) everything: bool,
    /// auto, cpu, cuda or wgpu
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    /// f32, or bf16: faster on CPUs with AVX512-BF16, with two to three digits
    #[arg(long, default_value = "f32")]
    pub(crate) precision: String,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// infer: patches to logits; train: steps of SGD; image: one whole image to its last feature maps
    #[arg(long, value_enum, default_value = "infer")]
    pub(crate) task: BenchTaskArg,
    /// The network
    #[arg(long, default_value = "resnet18")]
    pub(crate) arch: String,
    /// Images at a time; always 1 for the task image
    #[arg(long, default_value_t = 32)]
    pub(crate) batch: usize,
    /// Size of the images, in pixels [default: 224x224, and 3000x2000 for the task image]
    #[arg(long, value_parser = parse_size, value_name = "WxH")]
    pub(crate) size: Option<(u32, u32)>,
    /// Threads [default: one per core]
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// f32 or bf16; training is in f32
    #[arg(long, default_value = "f32")]
    pub(crate) precision: String,
    /// Print the time of every layer (not for training)
    #[arg(long)]
    pub(crate) layers: bool,
    /// End with one line of JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `locam bench` measures.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BenchTaskArg {
    Infer,
    Train,
    Image,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  locam locate smear.jpg --out found
  locam locate --model runs/cells smear.jpg --out found
  locam locate --model runs/cells 'slides/*.tif' --object-size 90 --out found")]
pub(crate) struct LocateArgs {
    /// Images, folders of images, or patterns such as 'slides/*.tif'
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// The folder to write
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) locator: LocatorArgs,
    /// Margin (log-odds) from which a place belongs to a region [default: the model's, per class]
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) threshold: Option<f64>,
    /// What to write besides JSON and tables, separated by commas: geojson, yolo, maps, sheets, masks, tiff-masks,
    /// overlays, panels; `default` is all but masks, `all` and `none` are what they say
    #[arg(long, default_value = "default", value_name = "WHAT")]
    pub(crate) write: String,
    /// Channels in the panel: the four strongest, or four drawn with a seed
    #[arg(long, value_name = "SEED")]
    pub(crate) channel_seed: Option<u64>,
    /// Stop at the first bad image instead of warning and going on
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print one JSON object an image instead of progress
    #[arg(long)]
    pub(crate) json: bool,
}

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
    /// Compare what another program found, instead of searching with a model
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub(crate) predictions: Option<PathBuf>,
    /// With predictions: the score from which one counts, as scores stand in the file [default: all]
    #[arg(long, requires = "predictions", allow_hyphen_values = true)]
    pub(crate) threshold: Option<f64>,
    /// With predictions: the largest distance from an object that is marked by a point
    #[arg(long, requires = "predictions", value_name = "PIXELS")]
    pub(crate) radius: Option<f64>,
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

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Count classes and splits, name what is wrong, and draw a contact sheet
    #[command(after_help = "Example:\n  locam data inspect ALL_IDB2 --sheet sheet.png")]
    Inspect {
        /// A folder of labelled patches or annotated images, or a CSV or COCO file
        data: PathBuf,
        /// Where to write the contact sheet
        #[arg(long, default_value = "contact-sheet.png", value_name = "FILE")]
        sheet: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data_args: DataArgs,
    },
    /// Cut patches around annotated objects, and away from them, into a folder per class with a manifest
    #[command(after_help = "Example:\n  locam data patches bccd --classes WBC --window 224 --out patches")]
    Patches {
        /// A folder of annotated whole images
        data: PathBuf,
        /// The folder to write
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// Factor from image pixels to patch pixels
        #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
        scale: f64,
        /// Seed of the background's places and of the jitter
        #[arg(long, default_value_t = 0)]
        seed: u64,
        #[command(flatten)]
        patch_args: PatchArgs,
        #[command(flatten)]
        data_args: DataArgs,
    },
    /// Draw what the network will see in training: patches of every class, and what the first epochs make of them
    #[command(after_help = "\
Example:
  locam data preview bccd --classes WBC --window 224 --augment microscopy --sheet seen.png")]
    Preview(Box<PreviewArgs>),
    /// Generate blood smears with exact truth, in the two layouts of ALL-IDB
    #[command(after_help = "Example:\n  locam data smears --out smears --fields 20 --patches 260")]
    Smears {
        /// The folder to write
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// Whole fields
        #[arg(long, default_value_t = 12)]
        fields: usize,
        /// White-cell patches
        #[arg(long, default_value_t = 260)]
        patches: usize,
        /// Width and height of a field, e.g. 1712x1368
        #[arg(long, default_value = "1712x1368", value_parser = parse_size, value_name = "WxH")]
        size: (u32, u32),
        /// Seed: the same one gives the same bytes
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Laboratories' looks, taken in turn: wright, leishman, may-grunwald-giemsa, acid, alkaline, faded, or all
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "wright,leishman,may-grunwald-giemsa",
            value_name = "NAME"
        )]
        stains: Vec<String>,
        /// Magnifications, taken in turn: at 1 a lymphocyte is about 100 pixels wide
        #[arg(long, value_delimiter = ',', default_value = "1", value_name = "FACTOR")]
        cell_scales: Vec<f64>,
        /// White cells on each field; 0 tests what is found where nothing is [default: in proportion to its area]
        #[arg(long, value_name = "COUNT")]
        white_cells: Option<u32>,
        /// Write no patches, and the fields with a box around every white cell, of the one class WBC, in Pascal VOC's
        /// layout, as this part of a data set
        #[arg(long, value_enum, value_name = "SPLIT")]
        boxes: Option<EvaluationSplit>,
    },
}

/// Settings as `locam train` takes them.
#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// A folder of labelled patches or of annotated images, or a CSV or COCO file
    pub(crate) data: PathBuf,
    /// Where to write the sheet
    #[arg(long, default_value = "preview.png", value_name = "FILE")]
    pub(crate) sheet: PathBuf,
    /// Settings in TOML, as a run folder's config.toml; flags win over them
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) data_args: DataArgs,
    #[command(flatten)]
    pub(crate) patch_args: PatchArgs,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Print the layers with shapes, parameters, receptive field and stride
    #[command(
        after_help = "Examples:\n  locam model show resnet18\n  locam model show runs/cells --size 640x480"
    )]
    Show {
        /// An architecture, or a run or model folder
        model: String,
        /// Width and height of the input
        #[arg(long, default_value = "224x224", value_parser = parse_size, value_name = "WxH")]
        size: (u32, u32),
    },
    /// Write the weights as safetensors with torchvision's key names
    #[command(after_help = "Example:\n  locam model export runs/cells cells.safetensors")]
    Export {
        /// A run or model folder
        model: PathBuf,
        /// The file to write
        out: PathBuf,
    },
    /// Write a model again with its weights rounded to 16 bits: half the size, maps alike to three digits
    #[command(after_help = "Example:\n  locam model compact runs/cells models/cells")]
    Compact {
        /// A run or model folder
        model: PathBuf,
        /// The model folder to write
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The folder to write
    #[arg(long, default_value = "demo", value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// Seed of the smears and of the training
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

/// A size in pixels, or `auto`.
fn parse_object_size(text: &str) -> Result<ObjectSize, String> {
    match text {
        "auto" => Ok(ObjectSize::Auto),
        _ => {
            text.parse().map(ObjectSize::Pixels).map_err(|_| format!("'{text}' is neither a number nor auto"))
        }
    }
}

/// `640x480` as width and height.
fn parse_size(text: &str) -> Result<(u32, u32), String> {
    text.split_once(['x', 'X'])
        .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)))
        .filter(|&(width, height)| width > 0 && height > 0)
        .ok_or_else(|| format!("'{text}' is not a width and a height such as 640x480"))
}
