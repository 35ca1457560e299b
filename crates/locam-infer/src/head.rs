use crate::{InferError, tensor};
use locam_arch::{Graph, StateDict};
use locam_kernels::{Extent, global_mean};
use rayon::prelude::*;

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

impl Features {
    /// These without their first rows, of which there may be fewer; the features of one image.
    #[must_use]
    pub fn without_rows(mut self, count: usize) -> Self {
        let Extent { height, width, .. } = self.extent;
        let count = count.min(height);
        self.values.drain(..count * width * self.channels);
        Self { extent: Extent { height: height - count, ..self.extent }, ..self }
    }

    /// These rows alone; the features of one image.
    ///
    /// # Panics
    /// If they are not all there.
    #[must_use]
    pub fn rows(mut self, first: usize, count: usize) -> Self {
        let Extent { height, width, .. } = self.extent;
        assert!(first + count <= height, "rows {first} to {} of {height}", first + count);
        self.values.truncate((first + count) * width * self.channels);
        Self { extent: Extent { height: first + count, ..self.extent }, ..self }.without_rows(first)
    }

    /// These columns alone of every row.
    ///
    /// # Panics
    /// If they are not all there.
    #[must_use]
    pub fn columns(self, first: usize, count: usize) -> Self {
        let Extent { width, .. } = self.extent;
        assert!(first + count <= width, "columns {first} to {} of {width}", first + count);
        if count == width {
            return self;
        }
        let range = first * self.channels..(first + count) * self.channels;
        let rows = self.values.chunks_exact(width * self.channels);
        let values = rows.flat_map(|row| &row[range.clone()]).copied().collect();
        Self { extent: Extent { width: count, ..self.extent }, values, ..self }
    }
}

/// The linear classifier on the mean of the last feature maps, or on the features at each place.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    channels: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Head {
    /// The head of a network that tells `classes` classes apart.
    ///
    /// # Errors
    /// [`InferError::Weight`] where a tensor is missing or has another shape.
    pub fn new(graph: &Graph, state: &StateDict, classes: usize) -> Result<Self, InferError> {
        let head = graph.head();
        let weight = tensor(state, &format!("{}.weight", head.key), &head.weight_shape(classes))?.to_vec();
        let bias = tensor(state, &format!("{}.bias", head.key), &[classes])?.to_vec();
        Ok(Self { channels: head.in_features, weight, bias })
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.bias.len()
    }

    /// Per image the logits, one per class.
    ///
    /// # Errors
    /// [`InferError::Kernel`] where the features have other channels than the head.
    pub fn logits(&self, features: &Features) -> Result<Vec<Vec<f32>>, InferError> {
        let mut means = vec![0.0; features.extent.batch * self.channels];
        global_mean(features.extent, self.channels, &features.values, &mut means)?;
        let row = |means: &[f32]| (0..self.bias.len()).map(|class| self.at(class, means)).collect();
        Ok(means.chunks_exact(self.channels).map(row).collect())
    }

    /// Per class a map: the logit that the head gives to the features at each place, bias included. The maps of an
    /// image follow each other; then come the next image's.
    pub fn maps(&self, features: &Features) -> Vec<Vec<f32>> {
        let places = features.extent.height * features.extent.width * features.channels;
        let map = |class: usize, image: &[f32]| -> Vec<f32> {
            image.par_chunks_exact(self.channels).map(|features| self.at(class, features)).collect()
        };
        features
            .values
            .chunks_exact(places.max(1))
            .flat_map(|image| (0..self.bias.len()).map(move |class| map(class, image)))
            .collect()
    }

    /// The logit of a class.
    fn at(&self, class: usize, features: &[f32]) -> f32 {
        let weights = &self.weight[class * self.channels..][..self.channels];
        let product: f64 =
            features.iter().zip(weights).map(|(&value, &weight)| f64::from(value) * f64::from(weight)).sum();
        (product + f64::from(self.bias[class])) as f32
    }
}
