use crate::TrainError;
use crate::metrics::argmax;
use burn::tensor::Device;
use locam_core::{Normalization, Size};
use locam_data::{LoaderConfig, Order, PatchStore, batches};
use locam_locate::ConfusionMatrix;
use locam_net::{Model, Network, to_tensor};
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
///
/// `device` is the one that the model was loaded on, not differentiating.
pub fn predict(
    model: &Model,
    store: &Arc<PatchStore>,
    loader: &LoaderConfig,
    device: &Device,
) -> Result<Vec<Vec<f32>>, TrainError> {
    logits(&model.network, store, loader, model.spec.normalization, device)
}

/// Loss, accuracy and confusion of a model on labelled patches, whose classes must be those of the model.
pub fn evaluate(
    model: &Model,
    store: &Arc<PatchStore>,
    loader: &LoaderConfig,
    device: &Device,
) -> Result<Evaluation, TrainError> {
    evaluate_network(&model.network, store, loader, model.spec.normalization, device)
}

pub(crate) fn evaluate_network(
    network: &Network,
    store: &Arc<PatchStore>,
    loader: &LoaderConfig,
    normalization: Normalization,
    device: &Device,
) -> Result<Evaluation, TrainError> {
    let rows = logits(network, store, loader, normalization, device)?;
    let truth = |i: usize| store.class_of(i).0;
    let loss = rows.iter().enumerate().map(|(i, row)| negative_log_likelihood(row, truth(i))).sum::<f64>();
    let classes = rows.first().map_or(0, Vec::len);
    let confusion =
        ConfusionMatrix::from_pairs(classes, rows.iter().enumerate().map(|(i, row)| (truth(i), argmax(row))));
    let images = rows.len() as f64;
    Ok(Evaluation { loss: loss / images, accuracy: confusion.accuracy(), confusion })
}

fn logits(
    network: &Network,
    store: &Arc<PatchStore>,
    loader: &LoaderConfig,
    normalization: Normalization,
    device: &Device,
) -> Result<Vec<Vec<f32>>, TrainError> {
    let size = Size::new(store.side(), store.side());
    let mut rows = Vec::with_capacity(store.len());
    for batch in batches(store, loader, Order::Sequential, 0) {
        let batch = batch?;
        let input = to_tensor(&batch.pixels, batch.labels.len(), size, normalization, device);
        rows.extend(rows_of(network.forward(input)));
    }
    Ok(rows)
}

/// The values of a [N, classes] tensor, row by row.
pub(crate) fn rows_of(tensor: burn::tensor::Tensor<2>) -> Vec<Vec<f32>> {
    let [_, classes] = tensor.dims();
    let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
    values.chunks(classes.max(1)).map(<[f32]>::to_vec).collect()
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
