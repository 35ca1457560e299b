//! Slides read through `OpenSlide`, beside our own reader of TIFF files on the same bytes.
//!
//! `OpenSlide` looks at what a file holds, we at its name: a TIFF file that is called like a slide of another kind goes
//! through `OpenSlide`, as a generic pyramid or as Aperio's.

#![cfg(feature = "slides")]

mod common;

use common::shared;
use image::RgbImage;
use locam_core::{Rect, Size};
use locam_data::{DataError, ImageSource, ScaledRows, is_image_path, read_rgb, read_size, sniffed_mismatch};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A copy of a file that goes through `OpenSlide`.
fn as_slide(original: &Path, folder: &TempDir) -> PathBuf {
    let path = folder.path().join("slide.BIF");
    fs::write(&path, fs::read(original).unwrap()).unwrap();
    path
}

/// Some columns of all rows, and the regions that are missing.
fn scaled(source: &ImageSource, size: Size, columns: std::ops::Range<u32>) -> (RgbImage, Vec<Rect>) {
    let width = columns.len() as u32;
    let mut rows = ScaledRows::new(source, size, columns).unwrap();
    let mut all = Vec::new();
    for row in 0..size.height as usize {
        let (pixels, first) = rows.rows(row..row + 1).unwrap();
        let pitch = 3 * width as usize;
        all.extend_from_slice(&pixels[(row - first) * pitch..][..pitch]);
    }
    let missing = rows.missing().to_vec();
    (RgbImage::from_raw(width, size.height, all).unwrap(), missing)
}

/// The largest and the mean difference of two images of one size.
fn differences(found: &RgbImage, expected: &RgbImage) -> (u8, f64) {
    assert_eq!(found.dimensions(), expected.dimensions());
    let each = || found.as_raw().iter().zip(expected.as_raw()).map(|(a, b)| a.abs_diff(*b));
    let total: u64 = each().map(u64::from).sum();
    (each().max().unwrap_or(0), total as f64 / found.as_raw().len() as f64)
}

#[test]
fn a_scanned_slide_is_the_same_through_both_readers() {
    let Some(original) = shared("wsi/CMU-1-Small-Region.svs") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = as_slide(&original, &folder);
    let (found, own) = (ImageSource::open(&path).unwrap(), ImageSource::open(&original).unwrap());
    assert!(found.is_streamed() && is_image_path(&path));
    assert_eq!(found.levels(), own.levels());
    assert_eq!(found.microns_per_pixel(), Some(0.499));
    assert_eq!(read_size(&path).unwrap(), own.size());
    assert_eq!(sniffed_mismatch(&path).unwrap(), None);
    // Columns that begin and end inside of tiles, and the image scaled.
    let whole = own.size();
    for (size, columns) in [(whole, 1001..1777), (Size::new(555, 742), 0..555)] {
        let (found, missing) = scaled(&found, size, columns.clone());
        assert!(missing.is_empty());
        let (expected, _) = scaled(&own, size, columns);
        let (most, mean) = differences(&found, &expected);
        eprintln!("{size}: pixels differ by {mean:.4} on average, by {most} at most");
        assert!(most <= 2 && mean < 0.02, "{size}: off by {mean}, at most {most}");
    }
    let (most, _) = differences(&read_rgb(&path).unwrap(), &read_rgb(&original).unwrap());
    assert!(most <= 2, "off by {most}");
}

#[test]
fn levels_are_those_of_the_pyramid() {
    let folder = tempfile::tempdir().unwrap();
    let original = fixture("pyramid_pages.tif");
    let found = ImageSource::open(&as_slide(&original, &folder)).unwrap();
    let own = ImageSource::open(&original).unwrap();
    assert_eq!(
        found.levels().iter().map(|level| (level.size, level.downsample)).collect::<Vec<_>>(),
        own.levels().iter().map(|level| (level.size, level.downsample)).collect::<Vec<_>>()
    );
    for size in [(100, 70), (50, 35), (25, 18), (40, 30)] {
        let size = Size::new(size.0, size.1);
        let (found, missing) = scaled(&found, size, 0..size.width);
        assert!(missing.is_empty());
        assert!(found == scaled(&own, size, 0..size.width).0, "{size}");
    }
}

#[test]
fn what_is_transparent_shows_white() {
    let folder = tempfile::tempdir().unwrap();
    let original = fixture("tiled_alpha.tif");
    let found = read_rgb(&as_slide(&original, &folder)).unwrap();
    // Colours come multiplied by their opacity, and have been rounded by that.
    let (most, _) = differences(&found, &read_rgb(&original).unwrap());
    assert!(most <= 1, "off by {most}");
}

/// Where the tiles of a TIFF file lie, and how long they are.
fn tiles(path: &Path) -> Vec<(usize, usize)> {
    use tiff::tags::Tag;
    let mut decoder = tiff::decoder::Decoder::new(fs::File::open(path).unwrap()).unwrap();
    let offsets = decoder.get_tag_u64_vec(Tag::TileOffsets).unwrap();
    let lengths = decoder.get_tag_u64_vec(Tag::TileByteCounts).unwrap();
    offsets.into_iter().zip(lengths).map(|(at, length)| (at as usize, length as usize)).collect()
}

#[test]
fn a_damaged_tile_is_missing_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let original = fixture("pyramid_pages.tif");
    let path = as_slide(&original, &folder);
    let mut bytes = fs::read(&original).unwrap();
    // Tiles of 48 by 32: the fifth is the second of the second row, the first of the last row is alone.
    for tile in [4, 6] {
        let (at, length) = tiles(&original)[tile];
        bytes[at..at + length].fill(0xAA);
    }
    fs::write(&path, bytes).unwrap();
    let source = ImageSource::open(&path).unwrap();
    let size = source.size();
    let (found, missing) = scaled(&source, size, 0..size.width);
    let regions = [Rect::new(48.0, 32.0, 96.0, 64.0), Rect::new(0.0, 64.0, 48.0, 70.0)];
    assert_eq!(missing, regions);
    let mut expected = read_rgb(&original).unwrap();
    for region in regions {
        let (width, height) = (region.width() as u32, region.height() as u32);
        let white = RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
        image::imageops::replace(&mut expected, &white, region.left as i64, region.top as i64);
    }
    assert!(found == expected);
    let error = read_rgb(&path).unwrap_err();
    assert!(matches!(error, DataError::OpenSlide { .. }), "{error:?}");
    // A later pass over the same source begins with a handle that failed.
    assert_eq!(scaled(&source, size, 0..48).1, [regions[1]]);
}

#[test]
fn what_open_slide_does_not_know_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["notes.ndpi", "image.dcm", "slide.mrxs"] {
        let path = folder.path().join(name);
        fs::write(&path, "no slide").unwrap();
        let error = ImageSource::open(&path).err().expect(name);
        assert!(matches!(error, DataError::OpenSlide { .. }), "{error:?}");
        for words in [name, "OpenSlide", "bfconvert"] {
            assert!(error.to_string().contains(words), "{error}");
        }
        assert_eq!(read_rgb(&path).unwrap_err().to_string(), error.to_string());
    }
    assert!(!is_image_path(&folder.path().join("image.dcm")));
    assert!(is_image_path(&folder.path().join("slide.mrxs")));
}
