use crate::memory::{Memories, Memory};
use crate::network::{Network, StepTime};
use crate::{Entry, Features, ImageRows, Images, InferError, Strip};
use locam_arch::{Graph, StateDict};
use locam_core::Size;
use locam_kernels::{Bf16, Element, Extent, Isa};
use std::fmt;
use std::str::FromStr;

/// What weights and activations are stored as. Sums are always kept in `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// bfloat16: half the memory and twice the speed on CPUs with AVX512-BF16, at two to three decimal digits.
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = InferError;

    fn from_str(text: &str) -> Result<Self, InferError> {
        [Self::F32, Self::Bf16]
            .into_iter()
            .find(|precision| precision.to_string() == text)
            .ok_or_else(|| InferError::Precision(text.to_owned()))
    }
}

/// A trained network ready to run on the CPU.
#[derive(Debug)]
pub struct Plan {
    engine: Engine,
    isa: Isa,
    channels: usize,
}

#[derive(Debug)]
enum Engine {
    F32(Runner<f32>),
    Bf16(Runner<Bf16>),
}

/// A network, and memory for its runs.
#[derive(Debug)]
struct Runner<E> {
    network: Network<E>,
    memories: Memories<E>,
}

impl<E: Element> Runner<E> {
    fn features(
        &self,
        mut images: Images<'_>,
        channels: usize,
        times: &mut Vec<StepTime>,
    ) -> Result<Features, InferError> {
        images.check()?;
        // On a thread of the pool, which then is not woken and put to sleep for every kernel.
        rayon::scope(|_| {
            if images.count == 1 {
                let mut all = Vec::new();
                let ready = |extent: Extent, rows: &[E]| {
                    all.reserve_exact(extent.pixels() * channels - all.len());
                    all.extend(rows.iter().map(|value| value.to_f32()));
                    Ok(())
                };
                let run = |memory: &mut Memory<E>| self.network.run_in_bands(&mut images, memory, ready);
                let (extent, took) = self.memories.lend(run)?;
                *times = took;
                return Ok(Features { extent, channels, values: all });
            }
            self.memories.lend(|memory| {
                let (extent, values) = self.network.run(images, &self.memories, memory, times)?;
                Ok(Features { extent, channels, values: values.iter().map(|value| value.to_f32()).collect() })
            })
        })
    }

    fn stream<R: ImageRows<Error: Send> + Send>(
        &self,
        image: &mut R,
        channels: usize,
        mut ready: impl FnMut(Features) -> Result<(), R::Error> + Send,
    ) -> Result<(), R::Error> {
        let ready = |extent: Extent, rows: &[E]| {
            let height = rows.len() / (extent.width * channels).max(1);
            let values = rows.iter().map(|value| value.to_f32()).collect();
            ready(Features { extent: Extent { height, ..extent }, channels, values })
        };
        rayon::scope(|_| self.memories.lend(|memory| self.network.run_in_bands(image, memory, ready)))?;
        Ok(())
    }
}

impl Plan {
    /// Folds the weights of a network, for the best instruction set here (or the one that `LOCAM_ISA` names).
    ///
    /// # Errors
    /// [`InferError::Weight`] where a tensor is missing or has another shape; [`InferError::Kernel`] where this CPU
    /// lacks what the precision or `LOCAM_ISA` asks for.
    pub fn new(graph: &Graph, state: &StateDict, precision: Precision) -> Result<Self, InferError> {
        let isa = Isa::detect()?;
        let engine = match precision {
            Precision::F32 => Engine::F32(Runner::new(isa, graph, state)?),
            Precision::Bf16 => Engine::Bf16(Runner::new(isa, graph, state)?),
        };
        Ok(Self { engine, isa, channels: graph.head().in_features })
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Bytes that the weights take.
    pub fn weight_bytes(&self) -> usize {
        match &self.engine {
            Engine::F32(runner) => runner.network.bytes(),
            Engine::Bf16(runner) => runner.network.bytes(),
        }
    }

    /// The last feature maps.
    ///
    /// # Errors
    /// [`InferError::Pixels`], or [`InferError::Kernel`] where the images are too small for a layer's window.
    pub fn features(&self, images: Images<'_>) -> Result<Features, InferError> {
        Ok(self.timed_features(images)?.0)
    }

    /// The last feature maps, and how long each step took.
    ///
    /// # Errors
    /// As [`Plan::features`].
    pub fn timed_features(&self, images: Images<'_>) -> Result<(Features, Vec<StepTime>), InferError> {
        let mut times = Vec::new();
        let features = match &self.engine {
            Engine::F32(runner) => runner.features(images, self.channels, &mut times)?,
            Engine::Bf16(runner) => runner.features(images, self.channels, &mut times)?,
        };
        Ok((features, times))
    }

    /// Cuts an image of this size into strips of columns, from left to right: one, unless it is very wide.
    ///
    /// What each strip has of the last feature maps ([`Strip::map`]), run by itself with [`Plan::stream`], is the whole
    /// image's, bit by bit.
    ///
    /// # Errors
    /// [`InferError::Kernel`] where the image is too small for a layer's window.
    pub fn strips(&self, size: Size) -> Result<Vec<Strip>, InferError> {
        match &self.engine {
            Engine::F32(runner) => runner.network.strips(size),
            Engine::Bf16(runner) => runner.network.strips(size),
        }
    }

    /// The last row of an image of this size at which a pass may begin that is to give all but the first `known` rows of the last
    /// feature maps.
    ///
    /// What [`Plan::stream`] makes of the rows from there on, as an image of its own and less the rows that are to be dropped
    /// ([`Entry::skip`]), is the whole image's, bit by bit.
    ///
    /// # Errors
    /// [`InferError::Kernel`] where the image is too small for a layer's window.
    pub fn entry(&self, size: Size, known: u32) -> Result<Entry, InferError> {
        match &self.engine {
            Engine::F32(runner) => runner.network.entry(size, known),
            Engine::Bf16(runner) => runner.network.entry(size, known),
        }
    }

    /// Computes the last feature maps of one image in memory that grows with its width alone, and hands
    /// them on, some rows at a time, from top to bottom.
    ///
    /// Values are those of [`Plan::features`] on the whole image, bit by bit.
    ///
    /// # Errors
    /// What `image` and `ready` answer, and [`InferError::Kernel`] where the image is too small for a layer's window.
    pub fn stream<R: ImageRows<Error: Send> + Send>(
        &self,
        image: &mut R,
        ready: impl FnMut(Features) -> Result<(), R::Error> + Send,
    ) -> Result<(), R::Error> {
        match &self.engine {
            Engine::F32(runner) => runner.stream(image, self.channels, ready),
            Engine::Bf16(runner) => runner.stream(image, self.channels, ready),
        }
    }
}

impl<E: Element> Runner<E> {
    fn new(isa: Isa, graph: &Graph, state: &StateDict) -> Result<Self, InferError> {
        Ok(Self { network: Network::new(isa, graph, state)?, memories: Memories::default() })
    }
}
