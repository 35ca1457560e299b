//! Reading image files, of which many are not what their names say.

use crate::DataError;
use crate::source::slide::SlideImage;
use crate::source::tiff::TiffImage;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage};
use locam_core::Size;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

/// The most pixels that an image may have: an RGB image of this area takes 3 GiB.
const MAX_PIXELS: u64 = 1 << 30;

/// The most bytes that a decoder may ask for at once.
const MAX_BYTES: u64 = 4 << 30;

/// The formats that are read, each of which this crate's build of `image` can decode.
const FORMATS: [ImageFormat; 5] =
    [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Bmp, ImageFormat::WebP];

/// Extensions of TIFF files that `image` doesn't know: Aperio's slides, and two of BigTIFF.
const TIFF_EXTENSIONS: [&str; 3] = ["svs", "btf", "tf8"];

/// Extensions of slides that are no TIFF files, or hold in their first image something else than the specimen.
const OTHER_SLIDES: [&str; 8] = ["ndpi", "mrxs", "scn", "vms", "vmu", "bif", "svslide", "czi"];

/// The extension of DICOM files, many of which may be one slide.
const DICOM: [&str; 1] = ["dcm"];

/// Whether a folder scan should take `path` for an image: its extension, in any case, is that of JPEG, PNG, TIFF
/// (also `.svs`), BMP or WebP, or with the feature `slides` that of a slide. DICOM files must be named: a slide may have
/// many, and each of them would be the whole slide.
pub fn is_image_path(path: &Path) -> bool {
    format_of_extension(path).is_some() || (cfg!(feature = "slides") && has_extension(path, &OTHER_SLIDES))
}

/// What a file holds.
pub(crate) enum Content {
    /// An image in one of [`FORMATS`], by its content.
    Image(BufReader<File>, ImageFormat),
    /// A slide in a scanner's own format, by its extension.
    Slide,
}

/// Reads an image file as 8-bit RGB, upright.
///
/// The format is recognised by content, so a wrong extension does no harm. Values of 16 bits are rounded to 8
/// (v / 257); float values must lie in 0..=1. Alpha is composited over white. CMYK is taken for Adobe's inverted
/// one, as every common writer makes it. EXIF orientation is applied; colour profiles are not. Of several pages or
/// frames the first is read. Of a slide in a scanner's own format the full image is read, before the background that the
/// slide names, else before white.
///
/// # Errors
/// [`DataError::Read`], [`DataError::Empty`], [`DataError::NotAnImage`], [`DataError::TooLarge`] before anything
/// of the claimed size is allocated, [`DataError::Truncated`] and [`DataError::Decode`]; for a slide in a scanner's own
/// format [`DataError::SlideFormat`] without the feature `slides`, and what `OpenSlide` says with it.
pub fn read_rgb(path: &Path) -> Result<RgbImage, DataError> {
    let Content::Image(mut file, format) = open(path)? else {
        let slide = SlideImage::open(path)?;
        check_size(path, slide.size(), MAX_PIXELS)?;
        return slide.read_whole();
    };
    match format {
        ImageFormat::Tiff => read_tiff(path),
        ImageFormat::Jpeg => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(|source| read_error(path, source))?;
            check_jpeg_has_an_end(path, &bytes)?;
            decode(path, format, Cursor::new(bytes))
        }
        _ => decode(path, format, file),
    }
}

fn read_tiff(path: &Path) -> Result<RgbImage, DataError> {
    let tiff = TiffImage::open(path)?;
    check_size(path, tiff.size(), MAX_PIXELS)?;
    let orientation = tiff.orientation();
    let mut image = DynamicImage::ImageRgb8(tiff.read_whole()?);
    image.apply_orientation(orientation);
    Ok(image.into_rgb8())
}

/// Reads the size that [`read_rgb`] would give, from the header alone.
///
/// # Errors
/// As [`read_rgb`], less those that only show while the pixels are decoded.
pub fn read_size(path: &Path) -> Result<Size, DataError> {
    let Content::Image(file, format) = open(path)? else { return Ok(SlideImage::open(path)?.size()) };
    let ((width, height), orientation) = if format == ImageFormat::Tiff {
        let tiff = TiffImage::open(path)?;
        ((tiff.size().width, tiff.size().height), tiff.orientation())
    } else {
        let mut decoder = checked_decoder(path, format, file)?;
        (decoder.dimensions(), orientation(&mut decoder))
    };
    Ok(match orientation {
        Orientation::NoTransforms
        | Orientation::Rotate180
        | Orientation::FlipHorizontal
        | Orientation::FlipVertical => Size::new(width, height),
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => Size::new(height, width),
    })
}

/// Says in words how a file's extension contradicts its content; nothing where they agree, and of slides that are known by
/// their extension.
///
/// # Errors
/// [`DataError::Read`], [`DataError::Empty`], [`DataError::NotAnImage`].
pub fn sniffed_mismatch(path: &Path) -> Result<Option<String>, DataError> {
    let Content::Image(_, format) = open(path)? else { return Ok(None) };
    if format_of_extension(path) == Some(format) {
        return Ok(None);
    }
    let right = format.extensions_str().first().copied().unwrap_or_default();
    Ok(Some(format!("its content is {format:?}; it was read, but should end in .{right}")))
}

fn format_of_extension(path: &Path) -> Option<ImageFormat> {
    if has_extension(path, &TIFF_EXTENSIONS) {
        return Some(ImageFormat::Tiff);
    }
    let format = ImageFormat::from_extension(path.extension()?)?;
    FORMATS.contains(&format).then_some(format)
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|found| extensions.iter().any(|known| found.eq_ignore_ascii_case(known)))
}

