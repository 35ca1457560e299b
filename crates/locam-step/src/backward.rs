use crate::layer::{ConvLayer, Layer, LayerWork};
use crate::parameters::Parameters;
use crate::pool::Pool;
use crate::trainer::Value;
use locam_arch::{Graph, NodeId};
use locam_infer::InferError;
use locam_kernels::{
    Activation, Buffer, Element, Extent, GradientOf, GradientWorkspace, InputGradient, Isa, KernelError,
    Statistics, add_assign, carry_gradient, copy_channels, max_pool_gradient,
};
use std::rc::Rc;

/// The way back through the layers. A value's gradient is complete when every layer that reads the value has added to
/// it, and has then been carried through what the value was made by, up to the convolution's own output.
pub(crate) struct Backward<'a, E> {
    pub(crate) isa: Isa,
    pub(crate) graph: &'a Graph,
    pub(crate) parameters: &'a mut Parameters,
    pub(crate) images: (Extent, &'a Buffer<E>),
    pub(crate) values: &'a [Value<E>],
    /// Per value whether no layer before it is trained, so that nobody asks for its gradient.
    pub(crate) frozen: &'a [bool],
    /// Per value its gradient so far.
    pub(crate) pending: Vec<Option<Rc<Buffer<E>>>>,
    /// Per value how many readers have not yet added to its gradient.
    pub(crate) readers: Vec<usize>,
    pub(crate) pool: &'a mut Pool<E>,
    pub(crate) workspace: &'a mut GradientWorkspace<E>,
}

