use super::{DataArgs, EvaluationSplit, PatchArgs, SettingArgs, parse_size};
use clap::{Args, Subcommand};
use std::path::PathBuf;

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
        /// layout, as this part of a data set; what other seeds gave it before stays
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
