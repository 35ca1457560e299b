use crate::network::host;
use crate::{MapBias, Model, NetError};
use burn::module::Module as _;
use burn::tensor::{Device, Tensor, TensorData};
use locam_core::{MapTransform, Normalization, ScoreMap, Size};
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
///
/// # Panics
/// If there are not three bytes per pixel.
pub fn class_maps(
    model: &Model,
    pixels: &[u8],
    size: Size,
    channels: ChannelChoice,
) -> Result<ImageMaps, NetError> {
    if size.width.min(size.height) < MIN_INPUT_SIDE {
        return Err(NetError::ImageTooSmall { size, least: MIN_INPUT_SIDE });
    }
    // With automatic differentiation, batch normalisation would use the image's own statistics.
    let training = model.network.device().is_autodiff();
    let network = if training { model.network.valid() } else { model.network.clone() };
    let map_size = network.graph().output_size(size)?;
    let images = to_tensor(pixels, 1, size, model.spec.normalization, &network.device());
    let features = network.features(images); // [1, C, h, w]
    let logits = network.class_maps(features.clone(), MapBias::With); // [1, K, h, w]
    let cutter = Cutter { size: map_size, transform: network.graph().map_transform() };
    let mean = cutter.maps(features.clone().mean_dim(1));
    let chosen = chosen_channels(&features, channels);
    let channels = chosen
        .into_iter()
        .flat_map(|channel| {
            let map = cutter.maps(features.clone().narrow(1, channel, 1));
            map.into_iter().map(move |map| (channel, map))
        })
        .collect();
    Ok(ImageMaps { maps: cutter.maps(logits), mean: mean.into_iter().next().expect("one mean"), channels })
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

/// Cuts a tensor [1, N, h, w] into its N maps.
struct Cutter {
    size: Size,
    transform: MapTransform,
}

impl Cutter {
    fn maps(&self, tensor: Tensor<4>) -> Vec<ScoreMap> {
        host(tensor)
            .chunks_exact(self.size.area() as usize)
            .map(|values| ScoreMap::new(self.size, values.to_vec(), self.transform))
            .collect()
    }
}

fn chosen_channels(features: &Tensor<4>, choice: ChannelChoice) -> Vec<usize> {
    let all = features.dims()[1];
    match choice {
        ChannelChoice::None => Vec::new(),
        ChannelChoice::Strongest(count) => {
            let means = host(features.clone().mean_dim(3).mean_dim(2));
            let mut order: Vec<usize> = (0..all).collect();
            order.sort_by(|&a, &b| means[b].total_cmp(&means[a]).then(a.cmp(&b)));
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
