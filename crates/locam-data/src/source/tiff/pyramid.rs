//! Smaller copies of the first image in the same file.

use super::ifd_file::{IfdFile, decoder_at};
use super::level::TiffLevel;
use super::{data_error, resolution};
use crate::DataError;
use locam_core::Size;
use std::collections::BTreeSet;
use std::path::Path;
use tiff::decoder::Decoder;
use tiff::tags::{IfdPointer, Tag};

/// The most directories that are looked at.
const MAX_IFDS: usize = 256;

/// The levels below the full image, largest first, and what was passed over although it looks like one.
///
/// A smaller copy is a directory below the first one's `SubIFDs`, one that says that it is of reduced resolution, one
/// in tiles in an Aperio slide, or one in tiles that has the image's shape. Label and overview of a slide are in
/// strips and no copies.
///
/// # Errors
/// [`DataError::LevelsDisagree`] where a directory in tiles claims to be a copy and has another shape. (Thumbnails of
/// cameras may: they are in strips.)
pub(super) fn smaller_levels(
    path: &Path,
    decoder: &mut Decoder<IfdFile>,
    full: &TiffLevel,
) -> Result<(Vec<TiffLevel>, Vec<String>), DataError> {
    let (mut levels, mut warnings) = (Vec::new(), Vec::new());
    for (number, Ifd { at, size, is_tiled, is_claimed, .. }) in candidates(decoder, full.size).enumerate() {
        if !has_same_shape(size, full.size) {
            if is_tiled && is_claimed {
                let (path, full) = (path.to_owned(), full.size);
                return Err(DataError::LevelsDisagree { path, level: number + 1, size, full });
            }
            continue;
        }
        let level = decoder_at(path, Some(at))
            .map_err(|error| data_error(path, error))
            .and_then(|mut decoder| TiffLevel::read(path, &mut decoder, Some(at)));
        match level {
            Ok(level) => levels.push(level),
            Err(error) => warnings.push(format!("level {} of {size} is not used: {error}", number + 1)),
        }
    }
    levels.sort_by_key(|level| std::cmp::Reverse(level.size.area()));
    Ok((levels, warnings))
}

/// Directories that may be smaller copies.
fn candidates(decoder: &mut Decoder<IfdFile>, full: Size) -> impl Iterator<Item = Ifd> + use<> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let first_is_tiled = decoder.image_ifd().find_entry(Tag::TileOffsets).is_some();
    let is_aperio = resolution::description(decoder).is_some_and(|text| text.starts_with("Aperio"));
    let below = match decoder.find_tag(Tag::SubIfd) {
        Ok(Some(value)) => value.into_ifd_vec().unwrap_or_default(),
        _ => Vec::new(),
    };
    for ifd in below.into_iter().take(MAX_IFDS) {
        found.extend(Ifd::read(decoder, ifd).map(|ifd| Ifd { is_claimed: true, ..ifd }));
        seen.insert(ifd.0);
    }
    let is_below = found.len();
    let mut next = decoder.image_ifd().directory().next();
    while let Some(ifd) = next.filter(|ifd| seen.len() < MAX_IFDS && seen.insert(ifd.0)) {
        let Some(read) = Ifd::read(decoder, ifd) else { break };
        next = read.next;
        found.push(Ifd { is_claimed: read.is_claimed || (is_aperio && read.is_tiled), ..read });
    }
    found.into_iter().enumerate().filter_map(move |(index, ifd)| {
        let is_smaller = ifd.size.area() > 0 && ifd.size.width < full.width && ifd.size.height < full.height;
        let may_be_copy = if first_is_tiled { ifd.is_tiled } else { ifd.is_claimed };
        (is_smaller && (index < is_below || may_be_copy)).then_some(ifd)
    })
}

/// The tags of a directory that tell whether it is a level.
struct Ifd {
    at: IfdPointer,
    size: Size,
    is_tiled: bool,
    /// Whether the file says that it is a smaller copy.
    is_claimed: bool,
    next: Option<IfdPointer>,
}

impl Ifd {
    /// Nothing where the directory can't be read.
    fn read(decoder: &mut Decoder<IfdFile>, at: IfdPointer) -> Option<Self> {
        const REDUCED: u32 = 1;
        let directory = decoder.read_directory(at).ok()?;
        let mut tags = decoder.read_directory_tags(&directory);
        let mut number = |tag| tags.find_tag_unsigned::<u32>(tag).ok().flatten();
        let size = Size::new(number(Tag::ImageWidth)?, number(Tag::ImageLength)?);
        let is_claimed = number(Tag::NewSubfileType).unwrap_or(0) & REDUCED != 0;
        let is_tiled = directory.contains(Tag::TileOffsets);
        Some(Self { at, size, is_tiled, is_claimed, next: directory.next() })
    }
}

/// Whether both sizes are one shape, less rounding to whole pixels in either direction.
fn has_same_shape(small: Size, full: Size) -> bool {
    let ratio = |full: u32, small: u32, by: f64| f64::from(full) / (f64::from(small) + by);
    // Levels are made by halving again and again, each of which may round a column or row away.
    let possible =
        |full, small: u32| ratio(full, small, 1.5)..=ratio(full, small, if small > 2 { -1.5 } else { -0.5 });
    let (x, y) = (possible(full.width, small.width), possible(full.height, small.height));
    x.start() <= y.end() && y.start() <= x.end()
}
