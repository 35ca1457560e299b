//! Images read by rows against the same images read whole.

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use locam_core::Size;
use locam_data::{ImageSource, ScaledRows, read_rgb, resize};
use proptest::prelude::*;
use std::io::Cursor;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tiff::encoder::{Compression, DeflateLevel, Predictor, TiffEncoder, colortype};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// Structure at every scale, so that no row or column can be mistaken for another.
fn sample(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let mixed = x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(2_246_822_519);
        Rgb([(mixed >> 13) as u8, (x * 3 + y) as u8, (x + y * 7) as u8])
    })
}

fn striped_tiff(image: &RgbImage, compression: Compression, predictor: Predictor, rows: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder =
        TiffEncoder::new(&mut bytes).unwrap().with_compression(compression).with_predictor(predictor);
    let mut writer = encoder.new_image::<colortype::RGB8>(image.width(), image.height()).unwrap();
    writer.rows_per_strip(rows).unwrap();
    writer.write_data(image.as_raw()).unwrap();
    bytes.into_inner()
}

/// All rows, asked for in pieces that overlap as a network's windows do.
fn scaled(path: &Path, size: Size, columns: Range<u32>, piece: usize) -> RgbImage {
    let source = ImageSource::open(path).unwrap();
    let mut rows = ScaledRows::new(&source, size, columns).unwrap();
    let (width, height) = (rows.size().width, rows.size().height);
    let pitch = 3 * width as usize;
    let mut all = Vec::new();
    for from in (0..height as usize).step_by(piece) {
        let asked = from.saturating_sub(2)..(from + piece).min(height as usize);
        let (pixels, first) = rows.rows(asked.clone()).unwrap();
        assert!(first <= asked.start);
        let from = (from - first) * pitch;
        all.extend_from_slice(&pixels[from..(asked.end - first) * pitch]);
    }
    RgbImage::from_raw(width, height, all).unwrap()
}

#[track_caller]
fn assert_scaled_as_whole(path: &Path, size: Size, columns: Range<u32>, piece: usize) {
    let whole = resize(&read_rgb(path).unwrap(), size).unwrap();
    let strip = image::imageops::crop_imm(&whole, columns.start, 0, columns.len() as u32, size.height);
    let found = scaled(path, size, columns, piece);
    assert!(found == strip.to_image(), "{} scaled to {size}", path.display());
}

fn deflate() -> Compression {
    Compression::Deflate(DeflateLevel::Balanced)
}

#[test]
fn strips_of_every_compression_are_read_exactly() {
    let image = sample(61, 47);
    let folder = Folder::new();
    for (name, compression) in [
        ("none", Compression::Uncompressed),
        ("lzw", Compression::Lzw),
        ("deflate", deflate()),
        ("packbits", Compression::Packbits),
    ] {
        for predictor in [Predictor::None, Predictor::Horizontal] {
            for rows in [1, 10, 47] {
                let bytes = striped_tiff(&image, compression, predictor, rows);
                let path = folder.file(&format!("{name}_{rows}.tif"), &bytes);
                assert!(read_rgb(&path).unwrap() == image, "{name} in strips of {rows}");
                assert!(scaled(&path, Size::new(61, 47), 0..61, 7) == image, "{name} by rows of {rows}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    // Every byte: the same filter in the same fixed point, whatever is held at a time.
    #[test]
    fn rows_have_the_bytes_of_the_whole_image_scaled(
        (width, height) in (1_u32..80, 1_u32..80),
        (to_width, to_height) in (1_u32..100, 1_u32..100),
        (left, right) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        piece in 1_usize..40,
        strip in 1_u32..30,
        whole in any::<bool>(),
    ) {
        let image = sample(width, height);
        let bytes = if whole {
            let mut bytes = Cursor::new(Vec::new());
            DynamicImage::from(image).write_to(&mut bytes, ImageFormat::Bmp).unwrap();
            bytes.into_inner()
        } else {
            striped_tiff(&image, deflate(), Predictor::Horizontal, strip)
        };
        let path = Folder::new().0.keep().join("image");
        std::fs::write(&path, bytes).unwrap();
        let left = left.index(to_width as usize) as u32;
        let right = left + 1 + right.index((to_width - left) as usize) as u32;
        assert_scaled_as_whole(&path, Size::new(to_width, to_height), left..right, piece);
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}

#[test]
fn large_factors_have_the_bytes_of_the_whole_image_scaled() {
    let folder = Folder::new();
    let image = sample(1500, 1100);
    let path = folder.file("large.tif", &striped_tiff(&image, Compression::Lzw, Predictor::None, 64));
    for size in [(7, 5), (750, 550), (1499, 1101), (1500, 300), (300, 1100), (3001, 2)] {
        let size = Size::new(size.0, size.1);
        assert_scaled_as_whole(&path, size, 0..size.width, 64);
    }
}

#[test]
fn reduced_copies_are_the_whole_image_scaled_and_small_images_themselves() {
    let folder = Folder::new();
    let image = sample(700, 320);
    let path = folder.file("image.tif", &striped_tiff(&image, deflate(), Predictor::None, 50));
    let source = ImageSource::open(&path).unwrap();
    assert!(source.reduced(700).unwrap() == image);
    assert!(source.reduced(175).unwrap() == resize(&image, Size::new(175, 80)).unwrap());
    let narrow = folder.file("narrow.tif", &striped_tiff(&sample(900, 1), deflate(), Predictor::None, 1));
    assert_eq!(ImageSource::open(&narrow).unwrap().reduced(9).unwrap().dimensions(), (9, 1));
}
