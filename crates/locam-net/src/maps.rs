use crate::{NetError, Place, Predictor, RgbRows};
use burn::tensor::{Device, Tensor, TensorData};
use locam_core::{Normalization, ScoreMap, Size};
use locam_infer::Features;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// Smallest side in pixels of an image that maps are made of.
pub const MIN_INPUT_SIDE: u32 = 224;

/// The most that may be kept of an image's feature maps, in bytes: those of about 30 megapixels with `ResNet-18`.
pub const FEATURE_BYTES: u64 = 64 << 20;

/// Which single channels of the last feature maps are wanted beside the class maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelChoice {
    /// None.
    None,
    /// So many of the largest mean.
    Strongest(usize),
    /// So many drawn by a seed.
    Random {
        /// How many.
        count: usize,
        /// The seed.
        seed: u64,
    },
}

/// The maps of one image, all in its coordinates.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageMaps {
    /// Per class, the logit that the head gives to the features at each place, bias included.
    pub maps: Vec<ScoreMap>,
    /// The plain mean over the channels of the last feature maps.
    pub mean: ScoreMap,
    /// The chosen channels with their indices, in the order of the choice.
    pub channels: Vec<(usize, ScoreMap)>,
}

/// The class maps of an image: one pass through the convolutions, then the head at every place.
///
/// Single channels by their strength are only there where all feature maps together take no more than
/// [`FEATURE_BYTES`], since they must all be kept to the end.
///
/// # Errors
/// [`NetError::ImageTooSmall`] below [`MIN_INPUT_SIDE`] on a side, and what `image` answers.
pub fn class_maps<R: RgbRows<Error: Send> + Send>(
    predictor: &Predictor,
    image: &mut R,
    channels: ChannelChoice,
) -> Result<ImageMaps, R::Error> {
    let size = image.size();
    if size.width.min(size.height) < MIN_INPUT_SIDE {
        return Err(NetError::ImageTooSmall { size, least: MIN_INPUT_SIDE }.into());
    }
    let graph = predictor.graph();
    let map_size = graph.output_size(size).map_err(NetError::from)?;
    let all = graph.head().in_features;
    let mut kept = Kept::new(channels, all, map_size);
    let mut maps = vec![vec![0.0; map_size.area() as usize]; predictor.classes()];
    let mut mean = vec![0.0; map_size.area() as usize];
    predictor.stream(image, |place, features| {
        let part = Part { place, width: features.extent.width, map_width: map_size.width as usize };
        for (map, values) in maps.iter_mut().zip(predictor.maps(&features)) {
            part.write(map, &values, 1);
        }
        let mean_of = |place: &[f32]| (place.iter().map(|&v| f64::from(v)).sum::<f64>() / all as f64) as f32;
        let means: Vec<f32> = features.values.chunks_exact(all).map(mean_of).collect();
        part.write(&mut mean, &means, 1);
        kept.take(part, &features);
        Ok(())
    })?;
    let score_map = |values: Vec<f32>| ScoreMap::new(map_size, values, graph.map_transform());
    Ok(ImageMaps {
        maps: maps.into_iter().map(score_map).collect(),
        mean: score_map(mean),
        channels: kept.finish().into_iter().map(|(channel, values)| (channel, score_map(values))).collect(),
    })
}

/// A rectangle of places in a map.
#[derive(Clone, Copy)]
struct Part {
    place: Place,
    width: usize,
    map_width: usize,
}

impl Part {
    /// Writes the rectangle's values, so many of each place, where they belong.
    fn write(self, map: &mut [f32], values: &[f32], depth: usize) {
        let first = self.place.row as usize * self.map_width + self.place.column as usize;
        let rows = map[first * depth..].chunks_mut(self.map_width * depth);
        for (into, row) in rows.zip(values.chunks_exact((self.width * depth).max(1))) {
            into[..row.len()].copy_from_slice(row);
        }
    }
}

