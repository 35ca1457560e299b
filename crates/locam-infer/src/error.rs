use locam_kernels::KernelError;
use thiserror::Error;

/// Why a plan can't be made or run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InferError {
    /// A layer that no kernel can compute on these images or this CPU.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A precision that there is not.
    #[error("there is no precision `{0}`; choose f32 or bf16")]
    Precision(String),
    /// Weights that do not belong to the architecture.
    #[error("the weights have no tensor `{key}` of shape {shape:?}")]
    Weight {
        /// The name that is looked for.
        key: String,
        /// The shape that it must have.
        shape: Vec<usize>,
    },
    /// Pixel values that do not fit the size of the images.
    #[error("{count} images of {size} have {expected} values, and {found} were given")]
    Pixels {
        /// Images.
        count: usize,
        /// Their size.
        size: locam_core::Size,
        /// Values that they have.
        expected: usize,
        /// Values given.
        found: usize,
    },
}
