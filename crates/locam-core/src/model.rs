use crate::Point;
use serde::{Deserialize, Serialize};

/// A class by its place in the model's list of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClassId(pub usize);

/// What happens to pixel values before the network sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalization {
    /// Scaled to 0..=1.
    Unit,
    /// Scaled to 0..=1, then less the mean and divided by the deviation of ImageNet, per channel.
    Imagenet,
}

impl Normalization {
    /// Mean and standard deviation per channel (red, green, blue) of values scaled to 0..=1.
    pub const fn mean_and_deviation(self) -> ([f32; 3], [f32; 3]) {
        match self {
            Self::Unit => ([0.0; 3], [1.0; 3]),
            Self::Imagenet => ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        }
    }
}

/// One class of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassSpec {
    /// As the user named it.
    pub name: String,
    /// Whether this class stands for everything that is not sought, and so has no regions of its own.
    pub background: bool,
    /// The margin (log-odds against all other classes) of regions that are as often objects as not.
    #[serde(default)]
    pub midpoint: f64,
    /// What margins less the midpoint are divided by, so that the scores that they become have probabilities for logistics.
    #[serde(default = "unscaled")]
    pub temperature: f64,
    /// The score that a region reaches at its peak.
    pub threshold: f64,
    /// The score along which regions are outlined; the threshold where it is not known or above that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contour: Option<f64>,
    /// Size of its objects in network input pixels (the geometric mean of width and height), where that is another than the
    /// model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_size: Option<f64>,
    /// How large its objects usually are, where that tells more of their boxes than the maps alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual_box: Option<UsualBox>,
    /// How far an object that an image's border cuts must reach into the image to count there, in object sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_visible: Option<f64>,
}

/// The box that a class's objects usually have, and how much that counts beside the extent of a region: each side of the box is
/// `extent^(1 - weight) * usual^weight`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsualBox {
    /// Its width; in a model, in pixels of the network's input.
    pub width: f64,
    /// Its height.
    pub height: f64,
    /// In 0 to 1.
    pub weight: f64,
}

impl ClassSpec {
    /// A class as training leaves it: found wherever it is likelier than not.
    pub fn new(name: impl Into<String>, background: bool) -> Self {
        Self {
            name: name.into(),
            background,
            midpoint: 0.0,
            temperature: unscaled(),
            threshold: 0.0,
            contour: None,
            object_size: None,
            usual_box: None,
            min_visible: None,
        }
    }

    /// The score of a margin.
    pub fn score(&self, margin: f64) -> f64 {
        (margin - self.midpoint) / self.temperature
    }

    /// The margin of a score.
    pub fn margin(&self, score: f64) -> f64 {
        score * self.temperature + self.midpoint
    }
}

/// The temperature of models that were never calibrated.
fn unscaled() -> f64 {
    1.0
}

/// How a model came to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the program that trained it.
    pub locam_version: String,
    /// Where the weights started: `none`, `imagenet`, or a file.
    pub initial_weights: String,
    /// The seed of everything random.
    pub seed: u64,
    /// Epochs trained.
    pub epochs: usize,
    /// Patches trained on.
    pub train_patches: usize,
    /// SHA-256 over the sorted hashes of all training patches.
    pub data_hash: String,
    /// Where the thresholds and temperatures were chosen; empty for the default.
    pub thresholds_from: String,
}

/// The light and the stain that smears usually have which a model learned from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stain {
    /// The light of the glass in red, green and blue, from 0 to 255.
    pub glass: [f64; 3],
    /// The optical density of most cells in green: the natural logarithm of the glass's light over theirs.
    pub density: f64,
    /// How far most cells are from grey, beside how dark they are; 0 is grey.
    pub chroma: f64,
}

/// Everything beside the weights that is needed to use a model: the content of `model.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Version of this format.
    pub format: u32,
    /// Architecture, e.g. `resnet18`.
    pub architecture: String,
    /// The classes in the order of the logits.
    pub classes: Vec<ClassSpec>,
    /// Side of the square patches that the network was trained on, in network input pixels.
    pub patch_size: u32,
    /// Size of the objects in network input pixels (the geometric mean of width and height), where known.
    pub object_size: Option<f64>,
    /// Network input pixels per pixel of the source images that the patches were cut from, where they all
    /// agree: images of the same kind are scaled by it before they are located on.
    pub image_scale: Option<f64>,
    /// Microns that a pixel of the network's input shows, where that is known: images that say their own are scaled to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microns_per_pixel: Option<f64>,
    /// The light and the stain of the images that the network learned from, where they show cells on something brighter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stain: Option<Stain>,
    /// By how much objects lie beyond the places where the maps answer to them, in network input pixels.
    #[serde(default)]
    pub displacement: Point,
    /// What happens to pixel values.
    pub normalization: Normalization,
    /// The resize filter, e.g. `bilinear-antialias`.
    pub resize_filter: String,
    /// SHA-256 of `model.safetensors`.
    pub weights_sha256: String,
    /// How it came to be.
    pub provenance: Provenance,
}

impl ModelSpec {
    /// The version of the format that this program writes.
    pub const FORMAT: u32 = 3;

    /// The smallest side of an image, in network input pixels, of which maps are made: that of a training patch, since padding
    /// reaches more of smaller ones than the network has seen, or 224 where patches were larger.
    pub fn min_input_side(&self) -> u32 {
        self.patch_size.min(224)
    }

    /// The classes that are sought, with their places in the list of logits.
    pub fn sought_classes(&self) -> impl Iterator<Item = (ClassId, &ClassSpec)> {
        self.classes
            .iter()
            .enumerate()
            .filter(|(_, class)| !class.background)
            .map(|(i, class)| (ClassId(i), class))
    }
}
