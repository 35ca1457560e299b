use crate::chain::chains;
use crate::fold::Folded;
use crate::memory::{Memories, Memory};
use crate::phases::{Phases, skipped};
use crate::places::{Place, Places};
use crate::singly::{Singly, narrows};
use crate::{Images, InferError, Stage, Work, stages};
use locam_arch::{Graph, NodeId, Pool, StateDict};
use locam_kernels::{
    Activation, Algorithm, Band, Buffer, ConvParams, Convolution, Element, Extent, Isa, Output, POOLED_ROWS,
    PoolParams, max_pool,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The convolutional part of a network, folded, with every value's place in memory.
#[derive(Debug)]
pub(crate) struct Network<E> {
    pub(crate) isa: Isa,
    pub(crate) steps: Vec<Step<E>>,
    pub(crate) phases: Phases,
    pub(crate) slots: usize,
    /// Per step whether a chain begins with it.
    pub(crate) chains: Vec<bool>,
    /// Per step whether its output is all that is read of what was made until then.
    pub(crate) narrows: Vec<bool>,
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

#[derive(Debug)]
pub(crate) struct Step<E> {
    pub(crate) name: String,
    /// Shared by the phases of a layer.
    pub(crate) work: Arc<Kernels<E>>,
    /// Where it reads; the images themselves where there is none.
    pub(crate) input: Option<Place>,
    /// The first rows and columns of its input, which are left out.
    pub(crate) skip: [usize; 2],
    pub(crate) residual: Option<Place>,
    pub(crate) output: Place,
}

#[derive(Debug)]
pub(crate) enum Kernels<E> {
    Conv { conv: Convolution<E>, bias: Vec<f32>, activation: Activation },
    PooledConv { conv: Convolution<E>, bias: Vec<f32>, activation: Activation, pool: PoolParams },
    MaxPool(PoolParams),
}

impl<E: Element> Network<E> {
    pub(crate) fn new(isa: Isa, graph: &Graph, state: &StateDict) -> Result<Self, InferError> {
        let stages = stages(graph);
        let mut places = Places::new(graph, &stages);
        let mut steps: Vec<Step<E>> = Vec::new();
        let mut convs: BTreeMap<&str, Arc<Kernels<E>>> = BTreeMap::new();
        let mut phases = None;
        let mut rest = stages.iter().enumerate().peekable();
        while let Some((number, stage)) = rest.next() {
            let input = (stage.input != NodeId(0)).then(|| places.of(stage.input));
            assert!(input.is_some() || stage.skip == [0, 0], "images are never read in phases");
            let (mut number, mut output, mut residual) = (number, stage.output, None);
            let (name, work) = match &stage.work {
                // Its parts were written where they belong.
                Work::Concat(_) => {
                    places.release(number);
                    continue;
                }
                Work::Interleave(along, maps) => {
                    phases = Some(Phases::new(*along, maps.iter().map(|&map| places.of(map)).collect()));
                    continue;
                }
                Work::MaxPool(pool) => ("max pool", Arc::new(Kernels::MaxPool(pool_params(*pool)))),
                Work::Conv { conv, norm, residual: added, activation } => {
                    residual = added.map(|value| places.of(value));
                    let pools = |next: &Stage| {
                        input.is_none() && next.input == stage.output && matches!(next.work, Work::MaxPool(_))
                    };
                    let pooling = rest.next_if(|(_, next)| pools(next));
                    if let Some((next, stage)) = pooling {
                        (number, output) = (next, stage.output);
                    }
                    let work = if let Some(work) = convs.get(conv.key.as_str()) {
                        Arc::clone(work)
                    } else {
                        let folded = Folded::new(state, conv, norm.as_deref())?;
                        let pooling = pooling.map(|(_, stage)| &stage.work);
                        Arc::new(Kernels::conv(isa, folded, *activation, input.is_none(), pooling)?)
                    };
                    convs.insert(&conv.key, Arc::clone(&work));
                    (conv.key.as_str(), work)
                }
            };
            let output = places.make(output);
            steps.push(Step { name: name.to_owned(), work, input, skip: stage.skip, residual, output });
            places.release(number);
        }
        let last = steps.last().map(|step| step.output);
        let phases = phases.unwrap_or_else(|| Phases::new(1, last.into_iter().collect()));
        let (chains, narrows) = (chains(&steps, phases.places()), narrows(&steps, phases.places()));
        Ok(Self { isa, steps, phases, slots: places.slots, chains, narrows })
    }

    /// Bytes that the weights take, of which the phases of a layer have the same.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |step: &Step<E>| (Arc::as_ptr(&step.work), step.work.bytes());
        self.steps.iter().map(bytes).collect::<BTreeMap<_, _>>().values().sum()
    }

    /// Runs all steps on all images; the last maps stay in the memory.
    pub(crate) fn run<'m>(
        &self,
        images: Images<'_>,
        memories: &Memories<E>,
        memory: &'m mut Memory<E>,
        times: &mut Vec<StepTime>,
    ) -> Result<(Extent, &'m [E]), InferError> {
        let mut begun = 0;
        memory.values.resize_with(self.slots, Buffer::default);
        let mut extents = vec![images.extent(); self.slots];
        if let Some(singly) = self.singly(images.extent())?
            && images.count >= rayon::current_num_threads()
        {
            let Singly { steps, output: Place { slot, pitch, .. }, extent } = singly;
            let mut output = std::mem::take(&mut memory.values[slot]);
            let extent = Extent { batch: images.count, ..extent };
            output.resize(extent.values(pitch)?);
            *times = self.run_singly(images, singly, memories, &mut output)?;
            (begun, memory.values[slot], extents[slot]) = (steps, output, extent);
        }
        self.run_steps(begun..self.steps.len(), images, memory, &mut extents, None, times)?;
        let Memory { values: slots, maps, .. } = memory;
        let extent = self.phases.extent(|place| extents[place.slot]);
        if let Some(place) = self.phases.only() {
            return Ok((extent, &slots[place.slot]));
        }
        maps.resize(extent.values(self.steps.last().map_or(0, |step| step.output.pitch))?);
        let of_image = (maps.len() / extent.batch.max(1)).max(1);
        for (image, maps) in maps.chunks_exact_mut(of_image).enumerate() {
            let row = |place: Place, row: usize| {
                let Extent { height, width, .. } = extents[place.slot];
                let first = (image * height + row) * width * place.pitch;
                &slots[place.slot][first..first + width * place.pitch]
            };
            self.phases.interleave(0..extent.height, extent.width, row, maps);
        }
        Ok((extent, maps))
    }

    /// Runs some steps, each on all images. The value that `elsewhere` names is written there.
    pub(crate) fn run_steps(
        &self,
        steps: Range<usize>,
        images: Images<'_>,
        memory: &mut Memory<E>,
        extents: &mut [Extent],
        mut elsewhere: Option<(usize, &mut [E])>,
        times: &mut Vec<StepTime>,
    ) -> Result<(), InferError> {
        let Memory { images: padded, values: slots, skipped: copy, workspace, .. } = memory;
        if let (0, Some(params)) = (steps.start, self.steps.first().and_then(|step| step.work.params())) {
            images.write_padded(self.isa, params, padded);
        }
        for step in &self.steps[steps] {
            let mut own = std::mem::take(&mut slots[step.output.slot]);
            let (from, input) = match step.input {
                Some(place) => skipped(&slots[place.slot], extents[place.slot], place.pitch, step.skip, copy),
                None => (&**padded, images.extent()),
            };
            let extent = step.work.output(input)?;
            let elsewhere = elsewhere.as_mut().map(|(value, output)| (*value, &mut **output));
            let output = target(step.output, extent, &mut own, elsewhere)?;
            let start = Instant::now();
            let residual = step.residual.map(|place| &*slots[place.slot]);
            let band = Band { above: step.work.padding(), rows: extent.height };
            let done = step.run(self.isa, (input, band), from, residual, output, workspace);
            times.push(step.time(input, start.elapsed()));
            (slots[step.output.slot], extents[step.output.slot]) = (own, extent);
            done?;
        }
        Ok(())
    }
}

