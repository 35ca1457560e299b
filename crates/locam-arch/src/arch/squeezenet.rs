//! `SqueezeNet` 1.1 (Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016,
//! <https://arxiv.org/abs/1602.07360>) as torchvision builds it, less the dropout and the `ReLU` around the class
//! convolution: the `ReLU` would clamp the class maps before they are averaged.

use crate::name::Entry;
use crate::{Conv, ConvInit, Graph, GraphBuilder, Head, HeadInit, HeadKind, NodeId, Pool};

pub(crate) const SQUEEZENET1_1: Entry =
    Entry { text: "squeezenet1_1", imagenet_file: "squeezenet1_1-b8a52dc0.pth", graph: squeezenet };

const POOL: Pool = Pool { kernel: 3, stride: 2, padding: 0, ceil_mode: true };

/// Index among torchvision's layers, squeezed width, expanded width of each half.
const FIRES: [(usize, usize, usize); 8] = [
    (3, 16, 64),
    (4, 16, 64),
    (6, 32, 128),
    (7, 32, 128),
    (9, 48, 192),
    (10, 48, 192),
    (11, 64, 256),
    (12, 64, 256),
];

fn squeezenet() -> Graph {
    let (mut graph, image) = GraphBuilder::new();
    let stem = Conv { stride: 2, padding: 0, bias: true, ..Conv::new("features.0", 3, 64, 3) };
    let stem = graph.conv(image, stem);
    let stem = graph.relu(stem);
    let mut x = graph.max_pool(stem, POOL);
    let mut expected = 3;
    for (index, squeezed, expanded) in FIRES {
        // A gap in torchvision's numbering is a pooling.
        if index > expected {
            x = graph.max_pool(x, POOL);
        }
        expected = index + 1;
        x = fire(&mut graph, x, index, squeezed, expanded);
    }
    let head = Head {
        key: "classifier.1".to_owned(),
        in_features: 512,
        kind: HeadKind::Conv1x1,
        init: HeadInit::SmallNormal,
        old_keys: Vec::new(),
    };
    graph.finish(ConvInit::KaimingUniformFanIn, head)
}

fn fire(graph: &mut GraphBuilder, from: NodeId, index: usize, squeezed: usize, expanded: usize) -> NodeId {
    let channels = graph.channels(from);
    let mut conv_relu = |from, part, channels_in, channels_out, kernel| {
        let key = format!("features.{index}.{part}");
        let conv = graph.conv(from, Conv { bias: true, ..Conv::new(key, channels_in, channels_out, kernel) });
        graph.relu(conv)
    };
    let narrow = conv_relu(from, "squeeze", channels, squeezed, 1);
    let points = conv_relu(narrow, "expand1x1", squeezed, expanded, 1);
    let windows = conv_relu(narrow, "expand3x3", squeezed, expanded, 3);
    graph.concat(vec![points, windows])
}
