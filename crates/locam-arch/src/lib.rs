//! Convolutional architectures as data, so that everything about a network that does not need its weights — shapes,
//! parameter counts, receptive fields, where the cells of its last maps lie in the image — is computed here, and
//! every engine that runs a network reads the same [`Graph`].
//!
//! An architecture is a list of nodes in topological order with torchvision's key names, ended by a [`Head`] that is
//! always linear on the mean of the last feature maps. That is what class activation mapping needs: the head applied
//! at each place of the feature maps gives a map whose mean is the logit (Zhou et al., "Learning Deep Features for
//! Discriminative Localization", 2016, <https://arxiv.org/abs/1512.04150>).
//!
//! Two things differ from torchvision on purpose. There is no dropout: it is the identity when a network is used, and
//! the small heads here do not need it in training. And `SqueezeNet`'s class convolution is not followed by a `ReLU`,
//! which would clamp negative places of the maps before they are averaged.
//!
//! Adding an architecture takes one file in `src/arch/` and its line in [`ArchName`]'s table.

mod arch;
mod error;
mod field;
mod finer;
mod graph;
mod modules;
mod name;
mod state;
mod table;

pub use error::ArchError;
pub use field::Field;
pub use graph::{
    Conv, ConvInit, Graph, GraphBuilder, Head, HeadInit, HeadKind, INPUT_CHANNELS, Node, NodeId, Op, Pool,
};
pub use modules::Module;
pub use name::ArchName;
pub use state::{StateDict, TensorValue};
pub use table::{LayerRow, OutputShape};
