//! Networks: on Burn, for training on GPUs and as the reference; weights in and out; class activation maps.
//!
//! One [`Network`] runs every architecture of `locam-arch` by walking its graph, so that a layer is written once and an
//! architecture is only data. On the CPU a [`Predictor`] runs the same graph on our own kernels instead. The head is
//! linear on the mean of the last feature maps; [`class_maps`] applies it at every place instead, which gives maps
//! whose mean (with the bias) is the logit itself.
//!
//! Weights travel as a [`StateDict`] with torchvision's key names, whichever file they come from. A [`Model`] is
//! weights together with all that is needed to use them, and lives in one folder. Only this crate and the one that
//! trains name Burn.

mod device;
mod download;
mod error;
mod files;
mod init;
mod maps;
mod model;
mod network;
mod predictor;
mod rows;
mod state;
mod weights;

pub use device::{Compute, DeviceChoice, select};
pub use download::imagenet_weights;
pub use error::{Misshapen, NetError};
pub use init::initial_state;
pub use locam_arch::{StateDict, TensorValue};
pub use locam_infer::Precision;
pub use maps::{ChannelChoice, FEATURE_BYTES, ImageMaps, class_maps, to_tensor};
pub use model::Model;
pub use network::Network;
pub use predictor::Predictor;
pub use rows::{KeptRows, NothingKept, RgbRows, WholeImage};
pub use state::{HeadRule, LoadReport, merge_weights};
pub use weights::{Stored, read_weights, write_safetensors};
