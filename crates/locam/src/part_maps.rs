//! The maps of an image, put together from those of its parts.

use crate::Error;
use crate::input_rows::{Input, InputRows};
use crate::mirrored::mirrored_size;
use crate::parts::Part;
use locam_core::{Rect, ScoreMap};
use locam_net::{ChannelChoice, ImageMaps, NetError, Predictor, class_maps};

/// The maps of an image, put together from those of its parts, and what of the image is damaged. Cells outside the parts are not
/// numbers. Single channels are only kept where one part is the whole.
pub(crate) fn maps_of_parts(
    predictor: &Predictor,
    input: Input<'_>,
    parts: &[Part],
    channels: ChannelChoice,
) -> Result<(ImageMaps, Vec<Rect>), Error> {
    if let [part] = parts
        && part.size == mirrored_size(input.scaled)
    {
        return maps_of_part(predictor, input, part, channels);
    }
    let (graph, transform) = (predictor.graph(), predictor.graph().map_transform());
    let stride = transform.stride.x as u32;
    let map = graph.output_size(mirrored_size(input.scaled)).map_err(NetError::from)?;
    let unsearched = ScoreMap::unsearched(map, transform);
    let (maps, mean) = (vec![unsearched.clone(); predictor.classes()], unsearched);
    let mut whole = ImageMaps { maps, mean, channels: Vec::new() };
    let mut missing = Vec::new();
    for part in parts {
        let (found, damaged) = maps_of_part(predictor, input, part, ChannelChoice::None)?;
        let first = (part.columns.start - part.left / stride, part.rows.start - part.top / stride);
        let layers = whole.maps.iter_mut().chain([&mut whole.mean]);
        for (whole, found) in layers.zip(found.maps.iter().chain([&found.mean])) {
            whole.copy_from(found, first, part.columns.clone(), part.rows.clone());
        }
        missing.extend(damaged);
    }
    Ok((whole, missing))
}

