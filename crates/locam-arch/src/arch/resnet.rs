//! `ResNet` (He et al., "Deep Residual Learning for Image Recognition", 2015, <https://arxiv.org/abs/1512.03385>) as
//! torchvision builds it: in the bottleneck the 3x3 convolution carries the stride.

use crate::name::Entry;
use crate::{Conv, ConvInit, Graph, GraphBuilder, Head, HeadInit, HeadKind, NodeId, Pool};

pub(crate) const RESNET18: Entry = Entry {
    text: "resnet18",
    imagenet_file: "resnet18-f37072fd.pth",
    graph: || resnet(Block::Basic, [2, 2, 2, 2]),
};

pub(crate) const RESNET34: Entry = Entry {
    text: "resnet34",
    imagenet_file: "resnet34-b627a593.pth",
    graph: || resnet(Block::Basic, [3, 4, 6, 3]),
};

pub(crate) const RESNET50: Entry = Entry {
    text: "resnet50",
    imagenet_file: "resnet50-0676ba61.pth",
    graph: || resnet(Block::Bottleneck, [3, 4, 6, 3]),
};

#[derive(Clone, Copy)]
enum Block {
    Basic,
    Bottleneck,
}

impl Block {
    /// Output channels per unit of width.
    const fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

fn resnet(block: Block, depths: [usize; 4]) -> Graph {
    let (mut graph, image) = GraphBuilder::new();
    let stem = Conv { stride: 2, ..Conv::new("conv1", 3, 64, 7) };
    let stem = graph.conv(image, stem);
    let stem = graph.batch_norm(stem, "bn1");
    let stem = graph.relu(stem);
    let mut x = graph.max_pool(stem, Pool { kernel: 3, stride: 2, padding: 1, ceil_mode: false });
    for (stage, depth) in depths.into_iter().enumerate() {
        for i in 0..depth {
            let key = format!("layer{}.{i}", stage + 1);
            let stride = if stage > 0 && i == 0 { 2 } else { 1 };
            x = residual(&mut graph, x, block, &key, 64 << stage, stride);
        }
    }
    let head = Head {
        key: "fc".to_owned(),
        in_features: 512 * block.expansion(),
        kind: HeadKind::Linear,
        init: HeadInit::UniformFanIn,
        old_keys: Vec::new(),
    };
    graph.finish(ConvInit::KaimingNormalFanOut, head)
}

fn residual(
    graph: &mut GraphBuilder,
    from: NodeId,
    block: Block,
    key: &str,
    width: usize,
    stride: usize,
) -> NodeId {
    let channels_in = graph.channels(from);
    let channels_out = width * block.expansion();
    let convolutions = match block {
        Block::Basic => vec![
            Conv { stride, ..Conv::new(format!("{key}.conv1"), channels_in, width, 3) },
            Conv::new(format!("{key}.conv2"), width, width, 3),
        ],
        Block::Bottleneck => vec![
            Conv::new(format!("{key}.conv1"), channels_in, width, 1),
            Conv { stride, ..Conv::new(format!("{key}.conv2"), width, width, 3) },
            Conv::new(format!("{key}.conv3"), width, channels_out, 1),
        ],
    };
    let count = convolutions.len();
    let mut x = from;
    for (i, conv) in convolutions.into_iter().enumerate() {
        x = graph.conv(x, conv);
        x = graph.batch_norm(x, format!("{key}.bn{}", i + 1));
        if i + 1 < count {
            x = graph.relu(x);
        }
    }
    let shortcut = if stride == 1 && channels_in == channels_out {
        from
    } else {
        let conv = Conv { stride, ..Conv::new(format!("{key}.downsample.0"), channels_in, channels_out, 1) };
        let shortcut = graph.conv(from, conv);
        graph.batch_norm(shortcut, format!("{key}.downsample.1"))
    };
    let sum = graph.add(x, shortcut);
    graph.relu(sum)
}
