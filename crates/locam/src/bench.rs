//! How fast this machine is, measured on generated pixels and random weights: neither changes the time.

use crate::Error;
use locam_arch::{ArchName, Graph, Op, StateDict};
use locam_core::{Normalization, Size, median};
use locam_infer::{Head, Images, Pixels, Plan, Precision, StepTime};
use locam_kernels::{Bf16, Element, Isa, measured_peak};
use locam_net::initial_state;
use locam_step::{CrossEntropy, Optimizer, Trainer};
use serde::Serialize;
use std::fmt;
use std::time::Instant;

/// Classes of the network that is measured.
const CLASSES: usize = 4;
/// Measurements last at least so many seconds and so many runs.
const SECONDS: f64 = 3.0;
const LEAST_RUNS: usize = 5;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BenchTask {
    /// Patches to logits.
    Infer,
    /// Steps of SGD with momentum.
    Train,
    /// One whole image to its last feature maps.
    Image,
}

impl BenchTask {
    /// Width and height of the images that the task is usually measured on.
    pub fn usual_size(self) -> (u32, u32) {
        if self == Self::Image { (3000, 2000) } else { (224, 224) }
    }
}

impl fmt::Display for BenchTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Infer => "infer",
            Self::Train => "train",
            Self::Image => "image",
        })
    }
}

/// What to measure, and how.
#[derive(Clone, Debug)]
pub struct BenchPlan {
    /// The task.
    pub task: BenchTask,
    /// The network.
    pub arch: ArchName,
    /// Images at a time; 1 for a whole image, whatever is said here.
    pub batch: usize,
    /// Size of the images.
    pub size: Size,
    /// Threads; one per core where none are given.
    pub threads: Option<usize>,
    /// What weights and activations are stored as.
    pub precision: Precision,
}

/// What was measured; medians over several runs after a first one that does not count.
#[derive(Clone, Debug, Serialize)]
pub struct BenchResult {
    /// The task.
    pub task: BenchTask,
    /// The network.
    pub arch: String,
    /// Images at a time.
    pub batch: usize,
    /// Size of the images, as width x height.
    pub size: String,
    /// Threads.
    pub threads: usize,
    /// What weights and activations are stored as.
    pub precision: String,
    /// The instruction set in use.
    pub isa: String,
    /// Images a second.
    pub images_per_second: f64,
    /// Billions of multiplications and additions a second, counted as for direct convolutions (forward, and in
    /// training backward to weights and inputs).
    pub gflop_per_second: f64,
    /// These as a part of what the CPU multiplies and adds where nothing is read from memory. Above 1 where faster
    /// algorithms need fewer multiplications.
    pub peak_share: f64,
    /// The most memory that the process had; `None` where the system does not say.
    pub peak_memory_bytes: Option<u64>,
    /// The steps of one run (not of training).
    #[serde(skip)]
    pub layers: Vec<StepTime>,
}

/// More threads than these take longer to start than there is to measure.
const MOST_THREADS: usize = 1024;

/// Measures.
///
/// # Errors
/// A batch of none, no threads or more than 1024, images too small for the network, or a precision that this CPU has not.
pub fn bench(plan: &BenchPlan) -> Result<BenchResult, Error> {
    let batch = if plan.task == BenchTask::Image { 1 } else { plan.batch };
    if batch == 0 {
        return Err(Error::Request("a batch of no images has no speed; give --batch 1 or more".to_owned()));
    }
    if let Some(threads) = plan.threads.filter(|threads| !(1..=MOST_THREADS).contains(threads)) {
        return Err(Error::Request(format!(
            "{threads} threads can't be had; give --threads 1 to {MOST_THREADS}"
        )));
    }
    plan.arch.graph().output_size(plan.size)?;
    let threads = plan.threads.unwrap_or(0);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|e| Error::Request(format!("{threads} threads can't be had: {e}")))?;
    pool.install(|| measure(plan, batch))
}

fn measure(plan: &BenchPlan, batch: usize) -> Result<BenchResult, Error> {
    let isa = Isa::detect().map_err(locam_infer::InferError::from)?;
    let graph = plan.arch.graph();
    let pixels = noise(batch * plan.size.area() as usize * 3);
    let pixels = Pixels::Bytes(&pixels, Normalization::Imagenet);
    let images = Images { count: batch, size: plan.size, pixels };
    let state = initial_state(&graph, CLASSES, 0);
    let (mut layers, forward) = (Vec::new(), graph.multiply_adds(plan.size, CLASSES)? as f64);
    let (seconds, multiply_adds) = if plan.task == BenchTask::Train {
        let seconds = match plan.precision {
            Precision::F32 => step_seconds::<f32>(&graph, &state, images)?,
            Precision::Bf16 => step_seconds::<Bf16>(&graph, &state, images)?,
        };
        (seconds, 3.0 * forward - first_convolution(&graph, plan.size)?)
    } else {
        let network = Plan::new(&graph, &state, plan.precision)?;
        let head = Head::new(&graph, &state, CLASSES)?;
        drop(state);
        let seconds = median_seconds(|| {
            let (features, times) = network.timed_features(images)?;
            layers = times;
            if plan.task == BenchTask::Infer { head.logits(&features).map(|_| ()) } else { Ok(()) }
        })?;
        (seconds, forward)
    };
    let peak = match plan.precision {
        Precision::F32 => measured_peak::<f32>(isa),
        Precision::Bf16 => measured_peak::<Bf16>(isa),
    };
    let images_per_second = batch as f64 / seconds;
    let flop_per_second = 2.0 * multiply_adds * images_per_second;
    Ok(BenchResult {
        task: plan.task,
        arch: plan.arch.to_string(),
        batch,
        size: plan.size.to_string(),
        threads: rayon::current_num_threads(),
        precision: plan.precision.to_string(),
        isa: isa.to_string(),
        images_per_second,
        gflop_per_second: flop_per_second / 1e9,
        peak_share: flop_per_second / peak,
        peak_memory_bytes: peak_memory(),
        layers,
    })
}

/// Seconds of a training step with maps stored as `E`.
fn step_seconds<E: Element>(graph: &Graph, state: &StateDict, images: Images<'_>) -> Result<f64, Error> {
    let optimizer = Optimizer::Sgd { momentum: 0.9, weight_decay: 0.0 };
    let mut trainer = Trainer::<E>::new(graph, state, CLASSES, optimizer)?;
    let labels: Vec<usize> = (0..images.count).map(|image| image % CLASSES).collect();
    let targets = CrossEntropy::plain(CLASSES).targets_of_labels(&labels);
    median_seconds(|| trainer.step(images, &targets, 1e-3).map(|_| ()))
}

/// Multiplications of the convolution that reads the images: nobody asks for the gradient to these.
fn first_convolution(graph: &Graph, size: Size) -> Result<f64, Error> {
    let sizes = graph.node_sizes(size)?;
    let first = graph.nodes().iter().zip(sizes).find_map(|(node, size)| match &node.op {
        Op::Conv2d(conv) => Some(size.area() as f64 * conv.weight_shape().iter().product::<usize>() as f64),
        _ => None,
    });
    Ok(first.unwrap_or(0.0))
}

fn median_seconds(mut run: impl FnMut() -> Result<(), locam_infer::InferError>) -> Result<f64, Error> {
    run()?;
    let (begin, mut times) = (Instant::now(), Vec::new());
    while times.len() < LEAST_RUNS || begin.elapsed().as_secs_f64() < SECONDS {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64());
    }
    Ok(median(times).expect("it ran more than once"))
}

fn noise(count: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(|_| next()).collect()
}

/// The most memory that this process had, where the system is Linux.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
