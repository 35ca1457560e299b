//! One file per family of architectures.

pub(crate) mod mobilenet;
pub(crate) mod resnet;
pub(crate) mod squeezenet;
pub(crate) mod vgg;
