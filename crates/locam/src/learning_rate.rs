//! Which learning rate suits data, network and settings.

use crate::pictures::write_plot;
use crate::training::with_run;
use crate::{Error, Prepared};
use locam_report::{RateLoss, learning_rate_plot, write_atomically};
use locam_train::{Observer, RateTest, Run, Start, TrainConfig};
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Runs a learning-rate range test and writes it into an empty folder: `learning-rate.csv`, and the loss over the rates as
/// `learning-rate.svg` and `.png`. No model is trained. `None` where the stop flag was seen.
///
/// # Errors
/// What [`locam_train::find_learning_rate`] says, a folder that holds something, and files that can't be written.
pub fn find_learning_rate(
    prepared: &Prepared,
    config: &TrainConfig,
    folder: &Path,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Option<RateTest>, Error> {
    let find = |run: &Run<'_>| locam_train::find_learning_rate(run, observer);
    let test = with_run(prepared, config, (folder, Start::New), stop, find)?;
    if let Some(test) = &test {
        write(folder, test)?;
    }
    Ok(test)
}

fn write(folder: &Path, test: &RateTest) -> Result<(), Error> {
    write_atomically(&folder.join("learning-rate.csv"), |file| {
        writeln!(file, "step,learning_rate,loss,smoothed_loss")?;
        for (number, step) in (1..).zip(&test.steps) {
            writeln!(file, "{number},{},{},{}", step.learning_rate, step.loss, step.smoothed_loss)?;
        }
        Ok(())
    })?;
    let step = |step: &locam_train::RateStep| RateLoss {
        learning_rate: step.learning_rate,
        loss: step.loss,
        smoothed_loss: step.smoothed_loss,
    };
    let steps: Vec<RateLoss> = test.steps.iter().map(step).collect();
    write_plot(folder, "learning-rate", &learning_rate_plot(&steps, test.suggestion)?)
}
