use locam_arch::{Conv, Graph, Node, NodeId, Op, Pool};
use locam_kernels::Activation;
use std::collections::BTreeSet;

/// A few nodes of a graph that are computed together. A stage's value is named by the last of its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What it computes.
    pub work: Work,
    /// The value that it reads.
    pub input: NodeId,
    /// Its first rows and columns, which are left out.
    pub skip: [usize; 2],
    /// The value that it makes.
    pub output: NodeId,
}

/// What a stage computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// A convolution and everything that is done to its values one by one, in this order.
    Conv {
        /// The convolution.
        conv: Conv,
        /// Key prefix of the batch normalisation.
        norm: Option<String>,
        /// A value that is added.
        residual: Option<NodeId>,
        /// The rectifier.
        activation: Activation,
    },
    /// A max pooling.
    MaxPool(Pool),
    /// Values stacked along the channels; the first of them is the stage's input.
    Concat(Vec<NodeId>),
    /// The last maps from those of all their phases, so many along an axis; the first of them is the stage's input.
    Interleave(usize, Vec<NodeId>),
}

/// Cuts a graph into stages, in an order in which they can be computed.
///
/// # Panics
/// If a sum or a rectifier follows something else than a convolution: no architecture here has that.
pub fn stages(graph: &Graph) -> Vec<Stage> {
    let mut cutter = Cutter { graph, made: BTreeSet::from([NodeId(0)]) };
    let mut stages = Vec::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        let work = match &node.op {
            Op::Conv2d(conv) => {
                let (stage, last) = cutter.conv(conv, NodeId(i), node.inputs[0]);
                cutter.made.insert(last);
                stages.push(stage);
                continue;
            }
            Op::MaxPool(pool) => Work::MaxPool(*pool),
            Op::Concat => Work::Concat(node.inputs.clone()),
            Op::Interleave(steps) => Work::Interleave(*steps, node.inputs.clone()),
            // The image is given; the others are part of a convolution's stage, whichever of a sum's branches ends last, or of
            // the stages that read them.
            Op::Input | Op::BatchNorm { .. } | Op::Relu | Op::Relu6 | Op::Add | Op::Skip { .. } => continue,
        };
        cutter.made.insert(NodeId(i));
        let (input, skip) = source(graph, node.inputs[0]);
        stages.push(Stage { work, input, skip, output: NodeId(i) });
    }
    let last = NodeId(graph.nodes().len() - 1);
    assert!(cutter.made.contains(&last), "every value of a graph is made by a stage");
    stages
}

/// The value that a node reads, and its first rows and columns that are left out.
fn source(graph: &Graph, input: NodeId) -> (NodeId, [usize; 2]) {
    match &graph.nodes()[input.0] {
        Node { op: Op::Skip { rows, columns }, inputs, .. } => (inputs[0], [*rows, *columns]),
        _ => (input, [0, 0]),
    }
}

struct Cutter<'a> {
    graph: &'a Graph,
    made: BTreeSet<NodeId>,
}

impl Cutter<'_> {
    /// The convolution's stage, and the last of its nodes.
    fn conv(&self, conv: &Conv, node: NodeId, input: NodeId) -> (Stage, NodeId) {
        let (mut norm, mut residual, mut activation) = (None, None, Activation::None);
        let mut last = node;
        while let Some(next) = self.only_reader(last) {
            let taken = match &self.graph.nodes()[next.0].op {
                Op::BatchNorm { key, .. } if last == node => {
                    norm = Some(key.clone());
                    true
                }
                Op::Add if residual.is_none() => {
                    let inputs = &self.graph.nodes()[next.0].inputs;
                    residual =
                        inputs.iter().copied().find(|&other| other != last && self.made.contains(&other));
                    residual.is_some()
                }
                Op::Relu => {
                    activation = Activation::Relu;
                    true
                }
                Op::Relu6 => {
                    activation = Activation::Relu6;
                    true
                }
                _ => false,
            };
            if !taken {
                break;
            }
            last = next;
            if activation != Activation::None {
                break;
            }
        }
        let work = Work::Conv { conv: conv.clone(), norm, residual, activation };
        let (input, skip) = source(self.graph, input);
        (Stage { work, input, skip, output: last }, last)
    }

    /// The node that alone reads a value.
    fn only_reader(&self, value: NodeId) -> Option<NodeId> {
        let mut readers = (0..).zip(self.graph.nodes()).filter(|(_, node)| node.inputs.contains(&value));
        let (first, none) = (readers.next(), readers.next());
        if none.is_some() { None } else { first.map(|(i, _)| NodeId(i)) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use locam_arch::{ArchName, StateDict, TensorValue};
    use locam_kernels::testing::random_values;

    /// Random weights that keep values of one size from layer to layer; batch normalisation as it starts.
    pub(crate) fn random_state(graph: &Graph) -> StateDict {
        let value = |(i, (key, shape)): (usize, (String, Vec<usize>))| {
            let count = shape.iter().product();
            let data = match shape.len() {
                1 if key.ends_with("weight") || key.ends_with("running_var") => vec![1.0; count],
                1 => vec![0.0; count],
                _ => {
                    let scale = (6.0 / (count / shape[0]) as f32).sqrt();
                    random_values(count, i as u64).iter().map(|value| value * scale).collect()
                }
            };
            (key, TensorValue { shape, data })
        };
        graph.state_shapes(2).into_iter().enumerate().map(value).collect()
    }

    #[test]
    fn every_architecture_is_cut_into_stages() {
        let cases = [
            (ArchName::Resnet18, 20 + 1, 8),
            (ArchName::Resnet50, 53 + 1, 16),
            (ArchName::Vgg16, 13 + 5, 0),
            (ArchName::Squeezenet1_1, 26 - 1 + 3 + 8, 0),
            (ArchName::MobilenetV2, 52, 10),
        ];
        for (name, count, residuals) in cases {
            let stages = stages(&name.graph());
            let added = |stage: &&Stage| matches!(&stage.work, Work::Conv { residual: Some(_), .. });
            assert_eq!(stages.iter().filter(added).count(), residuals, "{name}");
            assert_eq!(stages.len(), count, "{name}");
        }
    }
}