/// Opens a file that has content, and is named like a slide or starts like one of [`FORMATS`].
///
/// # Errors
/// [`DataError::Read`], [`DataError::Empty`], [`DataError::NotAnImage`].
pub(crate) fn open(path: &Path) -> Result<Content, DataError> {
    let read_error = |source| read_error(path, source);
    let file = File::open(path).map_err(read_error)?;
    if file.metadata().map_err(read_error)?.len() == 0 {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    if has_extension(path, &OTHER_SLIDES) || has_extension(path, &DICOM) {
        return Ok(Content::Slide);
    }
    let mut file = BufReader::new(file);
    file.fill_buf().map_err(read_error)?;
    // BigTIFF is not among the formats that `image` knows.
    if [&b"II+\0"[..], b"MM\0+"].iter().any(|magic| file.buffer().starts_with(magic)) {
        return Ok(Content::Image(file, ImageFormat::Tiff));
    }
    let guessed = ImageReader::new(file).with_guessed_format().map_err(read_error)?;
    match guessed.format() {
        Some(format) if FORMATS.contains(&format) => Ok(Content::Image(guessed.into_inner(), format)),
        _ => Err(DataError::NotAnImage { path: path.to_owned() }),
    }
}

/// A decoder whose header was read and whose claimed size is within the limits.
fn checked_decoder<'a, R: BufRead + Seek + 'a>(
    path: &Path,
    format: ImageFormat,
    input: R,
) -> Result<impl ImageDecoder + 'a, DataError> {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_BYTES);
    let mut reader = ImageReader::with_format(input, format);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| decode_error(path, error))?;
    let (width, height) = decoder.dimensions();
    let limit = MAX_PIXELS.min(MAX_BYTES / u64::from(decoder.color_type().bytes_per_pixel()));
    check_size(path, Size::new(width, height), limit)?;
    Ok(decoder)
}

fn check_size(path: &Path, size: Size, limit: u64) -> Result<(), DataError> {
    let (path, Size { width, height }) = (path.to_owned(), size);
    match size.area() {
        0 => Err(DataError::NoPixels { path, width, height }),
        area if area > limit => Err(DataError::TooLarge { path, width, height, limit }),
        _ => Ok(()),
    }
}

/// How the pixels are to be turned; a damaged tag counts as none, since the pixels are still good.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

fn decode<R: BufRead + Seek>(path: &Path, format: ImageFormat, input: R) -> Result<RgbImage, DataError> {
    let mut decoder = checked_decoder(path, format, input)?;
    let orientation = orientation(&mut decoder);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| decode_error(path, error))?;
    image.apply_orientation(orientation);
    Ok(if image.color().has_alpha() { over_white(image) } else { image.into_rgb8() })
}

fn over_white(image: DynamicImage) -> RgbImage {
    let image = image.into_rgba8();
    let mut opaque = RgbImage::new(image.width(), image.height());
    for (out, pixel) in opaque.pixels_mut().zip(image.pixels()) {
        let [r, g, b, alpha] = pixel.0;
        *out = Rgb(blend_over_white([r, g, b], alpha));
    }
    opaque
}

/// A colour of some opacity before a white background.
pub(crate) fn blend_over_white(color: [u8; 3], alpha: u8) -> [u8; 3] {
    let alpha = u32::from(alpha);
    color.map(|value| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

/// Fails unless the markers of a JPEG lead to its end-of-image marker.
///
/// The decoder fills what is missing with grey and reports nothing, so a file that was cut short would otherwise
/// train the network on grey.
fn check_jpeg_has_an_end(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    if jpeg_has_an_end(bytes) {
        return Ok(());
    }
    Err(DataError::Truncated {
        path: path.to_owned(),
        reason: format!("no end-of-image marker in its {} bytes", bytes.len()),
    })
}

/// Whether the markers of a JPEG lead to its end-of-image marker.
pub(crate) fn jpeg_has_an_end(bytes: &[u8]) -> bool {
    const TEMPORARY: u8 = 0x01;
    const RESTART_FIRST: u8 = 0xD0;
    const START_OF_IMAGE: u8 = 0xD8;
    const END_OF_IMAGE: u8 = 0xD9;
    let mut rest = bytes;
    // Inside entropy-coded data, 0xFF is followed by 0; between segments anything but a marker is skipped too.
    while let Some(at) = rest.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF)) {
        let marker = rest[at + 1];
        rest = &rest[at + 2..];
        match marker {
            END_OF_IMAGE => return true,
            TEMPORARY | RESTART_FIRST..=START_OF_IMAGE => {}
            _ => {
                let length =
                    rest.first_chunk().map_or(usize::MAX, |&length| u16::from_be_bytes(length).into());
                rest = rest.get(length..).unwrap_or_default();
            }
        }
    }
    false
}

fn read_error(path: &Path, source: io::Error) -> DataError {
    DataError::Read { path: path.to_owned(), source }
}

fn decode_error(path: &Path, error: ImageError) -> DataError {
    let path = path.to_owned();
    match error {
        error if ended_early(&error) => DataError::Truncated { path, reason: error.to_string() },
        ImageError::IoError(source) => DataError::Read { path, source },
        error => DataError::Decode { path, reason: error.to_string() },
    }
}

/// Whether an unexpected end of the file lies at the bottom of `error`.
fn ended_early(error: &ImageError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::UnexpectedEof) {
            return true;
        }
        cause = error.source();
    }
    matches!(error, ImageError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof)
}
