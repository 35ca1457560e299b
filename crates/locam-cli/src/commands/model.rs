use super::check_folder;
use crate::args::ModelCommand;
use anyhow::Result;
use locam::{Size, compact_model, export_weights, show_model};
use std::process::ExitCode;

/// `locam model`
pub(crate) fn run(command: ModelCommand) -> Result<ExitCode> {
    match command {
        ModelCommand::Show { model, size: (width, height) } => {
            print!("{}", show_model(&model, Size::new(width, height))?);
        }
        ModelCommand::Export { model, out } => {
            export_weights(&model, &out)?;
            eprintln!("wrote {}", out.display());
        }
        ModelCommand::Compact { model, out } => {
            check_folder(&out)?;
            let bytes = compact_model(&model, &out)?;
            eprintln!("wrote {}: weights of {:.1} MB", out.display(), bytes as f64 / 1e6);
        }
    }
    Ok(ExitCode::SUCCESS)
}
