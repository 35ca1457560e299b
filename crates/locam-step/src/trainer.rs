use crate::backward::Backward;
use crate::forward::Forward;
use crate::layer::{Layer, LayerWork};
use crate::loss::Targets;
use crate::optimizer::{Optimizer, OptimizerState};
use crate::parameters::{ParameterId, Parameters};
use crate::pool::Pool;
use locam_arch::{Graph, NodeId, StateDict};
use locam_infer::{Images, InferError, stages};
use locam_kernels::{Buffer, Element, Extent, GradientWorkspace, Isa, global_mean};
use std::rc::Rc;

/// A value of the graph for the current batch.
#[derive(Debug)]
pub(crate) struct Value<E> {
    pub(crate) buffer: Buffer<E>,
    pub(crate) extent: Extent,
    pub(crate) channels: usize,
}

/// What a training step came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The batch's cross-entropy with its targets, before the step.
    pub loss: f64,
    /// Per image the logits, before the step.
    pub logits: Vec<Vec<f32>>,
}

/// A network while it is trained on the CPU. Maps and their gradients are stored as `E`; weights, their gradients and all sums
/// are `f32`.
#[derive(Debug)]
pub struct Trainer<E> {
    isa: Isa,
    pub(crate) graph: Graph,
    pub(crate) layers: Vec<Layer<E>>,
    parameters: Parameters,
    head_weight: ParameterId,
    head_bias: ParameterId,
    optimizer: Optimizer,
    state: OptimizerState,
    images: Buffer<E>,
    pub(crate) values: Vec<Value<E>>,
    /// Per value whether no layer before it is trained.
    pub(crate) frozen: Vec<bool>,
    workspace: Buffer<E>,
    gradient_workspace: GradientWorkspace<E>,
    pool: Pool<E>,
}

impl<E: Element> Trainer<E> {
    /// Takes up the tensors of a network whose head tells `classes` classes apart, for the best instruction set here
    /// (or the one that `LOCAM_ISA` names).
    ///
    /// # Errors
    /// [`InferError::Weight`] where a tensor is missing or has another shape, [`InferError::Kernel`] where
    /// `LOCAM_ISA` names no instruction set of this CPU, or there are no kernels on `E` for it.
    pub fn new(
        graph: &Graph,
        state: &StateDict,
        classes: usize,
        optimizer: Optimizer,
    ) -> Result<Self, InferError> {
        let isa = Isa::detect()?;
        let mut parameters = Parameters::default();
        let layers = stages(graph)
            .iter()
            .map(|stage| Layer::new(isa, stage, state, &mut parameters))
            .collect::<Result<Vec<_>, _>>()?;
        let head = graph.head();
        let shape = head.weight_shape(classes);
        let head_weight = parameters.add(state, format!("{}.weight", head.key), &shape, None)?;
        let head_bias = parameters.add(state, format!("{}.bias", head.key), &[classes], None)?;
        let none = Extent { batch: 0, height: 0, width: 0 };
        let value = || Value { buffer: Buffer::default(), extent: none, channels: 0 };
        Ok(Self {
            isa,
            graph: graph.clone(),
            layers,
            head_weight,
            head_bias,
            optimizer,
            state: optimizer.start(&parameters.lengths()),
            parameters,
            images: Buffer::default(),
            values: graph.nodes().iter().map(|_| value()).collect(),
            frozen: (0..graph.nodes().len()).map(|node| node == 0).collect(),
            workspace: Buffer::default(),
            gradient_workspace: GradientWorkspace::default(),
            pool: Pool::default(),
        })
    }

