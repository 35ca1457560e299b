use crate::Field;

/// Channels of the image that every network here takes: red, green, blue.
pub const INPUT_CHANNELS: usize = 3;

/// A node by its place in [`Graph::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// A two-dimensional convolution with the same extent along both axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Key prefix of its tensors: `{key}.weight` and, with a bias, `{key}.bias`.
    pub key: String,
    /// Input channels.
    pub channels_in: usize,
    /// Output channels.
    pub channels_out: usize,
    /// Side of the window.
    pub kernel: usize,
    /// Step of the window.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: usize,
    /// Groups of channels that do not see each other; `channels_in` for a depthwise convolution.
    pub groups: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Conv {
    /// A square convolution of stride 1 that keeps the size, in one group and without a bias.
    pub fn new(key: impl Into<String>, channels_in: usize, channels_out: usize, kernel: usize) -> Self {
        Self {
            key: key.into(),
            channels_in,
            channels_out,
            kernel,
            stride: 1,
            padding: kernel / 2,
            groups: 1,
            bias: false,
        }
    }

    /// Shape of the weight: output channels, input channels per group, rows, columns.
    pub fn weight_shape(&self) -> [usize; 4] {
        [self.channels_out, self.channels_in / self.groups, self.kernel, self.kernel]
    }
}

/// A max pooling with the same extent along both axes; padding never wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Side of the window.
    pub kernel: usize,
    /// Step of the window.
    pub stride: usize,
    /// Ignored places around the input.
    pub padding: usize,
    /// Whether a last window that only partly meets the input counts.
    pub ceil_mode: bool,
}

/// What a node computes from its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The image. Always the first node, and no other.
    Input,
    /// A convolution.
    Conv2d(Conv),
    /// Batch normalisation with [`Graph::BATCH_NORM_EPSILON`] and [`Graph::BATCH_NORM_MOMENTUM`]; tensors
    /// `{key}.weight`, `.bias`, `.running_mean`, `.running_var`.
    BatchNorm {
        /// Key prefix of its tensors.
        key: String,
        /// Channels.
        channels: usize,
    },
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// A max pooling.
    MaxPool(Pool),
    /// The sum of two inputs.
    Add,
    /// Inputs stacked along the channels.
    Concat,
    /// The input without its first rows and columns.
    Skip {
        /// Rows that are left out.
        rows: usize,
        /// Columns that are left out.
        columns: usize,
    },
    /// The maps whose every so many-th cell along both axes the inputs have: the first input from the first cell on, the next from
    /// the cell beside it, and so on, row by row.
    Interleave(usize),
}

/// An operation and where its inputs come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it computes.
    pub op: Op,
    /// The nodes that it reads, all of them earlier in the list.
    pub inputs: Vec<NodeId>,
    /// Channels of its output.
    pub channels: usize,
}

/// How the head's tensors are shaped in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadKind {
    /// Weight of shape `[classes, in_features]`.
    Linear,
    /// Weight of shape `[classes, in_features, 1, 1]`, as in `SqueezeNet`.
    Conv1x1,
}

/// How a convolution's weight is drawn before training; its bias starts at zero (He et al., "Delving Deep into
/// Rectifiers", 2015, <https://arxiv.org/abs/1502.01852>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvInit {
    /// Normal with deviation `sqrt(2 / (channels_out * kernel²))`.
    KaimingNormalFanOut,
    /// Uniform within `±sqrt(6 / (channels_in / groups * kernel²))`.
    KaimingUniformFanIn,
}

/// How the head's tensors are drawn before training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadInit {
    /// Weight and bias uniform within `±1 / sqrt(in_features)`, `PyTorch`'s default for a linear layer.
    UniformFanIn,
    /// Weight normal with deviation 0.01, bias zero.
    SmallNormal,
}

/// The linear classifier on the mean of the last feature maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Key prefix of its tensors: `{key}.weight` and `{key}.bias`.
    pub key: String,
    /// Channels of the last feature maps.
    pub in_features: usize,
    /// Shape of its weight.
    pub kind: HeadKind,
    /// How it starts.
    pub init: HeadInit,
    /// Key prefixes of heads in files made elsewhere: their tensors are dropped, and not called unexpected.
    pub old_keys: Vec<String>,
}

impl Head {
    /// Shape of the weight in a file.
    pub fn weight_shape(&self, classes: usize) -> Vec<usize> {
        match self.kind {
            HeadKind::Linear => vec![classes, self.in_features],
            HeadKind::Conv1x1 => vec![classes, self.in_features, 1, 1],
        }
    }

