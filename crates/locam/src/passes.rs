//! Class maps at a finer stride than the network's own.

use crate::Error;
use image::{RgbImage, imageops};
use locam_arch::Graph;
use locam_core::{ScoreMap, Size};
use locam_net::{ChannelChoice, ImageMaps, Predictor, WholeImage, class_maps};

/// Cells per stride of the network that maps at `stride` have along one axis.
///
/// # Errors
/// A stride that is not the network's own, its half or its quarter.
pub(crate) fn map_steps(graph: &Graph, stride: Option<u32>) -> Result<u32, Error> {
    let own = graph.map_transform().stride.x as u32;
    let Some(stride) = stride else { return Ok(1) };
    [1, 2, 4].into_iter().find(|steps| stride * steps == own).ok_or_else(|| {
        let (half, quarter) = (own / 2, own / 4);
        Error::Request(format!(
            "a stride of {stride} can't be had from this network; give {own}, {half} or {quarter}"
        ))
    })
}

/// The maps of an image whose class maps have `steps` cells per stride of the network along both axes.
///
/// The image is searched once for every step along both axes, with as many of its first columns and rows left out, and the
/// cells of all passes taken in turn. Those of the first pass, the network's own, are part of the finer map, bit for bit.
/// The mean and single channels are the first pass's.
pub(crate) fn interleaved_maps(
    predictor: &Predictor,
    image: &RgbImage,
    steps: u32,
    channels: ChannelChoice,
) -> Result<ImageMaps, Error> {
    let whole = Size::new(image.width(), image.height());
    let first = class_maps(predictor, &mut WholeImage { size: whole, pixels: image.as_raw() }, channels)?;
    let step = predictor.graph().map_transform().stride.x as u32 / steps;
    let mut passes: Vec<Vec<ScoreMap>> = first.maps.into_iter().map(|map| vec![map]).collect();
    for (row, column) in (0..steps).flat_map(|row| (0..steps).map(move |column| (row, column))).skip(1) {
        let (left, top) = (column * step, row * step);
        let size = Size::new(whole.width - left, whole.height - top);
        let part = imageops::crop_imm(image, left, top, size.width, size.height).to_image();
        let mut rows = WholeImage { size, pixels: part.as_raw() };
        let found = class_maps(predictor, &mut rows, ChannelChoice::None)?;
        passes.iter_mut().zip(found.maps).for_each(|(passes, map)| passes.push(map));
    }
    let maps = passes.iter().map(|passes| ScoreMap::interleave(passes, steps)).collect();
    Ok(ImageMaps { maps, mean: first.mean, channels: first.channels })
}
