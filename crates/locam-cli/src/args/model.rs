use super::parse_size;
use clap::Subcommand;
use std::path::PathBuf;

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
