use locam_arch::{StateDict, TensorValue};
use locam_infer::{InferError, tensor};
use locam_kernels::{Buffer, ConvParams, reorder_weight, restore_weight};

/// A parameter by its place in [`Parameters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParameterId(usize);

/// A tensor that is trained, and its gradient.
#[derive(Debug)]
pub(crate) struct Parameter {
    key: String,
    shape: Vec<usize>,
    /// A convolution's weight is kept in the kernels' order.
    conv: Option<ConvParams>,
    /// What the learning rate is multiplied by; 0 where it stays as it is.
    pub(crate) rate: f64,
    pub(crate) values: Buffer<f32>,
    pub(crate) gradient: Buffer<f32>,
}

/// All parameters of a network.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    all: Vec<Parameter>,
}

impl Parameters {
    /// Takes a tensor from a state dict.
    pub(crate) fn add(
        &mut self,
        state: &StateDict,
        key: String,
        shape: &[usize],
        conv: Option<ConvParams>,
    ) -> Result<ParameterId, InferError> {
        let values = tensor(state, &key, shape)?;
        let values = match conv {
            Some(params) => Buffer::from_slice(&reorder_weight(params, values)),
            None => Buffer::from_slice(values),
        };
        let gradient = Buffer::zeroed(values.len());
        self.all.push(Parameter { key, shape: shape.to_vec(), conv, rate: 1.0, values, gradient });
        Ok(ParameterId(self.all.len() - 1))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
        self.all.iter_mut()
    }

    pub(crate) fn values(&self, id: ParameterId) -> &[f32] {
        &self.all[id.0].values
    }

    pub(crate) fn gradient(&mut self, id: ParameterId) -> &mut [f32] {
        &mut self.all[id.0].gradient
    }

    /// Whether a parameter stays as it is.
    pub(crate) fn is_frozen(&self, id: ParameterId) -> bool {
        self.all[id.0].rate == 0.0
    }

    /// Gives every parameter the rate of its layer, of which its own key has one part more.
    pub(crate) fn set_rates(&mut self, rate: impl Fn(&str) -> f64) {
        for parameter in &mut self.all {
            parameter.rate = rate(parameter.key.rsplit_once('.').map_or("", |(layer, _)| layer));
        }
    }

    /// Lengths of all parameters, in order.
    pub(crate) fn lengths(&self) -> Vec<usize> {
        self.all.iter().map(|parameter| parameter.values.len()).collect()
    }

    /// All values by their keys, in the order of `PyTorch`.
    pub(crate) fn state_dict(&self) -> StateDict {
        self.export(|parameter| &parameter.values)
    }

    /// The gradients of the last step by their keys.
    pub(crate) fn gradients(&self) -> StateDict {
        self.export(|parameter| &parameter.gradient)
    }

    fn export(&self, of: impl Fn(&Parameter) -> &Buffer<f32>) -> StateDict {
        let value = |parameter: &Parameter| {
            let data = match parameter.conv {
                Some(params) => restore_weight(params, of(parameter)),
                None => of(parameter).to_vec(),
            };
            (parameter.key.clone(), TensorValue { shape: parameter.shape.clone(), data })
        };
        self.all.iter().map(value).collect()
    }
}
