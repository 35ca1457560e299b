//! probe docs
mod buffer;
mod conv;
mod element;
mod error;
mod isa;
mod multiply;
mod pack;
mod parallel;
mod shape;
mod simd;
mod sink;
mod statistics;
pub mod testing;
mod walk;

pub use buffer::Buffer;
pub use conv::{
    Algorithm, ConvGradients, Convolution, GradientOf, GradientWorkspace, InputGradient, Output, naive_convolution, naive_convolution_gradients, reorder_weight, restore_weight,
};
pub use element::{Bf16, Element};
pub use error::KernelError;
pub use isa::{ISA_VARIABLE, Isa};
use isa::Kernel;
pub use shape::{ConvParams, Extent, PoolParams};
pub use sink::Activation;
pub use statistics::Statistics;
