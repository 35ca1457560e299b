use crate::TrainError;
use crate::metrics::argmax;
use locam_core::Size;
use locam_data::{LoaderConfig, Order, PatchStore, batches};
use locam_locate::ConfusionMatrix;
use locam_net::Predictor;
use std::sync::Arc;

/// How well a model does on labelled patches.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean negative log-likelihood per patch.
    pub loss: f64,
    /// Part classified rightly, in 0..=1.
    pub accuracy: f64,
    /// How often patches of each class were taken for each class.
    pub confusion: ConfusionMatrix,
}

/// The logits of every patch, in the order of the store; one value per class.
pub fn predict(
    predictor: &Predictor,
    store: &Arc<PatchStore>,
    loader: &LoaderConfig,
) -> Result<Vec<Vec<f32>>, TrainError> {
    let size = Size::new(store.side(), store.side());
    let mut rows = Vec::with_capacity(store.len());
    for batch in batches(store, loader, Order::Sequential, 0) {
        let batch = batch?;
        rows.extend(predictor.logits(&batch.pixels, batch.labels.len(), size)?);
    }
    Ok(rows)
}

/// Loss, accuracy and confusion of a model on labelled patches, whose classes must be those of the model.
pub fn evaluate(
    predictor: &Predictor,
    store: &Arc<PatchStore>,
    loader: &LoaderConfig,
) -> Result<Evaluation, TrainError> {
    let rows = predict(predictor, store, loader)?;
    let truth = |i: usize| store.class_of(i).0;
    let loss = rows.iter().enumerate().map(|(i, row)| negative_log_likelihood(row, truth(i))).sum::<f64>();
    let classes = rows.first().map_or(0, Vec::len);
    let confusion =
        ConfusionMatrix::from_pairs(classes, rows.iter().enumerate().map(|(i, row)| (truth(i), argmax(row))));
    let images = rows.len() as f64;
    Ok(Evaluation { loss: loss / images, accuracy: confusion.accuracy(), confusion })
}

/// Minus the log-softmax of `logits` at `class`.
fn negative_log_likelihood(logits: &[f32], class: usize) -> f64 {
    let highest = logits.iter().fold(f64::NEG_INFINITY, |highest, &logit| highest.max(f64::from(logit)));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - highest).exp()).sum();
    highest + sum.ln() - f64::from(logits[class])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likelihood_is_stable_for_large_logits() {
        assert!((negative_log_likelihood(&[0.0, 0.0], 1) - std::f64::consts::LN_2).abs() < 1e-12);
        assert!((negative_log_likelihood(&[1000.0, 0.0], 1) - 1000.0).abs() < 1e-9);
        assert!(negative_log_likelihood(&[1000.0, 0.0], 0).abs() < 1e-9);
        assert!(negative_log_likelihood(&[f32::NAN, 0.0], 0).is_nan());
    }
}
