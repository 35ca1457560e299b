//! Class maps at a finer stride than the network's own.

use crate::Error;
use crate::input_rows::{Input, InputRows};
use crate::parts::Part;
use locam_arch::Graph;
use locam_core::{MapTransform, Point, Rect, ScoreMap, Size};
use locam_net::{ChannelChoice, ImageMaps, NetError, Predictor, class_maps};
use std::ops::Range;

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

/// The maps of a part of an image, of which class maps have `steps` cells per stride of the network along both axes, and what of
/// the image is damaged, in its pixels.
///
/// The part is searched once for every step along both axes, with as many of its first columns and rows left out, and the
/// cells of all passes taken in turn. Those of the first pass, the network's own, are part of the finer map, bit for bit.
/// The mean and single channels are the first pass's.
pub(crate) fn interleaved_maps(
    predictor: &Predictor,
    input: Input<'_>,
    part: &Part,
    steps: u32,
    channels: ChannelChoice,
) -> Result<(ImageMaps, Vec<Rect>), Error> {
    let of_all = 1.0 / f64::from(steps * steps);
    let mut rows = InputRows::new(input, part, (0, 0), of_all);
    let first = class_maps(predictor, &mut rows, channels, input.kept)?;
    let missing = rows.into_missing();
    let step = predictor.graph().map_transform().stride.x as u32 / steps;
    let mut passes: Vec<Vec<ScoreMap>> = first.maps.into_iter().map(|map| vec![map]).collect();
    for (row, column) in (0..steps).flat_map(|row| (0..steps).map(move |column| (row, column))).skip(1) {
        let mut rows = InputRows::new(input, part, (column * step, row * step), of_all);
        let found = class_maps(predictor, &mut rows, ChannelChoice::None, input.kept)?;
        passes.iter_mut().zip(found.maps).for_each(|(passes, map)| passes.push(map));
    }
    let maps = passes.iter().map(|passes| ScoreMap::interleave(passes, steps)).collect();
    Ok((ImageMaps { maps, mean: first.mean, channels: first.channels }, missing))
}

/// The maps of an image, put together from those of its parts, and what of the image is damaged. Cells outside the parts are not
/// numbers. Single channels are only kept where one part is the whole.
pub(crate) fn maps_of_parts(
    predictor: &Predictor,
    input: Input<'_>,
    parts: &[Part],
    steps: u32,
    channels: ChannelChoice,
) -> Result<(ImageMaps, Vec<Rect>), Error> {
    if let [part] = parts
        && part.size == input.size
    {
        return interleaved_maps(predictor, input, part, steps, channels);
    }
    let [coarse, fine] = [1, steps].map(|steps| map_at(predictor.graph(), input.size, steps));
    let (coarse, fine) = (coarse?, fine?);
    let mut whole = ImageMaps { maps: vec![fine; predictor.classes()], mean: coarse, channels: Vec::new() };
    let mut missing = Vec::new();
    for part in parts {
        let (found, damaged) = interleaved_maps(predictor, input, part, steps, ChannelChoice::None)?;
        let stride = predictor.graph().map_transform().stride.x as u32;
        let keep = |whole: &mut ScoreMap, found: &ScoreMap, steps: u32| {
            let cells = |cells: &Range<u32>, all: u32| cells.start * steps..(cells.end * steps).min(all);
            let columns = cells(&part.columns, whole.size().width);
            let rows = cells(&part.rows, whole.size().height);
            let begin = (part.left / stride * steps, part.top / stride * steps);
            whole.copy_from(found, (columns.start - begin.0, rows.start - begin.1), columns, rows);
        };
        for (whole, found) in whole.maps.iter_mut().zip(&found.maps) {
            keep(whole, found, steps);
        }
        keep(&mut whole.mean, &found.mean, 1);
        missing.extend(damaged);
    }
    Ok((whole, missing))
}

