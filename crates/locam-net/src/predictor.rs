use crate::network::host;
use crate::rows::{Normalized, RowError};
use crate::{Compute, Model, NetError, Network, RgbRows, to_tensor};
use locam_arch::{ArchName, Field, Graph, Node};
use locam_core::{Normalization, Size};
use locam_infer::{Entry, Features, Head, Images, Pixels, Plan, Precision, Strip};
use locam_kernels::Extent;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// The most that a layer's map of a block may take on a GPU, in bytes; a few of these are there at a time.
const BLOCK_BYTES: f64 = 1024.0 * 1024.0 * 1024.0;

/// A trained network ready to run on some device.
#[derive(Debug)]
pub struct Predictor {
    graph: Graph,
    head: Head,
    normalization: Normalization,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    Cpu(Plan),
    Burn(Blocks),
}

/// A network on a GPU, and how large images are cut for it.
#[derive(Debug)]
struct Blocks {
    /// One call after the other, as maps of several blocks may be more than the device's memory.
    network: Mutex<Network>,
    /// The most rows and columns of the last feature maps in a block.
    side: u32,
}

impl Predictor {
    /// Makes a model ready; `precision` is that of the CPU.
    ///
    /// # Errors
    /// An unknown architecture, weights that do not fit it, or a precision that this CPU or device has not.
    pub fn new(model: &Model, compute: &Compute, precision: Precision) -> Result<Self, NetError> {
        Self::finer(model, compute, precision, 1)
    }

    /// Makes a model ready whose last feature maps are to have `steps` times `steps` cells where its architecture's have one: see
    /// [`Graph::finer`].
    ///
    /// # Errors
    /// As [`Predictor::new`].
    ///
    /// # Panics
    /// If `steps` doesn't divide the architecture's stride.
    pub fn finer(
        model: &Model,
        compute: &Compute,
        precision: Precision,
        steps: usize,
    ) -> Result<Self, NetError> {
        let arch: ArchName = model.spec.architecture.parse()?;
        let (graph, classes) = (arch.graph().finer(steps), model.spec.classes.len());
        let engine = match compute {
            Compute::Cpu => Engine::Cpu(Plan::new(&graph, &model.weights, precision)?),
            Compute::Burn(_) if precision != Precision::F32 => return Err(NetError::cpu_only(precision)),
            Compute::Burn(device) => {
                let network = Network::from_state(arch, classes, &model.weights, device)?;
                Engine::Burn(Blocks { network: Mutex::new(network.finer(steps)), side: block_side(&graph) })
            }
        };
        let head = Head::new(&graph, &model.weights, classes)?;
        Ok(Self { graph, head, normalization: model.spec.normalization, engine })
    }

    /// The architecture, with its finer maps where these were asked for.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The last feature maps of images of equal size.
    ///
    /// `pixels` are `count` images one after the other, each red, green, blue, row by row.
    ///
    /// # Errors
    /// Pixels that do not fit the size, or images too small for a layer's window.
    pub fn features(&self, pixels: &[u8], count: usize, size: Size) -> Result<Features, NetError> {
        let images = Images { count, size, pixels: Pixels::Bytes(pixels, self.normalization) };
        match &self.engine {
            Engine::Cpu(plan) => Ok(plan.features(images)?),
            Engine::Burn(blocks) => {
                images.check()?;
                self.graph.output_size(size)?;
                let network = blocks.network.lock().unwrap_or_else(PoisonError::into_inner);
                let tensor = to_tensor(pixels, count, size, self.normalization, &network.device());
                let features = network.features(tensor); // [N, C, h, w]
                let [batch, channels, height, width] = features.dims();
                let values = host(features.permute([0, 2, 3, 1]));
                Ok(Features { extent: Extent { batch, height, width }, channels, values })
            }
        }
    }

