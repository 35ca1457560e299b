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
    [1, 2, 4].into_iter().find(|steps| own / steps == stride).ok_or_else(|| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use locam_arch::ArchName;
    use locam_net::{Compute, Precision};

    fn predictor(arch: ArchName) -> Predictor {
        Predictor::new(&crate::testing::model(arch), &Compute::Cpu, Precision::F32).unwrap()
    }

    #[test]
    fn finer_maps_hold_the_networks_own_cells_and_the_shifted_ones_between_them() {
        for arch in [ArchName::Resnet18, ArchName::Squeezenet1_1] {
            let predictor = predictor(arch);
            let image = RgbImage::from_fn(301, 262, |x, y| {
                image::Rgb([(x * 7 + y * 3) as u8, (x * y / 5) as u8, (x ^ y) as u8])
            });
            let own = interleaved_maps(&predictor, &image, 1, ChannelChoice::None).unwrap();
            for steps in [2, 4] {
                let fine = interleaved_maps(&predictor, &image, steps, ChannelChoice::None).unwrap();
                let step = predictor.graph().map_transform().stride.x as u32 / steps;
                let shifted = imageops::crop_imm(&image, step, 0, 301 - step, 262).to_image();
                let shifted = interleaved_maps(&predictor, &shifted, 1, ChannelChoice::None).unwrap();
                for class in 0..2 {
                    for (map, first) in [(&own.maps[class], 0), (&shifted.maps[class], 1)] {
                        for row in 0..map.size().height {
                            for column in 0..map.size().width {
                                let (place, bits) = ((column, row), map.at(column, row).to_bits());
                                let found = fine.maps[class].at(column * steps + first, row * steps);
                                assert_eq!(found.to_bits(), bits, "{arch} at {place:?} of {steps}");
                            }
                        }
                    }
                }
                assert_eq!((fine.mean, fine.channels), (own.mean.clone(), own.channels.clone()));
            }
        }
    }

    #[test]
    fn strides_that_do_not_divide_the_networks_are_refused() {
        let graph = ArchName::Resnet18.graph();
        assert_eq!(map_steps(&graph, Some(8)).unwrap(), 4);
        for stride in [0, 7, 64, u32::MAX] {
            let message = map_steps(&graph, Some(stride)).unwrap_err().to_string();
            assert!(message.contains("32, 16 or 8"), "{message}");
        }
    }
}
