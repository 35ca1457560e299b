use crate::fold::Folded;
use crate::places::{Place, Places};
use crate::{Images, InferError, Stage, Work, stages};
use locam_arch::{Graph, NodeId, Pool, StateDict};
use locam_kernels::{
    Activation, Algorithm, Band, Buffer, ConvParams, Convolution, Element, Extent, Isa, Output, POOLED_ROWS,
    PoolParams, max_pool,
};
use std::time::{Duration, Instant};

/// The convolutional part of a network, folded, with every value's place in memory.
#[derive(Debug)]
pub(crate) struct Network<E> {
    pub(crate) isa: Isa,
    pub(crate) steps: Vec<Step<E>>,
    slots: usize,
}

/// How long a step of a plan took.
#[derive(Clone, Debug, PartialEq)]
pub struct StepTime {
    /// The convolution's key, or the kind of step.
    pub name: String,
    /// Seconds.
    pub seconds: f64,
    /// Multiplications and additions in pairs, counted as for a direct convolution.
    pub multiply_adds: u64,
}

/// Memory of a run; lend the same to the next one.
#[derive(Debug, Default)]
pub(crate) struct Memory<E> {
    /// Images with the first convolution's padding.
    pub(crate) images: Buffer<E>,
    /// Values of whole batches.
    pub(crate) values: Vec<Buffer<E>>,
    /// Values of one image.
    pub(crate) bands: Buffer<E>,
    pub(crate) workspace: Buffer<E>,
}

#[derive(Debug)]
pub(crate) struct Step<E> {
    name: String,
    pub(crate) work: Kernels<E>,
    /// Where it reads; the images themselves where there is none.
    pub(crate) input: Option<Place>,
    pub(crate) output: Place,
}

#[derive(Debug)]
pub(crate) enum Kernels<E> {
    Conv { conv: Convolution<E>, bias: Vec<f32>, residual: Option<Place>, activation: Activation },
    PooledConv { conv: Convolution<E>, bias: Vec<f32>, activation: Activation, pool: PoolParams },
    MaxPool(PoolParams),
}

impl<E: Element> Network<E> {
    pub(crate) fn new(isa: Isa, graph: &Graph, state: &StateDict) -> Result<Self, InferError> {
        let stages = stages(graph);
        let mut places = Places::new(graph, &stages);
        let mut steps: Vec<Step<E>> = Vec::new();
        let mut rest = stages.iter().enumerate().peekable();
        while let Some((number, stage)) = rest.next() {
            let input = (stage.input != NodeId(0)).then(|| places.of(stage.input));
            let name = match &stage.work {
                Work::Conv { conv, .. } => conv.key.clone(),
                Work::MaxPool(_) => "max pool".to_owned(),
                Work::Concat(_) => String::new(),
            };
            let (work, number, output) = match &stage.work {
                // Its parts were written where they belong.
                Work::Concat(_) => {
                    places.release(number);
                    continue;
                }
                Work::MaxPool(pool) => (Kernels::MaxPool(pool_params(*pool)), number, stage.output),
                Work::Conv { conv, norm, residual, activation } => {
                    let Folded { params, weight, bias } = Folded::new(state, conv, norm.as_deref())?;
                    let activation = *activation;
                    let algorithm = match input {
                        None => Algorithm::best_padded::<E>(params),
                        Some(_) => Algorithm::best::<E>(params),
                    };
                    let conv = Convolution::new(isa, params, algorithm, &weight)?;
                    match rest.peek() {
                        Some(&(next, Stage { work: Work::MaxPool(pool), input: read, output }))
                            if input.is_none() && *read == stage.output =>
                        {
                            rest.next();
                            let pool = pool_params(*pool);
                            (Kernels::PooledConv { conv, bias, activation, pool }, next, *output)
                        }
                        _ => {
                            let residual = residual.map(|value| places.of(value));
                            (Kernels::Conv { conv, bias, residual, activation }, number, stage.output)
                        }
                    }
                }
            };
            let output = places.make(output);
            steps.push(Step { name, work, input, output });
            places.release(number);
        }
        Ok(Self { isa, steps, slots: places.slots })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.steps.iter().map(|step| step.work.bytes()).sum()
    }