    /// Cuts an image of this size into strips of columns that are run one after the other: one, unless it is very wide. What is
    /// kept of them is the whole image's, on the CPU bit by bit, elsewhere up to rounding.
    ///
    /// # Errors
    /// An image too small for a layer's window.
    pub fn strips(&self, size: Size) -> Result<Vec<Strip>, NetError> {
        match &self.engine {
            Engine::Cpu(plan) => Ok(plan.strips(size)?),
            Engine::Burn(blocks) => {
                let stride = self.graph.field().stride;
                let strip = |cells: Range<u32>| {
                    let input = self.graph.seen_by(&cells, size.width);
                    Strip { skip: cells.start - input.start / stride, input, map: cells }
                };
                Ok(blocks.along(self.graph.output_size(size)?.width).map(strip).collect())
            }
        }
    }

    /// The last feature maps of a strip of an image, but their first `known` rows, handed on in parts as they are ready, each with
    /// its first row. Memory grows with the strip's width alone, and reading begins as far down as it can. Values do not depend
    /// on how many rows are known.
    ///
    /// # Errors
    /// What `image` and `ready` answer, and images too small for a layer's window.
    pub fn stream<R: RgbRows<Error: Send> + Send>(
        &self,
        image: &mut R,
        strip: &Strip,
        known: u32,
        mut ready: impl FnMut(u32, Features) -> Result<(), R::Error> + Send,
    ) -> Result<(), R::Error> {
        let size = Size::new(strip.input.len() as u32, image.size().height);
        image.select(strip.input.clone())?;
        let plan = match &self.engine {
            Engine::Cpu(plan) => plan,
            Engine::Burn(blocks) => return self.stream_blocks(blocks, image, size, strip, known, ready),
        };
        let Entry { row: top, skip } = plan.entry(size, known).map_err(NetError::from)?;
        let below = Size::new(size.width, size.height - top);
        let mut rows = Normalized { rows: image, top, size: below, normalization: self.normalization };
        let (mut next, mut skip) = (known, skip as usize);
        let part = |features: Features| {
            let made = features.extent.height;
            let features = features.without_rows(skip).columns(strip.skip as usize, strip.map.len());
            skip = skip.saturating_sub(made);
            let row = next;
            next += features.extent.height as u32;
            if row == next { Ok(()) } else { ready(row, features).map_err(RowError) }
        };
        plan.stream(&mut rows, part).map_err(|error| error.0)
    }

    /// As [`Predictor::stream`], one block of rows after the other.
    fn stream_blocks<R: RgbRows>(
        &self,
        blocks: &Blocks,
        image: &mut R,
        size: Size,
        strip: &Strip,
        known: u32,
        mut ready: impl FnMut(u32, Features) -> Result<(), R::Error>,
    ) -> Result<(), R::Error> {
        let height = self.graph.output_size(size).map_err(NetError::from)?.height;
        // The blocks do not depend on what is known, so that the values don't.
        for cells in blocks.along(height).filter(|cells| cells.end > known) {
            let seen = self.graph.seen_by(&cells, size.height);
            let (pixels, first) = image.rows(seen.start as usize..seen.end as usize)?;
            let row = 3 * size.width as usize;
            let pixels = &pixels[(seen.start as usize - first) * row..][..seen.len() * row];
            let features = self.features(pixels, 1, Size::new(size.width, seen.len() as u32))?;
            let (start, above) = (cells.start.max(known), seen.start / self.graph.field().stride);
            let features = features.rows((start - above) as usize, (cells.end - start) as usize);
            ready(start, features.columns(strip.skip as usize, strip.map.len()))?;
        }
        Ok(())
    }

    /// Per image the logits, one per class.
    ///
    /// # Errors
    /// As [`Predictor::features`].
    pub fn logits(&self, pixels: &[u8], count: usize, size: Size) -> Result<Vec<Vec<f32>>, NetError> {
        Ok(self.head.logits(&self.features(pixels, count, size)?)?)
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.head.classes()
    }

    /// Per class of each image the logit that the head gives to the features at each place, bias included.
    pub fn maps(&self, features: &Features) -> Vec<Vec<f32>> {
        self.head.maps(features)
    }
}

impl Blocks {
    /// Cuts an axis of the last feature maps into parts of about one length.
    fn along(&self, cells: u32) -> impl Iterator<Item = Range<u32>> + use<> {
        let blocks = cells.div_ceil(self.side).max(1);
        let at = move |block: u32| (u64::from(cells) * u64::from(block) / u64::from(blocks)) as u32;
        (0..blocks).map(move |block| at(block)..at(block + 1))
    }
}

