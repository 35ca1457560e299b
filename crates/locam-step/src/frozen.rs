use crate::layer::Layer;
use crate::loss::Targets;
use crate::trainer::{Outcome, Trainer, Value};
use locam_arch::NodeId;
use locam_infer::{Images, InferError};
use locam_kernels::{Element, Extent};

/// What the frozen layers make of one image for those that are trained. It is the same in every step, so that it can be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenOutput<E> {
    height: usize,
    width: usize,
    /// Rows, columns, channels.
    values: Box<[E]>,
}

impl<E: Element> FrozenOutput<E> {
    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.values)
    }
}

impl<E: Element> Trainer<E> {
    /// Whether there are frozen layers, and what they make reaches the others through one value alone, as it does behind each
    /// module of a network. Then steps can begin there.
    pub fn can_begin_behind_frozen(&self) -> bool {
        self.boundary().is_some()
    }

    /// Runs the frozen layers alone.
    ///
    /// # Errors
    /// As for [`Trainer::step`].
    ///
    /// # Panics
    /// If steps can't begin behind them.
    pub fn frozen_outputs(&mut self, images: Images<'_>) -> Result<Vec<FrozenOutput<E>>, InferError> {
        images.check()?;
        let boundary = self.boundary().expect("one value behind frozen layers");
        rayon::scope(|_| {
            self.take_images(images);
            self.forward(images.extent(), |layer| layer.frozen)
        })?;
        let Value { buffer, extent, channels } = &self.values[boundary.0];
        let Extent { height, width, .. } = *extent;
        let output = |values: &[E]| FrozenOutput { height, width, values: values.into() };
        Ok(buffer.chunks_exact(height * width * channels).map(output).collect())
    }

    /// [`Trainer::step`] by what [`Trainer::frozen_outputs`] gave for the images of the batch: bit for bit the same.
    ///
    /// # Errors
    /// As for [`Trainer::step`].
    ///
    /// # Panics
    /// If steps can't begin behind frozen layers, the outputs are none or of other layers or sizes, or the targets are of
    /// another number of images or classes.
    pub fn step_behind_frozen(
        &mut self,
        outputs: &[&FrozenOutput<E>],
        targets: &Targets,
        learning_rate: f64,
    ) -> Result<Outcome, InferError> {
        self.check(outputs.len(), targets);
        let boundary = self.boundary().expect("one value behind frozen layers");
        let FrozenOutput { height, width, .. } = *outputs[0];
        let channels = self.graph.nodes()[boundary.0].channels;
        let extent = Extent { batch: outputs.len(), height, width };
        let mut buffer = std::mem::take(&mut self.values[boundary.0].buffer);
        buffer.resize(extent.values(channels)?);
        for (into, output) in buffer.chunks_exact_mut(height * width * channels).zip(outputs) {
            into.copy_from_slice(&output.values);
        }
        self.values[boundary.0] = Value { buffer, extent, channels };
        // No layer that is trained reads images.
        let images = Extent { batch: outputs.len(), height: 0, width: 0 };
        rayon::scope(|_| {
            self.forward(images, |layer| !layer.frozen)?;
            self.learn(images, targets, learning_rate)
        })
    }

    /// The one value that frozen layers make and others read.
    fn boundary(&self) -> Option<NodeId> {
        let last = NodeId(self.graph.nodes().len() - 1);
        let read = self.layers.iter().filter(|layer| !layer.frozen).flat_map(Layer::inputs).chain([last]);
        let mut found: Vec<NodeId> = read.filter(|value| self.frozen[value.0]).collect();
        found.sort();
        found.dedup();
        found.first().copied().filter(|value| found.len() == 1 && *value != NodeId(0))
    }
}