/// The channels of the feature maps that are kept while an image runs.
struct Kept {
    channels: Vec<usize>,
    /// So many of them, of the largest mean, are wanted at the end.
    strongest: usize,
    /// Place by place.
    values: Vec<f32>,
}

impl Kept {
    fn new(choice: ChannelChoice, all: usize, map_size: Size) -> Self {
        let fits = map_size.area() * all as u64 * size_of::<f32>() as u64 <= FEATURE_BYTES;
        let channels = match choice {
            ChannelChoice::Strongest(_) if fits => (0..all).collect(),
            ChannelChoice::None | ChannelChoice::Strongest(_) => Vec::new(),
            ChannelChoice::Random { count, seed } => drawn(all, count, seed),
        };
        let strongest = match choice {
            ChannelChoice::Strongest(count) => count,
            ChannelChoice::None | ChannelChoice::Random { .. } => channels.len(),
        };
        let values = vec![0.0; map_size.area() as usize * channels.len()];
        Self { channels, strongest, values }
    }

    fn take(&mut self, part: Part, features: &Features) {
        let depth = self.channels.len();
        if depth == features.channels {
            part.write(&mut self.values, &features.values, depth);
        } else if depth > 0 {
            let places = features.values.chunks_exact(features.channels);
            let wanted =
                |place: &[f32]| self.channels.iter().map(|&channel| place[channel]).collect::<Vec<_>>();
            let values: Vec<f32> = places.flat_map(wanted).collect();
            part.write(&mut self.values, &values, depth);
        }
    }

    /// The wanted channels, each with its values.
    fn finish(self) -> Vec<(usize, Vec<f32>)> {
        let mut order: Vec<usize> = (0..self.channels.len()).collect();
        let places = || self.values.chunks_exact(self.channels.len().max(1));
        if self.strongest < order.len() {
            let mut sums = vec![0.0; order.len()];
            for place in places() {
                sums.iter_mut().zip(place).for_each(|(sum, &value)| *sum += f64::from(value));
            }
            order.sort_by(|&a, &b| sums[b].total_cmp(&sums[a]).then(a.cmp(&b)));
            order.truncate(self.strongest);
        }
        order.iter().map(|&i| (self.channels[i], places().map(|place| place[i]).collect())).collect()
    }
}

/// So many different numbers below `all`.
fn drawn(all: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..all).collect();
    // The start of a shuffle by Fisher and Yates.
    for i in 0..count.min(all) {
        order.swap(i, i + (random.next_u64() % (all - i) as u64) as usize);
    }
    order.truncate(count);
    order
}

/// Images of equal size as a tensor [N, 3, H, W] of normalised values.
///
/// `pixels` are `count` images one after the other, each red, green, blue, row by row.
///
/// # Panics
/// If there are not three bytes per pixel.
pub fn to_tensor(
    pixels: &[u8],
    count: usize,
    size: Size,
    normalization: Normalization,
    device: &Device,
) -> Tensor<4> {
    let (width, height) = (size.width as usize, size.height as usize);
    let plane = width * height;
    assert_eq!(pixels.len(), count * plane * 3, "{count} images of {size} need three bytes per pixel");
    let (mean, deviation) = normalization.mean_and_deviation();
    let mut values = vec![0f32; pixels.len()];
    for (image, output) in pixels.chunks_exact(plane * 3).zip(values.chunks_exact_mut(plane * 3)) {
        for (channel, output) in output.chunks_exact_mut(plane).enumerate() {
            let normalized: [f32; 256] =
                std::array::from_fn(|byte| (byte as f32 / 255.0 - mean[channel]) / deviation[channel]);
            for (pixel, value) in image.chunks_exact(3).zip(output) {
                *value = normalized[usize::from(pixel[channel])];
            }
        }
    }
    Tensor::from_data(TensorData::new(values, [count, 3, height, width]), device)
}
