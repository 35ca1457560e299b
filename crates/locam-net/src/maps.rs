use crate::{KeptRows, NetError, Predictor, RgbRows};
use burn::tensor::{Device, Tensor, TensorData};
use locam_core::{MapTransform, Normalization, ScoreMap, Size};
use locam_infer::Features;
use locam_kernels::for_each_chunk;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

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
/// Rows that are `kept` from an earlier pass are not made again, and those that are made are kept. The maps do not depend on how
/// many there were, bit by bit.
///
/// # Errors
/// An image of which no cell of a map comes, and what `image` answers.
pub fn class_maps<R: RgbRows<Error: Send> + Send>(
    predictor: &Predictor,
    image: &mut R,
    channels: ChannelChoice,
    kept: &dyn KeptRows,
) -> Result<ImageMaps, R::Error> {
    let size = image.size();
    let map_size = predictor.graph().output_size(size).map_err(NetError::from)?;
    let layers = Layers::new(predictor, channels, map_size);
    let mut values = vec![0.0; map_size.area() as usize * layers.depth()];
    for strip in predictor.strips(size)? {
        let width = map_size.width as usize * layers.depth();
        let mut write = |first_row: u32, rows: &[f32]| {
            let first = first_row as usize * width + strip.map.start as usize * layers.depth();
            let pitch = strip.map.len() * layers.depth();
            for (into, row) in values[first..].chunks_mut(width).zip(rows.chunks_exact(pitch)) {
                into[..pitch].copy_from_slice(row);
            }
            (rows.len() / pitch) as u32
        };
        let known = write(0, &kept.next_strip()).min(map_size.height);
        if known < map_size.height {
            predictor.stream(image, &strip, known, |row, features| {
                let rows = layers.of(predictor, &features);
                write(row, &rows);
                kept.add(&rows);
                Ok(())
            })?;
        }
    }
    Ok(layers.maps(&values, map_size, predictor.graph().map_transform()))
}

/// What is made of the features at a place: the logit of each class, the mean, and single channels.
struct Layers {
    classes: usize,
    channels: Vec<usize>,
    /// So many of these, of the largest mean, are wanted at the end.
    strongest: usize,
}

impl Layers {
    fn new(predictor: &Predictor, choice: ChannelChoice, map_size: Size) -> Self {
        let all = predictor.graph().head().in_features;
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
        Self { classes: predictor.classes(), channels, strongest }
    }

    /// Values of a place.
    fn depth(&self) -> usize {
        self.classes + 1 + self.channels.len()
    }

    /// The values of every place.
    fn of(&self, predictor: &Predictor, features: &Features) -> Vec<f32> {
        let maps = predictor.maps(features);
        let (width, depth) = (features.extent.width, self.depth());
        let mut values = vec![0.0; features.extent.pixels() * depth];
        for_each_chunk(&mut values, (width * depth).max(1), |row, values| {
            let places = features.values[row * width * features.channels..].chunks_exact(features.channels);
            for (column, (features, values)) in places.zip(values.chunks_exact_mut(depth)).enumerate() {
                let sum: f64 = features.iter().map(|&value| f64::from(value)).sum();
                let mean = (sum / features.len() as f64) as f32;
                let classes = maps.iter().map(|map| map[row * width + column]);
                let channels = self.channels.iter().map(|&channel| features[channel]);
                let all = classes.chain([mean]).chain(channels);
                values.iter_mut().zip(all).for_each(|(to, value)| *to = value);
            }
        });
        values
    }

    /// The maps of the values of all places.
    fn maps(&self, values: &[f32], size: Size, transform: MapTransform) -> ImageMaps {
        let places = || values.chunks_exact(self.depth());
        let map = |layer: usize| ScoreMap::new(size, places().map(|place| place[layer]).collect(), transform);
        let first = self.classes + 1;
        let mut order: Vec<usize> = (0..self.channels.len()).collect();
        if self.strongest < order.len() {
            let mut sums = vec![0.0; order.len()];
            for place in places() {
                sums.iter_mut().zip(&place[first..]).for_each(|(sum, &value)| *sum += f64::from(value));
            }
            order.sort_by(|&a, &b| sums[b].total_cmp(&sums[a]).then(a.cmp(&b)));
            order.truncate(self.strongest);
        }
        ImageMaps {
            maps: (0..self.classes).map(map).collect(),
            mean: map(self.classes),
            channels: order.iter().map(|&i| (self.channels[i], map(first + i))).collect(),
        }
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
    for_each_chunk(&mut values, plane.max(1), |index, output| {
        let (image, channel) = (index / 3, index % 3);
        let normalized: [f32; 256] =
            std::array::from_fn(|byte| (byte as f32 / 255.0 - mean[channel]) / deviation[channel]);
        for (pixel, value) in pixels[image * plane * 3..].chunks_exact(3).zip(output) {
            *value = normalized[usize::from(pixel[channel])];
        }
    });
    Tensor::from_data(TensorData::new(values, [count, 3, height, width]), device)
}
