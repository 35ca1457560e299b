//! TIFF files as other programs write them: layouts, pyramids, resolutions, damage.
//!
//! `fixtures/make_tiffs.py` wrote the files and says what tifffile reads from them.

use image::{Rgb, RgbImage, imageops};
use locam_core::{Rect, Size};
use locam_data::{
    DataError, ImageSource, ScaledRows, is_image_path, read_rgb, read_size, resize, sniffed_mismatch,
};
use proptest::prelude::*;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use tiff::decoder::Decoder;
use tiff::tags::Tag;

const SIZE: Size = Size::new(100, 70);

/// Every fixture that is an image of [`SIZE`].
const READABLE: [&str; 16] = [
    "tiled_jpeg_rgb.tif",
    "tiled_jpeg_ycbcr_444.tif",
    "tiled_jpeg_ycbcr_422.tif",
    "tiled_jpeg_ycbcr_420.tif",
    "tiled_jpeg_grey.tif",
    "tiled_planar_lzw.tif",
    "tiled_deflate_big_endian.tif",
    "tiled_lzw_deep.tif",
    "tiled_white_is_zero.tif",
    "strips_float_grey.tif",
    "tiled_alpha.tif",
    "tiled_cmyk.tif",
    "sparse.tif",
    "pyramid_pages.tif",
    "pyramid_subifds.tif",
    "pages_of_other_shapes.tif",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// As `pixels` in `make_tiffs.py`.
fn pixel(x: u32, y: u32) -> [u8; 3] {
    let (x, y) = (x as i32, y as i32);
    [x * 2 + y, 255 - x - y, 128 + (x - y).div_euclid(2)].map(|value| value.clamp(0, 255) as u8)
}

fn picture(color: impl Fn([u8; 3]) -> [u8; 3]) -> RgbImage {
    RgbImage::from_fn(SIZE.width, SIZE.height, |x, y| Rgb(color(pixel(x, y))))
}

fn over_white([r, g, b]: [u8; 3]) -> [u8; 3] {
    let alpha = u32::from(r);
    [r, g, b].map(|value| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

/// All columns of all rows, and the regions that are missing.
fn scaled(path: &Path, size: Size) -> Result<(RgbImage, Vec<Rect>), DataError> {
    let source = ImageSource::open(path)?;
    let mut rows = ScaledRows::new(&source, size, 0..size.width)?;
    let mut all = Vec::new();
    for row in 0..size.height as usize {
        let (pixels, first) = rows.rows(row..row + 1)?;
        let pitch = 3 * size.width as usize;
        all.extend_from_slice(&pixels[(row - first) * pitch..][..pitch]);
    }
    let missing = rows.missing().to_vec();
    Ok((RgbImage::from_raw(size.width, size.height, all).unwrap(), missing))
}

#[track_caller]
fn assert_close(found: &RgbImage, expected: &RgbImage, tolerance: u8, what: &str) {
    assert_eq!(found.dimensions(), expected.dimensions(), "{what}");
    let worst = found.as_raw().iter().zip(expected.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst <= Some(tolerance), "{what}: off by {worst:?}");
}

#[test]
fn every_layout_is_read_as_it_was_written() {
    // The Adobe way from four inks, as `image` has it; the script writes a black of a fifth.
    let cmyk = |ink: u8| ((255.0 - f32::from(ink)) * (1.0 - 51.0 / 255.0)) as u8;
    let cases = [
        ("tiled_planar_lzw.tif", picture(|rgb| rgb)),
        ("tiled_deflate_big_endian.tif", picture(|rgb| rgb)),
        ("tiled_lzw_deep.tif", picture(|rgb| rgb)),
        ("tiled_white_is_zero.tif", picture(|[r, ..]| [255 - r; 3])),
        ("strips_float_grey.tif", picture(|[r, ..]| [r; 3])),
        ("tiled_alpha.tif", picture(over_white)),
        ("tiled_cmyk.tif", picture(|rgb| rgb.map(cmyk))),
        ("pyramid_pages.tif", picture(|rgb| rgb)),
        ("pyramid_subifds.tif", picture(|rgb| rgb)),
    ];
    for (name, expected) in cases {
        let path = fixture(name);
        assert_eq!(read_size(&path).unwrap(), SIZE, "{name}");
        assert_close(&read_rgb(&path).unwrap(), &expected, 0, name);
    }
}

/// ITU-R BT.601 at full range.
fn of_luma_and_chroma([luma, blue, red]: [u8; 3]) -> [u8; 3] {
    let [luma, blue, red] = [f64::from(luma), f64::from(blue) - 128.0, f64::from(red) - 128.0];
    [luma + 1.402 * red, luma - 0.344_136 * blue - 0.714_136 * red, luma + 1.772 * blue]
        .map(|value| value.round().clamp(0.0, 255.0) as u8)
}

#[test]
fn jpeg_tiles_of_every_sampling_are_read_as_they_were_written() {
    for (name, expected) in [
        ("tiled_jpeg_rgb.tif", picture(|rgb| rgb)),
        ("tiled_jpeg_ycbcr_444.tif", picture(of_luma_and_chroma)),
        ("tiled_jpeg_ycbcr_422.tif", picture(of_luma_and_chroma)),
        ("tiled_jpeg_ycbcr_420.tif", picture(of_luma_and_chroma)),
        ("tiled_jpeg_grey.tif", picture(|[r, ..]| [r; 3])),
    ] {
        let image = read_rgb(&fixture(name)).unwrap();
        assert_eq!(image.dimensions(), (SIZE.width, SIZE.height), "{name}");
        // What lies in the tiles beyond the image reaches back over the last pixels; tifffile is off by 3 before them.
        let whole_tiles = |image: &RgbImage| imageops::crop_imm(image, 0, 0, 96, 64).to_image();
        assert_close(&whole_tiles(&image), &whole_tiles(&expected), 4, name);
    }
}

#[test]
fn rows_are_those_of_the_whole_image() {
    for name in READABLE {
        let path = fixture(name);
        let whole = read_rgb(&path).unwrap();
        // Larger than any smaller level, so that the image itself is read.
        for size in [SIZE, Size::new(61, 43), Size::new(131, 70), Size::new(100, 39)] {
            let (found, missing) = scaled(&path, size).unwrap();
            assert!(missing.is_empty(), "{name}: {missing:?}");
            assert!(found == resize(&whole, size).unwrap(), "{name} at {size}");
        }
    }
}

#[test]
fn tiles_that_were_left_out_are_white() {
    let image = read_rgb(&fixture("sparse.tif")).unwrap();
    for (x, y, pixel_found) in image.enumerate_pixels() {
        let expected = if x < 48 && y < 32 { pixel(x, y) } else { [255; 3] };
        assert_eq!(pixel_found.0, expected, "column {x}, row {y}");
    }
}

#[test]
fn pyramids_have_levels_and_the_smallest_that_suffices_is_scaled() {
    for (name, microns) in [("pyramid_pages.tif", 0.25), ("pyramid_subifds.tif", 0.5)] {
        let path = fixture(name);
        let source = ImageSource::open(&path).unwrap();
        assert!(source.is_streamed());
        assert_eq!(source.microns_per_pixel(), Some(microns), "{name}");
        let levels = source.levels();
        assert_eq!(
            levels.iter().map(|level| level.size).collect::<Vec<_>>(),
            [SIZE, Size::new(50, 35), Size::new(25, 18)]
        );
        let per_pixel: Vec<_> =
            levels.iter().map(|level| level.microns_per_pixel.unwrap() / microns).collect();
        assert_eq!(per_pixel, [1.0, 2.0, 4.0], "{name}");
        assert_eq!(levels.iter().map(|level| level.downsample).collect::<Vec<_>>(), [1.0, 2.0, 4.0]);
        for (size, step) in [((51, 36), 1), ((50, 35), 2), ((26, 18), 2), ((25, 18), 4), ((9, 5), 4)] {
            let size = Size::new(size.0, size.1);
            let level = RgbImage::from_fn(SIZE.width.div_ceil(step), SIZE.height.div_ceil(step), |x, y| {
                Rgb(pixel(x * step, y * step))
            });
            let (found, _) = scaled(&path, size).unwrap();
            assert!(found == resize(&level, size).unwrap(), "{name} at {size}");
        }
    }
}

#[test]
fn pages_that_claim_nothing_are_no_levels() {
    let source = ImageSource::open(&fixture("pages_of_other_shapes.tif")).unwrap();
    assert_eq!(source.levels().len(), 1);
}

#[test]
fn levels_that_disagree_are_an_error_that_names_them() {
    let path = fixture("pyramid_disagrees.tif");
    let error = ImageSource::open(&path).err().expect("its second level is squeezed");
    assert!(matches!(error, DataError::LevelsDisagree { .. }), "{error:?}");
    let message = error.to_string();
    for words in ["pyramid_disagrees.tif", "34x35", "100x70"] {
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn what_is_not_read_is_named() {
    for (name, words) in [
        ("palette.tif", "palette"),
        ("old_jpeg.tif", "old-style JPEG"),
        ("lab.tif", "Lab"),
        ("signed.tif", "format 2"),
    ] {
        let error = ImageSource::open(&fixture(name)).err().unwrap_or_else(|| panic!("{name} was opened"));
        assert!(matches!(error, DataError::Decode { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(words) && message.contains(name), "{message}");
        assert_eq!(read_rgb(&fixture(name)).unwrap_err().to_string(), message);
    }
}

#[cfg(not(feature = "slides"))]
#[test]
fn slides_of_other_formats_are_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for extension in ["ndpi", "mrxs", "SCN", "dcm"] {
        let path = folder.path().join(format!("slide.{extension}"));
        fs::copy(fixture("pyramid_pages.tif"), &path).unwrap();
        let error = ImageSource::open(&path).err().expect(extension);
        assert!(matches!(error, DataError::SlideFormat { .. }), "{error:?}");
        for words in ["--features slides", "vips tiffsave"] {
            assert!(error.to_string().contains(words), "{error}");
        }
        assert_eq!(read_rgb(&path).unwrap_err().to_string(), error.to_string());
        assert_eq!(read_size(&path).unwrap_err().to_string(), error.to_string());
        assert!(!is_image_path(&path));
    }
}

#[test]
fn slides_of_aperio_are_images_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let slide = folder.path().join("slide.SVS");
    fs::copy(fixture("pyramid_pages.tif"), &slide).unwrap();
    assert!(is_image_path(&slide));
    assert_eq!(sniffed_mismatch(&slide).unwrap(), None);
}

/// Where the tiles of a file lie, and how long they are.
fn tiles(path: &Path) -> Vec<(usize, usize)> {
    let mut decoder = Decoder::new(File::open(path).unwrap()).unwrap();
    let offsets = decoder.get_tag_u64_vec(Tag::TileOffsets).unwrap();
    let lengths = decoder.get_tag_u64_vec(Tag::TileByteCounts).unwrap();
    offsets.into_iter().zip(lengths).map(|(at, length)| (at as usize, length as usize)).collect()
}

/// `image` with the inside of `region` white.
fn without(image: &RgbImage, region: Rect) -> RgbImage {
    let mut image = image.clone();
    let white = RgbImage::from_pixel(region.width() as u32, region.height() as u32, Rgb([255; 3]));
    imageops::replace(&mut image, &white, region.left as i64, region.top as i64);
    image
}

#[test]
fn a_damaged_tile_is_missing_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    // Tiles of 48 by 32: the fifth is the second of the second row.
    let region = Rect::new(48.0, 32.0, 96.0, 64.0);
    for name in ["tiled_jpeg_ycbcr_444.tif", "tiled_deflate_big_endian.tif", "tiled_planar_lzw.tif"] {
        let original = fixture(name);
        let mut bytes = fs::read(&original).unwrap();
        let (at, length) = tiles(&original)[4];
        bytes[at..at + length].fill(0xAA);
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let (found, missing) = scaled(&path, SIZE).unwrap();
        assert_eq!(missing, [region], "{name}");
        assert!(found == without(&read_rgb(&original).unwrap(), region), "{name}");
        let message = read_rgb(&path).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn a_file_cut_short_lacks_its_last_tiles_only() {
    let folder = tempfile::tempdir().unwrap();
    let original = fixture("tiled_jpeg_ycbcr_420.tif");
    let bytes = fs::read(&original).unwrap();
    let tiles = tiles(&original);
    let path = folder.path().join("cut.tif");
    // The last row of tiles is gone: its three regions are one.
    fs::write(&path, &bytes[..tiles[6].0 + 10]).unwrap();
    let (found, missing) = scaled(&path, SIZE).unwrap();
    let region = Rect::new(0.0, 64.0, 100.0, 70.0);
    assert_eq!(missing, [region]);
    assert!(found == without(&read_rgb(&original).unwrap(), region));
    assert!(matches!(read_rgb(&path), Err(DataError::Truncated { .. })));
}

/// A slide that an Aperio scanner wrote, with what tifffile (libjpeg) reads from it: means over 16 by 16 pixels.
#[test]
fn a_scanned_slide_is_read_as_tifffile_reads_it() {
    let shared = std::env::var_os("LOCAM_SHARED").unwrap_or_else(|| "../../../shared".into());
    let path = Path::new(&shared).join("data/wsi/CMU-1-Small-Region.svs");
    if !path.exists() {
        eprintln!("skipped: {} is not there; set LOCAM_SHARED", path.display());
        return;
    }
    let source = ImageSource::open(&path).unwrap();
    let size = Size::new(2220, 2967);
    assert_eq!(source.size(), size);
    assert!(source.is_streamed());
    assert_eq!(source.microns_per_pixel(), Some(0.499));
    // Thumbnail, label and overview are no levels.
    assert_eq!(source.levels().len(), 1);
    let (image, missing) = scaled(&path, size).unwrap();
    assert!(missing.is_empty());
    for (x, y, expected) in [
        (0, 0, [234.63, 227.42, 232.63]),
        (992, 992, [148.20, 96.84, 136.43]),
        (688, 1488, [244.5, 243.0, 243.0]),
        (1792, 2288, [189.31, 156.41, 184.23]),
        (2000, 496, [246.0, 246.0, 245.25]),
    ] {
        let block = imageops::crop_imm(&image, x, y, 16, 16);
        for (channel, expected) in expected.into_iter().enumerate() {
            let total: f64 = block.to_image().pixels().map(|pixel| f64::from(pixel.0[channel])).sum();
            let mean = total / 256.0;
            assert!((mean - expected).abs() < 1.5, "({x}, {y}), channel {channel}: {mean}, not {expected}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn damage_anywhere_gives_rows_or_an_error_and_never_a_panic(
        name in prop::sample::select(&READABLE[..]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        keep in prop::option::of(any::<prop::sample::Index>()),
        width in 1_u32..120,
    ) {
        let mut bytes = fs::read(fixture(name)).unwrap();
        // Directories lie at the beginning and pixels after them: half of the damage goes to each.
        let near = bytes.len().min(600);
        for (index, (place, value)) in damage.into_iter().enumerate() {
            let place = place.index(if index % 2 == 0 { near } else { bytes.len() });
            bytes[place] = value;
        }
        if let Some(keep) = keep {
            bytes.truncate(keep.index(bytes.len()));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let _ = read_rgb(&path);
        let Ok(source) = ImageSource::open(&path) else { return Ok(()) };
        let height = source.size().height.min(200);
        let Ok(mut rows) = ScaledRows::new(&source, Size::new(width, height), 0..width) else { return Ok(()) };
        for row in 0..height as usize {
            if rows.rows(row..row + 1).is_err() {
                break;
            }
        }
    }
}
