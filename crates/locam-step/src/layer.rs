use crate::parameters::{ParameterId, Parameters};
use locam_arch::{Conv, Graph, NodeId, Pool, StateDict, TensorValue};
use locam_infer::{InferError, Stage, Work, conv_params, tensor};
use locam_kernels::{
    Activation, Algorithm, BatchNorm, Buffer, ConvGradients, ConvParams, Convolution, Element, Isa,
    NormGradient, PoolParams, Statistics,
};

/// A stage with its parameters and what it keeps from the way forward for the way back.
#[derive(Debug)]
pub(crate) struct Layer<E> {
    pub(crate) work: LayerWork<E>,
    pub(crate) input: NodeId,
    pub(crate) output: NodeId,
    /// Whether it stays as it is, as do all layers before it: it gets no gradient, and batch normalisation uses its
    /// running statistics.
    pub(crate) frozen: bool,
    /// Two sums per channel over the gradient of the output.
    pub(crate) sums: Statistics,
}

#[derive(Debug)]
pub(crate) enum LayerWork<E> {
    Conv(Box<ConvLayer<E>>),
    MaxPool { params: PoolParams, places: Buffer<E> },
    Concat(Vec<NodeId>),
}

#[derive(Debug)]
pub(crate) struct ConvLayer<E> {
    pub(crate) conv: Convolution<E>,
    pub(crate) gradients: ConvGradients<E>,
    pub(crate) weight: ParameterId,
    pub(crate) bias: Option<ParameterId>,
    pub(crate) norm: Option<NormLayer<E>>,
    pub(crate) residual: Option<NodeId>,
    pub(crate) activation: Activation,
    /// Zeros per channel.
    pub(crate) zeros: Vec<f32>,
}

#[derive(Debug)]
pub(crate) struct NormLayer<E> {
    key: String,
    pub(crate) weight: ParameterId,
    pub(crate) bias: ParameterId,
    pub(crate) running_mean: Vec<f32>,
    pub(crate) running_variance: Vec<f32>,
    pub(crate) norm: BatchNorm,
    pub(crate) gradient: NormGradient,
    /// The convolution's output.
    pub(crate) before: Buffer<E>,
    pub(crate) statistics: Statistics,
}

impl<E: Element> Layer<E> {
    pub(crate) fn new(
        isa: Isa,
        stage: &Stage,
        state: &StateDict,
        parameters: &mut Parameters,
    ) -> Result<Self, InferError> {
        let work = match &stage.work {
            Work::MaxPool(pool) => {
                LayerWork::MaxPool { params: pool_params(*pool), places: Buffer::default() }
            }
            Work::Concat(parts) => LayerWork::Concat(parts.clone()),
            Work::Interleave(..) => unreachable!("networks are trained at their own stride"),
            Work::Conv { conv, norm, residual, activation } => {
                let reads_images = stage.input == NodeId(0);
                let mut layer = ConvLayer::new(isa, conv, reads_images, state, parameters)?;
                layer.norm = norm
                    .as_ref()
                    .map(|key| NormLayer::new(key, conv.channels_out, state, parameters))
                    .transpose()?;
                (layer.residual, layer.activation) = (*residual, *activation);
                LayerWork::Conv(Box::new(layer))
            }
        };
        let (input, output) = (stage.input, stage.output);
        Ok(Self { work, input, output, frozen: false, sums: Statistics::default() })
    }

    /// The values that it reads.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = NodeId> {
        let (parts, residual) = match &self.work {
            LayerWork::Conv(conv) => (&[][..], conv.residual),
            LayerWork::MaxPool { .. } => (&[][..], None),
            // The first part is the input.
            LayerWork::Concat(parts) => (&parts[1..], None),
        };
        std::iter::once(self.input).chain(residual).chain(parts.iter().copied())
    }
}

