use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The folder to write
    #[arg(long, default_value = "demo", value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// Seed of the smears and of the training
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}
