//! Image files as they are met: damaged, lying, and in every format that is read.

use image::{DynamicImage, ImageFormat, Luma, Rgb, RgbImage, Rgba};
use locam_core::Size;
use locam_data::{DataError, read_rgb, read_size, sniffed_mismatch};
use proptest::prelude::*;
use std::io::Cursor;
use std::path::{Path, PathBuf};

const FORMATS: [(ImageFormat, &str); 5] = [
    (ImageFormat::Jpeg, "jpg"),
    (ImageFormat::Png, "png"),
    (ImageFormat::Tiff, "tif"),
    (ImageFormat::Bmp, "bmp"),
    (ImageFormat::WebP, "webp"),
];

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Smooth enough for JPEG, and different under every turn and mirroring.
fn grey(x: u32, y: u32) -> u8 {
    (x * 3 + y * 5) as u8
}

fn sample(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([grey(x, y); 3]))
}

fn assert_close(found: &RgbImage, expected: &RgbImage, tolerance: u8, what: &str) {
    assert_eq!(found.dimensions(), expected.dimensions(), "{what}");
    let worst = found.as_raw().iter().zip(expected.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst <= Some(tolerance), "{what}: off by {worst:?}");
}

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

    fn read(&self, name: &str, bytes: &[u8]) -> Result<RgbImage, DataError> {
        read_rgb(&self.file(name, bytes))
    }
}

fn png_chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [&kind, data].concat();
    let crc = !named.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xEDB8_8320 } else { c >> 1 })
    });
    [&(data.len() as u32).to_be_bytes()[..], &named, &crc.to_be_bytes()].concat()
}

/// A zlib stream of one stored block.
fn stored_zlib(data: &[u8]) -> Vec<u8> {
    let length = data.len() as u16;
    let (a, b) = data.iter().fold((1_u32, 0_u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65521;
        (a, (a + b) % 65521)
    });
    let header = [&[0x78, 0x01, 0x01][..], &length.to_le_bytes(), &(!length).to_le_bytes()].concat();
    [&header[..], data, &(b << 16 | a).to_be_bytes()].concat()
}

fn png(width: u32, height: u32, depth: u8, color: u8, rest: &[Vec<u8>]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, color, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), png_chunk(*b"IHDR", &header), rest.concat(), png_chunk(*b"IEND", &[])]
        .concat()
}

fn bmp_header(width: i32, height: i32) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    for value in [54, 0, 54, 40, width, height, 24 << 16 | 1, 0, 0, 0, 0, 0, 0] {
        bytes.extend(value.to_le_bytes());
    }
    bytes
}

fn tiff_header(width: u32, height: u32) -> Vec<u8> {
    let tags = [
        (256, width),
        (257, height),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, width.wrapping_mul(height)),
    ];
    let mut bytes = [b"II*\0".as_slice(), &8_u32.to_le_bytes(), &(tags.len() as u16).to_le_bytes()].concat();
    for (tag, value) in tags {
        bytes.extend([(tag as u16).to_le_bytes(), 4_u16.to_le_bytes()].concat());
        bytes.extend([1_u32.to_le_bytes(), value.to_le_bytes()].concat());
    }
    bytes.extend([0; 4]);
    bytes
}

fn with_exif_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let ifd = [0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
    let body = [b"Exif\0\0MM\0*\0\0\0\x08".as_slice(), &ifd].concat();
    let length = (body.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, &body, &jpeg[2..]].concat()
}

struct Hostile {
    name: &'static str,
    bytes: Vec<u8>,
    kind: fn(&DataError) -> bool,
    says: &'static [&'static str],
}

