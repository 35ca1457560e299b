use crate::layer_rates::LayerRates;
use crate::learner::StepResult;
use crate::objective::count_correct;
use crate::{OptimizerName, TrainConfig, TrainError};
use burn::module::ParamId;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, OptimizerRecord, SgdConfig};
use burn::store::RecordError;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bytes, Device, Tensor, TensorData};
use locam_core::{Normalization, Size};
use locam_data::Batch;
use locam_net::{Network, StateDict, to_tensor};
use locam_step::Targets;
use std::path::Path;

/// A network while it is trained by Burn.
pub(crate) struct BurnLearner {
    network: Network,
    optimizer: ModuleOptimizer,
    /// What the learning rate of some parameters is multiplied by.
    groups: Vec<(f64, Vec<ParamId>)>,
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
        let rates = LayerRates::new(config);
        let network = Network::from_state(config.arch, classes, state, &device)?;
        let network = network.freeze_layers(|layer| rates.of(layer) == 0.0);
        Ok(Self {
            groups: groups(&network, &rates),
            network,
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
    pub(crate) fn step(&mut self, batch: &Batch, targets: &Targets, learning_rate: f64) -> StepResult {
        let images = batch.labels.len();
        let size = Size::new(self.side, self.side);
        let input = to_tensor(&batch.pixels, images, size, self.normalization, &self.device); // [N, 3, H, W]
        let logits = self.network.forward(input); // [N, classes]
        let correct = count_correct(&rows_of(logits.clone()), batch);
        let loss = cross_entropy(logits, targets);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        if value.is_finite() {
            let mut gradients = loss.backward();
            // All of them before the first step, after which the network has other tensors.
            let of_groups: Vec<(f64, GradientsParams)> = self
                .groups
                .iter()
                .map(|(rate, ids)| (*rate, GradientsParams::from_params(&mut gradients, &self.network, ids)))
                .collect();
            for (rate, gradients) in of_groups {
                // The clone shares its tensors, so it costs nothing but an allocation per tensor in the step.
                self.network = self.optimizer.step(learning_rate * rate, self.network.clone(), gradients);
            }
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

/// The parameters that are trained, by what their learning rate is multiplied by.
fn groups(network: &Network, rates: &LayerRates) -> Vec<(f64, Vec<ParamId>)> {
    let mut groups: Vec<(f64, Vec<ParamId>)> = Vec::new();
    for (layer, id) in network.parameter_ids() {
        let rate = rates.of(&layer);
        match groups.iter_mut().find(|(other, _)| other.to_bits() == rate.to_bits()) {
            _ if rate == 0.0 => {}
            Some((_, ids)) => ids.push(id),
            None => groups.push((rate, vec![id])),
        }
    }
    groups
}

/// The cross-entropy of logits [N, classes] with a batch's targets, a single number.
fn cross_entropy(logits: Tensor<2>, targets: &Targets) -> Tensor<1> {
    let shape = [targets.images(), targets.classes()];
    let coefficients: Vec<f32> = targets.coefficients().map(|value| value as f32).collect();
    let coefficients = Tensor::<2>::from_data(TensorData::new(coefficients, shape), &logits.device());
    (log_softmax(logits, 1) * coefficients).sum().neg()
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
    use locam_step::CrossEntropy;

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
    fn the_loss_and_its_gradient_are_those_of_the_cpu() {
        let device = Device::flex().autodiff();
        let rows = [[2.0, 0.0, 0.0], [0.0, 1.0, -1.0], [3.0, -2.0, 0.5]];
        for (label_smoothing, class_weights) in
            [(0.0, vec![1.0; 3]), (0.1, vec![1.0; 3]), (0.0, vec![1.0, 2.0, 4.0]), (0.3, vec![0.5, 1.0, 3.0])]
        {
            let entropy = CrossEntropy { label_smoothing, class_weights };
            let shares = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.25, 0.75, 0.0];
            let targets = entropy.targets(&shares);
            let logits = Tensor::<2>::from_floats(rows, &device).require_grad();
            let loss = cross_entropy(logits.clone(), &targets);
            let gradients = loss.backward();
            let found = rows_of(logits.grad(&gradients).unwrap()).concat();
            let (expected, to_logits) = targets.loss(&rows.map(Vec::from));
            let loss = f64::from(loss.into_scalar::<f32>());
            assert!((loss - expected).abs() < 1e-5, "{loss} instead of {expected}");
            let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
            assert!(found.iter().zip(&to_logits).all(near), "{found:?} instead of {to_logits:?}");
        }
    }
}