/// The maps of a part by itself, and what of the image is damaged there, in its pixels.
fn maps_of_part(
    predictor: &Predictor,
    input: Input<'_>,
    part: &Part,
    channels: ChannelChoice,
) -> Result<(ImageMaps, Vec<Rect>), Error> {
    let mut rows = InputRows::new(input, part);
    let found = class_maps(predictor, &mut rows, channels, input.kept)?;
    Ok((found, rows.into_missing()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Progress;
    use crate::mirrored::MIRRORED;
    use crate::row_file::RowFile;
    use image::RgbImage;
    use locam_arch::ArchName;
    use locam_core::{Point, Size};
    use locam_data::ImageSource;
    use locam_net::{Compute, NothingKept, Precision, WholeImage};
    use std::io::Cursor;
    use std::path::Path;
    use tiff::decoder::Decoder;
    use tiff::encoder::colortype::RGB8;
    use tiff::encoder::{Compression, DeflateLevel, TiffEncoder};
    use tiff::tags::Tag;

    fn predictor(arch: ArchName, steps: usize) -> Predictor {
        Predictor::finer(&crate::testing::model(arch), &Compute::Cpu, Precision::F32, steps).unwrap()
    }

    fn whole_part(predictor: &Predictor, input: Input<'_>) -> Part {
        let size = mirrored_size(input.scaled);
        Part::whole(size, predictor.graph().output_size(size).unwrap())
    }

    fn mirrored(image: &RgbImage) -> RgbImage {
        let (width, height) = image.dimensions();
        let pixel = |place: u32, length: u32| match place.checked_sub(MIRRORED) {
            None => MIRRORED - 1 - place,
            Some(pixel) => pixel.min(2 * length - 1 - pixel),
        };
        RgbImage::from_fn(width + 2 * MIRRORED, height + 2 * MIRRORED, |x, y| {
            *image.get_pixel(pixel(x, width), pixel(y, height))
        })
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
    fn a_file_read_by_rows_has_the_maps_of_the_whole_image_scaled_and_mirrored() {
        let folder = tempfile::tempdir().unwrap();
        let (image, source) = written(&folder);
        let predictor = predictor(ArchName::Resnet18, 1);
        for size in [Size::new(401, 349), Size::new(301, 262), Size::new(480, 230)] {
            let choice = ChannelChoice::Strongest(3);
            let progress = Progress::default();
            let (image_progress, kept) = (progress.begin(1_000_000), RowFile::default());
            let input =
                Input { source: &source, scaled: size, stain: None, progress: &image_progress, kept: &kept };
            let part = whole_part(&predictor, input);
            let (found, missing) = maps_of_part(&predictor, input, &part, choice).unwrap();
            assert!(progress.searched() > 999_000, "{}", progress.searched());
            let scaled = locam_data::resize(&image, size).unwrap();
            assert_eq!(found, whole_maps(&predictor, &mirrored(&scaled), choice), "{size}");
            assert_eq!(missing, []);
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
            let predictor = predictor(arch, steps);
            let graph = predictor.graph();
            let whole = mirrored_size(size);
            let map = graph.output_size(whole).unwrap();
            let near = |center: Point| {
                center.distance(Point::new(40.0, 60.0)) < 50.0
                    || center.distance(Point::new(970.0, 870.0)) < 60.0
            };
            let parts = crate::parts::parts(graph, whole, map, 240, near);
            assert_eq!(parts.len(), 2, "{arch}: {parts:?}");
            let of = |parts: &[Part]| {
                let (progress, kept) = (progress.begin(1), RowFile::default());
                let input =
                    Input { source: &source, scaled: size, stain: None, progress: &progress, kept: &kept };
                maps_of_parts(&predictor, input, parts, ChannelChoice::None).unwrap().0
            };
            let (whole, found) = (of(&[Part::whole(whole, map)]), of(&parts));
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
        let predictor = predictor(ArchName::Squeezenet1_1, 2);
        let whole = mirrored_size(size);
        let map = predictor.graph().output_size(whole).unwrap();
        let wanted = |center: Point| center.distance(Point::new(40.0, 60.0)) < 50.0 || center.y > 900.0;
        let parts = crate::parts::parts(predictor.graph(), whole, map, 240, wanted);
        assert_eq!(parts.len(), 2, "{parts:?}");
        let progress = Progress::default();
        let rows = folder.path().join("image.rows");
        let search = |parts: &[Part]| {
            let (progress, kept) = (progress.begin(1), RowFile::open(&rows, "image"));
            let input =
                Input { source: &source, scaled: size, stain: None, progress: &progress, kept: &kept };
            maps_of_parts(&predictor, input, parts, ChannelChoice::Strongest(2)).unwrap()
        };
        let bits = |(found, missing): (ImageMaps, Vec<Rect>)| {
            let maps =
                found.maps.into_iter().chain([found.mean]).chain(found.channels.into_iter().map(|c| c.1));
            let bits = |map: ScoreMap| map.values().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            (maps.map(bits).collect::<Vec<_>>(), missing)
        };
        for parts in [&parts[..], &[Part::whole(whole, map)]] {
            let unbroken = bits(search(parts));
            let all = std::fs::read(&rows).unwrap();
            for part in 0..=7 {
                std::fs::write(&rows, &all[..all.len() * part / 7]).unwrap();
                assert!(bits(search(parts)) == unbroken, "{part} of 7 were kept of {} parts", parts.len());
            }
            std::fs::remove_file(&rows).unwrap();
        }
    }

    /// A TIFF of random pixels in strips of 40 rows, of which the sixth is damaged.
    fn damaged(path: &Path, size: Size) -> ImageSource {
        let mut bytes = Cursor::new(Vec::new());
        let deflate = Compression::Deflate(DeflateLevel::Fast);
        let mut encoder = TiffEncoder::new(&mut bytes).unwrap().with_compression(deflate);
        let mut writer = encoder.new_image::<RGB8>(size.width, size.height).unwrap();
        writer.rows_per_strip(40).unwrap();
        let pixels: Vec<u8> =
            (0..3 * size.area() as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        writer.write_data(&pixels).unwrap();
        bytes.set_position(0);
        let offsets = Decoder::new(&mut bytes).unwrap().get_tag_u64_vec(Tag::StripOffsets).unwrap();
        let mut bytes = bytes.into_inner();
        bytes[offsets[5] as usize..][..40].fill(0xFF);
        std::fs::write(path, bytes).unwrap();
        ImageSource::open(path).unwrap()
    }

    #[test]
    fn a_damaged_image_keeps_no_rows() {
        let folder = tempfile::tempdir().unwrap();
        let size = Size::new(240, 700);
        let source = damaged(&folder.path().join("image.tif"), size);
        let predictor = predictor(ArchName::Squeezenet1_1, 1);
        let rows = folder.path().join("image.rows");
        let search = || {
            let progress = Progress::default();
            let (progress, kept) = (progress.begin(1), RowFile::open(&rows, "image"));
            assert!(rows.exists());
            let input =
                Input { source: &source, scaled: size, stain: None, progress: &progress, kept: &kept };
            let part = whole_part(&predictor, input);
            maps_of_parts(&predictor, input, &[part], ChannelChoice::None).unwrap()
        };
        let (first, missing) = search();
        assert_eq!(missing, [Rect { left: 0.0, top: 200.0, right: 240.0, bottom: 240.0 }]);
        // Rows above the damage would let a second search pass it over.
        assert!(!rows.exists());
        assert_eq!(search(), (first, missing));
    }
}
