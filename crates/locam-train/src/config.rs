use crate::{PatchConfig, TrainError, WINDOW_SIDES};
use locam_arch::ArchName;
use locam_core::{Normalization, Size};
use locam_data::{Augment, Change, LoaderConfig, Sampling};
use locam_infer::Precision;
use locam_kernels::Isa;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// Where the weights start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Weights {
    /// At random, from the seed.
    #[default]
    None,
    /// torchvision's official file for the architecture.
    Imagenet,
    /// A `.safetensors` or `.pth` file.
    File(PathBuf),
}

impl From<String> for Weights {
    fn from(text: String) -> Self {
        match text.as_str() {
            "none" => Self::None,
            "imagenet" => Self::Imagenet,
            _ => Self::File(PathBuf::from(text)),
        }
    }
}

impl From<Weights> for String {
    fn from(weights: Weights) -> Self {
        weights.to_string()
    }
}

impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Imagenet => f.write_str("imagenet"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// The rule by which gradients change weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// Stochastic gradient descent with momentum, as in PyTorch (no dampening).
    #[default]
    Sgd,
    /// Adam (Kingma and Ba, 2015); weight decay is added to the gradient.
    Adam,
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019).
    AdamW,
}

impl OptimizerName {
    /// The learning rate where none is given: for SGD 0.01 from random weights, which 0.001 hardly moves in a few
    /// epochs, and 0.001 from others; 0.0003 for Adam and `AdamW`.
    pub const fn default_learning_rate(self, weights: &Weights) -> f64 {
        match self {
            Self::Sgd if matches!(weights, Weights::None) => 1e-2,
            Self::Sgd => 1e-3,
            Self::Adam | Self::AdamW => 3e-4,
        }
    }
}

/// How the learning rate changes after warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// It stays.
    #[default]
    Constant,
    /// It is multiplied by `step_factor` every `step_every` epochs.
    Step,
    /// It falls to zero along half a cosine (Loshchilov and Hutter, 2017).
    Cosine,
}

/// How much patches of each class count in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// All the same.
    #[default]
    None,
    /// Inverse to how many training patches the class has.
    Balanced,
}

/// Everything that a training run is told: the content of `config.toml`. Every key may be left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// The network.
    #[serde(with = "as_text")]
    pub arch: ArchName,
    /// Where its weights start: `none`, `imagenet`, or a file.
    pub weights: Weights,
    /// Passes over the training patches.
    pub epochs: usize,
    /// Patches a step.
    pub batch_size: usize,
    /// The rule by which gradients change weights.
    pub optimizer: OptimizerName,
    /// The highest learning rate; [`OptimizerName::default_learning_rate`] where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Momentum of SGD.
    pub momentum: f64,
    /// Pull of the weights towards zero.
    pub weight_decay: f64,
    /// How the learning rate changes after warm-up.
    pub schedule: Schedule,
    /// With the step schedule: epochs from one step to the next.
    pub step_every: usize,
    /// With the step schedule: what each step multiplies the learning rate by.
    pub step_factor: f64,
    /// Epochs over which the learning rate rises from zero, a fraction allowed; part of `epochs`.
    pub warmup_epochs: f64,
    /// The part of each target that is spread evenly over all classes (Szegedy et al., 2016).
    pub label_smoothing: f64,
    /// How much patches of each class count in the loss.
    pub class_weights: ClassWeights,
    /// How the patches of an epoch are drawn.
    pub sampling: Sampling,
    /// Decay of the exponential moving average of the weights, which validation and the models then are of; no average
    /// where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// The module, by torchvision's name, up to which the network stays as its weights have it; none where it is left out. On
    /// the CPU, where nothing changes patches at random, that part runs once for each patch and not once an epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<String>,
    /// What the learning rate is multiplied by from each module to the one before; the head has the full rate.
    pub layer_decay: f64,
    /// Epochs without a better one on the validation patches after which training ends; never where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// The seed of everything random.
    pub seed: u64,
    /// Threads that decode and augment ahead of the network. The numbers do not depend on it.
    pub workers: usize,
    /// Side of the square patches, in network input pixels.
    pub patch_size: u32,
    /// What happens to pixel values.
    pub normalization: Normalization,
    /// How training patches are changed at random: a preset, or single changes separated by commas.
    pub augment: Augment,
    /// Whether training patches are mirrored at random; as `augment` says where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flips: Option<bool>,
    /// Whether training patches are turned by right angles at random; as `augment` says where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<bool>,
    /// `auto`, `cpu`, `cuda` or `wgpu`.
    pub device: String,
    /// What maps and their gradients are stored as, and the factors of matrix products: `f32`, or `bf16` on CPUs with AMX.
    /// Weights and sums are `f32`.
    #[serde(with = "as_text")]
    pub precision: Precision,
    /// Part of the patches kept for choosing the best epoch, where the data give no split.
    pub val_fraction: f64,
    /// Part of the patches kept for the test at the end, where the data give no split.
    pub test_fraction: f64,
    /// How patches are cut from annotated whole images.
    pub patches: PatchConfig,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            arch: ArchName::Resnet18,
            weights: Weights::None,
            epochs: 15,
            batch_size: 32,
            optimizer: OptimizerName::Sgd,
            learning_rate: None,
            momentum: 0.9,
            weight_decay: 0.0,
            schedule: Schedule::Constant,
            step_every: 5,
            step_factor: 0.1,
            warmup_epochs: 0.0,
            label_smoothing: 0.0,
            class_weights: ClassWeights::None,
            sampling: Sampling::Shuffled,
            ema: None,
            freeze: None,
            layer_decay: 1.0,
            patience: None,
            seed: 0,
            workers: 2,
            patch_size: 224,
            normalization: Normalization::Unit,
            augment: Augment::PHOTO,
            flips: None,
            turns: None,
            device: "auto".to_owned(),
            precision: Precision::F32,
            val_fraction: 0.15,
            test_fraction: 0.2,
            patches: PatchConfig::default(),
        }
    }
}

