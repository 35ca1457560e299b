use crate::{Graph, GraphBuilder, NodeId, Op};
use std::collections::BTreeMap;

impl Graph {
    /// The same network, with the same tensors, whose feature maps have `steps` times `steps` cells where this one's have one.
    ///
    /// Layers at a coarser stride than the finer maps' run once for every place of these within their stride (their phases),
    /// each over its input without as many of its first rows and columns. That is what dilating them gives (the algorithme à
    /// trous: Chen et al., "Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected CRFs", 2015,
    /// <https://arxiv.org/abs/1412.7062>), but where windows reach over the top and left borders. The first phase is this
    /// network, so every `steps`-th cell is what it was.
    ///
    /// # Panics
    /// If `steps` doesn't divide the stride.
    #[must_use]
    pub fn finer(&self, steps: usize) -> Self {
        if steps == 1 {
            return self.clone();
        }
        let stride = self.field().stride as usize;
        assert!(steps > 0 && stride.is_multiple_of(steps), "{steps} steps don't divide a stride of {stride}");
        let finest = stride / steps;
        // Of nodes of this graph: the phases along an axis, and the finest stride in their cells.
        let count = |node: usize| (self.fields()[node].stride as usize / finest).max(1);
        let cells = |node: usize| (finest / self.fields()[node].stride as usize).max(1);
        let (mut graph, image) = GraphBuilder::new();
        let mut skips = BTreeMap::new();
        let mut phases = vec![vec![image]];
        for (number, node) in self.nodes().iter().enumerate().skip(1) {
            let across = count(number);
            let mut made = Vec::with_capacity(across * across);
            for (row, column) in (0..across).flat_map(|row| (0..across).map(move |column| (row, column))) {
                let read = |&NodeId(input): &NodeId| {
                    let there = count(input);
                    let from = phases[input][row % there * there + column % there];
                    match [row, column].map(|place| place / there * cells(input)) {
                        [0, 0] => from,
                        skipped => *skips.entry((from, skipped)).or_insert_with(|| graph.skip(from, skipped)),
                    }
                };
                let inputs = node.inputs.iter().map(read).collect();
                made.push(graph.push(node.op.clone(), inputs, node.channels));
            }
            phases.push(made);
        }
        let last = phases.pop().unwrap_or_default();
        let channels = self.head().in_features;
        graph.push(Op::Interleave(steps), last, channels);
        graph.finish(self.conv_init(), self.head().clone())
    }
}

#[cfg(test)]
mod tests {
    use crate::{ArchName, Graph, Op};
    use locam_core::{Point, Size};

    const ARCHS: [ArchName; 5] = [
        ArchName::Resnet18,
        ArchName::Resnet50,
        ArchName::Vgg16,
        ArchName::Squeezenet1_1,
        ArchName::MobilenetV2,
    ];

    fn convs(graph: &Graph) -> usize {
        graph.nodes().iter().filter(|node| matches!(node.op, Op::Conv2d(_))).count()
    }

    #[test]
    fn finer_maps_begin_where_the_networks_do_and_have_parts_of_its_stride() {
        for arch in ARCHS {
            let graph = arch.graph();
            let own = graph.map_transform();
            for steps in [1, 2, 4] {
                let finer = graph.finer(steps);
                let found = finer.map_transform();
                assert_eq!(found.first_center, own.first_center, "{arch}");
                let stride = own.stride.x / steps as f64;
                assert_eq!(found.stride, Point::new(stride, stride), "{arch}");
                assert_eq!(finer.parameters(3), graph.parameters(3), "{arch}");
            }
        }
    }

    #[test]
    fn finer_maps_have_the_cells_of_all_phases() {
        for arch in ARCHS {
            let graph = arch.graph();
            for (width, height) in [(224, 224), (301, 262), (225, 255), (1031, 240)] {
                let cells = |graph: &Graph| graph.output_size(Size::new(width, height)).unwrap();
                let own = cells(&graph);
                for steps in [2, 4] {
                    let found = cells(&graph.finer(steps as usize));
                    // The last cells may have no others behind them.
                    assert!(
                        found.width <= own.width * steps && found.width > (own.width - 1) * steps,
                        "{arch}"
                    );
                    assert!(
                        found.height <= own.height * steps && found.height > (own.height - 1) * steps,
                        "{arch}"
                    );
                }
            }
        }
    }

    /// The four phases of the last stage, and its four times four at a quarter of the stride.
    #[test]
    fn only_layers_behind_the_finer_stride_run_in_phases() {
        let graph = ArchName::Resnet18.graph();
        // Of 20 convolutions each stage but the first has five.
        assert_eq!(convs(&graph), 20);
        assert_eq!(convs(&graph.finer(2)), 15 + 4 * 5);
        assert_eq!(convs(&graph.finer(4)), 10 + 4 * 5 + 16 * 5);
        let parts = [2, 4].map(|steps| {
            let work = |graph: &Graph| graph.multiply_adds(Size::new(1024, 1024), 2).unwrap() as f64;
            work(&graph.finer(steps)) / work(&graph)
        });
        assert!((1.6..1.8).contains(&parts[0]) && (5.0..5.5).contains(&parts[1]), "{parts:?}");
    }

    #[test]
    fn one_step_is_the_network() {
        let graph = ArchName::Squeezenet1_1.graph();
        assert_eq!(graph.finer(1), graph);
    }
}
