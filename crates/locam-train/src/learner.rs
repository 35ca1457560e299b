use crate::burn_learner::BurnLearner;
use crate::cpu_learner::CpuLearner;
use crate::{TrainConfig, TrainError};
use locam_data::Batch;
use locam_kernels::Bf16;
use locam_net::{Compute, NetError, Precision, StateDict};
use locam_step::Targets;
use std::path::Path;

/// What a training step came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepResult {
    /// Mean over the batch, before the step.
    pub(crate) loss: f64,
    /// Patches classified rightly, before the step.
    pub(crate) correct: usize,
}

/// A network while it is trained: on the CPU by our kernels, elsewhere by Burn.
pub(crate) enum Learner {
    Cpu(Box<CpuLearner<f32>>),
    CpuBf16(Box<CpuLearner<Bf16>>),
    Burn(Box<BurnLearner>),
}

impl Learner {
    /// A learner of a network with these weights, which tells `classes` classes apart.
    pub(crate) fn new(
        state: &StateDict,
        classes: usize,
        config: &TrainConfig,
        compute: &Compute,
    ) -> Result<Self, TrainError> {
        Ok(match (compute, config.precision) {
            (Compute::Cpu, Precision::F32) => Self::Cpu(Box::new(CpuLearner::new(state, classes, config)?)),
            (Compute::Cpu, Precision::Bf16) => {
                Self::CpuBf16(Box::new(CpuLearner::new(state, classes, config)?))
            }
            (Compute::Burn(device), Precision::F32) => {
                Self::Burn(Box::new(BurnLearner::new(state, classes, config, device)?))
            }
            (Compute::Burn(_), Precision::Bf16) => return Err(NetError::cpu_only(config.precision).into()),
        })
    }

    /// One optimiser step, unless the loss is not finite: then the weights stay as they were.
    pub(crate) fn step(
        &mut self,
        batch: &Batch,
        targets: &Targets,
        learning_rate: f64,
    ) -> Result<StepResult, TrainError> {
        match self {
            Self::Cpu(learner) => learner.step(batch, targets, learning_rate),
            Self::CpuBf16(learner) => learner.step(batch, targets, learning_rate),
            Self::Burn(learner) => Ok(learner.step(batch, targets, learning_rate)),
        }
    }

    /// All tensors by torchvision's names.
    pub(crate) fn state_dict(&self) -> StateDict {
        match self {
            Self::Cpu(learner) => learner.state_dict(),
            Self::CpuBf16(learner) => learner.state_dict(),
            Self::Burn(learner) => learner.state_dict(),
        }
    }

    /// The optimiser's state, in a form that only the same kind of learner reads.
    pub(crate) fn optimizer_state(&self) -> Result<Vec<u8>, TrainError> {
        match self {
            Self::Cpu(learner) => learner.optimizer_state(),
            Self::CpuBf16(learner) => learner.optimizer_state(),
            Self::Burn(learner) => learner.optimizer_state(),
        }
    }