    /// Whether a tensor of this name belongs to a head, this one or an old one.
    pub fn owns(&self, tensor: &str) -> bool {
        let under = |prefix: &str| tensor.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'));
        under(&self.key) || self.old_keys.iter().any(|key| under(key))
    }
}

/// An architecture: the way from an image to the last feature maps, and the head.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
    fields: Vec<Field>,
    conv_init: ConvInit,
    head: Head,
}

impl Graph {
    /// What batch normalisation adds to the variance.
    pub const BATCH_NORM_EPSILON: f64 = 1e-5;
    /// The weight of a new batch in batch normalisation's running statistics.
    pub const BATCH_NORM_MOMENTUM: f64 = 0.1;

    /// The nodes in topological order; the last one gives the feature maps.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The receptive field of each node.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// How convolutions start.
    pub fn conv_init(&self) -> ConvInit {
        self.conv_init
    }

    /// The head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Per node, the last node that reads it (itself where none does): from then on its value can be freed.
    pub fn last_uses(&self) -> Vec<NodeId> {
        let mut last: Vec<NodeId> = (0..self.nodes.len()).map(NodeId).collect();
        for (i, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                last[input.0] = NodeId(i);
            }
        }
        last
    }
}

/// Puts a [`Graph`] together node by node.
///
/// Its methods panic where a graph would make no sense (channels that do not fit, branches of different stride):
/// architectures are part of the program, and every one of them is built in the tests.
#[derive(Debug)]
pub struct GraphBuilder {
    nodes: Vec<Node>,
}

impl GraphBuilder {
    /// A graph of nothing but the image, and the image's node.
    pub fn new() -> (Self, NodeId) {
        let input = Node { op: Op::Input, inputs: Vec::new(), channels: INPUT_CHANNELS };
        (Self { nodes: vec![input] }, NodeId(0))
    }

    /// A convolution of `from`.
    ///
    /// # Panics
    /// If the channels do not fit.
    pub fn conv(&mut self, from: NodeId, conv: Conv) -> NodeId {
        assert_eq!(self.channels(from), conv.channels_in, "{} reads other channels", conv.key);
        let channels = conv.channels_out;
        self.push(Op::Conv2d(conv), vec![from], channels)
    }

    /// Batch normalisation of `from`.
    pub fn batch_norm(&mut self, from: NodeId, key: impl Into<String>) -> NodeId {
        let channels = self.channels(from);
        self.push(Op::BatchNorm { key: key.into(), channels }, vec![from], channels)
    }

    /// `ReLU` of `from`.
    pub fn relu(&mut self, from: NodeId) -> NodeId {
        self.push(Op::Relu, vec![from], self.channels(from))
    }

    /// `ReLU` of `from`, clamped at 6.
    pub fn relu6(&mut self, from: NodeId) -> NodeId {
        self.push(Op::Relu6, vec![from], self.channels(from))
    }

    /// Max pooling of `from`.
    pub fn max_pool(&mut self, from: NodeId, pool: Pool) -> NodeId {
        self.push(Op::MaxPool(pool), vec![from], self.channels(from))
    }

    /// The sum of two nodes.
    ///
    /// # Panics
    /// If their channels differ.
    pub fn add(&mut self, a: NodeId, b: NodeId) -> NodeId {
        let channels = self.channels(a);
        assert_eq!(channels, self.channels(b), "a sum of different channels");
        self.push(Op::Add, vec![a, b], channels)
    }

    /// The channels of several nodes, one after the other.
    pub fn concat(&mut self, parts: Vec<NodeId>) -> NodeId {
        let channels = parts.iter().map(|&part| self.channels(part)).sum();
        self.push(Op::Concat, parts, channels)
    }

    /// `from` without its first rows and columns.
    pub(crate) fn skip(&mut self, from: NodeId, [rows, columns]: [usize; 2]) -> NodeId {
        self.push(Op::Skip { rows, columns }, vec![from], self.channels(from))
    }

    /// The graph whose feature maps are the last node's.
    ///
    /// # Panics
    /// If the head takes other channels, or branches that meet lie differently in the image.
    pub fn finish(self, conv_init: ConvInit, head: Head) -> Graph {
        let last = self.nodes.last().map_or(0, |node| node.channels);
        assert_eq!(last, head.in_features, "{} reads other channels", head.key);
        let fields = Field::of_nodes(&self.nodes);
        Graph { nodes: self.nodes, fields, conv_init, head }
    }

    /// Channels of a node's output.
    pub fn channels(&self, node: NodeId) -> usize {
        self.nodes[node.0].channels
    }

    pub(crate) fn push(&mut self, op: Op, inputs: Vec<NodeId>, channels: usize) -> NodeId {
        self.nodes.push(Node { op, inputs, channels });
        NodeId(self.nodes.len() - 1)
    }
}
