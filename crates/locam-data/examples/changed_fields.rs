//! BCCD's `val` fields as other microscopes, cameras and files would show them: each change in a folder of its own, `OUT/CHANGE/val`,
//! as PNG images beside YOLO's text files of their white cells.
//!
//! ```text
//! cargo run --release -p locam-data --example changed_fields -- ../shared/data/bccd/BCCD changed
//! ```

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, imageops};
use locam_core::Size;
use locam_data::{Dataset, Label, OpenOptions, Split, read_rgb, resize};
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

type Change = fn(&RgbImage) -> Result<RgbImage, Box<dyn Error>>;

/// Every change by the name of its folder.
const CHANGES: [(&str, Change); 16] = [
    ("as-they-are", |image| Ok(image.clone())),
    ("size-0.4", |image| scaled(image, 0.4)),
    ("size-0.6", |image| scaled(image, 0.6)),
    ("size-1.7", |image| scaled(image, 1.7)),
    ("size-2.5", |image| scaled(image, 2.5)),
    ("size-4", |image| scaled(image, 4.0)),
    ("half-the-light", |image| Ok(each(image, |rgb| rgb.map(|value| 0.5 * value)))),
    ("haze", |image| Ok(each(image, |rgb| rgb.map(|value| 0.35 + 0.5 * value)))),
    ("yellow-lamp", |image| Ok(each(image, |[r, g, b]| [r, 0.95 * g, 0.7 * b]))),
    ("blue-lamp", |image| Ok(each(image, |[r, g, b]| [0.8 * r, 0.9 * g, b]))),
    ("gamma-0.6", |image| Ok(each(image, |rgb| rgb.map(|value| value.powf(0.6))))),
    ("gamma-1.7", |image| Ok(each(image, |rgb| rgb.map(|value| value.powf(1.7))))),
    ("pale", |image| Ok(each(image, paled))),
    ("out-of-focus", |image| Ok(imageops::blur(image, 3.0))),
    ("noise", |image| Ok(noisy(image))),
    ("jpeg-15", |image| compressed(image)),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bccd, out] = arguments.as_slice() else {
        return Err("usage: changed_fields BCCD OUT".into());
    };
    let data = Dataset::open(Path::new(bccd), &OpenOptions::default())?;
    let white = data.class_named("WBC")?;
    for item in data.items.iter().filter(|item| item.split == Some(Split::Val)) {
        let Label::Objects(objects) = &item.label else { continue };
        let image = read_rgb(&item.path)?;
        let (width, height) = (f64::from(image.width()), f64::from(image.height()));
        let mut boxes = String::new();
        for object in objects.iter().filter(|object| object.class == white) {
            let Some(rect) = object.shape.rect() else { continue };
            let middle = object.shape.center();
            let [x, y] = [middle.x / width, middle.y / height];
            writeln!(boxes, "0 {x:.5} {y:.5} {:.5} {:.5}", rect.width() / width, rect.height() / height)?;
        }
        let name = item.path.file_stem().unwrap_or_default().to_string_lossy();
        for (folder, change) in CHANGES {
            let root = Path::new(out).join(folder);
            let folder = root.join("val");
            std::fs::create_dir_all(&folder)?;
            std::fs::write(root.join("classes.txt"), "WBC\n")?;
            change(&image)?.save(folder.join(format!("{name}.png")))?;
            std::fs::write(folder.join(format!("{name}.txt")), &boxes)?;
        }
    }
    Ok(())
}

fn scaled(image: &RgbImage, factor: f64) -> Result<RgbImage, Box<dyn Error>> {
    let side = |side: u32| (f64::from(side) * factor).round() as u32;
    Ok(resize(image, Size::new(side(image.width()), side(image.height())))?)
}

/// Each pixel changed, as parts of white.
fn each(image: &RgbImage, change: impl Fn([f32; 3]) -> [f32; 3]) -> RgbImage {
    let mut image = image.clone();
    for Rgb(pixel) in image.pixels_mut() {
        *pixel = change(pixel.map(|value| f32::from(value) / 255.0))
            .map(|value| (255.0 * value).round().clamp(0.0, 255.0) as u8);
    }
    image
}

/// With 0.4 of the colour.
fn paled(rgb: [f32; 3]) -> [f32; 3] {
    let grey = rgb.iter().sum::<f32>() / 3.0;
    rgb.map(|value| grey + 0.4 * (value - grey))
}

/// Noise of a deviation of 20 in each channel: the sum of 12 uniform numbers, from a fixed stream.
fn noisy(image: &RgbImage) -> RgbImage {
    let mut image = image.clone();
    let mut state = 1_u64;
    for value in image.iter_mut() {
        let sum: f32 = (0..12)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 40) as f32 / (1_u64 << 24) as f32
            })
            .sum();
        *value = (f32::from(*value) + 20.0 * (sum - 6.0)).round().clamp(0.0, 255.0) as u8;
    }
    image
}

fn compressed(image: &RgbImage) -> Result<RgbImage, Box<dyn Error>> {
    let mut bytes = Vec::new();
    DynamicImage::ImageRgb8(image.clone())
        .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 15))?;
    Ok(image::load_from_memory_with_format(&bytes, ImageFormat::Jpeg)?.to_rgb8())
}