    /// Takes up the optimiser state that [`Learner::optimizer_state`] gave; `path` is the file that it comes from.
    pub(crate) fn load_optimizer(&mut self, state: &[u8], path: &Path) -> Result<(), TrainError> {
        match self {
            Self::Cpu(learner) => learner.load_optimizer(state, path),
            Self::CpuBf16(learner) => learner.load_optimizer(state, path),
            Self::Burn(learner) => learner.load_optimizer(state, path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Weights;
    use burn::tensor::Device;
    use locam_data::Blend;
    use locam_kernels::Isa;
    use locam_net::{DeviceChoice, initial_state};
    use locam_step::CrossEntropy;

    const SIDE: u32 = 64;

    fn batch() -> Batch {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let labels = vec![0, 2, 1, 0];
        Batch {
            first: 0,
            pixels: (0..labels.len() * (3 * SIDE * SIDE) as usize).map(|_| next()).collect(),
            blends: labels.iter().map(|&label| Blend { label, share: 0.0 }).collect(),
            indices: vec![0, 1, 2, 3],
            labels,
        }
    }

    fn config(freeze: Option<&str>, layer_decay: f64) -> TrainConfig {
        TrainConfig {
            arch: "resnet18".parse().unwrap(),
            weights: Weights::File("weights.pth".into()),
            patch_size: SIDE,
            freeze: freeze.map(str::to_owned),
            layer_decay,
            augment: "none".parse().unwrap(),
            ..TrainConfig::default()
        }
    }

    /// Our kernels, and Burn on a GPU where one is built in and there.
    fn engines() -> [(&'static str, Compute); 2] {
        let burn = match locam_net::select(DeviceChoice::Auto) {
            Ok((compute @ Compute::Burn(_), _)) => compute,
            _ => Compute::Burn(Device::flex()),
        };
        [("cpu", Compute::Cpu), ("burn", burn)]
    }

    /// The loss of a step, and by how much it changed each tensor.
    fn stepped(config: &TrainConfig, compute: &Compute, entropy: &CrossEntropy) -> (f64, StateDict) {
        let state = initial_state(&config.arch.graph(), 3, 5);
        let mut learner = Learner::new(&state, 3, config, compute).unwrap();
        let batch = batch();
        let result = learner.step(&batch, &entropy.targets_of_labels(&batch.labels), 0.1).unwrap();
        let mut changes = learner.state_dict();
        for (key, tensor) in &mut changes {
            tensor.data.iter_mut().zip(&state[key].data).for_each(|(now, before)| *now -= before);
        }
        (result.loss, changes)
    }

    fn length(values: &[f32]) -> f64 {
        values.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt()
    }

    #[test]
    fn smoothing_and_class_weights_give_both_engines_the_same_step() {
        let config = config(Some("layer3"), 1.0);
        let plain = CrossEntropy::plain(3);
        let entropy = CrossEntropy { label_smoothing: 0.2, class_weights: vec![0.5, 2.0, 1.0] };
        let [cpu, burn] = engines().map(|(_, compute)| stepped(&config, &compute, &entropy));
        assert!((cpu.0 - burn.0).abs() < 1e-4 * cpu.0, "{} and {}", cpu.0, burn.0);
        assert!((cpu.0 - stepped(&config, &Compute::Cpu, &plain).0).abs() > 1e-3, "the loss is another");
        for key in ["fc.weight", "fc.bias", "layer4.1.conv2.weight"] {
            let (a, b) = (&cpu.1[key].data, &burn.1[key].data);
            let off: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
            assert!(length(&off) < 1e-2 * length(a), "{key}: {} of {}", length(&off), length(a));
        }
    }

    #[test]
    fn bfloat16_is_for_the_cpu_and_gives_nearly_the_step_of_f32() {
        let exact = config(None, 1.0);
        let rounded = TrainConfig { precision: Precision::Bf16, ..exact.clone() };
        let state = initial_state(&exact.arch.graph(), 3, 5);
        let Err(error) = Learner::new(&state, 3, &rounded, &Compute::Burn(Device::flex())) else {
            panic!("Burn took a precision that is for the CPU");
        };
        assert!(error.to_string().contains("use f32, or the device cpu"), "{error}");
        if !Isa::detect().unwrap().has_bf16() {
            println!("the step is skipped: this CPU has no AVX512-BF16");
            return;
        }
        let [exact, rounded] =
            [exact, rounded].map(|config| stepped(&config, &Compute::Cpu, &CrossEntropy::plain(3)));
        assert!((exact.0 - rounded.0).abs() < 0.02 * exact.0, "{} and {}", exact.0, rounded.0);
        let (a, b) = (&exact.1["fc.weight"].data, &rounded.1["fc.weight"].data);
        let off: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        assert!(length(&off) > 0.0 && length(&off) < 0.1 * length(a), "{} of {}", length(&off), length(a));
    }

    #[test]
    fn each_module_before_the_head_changes_by_the_decay_less() {
        // The first step of SGD is the rate times the gradient, which is the same with and without decay.
        for (engine, compute) in engines() {
            let plain = stepped(&config(None, 1.0), &compute, &CrossEntropy::plain(3)).1;
            let decayed = stepped(&config(None, 0.5), &compute, &CrossEntropy::plain(3)).1;
            for (key, factor) in [
                ("fc.weight", 1.0),
                ("layer4.0.conv1.weight", 0.5),
                ("layer2.1.bn1.bias", 0.125),
                ("bn1.weight", 0.03125),
            ] {
                let found = length(&decayed[key].data) / length(&plain[key].data);
                assert!((found / factor - 1.0).abs() < 1e-2, "{engine}, {key}: {found}, not {factor}");
            }
        }
    }

    #[test]
    fn frozen_modules_stay_and_later_ones_learn() {
        for (engine, compute) in engines() {
            let (_, changes) = stepped(&config(Some("layer2"), 1.0), &compute, &CrossEntropy::plain(3));
            for (key, change) in changes {
                let frozen = ["conv1", "bn1", "layer1", "layer2"].iter().any(|one| key.starts_with(one));
                assert_eq!(length(&change.data) == 0.0, frozen, "{engine}: {key}");
            }
        }
    }

    #[test]
    fn frozen_layers_run_once_a_patch_where_patches_stay_as_they_are() {
        let targets = |batch: &Batch| CrossEntropy::plain(3).targets_of_labels(&batch.labels);
        let trained = |config: &TrainConfig| {
            let state = initial_state(&config.arch.graph(), 3, 5);
            let mut learner = Learner::new(&state, 3, config, &Compute::Cpu).unwrap();
            let whole = batch();
            // A patch that is drawn twice, and then some that were seen before and one that was not.
            for order in [[0, 1, 1, 2], [2, 3, 0, 1]] {
                let patch = whole.pixels.len() / 4;
                let batch = Batch {
                    first: 0,
                    pixels: order.iter().flat_map(|&i| whole.pixels[i * patch..][..patch].to_vec()).collect(),
                    blends: order.iter().map(|&i| whole.blends[i]).collect(),
                    labels: order.iter().map(|&i| whole.labels[i]).collect(),
                    indices: order.to_vec(),
                };
                learner.step(&batch, &targets(&batch), 0.01).unwrap();
            }
            let Learner::Cpu(learner) = learner else { unreachable!("on the CPU") };
            (learner.kept_outputs(), learner.state_dict())
        };
        let as_they_are = config(Some("layer3"), 1.0);
        // The batches here are not changed by it, the learner only has to expect that they could be.
        let changed = TrainConfig { flips: Some(true), ..as_they_are.clone() };
        let (kept, expected) = (trained(&as_they_are), trained(&changed));
        assert_eq!((kept.0, expected.0), (Some(4), None));
        assert_eq!(kept.1, expected.1);
    }
}
