use crate::metrics::argmax;
use crate::{ClassWeights, TrainConfig, TrainData};
use locam_data::{Batch, Blend};
use locam_step::{CrossEntropy, Targets};

/// What a run minimises.
pub(crate) struct Objective {
    entropy: CrossEntropy,
}

impl Objective {
    pub(crate) fn new(config: &TrainConfig, data: &TrainData) -> Self {
        let class_weights = match config.class_weights {
            ClassWeights::None => vec![1.0; data.classes.len()],
            ClassWeights::Balanced => balanced(&data.class_counts()),
        };
        Self { entropy: CrossEntropy { label_smoothing: config.label_smoothing, class_weights } }
    }

    /// What a batch's logits are compared with.
    pub(crate) fn targets(&self, batch: &Batch) -> Targets {
        let classes = self.entropy.class_weights.len();
        let mut shares = vec![0.0; batch.labels.len() * classes];
        let rows = shares.chunks_exact_mut(classes);
        for (row, (&own, blend)) in rows.zip(batch.labels.iter().zip(&batch.blends)) {
            let share = f64::from(blend.share);
            row[own] += 1.0 - share;
            row[blend.label] += share;
        }
        self.entropy.targets(&shares)
    }
}

/// How many patches of a batch have their highest logit at their class, that of the larger part where two are blended.
pub(crate) fn count_correct(logits: &[Vec<f32>], batch: &Batch) -> usize {
    let of = |(&own, blend): (&usize, &Blend)| if blend.share > 0.5 { blend.label } else { own };
    let classes = batch.labels.iter().zip(&batch.blends).map(of);
    logits.iter().zip(classes).filter(|(row, class)| argmax(row) == *class).count()
}

/// Weights inverse to how often classes come, whose mean over all patches is 1.
fn balanced(counts: &[usize]) -> Vec<f64> {
    let patches: usize = counts.iter().sum();
    counts.iter().map(|&count| patches as f64 / (counts.len() * count.max(1)) as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_weights_give_classes_the_same_sum_and_patches_the_mean_of_one() {
        let counts = [30, 10, 20];
        let weights = balanced(&counts);
        let sums: Vec<f64> =
            weights.iter().zip(counts).map(|(weight, count)| weight * count as f64).collect();
        assert!(sums.iter().all(|sum| (sum - 20.0).abs() < 1e-12), "{sums:?}");
        assert!((sums.iter().sum::<f64>() / 60.0 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn blended_patches_have_both_classes() {
        let blend = |label, share| Blend { label, share };
        let batch = Batch {
            first: 0,
            pixels: Vec::new(),
            labels: vec![0, 1, 2],
            blends: vec![blend(2, 0.25), blend(1, 0.5), blend(0, 0.75)],
            indices: vec![0, 1, 2],
        };
        let objective = Objective { entropy: CrossEntropy::plain(3) };
        let found: Vec<f64> = objective.targets(&batch).coefficients().map(|one| one * 3.0).collect();
        let expected = [0.75, 0.0, 0.25, 0.0, 1.0, 0.0, 0.75, 0.0, 0.25];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        let logits = [[2.0, 0.0, 1.0], [2.0, 0.0, 1.0], [2.0, 0.0, 1.0]].map(Vec::from);
        assert_eq!(count_correct(&logits, &batch), 2);
    }
}
