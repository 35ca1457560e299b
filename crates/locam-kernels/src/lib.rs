//! probe docs
mod buffer;
mod conv;
mod element;
mod error;
mod isa;
mod multiply;
mod norm;
mod pack;
mod parallel;
mod pool;
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
pub use norm::{BatchNorm, NormGradient, add_assign, carry_gradient};
pub use pool::{copy_channels, global_mean, max_pool, max_pool_gradient, max_pool_with_places};
pub use shape::{ConvParams, Extent, PoolParams};
pub use sink::Activation;
pub use statistics::Statistics;
