use crate::{Schedule, TrainConfig};

/// The learning rate of one optimiser step.
///
/// `step` counts from 0 over the whole run; an epoch has `steps_per_epoch` of them. During warm-up the rate
/// rises in a straight line, so that its first step is already above zero and its last one reaches the full
/// rate. After that the schedule runs over what is left of the epochs: the cosine is at the full rate where
/// warm-up ends and would be at zero one step after the last one, and steps are counted from the run's start.
pub fn learning_rate(config: &TrainConfig, step: usize, steps_per_epoch: usize) -> f64 {
    let peak = config.peak_learning_rate();
    let per_epoch = steps_per_epoch.max(1) as f64;
    let warmup_steps = config.warmup_epochs * per_epoch;
    let done = step as f64;
    if done < warmup_steps {
        return peak * ((done + 1.0) / warmup_steps).min(1.0);
    }
    match config.schedule {
        Schedule::Constant => peak,
        Schedule::Step => {
            let steps = step / (steps_per_epoch.max(1) * config.step_every.max(1));
            peak * config.step_factor.powi(steps.try_into().unwrap_or(i32::MAX))
        }
        Schedule::Cosine => {
            let total = config.epochs as f64 * per_epoch;
            let progress = ((done - warmup_steps) / (total - warmup_steps)).clamp(0.0, 1.0);
            peak * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Case {
        schedule: Schedule,
        warmup: f64,
        step: usize,
        expected: f64,
    }

    /// Ten epochs of four steps at a peak of 1, a step of a tenth every three epochs.
    fn config(schedule: Schedule, warmup_epochs: f64) -> TrainConfig {
        TrainConfig {
            epochs: 10,
            learning_rate: Some(1.0),
            schedule,
            warmup_epochs,
            step_every: 3,
            step_factor: 0.1,
            ..TrainConfig::default()
        }
    }

    #[test]
    fn rates_follow_the_schedule() {
        use Schedule::{Constant, Cosine, Step};
        let cases = [
            Case { schedule: Constant, warmup: 0.0, step: 0, expected: 1.0 },
            Case { schedule: Constant, warmup: 0.0, step: 39, expected: 1.0 },
            Case { schedule: Constant, warmup: 1.0, step: 0, expected: 0.25 },
            Case { schedule: Constant, warmup: 1.0, step: 3, expected: 1.0 },
            Case { schedule: Constant, warmup: 1.0, step: 4, expected: 1.0 },
            Case { schedule: Constant, warmup: 0.5, step: 0, expected: 0.5 },
            Case { schedule: Constant, warmup: 0.375, step: 0, expected: 1.0 / 1.5 },
            Case { schedule: Constant, warmup: 0.375, step: 1, expected: 1.0 },
            Case { schedule: Step, warmup: 0.0, step: 11, expected: 1.0 },
            Case { schedule: Step, warmup: 0.0, step: 12, expected: 0.1 },
            Case { schedule: Step, warmup: 0.0, step: 24, expected: 0.01 },
            Case { schedule: Step, warmup: 1.0, step: 12, expected: 0.1 },
            Case { schedule: Cosine, warmup: 0.0, step: 0, expected: 1.0 },
            Case { schedule: Cosine, warmup: 0.0, step: 20, expected: 0.5 },
            Case { schedule: Cosine, warmup: 0.0, step: 40, expected: 0.0 },
            Case { schedule: Cosine, warmup: 2.0, step: 8, expected: 1.0 },
            Case { schedule: Cosine, warmup: 2.0, step: 24, expected: 0.5 },
        ];
        for Case { schedule, warmup, step, expected } in cases {
            let rate = learning_rate(&config(schedule, warmup), step, 4);
            assert!(
                (rate - expected).abs() < 1e-12,
                "{schedule:?}, warm-up {warmup}, step {step}: {rate} instead of {expected}"
            );
        }
    }

    proptest! {
        #[test]
        fn rates_of_a_run_are_above_zero_and_at_most_the_peak(
            schedule in prop_oneof![Just(Schedule::Constant), Just(Schedule::Step), Just(Schedule::Cosine)],
            warmup in 0.0..9.9_f64,
            steps_per_epoch in 1_usize..50,
            place in 0.0..1.0_f64,
        ) {
            let step = (place * (10 * steps_per_epoch) as f64) as usize;
            let rate = learning_rate(&config(schedule, warmup), step, steps_per_epoch);
            prop_assert!(rate > 0.0 && rate <= 1.0, "step {step}: {rate}");
        }
    }
}