impl TrainConfig {
    /// Reads a TOML file; keys that it leaves out have their defaults. Values are not yet checked: see
    /// [`TrainConfig::validate`].
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TrainError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|e| TrainError::Damaged {
            path: path.to_owned(),
            reason: e.to_string().trim_end().to_owned(),
        })
    }

    /// All values as TOML.
    pub fn to_toml(&self) -> Result<String, TrainError> {
        toml::to_string(self)
            .map_err(|e| TrainError::Encode { what: "the configuration", reason: e.to_string() })
    }

    /// The learning rate after warm-up.
    pub fn peak_learning_rate(&self) -> f64 {
        self.learning_rate.unwrap_or(self.optimizer.default_learning_rate(&self.weights))
    }

    /// How training patches are changed: `augment`, with `flips` and `turns` laid over.
    pub fn augmentation(&self) -> Augment {
        let lay = |augment: Augment, change, given: Option<bool>| {
            given.map_or(augment, |made| augment.with(change, made))
        };
        lay(lay(self.augment, Change::Flips, self.flips), Change::Turns, self.turns)
    }

    /// How batches are made.
    pub fn loader(&self) -> LoaderConfig {
        LoaderConfig {
            batch_size: self.batch_size,
            workers: self.workers,
            seed: self.seed,
            augment: self.augmentation(),
            sampling: self.sampling,
        }
    }

    /// Checks that every value makes sense, before any work.
    ///
    /// # Errors
    /// [`TrainError::Config`] with the first key whose value is out of its range, [`TrainError::UnknownModule`].
    pub fn validate(&self) -> Result<(), TrainError> {
        let epochs = self.epochs as f64;
        check("epochs", self.epochs, self.epochs >= 1, "at least 1")?;
        check("batch_size", self.batch_size, self.batch_size >= 1, "at least 1")?;
        let rate = self.peak_learning_rate();
        check("learning_rate", rate, rate.is_finite() && rate > 0.0, "a number above 0")?;
        check("momentum", self.momentum, (0.0..1.0).contains(&self.momentum), "from 0 to below 1")?;
        let decay = self.weight_decay;
        check("weight_decay", decay, (0.0..1.0).contains(&decay), "from 0 to below 1")?;
        check("step_every", self.step_every, self.step_every >= 1, "at least 1")?;
        let factor = self.step_factor;
        check("step_factor", factor, factor > 0.0 && factor <= 1.0, "above 0 to 1")?;
        let warmup = self.warmup_epochs;
        check("warmup_epochs", warmup, warmup >= 0.0 && warmup < epochs, "from 0 to below the epochs")?;
        self.validate_loss()?;
        self.validate_layers()?;
        let patience = self.patience.unwrap_or(1);
        check("patience", patience, patience >= 1, "at least 1")?;
        check("patch_size", self.patch_size, (32..=4096).contains(&self.patch_size), "32 to 4096 pixels")?;
        self.arch.graph().output_size(Size::new(self.patch_size, self.patch_size))?;
        check("workers", self.workers, (1..=1024).contains(&self.workers), "1 to 1024")?;
        let jitter = self.patches.jitter;
        check("patches.jitter", jitter, (0.0..=0.5).contains(&jitter), "0 to 0.5")?;
        let window = self.patches.window.unwrap_or(self.patch_size);
        check("patches.window", window, WINDOW_SIDES.contains(&window), "8 to 65536 pixels")?;
        let object = self.patches.object_size.unwrap_or(1.0);
        check("patches.object_size", object, object.is_finite() && object > 0.0, "a number above 0")?;
        let microns = self.patches.microns_per_pixel.unwrap_or(1.0);
        let is_size = microns.is_finite() && microns > 0.0;
        check("patches.microns_per_pixel", microns, is_size, "a number above 0")?;
        self.validate_precision()?;
        let (val, test) = (self.val_fraction, self.test_fraction);
        check("val_fraction", val, (0.0..1.0).contains(&val), "from 0 to below 1")?;
        check("test_fraction", test, (0.0..1.0).contains(&test), "from 0 to below 1")?;
        check("val_fraction + test_fraction", val + test, val + test < 1.0, "below 1")
    }

    fn validate_loss(&self) -> Result<(), TrainError> {
        let smoothing = self.label_smoothing;
        check("label_smoothing", smoothing, (0.0..1.0).contains(&smoothing), "from 0 to below 1")?;
        let twice = self.class_weights == ClassWeights::Balanced && self.sampling == Sampling::Balanced;
        check(
            "class_weights",
            "balanced",
            !twice,
            "none with balanced sampling, which does the same already",
        )?;
        let ema = self.ema.unwrap_or(0.5);
        check("ema", ema, ema > 0.0 && ema < 1.0, "above 0 to below 1")
    }

    fn validate_precision(&self) -> Result<(), TrainError> {
        let has_tiles = self.precision == Precision::F32 || Isa::detect().is_ok_and(Isa::has_tiles);
        let allowed = "f32 on this CPU: only those with AMX train faster in bf16";
        check("precision", self.precision, has_tiles, allowed)
    }

    fn validate_layers(&self) -> Result<(), TrainError> {
        let decay = self.layer_decay;
        check("layer_decay", decay, decay > 0.0 && decay <= 1.0, "above 0 to 1")?;
        let Some(name) = &self.freeze else { return Ok(()) };
        let modules: Vec<String> =
            self.arch.graph().modules().into_iter().map(|module| module.name).collect();
        if !modules.contains(name) {
            let (arch, modules) = (self.arch.to_string(), modules.join(", "));
            return Err(TrainError::UnknownModule { name: name.clone(), arch, modules });
        }
        let is_trained = self.weights != Weights::None;
        check(
            "freeze",
            name,
            is_trained,
            "nothing where weights begin at random: give imagenet or a file as weights",
        )
    }

    /// The key of the first value that differs and would change the numbers of a run; `workers` never does.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<String> {
        let (mine, theirs) = (toml::Table::try_from(self).ok()?, toml::Table::try_from(other).ok()?);
        let keys = mine.keys().chain(theirs.keys()).filter(|key| *key != "workers");
        let mut different: Vec<_> = keys.filter(|key| mine.get(*key) != theirs.get(*key)).cloned().collect();
        different.sort();
        different.into_iter().next()
    }
}

