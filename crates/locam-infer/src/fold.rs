use crate::InferError;
use locam_arch::{Conv, Graph, StateDict};
use locam_kernels::{ConvParams, reorder_weight};

/// A convolution's weight, in the kernels' order, and its bias, with batch normalisation folded in.
pub(crate) struct Folded {
    pub(crate) params: ConvParams,
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// The kernels' parameters of a convolution.
pub fn conv_params(conv: &Conv) -> ConvParams {
    ConvParams {
        channels_in: conv.channels_in,
        channels_out: conv.channels_out,
        kernel: conv.kernel,
        stride: conv.stride,
        padding: conv.padding,
        groups: conv.groups,
    }
}

/// A tensor of a state dict that must have this shape.
///
/// # Errors
/// [`InferError::Weight`].
pub fn tensor<'a>(state: &'a StateDict, key: &str, shape: &[usize]) -> Result<&'a [f32], InferError> {
    match state.get(key) {
        Some(value) if value.shape == shape => Ok(&value.data),
        _ => Err(InferError::Weight { key: key.to_owned(), shape: shape.to_vec() }),
    }
}

impl Folded {
    /// Reads a convolution and the batch normalisation after it: y = (x - mean) / deviation * weight + bias is itself
    /// linear, so it goes into the convolution's weight and bias.
    pub(crate) fn new(state: &StateDict, conv: &Conv, norm: Option<&str>) -> Result<Self, InferError> {
        let params = conv_params(conv);
        let outs = conv.channels_out;
        let mut weight = tensor(state, &format!("{}.weight", conv.key), &conv.weight_shape())?.to_vec();
        let mut bias = if conv.bias {
            tensor(state, &format!("{}.bias", conv.key), &[outs])?.to_vec()
        } else {
            vec![0.0; outs]
        };
        if let Some(key) = norm {
            let read = |name: &str| tensor(state, &format!("{key}.{name}"), &[outs]);
            let (gamma, beta) = (read("weight")?, read("bias")?);
            let (mean, variance) = (read("running_mean")?, read("running_var")?);
            for (k, weights) in weight.chunks_exact_mut(params.weight_len() / outs).enumerate() {
                let deviation = (f64::from(variance[k]) + Graph::BATCH_NORM_EPSILON).sqrt();
                let scale = f64::from(gamma[k]) / deviation;
                for weight in weights.iter_mut() {
                    *weight = (f64::from(*weight) * scale) as f32;
                }
                let shifted = (f64::from(bias[k]) - f64::from(mean[k])) * scale + f64::from(beta[k]);
                bias[k] = shifted as f32;
            }
        }
        Ok(Self { params, weight: reorder_weight(params, &weight), bias })
    }
}
