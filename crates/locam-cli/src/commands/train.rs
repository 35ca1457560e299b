use super::{open_data, strictness};
use crate::args::TrainArgs;
use crate::progress::{Style, TrainingProgress, warn_of};
use crate::settings::train_config;
use anyhow::{Context, Result, bail};
use locam::{Outcome, Start, Strictness, prepare, train_run};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code of a run that was stopped and can be resumed, as shells report an interrupt.
pub(crate) const STOPPED: u8 = 130;

/// `locam train`
pub(crate) fn run(args: &TrainArgs) -> Result<ExitCode> {
    let in_folder = args.out.join("config.toml");
    let file = match (&args.config, args.resume && in_folder.exists()) {
        (Some(path), _) => Some(path.as_path()),
        (None, true) => Some(in_folder.as_path()),
        (None, false) => None,
    };
    let config = train_config(file, &args.settings, &args.patch_args)?;
    let data = open_data(&args.data, &args.data_args)?;
    let prepared = prepare(&data, &config)?;
    warn_of(&prepared.problems);
    if let (Strictness::Strict, Some(first)) = (strictness(args.data_args.strict), prepared.problems.first())
    {
        bail!("{first} (without --strict such a file is passed over)");
    }
    eprint!("{}", prepared.table());
    let start = if args.resume { Start::Resume } else { Start::New };
    let mut progress = TrainingProgress::new(Style::choose(args.json));
    let stop = stop_flag()?;
    let outcome = train_run(&prepared, &config, &args.out, start, &stop, &mut progress)?;
    match outcome {
        Outcome::Finished(summary) => {
            eprintln!("best epoch {}; the run is in {}", summary.best_epoch, args.out.display());
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Stopped { epochs, batches } => {
            eprintln!(
                "stopped and saved after {epochs} epochs and {batches} batches; carry on with --resume and --out {}",
                args.out.display()
            );
            Ok(ExitCode::from(STOPPED))
        }
    }
}

/// A flag that Ctrl-C sets; a second Ctrl-C ends the program at once.
pub(crate) fn stop_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let in_handler = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        if in_handler.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(STOPPED));
        }
        eprintln!("\nstopping after this batch; press Ctrl-C again to end at once, without saving");
    })
    .context("the handler for Ctrl-C can't be set")?;
    Ok(flag)
}
