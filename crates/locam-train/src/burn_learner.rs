use crate::learner::StepResult;
use crate::metrics::argmax;
use crate::{OptimizerName, TrainConfig, TrainError};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, OptimizerRecord, SgdConfig};
use burn::store::RecordError;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bytes, Device, Int, Tensor, TensorData};
use locam_core::{Normalization, Size};
use locam_data::Batch;
use locam_net::{Network, StateDict, to_tensor};
use std::path::Path;

/// A network while it is trained by Burn.
pub(crate) struct BurnLearner {
    network: Network,
    optimizer: ModuleOptimizer,
    normalization: Normalization,
    side: u32,
    device: Device,
}

impl BurnLearner {
    /// A learner of a network with these weights, on a device that is not yet differentiating.
    ///
    /// The optimiser keys its state by the ids of the parameters, which [`Network`] counts in the order of
    /// the layers, so that the state saved by one process fits the network of the next.
    pub(crate) fn new(
        state: &StateDict,
        classes: usize,
        config: &TrainConfig,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let device = device.clone().autodiff();
        Ok(Self {
            network: Network::from_state(config.arch, classes, state, &device)?,
            optimizer: optimizer(config),
            normalization: config.normalization,
            side: config.patch_size,
            device,
        })
    }

    /// All tensors by torchvision's names.
    pub(crate) fn state_dict(&self) -> StateDict {
        self.network.state_dict()
    }

    /// One optimiser step, unless the loss is not finite: then the weights stay as they were.
    pub(crate) fn step(&mut self, batch: &Batch, learning_rate: f64) -> StepResult {
        let images = batch.labels.len();
        let size = Size::new(self.side, self.side);
        let input = to_tensor(&batch.pixels, images, size, self.normalization, &self.device); // [N, 3, H, W]
        let logits = self.network.forward(input); // [N, classes]
        let correct = count_correct(&logits, &batch.labels);
        let loss = negative_log_likelihood(logits, &batch.labels);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        if value.is_finite() {
            let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
            // The clone shares its tensors, so it costs nothing but an allocation per tensor in the step.
            self.network = self.optimizer.step(learning_rate, self.network.clone(), gradients);
        }
        StepResult { loss: value, correct }
    }

    /// Takes up the optimiser state that [`BurnLearner::optimizer_state`] gave; `path` is the file that it comes
    /// from.
    pub(crate) fn load_optimizer(&mut self, state: &[u8], path: &Path) -> Result<(), TrainError> {
        let damaged = |e: RecordError| TrainError::Damaged { path: path.to_owned(), reason: e.to_string() };
        let record = OptimizerRecord::from_bytes(Bytes::from_bytes_vec(state.to_vec())).map_err(damaged)?;
        self.optimizer = self.optimizer.clone().load_record(record);
        Ok(())
    }

    /// The optimiser's state as a burnpack record.
    pub(crate) fn optimizer_state(&self) -> Result<Vec<u8>, TrainError> {
        let encode =
            |e: RecordError| TrainError::Encode { what: "the optimiser's state", reason: e.to_string() };
        Ok(self.optimizer.into_bytes().map_err(encode)?.to_vec())
    }
}

/// How many rows of [N, classes] have their highest value at their label.
fn count_correct(logits: &Tensor<2>, labels: &[usize]) -> usize {
    rows_of(logits.clone()).iter().zip(labels).filter(|(row, label)| argmax(row) == **label).count()
}

/// The mean over the batch of the negative log-softmax at each patch's own class.
///
/// `logits` is [N, classes]; the result is a single number.
fn negative_log_likelihood(logits: Tensor<2>, labels: &[usize]) -> Tensor<1> {
    let device = logits.device();
    let labels: Vec<i64> = labels.iter().map(|&label| i64::from(label as u32)).collect();
    let count = labels.len();
    let index = Tensor::<2, Int>::from_data(TensorData::new(labels, [count, 1]), &device); // [N, 1]
    log_softmax(logits, 1).gather(1, index).mean().neg()
}

/// The optimiser with PyTorch's semantics: no dampening of momentum, and 1e-8 in the denominators of Adam.
fn optimizer(config: &TrainConfig) -> ModuleOptimizer {
    let decay = config.weight_decay as f32;
    let penalty = (decay > 0.0).then(|| WeightDecayConfig::new(decay));
    match config.optimizer {
        OptimizerName::Sgd => {
            let momentum = MomentumConfig::new().with_momentum(config.momentum).with_dampening(0.0);
            SgdConfig::new().with_momentum(Some(momentum)).with_weight_decay(penalty).init()
        }
        OptimizerName::Adam => AdamConfig::new().with_epsilon(1e-8).with_weight_decay(penalty).init(),
        OptimizerName::AdamW => AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(decay).init(),
    }
}

/// The values of a [N, classes] tensor, row by row.
fn rows_of(tensor: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, classes] = tensor.dims();
    let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
    values.chunks(classes.max(1)).map(<[f32]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{Module, Param};

    /// One parameter of value `start` stepped three times with the gradients 1, -2 and 0.5.
    fn stepped(config: &TrainConfig, start: f32) -> f32 {
        #[derive(Module, Debug)]
        struct One {
            weight: Param<Tensor<1>>,
        }
        let device = Device::flex().autodiff();
        let weight = Param::from_tensor(Tensor::<1>::from_floats([start], &device));
        let (mut module, mut optimizer) = (One { weight }, optimizer(config));
        for gradient in [1.0, -2.0, 0.5] {
            let loss = module.weight.val().mul_scalar(gradient).sum();
            let gradients = GradientsParams::from_grads(loss.backward(), &module);
            module = optimizer.step(0.1, module, gradients);
        }
        module.weight.val().into_scalar()
    }

    #[test]
    fn optimizers_step_as_in_pytorch() {
        // From torch.optim with lr=0.1, weight_decay=0.01 and, for SGD, momentum=0.9, on a parameter of 1.
        let cases = [
            (OptimizerName::Sgd, 1.053_575),
            (OptimizerName::Adam, 0.949_032),
            (OptimizerName::AdamW, 0.947_446),
        ];
        for (name, expected) in cases {
            let config = TrainConfig { optimizer: name, weight_decay: 0.01, ..TrainConfig::default() };
            let found = stepped(&config, 1.0);
            assert!((found - expected).abs() < 1e-5, "{name:?}: {found} instead of {expected}");
        }
    }

    #[test]
    fn the_loss_is_the_mean_of_minus_log_softmax() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_floats([[2.0, 0.0, 0.0], [0.0, 1.0, -1.0]], &device);
        let loss: f32 = negative_log_likelihood(logits.clone(), &[0, 2]).into_scalar();
        // -ln(e^2 / (e^2 + 2)) and -ln(e^-1 / (1 + e + e^-1)), averaged.
        let expected = f32::midpoint(0.239_543, 2.407_606);
        assert!((loss - expected).abs() < 1e-5, "{loss} instead of {expected}");
        assert_eq!(count_correct(&logits, &[0, 2]), 1);
    }
}
