use crate::args::ModelCommand;
use anyhow::Result;
use locam::{Size, export_weights, show_model};
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
    }
    Ok(ExitCode::SUCCESS)
}
