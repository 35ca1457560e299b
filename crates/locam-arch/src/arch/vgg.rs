//! VGG (Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014,
//! <https://arxiv.org/abs/1409.1556>) with torchvision's convolutions and, in place of its three linear layers, one
//! linear layer on the mean of the 512 last feature maps, as the CAM paper does.

use crate::name::Entry;
use crate::{Conv, ConvInit, Graph, GraphBuilder, Head, HeadInit, HeadKind, Pool};

pub(crate) const VGG16: Entry =
    Entry { text: "vgg16", imagenet_file: "vgg16-397923af.pth", graph: || vgg([2, 2, 3, 3, 3]) };

pub(crate) const VGG19: Entry =
    Entry { text: "vgg19", imagenet_file: "vgg19-dcbb9e9d.pth", graph: || vgg([2, 2, 4, 4, 4]) };

/// Output channels of the five stages.
const WIDTHS: [usize; 5] = [64, 128, 256, 512, 512];

fn vgg(depths: [usize; 5]) -> Graph {
    let (mut graph, mut x) = GraphBuilder::new();
    // Torchvision's keys count every layer: convolutions, activations and poolings.
    let mut index = 0;
    for (depth, width) in depths.into_iter().zip(WIDTHS) {
        for _ in 0..depth {
            let channels = graph.channels(x);
            let conv = Conv { bias: true, ..Conv::new(format!("features.{index}"), channels, width, 3) };
            x = graph.conv(x, conv);
            x = graph.relu(x);
            index += 2;
        }
        x = graph.max_pool(x, Pool { kernel: 2, stride: 2, padding: 0, ceil_mode: false });
        index += 1;
    }
    let head = Head {
        key: "classifier".to_owned(),
        in_features: 512,
        kind: HeadKind::Linear,
        init: HeadInit::SmallNormal,
        old_keys: ["classifier.0", "classifier.3", "classifier.6"].map(str::to_owned).to_vec(),
    };
    graph.finish(ConvInit::KaimingNormalFanOut, head)
}
