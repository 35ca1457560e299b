//! Writes a generated blood smear of any size as a tiled BigTIFF, to measure reading and locating with.
//!
//! A few fields are drawn, and their tiles are laid over the image like those of a floor, so that time and memory do
//! not grow with what is drawn: a megapixel takes as long as it takes to write.
//!
//! ```text
//! cargo run --release -p locam-data --example big_tiff -- OUT.tif WIDTH HEIGHT jpeg|deflate|lzw|none
//! ```

use image::codecs::jpeg::JpegEncoder;
use image::{RgbImage, imageops};
use locam_core::Size;
use locam_data::{SmearConfig, generate};
use std::error::Error;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;
use tiff::encoder::compression::{CompressionAlgorithm, Deflate, Lzw};
use tiff::encoder::{Rational, TiffEncoder};
use tiff::tags::{CompressionMethod, PhotometricInterpretation, ResolutionUnit, Tag};

/// Side of a tile, and of a field of 4 by 4 tiles.
const TILE: u32 = 512;
const TILES_PER_FIELD: u32 = 4;
/// No two fields beside each other are the same.
const FIELDS: u32 = 5;
/// The scale at which smears are drawn.
const PIXELS_PER_CENTIMETRE: u32 = 104_000;
const JPEG_QUALITY: u8 = 85;

#[derive(Clone, Copy)]
enum Compression {
    Jpeg,
    Deflate,
    Lzw,
    None,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, width, height, compression] = arguments.as_slice() else {
        return Err("usage: big_tiff OUT.tif WIDTH HEIGHT jpeg|deflate|lzw|none".into());
    };
    let compression = match compression.as_str() {
        "jpeg" => Compression::Jpeg,
        "deflate" => Compression::Deflate,
        "lzw" => Compression::Lzw,
        "none" => Compression::None,
        other => return Err(format!("no compression is called {other}").into()),
    };
    let size = Size::new(width.parse()?, height.parse()?);
    if size.area() == 0 {
        return Err("an image needs columns and rows".into());
    }
    let out = Path::new(out);
    let unfinished = out.with_added_extension("part");
    write(&unfinished, size, compression)?;
    fs::rename(&unfinished, out)?;
    Ok(())
}

fn write(path: &Path, size: Size, compression: Compression) -> Result<(), Box<dyn Error>> {
    let fields = (0..FIELDS).map(|seed| tiles_of_field(seed, compression)).collect::<Result<Vec<_>, _>>()?;
    let mut encoder = TiffEncoder::new_big(BufWriter::new(File::create(path)?))?;
    let mut directory = encoder.image_directory()?;
    let (mut offsets, mut lengths) = (Vec::new(), Vec::new());
    for row in 0..size.height.div_ceil(TILE) {
        for column in 0..size.width.div_ceil(TILE) {
            let field = (column / TILES_PER_FIELD + 2 * (row / TILES_PER_FIELD)) % FIELDS;
            let place = row % TILES_PER_FIELD * TILES_PER_FIELD + column % TILES_PER_FIELD;
            let tile = &fields[field as usize][place as usize];
            offsets.push(directory.write_data(tile.as_slice())?);
            lengths.push(tile.len() as u64);
        }
    }
    let (method, photometric) = match compression {
        Compression::Jpeg => (CompressionMethod::ModernJPEG, PhotometricInterpretation::YCbCr),
        Compression::Deflate => (CompressionMethod::Deflate, PhotometricInterpretation::RGB),
        Compression::Lzw => (CompressionMethod::LZW, PhotometricInterpretation::RGB),
        Compression::None => (CompressionMethod::None, PhotometricInterpretation::RGB),
    };
    directory.write_tag(Tag::ImageWidth, size.width)?;
    directory.write_tag(Tag::ImageLength, size.height)?;
    directory.write_tag(Tag::BitsPerSample, &[8_u16; 3][..])?;
    directory.write_tag(Tag::SamplesPerPixel, 3_u16)?;
    directory.write_tag(Tag::Compression, method.to_u16())?;
    directory.write_tag(Tag::PhotometricInterpretation, photometric.to_u16())?;
    if matches!(compression, Compression::Jpeg) {
        directory.write_tag(Tag::ChromaSubsampling, &[1_u16; 2][..])?;
    }
    directory.write_tag(Tag::TileWidth, TILE)?;
    directory.write_tag(Tag::TileLength, TILE)?;
    directory.write_tag(Tag::TileOffsets, offsets.as_slice())?;
    directory.write_tag(Tag::TileByteCounts, lengths.as_slice())?;
    for tag in [Tag::XResolution, Tag::YResolution] {
        directory.write_tag(tag, Rational { n: PIXELS_PER_CENTIMETRE, d: 1 })?;
    }
    directory.write_tag(Tag::ResolutionUnit, ResolutionUnit::Centimeter.to_u16())?;
    directory.finish()?;
    Ok(())
}

/// The tiles of one field by rows, as they are stored.
fn tiles_of_field(seed: u32, compression: Compression) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let side = TILE * TILES_PER_FIELD;
    let field = generate(&SmearConfig::new(Size::new(side, side), seed.into())).image;
    let places =
        (0..side).step_by(TILE as usize).flat_map(|y| (0..side).step_by(TILE as usize).map(move |x| (x, y)));
    places
        .map(|(x, y)| encoded(&imageops::crop_imm(&field, x, y, TILE, TILE).to_image(), compression))
        .collect()
}

fn encoded(tile: &RgbImage, compression: Compression) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = Vec::new();
    match compression {
        Compression::Jpeg => JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).encode_image(tile)?,
        Compression::Deflate => {
            Deflate::default().write_to(&mut bytes, tile)?;
        }
        Compression::Lzw => {
            Lzw.write_to(&mut bytes, tile)?;
        }
        Compression::None => bytes.extend_from_slice(tile),
    }
    Ok(bytes)
}
