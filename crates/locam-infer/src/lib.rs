//! A trained model on the CPU: the architecture's graph folded into a plan of a few kernels.
//!
//! Batch normalisation is folded into the convolution before it, and everything else that only touches memory (bias,
//! residual, rectifier, concatenation) happens while a convolution writes its output. Weights are transformed once,
//! when the plan is made. A [`Plan`] knows nothing of Burn, so that using a model needs none of it.
//!
//! [`stages`] cuts a graph into what is computed together; training on the CPU follows the same stages.

mod bands;
mod chain;
mod entry;
mod error;
mod fold;
mod head;
mod images;
mod memory;
mod network;
mod phases;
mod places;
mod plan;
mod singly;
mod stages;
mod strips;
mod trace;

pub use entry::Entry;
pub use error::InferError;
pub use fold::{conv_params, tensor};
pub use head::{Features, Head};
pub use images::{ImageRows, Images, Pixels};
pub use network::StepTime;
pub use plan::{Plan, Precision};
pub use stages::{Stage, Work, stages};
pub use strips::Strip;
