use crate::parameters::{Parameter, Parameters};
use rayon::prelude::*;

/// The rule by which gradients change weights, as in `PyTorch`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Stochastic gradient descent; no dampening.
    Sgd {
        /// The part of the last change that is kept.
        momentum: f64,
        /// Added to the gradient, times the weight.
        weight_decay: f64,
    },
    /// Adam (Kingma and Ba, 2015), with 0.9, 0.999 and 1e-8.
    Adam {
        /// Added to the gradient, times the weight.
        weight_decay: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019).
    AdamW {
        /// Taken from the weight, times the weight and the learning rate.
        weight_decay: f64,
    },
}

/// What an optimiser remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimizerState {
    /// Steps done.
    pub steps: u64,
    /// Per parameter the running mean of gradients (the momentum of SGD), in the trainer's order.
    pub first: Vec<Vec<f32>>,
    /// Per parameter the running mean of squared gradients; none for SGD.
    pub second: Vec<Vec<f32>>,
}

/// Values of a parallel piece of work.
const CHUNK: usize = 1 << 15;
const FIRST_DECAY: f64 = 0.9;
const SECOND_DECAY: f64 = 0.999;
const EPSILON: f32 = 1e-8;

impl Optimizer {
    /// The state before the first step.
    pub(crate) fn start(self, lengths: &[usize]) -> OptimizerState {
        let zeros = || lengths.iter().map(|&len| vec![0.0; len]).collect();
        let second = if matches!(self, Self::Sgd { .. }) { Vec::new() } else { zeros() };
        OptimizerState { steps: 0, first: zeros(), second }
    }

    /// Changes the parameters by their gradients.
    pub(crate) fn step(self, parameters: &mut Parameters, state: &mut OptimizerState, learning_rate: f64) {
        state.steps += 1;
        match self {
            Self::Sgd { momentum, weight_decay } => {
                let (momentum, decay) = (momentum as f32, weight_decay as f32);
                let trained = parameters.iter_mut().zip(&mut state.first).filter(|(one, _)| one.rate > 0.0);
                for (Parameter { values, gradient, rate, .. }, first) in trained {
                    let rate = (learning_rate * *rate) as f32;
                    let chunks = values.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
                    chunks.zip(first.par_chunks_mut(CHUNK)).for_each(|((values, gradient), first)| {
                        for ((value, gradient), change) in values.iter_mut().zip(gradient).zip(first) {
                            *change = momentum * *change + (gradient + decay * *value);
                            *value -= rate * *change;
                        }
                    });
                }
            }
            Self::Adam { weight_decay } => adam(parameters, state, learning_rate, weight_decay, 0.0),
            Self::AdamW { weight_decay } => adam(parameters, state, learning_rate, 0.0, weight_decay),
        }
    }
}

fn adam(
    parameters: &mut Parameters,
    state: &mut OptimizerState,
    learning_rate: f64,
    coupled_decay: f64,
    decoupled_decay: f64,
) {
    let steps = state.steps as f64;
    let correction = (1.0 / (1.0 - SECOND_DECAY.powf(steps)).sqrt()) as f32;
    let coupled = coupled_decay as f32;
    let (first_decay, second_decay) = (FIRST_DECAY as f32, SECOND_DECAY as f32);
    let (first_part, second_part) = ((1.0 - FIRST_DECAY) as f32, (1.0 - SECOND_DECAY) as f32);
    let moments = state.first.iter_mut().zip(&mut state.second);
    let trained = parameters.iter_mut().zip(moments).filter(|(one, _)| one.rate > 0.0);
    for (Parameter { values, gradient, rate, .. }, (first, second)) in trained {
        let learning_rate = learning_rate * *rate;
        let rate = (learning_rate / (1.0 - FIRST_DECAY.powf(steps))) as f32;
        let kept = (1.0 - decoupled_decay * learning_rate) as f32;
        let chunks = values.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
        let moments = first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK));
        chunks.zip(moments).for_each(|((values, gradient), (first, second))| {
            let each = values.iter_mut().zip(gradient).zip(first.iter_mut().zip(second.iter_mut()));
            for ((value, gradient), (first, second)) in each {
                let gradient = gradient + coupled * *value;
                *first = first_decay * *first + first_part * gradient;
                *second = second_decay * *second + second_part * gradient * gradient;
                *value = kept * *value - rate * *first / (second.sqrt() * correction + EPSILON);
            }
        });
    }
}