impl<E: Element> Backward<'_, E> {
    /// Carries the gradient of a layer's output to its input and its parameters. `makers` are the layers before it.
    pub(crate) fn layer(&mut self, layer: &mut Layer<E>, makers: &mut [Layer<E>]) -> Result<(), InferError> {
        let gradient = self.pending[layer.output.0].take().expect("a later layer read the value");
        match &mut layer.work {
            LayerWork::Conv(conv) => self.conv(conv, layer.input, &gradient, &layer.sums, makers)?,
            LayerWork::MaxPool { params, places } => {
                let isa = self.isa;
                self.write(layer.input, makers, |value, to, _| {
                    let shape = (value.extent, value.channels);
                    max_pool_gradient(isa, *params, shape, &gradient, places, to)
                })?;
            }
            LayerWork::Concat(parts) => {
                let channels = self.values[layer.output.0].channels;
                let mut offset = 0;
                for &part in parts.iter() {
                    let width = self.values[part.0].channels;
                    let mut to_part = self.pool.take(self.values[part.0].buffer.len());
                    copy_channels((&gradient, channels, offset), (&mut to_part, width, 0), width);
                    self.add(part, Rc::new(to_part), makers)?;
                    offset += width;
                }
            }
        }
        self.pool.give(gradient);
        Ok(())
    }

    fn conv(
        &mut self,
        layer: &mut ConvLayer<E>,
        input: NodeId,
        gradient: &Rc<Buffer<E>>,
        sums: &Statistics,
        makers: &mut [Layer<E>],
    ) -> Result<(), InferError> {
        if let Some(residual) = layer.residual {
            self.add(residual, Rc::clone(gradient), makers)?;
        }
        if let Some(bias) = layer.bias {
            for (to, sums) in self.parameters.gradient(bias).iter_mut().zip(sums.sums()) {
                *to = sums[0] as f32;
            }
        }
        let before = match &mut layer.norm {
            None => Rc::clone(gradient),
            Some(norm) => {
                let pixels = gradient.len() / layer.conv.params().channels_out;
                norm.gradient.set(&norm.norm, self.parameters.values(norm.weight), sums, pixels);
                self.parameters.gradient(norm.weight).copy_from_slice(&norm.gradient.to_weight);
                self.parameters.gradient(norm.bias).copy_from_slice(&norm.gradient.to_bias);
                let mut before = self.pool.take(gradient.len());
                norm.gradient.apply(self.isa, gradient, &norm.before, &mut before)?;
                Rc::new(before)
            }
        };
        let (extent, from): (Extent, &[E]) = if input == NodeId(0) {
            (self.images.0, self.images.1)
        } else {
            (self.values[input.0].extent, &self.values[input.0].buffer)
        };
        let to_weight = self.parameters.gradient(layer.weight);
        layer.gradients.to_weight(extent, from, &before, to_weight, self.workspace)?;
        self.write(input, makers, |value, to, workspace| {
            layer.gradients.to_input(value.extent, &before, to, workspace)
        })?;
        self.pool.give(before);
        Ok(())
    }

    /// Lets a layer write the gradient to its input, where that is asked for; as the last one to add to that, it carries
    /// the sum on its way.
    fn write(
        &mut self,
        input: NodeId,
        makers: &mut [Layer<E>],
        write: impl FnOnce(&Value<E>, InputGradient<'_, E>, &mut GradientWorkspace<E>) -> Result<(), KernelError>,
    ) -> Result<(), InferError> {
        if self.frozen[input.0] {
            return Ok(());
        }
        self.readers[input.0] -= 1;
        let addend = self.pending[input.0].take();
        let value = &self.values[input.0];
        let mut to_input = self.pool.take(value.buffer.len());
        let mut none = Statistics::default();
        let maker = maker_of(input, makers).filter(|_| self.readers[input.0] == 0);
        let (through, sums) = match maker {
            Some(Layer { work, sums, .. }) => (made_by(work, value), sums),
            None => (GradientOf::default(), &mut none),
        };
        let fused = GradientOf { addend: addend.as_deref().map(|buffer| &**buffer), ..through };
        write(value, InputGradient { values: &mut to_input, fused, sums }, self.workspace)?;
        if let Some(addend) = addend {
            self.pool.give(addend);
        }
        self.pending[input.0] = Some(Rc::new(to_input));
        Ok(())
    }

    /// Adds to a value's gradient, where that is asked for, and carries the sum where this was the last reader.
    pub(crate) fn add(
        &mut self,
        value: NodeId,
        gradient: Rc<Buffer<E>>,
        makers: &mut [Layer<E>],
    ) -> Result<(), InferError> {
        if self.frozen[value.0] {
            self.pool.give(gradient);
            return Ok(());
        }
        self.readers[value.0] -= 1;
        let mut total = gradient;
        if let Some(before) = self.pending[value.0].take() {
            let mut sum = self.pool.take(before.len());
            sum.copy_from_slice(&before);
            add_assign(&mut sum, &total);
            self.pool.give(before);
            self.pool.give(std::mem::replace(&mut total, Rc::new(sum)));
        }
        if self.readers[value.0] == 0
            && let Some(Layer { work, sums, .. }) = maker_of(value, makers)
        {
            let fused = made_by(work, &self.values[value.0]);
            if fused.rectified.is_some() || fused.normalized.is_some() {
                let channels = self.graph.nodes()[value.0].channels;
                let mut carried = self.pool.take(total.len());
                carry_gradient(
                    self.isa,
                    channels,
                    &total,
                    InputGradient { values: &mut carried, fused, sums },
                )?;
                self.pool.give(std::mem::replace(&mut total, Rc::new(carried)));
            }
        }
        self.pending[value.0] = Some(total);
        Ok(())
    }
}

fn maker_of<E>(value: NodeId, makers: &mut [Layer<E>]) -> Option<&mut Layer<E>> {
    makers.iter_mut().find(|layer| layer.output == value)
}

/// What a value's gradient is carried through before it reaches the convolution that made the value.
fn made_by<'a, E: Element>(work: &'a LayerWork<E>, value: &'a Value<E>) -> GradientOf<'a, E> {
    let LayerWork::Conv(conv) = work else { return GradientOf::default() };
    let rectified = match conv.activation {
        Activation::None => None,
        Activation::Relu => Some((&*value.buffer, f32::INFINITY)),
        Activation::Relu6 => Some((&*value.buffer, 6.0)),
    };
    let normalized = match &conv.norm {
        Some(norm) => Some((&*norm.before, &*norm.norm.mean)),
        // The sums of the gradient are the gradient to the bias.
        None => conv.bias.map(|_| (&*value.buffer, &*conv.zeros)),
    };
    GradientOf { addend: None, rectified, normalized }
}
