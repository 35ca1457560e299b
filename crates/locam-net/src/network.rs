use crate::{NetError, StateDict, TensorValue, init, state};
use burn::module::{Module, Param, ParamId, RunningState};
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::tensor::{
    Device, Tensor, TensorData, activation::relu, module::max_pool2d, ops::MaxPoolOptions, s,
};
use locam_arch::{ArchName, Conv, Graph, Node, Op, Pool};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A network of any architecture: the graph's convolutions and batch normalisations in the graph's order, and a
/// linear head on the mean of the last feature maps.
///
/// On a device with automatic differentiation batch normalisation uses the batch's statistics and updates its
/// running ones; `valid()` gives the network for use. Burn adds the *biased* variance of a batch to the running
/// variance, where `PyTorch` adds the unbiased one: with n values per channel and batch they differ by the factor
/// n / (n - 1), below 1.001 for a batch of 32 patches of 224 pixels in all layers.
///
/// A clone shares the running statistics of batch normalisation with its original, as Burn's modules do;
/// [`Network::state_dict`] takes a copy of everything.
#[derive(Module, Debug)]
pub struct Network {
    convs: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
    head_weight: Param<Tensor<2>>,
    head_bias: Param<Tensor<1>>,
    #[module(skip)]
    arch: ArchName,
    #[module(skip)]
    graph: Arc<Graph>,
}

impl Network {
    /// A network before training, with torchvision's initialisation drawn from `seed` alone.
    pub fn init(arch: ArchName, classes: usize, seed: u64, device: &Device) -> Self {
        let graph = arch.graph();
        let state = init::initial_state(&graph, classes, seed);
        Self::assemble(arch, graph, &state, device)
    }

    /// The network of these weights.
    ///
    /// # Errors
    /// [`NetError::Weights`] where a tensor is missing or has another shape.
    pub fn from_state(
        arch: ArchName,
        classes: usize,
        state: &StateDict,
        device: &Device,
    ) -> Result<Self, NetError> {
        let state = state::keep_known(arch, classes, state.clone())?;
        Ok(Self::assemble(arch, arch.graph(), &state, device))
    }

    /// The network whose tensors are all in `state`, of the right shapes.
    fn assemble(arch: ArchName, graph: Graph, state: &StateDict, device: &Device) -> Self {
        let mut source = Source { state, device, next_id: 0 };
        let (mut convs, mut norms) = (Vec::new(), Vec::new());
        for node in graph.nodes() {
            match &node.op {
                Op::Conv2d(conv) => convs.push(source.conv(conv)),
                Op::BatchNorm { key, channels } => norms.push(source.batch_norm(key, *channels)),
                Op::Input
                | Op::Relu
                | Op::Relu6
                | Op::MaxPool(_)
                | Op::Add
                | Op::Concat
                | Op::Skip { .. }
                | Op::Interleave(_) => {}
            }
        }
        let head = graph.head();
        let bias_key = format!("{}.bias", head.key);
        let classes = source.state[&bias_key].data.len();
        let head_weight = source.shaped(&format!("{}.weight", head.key), [classes, head.in_features]);
        let head_bias = source.shaped(&bias_key, [classes]);
        Self { convs, norms, head_weight, head_bias, arch, graph: Arc::new(graph) }
    }

    /// The same network with `steps` times `steps` cells where the last feature maps have one: see [`Graph::finer`].
    ///
    /// # Panics
    /// If `steps` doesn't divide the stride.
    #[must_use]
    pub fn finer(self, steps: usize) -> Self {
        let graph = self.graph.finer(steps);
        // The phases of a layer share its tensors.
        let of =
            |key: fn(&Op) -> Option<&str>| self.graph.nodes().iter().filter_map(move |node| key(&node.op));
        let convs: BTreeMap<&str, &Conv2d> = of(conv_key).zip(&self.convs).collect();
        let norms: BTreeMap<&str, &BatchNorm> = of(norm_key).zip(&self.norms).collect();
        let nodes = || graph.nodes().iter();
        Self {
            convs: nodes().filter_map(|node| conv_key(&node.op)).map(|key| convs[key].clone()).collect(),
            norms: nodes().filter_map(|node| norm_key(&node.op)).map(|key| norms[key].clone()).collect(),
            head_weight: self.head_weight.clone(),
            head_bias: self.head_bias.clone(),
            arch: self.arch,
            graph: Arc::new(graph),
        }
    }

    /// The architecture's name.
    pub fn arch(&self) -> ArchName {
        self.arch
    }

    /// The architecture.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// How many classes the head tells apart.
    pub fn classes(&self) -> usize {
        self.head_bias.dims()[0]
    }

    /// The device that holds the weights.
    pub fn device(&self) -> Device {
        self.head_bias.device()
    }