    /// Runs all steps on all images at once; the last one's output stays in the memory.
    pub(crate) fn run<'m>(
        &self,
        images: Images<'_>,
        memory: &'m mut Memory<E>,
        times: &mut Vec<StepTime>,
    ) -> Result<(Extent, &'m [E]), InferError> {
        let Memory { images: padded, values: slots, workspace, .. } = memory;
        slots.resize_with(self.slots, Buffer::default);
        if let Some(params) = self.steps.first().and_then(|step| step.work.params()) {
            images.write_padded(params, padded);
        }
        let mut extents = vec![images.extent(); self.slots];
        let mut last = 0;
        for step in &self.steps {
            let input = step.input.map_or(images.extent(), |place| extents[place.slot]);
            let extent = step.work.output(input)?;
            let mut output = std::mem::take(&mut slots[step.output.slot]);
            output.resize(extent.values(step.output.pitch)?);
            let start = Instant::now();
            let from = step.input.map_or(&**padded, |place| &slots[place.slot]);
            let residual = step.residual().map(|place| &*slots[place.slot]);
            let band = Band { above: step.work.padding(), rows: extent.height };
            let done = step.run(self.isa, (input, band), from, residual, &mut output, workspace);
            times.push(step.time(input, start.elapsed()));
            (slots[step.output.slot], extents[step.output.slot]) = (output, extent);
            done?;
            last = step.output.slot;
        }
        Ok((extents[last], &slots[last]))
    }
}

impl<E: Element> Step<E> {
    pub(crate) fn time(&self, input: Extent, took: Duration) -> StepTime {
        let multiply_adds =
            |params: ConvParams| params.output(input).map_or(0, |out| params.multiply_adds(out));
        StepTime {
            name: self.name.clone(),
            seconds: took.as_secs_f64(),
            multiply_adds: self.work.params().map_or(0, multiply_adds),
        }
    }

    pub(crate) fn residual(&self) -> Option<Place> {
        match self.work {
            Kernels::Conv { residual, .. } => residual,
            Kernels::PooledConv { .. } | Kernels::MaxPool(_) => None,
        }
    }

    /// Computes a band of rows from the rows that it needs; `extent` is that of the latter, `values` begin at the
    /// band's first row.
    pub(crate) fn run(
        &self,
        isa: Isa,
        (extent, band): (Extent, Band),
        input: &[E],
        residual: Option<&[E]>,
        values: &mut [E],
        workspace: &mut Buffer<E>,
    ) -> Result<(), InferError> {
        match &self.work {
            Kernels::Conv { conv, bias, activation, .. } => {
                let output = Output {
                    values,
                    pitch: self.output.pitch,
                    offset: self.output.offset,
                    bias: Some(bias),
                    residual,
                    activation: *activation,
                    statistics: None,
                };
                conv.run_band(extent, band, input, output, workspace)?;
            }
            Kernels::PooledConv { conv, bias, activation, pool } => {
                conv.run_pooled(extent, input, bias, *activation, (*pool, band), values)?;
            }
            Kernels::MaxPool(pool) => {
                max_pool(isa, *pool, (extent, band), self.output.channels, input, values)?;
            }
        }
        Ok(())
    }
}

impl<E: Element> Kernels<E> {
    pub(crate) fn params(&self) -> Option<ConvParams> {
        match self {
            Self::Conv { conv, .. } | Self::PooledConv { conv, .. } => Some(conv.params()),
            Self::MaxPool(_) => None,
        }
    }

    /// What comes out of whole images.
    pub(crate) fn output(&self, input: Extent) -> Result<Extent, InferError> {
        Ok(match self {
            Self::Conv { conv, .. } => conv.params().output(input)?,
            Self::PooledConv { conv, pool, .. } => pool.output(conv.params().output(input)?)?,
            Self::MaxPool(pool) => pool.output(input)?,
        })
    }

    /// Padding around what the last window runs over.
    fn padding(&self) -> usize {
        match self {
            Self::Conv { conv, .. } => conv.params().padding,
            Self::PooledConv { pool, .. } | Self::MaxPool(pool) => pool.padding,
        }
    }

    /// Rows of the tiles in which values are computed together.
    pub(crate) fn tile_rows(&self) -> usize {
        match self {
            Self::Conv { conv, .. } => conv.tile_rows(),
            Self::PooledConv { .. } => POOLED_ROWS,
            Self::MaxPool(_) => 1,
        }
    }

    /// Bytes that the weights take.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Conv { conv, .. } | Self::PooledConv { conv, .. } => conv.bytes(),
            Self::MaxPool(_) => 0,
        }
    }
}

/// The kernels' parameters of a pooling.
fn pool_params(pool: Pool) -> PoolParams {
    let Pool { kernel, stride, padding, ceil_mode } = pool;
    PoolParams { kernel, stride, padding, ceil_mode }
}
