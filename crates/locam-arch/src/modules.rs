use crate::{Graph, NodeId, Op};

/// A module of a network in torchvision's sense: what training freezes, or gives a learning rate of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its name: `conv1` (with its batch norm) and `layer1` to `layer4` in `ResNet`, `features.0`, `features.1` and so on
    /// in the others.
    pub name: String,
    /// Key prefixes of its convolutions and batch normalisations.
    pub layers: Vec<String>,
}

impl Graph {
    /// The modules with tensors of their own, from the image to the last feature maps. The head is none of them.
    pub fn modules(&self) -> Vec<Module> {
        let mut modules: Vec<Module> = Vec::new();
        for node in self.nodes() {
            let (name, layer) = match &node.op {
                Op::Conv2d(conv) => (module_name(&conv.key), &conv.key),
                Op::BatchNorm { key, .. } => (module_name(self.conv_key(node.inputs[0])), key),
                Op::Input
                | Op::Relu
                | Op::Relu6
                | Op::MaxPool(_)
                | Op::Add
                | Op::Concat
                | Op::Skip { .. }
                | Op::Interleave(_) => continue,
            };
            match modules.iter_mut().find(|module| module.name == name) {
                Some(module) => module.layers.push(layer.clone()),
                None => modules.push(Module { name: name.to_owned(), layers: vec![layer.clone()] }),
            }
        }
        modules
    }

    /// The key of the convolution that a batch normalisation reads.
    fn conv_key(&self, node: NodeId) -> &str {
        match &self.nodes()[node.0].op {
            Op::Conv2d(conv) => &conv.key,
            _ => unreachable!("batch normalisation follows a convolution in every architecture"),
        }
    }
}

/// The module that a layer's key begins with.
fn module_name(key: &str) -> &str {
    let parts = if key.starts_with("features.") { 2 } else { 1 };
    let end = key.match_indices('.').nth(parts - 1).map_or(key.len(), |(place, _)| place);
    &key[..end]
}

#[cfg(test)]
mod tests {
    use crate::ArchName;

    fn names(arch: ArchName) -> Vec<String> {
        arch.graph().modules().into_iter().map(|module| module.name).collect()
    }

    #[test]
    fn modules_are_called_as_in_torchvision() {
        for arch in [ArchName::Resnet18, ArchName::Resnet34, ArchName::Resnet50] {
            assert_eq!(names(arch), ["conv1", "layer1", "layer2", "layer3", "layer4"]);
        }
        let of_features = |places: &[usize]| -> Vec<String> {
            places.iter().map(|place| format!("features.{place}")).collect()
        };
        assert_eq!(names(ArchName::Squeezenet1_1), of_features(&[0, 3, 4, 6, 7, 9, 10, 11, 12]));
        assert_eq!(names(ArchName::MobilenetV2), of_features(&(0..19).collect::<Vec<_>>()));
        assert_eq!(names(ArchName::Vgg16), of_features(&[0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]));
    }

    #[test]
    fn every_tensor_but_the_heads_belongs_to_one_module() {
        for arch in ArchName::all() {
            let graph = arch.graph();
            let modules = graph.modules();
            for tensor in graph.state_shapes(3).keys() {
                let layer = tensor.rsplit_once('.').unwrap().0.to_owned();
                let owners = modules.iter().filter(|module| module.layers.contains(&layer)).count();
                assert_eq!(owners, usize::from(!graph.head().owns(tensor)), "{arch}: {tensor}");
            }
        }
        assert_eq!(ArchName::Resnet18.graph().modules()[0].layers, ["conv1", "bn1"]);
    }
}
