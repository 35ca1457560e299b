use crate::layer::{ConvLayer, Layer, LayerWork};
use crate::parameters::Parameters;
use crate::trainer::Value;
use locam_arch::{Graph, NodeId};
use locam_infer::InferError;
use locam_kernels::{Buffer, Element, Extent, Isa, Output, copy_channels, max_pool_with_places};

/// What the way forward reads and writes.
pub(crate) struct Forward<'a, E> {
    pub(crate) isa: Isa,
    pub(crate) graph: &'a Graph,
    pub(crate) parameters: &'a Parameters,
    /// The extent of the images, and themselves with padding around them.
    pub(crate) images: (Extent, &'a Buffer<E>),
    pub(crate) values: &'a mut [Value<E>],
    pub(crate) workspace: &'a mut Buffer<E>,
}

impl<E: Element> Forward<'_, E> {
    /// Computes a layer's output.
    pub(crate) fn layer(&mut self, layer: &mut Layer<E>) -> Result<(), InferError> {
        let input = self.values[layer.input.0].extent;
        let extent = match &layer.work {
            LayerWork::Conv(conv) => {
                conv.params().output(if layer.input == NodeId(0) { self.images.0 } else { input })?
            }
            LayerWork::MaxPool { params, .. } => params.output(input)?,
            LayerWork::Concat(_) => input,
        };
        let channels = self.graph.nodes()[layer.output.0].channels;
        let mut output = std::mem::take(&mut self.values[layer.output.0].buffer);
        output.resize(extent.values(channels)?);
        match &mut layer.work {
            LayerWork::Conv(conv) => {
                if !layer.frozen {
                    conv.prepare(self.parameters)?;
                }
                self.conv(conv, layer.frozen, layer.input, extent, &mut output)?;
            }
            LayerWork::MaxPool { params, places } => {
                places.resize(output.len());
                let from = &self.values[layer.input.0].buffer;
                max_pool_with_places(self.isa, *params, input, channels, from, &mut output, places)?;
            }
            LayerWork::Concat(parts) => {
                let mut offset = 0;
                for part in parts {
                    let width = self.graph.nodes()[part.0].channels;
                    let from = (&*self.values[part.0].buffer, width, 0);
                    copy_channels(from, (&mut output, channels, offset), width);
                    offset += width;
                }
            }
        }
        self.values[layer.output.0] = Value { buffer: output, extent, channels };
        Ok(())
    }

    fn conv(
        &mut self,
        layer: &mut ConvLayer<E>,
        frozen: bool,
        input: NodeId,
        extent: Extent,
        output: &mut Buffer<E>,
    ) -> Result<(), InferError> {
        let channels = layer.params().channels_out;
        let (read, from): (Extent, &[E]) = if input == NodeId(0) {
            (self.images.0, self.images.1)
        } else {
            (self.values[input.0].extent, &self.values[input.0].buffer)
        };
        let bias = layer.bias.map(|bias| self.parameters.values(bias));
        let residual: Option<&[E]> = layer.residual.map(|value| &*self.values[value.0].buffer);
        let Some(norm) = &mut layer.norm else {
            let plain = Output::plain(output, channels);
            let to = Output { bias, residual, activation: layer.activation, ..plain };
            return Ok(layer.conv.run(read, from, to, self.workspace)?);
        };
        norm.before.resize(output.len());
        let plain = Output::plain(&mut norm.before, channels);
        let to = Output { bias, statistics: (!frozen).then_some(&mut norm.statistics), ..plain };
        layer.conv.run(read, from, to, self.workspace)?;
        if !frozen {
            let (weight, shift) = (self.parameters.values(norm.weight), self.parameters.values(norm.bias));
            let pixels = extent.pixels();
            norm.norm.set(&norm.statistics, pixels, weight, shift, Graph::BATCH_NORM_EPSILON);
            norm.update_running(pixels, Graph::BATCH_NORM_MOMENTUM);
        }
        Ok(norm.norm.apply(self.isa, &norm.before, residual, layer.activation, output)?)
    }
}