impl<E: Element> ConvLayer<E> {
    fn new(
        isa: Isa,
        conv: &Conv,
        reads_images: bool,
        state: &StateDict,
        parameters: &mut Parameters,
    ) -> Result<Self, InferError> {
        let params = conv_params(conv);
        let algorithm = if reads_images {
            Algorithm::best_padded::<E>(params)
        } else {
            match Algorithm::best::<E>(isa, params) {
                // Points in bfloat16 lose digits that gradients need.
                Algorithm::Winograd if size_of::<E>() == 2 => Algorithm::Direct,
                best => best,
            }
        };
        let key = format!("{}.weight", conv.key);
        let weight = parameters.add(state, key, &conv.weight_shape(), Some(params))?;
        let bias = conv
            .bias
            .then(|| parameters.add(state, format!("{}.bias", conv.key), &[conv.channels_out], None))
            .transpose()?;
        Ok(Self {
            conv: Convolution::new(isa, params, algorithm, parameters.values(weight))?,
            gradients: ConvGradients::new(isa, params, algorithm)?,
            weight,
            bias,
            norm: None,
            residual: None,
            activation: Activation::None,
            zeros: vec![0.0; conv.channels_out],
        })
    }

    pub(crate) fn params(&self) -> ConvParams {
        self.conv.params()
    }

    /// Whether its own numbers stay as they are.
    pub(crate) fn is_frozen(&self, parameters: &Parameters) -> bool {
        parameters.is_frozen(self.weight)
    }

    /// Lets batch normalisation use its running statistics.
    pub(crate) fn fix_norm(&mut self, parameters: &Parameters) {
        if let Some(norm) = &mut self.norm {
            let (weight, bias) = (parameters.values(norm.weight), parameters.values(norm.bias));
            let (mean, variance) = (&norm.running_mean, &norm.running_variance);
            norm.norm.set_fixed(mean, variance, weight, bias, Graph::BATCH_NORM_EPSILON);
        }
    }

    /// Makes the weights ready for a step.
    pub(crate) fn prepare(&mut self, parameters: &Parameters) -> Result<(), InferError> {
        let weight = parameters.values(self.weight);
        self.conv.set_weight(weight)?;
        Ok(self.gradients.set_weight(weight)?)
    }
}

impl<E: Element> NormLayer<E> {
    fn new(
        key: &str,
        channels: usize,
        state: &StateDict,
        parameters: &mut Parameters,
    ) -> Result<Self, InferError> {
        let mut parameter = |name: &str| parameters.add(state, format!("{key}.{name}"), &[channels], None);
        let (weight, bias) = (parameter("weight")?, parameter("bias")?);
        let running = |name: &str| tensor(state, &format!("{key}.{name}"), &[channels]).map(<[f32]>::to_vec);
        Ok(Self {
            key: key.to_owned(),
            weight,
            bias,
            running_mean: running("running_mean")?,
            running_variance: running("running_var")?,
            norm: BatchNorm::default(),
            gradient: NormGradient::default(),
            before: Buffer::default(),
            statistics: Statistics::default(),
        })
    }

    /// Moves the running statistics towards the batch's, of which there are `pixels` values per channel; the variance
    /// without bias, as `PyTorch` does.
    pub(crate) fn update_running(&mut self, pixels: usize, momentum: f64) {
        let unbiased = pixels as f64 / (pixels.max(2) - 1) as f64;
        let moved = |running: &mut f32, found: f64| {
            *running = (f64::from(*running) * (1.0 - momentum) + found * momentum) as f32;
        };
        for (running, &mean) in self.running_mean.iter_mut().zip(&self.norm.mean) {
            moved(running, f64::from(mean));
        }
        for (running, &variance) in self.running_variance.iter_mut().zip(&self.norm.variance) {
            moved(running, f64::from(variance) * unbiased);
        }
    }

    /// Adds the running statistics to a state dict.
    pub(crate) fn export(&self, state: &mut StateDict) {
        for (name, values) in [("running_mean", &self.running_mean), ("running_var", &self.running_variance)]
        {
            let value = TensorValue { shape: vec![values.len()], data: values.clone() };
            state.insert(format!("{}.{name}", self.key), value);
        }
    }
}

fn pool_params(pool: Pool) -> PoolParams {
    let Pool { kernel, stride, padding, ceil_mode } = pool;
    PoolParams { kernel, stride, padding, ceil_mode }
}
