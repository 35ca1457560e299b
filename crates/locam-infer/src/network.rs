use crate::fold::Folded;
use crate::{Images, InferError, Stage, Work, stages};
use locam_arch::{Graph, NodeId, Pool, StateDict};
use locam_kernels::{
    Activation, Algorithm, Buffer, ConvParams, Convolution, Element, Extent, Isa, Output, PoolParams,
    max_pool,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The convolutional part of a network, folded, with every value's place in memory.
#[derive(Debug)]
pub(crate) struct Network<E> {
    isa: Isa,
    steps: Vec<Step<E>>,
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
    images: Buffer<E>,
    slots: Vec<Buffer<E>>,
    workspace: Buffer<E>,
}

#[derive(Debug)]
struct Step<E> {
    name: String,
    work: Kernels<E>,
    /// Where it reads; the images themselves where there is none.
    input: Option<Place>,
    output: Place,
}

#[derive(Debug)]
enum Kernels<E> {
    Conv { conv: Convolution<E>, bias: Vec<f32>, residual: Option<Place>, activation: Activation },
    PooledConv { conv: Convolution<E>, bias: Vec<f32>, activation: Activation, pool: PoolParams },
    MaxPool(PoolParams),
}

/// A value's place: some channels of each pixel of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    slot: usize,
    /// Values from one pixel to the next.
    pitch: usize,
    offset: usize,
    channels: usize,
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
                    let algorithm = if input.is_none() { Algorithm::Rows } else { Algorithm::best(params) };
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
        let of = |step: &Step<E>| match &step.work {
            Kernels::Conv { conv, .. } | Kernels::PooledConv { conv, .. } => conv.bytes(),
            Kernels::MaxPool(_) => 0,
        };
        self.steps.iter().map(of).sum()
    }

    /// Runs all steps; the last one's output stays in the memory.
    pub(crate) fn run<'m>(
        &self,
        images: Images<'_>,
        memory: &'m mut Memory<E>,
        times: &mut Vec<StepTime>,
    ) -> Result<(Extent, &'m [E]), InferError> {
        images.check()?;
        memory.slots.resize_with(self.slots, Buffer::default);
        if let Some(params) = self.steps.first().and_then(|step| step.work.params()) {
            images.write_padded(params, &mut memory.images);
        }
        let mut extents = vec![images.extent(); self.slots];
        let mut last = 0;
        for step in &self.steps {
            let input = step.input.map_or(images.extent(), |place| extents[place.slot]);
            let extent = step.output_extent(input)?;
            let mut output = std::mem::take(&mut memory.slots[step.output.slot]);
            output.resize(extent.values(step.output.pitch)?);
            let start = Instant::now();
            let done = step.run(self.isa, input, memory, &mut output);
            times.push(step.time(input, start.elapsed()));
            (memory.slots[step.output.slot], extents[step.output.slot]) = (output, extent);
            done?;
            last = step.output.slot;
        }
        Ok((extents[last], &memory.slots[last]))
    }
}

impl<E: Element> Step<E> {
    fn time(&self, input: Extent, took: Duration) -> StepTime {
        let multiply_adds =
            |params: ConvParams| params.output(input).map_or(0, |out| params.multiply_adds(out));
        StepTime {
            name: self.name.clone(),
            seconds: took.as_secs_f64(),
            multiply_adds: self.work.params().map_or(0, multiply_adds),
        }
    }

    fn output_extent(&self, input: Extent) -> Result<Extent, InferError> {
        Ok(match &self.work {
            Kernels::Conv { conv, .. } => conv.params().output(input)?,
            Kernels::PooledConv { conv, pool, .. } => pool.output(conv.params().output(input)?)?,
            Kernels::MaxPool(pool) => pool.output(input)?,
        })
    }

