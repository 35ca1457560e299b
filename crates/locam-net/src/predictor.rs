use crate::network::host;
use crate::rows::{Normalized, RowError};
use crate::{Compute, Model, NetError, Network, RgbRows, to_tensor};
use locam_arch::{ArchName, Graph};
use locam_core::{Normalization, Size};
use locam_infer::{Entry, Features, Head, Images, Pixels, Plan, Precision, Strip};
use locam_kernels::Extent;
use std::sync::{Mutex, PoisonError};

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
    /// One call after the other, as maps of several images may be more than the device's memory.
    Burn(Mutex<Network>),
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
            Compute::Burn(_) if precision != Precision::F32 => {
                let reason = format!("the precision {precision} is for the CPU; use f32, or the device cpu");
                return Err(NetError::Device(reason));
            }
            Compute::Burn(device) => {
                let network = Network::from_state(arch, classes, &model.weights, device)?;
                Engine::Burn(Mutex::new(network.finer(steps)))
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
            Engine::Burn(network) => {
                images.check()?;
                self.graph.output_size(size)?;
                let network = network.lock().unwrap_or_else(PoisonError::into_inner);
                let tensor = to_tensor(pixels, count, size, self.normalization, &network.device());
                let features = network.features(tensor); // [N, C, h, w]
                let [batch, channels, height, width] = features.dims();
                let values = host(features.permute([0, 2, 3, 1]));
                Ok(Features { extent: Extent { batch, height, width }, channels, values })
            }
        }
    }

    /// Cuts an image of this size into strips of columns that are run one after the other: one, unless it is very wide.
    ///
    /// # Errors
    /// An image too small for a layer's window.
    pub fn strips(&self, size: Size) -> Result<Vec<Strip>, NetError> {
        match &self.engine {
            Engine::Cpu(plan) => Ok(plan.strips(size)?),
            Engine::Burn(_) => {
                let map = self.graph.output_size(size)?;
                Ok(vec![Strip { input: 0..size.width, map: 0..map.width, skip: 0 }])
            }
        }
    }

    /// The last feature maps of a strip of an image, but their first `known` rows, handed on in parts as they are ready, each with
    /// its first row. On the CPU memory grows with the strip's width alone, and reading begins as far down as it can;
    /// elsewhere the whole strip is taken at once. Values do not depend on how many rows are known.
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
            Engine::Burn(_) => {
                let (pixels, _) = image.rows(0..size.height as usize)?;
                return ready(known, self.features(pixels, 1, size)?.without_rows(known as usize));
            }
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
