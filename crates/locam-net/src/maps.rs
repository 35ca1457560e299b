use crate::{NetError, Predictor};
use burn::tensor::{Device, Tensor, TensorData};
use locam_core::{Normalization, ScoreMap, Size};
use locam_infer::Features;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// Smallest side in pixels of an image that maps are made of.
pub const MIN_INPUT_SIDE: u32 = 224;

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
/// `pixels` are red, green, blue, row by row, in the network's input scale.
///
/// # Errors
/// [`NetError::ImageTooSmall`] below [`MIN_INPUT_SIDE`] on a side.
pub fn class_maps(
    predictor: &Predictor,
    pixels: &[u8],
    size: Size,
    channels: ChannelChoice,
) -> Result<ImageMaps, NetError> {
    if size.width.min(size.height) < MIN_INPUT_SIDE {
        return Err(NetError::ImageTooSmall { size, least: MIN_INPUT_SIDE });
    }
    let map_size = predictor.graph().output_size(size)?;
    let features = predictor.features(pixels, 1, size)?;
    let transform = predictor.graph().map_transform();
    let score_map = |values: Vec<f32>| ScoreMap::new(map_size, values, transform);
    let places = || features.values.chunks_exact(features.channels);
    let mean =
        places().map(|place| (place.iter().map(|&v| f64::from(v)).sum::<f64>() / place.len() as f64) as f32);
    let channel = |channel: usize| (channel, score_map(places().map(|place| place[channel]).collect()));
    Ok(ImageMaps {
        maps: predictor.maps(&features).into_iter().map(score_map).collect(),
        mean: score_map(mean.collect()),
        channels: chosen_channels(&features, channels).into_iter().map(channel).collect(),
    })
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

fn chosen_channels(features: &Features, choice: ChannelChoice) -> Vec<usize> {
    let all = features.channels;
    match choice {
        ChannelChoice::None => Vec::new(),
        ChannelChoice::Strongest(count) => {
            let mut sums = vec![0.0; all];
            for place in features.values.chunks_exact(all) {
                sums.iter_mut().zip(place).for_each(|(sum, &value)| *sum += f64::from(value));
            }
            let mut order: Vec<usize> = (0..all).collect();
            order.sort_by(|&a, &b| sums[b].total_cmp(&sums[a]).then(a.cmp(&b)));
            order.truncate(count);
            order
        }
        ChannelChoice::Random { count, seed } => {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut order: Vec<usize> = (0..all).collect();
            // The start of a shuffle by Fisher and Yates.
            for i in 0..count.min(all) {
                order.swap(i, i + (random.next_u64() % (all - i) as u64) as usize);
            }
            order.truncate(count);
            order
        }
    }
}
