use super::assess::{patch_table, table};
use super::{check_folder, open_data, strictness};
use crate::args::TrainArgs;
use crate::progress::{Style, TrainingProgress, warn_of};
use crate::settings::train_config;
use anyhow::{Context, Result, bail};
use locam::{
    CrossRun, Dataset, MiningFigures, MiningRun, Outcome, Prepared, RunImages, Start, Strictness,
    TrainConfig, Weights, cross_validate, find_learning_rate, mine, prepare, settled, train_run,
};

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code of a run that was stopped and can be resumed, as shells report an interrupt.
pub(crate) const STOPPED: u8 = 130;

/// From fewer patches than these nobody should learn without pretrained weights.
const FEW_PATCHES: usize = 2000;

/// `locam train`
pub(crate) fn run(args: &TrainArgs) -> Result<ExitCode> {
    check_folder(&args.out)?;
    let in_folder = args.out.join("config.toml");
    let file = match (&args.config, args.resume && in_folder.exists()) {
        (Some(path), _) => Some(path.as_path()),
        (None, true) => Some(in_folder.as_path()),
        (None, false) => None,
    };
    let config = train_config(file, &args.settings, &args.patch_args)?;
    let data = open_data(&args.data, &args.data_args)?;
    let config = settled(&data, &config)?;
    if let Some(folds) = args.folds {
        return run_folds(args, &data, &config, folds);
    }
    let prepared = prepare(&data, &config)?;
    warn_of(&prepared.problems);
    if let (Strictness::Strict, Some(first)) = (strictness(args.data_args.strict), prepared.problems.first())
    {
        bail!("{first} (without --strict such a file is passed over)");
    }
    warn_of_copies(&prepared.images, strictness(args.data_args.strict))?;
    eprint!("{}", prepared.table());
    if config.weights == Weights::None && prepared.data.train.len() < FEW_PATCHES {
        eprintln!(
            "learning from random weights; of so few patches --weights imagenet makes far better models"
        );
    }
    let start = if args.resume { Start::Resume } else { Start::New };
    let mut progress = TrainingProgress::new(Style::choose(args.json));
    let stop = stop_flag()?;
    if args.find_learning_rate {
        return find_rate(args, &prepared, &config, &stop, &mut progress);
    }
    let mining = args.mine.map(|most| MiningRun {
        data: &data,
        config: &config,
        folder: &args.out,
        most,
        stop: &stop,
    });
    mining.as_ref().map(|mining| mining.check(&prepared)).transpose()?;
    let outcome = train_run(&prepared, &config, &args.out, start, &stop, &mut progress)?;
    match outcome {
        Outcome::Finished(summary) => {
            eprintln!("best epoch {}; the run is in {}", summary.best_epoch, args.out.display());
            mining.map_or(Ok(ExitCode::SUCCESS), |mining| mine_into(&mining, prepared, &mut progress))
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

/// A learning-rate range test in place of a run.
fn find_rate(
    args: &TrainArgs,
    prepared: &Prepared,
    config: &TrainConfig,
    stop: &AtomicBool,
    progress: &mut TrainingProgress,
) -> Result<ExitCode> {
    let found = find_learning_rate(prepared, config, &args.out, stop, progress)?;
    progress.clear();
    let Some(found) = found else {
        eprintln!("stopped; nothing was written");
        return Ok(ExitCode::from(STOPPED));
    };
    match found.suggestion {
        _ if args.json => println!("{}", serde_json::to_string(&found)?),
        Some(rate) => println!("the loss falls most steeply at a learning rate of {rate:.1e}"),
        None => println!("the loss falls at no learning rate; check the labels, or try other weights"),
    }
    eprintln!("the loss over learning rates: {}", args.out.join("learning-rate.png").display());
    Ok(ExitCode::SUCCESS)
}

/// A run per fold.
fn run_folds(args: &TrainArgs, data: &Dataset, config: &TrainConfig, folds: usize) -> Result<ExitCode> {
    let mut progress = TrainingProgress::new(Style::choose(args.json));
    let stop = stop_flag()?;
    let run = CrossRun {
        data,
        config,
        folds,
        repeats: args.repeats,
        folder: &args.out,
        start: if args.resume { Start::Resume } else { Start::New },
        stop: &stop,
    };
    let Some((found, problems)) = cross_validate(&run, &mut |line| eprintln!("{line}"), &mut progress)?
    else {
        eprintln!("stopped and saved; carry on with --resume and --out {}", args.out.display());
        return Ok(ExitCode::from(STOPPED));
    };
    warn_of(&problems);
    if args.json {
        println!("{}", serde_json::to_string(&found)?);
    } else {
        for fold in &found.folds {
            println!("{}: {:.3} of {} patches classified rightly", fold.name, fold.accuracy, fold.test);
        }
        println!("mean {:.3}, standard deviation {:.3}", found.mean_accuracy, found.deviation);
        print!("{}", patch_table(&found.pooled));
        if let Some(located) = &found.located {
            print!("whole images, each searched by the model that never saw it: {}", table(located));
        }
    }
    eprintln!("report: {}", args.out.join("report.html").display());
    Ok(ExitCode::SUCCESS)
}

/// Names the images that would make the figures at the end too good; with `--strict` the first is an error.
fn warn_of_copies(images: &RunImages, strictness: Strictness) -> Result<()> {
    const SHOWN: usize = 10;
    if let (Strictness::Strict, Some(first)) = (strictness, images.leaks.first()) {
        bail!("{} (without --strict this is a warning)", first.message());
    }
    for leak in images.leaks.iter().take(SHOWN) {
        eprintln!("warning: {}", leak.message());
    }
    if images.leaks.len() > SHOWN {
        eprintln!("warning: ... and {} more", images.leaks.len() - SHOWN);
    }
    if !images.leaks.is_empty() {
        eprintln!(
            "warning: images of one split show the same as images of another: its figures are too good"
        );
    }
    if images.kept_together > 0 {
        eprintln!("{} images are copies or near copies of others and stay in one part", images.kept_together);
    }
    Ok(())
}

/// Trains on with the run's false alarms, and tells what came of it.
fn mine_into(run: &MiningRun<'_>, prepared: Prepared, progress: &mut TrainingProgress) -> Result<ExitCode> {
    let Some(mined) = mine(run, prepared, progress)? else {
        eprintln!("stopped and saved; the run before mining is whole");
        return Ok(ExitCode::from(STOPPED));
    };
    println!(
        "mined {} false alarms on {} training images; at the best threshold on {} validation images:",
        mined.patches, mined.fields, mined.val_images
    );
    for (when, figures) in [("before", &mined.before), ("after", &mined.after)] {
        for MiningFigures { class, f1, false_alarms, misses } in figures {
            println!("  {when:<6}  {class}: F1 {f1:.3}, {false_alarms} false alarms, {misses} missed");
        }
    }
    eprintln!("the run after mining is in {}", mined.folder.display());
    Ok(ExitCode::SUCCESS)
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
