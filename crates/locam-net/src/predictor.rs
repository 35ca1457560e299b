use crate::network::host;
use crate::rows::{Normalized, RowError};
use crate::{Compute, Model, NetError, Network, RgbRows, to_tensor};
use locam_arch::{ArchName, Graph};
use locam_core::{Normalization, Size};
use locam_infer::{Features, Head, Images, Pixels, Plan, Precision};
use locam_kernels::Extent;

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
    Burn(Network),
}

impl Predictor {
    /// Makes a model ready; `precision` is that of the CPU.
    ///
    /// # Errors
    /// An unknown architecture, weights that do not fit it, or a precision that this CPU or device has not.
    pub fn new(model: &Model, compute: &Compute, precision: Precision) -> Result<Self, NetError> {
        let arch: ArchName = model.spec.architecture.parse()?;
        let (graph, classes) = (arch.graph(), model.spec.classes.len());
        let engine = match compute {
            Compute::Cpu => Engine::Cpu(Plan::new(&graph, &model.weights, precision)?),
            Compute::Burn(_) if precision != Precision::F32 => {
                let reason = format!("the precision {precision} is for the CPU; use f32, or the device cpu");
                return Err(NetError::Device(reason));
            }
            Compute::Burn(device) => {
                Engine::Burn(Network::from_state(arch, classes, &model.weights, device)?)
            }
        };
        let head = Head::new(&graph, &model.weights, classes)?;
        Ok(Self { graph, head, normalization: model.spec.normalization, engine })
    }

    /// The architecture.
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
                let tensor = to_tensor(pixels, count, size, self.normalization, &network.device());
                let features = network.features(tensor); // [N, C, h, w]
                let [batch, channels, height, width] = features.dims();
                let values = host(features.permute([0, 2, 3, 1]));
                Ok(Features { extent: Extent { batch, height, width }, channels, values })
            }
        }
    }

    /// The last feature maps of one image, handed on some rows at a time, from top to bottom. On the CPU memory grows
    /// with the image's width alone; elsewhere the whole image is taken at once.
    ///
    /// # Errors
    /// What `image` and `ready` answer, and images too small for a layer's window.
    pub fn stream<R: RgbRows<Error: Send> + Send>(
        &self,
        image: &mut R,
        mut ready: impl FnMut(Features) -> Result<(), R::Error> + Send,
    ) -> Result<(), R::Error> {
        match &self.engine {
            Engine::Cpu(plan) => {
                let mut rows = Normalized { rows: image, normalization: self.normalization };
                plan.stream(&mut rows, |features| ready(features).map_err(RowError)).map_err(|error| error.0)
            }
            Engine::Burn(_) => {
                let size = image.size();
                let (pixels, _) = image.rows(0..size.height as usize)?;
                ready(self.features(pixels, 1, size)?)
            }
        }
    }

    /// Per image the logits, one per class.
    ///
    /// # Errors
    /// As [`Predictor::features`].
    pub fn logits(&self, pixels: &[u8], count: usize, size: Size) -> Result<Vec<Vec<f32>>, NetError> {
        Ok(self.head.logits(&self.features(pixels, count, size)?)?)
    }

    /// Per class of each image the logit that the head gives to the features at each place, bias included.
    pub fn maps(&self, features: &Features) -> Vec<Vec<f32>> {
        self.head.maps(features)
    }
}
