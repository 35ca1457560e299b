use super::parse_size;
use clap::{Args, ValueEnum};

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
    /// f32 or bf16
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
