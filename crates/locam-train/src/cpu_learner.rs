use crate::kept_outputs::KeptOutputs;
use crate::layer_rates::LayerRates;
use crate::learner::StepResult;
use crate::objective::count_correct;
use crate::{OptimizerName, TrainConfig, TrainError};
use locam_core::{Normalization, Size};
use locam_data::{Augment, Batch};
use locam_infer::{Images, Pixels};
use locam_kernels::Element;
use locam_net::{NetError, StateDict};
use locam_step::{Optimizer, OptimizerState, Targets, Trainer};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::path::Path;

/// A network while it is trained on the CPU by our kernels, with maps stored as `E`.
pub(crate) struct CpuLearner<E> {
    trainer: Trainer<E>,
    /// Where frozen layers see the same patches in every epoch.
    kept: Option<KeptOutputs<E>>,
    normalization: Normalization,
    side: u32,
}

/// Names in the optimiser's saved state: a step count, and a tensor per parameter and moment.
const STEPS: &str = "steps";
const MOMENTS: [&str; 2] = ["first", "second"];

impl<E: Element> CpuLearner<E> {
    pub(crate) fn new(state: &StateDict, classes: usize, config: &TrainConfig) -> Result<Self, TrainError> {
        let trainer = Trainer::new(&config.arch.graph(), state, classes, optimizer(config));
        let rates = LayerRates::new(config);
        let trainer = trainer.map_err(NetError::from)?.with_rates(|layer| rates.of(layer));
        let is_worth_it = config.augmentation() == Augment::NONE && trainer.can_begin_behind_frozen();
        Ok(Self {
            trainer,
            kept: is_worth_it.then(KeptOutputs::default),
            normalization: config.normalization,
            side: config.patch_size,
        })
    }

    pub(crate) fn step(
        &mut self,
        batch: &Batch,
        targets: &Targets,
        learning_rate: f64,
    ) -> Result<StepResult, TrainError> {
        let (size, normalization) = (Size::new(self.side, self.side), self.normalization);
        let outcome = if let Some(kept) = &mut self.kept {
            kept.step(&mut self.trainer, batch, (size, normalization), targets, learning_rate)
        } else {
            let pixels = Pixels::Bytes(&batch.pixels, normalization);
            let images = Images { count: batch.labels.len(), size, pixels };
            self.trainer.step(images, targets, learning_rate)
        };
        let outcome = outcome.map_err(NetError::from)?;
        Ok(StepResult { loss: outcome.loss, correct: count_correct(&outcome.logits, batch) })
    }

    /// Of how many patches the output of frozen layers is kept; none where it could not be used again.
    #[cfg(test)]
    pub(crate) fn kept_outputs(&self) -> Option<usize> {
        self.kept.as_ref().map(KeptOutputs::len)
    }

    pub(crate) fn state_dict(&self) -> StateDict {
        self.trainer.state_dict()
    }

    /// The optimiser's state as a safetensors file.
    pub(crate) fn optimizer_state(&self) -> Result<Vec<u8>, TrainError> {
        let state = self.trainer.optimizer_state();
        let tensors: Vec<(String, usize, Vec<u8>)> = MOMENTS
            .iter()
            .zip([&state.first, &state.second])
            .flat_map(|(name, moments)| {
                moments.iter().enumerate().map(move |(i, values)| {
                    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                    (format!("{name}.{i}"), values.len(), bytes)
                })
            })
            .collect();
        let encode = |e: safetensors::SafeTensorError| TrainError::Encode {
            what: "the optimiser's state",
            reason: e.to_string(),
        };
        let views = tensors
            .iter()
            .map(|(name, len, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, vec![*len], bytes)?)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(encode)?;
        let metadata = HashMap::from([(STEPS.to_owned(), state.steps.to_string())]);
        safetensors::serialize(views, Some(metadata)).map_err(encode)
    }

    pub(crate) fn load_optimizer(&mut self, bytes: &[u8], path: &Path) -> Result<(), TrainError> {
        let damaged = |reason: &str| TrainError::Damaged {
            path: path.to_owned(),
            reason: format!("the optimiser's state {reason}; was the run begun on another device?"),
        };
        let state = parse(bytes).ok_or_else(|| damaged("is no safetensors file of its kind"))?;
        self.trainer.set_optimizer_state(state).ok_or_else(|| damaged("does not fit the network"))
    }
}

fn parse(bytes: &[u8]) -> Option<OptimizerState> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
    let steps = metadata.metadata().as_ref()?.get(STEPS)?.parse().ok()?;
    let tensors = SafeTensors::deserialize(bytes).ok()?;
    let moments = |name: &str| -> Vec<Vec<f32>> {
        (0..)
            .map_while(|i| tensors.tensor(&format!("{name}.{i}")).ok())
            .map(|view| view.data().as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect())
            .collect()
    };
    let [first, second] = MOMENTS.map(moments);
    Some(OptimizerState { steps, first, second })
}

fn optimizer(config: &TrainConfig) -> Optimizer {
    let weight_decay = config.weight_decay;
    match config.optimizer {
        OptimizerName::Sgd => Optimizer::Sgd { momentum: config.momentum, weight_decay },
        OptimizerName::Adam => Optimizer::Adam { weight_decay },
        OptimizerName::AdamW => Optimizer::AdamW { weight_decay },
    }
}
