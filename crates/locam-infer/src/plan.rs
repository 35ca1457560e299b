use crate::network::{Memory, Network};
use crate::{Images, InferError, tensor};
use locam_arch::{Graph, StateDict};
use locam_kernels::{Bf16, Buffer, Element, Extent, Isa, global_mean};
use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

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
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::F32, Self::Bf16]
            .into_iter()
            .find(|precision| precision.to_string() == text)
            .ok_or_else(|| format!("there is no precision `{text}`; choose f32 or bf16"))
    }
}

/// The last feature maps of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// Images, and rows and columns of their maps.
    pub extent: Extent,
    /// Values of a place.
    pub channels: usize,
    /// Channels-last.
    pub values: Vec<f32>,
}

/// A trained network ready to run on the CPU.
#[derive(Debug)]
pub struct Plan {
    engine: Engine,
    isa: Isa,
    head: Head,
}

#[derive(Debug)]
enum Engine {
    F32(Runner<f32>),
    Bf16(Runner<Bf16>),
}

/// A network, and memory for as many runs as there were at the same time.
#[derive(Debug)]
struct Runner<E> {
    network: Network<E>,
    memory: Mutex<Vec<Memory<E>>>,
}

impl<E: Element> Runner<E> {
    fn run<T>(&self, images: Images<'_>, finish: impl FnOnce(Extent, &[E]) -> T) -> Result<T, InferError> {
        let free = self.memory.lock().ok().and_then(|mut memory| memory.pop());
        let mut memory = free.unwrap_or_default();
        let (extent, values) = self.network.run(images, &mut memory)?;
        let result = finish(extent, values);
        if let Ok(mut all) = self.memory.lock() {
            all.push(memory);
        }
        Ok(result)
    }
}

#[derive(Debug)]
struct Head {
    channels: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Plan {
    /// Folds the weights of a network whose head tells `classes` classes apart, for the best instruction set here (or
    /// the one that `LOCAM_ISA` names).
    ///
    /// # Errors
    /// [`InferError::Weight`] where a tensor is missing or has another shape; [`InferError::Kernel`] where this CPU
    /// lacks what the precision or `LOCAM_ISA` asks for.
    pub fn new(
        graph: &Graph,
        state: &StateDict,
        classes: usize,
        precision: Precision,
    ) -> Result<Self, InferError> {
        let isa = Isa::detect()?;
        let engine = match precision {
            Precision::F32 => Engine::F32(Runner::new(isa, graph, state)?),
            Precision::Bf16 => Engine::Bf16(Runner::new(isa, graph, state)?),
        };
        let head = graph.head();
        let weight = tensor(state, &format!("{}.weight", head.key), &head.weight_shape(classes))?.to_vec();
        let bias = tensor(state, &format!("{}.bias", head.key), &[classes])?.to_vec();
        Ok(Self { engine, isa, head: Head { channels: head.in_features, weight, bias } })
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
        let channels = self.head.channels;
        match &self.engine {
            Engine::F32(runner) => {
                runner.run(images, |extent, values| Features { extent, channels, values: values.to_vec() })
            }
            Engine::Bf16(runner) => runner.run(images, |extent, values| {
                let values = values.iter().map(|value| value.to_f32()).collect();
                Features { extent, channels, values }
            }),
        }
    }

    /// Per image the logits, one per class.
    ///
    /// # Errors
    /// As [`Plan::features`].
    pub fn logits(&self, images: Images<'_>) -> Result<Vec<Vec<f32>>, InferError> {
        match &self.engine {
            Engine::F32(runner) => runner.run(images, |extent, values| self.head.logits(extent, values))?,
            Engine::Bf16(runner) => runner.run(images, |extent, values| self.head.logits(extent, values))?,
        }
    }

    /// Per class a map: the logit that the head gives to the features at each place, bias included. Maps of one image
    /// follow each other; then come the next image's.
    pub fn class_maps(&self, features: &Features) -> Vec<Vec<f32>> {
        let places = features.extent.height * features.extent.width * features.channels;
        features
            .values
            .chunks_exact(places.max(1))
            .flat_map(|image| (0..self.head.bias.len()).map(move |class| self.head.map(class, image)))
            .collect()
    }
}

impl<E: Element> Runner<E> {
    fn new(isa: Isa, graph: &Graph, state: &StateDict) -> Result<Self, InferError> {
        Ok(Self { network: Network::new(isa, graph, state)?, memory: Mutex::default() })
    }
}

impl Head {
    fn logits<E: Element>(&self, extent: Extent, features: &[E]) -> Result<Vec<Vec<f32>>, InferError> {
        let mut means = Buffer::zeroed(extent.batch * self.channels);
        global_mean(extent, self.channels, features, &mut means)?;
        let row = |means: &[f32]| (0..self.bias.len()).map(|class| self.at(class, means)).collect();
        Ok(means.chunks_exact(self.channels).map(row).collect())
    }

    fn map(&self, class: usize, image: &[f32]) -> Vec<f32> {
        image.chunks_exact(self.channels).map(|features| self.at(class, features)).collect()
    }

    /// The logit of a class.
    fn at(&self, class: usize, features: &[f32]) -> f32 {
        let weights = &self.weight[class * self.channels..][..self.channels];
        let product: f64 =
            features.iter().zip(weights).map(|(&value, &weight)| f64::from(value) * f64::from(weight)).sum();
        (product + f64::from(self.bias[class])) as f32
    }
}