    /// The last feature maps [N, C, h, w] of images [N, 3, H, W].
    ///
    /// A layer's output is freed as soon as the last layer that reads it has run.
    ///
    /// # Panics
    /// If the images have not three channels, or are too small for a layer's window
    /// ([`Graph::output_size`] tells beforehand).
    pub fn features(&self, images: Tensor<4>) -> Tensor<4> {
        let last_uses = self.graph.last_uses();
        let (mut convs, mut norms) = (self.convs.iter(), self.norms.iter());
        let mut images = Some(images);
        let mut outputs: Vec<Option<Tensor<4>>> = Vec::with_capacity(last_uses.len());
        for (i, node) in self.graph.nodes().iter().enumerate() {
            let inputs: Vec<Tensor<4>> = node.inputs.iter().filter_map(|id| outputs[id.0].clone()).collect();
            // Released before the layer runs, so that it may work in place on what nobody else reads.
            for input in node.inputs.iter().filter(|input| last_uses[input.0].0 == i) {
                outputs[input.0] = None;
            }
            let output = match &node.op {
                Op::Input => images.take(),
                Op::Conv2d(_) => convs.next().and_then(|conv| Some(conv.forward(only(inputs)?))),
                Op::BatchNorm { .. } => norms.next().and_then(|norm| Some(norm.forward(only(inputs)?))),
                _ => run(node, inputs),
            };
            outputs.push(output);
        }
        outputs.pop().flatten().expect("every node of a graph has an output")
    }

    /// The logits [N, K] of feature maps [N, C, h, w].
    pub fn logits_from_features(&self, features: Tensor<4>) -> Tensor<2> {
        let [images, channels, rows, columns] = features.dims();
        let means = features.reshape([images, channels, rows * columns]).mean_dim(2); // [N, C, 1]
        let weight = self.head_weight.val().transpose(); // [C, K]
        means.reshape([images, channels]).matmul(weight) + self.head_bias.val().unsqueeze()
    }

    /// The logits [N, K] of images [N, 3, H, W].
    ///
    /// # Panics
    /// As [`Network::features`].
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.logits_from_features(self.features(images))
    }

    /// Keeps the tensors of some layers, told by their keys, as they are: no gradient is made for them, and batch
    /// normalisation uses its running statistics and leaves them.
    #[must_use]
    pub fn freeze_layers(mut self, is_frozen: impl Fn(&str) -> bool) -> Self {
        let graph = Arc::clone(&self.graph);
        let convs = graph.nodes().iter().filter_map(|node| conv_key(&node.op)).zip(self.convs);
        let norms = graph.nodes().iter().filter_map(|node| norm_key(&node.op)).zip(self.norms);
        self.convs = convs.map(|(key, conv)| if is_frozen(key) { conv.freeze() } else { conv }).collect();
        self.norms = norms.map(|(key, norm)| if is_frozen(key) { norm.freeze() } else { norm }).collect();
        self
    }

    /// The ids of all parameters with the keys of their layers.
    pub fn parameter_ids(&self) -> Vec<(String, ParamId)> {
        let nodes = || self.graph.nodes().iter();
        let mut ids = Vec::new();
        for (conv, key) in self.convs.iter().zip(nodes().filter_map(|node| conv_key(&node.op))) {
            ids.push((key.to_owned(), conv.weight.id));
            ids.extend(conv.bias.iter().map(|bias| (key.to_owned(), bias.id)));
        }
        for (norm, key) in self.norms.iter().zip(nodes().filter_map(|node| norm_key(&node.op))) {
            ids.extend([(key.to_owned(), norm.gamma.id), (key.to_owned(), norm.beta.id)]);
        }
        let head = &self.graph.head().key;
        ids.extend([(head.clone(), self.head_weight.id), (head.clone(), self.head_bias.id)]);
        ids
    }

    /// A copy of all tensors under torchvision's names, batch normalisation's running statistics included.
    ///
    /// `num_batches_tracked`, which `PyTorch` counts and does not need, is left out; `PyTorch` loads it as zero.
    pub fn state_dict(&self) -> StateDict {
        let mut state = StateDict::new();
        let (mut convs, mut norms) = (self.convs.iter(), self.norms.iter());
        for node in self.graph.nodes() {
            match &node.op {
                Op::Conv2d(conv) => convs.by_ref().take(1).for_each(|layer| {
                    state.insert(format!("{}.weight", conv.key), read(layer.weight.val()));
                    if let Some(bias) = &layer.bias {
                        state.insert(format!("{}.bias", conv.key), read(bias.val()));
                    }
                }),
                Op::BatchNorm { key, .. } => norms.by_ref().take(1).for_each(|layer| {
                    state.insert(format!("{key}.weight"), read(layer.gamma.val()));
                    state.insert(format!("{key}.bias"), read(layer.beta.val()));
                    state.insert(format!("{key}.running_mean"), read(layer.running_mean.value_sync()));
                    state.insert(format!("{key}.running_var"), read(layer.running_var.value_sync()));
                }),
                Op::Input
                | Op::Relu
                | Op::Relu6
                | Op::MaxPool(_)
                | Op::Add
                | Op::Concat
                | Op::Skip { .. }
                | Op::Interleave(_) => {}
            }
        }
        let head = self.graph.head();
        let shape = head.weight_shape(self.classes());
        let weight = TensorValue { shape, ..read(self.head_weight.val()) };
        state.insert(format!("{}.weight", head.key), weight);
        state.insert(format!("{}.bias", head.key), read(self.head_bias.val()));
        state
    }
}

