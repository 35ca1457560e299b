//! `MobileNetV2` (Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018,
//! <https://arxiv.org/abs/1801.04381>) as torchvision builds it, less the dropout.

use crate::name::Entry;
use crate::{Conv, ConvInit, Graph, GraphBuilder, Head, HeadInit, HeadKind, NodeId};

pub(crate) const MOBILENET_V2: Entry =
    Entry { text: "mobilenet_v2", imagenet_file: "mobilenet_v2-b0353104.pth", graph: mobilenet_v2 };

/// Expansion, output channels, repetitions, stride of the first (table 2 of the paper).
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

fn mobilenet_v2() -> Graph {
    let (mut graph, image) = GraphBuilder::new();
    let stem = Conv { stride: 2, ..Conv::new("features.0.0", 3, 32, 3) };
    let mut x = conv_norm_relu6(&mut graph, image, stem, "features.0.1");
    let mut index = 1;
    for (expansion, channels, repetitions, stride) in STAGES {
        for i in 0..repetitions {
            let stride = if i == 0 { stride } else { 1 };
            x = inverted_residual(&mut graph, x, index, expansion, channels, stride);
            index += 1;
        }
    }
    let last = Conv::new(format!("features.{index}.0"), 320, 1280, 1);
    conv_norm_relu6(&mut graph, x, last, &format!("features.{index}.1"));
    let head = Head {
        key: "classifier.1".to_owned(),
        in_features: 1280,
        kind: HeadKind::Linear,
        init: HeadInit::SmallNormal,
        old_keys: Vec::new(),
    };
    graph.finish(ConvInit::KaimingNormalFanOut, head)
}

fn conv_norm_relu6(graph: &mut GraphBuilder, from: NodeId, conv: Conv, norm: &str) -> NodeId {
    let x = graph.conv(from, conv);
    let x = graph.batch_norm(x, norm);
    graph.relu6(x)
}

fn inverted_residual(
    graph: &mut GraphBuilder,
    from: NodeId,
    index: usize,
    expansion: usize,
    channels_out: usize,
    stride: usize,
) -> NodeId {
    let key = format!("features.{index}.conv");
    let channels_in = graph.channels(from);
    let hidden = channels_in * expansion;
    let mut x = from;
    let mut part = 0;
    if expansion > 1 {
        let expand = Conv::new(format!("{key}.{part}.0"), channels_in, hidden, 1);
        x = conv_norm_relu6(graph, x, expand, &format!("{key}.{part}.1"));
        part += 1;
    }
    let depthwise =
        Conv { stride, groups: hidden, ..Conv::new(format!("{key}.{part}.0"), hidden, hidden, 3) };
    x = conv_norm_relu6(graph, x, depthwise, &format!("{key}.{part}.1"));
    x = graph.conv(x, Conv::new(format!("{key}.{}", part + 1), hidden, channels_out, 1));
    x = graph.batch_norm(x, format!("{key}.{}", part + 2));
    if stride == 1 && channels_in == channels_out { graph.add(x, from) } else { x }
}
