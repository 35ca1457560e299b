use crate::{ArchError, Conv, Field, Graph, Node, NodeId, Op, Pool};
use locam_core::Size;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Shape of one image's values behind a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputShape {
    /// Channels of maps of a size.
    Maps {
        /// Channels.
        channels: usize,
        /// Columns and rows.
        size: Size,
    },
    /// One value per class.
    Logits(usize),
}

impl fmt::Display for OutputShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Maps { channels, size } => write!(f, "{channels}x{}x{}", size.height, size.width),
            Self::Logits(classes) => write!(f, "{classes}"),
        }
    }
}

/// One line of the table that describes a network.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerRow {
    /// Key prefix of its tensors; empty for layers that have none.
    pub name: String,
    /// What it computes, e.g. `conv 3x3 /2`.
    pub kind: String,
    /// Shape behind it: channels, rows, columns.
    pub output: OutputShape,
    /// Numbers that training changes.
    pub parameters: u64,
    /// Where its cells look.
    pub field: Field,
}

impl Graph {
    /// Size of the feature maps of an input.
    ///
    /// # Errors
    /// [`ArchError::InputTooSmall`] where a layer's window does not fit.
    pub fn output_size(&self, input: Size) -> Result<Size, ArchError> {
        Ok(self.node_sizes(input)?.last().copied().unwrap_or(input))
    }

    /// Size of every node's output.
    ///
    /// # Errors
    /// [`ArchError::InputTooSmall`] where a layer's window does not fit.
    pub fn node_sizes(&self, input: Size) -> Result<Vec<Size>, ArchError> {
        let mut sizes: Vec<Size> = Vec::with_capacity(self.nodes().len());
        for (i, node) in self.nodes().iter().enumerate() {
            let seen = node.inputs.first().map_or(input, |from| sizes[from.0]);
            let size = match &node.op {
                Op::Conv2d(conv) => conv_size(conv, seen),
                Op::MaxPool(pool) => pool_size(*pool, seen),
                Op::Skip { rows, columns } => skipped_size(seen, *rows, *columns),
                Op::Interleave(steps) => {
                    let of = |input: &NodeId| sizes[input.0];
                    let width = node.inputs.iter().take(*steps).map(|input| of(input).width).sum();
                    let height = node.inputs.iter().step_by(*steps).map(|input| of(input).height).sum();
                    Some(Size::new(width, height))
                }
                _ => Some(seen),
            };
            sizes.push(size.ok_or_else(|| self.too_small(input, NodeId(i), seen))?);
        }
        Ok(sizes)
    }

