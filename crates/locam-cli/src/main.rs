//! The `locam` binary: turns arguments into jobs of the `locam` library, and what happens into progress and messages.
//! It decides nothing about images or numbers, so that every other front gives the same.

mod args;
mod commands;
mod progress;
mod settings;

use args::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match Cli::read().command {
        Command::Train(args) => commands::train::run(&args),
        Command::Locate(args) => commands::locate::run(&args),
        Command::Calibrate(args) => commands::assess::calibrate(&args),
        Command::Evaluate(args) => commands::assess::evaluate(&args),
        Command::Data(command) => commands::data::run(command),
        Command::Model(command) => commands::model::run(command),
        Command::Bench(args) => commands::bench::run(&args),
        Command::Demo(args) => commands::demo::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", whole_message(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, those left out that the message before has named already.
fn whole_message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