    /// Multiplies the learning rate of every layer, told by its key (a tensor's without `.weight`), by a number. A layer with
    /// 0 stays as it is: it takes no weight decay either, and batch normalisation uses its running statistics and leaves
    /// them.
    ///
    /// # Panics
    /// If a convolution with 0 reads what a layer with another number makes.
    #[must_use]
    pub fn with_rates(mut self, rate: impl Fn(&str) -> f64) -> Self {
        self.parameters.set_rates(rate);
        for layer in &mut self.layers {
            let all_before = layer.inputs().all(|value| self.frozen[value.0]);
            layer.frozen = match &mut layer.work {
                LayerWork::Conv(conv) if conv.is_frozen(&self.parameters) => {
                    assert!(all_before, "frozen layers come before those that are trained");
                    conv.fix_norm(&self.parameters);
                    true
                }
                LayerWork::Conv(_) => false,
                LayerWork::MaxPool { .. } | LayerWork::Concat(_) => all_before,
            };
            self.frozen[layer.output.0] = layer.frozen;
        }
        self
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// One step of the optimiser on a batch, with batch normalisation by the batch's own statistics. Where the loss is
    /// not finite the parameters stay as they were.
    ///
    /// # Errors
    /// [`InferError::Pixels`], or [`InferError::Kernel`] where the images are too small for a layer's window.
    ///
    /// # Panics
    /// If the targets are of another number of images or classes.
    pub fn step(
        &mut self,
        images: Images<'_>,
        targets: &Targets,
        learning_rate: f64,
    ) -> Result<Outcome, InferError> {
        self.check(images.count, targets);
        images.check()?;
        // On a thread of the pool, which then is not woken and put to sleep for every kernel.
        rayon::scope(|_| {
            self.take_images(images);
            self.forward(images.extent(), |_| true)?;
            self.learn(images.extent(), targets, learning_rate)
        })
    }

    /// Checks that there is a target of the head's classes for each image.
    pub(crate) fn check(&self, images: usize, targets: &Targets) {
        assert_eq!(targets.images(), images, "one target per image");
        let classes = self.parameters.values(self.head_bias).len();
        assert_eq!(targets.classes(), classes, "targets of the head's classes");
    }

    /// What is left of a step after the way forward.
    pub(crate) fn learn(
        &mut self,
        images: Extent,
        targets: &Targets,
        learning_rate: f64,
    ) -> Result<Outcome, InferError> {
        let extent = self.values[self.graph.nodes().len() - 1].extent;
        let (means, logits) = self.head(extent)?;
        let (loss, to_logits) = targets.loss(&logits);
        let outcome = Outcome { loss, logits };
        if outcome.loss.is_finite() {
            self.backward(images, extent, &means, &to_logits)?;
            self.optimizer.step(&mut self.parameters, &mut self.state, learning_rate);
        }
        Ok(outcome)
    }

    /// All tensors under torchvision's names, batch normalisation's running statistics included.
    pub fn state_dict(&self) -> StateDict {
        let mut state = self.parameters.state_dict();
        for layer in &self.layers {
            if let LayerWork::Conv(conv) = &layer.work
                && let Some(norm) = &conv.norm
            {
                norm.export(&mut state);
            }
        }
        state
    }

    /// The gradients of the last step by the names of their parameters.
    pub fn gradients(&self) -> StateDict {
        self.parameters.gradients()
    }

    /// What the optimiser remembers.
    pub fn optimizer_state(&self) -> &OptimizerState {
        &self.state
    }

    /// Takes up what [`Trainer::optimizer_state`] gave; `None` where it does not fit the parameters.
    #[must_use]
    pub fn set_optimizer_state(&mut self, state: OptimizerState) -> Option<()> {
        let fits = |a: &[Vec<f32>], b: &[Vec<f32>]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.len() == b.len())
        };
        let fitting = fits(&state.first, &self.state.first) && fits(&state.second, &self.state.second);
        fitting.then(|| self.state = state)
    }

    /// Takes up the pixels of a batch for the layers that read them.
    pub(crate) fn take_images(&mut self, images: Images<'_>) {
        for layer in &self.layers {
            if let LayerWork::Conv(conv) = &layer.work
                && layer.input == NodeId(0)
            {
                images.write_padded(self.isa, conv.params(), &mut self.images);
            }
        }
    }

    /// Runs those layers, on images of this extent.
    pub(crate) fn forward(
        &mut self,
        images: Extent,
        runs: impl Fn(&Layer<E>) -> bool,
    ) -> Result<(), InferError> {
        let mut forward = Forward {
            isa: self.isa,
            graph: &self.graph,
            parameters: &self.parameters,
            images: (images, &self.images),
            values: &mut self.values,
            workspace: &mut self.workspace,
        };
        for layer in self.layers.iter_mut().filter(|layer| runs(layer)) {
            forward.layer(layer)?;
        }
        Ok(())
    }

    /// The head: the means of the features, and per image the logits.
    fn head(&self, extent: Extent) -> Result<(Vec<f32>, Vec<Vec<f32>>), InferError> {
        let features = &self.values[self.graph.nodes().len() - 1];
        let channels = features.channels;
        let mut means = vec![0.0; extent.batch * channels];
        global_mean::<E>(extent, channels, &features.buffer, &mut means)?;
        let (weight, bias) =
            (self.parameters.values(self.head_weight), self.parameters.values(self.head_bias));
        let logit = |means: &[f32], class: usize| {
            let row = &weight[class * channels..][..channels];
            let product: f64 = means.iter().zip(row).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            (product + f64::from(bias[class])) as f32
        };
        let logits = means
            .chunks_exact(channels)
            .map(|means| (0..bias.len()).map(|class| logit(means, class)).collect())
            .collect();
        Ok((means, logits))
    }

    fn backward(
        &mut self,
        images: Extent,
        extent: Extent,
        means: &[f32],
        to_logits: &[f32],
    ) -> Result<(), InferError> {
        let last = NodeId(self.graph.nodes().len() - 1);
        let to_features = self.head_gradients(extent, means, to_logits);
        let mut backward = Backward {
            isa: self.isa,
            graph: &self.graph,
            parameters: &mut self.parameters,
            images: (images, &self.images),
            values: &self.values,
            frozen: &self.frozen,
            pending: self.values.iter().map(|_| None).collect(),
            readers: readers(&self.layers, self.values.len(), last),
            pool: &mut self.pool,
            workspace: &mut self.gradient_workspace,
        };
        backward.add(last, Rc::new(to_features), &mut self.layers)?;
        for place in (0..self.layers.len()).rev() {
            let (makers, rest) = self.layers.split_at_mut(place);
            if rest[0].frozen {
                continue;
            }
            backward.layer(&mut rest[0], makers)?;
        }
        Ok(())
    }

    /// Fills the gradients of the head's parameters and gives the one to the last feature maps.
    fn head_gradients(&mut self, extent: Extent, means: &[f32], to_logits: &[f32]) -> Buffer<E> {
        let channels = self.graph.head().in_features;
        let classes = to_logits.len() / extent.batch;
        let pixels = extent.height * extent.width;
        let rows = || to_logits.chunks_exact(classes).zip(means.chunks_exact(channels));
        let to_bias = self.parameters.gradient(self.head_bias);
        to_bias.fill(0.0);
        rows().for_each(|(row, _)| to_bias.iter_mut().zip(row).for_each(|(sum, value)| *sum += value));
        let to_weight = self.parameters.gradient(self.head_weight);
        to_weight.fill(0.0);
        for (row, means) in rows() {
            for (sums, &value) in to_weight.chunks_exact_mut(channels).zip(row) {
                sums.iter_mut().zip(means).for_each(|(sum, mean)| *sum += value * mean);
            }
        }
        let mut to_features = self.pool.take(extent.pixels() * channels);
        let weight = self.parameters.values(self.head_weight);
        let images = to_features.chunks_exact_mut(pixels * channels);
        let mut sums = vec![0.0; channels];
        for (image, row) in images.zip(to_logits.chunks_exact(classes)) {
            sums.fill(0.0);
            for (weights, &value) in weight.chunks_exact(channels).zip(row) {
                let share = value / pixels as f32;
                sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += share * weight);
            }
            for pixel in image.chunks_exact_mut(channels) {
                pixel.iter_mut().zip(&sums).for_each(|(value, &sum)| *value = E::from_f32(sum));
            }
        }
        to_features
    }
}

/// Per value how many layers read it; the head reads the last one.
fn readers<E: Element>(layers: &[Layer<E>], values: usize, last: NodeId) -> Vec<usize> {
    let mut readers = vec![0; values];
    readers[last.0] += 1;
    for value in layers.iter().flat_map(Layer::inputs) {
        readers[value.0] += 1;
    }
    readers
}