fn conv_key(op: &Op) -> Option<&str> {
    if let Op::Conv2d(conv) = op { Some(&conv.key) } else { None }
}

fn norm_key(op: &Op) -> Option<&str> {
    if let Op::BatchNorm { key, .. } = op { Some(key) } else { None }
}

/// Runs a layer without weights.
fn run(node: &Node, inputs: Vec<Tensor<4>>) -> Option<Tensor<4>> {
    match &node.op {
        Op::Relu => only(inputs).map(relu),
        Op::Relu6 => only(inputs).map(|x| x.clamp(0.0, 6.0)),
        Op::MaxPool(pool) => only(inputs).map(|x| pooled(x, *pool)),
        Op::Add => inputs.into_iter().reduce(|a, b| a + b),
        Op::Concat => Some(Tensor::cat(inputs, 1)),
        Op::Skip { rows, columns } => only(inputs).map(|x| x.slice(s![.., .., *rows.., *columns..])),
        Op::Interleave(steps) => Some(interleaved(inputs, *steps)),
        Op::Input | Op::Conv2d(_) | Op::BatchNorm { .. } => None,
    }
}

/// The maps whose every `steps`-th cell along both axes the inputs have, row by row.
fn interleaved(phases: Vec<Tensor<4>>, steps: usize) -> Tensor<4> {
    let [images, channels, rows, columns] = phases[0].dims();
    let width = phases.iter().take(steps).map(|phase| phase.dims()[3]).sum();
    let height = phases.iter().step_by(steps).map(|phase| phase.dims()[2]).sum();
    // All as large as the first, and each cell's phases beside each other: [N, C, h, w, steps * steps].
    let whole = |phase: Tensor<4>| {
        let [_, _, h, w] = phase.dims();
        phase.pad((0, columns - w, 0, rows - h), 0.0).unsqueeze_dim::<5>(4)
    };
    let cells = Tensor::cat(phases.into_iter().map(whole).collect(), 4);
    let cells = cells.reshape([images, channels, rows, columns, steps, steps]).permute([0, 1, 2, 4, 3, 5]);
    let maps: Tensor<4> = cells.reshape([images, channels, rows * steps, columns * steps]);
    maps.slice(s![.., .., 0..height, 0..width])
}

fn only(inputs: Vec<Tensor<4>>) -> Option<Tensor<4>> {
    inputs.into_iter().next()
}

fn pooled(x: Tensor<4>, pool: Pool) -> Tensor<4> {
    let options = MaxPoolOptions::new([pool.kernel; 2])
        .with_stride([pool.stride; 2])
        .with_padding([pool.padding; 2])
        .with_ceil_mode(pool.ceil_mode);
    max_pool2d(x, options)
}

/// A tensor's numbers in host memory.
fn read<const D: usize>(tensor: Tensor<D>) -> TensorValue {
    let shape = tensor.dims().to_vec();
    TensorValue { shape, data: host(tensor) }
}

/// A tensor's numbers, row-major.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data_as::<f32>().try_into_vec().expect("the data was converted to f32")
}

/// Makes layers from a state dict. Parameter ids count from zero in the graph's order, so that an optimiser's state
/// fits the same network in another process.
struct Source<'a> {
    state: &'a StateDict,
    device: &'a Device,
    next_id: u64,
}

impl Source<'_> {
    fn id(&mut self) -> ParamId {
        self.next_id += 1;
        ParamId::from(self.next_id)
    }

    fn tensor<const D: usize>(&self, key: &str, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(self.state[key].data.clone(), shape), self.device)
    }

    fn shaped<const D: usize>(&mut self, key: &str, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::initialized(self.id(), self.tensor(key, shape)).set_require_grad(true)
    }

    fn conv(&mut self, conv: &Conv) -> Conv2d {
        let weight = self.shaped(&format!("{}.weight", conv.key), conv.weight_shape());
        let bias = conv.bias.then(|| self.shaped(&format!("{}.bias", conv.key), [conv.channels_out]));
        let p = conv.padding;
        Conv2d {
            weight,
            bias,
            stride: [conv.stride; 2],
            kernel_size: [conv.kernel; 2],
            dilation: [1, 1],
            groups: conv.groups,
            padding: PaddingConfig2d::Explicit(p, p, p, p),
        }
    }

    fn batch_norm(&mut self, key: &str, channels: usize) -> BatchNorm {
        let mut norm = BatchNormConfig::new(channels)
            .with_epsilon(Graph::BATCH_NORM_EPSILON)
            .with_momentum(Graph::BATCH_NORM_MOMENTUM)
            .init(self.device);
        norm.gamma = self.shaped(&format!("{key}.weight"), [channels]);
        norm.beta = self.shaped(&format!("{key}.bias"), [channels]);
        let mean = self.tensor(&format!("{key}.running_mean"), [channels]);
        norm.running_mean = RunningState::with_id(self.id(), mean);
        let variance = self.tensor(&format!("{key}.running_var"), [channels]);
        norm.running_var = RunningState::with_id(self.id(), variance);
        norm
    }
}