    fn run(
        &self,
        isa: Isa,
        extent: Extent,
        memory: &mut Memory<E>,
        values: &mut Buffer<E>,
    ) -> Result<(), InferError> {
        let Memory { images, slots, workspace } = memory;
        let input: &[E] = self.input.map_or(&**images, |place| &slots[place.slot]);
        match &self.work {
            Kernels::Conv { conv, bias, residual, activation } => {
                let output = Output {
                    values,
                    pitch: self.output.pitch,
                    offset: self.output.offset,
                    bias: Some(bias),
                    residual: residual.map(|place| &*slots[place.slot]),
                    activation: *activation,
                    statistics: None,
                };
                conv.run(extent, input, output, workspace)?;
            }
            Kernels::PooledConv { conv, bias, activation, pool } => {
                conv.run_pooled(extent, input, bias, *activation, *pool, values)?;
            }
            Kernels::MaxPool(pool) => max_pool(isa, *pool, extent, self.output.channels, input, values)?,
        }
        Ok(())
    }
}

impl<E: Element> Kernels<E> {
    fn params(&self) -> Option<ConvParams> {
        match self {
            Self::Conv { conv, .. } | Self::PooledConv { conv, .. } => Some(conv.params()),
            Self::MaxPool(_) => None,
        }
    }
}

/// The kernels' parameters of a pooling.
fn pool_params(pool: Pool) -> PoolParams {
    let Pool { kernel, stride, padding, ceil_mode } = pool;
    PoolParams { kernel, stride, padding, ceil_mode }
}

/// Gives values places: parts of a concatenation lie in its place, and a slot serves again when its value has been read
/// for the last time.
struct Places<'a> {
    graph: &'a Graph,
    /// The concatenation that a value is part of, and its first channel there.
    part_of: BTreeMap<NodeId, (NodeId, usize)>,
    /// The last stage that reads a value.
    last_read: BTreeMap<NodeId, usize>,
    slot_of: BTreeMap<NodeId, usize>,
    free: Vec<usize>,
    slots: usize,
}

impl<'a> Places<'a> {
    fn new(graph: &'a Graph, stages: &[Stage]) -> Self {
        let mut part_of = BTreeMap::new();
        for stage in stages {
            if let Work::Concat(parts) = &stage.work {
                let mut offset = 0;
                for &part in parts {
                    part_of.insert(part, (stage.output, offset));
                    offset += graph.nodes()[part.0].channels;
                }
            }
        }
        let mut last_read = BTreeMap::new();
        for (number, stage) in stages.iter().enumerate() {
            let residual = match &stage.work {
                Work::Conv { residual, .. } => *residual,
                _ => None,
            };
            // A part lives as long as the whole.
            for value in [Some(stage.input), residual].into_iter().flatten() {
                let home = part_of.get(&value).map_or(value, |(whole, _)| *whole);
                last_read.insert(home, number);
            }
        }
        Self { graph, part_of, last_read, slot_of: BTreeMap::new(), free: Vec::new(), slots: 0 }
    }

    fn home(&self, value: NodeId) -> (NodeId, usize) {
        self.part_of.get(&value).copied().unwrap_or((value, 0))
    }

    /// The place of a value that was made.
    fn of(&self, value: NodeId) -> Place {
        let (home, offset) = self.home(value);
        let channels = |value: NodeId| self.graph.nodes()[value.0].channels;
        Place { slot: self.slot_of[&home], pitch: channels(home), offset, channels: channels(value) }
    }

    /// A place for a value.
    fn make(&mut self, value: NodeId) -> Place {
        let (home, _) = self.home(value);
        if !self.slot_of.contains_key(&home) {
            let slot = self.free.pop().unwrap_or_else(|| {
                self.slots += 1;
                self.slots - 1
            });
            self.slot_of.insert(home, slot);
        }
        self.of(value)
    }

    /// Frees the slots of values that no stage after this one reads.
    fn release(&mut self, number: usize) {
        let done: Vec<NodeId> =
            self.slot_of.keys().filter(|value| self.last_read.get(value) == Some(&number)).copied().collect();
        for value in done {
            self.free.extend(self.slot_of.remove(&value));
        }
    }
}