/// Names that their own type reads and writes.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// An error for `key` unless its value is `good`.
fn check(
    key: &'static str,
    value: impl fmt::Display,
    good: bool,
    allowed: &'static str,
) -> Result<(), TrainError> {
    if good { Ok(()) } else { Err(TrainError::Config { key, value: value.to_string(), allowed }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        toml: &'static str,
        key: &'static str,
    }

    #[test]
    fn values_out_of_range_are_named_with_their_key() {
        let cases = [
            Case { toml: "epochs = 0", key: "epochs" },
            Case { toml: "batch_size = 0", key: "batch_size" },
            Case { toml: "learning_rate = 0.0", key: "learning_rate" },
            Case { toml: "learning_rate = -0.1", key: "learning_rate" },
            Case { toml: "learning_rate = nan", key: "learning_rate" },
            Case { toml: "learning_rate = inf", key: "learning_rate" },
            Case { toml: "momentum = 1.0", key: "momentum" },
            Case { toml: "momentum = -0.1", key: "momentum" },
            Case { toml: "weight_decay = -1e-4", key: "weight_decay" },
            Case { toml: "weight_decay = nan", key: "weight_decay" },
            Case { toml: "step_every = 0", key: "step_every" },
            Case { toml: "step_factor = 0.0", key: "step_factor" },
            Case { toml: "step_factor = 1.5", key: "step_factor" },
            Case { toml: "warmup_epochs = -1.0", key: "warmup_epochs" },
            Case { toml: "warmup_epochs = 15.0", key: "warmup_epochs" },
            Case { toml: "warmup_epochs = nan", key: "warmup_epochs" },
            Case { toml: "label_smoothing = 1.0", key: "label_smoothing" },
            Case { toml: "label_smoothing = -0.1", key: "label_smoothing" },
            Case { toml: "class_weights = \"balanced\"\nsampling = \"balanced\"", key: "class_weights" },
            Case { toml: "ema = 1.0", key: "ema" },
            Case { toml: "ema = 0.0", key: "ema" },
            Case { toml: "freeze = \"layer1\"", key: "freeze" },
            Case { toml: "layer_decay = 0.0", key: "layer_decay" },
            Case { toml: "layer_decay = 1.5", key: "layer_decay" },
            Case { toml: "patience = 0", key: "patience" },
            Case { toml: "patch_size = 8", key: "patch_size" },
            Case { toml: "workers = 0", key: "workers" },
            Case { toml: "val_fraction = 1.0", key: "val_fraction" },
            Case { toml: "test_fraction = -0.5", key: "test_fraction" },
            Case { toml: "val_fraction = 0.5\ntest_fraction = 0.5", key: "val_fraction + test_fraction" },
        ];
        for Case { toml, key: expected } in cases {
            let config: TrainConfig = toml::from_str(toml).unwrap();
            match config.validate() {
                Err(TrainError::Config { key, .. }) => assert_eq!(key, expected, "{toml}"),
                other => panic!("{toml} gave {other:?}"),
            }
        }
    }

    #[test]
    fn modules_that_the_network_has_not_are_answered_with_those_that_it_has() {
        let toml = "freeze = \"layer5\"\nweights = \"imagenet\"";
        let config: TrainConfig = toml::from_str(toml).unwrap();
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains("`layer5`") && message.contains("conv1, layer1, layer2"), "{message}");
        let config = TrainConfig { freeze: Some("layer4".into()), ..config };
        config.validate().unwrap();
    }

    #[test]
    fn words_that_mean_nothing_are_refused() {
        for toml in [
            "epoch = 3",
            "optimizer = \"lion\"",
            "schedule = \"linear\"",
            "arch = \"alexnet\"",
            "class_weights = \"rare\"",
            "sampling = \"weighted\"",
            "augment = \"mixups\"",
            "precision = \"f16\"",
        ] {
            assert!(toml::from_str::<TrainConfig>(toml).is_err(), "{toml} was accepted");
        }
    }

    #[test]
    fn an_empty_file_is_the_default_and_defaults_are_valid() {
        let config: TrainConfig = toml::from_str("").unwrap();
        assert_eq!(config, TrainConfig::default());
        config.validate().unwrap();
    }

    #[test]
    fn toml_gives_back_what_was_written() {
        let config = TrainConfig {
            weights: Weights::File("a/b.pth".into()),
            optimizer: OptimizerName::AdamW,
            learning_rate: Some(0.1 + 0.2),
            schedule: Schedule::Cosine,
            label_smoothing: 0.1,
            sampling: Sampling::Balanced,
            ema: Some(0.999),
            freeze: Some("layer2".to_owned()),
            layer_decay: 0.75,
            augment: "flips,mixup".parse().unwrap(),
            patience: Some(3),
            normalization: Normalization::Imagenet,
            ..TrainConfig::default()
        };
        let text = config.to_toml().unwrap();
        assert_eq!(toml::from_str::<TrainConfig>(&text).unwrap(), config, "{text}");
    }

    #[test]
    fn workers_may_differ_and_nothing_else() {
        let config = TrainConfig::default();
        assert_eq!(config.first_difference(&TrainConfig { workers: 7, ..config.clone() }), None);
        let others = [
            ("label_smoothing", TrainConfig { label_smoothing: 0.1, ..config.clone() }),
            ("class_weights", TrainConfig { class_weights: ClassWeights::Balanced, ..config.clone() }),
            ("sampling", TrainConfig { sampling: Sampling::Balanced, ..config.clone() }),
            ("ema", TrainConfig { ema: Some(0.9), ..config.clone() }),
            ("freeze", TrainConfig { freeze: Some("conv1".into()), ..config.clone() }),
            ("layer_decay", TrainConfig { layer_decay: 0.9, ..config.clone() }),
            ("augment", TrainConfig { augment: "mixup".parse().unwrap(), ..config.clone() }),
        ];
        for (key, other) in others {
            assert_eq!(config.first_difference(&other).as_deref(), Some(key));
        }
        let other = TrainConfig { learning_rate: Some(0.5), workers: 7, ..config.clone() };
        assert_eq!(config.first_difference(&other).as_deref(), Some("learning_rate"));
        assert_eq!(other.first_difference(&config).as_deref(), Some("learning_rate"));
    }
}