/// Where a value of some extent is written: elsewhere if that names it, or in its own memory.
pub(crate) fn target<'m, E: Element>(
    place: Place,
    extent: Extent,
    own: &'m mut Buffer<E>,
    elsewhere: Option<(usize, &'m mut [E])>,
) -> Result<&'m mut [E], InferError> {
    match elsewhere {
        Some((value, output)) if value == place.value => Ok(output),
        _ => {
            own.resize(extent.values(place.pitch)?);
            Ok(own)
        }
    }
}

impl<E> Step<E> {
    /// The values that it reads, but for images.
    pub(crate) fn reads(&self) -> impl Iterator<Item = Place> + use<E> {
        self.input.into_iter().chain(self.residual)
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
        match &*self.work {
            Kernels::Conv { conv, bias, activation } => {
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
    /// A convolution, with the pooling that follows where it is the first.
    fn conv(
        isa: Isa,
        Folded { params, weight, bias }: Folded,
        activation: Activation,
        reads_images: bool,
        pooling: Option<&Work>,
    ) -> Result<Self, InferError> {
        let algorithm = if reads_images {
            Algorithm::best_padded::<E>(params)
        } else {
            Algorithm::best::<E>(isa, params)
        };
        let conv = Convolution::new(isa, params, algorithm, &weight)?;
        Ok(match pooling {
            Some(Work::MaxPool(pool)) => {
                Self::PooledConv { conv, bias, activation, pool: pool_params(*pool) }
            }
            _ => Self::Conv { conv, bias, activation },
        })
    }

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