#[test]
fn damaged_files_are_errors_that_name_the_file_and_the_fault() {
    let empty = |e: &DataError| matches!(e, DataError::Empty { .. });
    let not_an_image = |e: &DataError| matches!(e, DataError::NotAnImage { .. });
    let too_large = |e: &DataError| matches!(e, DataError::TooLarge { .. });
    let no_use = |e: &DataError| matches!(e, DataError::NoPixels { .. } | DataError::Decode { .. });
    let undecodable = |e: &DataError| matches!(e, DataError::Decode { .. });
    let jpeg = encode(&sample(40, 40).into(), ImageFormat::Jpeg);
    let huge_jpeg = {
        let mut bytes = jpeg.clone();
        let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
        bytes[frame + 5..frame + 9].fill(0xFF);
        bytes
    };
    let case = |name, bytes: &[u8], kind, says| Hostile { name, bytes: bytes.to_vec(), kind, says };
    let float =
        |value| encode(&image::Rgb32FImage::from_pixel(2, 2, Rgb([value; 3])).into(), ImageFormat::Tiff);
    let pixels = [png_chunk(*b"IDAT", &stored_zlib(&[0; 9]))];
    let cases = [
        case("zero.png", b"", empty, &["zero bytes"]),
        case("text.jpg", b"these are no pixels", not_an_image, &["not a JPEG"]),
        case("one_byte.tif", b"I", not_an_image, &[]),
        case("animation.gif", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", not_an_image, &[]),
        case("huge.png", &png(65_536, 65_536, 8, 2, &pixels), too_large, &["65536 x 65536", "1073741824"]),
        case("wide.png", &png(2_000_000_000, 2, 8, 0, &pixels), too_large, &["2000000000 x 2"]),
        case("deep.png", &png(30_000, 30_000, 16, 6, &pixels), too_large, &["30000 x 30000", "536870912"]),
        case("huge.tif", &tiff_header(100_000, 100_000), too_large, &["100000 x 100000"]),
        case("huge.jpg", &huge_jpeg, too_large, &["65535 x 65535"]),
        case("huge.bmp", &bmp_header(65_000, 65_000), too_large, &["65000 x 65000"]),
        case("absurd.bmp", &bmp_header(i32::MAX, i32::MAX), undecodable, &["2147483647"]),
        case("flat.png", &png(0, 7, 8, 2, &pixels), no_use, &[]),
        case("flat.bmp", &bmp_header(0, 7), no_use, &[]),
        case("head_only.png", &png(5, 5, 8, 2, &[])[..20], |_| true, &[]),
        case("no_data.png", &png(5, 5, 8, 2, &[]), |_| true, &[]),
        case("bright.tif", &float(7.5), undecodable, &["0 to 1", "7.5"]),
        case("nan.tif", &float(f32::NAN), undecodable, &["NaN"]),
    ];
    let folder = Folder::new();
    for Hostile { name, bytes, kind, says } in cases {
        let error = folder.read(name, &bytes).expect_err(name);
        let message = error.to_string();
        assert!(kind(&error), "{name}: {error:?}");
        assert!(message.contains(name), "{name}: {message}");
        for words in says {
            assert!(message.contains(words), "{name}: {message}");
        }
    }
}

#[test]
fn a_file_cut_short_is_an_error_in_every_format() {
    let folder = Folder::new();
    let image = DynamicImage::from(sample(50, 20));
    for (format, extension) in FORMATS {
        let bytes = encode(&image, format);
        for keep in [bytes.len() / 4, bytes.len() * 6 / 10, bytes.len() * 9 / 10] {
            let name = format!("cut_{keep}.{extension}");
            let error = folder.read(&name, &bytes[..keep]).expect_err(&name);
            assert!(error.to_string().contains(&name), "{error}");
        }
    }
    let jpeg = encode(&image, ImageFormat::Jpeg);
    let error = folder.read("last_byte.jpg", &jpeg[..jpeg.len() - 1]).unwrap_err();
    assert!(matches!(error, DataError::Truncated { .. }), "{error:?}");
}

#[test]
fn every_format_is_read_whatever_its_extension() {
    let folder = Folder::new();
    let image = sample(37, 11);
    for (format, extension) in FORMATS {
        let bytes = encode(&image.clone().into(), format);
        let right = folder.file(&format!("right.{extension}"), &bytes);
        let wrong =
            folder.file(&format!("{extension}.{}", if extension == "png" { "jpg" } else { "PNG" }), &bytes);
        let tolerance = if format == ImageFormat::Jpeg { 8 } else { 0 };
        for path in [&right, &wrong] {
            assert_close(&read_rgb(path).unwrap(), &image, tolerance, &path.display().to_string());
            assert_eq!(read_size(path).unwrap(), Size::new(37, 11));
        }
        assert_eq!(sniffed_mismatch(&right).unwrap(), None);
        let words = sniffed_mismatch(&wrong).unwrap().expect("the extension is wrong");
        assert!(words.contains(&format!("{format:?}")), "{words}");
    }
}

#[test]
fn sixteen_bits_are_rounded() {
    let values = [0, 128, 129, 3 * 257 + 128, 3 * 257 + 129, 65_535];
    let expected: Vec<u8> = [0, 0, 1, 3, 4, 255].into_iter().flat_map(|v| [v; 3]).collect();
    let image = image::ImageBuffer::<Luma<u16>, _>::from_vec(6, 1, values.to_vec()).unwrap();
    let folder = Folder::new();
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let found = folder.read("deep", &encode(&image.clone().into(), format)).unwrap();
        assert_eq!(found.as_raw(), &expected, "{format:?}");
    }
}

