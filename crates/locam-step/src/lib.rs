//! A training step on the CPU: forward, backward and the optimiser, driven directly on the kernels.
//!
//! A framework's graph of small operations would read and write every activation several times more, and take fresh
//! memory for each: on the CPU that alone takes longer than the whole step does here. So a [`Trainer`] follows the
//! stages of `locam-infer`: statistics of batch normalisation are gathered while a convolution writes its output, and
//! what a rectifier, a sum and batch normalisation make of a gradient is done while the convolution behind them writes
//! it. All memory is kept from one step to the next.
//!
//! Burn trains the same graph on other devices; a test holds the two together.

mod backward;
mod forward;
mod frozen;
mod layer;
mod loss;
mod optimizer;
mod parameters;
mod pool;
mod trainer;

pub use frozen::FrozenOutput;
pub use loss::{CrossEntropy, Targets};
pub use optimizer::{Optimizer, OptimizerState};
pub use trainer::{Outcome, Trainer};