/// As many cells of the last feature maps along each axis as keep every layer's map within [`BLOCK_BYTES`].
fn block_side(graph: &Graph) -> u32 {
    let per_pixel = |(node, field): (&Node, &Field)| {
        (node.channels * size_of::<f32>()) as f64 / f64::from(field.stride).powi(2)
    };
    let largest = graph.nodes().iter().zip(graph.fields()).map(per_pixel).fold(0.0, f64::max);
    let pixels = (BLOCK_BYTES / largest).sqrt() as u32;
    (pixels.saturating_sub(graph.receptive_field()) / graph.field().stride).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{WholeImage, initial_state};
    use burn::tensor::Device;

    const CLASSES: usize = 2;

    fn on_burn(arch: ArchName, steps: usize, side: u32) -> Predictor {
        let state = initial_state(&arch.graph(), CLASSES, 1);
        let network = Network::from_state(arch, CLASSES, &state, &Device::flex()).unwrap().finer(steps);
        let graph = arch.graph().finer(steps);
        let head = Head::new(&graph, &state, CLASSES).unwrap();
        let engine = Engine::Burn(Blocks { network: Mutex::new(network), side });
        Predictor { graph, head, normalization: Normalization::Imagenet, engine }
    }

    /// The last feature maps of a strip behind `known` rows, row by row.
    fn streamed(predictor: &Predictor, image: &mut WholeImage<'_>, strip: &Strip, known: u32) -> Vec<f32> {
        let (mut next, mut values) = (known, Vec::new());
        let take = |row, features: Features| {
            assert_eq!((row, features.extent.width), (next, strip.map.len()));
            next += features.extent.height as u32;
            values.extend(features.values);
            Ok(())
        };
        predictor.stream(image, strip, known, take).unwrap();
        values
    }

    #[test]
    fn blocks_have_the_cells_of_the_whole_whatever_is_known() {
        for (arch, size, steps, side) in [
            (ArchName::Squeezenet1_1, Size::new(423, 397), 1, 6),
            (ArchName::Squeezenet1_1, Size::new(261, 300), 2, 17),
            (ArchName::MobilenetV2, Size::new(600, 224), 1, 3),
        ] {
            let pixels: Vec<u8> =
                (0..3 * size.area()).map(|i| ((i * i).wrapping_mul(2_654_435_761) >> 17) as u8).collect();
            let mut image = WholeImage::new(size, &pixels);
            let whole = on_burn(arch, steps, u32::MAX).features(&pixels, 1, size).unwrap();
            let largest = whole.values.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
            let predictor = on_burn(arch, steps, side);
            let strips = predictor.strips(size).unwrap();
            assert!(strips.len() > 1 || whole.extent.height > side as usize, "{arch}: one block");
            assert_eq!(strips.iter().flat_map(|strip| strip.map.clone()).count(), whole.extent.width);
            for strip in strips {
                let expected = whole.clone().columns(strip.map.start as usize, strip.map.len()).values;
                let found = streamed(&predictor, &mut image, &strip, 0);
                assert_eq!(found.len(), expected.len(), "{arch}");
                let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off <= 1e-5 * largest, "{arch}, {steps} steps: {off} of {largest}");
                let known = side + 2;
                let rest = streamed(&predictor, &mut image, &strip, known);
                assert!(found.ends_with(&rest), "{arch}: other values behind {known} rows");
                let row = found.len() / whole.extent.height;
                assert_eq!(rest.len(), found.len() - (known as usize * row).min(found.len()), "{arch}");
            }
        }
    }

    #[test]
    fn no_map_of_a_block_takes_more_than_it_may() {
        for arch in ArchName::all() {
            let graph = arch.graph();
            let side = block_side(&graph) * graph.field().stride + graph.receptive_field();
            let largest = graph
                .nodes()
                .iter()
                .zip(graph.node_sizes(Size::new(side, side)).unwrap())
                .map(|(node, size)| node.channels as f64 * size.area() as f64 * 4.0)
                .fold(0.0, f64::max);
            assert!((0.6 * BLOCK_BYTES..1.05 * BLOCK_BYTES).contains(&largest), "{arch}: {largest}");
        }
    }
}