#[test]
fn floats_from_0_to_1_are_read() {
    let image = image::Rgb32FImage::from_pixel(2, 1, Rgb([0.0, 0.5, 1.0]));
    let found = Folder::new().read("float.tif", &encode(&image.into(), ImageFormat::Tiff)).unwrap();
    assert_eq!(found.as_raw(), &[0, 128, 255, 0, 128, 255]);
}

#[test]
fn palettes_are_looked_up() {
    let palette = png_chunk(*b"PLTE", &[250, 10, 20, 30, 240, 40, 50, 60, 230]);
    // Two bits a pixel: 2, 0, 1, then padding; before them the row's filter (none).
    let data = png_chunk(*b"IDAT", &stored_zlib(&[0, 0b1000_0100]));
    let found = Folder::new().read("palette.png", &png(3, 1, 2, 3, &[palette, data])).unwrap();
    assert_eq!(found.as_raw(), &[50, 60, 230, 250, 10, 20, 30, 240, 40]);
}

#[test]
fn alpha_is_composited_over_white() {
    let pixels = [Rgba([10, 20, 30, 255]), Rgba([10, 20, 30, 0]), Rgba([0, 100, 255, 51])];
    let image = image::RgbaImage::from_fn(3, 1, |x, _| pixels[x as usize]);
    let folder = Folder::new();
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let found = folder.read("clear", &encode(&image.clone().into(), format)).unwrap();
        assert_eq!(found.as_raw(), &[10, 20, 30, 255, 255, 255, 204, 224, 255], "{format:?}");
    }
}

/// Colours as Pillow reads them; `tests/fixtures/make_cmyk.py` wrote the files and prints the colours.
#[test]
fn adobe_cmyk_and_ycck_are_read_as_pillow_reads_them() {
    for name in ["cmyk.jpg", "ycck.jpg"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        let image = read_rgb(&path).unwrap();
        assert_eq!(image.dimensions(), (32, 32));
        let expected = [[53, 216, 226], [216, 66, 190], [180, 164, 27], [127, 127, 127]];
        for ((x, y), expected) in [(8, 8), (24, 8), (8, 24), (24, 24)].into_iter().zip(expected) {
            let found = image.get_pixel(x, y).0;
            // Two decoders may round the inverse transform and the colour conversion differently.
            let off = found.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max();
            assert!(off <= Some(2), "{name} at ({x}, {y}): {found:?}, Pillow: {expected:?}");
        }
    }
}

/// Where the EXIF standard says that stored column `c` and row `r` belong in the upright image of `w` by `h`.
fn upright_place(orientation: u8, (w, h): (u32, u32), (c, r): (u32, u32)) -> (u32, u32) {
    match orientation {
        1 => (c, r),
        2 => (w - 1 - c, r),
        3 => (w - 1 - c, h - 1 - r),
        4 => (c, h - 1 - r),
        5 => (r, c),
        6 => (w - 1 - r, c),
        7 => (w - 1 - r, h - 1 - c),
        _ => (r, h - 1 - c),
    }
}

#[test]
fn exif_orientation_is_applied() {
    let folder = Folder::new();
    let (w, h) = (24, 16);
    for orientation in 1..=8 {
        let (columns, rows) = if orientation < 5 { (w, h) } else { (h, w) };
        let stored = RgbImage::from_fn(columns, rows, |c, r| {
            let (x, y) = upright_place(orientation, (w, h), (c, r));
            Rgb([grey(x, y); 3])
        });
        let bytes = with_exif_orientation(&encode(&stored.into(), ImageFormat::Jpeg), orientation);
        let path = folder.file(&format!("{orientation}.jpg"), &bytes);
        assert_close(&read_rgb(&path).unwrap(), &sample(w, h), 10, &format!("orientation {orientation}"));
        assert_eq!(read_size(&path).unwrap(), Size::new(w, h), "orientation {orientation}");
    }
}

#[test]
fn folders_and_missing_files_are_read_errors() {
    let folder = Folder::new();
    let missing = folder.0.path().join("missing.png");
    for path in [folder.0.path(), &missing] {
        let error = read_rgb(path).unwrap_err();
        assert!(matches!(error, DataError::Read { .. }), "{error:?}");
        assert!(error.to_string().contains(&path.display().to_string()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn damage_anywhere_gives_pixels_or_an_error_and_never_a_panic(
        format in 0_usize..FORMATS.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = encode(&sample(21, 13).into(), FORMATS[format].0);
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(image) = Folder::new().read("damaged", &bytes) {
            prop_assert!(image.width() > 0 && image.height() > 0);
        }
    }
}
