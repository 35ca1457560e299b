use crate::burn_learner::BurnLearner;
use crate::cpu_learner::CpuLearner;
use crate::{TrainConfig, TrainError};
use locam_data::Batch;
use locam_net::{Compute, StateDict};
use std::path::Path;

/// What a training step came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepResult {
    /// Mean over the batch, before the step.
    pub(crate) loss: f64,
    /// Patches classified rightly, before the step.
    pub(crate) correct: usize,
}

/// A network while it is trained: on the CPU by our kernels, elsewhere by Burn.
pub(crate) enum Learner {
    Cpu(Box<CpuLearner>),
    Burn(Box<BurnLearner>),
}

impl Learner {
    /// A learner of a network with these weights, which tells `classes` classes apart.
    pub(crate) fn new(
        state: &StateDict,
        classes: usize,
        config: &TrainConfig,
        compute: &Compute,
    ) -> Result<Self, TrainError> {
        Ok(match compute {
            Compute::Cpu => Self::Cpu(Box::new(CpuLearner::new(state, classes, config)?)),
            Compute::Burn(device) => Self::Burn(Box::new(BurnLearner::new(state, classes, config, device)?)),
        })
    }

    /// One optimiser step, unless the loss is not finite: then the weights stay as they were.
    pub(crate) fn step(&mut self, batch: &Batch, learning_rate: f64) -> Result<StepResult, TrainError> {
        match self {
            Self::Cpu(learner) => learner.step(batch, learning_rate),
            Self::Burn(learner) => Ok(learner.step(batch, learning_rate)),
        }
    }

    /// All tensors by torchvision's names.
    pub(crate) fn state_dict(&self) -> StateDict {
        match self {
            Self::Cpu(learner) => learner.state_dict(),
            Self::Burn(learner) => learner.state_dict(),
        }
    }

    /// The optimiser's state, in a form that only the same kind of learner reads.
    pub(crate) fn optimizer_state(&self) -> Result<Vec<u8>, TrainError> {
        match self {
            Self::Cpu(learner) => learner.optimizer_state(),
            Self::Burn(learner) => learner.optimizer_state(),
        }
    }

    /// Takes up the optimiser state that [`Learner::optimizer_state`] gave; `path` is the file that it comes from.
    pub(crate) fn load_optimizer(&mut self, state: &[u8], path: &Path) -> Result<(), TrainError> {
        match self {
            Self::Cpu(learner) => learner.load_optimizer(state, path),
            Self::Burn(learner) => learner.load_optimizer(state, path),
        }
    }
}