/// A class map of which nothing is known yet, with `steps` cells per stride.
fn map_at(graph: &Graph, input: Size, steps: u32) -> Result<ScoreMap, Error> {
    let MapTransform { first_center, stride } = graph.map_transform();
    let shift = stride.x as u32 / steps;
    let mut size = Size::new(0, 0);
    for pass in 0..steps {
        let input = Size::new(input.width - pass * shift, input.height - pass * shift);
        let pass = graph.output_size(input).map_err(NetError::from)?;
        size = Size::new(size.width + pass.width, size.height + pass.height);
    }
    let stride = Point::new(stride.x / f64::from(steps), stride.y / f64::from(steps));
    Ok(ScoreMap::unsearched(size, MapTransform { first_center, stride }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Progress;
    use crate::row_file::RowFile;
    use image::{RgbImage, imageops};
    use locam_arch::ArchName;
    use locam_data::ImageSource;
    use locam_net::{Compute, NothingKept, Precision, WholeImage};

    fn predictor(arch: ArchName) -> Predictor {
        Predictor::new(&crate::testing::model(arch), &Compute::Cpu, Precision::F32).unwrap()
    }

    fn whole_part(predictor: &Predictor, size: Size) -> Part {
        Part::whole(size, predictor.graph().output_size(size).unwrap())
    }

    /// What a pass over a whole image in memory gives.
    fn whole_maps(predictor: &Predictor, image: &RgbImage, channels: ChannelChoice) -> ImageMaps {
        let size = Size::new(image.width(), image.height());
        class_maps(predictor, &mut WholeImage::new(size, image.as_raw()), channels, &NothingKept).unwrap()
    }

    fn written(folder: &tempfile::TempDir) -> (RgbImage, ImageSource) {
        let image = RgbImage::from_fn(401, 349, |x, y| {
            image::Rgb([(x * 7 + y * 3) as u8, (x * y / 5) as u8, (x ^ y) as u8])
        });
        let path = folder.path().join("image.png");
        image.save(&path).unwrap();
        (image, ImageSource::open(&path).unwrap())
    }

    #[test]
    fn a_file_read_by_rows_has_the_maps_of_the_whole_image_scaled() {
        let folder = tempfile::tempdir().unwrap();
        let (image, source) = written(&folder);
        let predictor = predictor(ArchName::Resnet18);
        for size in [Size::new(401, 349), Size::new(301, 262), Size::new(480, 230)] {
            let choice = ChannelChoice::Strongest(3);
            let progress = Progress::default();
            let (image_progress, kept) = (progress.begin(1_000_000), RowFile::default());
            let input = Input { source: &source, size, progress: &image_progress, kept: &kept };
            let part = whole_part(&predictor, size);
            let (found, missing) = interleaved_maps(&predictor, input, &part, 1, choice).unwrap();
            assert!(progress.searched() > 999_000, "{}", progress.searched());
            let scaled = locam_data::resize(&image, size).unwrap();
            assert_eq!(found, whole_maps(&predictor, &scaled, choice), "{size}");
            assert_eq!(missing, []);
        }
    }

    #[test]
    fn finer_maps_hold_the_networks_own_cells_and_the_shifted_ones_between_them() {
        let folder = tempfile::tempdir().unwrap();
        let (image, source) = written(&folder);
        let size = Size::new(301, 262);
        let scaled = locam_data::resize(&image, size).unwrap();
        for arch in [ArchName::Resnet18, ArchName::Squeezenet1_1] {
            let predictor = predictor(arch);
            let progress = Progress::default();
            let maps = |steps| {
                let (progress, kept) = (progress.begin(1), RowFile::default());
                let input = Input { source: &source, size, progress: &progress, kept: &kept };
                let part = whole_part(&predictor, size);
                interleaved_maps(&predictor, input, &part, steps, ChannelChoice::None).unwrap().0
            };
            let own = whole_maps(&predictor, &scaled, ChannelChoice::None);
            for steps in [2, 4] {
                let fine = maps(steps);
                let step = predictor.graph().map_transform().stride.x as u32 / steps;
                let pass = |column: u32, row: u32| {
                    let (left, top) = (column * step, row * step);
                    let part = imageops::crop_imm(&scaled, left, top, 301 - left, 262 - top).to_image();
                    whole_maps(&predictor, &part, ChannelChoice::None)
                };
                for (first_column, first_row) in [(0, 0), (1, 0), (0, 1), (steps - 1, steps - 1)] {
                    let pass = pass(first_column, first_row);
                    for (map, fine) in pass.maps.iter().zip(&fine.maps) {
                        for row in 0..map.size().height {
                            for column in 0..map.size().width {
                                let place = (column * steps + first_column, row * steps + first_row);
                                let found = fine.at(place.0, place.1).to_bits();
                                assert_eq!(
                                    found,
                                    map.at(column, row).to_bits(),
                                    "{arch} at {place:?} of {steps}"
                                );
                            }
                        }
                    }
                }
                assert_eq!((fine.mean, fine.channels), (own.mean.clone(), own.channels.clone()));
            }
        }
    }

    #[test]
    fn parts_have_the_cells_of_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.png");
        let size = Size::new(1031, 903);
        let noise = |x: u32, y: u32| (x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77)) >> 13;
        let pixel = |x, y| image::Rgb([noise(x, y) as u8, noise(y, x + 7) as u8, (x * y / 5) as u8]);
        RgbImage::from_fn(size.width, size.height, pixel).save(&path).unwrap();
        let source = ImageSource::open(&path).unwrap();
        let progress = Progress::default();
        for (arch, steps) in [
            (ArchName::Resnet18, 2),
            (ArchName::Resnet18, 1),
            (ArchName::Vgg16, 1),
            (ArchName::Squeezenet1_1, 2),
            (ArchName::MobilenetV2, 1),
        ] {
            let predictor = predictor(arch);
            let graph = predictor.graph();
            let map = graph.output_size(size).unwrap();
            let near = |center: Point| {
                center.distance(Point::new(40.0, 60.0)) < 50.0
                    || center.distance(Point::new(970.0, 870.0)) < 60.0
            };
            let parts = crate::parts::parts(graph, size, map, 240, near);
            assert_eq!(parts.len(), 2, "{arch}: {parts:?}");
            let of = |parts: &[Part]| {
                let (progress, kept) = (progress.begin(1), RowFile::default());
                let input = Input { source: &source, size, progress: &progress, kept: &kept };
                maps_of_parts(&predictor, input, parts, steps, ChannelChoice::None).unwrap().0
            };
            let (whole, found) = (of(&[Part::whole(size, map)]), of(&parts));
            let pairs = whole.maps.iter().zip(&found.maps).chain([(&whole.mean, &found.mean)]);
            for (whole, found) in pairs {
                assert_eq!((found.size(), found.transform()), (whole.size(), whole.transform()));
                let largest = whole.values().iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
                let (mut kept, mut off) = (0, 0.0_f32);
                for (&whole, &found) in whole.values().iter().zip(found.values()) {
                    if !found.is_nan() {
                        kept += 1;
                        off = off.max((whole - found).abs() / largest);
                    }
                }
                assert!(off < 1e-5, "{arch}, {steps}: {off}");
                assert!((4..whole.values().len() / 4).contains(&kept), "{arch}, {steps}: {kept} cells");
            }
        }
    }

    #[test]
    fn a_search_that_was_stopped_gives_the_same_maps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.png");
        let size = Size::new(700, 1900);
        let pixel = |x: u32, y: u32| image::Rgb([(x * 7 + y * 3) as u8, (x * y / 5) as u8, (x ^ y) as u8]);
        RgbImage::from_fn(size.width, size.height, pixel).save(&path).unwrap();
        let source = ImageSource::open(&path).unwrap();
        let predictor = predictor(ArchName::Squeezenet1_1);
        let map = predictor.graph().output_size(size).unwrap();
        let wanted = |center: Point| center.distance(Point::new(40.0, 60.0)) < 50.0 || center.y > 900.0;
        let parts = crate::parts::parts(predictor.graph(), size, map, 240, wanted);
        assert_eq!(parts.len(), 2, "{parts:?}");
        let progress = Progress::default();
        let rows = folder.path().join("image.rows");
        let search = |parts: &[Part]| {
            let (progress, kept) = (progress.begin(1), RowFile::open(&rows, "image"));
            let input = Input { source: &source, size, progress: &progress, kept: &kept };
            maps_of_parts(&predictor, input, parts, 2, ChannelChoice::Strongest(2)).unwrap()
        };
        let bits = |(found, missing): (ImageMaps, Vec<Rect>)| {
            let maps =
                found.maps.into_iter().chain([found.mean]).chain(found.channels.into_iter().map(|c| c.1));
            let bits = |map: ScoreMap| map.values().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            (maps.map(bits).collect::<Vec<_>>(), missing)
        };
        for parts in [&parts[..], &[Part::whole(size, map)]] {
            let unbroken = bits(search(parts));
            let all = std::fs::read(&rows).unwrap();
            for part in 0..=7 {
                std::fs::write(&rows, &all[..all.len() * part / 7]).unwrap();
                assert!(bits(search(parts)) == unbroken, "{part} of 7 were kept of {} parts", parts.len());
            }
            std::fs::remove_file(&rows).unwrap();
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
