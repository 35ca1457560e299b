//! Our side of `cargo xtask bench-peers`: runs a task on prepared inputs whenever a line on stdin says so.
//!
//! It speaks the protocol of the Python runners in `xtask/peers`: one line of JSON when ready, and one per measurement.
//! The systems are `locam` (our kernels) and `burn-flex` (the same network on Burn's own CPU backend).

use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use locam_arch::{ArchName, StateDict};
use locam_core::Size;
use locam_infer::{Features, Head, Images, Pixels, Plan, Precision};
use locam_kernels::{Bf16, Element, Isa};
use locam_net::{Network, read_weights};
use locam_step::{CrossEntropy, Optimizer, Targets, Trainer};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CLASSES: usize = 4;
/// What is trained, and what Burn runs.
const ARCH: ArchName = ArchName::Resnet18;
const LEARNING_RATE: f64 = 1e-3;
const MOMENTUM: f64 = 0.9;
/// Steps whose losses are compared, as many as `STEPS` in `torch_peer.py`.
const COMPARED_STEPS: usize = 20;
const WARM_UP: usize = 3;

fn main() {
    if let Err(error) = run() {
        println!("{}", serde_json::json!({ "error": error.to_string() }));
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    let request = Request::from_arguments()?;
    rayon::ThreadPoolBuilder::new().num_threads(request.threads).build_global()?;
    let mut job = request.job()?;
    let (shape, output) = job.output()?;
    let name = format!("out-{}-{}-{}-{}.npy", request.system, request.task, request.precision, request.isa);
    let path = request.folder.join(name);
    write_npy(&path, &shape, &output)?;
    drop(output);
    for _ in 0..WARM_UP {
        job.iterate()?;
    }
    let version = env!("CARGO_PKG_VERSION");
    println!("{}", serde_json::json!({ "ready": true, "version": version, "output": path }));
    let seconds = std::env::var("LOCAM_PEERS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2.0);
    for line in std::io::stdin().lock().lines() {
        if line?.trim() == "quit" {
            break;
        }
        let (start, mut runs) = (Instant::now(), 0u32);
        while runs < 2 || start.elapsed().as_secs_f64() < seconds {
            job.iterate()?;
            runs += 1;
        }
        let each = start.elapsed().as_secs_f64() / f64::from(runs);
        println!(
            "{}",
            serde_json::json!({ "seconds_per_iteration": each, "peak_memory_bytes": peak_memory() })
        );
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// What the command line asks for.
struct Request {
    system: String,
    arch: ArchName,
    task: String,
    precision: String,
    isa: String,
    batch: usize,
    size: Size,
    threads: usize,
    folder: PathBuf,
}

impl Request {
    fn from_arguments() -> Result<Self> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let values: BTreeMap<&str, &str> = arguments
            .chunks_exact(2)
            .filter_map(|pair| Some((pair[0].strip_prefix("--")?, pair[1].as_str())))
            .collect();
        let text = |name: &str| {
            values.get(name).map(|&value| value.to_owned()).ok_or(format!("--{name} is missing"))
        };
        let side = |name: &str| -> Result<u32> { Ok(text(name)?.parse()?) };
        Ok(Self {
            system: text("system")?,
            arch: text("arch")?.parse()?,
            task: text("task")?,
            precision: text("precision")?,
            isa: text("isa")?,
            batch: text("batch")?.parse()?,
            size: Size::new(side("width")?, side("height")?),
            threads: text("threads")?.parse()?,
            folder: text("folder")?.into(),
        })
    }

    fn job(&self) -> Result<Box<dyn Job>> {
        let weights = read_weights(&self.folder.join("model.safetensors"))?;
        let inputs = Inputs {
            values: read_npy(&self.folder.join("input.npy"), f32::from_le_bytes)?,
            count: self.batch,
            size: self.size,
        };
        let labels = || read_npy(&self.folder.join("labels.npy"), i64::from_le_bytes);
        let labels =
            || -> Result<Vec<usize>> { Ok(labels()?.into_iter().map(|label| label as usize).collect()) };
        Ok(match (self.system.as_str(), self.task.as_str()) {
            ("locam", "train") => match self.precision.parse()? {
                // Without tiles float32 is the faster one.
                Precision::Bf16 if Isa::detect()?.has_tiles() => {
                    Box::new(Train::<Bf16>::new(weights, inputs, &labels()?)?)
                }
                Precision::Bf16 | Precision::F32 => Box::new(Train::<f32>::new(weights, inputs, &labels()?)?),
            },
            ("locam", task) => {
                let graph = self.arch.graph();
                let plan = Plan::new(&graph, &weights, self.precision.parse::<Precision>()?)?;
                let head = (task == "infer").then(|| Head::new(&graph, &weights, CLASSES)).transpose()?;
                Box::new(Infer { plan, head, inputs })
            }
            ("burn-flex", "train") => Box::new(BurnTrain::new(weights, inputs, labels()?)?),
            ("burn-flex", "infer") => {
                let network = Network::from_state(ARCH, CLASSES, &weights, &Device::flex())?;
                Box::new(BurnInfer { network, inputs })
            }
            (system, task) => return Err(format!("{system} does not do {task}").into()),
        })
    }
}

/// A task that can be done again and again.
trait Job {
    /// Shape and values of what is compared with the peers.
    fn output(&mut self) -> Result<(Vec<usize>, Vec<f32>)>;
    /// Does it once more.
    fn iterate(&mut self) -> Result<()>;
}

struct Inputs {
    values: Vec<f32>,
    count: usize,
    size: Size,
}

impl Inputs {
    fn images(&self) -> Images<'_> {
        Images { count: self.count, size: self.size, pixels: Pixels::Planes(&self.values) }
    }

    fn tensor(&self, device: &Device) -> Tensor<4> {
        let shape = [self.count, 3, self.size.height as usize, self.size.width as usize];
        Tensor::from_data(TensorData::new(self.values.clone(), shape), device)
    }
}

struct Infer {
    plan: Plan,
    head: Option<Head>,
    inputs: Inputs,
}

impl Job for Infer {
    fn output(&mut self) -> Result<(Vec<usize>, Vec<f32>)> {
        let features = self.plan.features(self.inputs.images())?;
        if let Some(head) = &self.head {
            return Ok((vec![self.inputs.count, CLASSES], head.logits(&features)?.concat()));
        }
        let Features { extent, channels, values } = features;
        Ok((vec![extent.height, extent.width, channels], values))
    }

    fn iterate(&mut self) -> Result<()> {
        let features = self.plan.features(self.inputs.images())?;
        if let Some(head) = &self.head {
            head.logits(&features)?;
        }
        Ok(())
    }
}

struct Train<E> {
    weights: StateDict,
    trainer: Trainer<E>,
    inputs: Inputs,
    targets: Targets,
}

impl<E: Element> Train<E> {
    fn new(weights: StateDict, inputs: Inputs, labels: &[usize]) -> Result<Self> {
        let targets = CrossEntropy::plain(CLASSES).targets_of_labels(labels);
        Ok(Self { trainer: Self::trainer(&weights)?, weights, inputs, targets })
    }

    fn trainer(weights: &StateDict) -> Result<Trainer<E>> {
        let optimizer = Optimizer::Sgd { momentum: MOMENTUM, weight_decay: 0.0 };
        Ok(Trainer::new(&ARCH.graph(), weights, CLASSES, optimizer)?)
    }

    fn step(&mut self) -> Result<f64> {
        Ok(self.trainer.step(self.inputs.images(), &self.targets, LEARNING_RATE)?.loss)
    }
}

impl<E: Element> Job for Train<E> {
    fn output(&mut self) -> Result<(Vec<usize>, Vec<f32>)> {
        let losses: Result<Vec<f32>> = (0..COMPARED_STEPS).map(|_| Ok(self.step()? as f32)).collect();
        self.trainer = Self::trainer(&self.weights)?;
        Ok((vec![COMPARED_STEPS], losses?))
    }

    fn iterate(&mut self) -> Result<()> {
        self.step().map(|_| ())
    }
}

struct BurnInfer {
    network: Network,
    inputs: Inputs,
}

impl BurnInfer {
    fn logits(&self) -> Vec<f32> {
        let logits = self.network.forward(self.inputs.tensor(&Device::flex()));
        logits.into_data().iter::<f32>().collect()
    }
}

impl Job for BurnInfer {
    fn output(&mut self) -> Result<(Vec<usize>, Vec<f32>)> {
        Ok((vec![self.inputs.count, CLASSES], self.logits()))
    }

    fn iterate(&mut self) -> Result<()> {
        self.logits();
        Ok(())
    }
}

struct BurnTrain {
    network: Network,
    optimizer: ModuleOptimizer,
    weights: StateDict,
    inputs: Inputs,
    labels: Vec<usize>,
}

impl BurnTrain {
    fn new(weights: StateDict, inputs: Inputs, labels: Vec<usize>) -> Result<Self> {
        let momentum = MomentumConfig::new().with_momentum(MOMENTUM).with_dampening(0.0);
        let optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
        Ok(Self { network: Self::network(&weights)?, optimizer, weights, inputs, labels })
    }

    fn network(weights: &StateDict) -> Result<Network> {
        Ok(Network::from_state(ARCH, CLASSES, weights, &Device::flex().autodiff())?)
    }

    fn step(&mut self) -> f32 {
        let device = Device::flex().autodiff();
        let labels: Vec<i64> = self.labels.iter().map(|&label| i64::from(label as u32)).collect();
        let index = Tensor::<2, Int>::from_data(TensorData::new(labels, [self.labels.len(), 1]), &device);
        let logits = self.network.forward(self.inputs.tensor(&device));
        let loss = log_softmax(logits, 1).gather(1, index).mean().neg();
        let value = loss.clone().into_scalar::<f32>();
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        self.network = self.optimizer.step(LEARNING_RATE, self.network.clone(), gradients);
        value
    }
}

impl Job for BurnTrain {
    fn output(&mut self) -> Result<(Vec<usize>, Vec<f32>)> {
        let losses = (0..COMPARED_STEPS).map(|_| self.step()).collect();
        self.network = Self::network(&self.weights)?;
        Ok((vec![COMPARED_STEPS], losses))
    }

    fn iterate(&mut self) -> Result<()> {
        self.step();
        Ok(())
    }
}

/// The values of a little-endian array of `N` bytes each, in its own order.
fn read_npy<const N: usize, T>(path: &Path, value: impl Fn([u8; N]) -> T) -> Result<Vec<T>> {
    let bytes = std::fs::read(path)?;
    let length = bytes.get(8..10).ok_or("a damaged array")?;
    let header = usize::from(u16::from_le_bytes([length[0], length[1]]));
    let data = bytes.get(10 + header..).ok_or("a damaged array")?;
    Ok(data.as_chunks::<N>().0.iter().map(|bytes| value(*bytes)).collect())
}

fn write_npy(path: &Path, shape: &[usize], values: &[f32]) -> Result<()> {
    let sides = shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sides},), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&u16::try_from(header.len())?.to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for value in values {
        file.write_all(&value.to_le_bytes())?;
    }
    Ok(file.flush()?)
}

fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0);
    kilobytes * 1024
}
