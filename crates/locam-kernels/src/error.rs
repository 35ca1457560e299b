use crate::{ConvParams, Extent, PoolParams};
use thiserror::Error;

/// Why a kernel can't be made or run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KernelError {
    /// `LOCAM_ISA` names no instruction set of this CPU.
    #[error("LOCAM_ISA names the instruction set `{name}`, which this CPU has not; it has: {available}")]
    Isa {
        /// The name given.
        name: String,
        /// Those that could be named.
        available: String,
    },
    /// A convolution that can't be.
    #[error("there is no convolution with {params:?}: {reason}")]
    Convolution {
        /// Its parameters.
        params: ConvParams,
        /// Why.
        reason: &'static str,
    },
    /// A pooling that can't be.
    #[error("there is no pooling with {params:?}: {reason}")]
    Pooling {
        /// Its parameters.
        params: PoolParams,
        /// Why.
        reason: &'static str,
    },
    /// A window larger than the padded input.
    #[error("a window of {window} pixels does not fit an input of {width}x{height} pixels with {padding} around it",
        width = input.width, height = input.height)]
    WindowTooLarge {
        /// Side of the window.
        window: usize,
        /// The input.
        input: Extent,
        /// Pixels around it.
        padding: usize,
    },
    /// More values than can be counted.
    #[error("{extent:?} with {channels} channels are more values than this machine can address")]
    TooLarge {
        /// The images.
        extent: Extent,
        /// Channels of a pixel.
        channels: usize,
    },
    /// A slice of the wrong length.
    #[error("{what} has {found} values where {expected} are needed")]
    Length {
        /// Which slice.
        what: &'static str,
        /// Values that the shape asks for.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A stored type for which this CPU has no kernels.
    #[error("bfloat16 needs a CPU with AVX512-BF16; this runs on {isa}")]
    Precision {
        /// The instruction set in use.
        isa: String,
    },
}
