//! BCCD's `val` fields as other microscopes, cameras and files would show them, and what is around each white cell by itself: each
//! change in a folder of its own, `OUT/CHANGE/val`, as PNG images beside YOLO's text files of their white cells.
//!
//! ```text
//! cargo run --release -p locam-data --example changed_fields -- ../shared/data/bccd/BCCD changed
//! ```

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, imageops};
use locam_core::{Rect, Size};
use locam_data::{Dataset, Label, OpenOptions, Split, read_rgb, resize};
use std::error::Error;
use std::path::Path;

type Change = fn(&RgbImage) -> Result<RgbImage, Box<dyn Error>>;

/// What is cut out around each white cell, by the name of its folder: a square so many times as wide as the cell, brought to a side in
/// pixels. ALL-IDB2 has 257.
const CUTS: [(&str, f64, Option<u32>); 3] =
    [("cut-out", 1.6, None), ("cut-out-257", 2.3, Some(257)), ("cut-out-700", 2.3, Some(700))];

/// Every change by the name of its folder.
const CHANGES: [(&str, Change); 18] = [
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
    ("hues-forward", |image| Ok(each(image, |rgb| turned(rgb, 30.0)))),
    ("hues-back", |image| Ok(each(image, |rgb| turned(rgb, -30.0)))),
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
        let cells: Vec<Rect> = objects
            .iter()
            .filter(|object| object.class == white)
            .filter_map(|object| object.shape.rect())
            .collect();
        let name = item.path.file_stem().unwrap_or_default().to_string_lossy();
        for (folder, change) in CHANGES {
            let (width, height) = (f64::from(image.width()), f64::from(image.height()));
            let all = Rect { left: 0.0, top: 0.0, right: width, bottom: height };
            save(&Path::new(out).join(folder), &name, &change(&image)?, &boxes(&cells, all))?;
        }
        for (folder, factor, side) in CUTS {
            for (number, cell) in cells.iter().enumerate() {
                let part = around(cell, factor, &image);
                let [left, top, width, height] =
                    [part.left, part.top, part.width(), part.height()].map(|side| side as u32);
                let cut = imageops::crop_imm(&image, left, top, width, height).to_image();
                let longer = part.width().max(part.height());
                let cut = match side {
                    Some(side) => scaled(&cut, f64::from(side) / longer)?,
                    None => cut,
                };
                save(&Path::new(out).join(folder), &format!("{name}-{number}"), &cut, &boxes(&cells, part))?;
            }
        }
    }
    Ok(())
}

/// An image in the `val` part of a data set.
fn save(root: &Path, name: &str, image: &RgbImage, boxes: &str) -> Result<(), Box<dyn Error>> {
    let folder = root.join("val");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(root.join("classes.txt"), "WBC\n")?;
    image.save(folder.join(format!("{name}.png")))?;
    std::fs::write(folder.join(format!("{name}.txt")), boxes)?;
    Ok(())
}

/// YOLO's lines for what of the cells lies in a part of the image, of those of which at least a half does.
fn boxes(cells: &[Rect], part: Rect) -> String {
    let seen = cells.iter().map(|cell| (cell.area(), cell.intersection(part)));
    let mostly = seen.filter(|(area, seen)| 2.0 * seen.area() >= *area);
    let line = |(_, seen): (f64, Rect)| {
        let middle = seen.center();
        let (x, y) = ((middle.x - part.left) / part.width(), (middle.y - part.top) / part.height());
        let (width, height) = (seen.width() / part.width(), seen.height() / part.height());
        format!("0 {x:.5} {y:.5} {width:.5} {height:.5}\n")
    };
    mostly.map(line).collect()
}

/// A square with a cell in its middle, `factor` times as wide as the cell, as far as it lies in the image; in whole pixels.
fn around(cell: &Rect, factor: f64, image: &RgbImage) -> Rect {
    let side = (factor * cell.width().max(cell.height())).round();
    let Rect { left, top, .. } = Rect::around(cell.center(), side, side);
    let square =
        Rect { left: left.round(), top: top.round(), right: left.round() + side, bottom: top.round() + side };
    square.clamped_to(Size::new(image.width(), image.height()))
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

/// With hues turned around the axis of greys, after Rodrigues.
fn turned(rgb: [f32; 3], degrees: f32) -> [f32; 3] {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let grey = rgb.iter().sum::<f32>() / 3.0;
    let [r, g, b] = rgb.map(|value| value - grey);
    let across = [b - g, r - b, g - r].map(|value| value / 3.0_f32.sqrt());
    std::array::from_fn(|i| grey + cosine * [r, g, b][i] + sine * across[i])
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
