use crate::{Graph, Node, Op};
use locam_core::{MapTransform, Point};
use std::ops::Range;

/// Where in the image a node's cells look: the arithmetic of receptive fields (Araujo, Norris, Sim, "Computing
/// Receptive Fields of Convolutional Neural Networks", 2019, <https://distill.pub/2019/computing-receptive-fields>).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    /// Side of the square of image pixels that can change a cell.
    pub size: u32,
    /// Pixels from one cell's field to the next one's.
    pub stride: u32,
    /// The centre of the first cell's field, in the image.
    pub first_center: Point,
}

impl Field {
    /// The image itself.
    const INPUT: Self = Self { size: 1, stride: 1, first_center: Point::new(0.5, 0.5) };

    /// The field behind a window of `kernel` that steps by `stride` over an input padded by `padding`.
    #[must_use]
    fn behind_window(self, kernel: usize, stride: usize, padding: usize) -> Self {
        let inwards = (kernel as f64 - 1.0) / 2.0 - padding as f64;
        Self {
            size: self.size + (kernel as u32 - 1) * self.stride,
            stride: self.stride * stride as u32,
            ..self.moved(inwards, inwards)
        }
    }

    /// The field of cells so many columns to the right and rows below.
    #[must_use]
    fn moved(self, columns: f64, rows: f64) -> Self {
        let (step, Point { x, y }) = (f64::from(self.stride), self.first_center);
        Self { first_center: Point::new(x + columns * step, y + rows * step), ..self }
    }

    /// The field where branches meet: the larger one.
    ///
    /// # Panics
    /// If the branches' cells lie at different places, so that the result would have no place of its own.
    fn joined(self, other: Self) -> Self {
        assert_eq!(self.stride, other.stride, "branches of different stride meet");
        assert!(
            self.first_center.distance(other.first_center) < 1e-9,
            "branches that start at different places meet"
        );
        if other.size > self.size { other } else { self }
    }

    /// The fields of nodes in topological order.
    pub(crate) fn of_nodes(nodes: &[Node]) -> Vec<Self> {
        let mut fields: Vec<Self> = Vec::with_capacity(nodes.len());
        for node in nodes {
            let inputs = node.inputs.iter().map(|input| fields[input.0]);
            let before = match node.op {
                // The first of its inputs has the first of its cells.
                Op::Interleave(_) => inputs.clone().next(),
                _ => inputs.reduce(Self::joined),
            };
            let before = before.unwrap_or(Self::INPUT);
            fields.push(match &node.op {
                Op::Conv2d(conv) => before.behind_window(conv.kernel, conv.stride, conv.padding),
                Op::MaxPool(pool) => before.behind_window(pool.kernel, pool.stride, pool.padding),
                Op::Interleave(steps) => Self { stride: before.stride / *steps as u32, ..before },
                Op::Skip { rows, columns } => before.moved(*columns as f64, *rows as f64),
                Op::Input | Op::BatchNorm { .. } | Op::Relu | Op::Relu6 | Op::Add | Op::Concat => before,
            });
        }
        fields
    }

    /// The transform from the node's map to the image.
    pub fn map_transform(self) -> MapTransform {
        MapTransform {
            first_center: self.first_center,
            stride: Point::new(self.stride.into(), self.stride.into()),
        }
    }
}

impl Graph {
    /// The receptive field of the feature maps.
    pub fn field(&self) -> Field {
        self.fields().last().copied().unwrap_or(Field::INPUT)
    }

    /// Side in pixels of the square of the image that one cell of the feature maps sees.
    pub fn receptive_field(&self) -> u32 {
        self.field().size
    }

    /// Where the cells of the feature maps lie in the network's input.
    pub fn map_transform(&self) -> MapTransform {
        self.field().map_transform()
    }

    /// The rows (or columns) of an image that a pass has to see so that these rows (or columns) of its feature maps are the
    /// image's, up to rounding; the image has `length` of them.
    ///
    /// They begin at a multiple of the stride, so that the first row of the pass's own feature maps is number `start / stride` of the
    /// image's.
    pub fn seen_by(&self, cells: &Range<u32>, length: u32) -> Range<u32> {
        let Field { size, stride, first_center } = self.field();
        let radius = f64::from(size) / 2.0;
        let center = |cell: u32| first_center.x + f64::from(cell) * f64::from(stride);
        let start = (center(cells.start) - radius).max(0.0) as u32 / stride * stride;
        // Of one cell more, so that the last one's are there whatever is cut off at the end.
        start..((center(cells.end) + radius).ceil() as u32).min(length)
    }
}

#[cfg(test)]
mod tests {
    use crate::ArchName;
    use locam_core::Point;

    /// Strides and receptive fields as published with the paper named above, first centres by hand. For `ResNet`-50 the
    /// paper has 483, with the stride in the bottleneck's first convolution; with it in the second, as here, each of
    /// the three strided blocks sees less: by 8, 16 and 32 pixels.
    #[test]
    fn fields_of_the_known_networks() {
        let cases = [
            (ArchName::Resnet18, 435, 32, 0.5),
            (ArchName::Resnet34, 899, 32, 0.5),
            (ArchName::Resnet50, 483 - 56, 32, 0.5),
            (ArchName::Vgg16, 212, 32, 16.0),
            (ArchName::Vgg19, 268, 32, 16.0),
            (ArchName::Squeezenet1_1, 207, 16, 15.5),
            (ArchName::MobilenetV2, 491, 32, 0.5),
        ];
        for (name, size, stride, first_center) in cases {
            let field = name.graph().field();
            assert_eq!((field.size, field.stride), (size, stride), "{name}");
            let off = field.first_center.distance(Point::new(first_center, first_center));
            assert!(off < 1e-9, "{name}: {:?}", field.first_center);
        }
    }
}