    /// Names and shapes of all tensors that training changes, in the order of the layers, the head last.
    pub fn parameters(&self, classes: usize) -> Vec<(String, Vec<usize>)> {
        let mut list = Vec::new();
        for node in self.nodes() {
            match &node.op {
                Op::Conv2d(conv) => {
                    list.push((format!("{}.weight", conv.key), conv.weight_shape().to_vec()));
                    if conv.bias {
                        list.push((format!("{}.bias", conv.key), vec![conv.channels_out]));
                    }
                }
                Op::BatchNorm { key, channels } => {
                    list.push((format!("{key}.weight"), vec![*channels]));
                    list.push((format!("{key}.bias"), vec![*channels]));
                }
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
        list.push((format!("{}.weight", self.head().key), self.head().weight_shape(classes)));
        list.push((format!("{}.bias", self.head().key), vec![classes]));
        // Phases of a layer share its tensors.
        let mut seen = BTreeSet::new();
        list.retain(|(key, _)| seen.insert(key.clone()));
        list
    }

    /// Shapes of all tensors of a state dict by their names: those that training changes, and batch normalisation's
    /// running statistics.
    pub fn state_shapes(&self, classes: usize) -> BTreeMap<String, Vec<usize>> {
        let mut shapes: BTreeMap<_, _> = self.parameters(classes).into_iter().collect();
        for node in self.nodes() {
            if let Op::BatchNorm { key, channels } = &node.op {
                shapes.insert(format!("{key}.running_mean"), vec![*channels]);
                shapes.insert(format!("{key}.running_var"), vec![*channels]);
            }
        }
        shapes
    }

    /// How many numbers training changes.
    pub fn parameter_count(&self, classes: usize) -> u64 {
        let count = |shape: &[usize]| shape.iter().product::<usize>() as u64;
        self.parameters(classes).iter().map(|(_, shape)| count(shape)).sum()
    }

    /// How many multiplications with a following addition the convolutions and the head do for one input.
    ///
    /// # Errors
    /// [`ArchError::InputTooSmall`] where a layer's window does not fit.
    pub fn multiply_adds(&self, input: Size, classes: usize) -> Result<u64, ArchError> {
        let sizes = self.node_sizes(input)?;
        let convolutions: u64 = self
            .nodes()
            .iter()
            .zip(&sizes)
            .filter_map(|(node, size)| match &node.op {
                Op::Conv2d(conv) => Some(size.area() * weight_count(conv)),
                _ => None,
            })
            .sum();
        Ok(convolutions + (self.head().in_features * classes) as u64)
    }

    /// One row per layer for an input of a size, the head last. Additions of branches and the like have rows too.
    ///
    /// # Errors
    /// [`ArchError::InputTooSmall`] where a layer's window does not fit.
    pub fn layer_table(&self, input: Size, classes: usize) -> Result<Vec<LayerRow>, ArchError> {
        let sizes = self.node_sizes(input)?;
        let layers = self.nodes().iter().zip(&sizes).zip(self.fields());
        let mut rows: Vec<LayerRow> = layers
            .map(|((node, &size), &field)| LayerRow {
                name: node.key().to_owned(),
                kind: node.op.to_string(),
                output: OutputShape::Maps { channels: node.channels, size },
                parameters: node.parameter_count(),
                field,
            })
            .collect();
        rows.push(LayerRow {
            name: self.head().key.clone(),
            kind: "mean, linear".to_owned(),
            output: OutputShape::Logits(classes),
            parameters: ((self.head().in_features + 1) * classes) as u64,
            field: self.field(),
        });
        Ok(rows)
    }

    fn too_small(&self, input: Size, node: NodeId, seen: Size) -> ArchError {
        let op = &self.nodes()[node.0].op;
        let key = self.nodes()[node.0].key();
        let (kernel, padding) = match op {
            Op::Conv2d(conv) => (conv.kernel, conv.padding),
            Op::MaxPool(pool) => (pool.kernel, pool.padding),
            Op::Skip { rows, columns } => (*rows.max(columns) + 1, 0),
            _ => (1, 0),
        };
        let layer = if key.is_empty() { format!("{op} (node {})", node.0) } else { key.to_owned() };
        ArchError::InputTooSmall {
            input,
            layer,
            seen,
            needed: kernel.saturating_sub(2 * padding).max(1) as u32,
        }
    }
}

impl Node {
    /// Key prefix of the node's tensors; empty where it has none.
    pub fn key(&self) -> &str {
        match &self.op {
            Op::Conv2d(conv) => &conv.key,
            Op::BatchNorm { key, .. } => key,
            _ => "",
        }
    }

    fn parameter_count(&self) -> u64 {
        match &self.op {
            Op::Conv2d(conv) => weight_count(conv) + if conv.bias { conv.channels_out as u64 } else { 0 },
            Op::BatchNorm { channels, .. } => 2 * *channels as u64,
            _ => 0,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => write!(f, "input"),
            Self::Conv2d(conv) => {
                let kind = if conv.groups == 1 { "conv" } else { "depthwise conv" };
                write!(f, "{kind} {0}x{0}", conv.kernel)?;
                if conv.stride > 1 { write!(f, " /{}", conv.stride) } else { Ok(()) }
            }
            Self::BatchNorm { .. } => write!(f, "batch norm"),
            Self::Relu => write!(f, "relu"),
            Self::Relu6 => write!(f, "relu6"),
            Self::MaxPool(pool) => write!(f, "max pool {0}x{0} /{1}", pool.kernel, pool.stride),
            Self::Add => write!(f, "add"),
            Self::Concat => write!(f, "concat"),
            Self::Skip { .. } => write!(f, "skip"),
            Self::Interleave(_) => write!(f, "interleave"),
        }
    }
}

fn weight_count(conv: &Conv) -> u64 {
    conv.weight_shape().iter().product::<usize>() as u64
}

/// Size behind a convolution; `None` where its window does not fit.
fn conv_size(conv: &Conv, input: Size) -> Option<Size> {
    let side = |n: u32| Some((n as usize + 2 * conv.padding).checked_sub(conv.kernel)? / conv.stride + 1);
    both_sides(input, side)
}

/// Size behind a pooling, by `PyTorch`'s rule: in ceil mode a last window must start inside the input or its first
/// padding.
fn pool_size(pool: Pool, input: Size) -> Option<Size> {
    let side = |n: u32| {
        let room = (n as usize + 2 * pool.padding).checked_sub(pool.kernel)?;
        if !pool.ceil_mode {
            return Some(room / pool.stride + 1);
        }
        let cells = room.div_ceil(pool.stride) + 1;
        let starts_inside = (cells - 1) * pool.stride < n as usize + pool.padding;
        Some(if starts_inside { cells } else { cells - 1 })
    };
    both_sides(input, side)
}

/// Size without the first rows and columns; `None` where nothing is left.
fn skipped_size(input: Size, rows: usize, columns: usize) -> Option<Size> {
    let side = |n: u32, skipped: usize| n.checked_sub(skipped as u32).filter(|&left| left > 0);
    Some(Size::new(side(input.width, columns)?, side(input.height, rows)?))
}

fn both_sides(input: Size, side: impl Fn(u32) -> Option<usize>) -> Option<Size> {
    if input.width == 0 || input.height == 0 {
        return None;
    }
    Some(Size::new(side(input.width)? as u32, side(input.height)? as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArchName;
    use proptest::prelude::*;

    /// As counted by torchvision for 1000 classes; VGG with its pooling head instead of three linear layers.
    #[test]
    fn parameter_counts_are_torchvisions() {
        let cases = [
            (ArchName::Resnet18, 11_689_512),
            (ArchName::Resnet34, 21_797_672),
            (ArchName::Resnet50, 25_557_032),
            (ArchName::Vgg16, 14_714_688 + 513_000),
            (ArchName::Vgg19, 20_024_384 + 513_000),
            (ArchName::Squeezenet1_1, 1_235_496),
            (ArchName::MobilenetV2, 3_504_872),
        ];
        for (name, count) in cases {
            let graph = name.graph();
            assert_eq!(graph.parameter_count(1000), count, "{name}");
            let rows = graph.layer_table(Size::new(224, 224), 1000).unwrap();
            assert_eq!(rows.iter().map(|row| row.parameters).sum::<u64>(), count, "{name}");
        }
    }

    /// As published with torchvision's weights, in billions. `SqueezeNet` there has 0.349, with its class convolution at
    /// all 13 x 13 places instead of once on their mean.
    #[test]
    fn multiply_adds_are_torchvisions() {
        let cases = [
            (ArchName::Resnet18, 1.814),
            (ArchName::Resnet34, 3.664),
            (ArchName::Resnet50, 4.089),
            (ArchName::Squeezenet1_1, 0.349 - 168.0 * 512.0 * 1000.0 / 1e9),
            (ArchName::MobilenetV2, 0.301),
        ];
        for (name, billions) in cases {
            let count = name.graph().multiply_adds(Size::new(224, 224), 1000).unwrap() as f64 / 1e9;
            assert!((count - billions).abs() < 0.002, "{name}: {count}");
        }
    }

    #[test]
    fn oblong_inputs_keep_their_orientation() {
        let cases = [
            (ArchName::Resnet18, Size::new(10, 7)),
            (ArchName::Vgg16, Size::new(10, 7)),
            (ArchName::Squeezenet1_1, Size::new(19, 13)),
            (ArchName::MobilenetV2, Size::new(10, 7)),
        ];
        for (name, expected) in cases {
            assert_eq!(name.graph().output_size(Size::new(320, 224)), Ok(expected), "{name}");
        }
    }

    #[test]
    fn a_tiny_input_names_the_layer_that_cannot_take_it() {
        let error = ArchName::Vgg16.graph().output_size(Size::new(300, 20)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "an input of 300x20 is too small: layer `max pool 2x2 /2 (node 31)` sees 18x1, and its window needs \
             at least 2 on each side; use a larger image"
        );
        assert!(ArchName::Resnet18.graph().output_size(Size::new(0, 224)).is_err());
    }

    #[test]
    fn ceil_mode_drops_a_window_that_starts_in_the_padding() {
        let pool = Pool { kernel: 2, stride: 2, padding: 1, ceil_mode: true };
        // Windows start at -1, 1, 3; a fourth would start at 5, behind the input of 4 and its padding.
        assert_eq!(pool_size(pool, Size::new(4, 5)), Some(Size::new(3, 3)));
    }

    proptest! {
        /// The last cell's centre lies within the image, up to what padding and ceil mode add.
        #[test]
        fn cells_lie_in_the_image(width in 64u32..700, height in 64u32..700) {
            for name in ArchName::all() {
                let graph = name.graph();
                let field = graph.field();
                let cells = graph.output_size(Size::new(width, height)).unwrap();
                for (cells, side) in [(cells.width, width), (cells.height, height)] {
                    let last = field.first_center.x + f64::from((cells - 1) * field.stride);
                    prop_assert!(last > f64::from(side) - 2.0 * f64::from(field.stride));
                    prop_assert!(last < f64::from(side + field.stride));
                }
            }
        }

        /// Turning the input by a right angle turns the maps.
        #[test]
        fn width_and_height_are_treated_alike(width in 64u32..700, height in 64u32..700) {
            for name in ArchName::all() {
                let graph = name.graph();
                let upright = graph.output_size(Size::new(width, height)).unwrap();
                let turned = graph.output_size(Size::new(height, width)).unwrap();
                prop_assert_eq!((upright.width, upright.height), (turned.height, turned.width));
            }
        }
    }
}
