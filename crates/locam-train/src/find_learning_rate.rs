use crate::objective::Objective;
use crate::train::{Clock, begin};
use crate::{Event, Observer, Run, RunFolder, Start, TrainError};
use locam_data::{Order, batches};
use serde::Serialize;
use std::sync::atomic::Ordering;

/// Steps of the test, if it isn't ended before.
const STEPS: usize = 100;
/// The rates of the first step and of the last.
const RANGE: (f64, f64) = (1e-6, 10.0);
/// Steps before and after each over which losses are smoothed, together about a power of ten of the rate. The smoothing looks
/// both ways, since an average of past losses alone would tell of each fall at a higher rate than it happened at.
const REACH: usize = 7;
/// The test ends where the running average of the loss is so many times its least.
const DIVERGED: f64 = 4.0;
/// How much of that average is kept from step to step.
const KEPT: f64 = 0.9;

/// A step of a learning-rate range test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RateStep {
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// The batch's loss before the step.
    pub loss: f64,
    /// The mean of the losses of up to seven steps before and after it, and its own.
    pub smoothed_loss: f64,
}

/// What a learning-rate range test found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RateTest {
    /// All steps, by rising learning rates.
    pub steps: Vec<RateStep>,
    /// Where the smoothed loss falls most steeply over the logarithm of the learning rate; none where it never falls.
    pub suggestion: Option<f64>,
}

/// Trains with a learning rate that rises by the same factor at each step, until the loss explodes, and tells at which rate
/// it falls most steeply (Smith, "Cyclical Learning Rates for Training Neural Networks", 2017; rising exponentially as
/// in fastai). The network begins as a run with this configuration would, and is thrown away; the run's folder is made and
/// stays empty. `None` where the stop flag was seen.
///
/// # Errors
/// Before any work: [`TrainError::Config`], [`TrainError::Unfit`], [`TrainError::NotEmpty`]. Then what reading may bring.
pub fn find_learning_rate(
    run: &Run<'_>,
    observer: &mut dyn Observer,
) -> Result<Option<RateTest>, TrainError> {
    run.config.validate()?;
    run.data.check(run.config)?;
    RunFolder::new(run.folder).open(Start::New)?;
    let mut learner = begin(run, observer)?.learner;
    let objective = Objective::new(run.config, run.data);
    observer.observe(&Event::Started {
        epochs: 1,
        epoch: 1,
        batch: 1,
        train_images: run.data.train.len(),
        device: run.device_name.to_owned(),
    });
    observer.observe(&Event::EpochStarted { epoch: 1, batches: STEPS });
    let mut clock = Clock::start(0.0);
    let (mut rates, mut losses) = (Vec::new(), Vec::new());
    let (mut average, mut least) = (0.0, f64::INFINITY);
    let loader = run.config.loader();
    let endless = (0..).flat_map(|epoch| batches(&run.data.train, &loader, Order::Shuffled { epoch }, 0));
    for (step, batch) in endless.take(STEPS).enumerate() {
        let batch = batch?;
        let rate = rate_of(step);
        let loss = learner.step(&batch, &objective.targets(&batch), rate)?.loss;
        if !loss.is_finite() {
            break;
        }
        rates.push(rate);
        losses.push(loss);
        observer.observe(&Event::BatchDone {
            epoch: 1,
            batch: step + 1,
            batches: STEPS,
            images: batch.labels.len(),
            loss,
            learning_rate: rate,
            images_per_second: clock.rate(batch.labels.len()),
        });
        if run.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        average = KEPT * average + (1.0 - KEPT) * loss;
        let without_bias = average / (1.0 - KEPT.powi(step as i32 + 1));
        least = without_bias.min(least);
        if without_bias > DIVERGED * least {
            break;
        }
    }
    let step = |((learning_rate, &loss), smoothed_loss)| RateStep { learning_rate, loss, smoothed_loss };
    let steps = rates.iter().copied().zip(&losses).zip(smoothed(&losses)).map(step).collect();
    Ok(Some(RateTest { steps, suggestion: steepest(&losses).map(|step| rates[step]) }))
}

/// The learning rate of a step.
fn rate_of(step: usize) -> f64 {
    RANGE.0 * (RANGE.1 / RANGE.0).powf(step as f64 / (STEPS - 1) as f64)
}

/// Each loss with its neighbours, as many as there are within reach.
fn smoothed(losses: &[f64]) -> Vec<f64> {
    let around = |step: usize| &losses[step.saturating_sub(REACH)..(step + REACH + 1).min(losses.len())];
    (0..losses.len()).map(|step| around(step).iter().sum::<f64>() / around(step).len() as f64).collect()
}

/// The step in whose neighbourhood the straight line through the losses (least squares) falls most steeply. Steps are as far
/// from each other in the logarithm of the rate.
fn steepest(losses: &[f64]) -> Option<usize> {
    let slope = |window: &[f64]| -> f64 {
        window.iter().enumerate().map(|(place, loss)| (place as f64 - REACH as f64) * loss).sum()
    };
    let slopes = losses.windows(2 * REACH + 1).map(slope).enumerate();
    let (place, least) = slopes.min_by(|a, b| a.1.total_cmp(&b.1))?;
    (least < 0.0).then_some(place + REACH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_evenly_in_the_logarithm_over_the_whole_range() {
        assert!(
            (rate_of(0) / RANGE.0 - 1.0).abs() < 1e-9 && (rate_of(STEPS - 1) / RANGE.1 - 1.0).abs() < 1e-9
        );
        let factors: Vec<f64> = (1..STEPS).map(|step| rate_of(step) / rate_of(step - 1)).collect();
        assert!(factors.iter().all(|factor| (factor / factors[0] - 1.0).abs() < 1e-9));
    }

    #[test]
    fn the_steepest_fall_is_found_through_noise_that_has_steeper_ones() {
        // A logistic fall around step 50 with jumps of a fifth from step to step, then a rise.
        let noisy = |step: usize| {
            let noise = if step.is_multiple_of(2) { 0.1 } else { -0.1 };
            1.0 / (1.0 + ((step as f64 - 50.0) / 6.0).exp()) + noise
        };
        let losses: Vec<f64> = (0..80).map(noisy).chain([1.0, 3.0]).collect();
        let found = steepest(&losses).unwrap();
        assert!(found.abs_diff(50) <= 1, "{found}");
        let mean = smoothed(&losses)[50];
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }

    #[test]
    fn a_loss_that_only_rises_or_is_too_short_suggests_nothing() {
        assert_eq!(steepest(&(0..80).map(f64::from).collect::<Vec<_>>()), None);
        assert_eq!(steepest(&[2.0, 1.0]), None);
        assert_eq!(smoothed(&[2.0, 1.0]), [1.5, 1.5]);
        assert!(smoothed(&[]).is_empty());
    }
}
