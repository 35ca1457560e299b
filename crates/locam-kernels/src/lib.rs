//! The arithmetic of convolutional networks on slices: convolution and its gradients, batch normalisation, pooling.
//!
//! Tensors are channels-last slices with an [`Extent`]; nothing here knows a framework. Every loop that multiplies comes
//! down to one block of sums that stays in registers ([`multiply`]), fed in four ways: gathered rows for any window and
//! stride, whole rows for images with few channels, Winograd's points for windows of 3x3, and outer products for the
//! gradients of weights. What only touches memory (bias, residual, rectifier, statistics, gradients of rectifiers and
//! normalisation) is done while a convolution writes its output ([`sink`]).
//!
//! A kernel is written once, generic over the vector type ([`simd`]), and compiled once per instruction set ([`Isa`]). Where
//! the CPU has tiles, direct convolutions of bfloat16 are multiplied by these instead ([`amx`]).
//! Work is cut by its shape alone, so results do not depend on the number of threads. This is the one crate of the
//! workspace with `unsafe` code: public functions check every length, and the naive twins (`naive_*`) check the rest.
#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the overview names the parts for whoever reads the code"
)]

mod amx;
mod buffer;
mod conv;
mod element;
mod error;
mod interleave;
mod isa;
mod multiply;
mod norm;
mod pack;
mod parallel;
mod peak;
mod pool;
mod pool_training;
mod shape;
mod simd;
mod sink;
mod statistics;
pub mod testing;
mod walk;

pub use buffer::Buffer;
pub use conv::{
    Algorithm, ConvGradients, Convolution, GradientOf, GradientWorkspace, InputGradient, Output,
    POOLED_COLUMNS, POOLED_ROWS, naive_convolution, naive_convolution_gradients, reorder_weight,
    restore_weight,
};
pub use element::{Bf16, Element};
pub use error::KernelError;
pub use interleave::interleave;
use isa::Kernel;
pub use isa::{ISA_VARIABLE, Isa};
pub use norm::{BatchNorm, NormGradient, add_assign, carry_gradient};
pub use parallel::{for_each_chunk, on_this_thread};
pub use peak::measured_peak;
pub use pool::{copy_channels, global_mean, max_pool};
pub use pool_training::{max_pool_gradient, max_pool_with_places};
pub use shape::{Band, ConvParams, Extent, PoolParams};
pub use sink::Activation;
pub use statistics::Statistics;
