//! The pixels of all patches of a data set, ready to be batched.

use crate::view::surroundings;
use crate::{Augment, Change, Crop, DataError, Patch, Problem, SmallObjects, View, read_rgb, resize};
use image::RgbImage;
use locam_core::{ClassId, Size};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// Memory that a [`PatchStore`] may fill with pixels unless told otherwise, in bytes.
pub const DEFAULT_MEMORY_BUDGET: u64 = 2 << 30;

/// Patches cut out and resized to one size, in the order in which they were given.
///
/// The pixels stay in memory where all of them fit the budget, so that epochs after the first cost no decoding;
/// otherwise they are decoded again whenever they are asked for.
#[derive(Debug)]
pub struct PatchStore {
    side: u32,
    patches: Vec<Patch>,
    /// One entry per patch, or none at all where they did not fit.
    views: Vec<View<'static>>,
    data_hash: String,
    small_objects: Option<SmallObjects>,
}

/// What became of one patch on opening: its place in the list, its pixels where they are to be kept, their hash.
type Prepared = (usize, Option<View<'static>>, [u8; 32]);

impl PatchStore {
    /// Decodes each source image once, in parallel, and prepares its patches as RGB of `side` by `side` pixels.
    ///
    /// Patches whose image cannot be read are left out, with one [`Problem`] per image, sorted by path.
    /// `memory_budget` is in bytes and bounds the pixels that are kept, not those in flight: each thread holds one
    /// source image at a time.
    pub fn open(patches: Vec<Patch>, side: u32, memory_budget: u64) -> (Self, Vec<Problem>) {
        let needed: u64 = patches.iter().map(|patch| most_bytes(patch, side)).sum();
        let keep = needed <= memory_budget;
        let mut places_by_path: BTreeMap<&Path, Vec<usize>> = BTreeMap::new();
        for (place, patch) in patches.iter().enumerate() {
            places_by_path.entry(&patch.path).or_default().push(place);
        }
        let sources: Vec<(&Path, Vec<usize>)> = places_by_path.into_iter().collect();
        let outcomes: Vec<Result<Vec<Prepared>, Problem>> = sources
            .par_iter()
            .map(|(path, places)| {
                prepare(path, places, &patches, side, keep).map_err(|e| problem(path, places, &e))
            })
            .collect();
        let mut prepared = Vec::new();
        let mut problems = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok(of_one_image) => prepared.extend(of_one_image),
                Err(problem) => problems.push(problem),
            }
        }
        prepared.sort_by_key(|(place, ..)| *place);
        (Self::from_prepared(side, patches, prepared), problems)
    }

    fn from_prepared(side: u32, patches: Vec<Patch>, prepared: Vec<Prepared>) -> Self {
        let data_hash = combined_hash(prepared.iter().map(|(.., hash)| *hash).collect());
        let mut patches: Vec<Option<Patch>> = patches.into_iter().map(Some).collect();
        let (readable, views): (Vec<_>, Vec<_>) =
            prepared.into_iter().map(|(place, view, _)| (patches[place].take(), view)).unzip();
        Self {
            side,
            patches: readable.into_iter().flatten().collect(),
            views: views.into_iter().flatten().collect(),
            data_hash,
            small_objects: None,
        }
    }

    /// The same with objects that augmentation pastes into patches.
    #[must_use]
    pub fn with_small_objects(self, small_objects: Option<SmallObjects>) -> Self {
        Self { small_objects, ..self }
    }

    /// These objects.
    pub fn small_objects(&self) -> Option<&SmallObjects> {
        self.small_objects.as_ref()
    }

    /// How many patches there are.
    pub fn len(&self) -> usize {
        self.patches.len()
    }

    /// Whether there is no patch at all.
    pub fn is_empty(&self) -> bool {
        self.patches.is_empty()
    }

    /// The readable patches, in the order in which they were given.
    pub fn patches(&self) -> &[Patch] {
        &self.patches
    }

    /// Columns and rows of every patch, in pixels.
    pub fn side(&self) -> u32 {
        self.side
    }

    /// The class of a patch.
    ///
    /// # Panics
    /// If `index` is not below [`PatchStore::len`].
    pub fn class_of(&self, index: usize) -> ClassId {
        self.patches[index].class
    }

    /// The pixels of a patch: rows, columns, RGB.
    ///
    /// # Errors
    /// Those of [`PatchStore::view`].
    ///
    /// # Panics
    /// If `index` is not below [`PatchStore::len`].
    pub fn pixels(&self, index: usize) -> Result<Cow<'_, [u8]>, DataError> {
        let side = self.side as usize;
        match self.view(index)? {
            View { pixels, width, height, .. } if (width, height) == (side, side) => Ok(pixels),
            view => Ok(Cow::Owned(view.patch(side).into_owned())),
        }
    }

    /// A patch with its surroundings, as far as its margin and the image reach.
    ///
    /// # Errors
    /// Those of [`read_rgb`], where the pixels are not kept and the file is no longer what it was.
    ///
    /// # Panics
    /// If `index` is not below [`PatchStore::len`].
    pub fn view(&self, index: usize) -> Result<View<'_>, DataError> {
        let patch = &self.patches[index];
        match self.views.get(index) {
            Some(view) => Ok(View { pixels: Cow::Borrowed(&view.pixels), ..*view }),
            None => extract(&read_rgb(&patch.path)?, patch, self.side),
        }
    }

    /// Appends to `batch` a patch in the way that is drawn for it, as [`Augment::append`] does.
    ///
    /// # Errors
    /// Those of [`PatchStore::view`].
    ///
    /// # Panics
    /// If `index` is not below [`PatchStore::len`].
    pub(crate) fn append(
        &self,
        batch: &mut Vec<u8>,
        index: usize,
        augment: Augment,
        key: [u64; 3],
    ) -> Result<(), DataError> {
        let side = self.side as usize;
        let mut view = self.view(index)?;
        if let Some(objects) = self.small_objects.as_ref().filter(|_| augment.has(Change::CopyPaste)) {
            objects.paste(&mut view, &self.patches[index], side, key);
        }
        augment.append(batch, &view, side, key);
        Ok(())
    }

    /// SHA-256, as hexadecimal digits, over the sorted SHA-256 hashes of the patches' pixels: the same for the same
    /// patches in any order and from any folder.
    pub fn data_hash(&self) -> String {
        self.data_hash.clone()
    }
}

/// Cuts all patches of one image.
fn prepare(
    path: &Path,
    places: &[usize],
    patches: &[Patch],
    side: u32,
    keep: bool,
) -> Result<Vec<Prepared>, DataError> {
    let image = read_rgb(path)?;
    places
        .iter()
        .map(|&place| {
            let patch = &patches[place];
            let view = extract(&image, patch, side)?;
            // The hash must not depend on how much of the surroundings is wanted.
            let alone = extract(&image, &Patch { margin: 0, ..patch.clone() }, side)?;
            let hash = Sha256::digest(&alone.pixels).into();
            Ok((place, keep.then_some(view), hash))
        })
        .collect()
}

/// A patch resized to `side` pixels, with its surroundings resized by as much.
fn extract(image: &RgbImage, patch: &Patch, side: u32) -> Result<View<'static>, DataError> {
    let view = |image: RgbImage, [left, top]: [u32; 2]| View {
        width: image.width() as usize,
        height: image.height() as usize,
        left: left as usize,
        top: top as usize,
        pixels: image.into_raw().into(),
    };
    let Some(crop) = patch.crop else { return Ok(view(resize(image, Size::new(side, side))?, [0, 0])) };
    let (piece, inner) = surroundings(image, crop, patch.margin);
    let scale = f64::from(side) / f64::from(crop.side);
    let scaled = |pixels: u32| (f64::from(pixels) * scale).round() as u32;
    // The parts before, in and after the patch are rounded one by one, so that the patch has its side exactly.
    let span = |whole: u32, before: u32| scaled(before) + side + scaled(whole - before - crop.side);
    let size = Size::new(span(piece.width(), inner[0]), span(piece.height(), inner[1]));
    Ok(view(resize(&piece, size)?, inner.map(scaled)))
}

/// The most bytes that a patch takes with its surroundings.
fn most_bytes(patch: &Patch, side: u32) -> u64 {
    let crop_side = patch.crop.map_or(1, |Crop { side, .. }| side.max(1));
    let margin = u64::from(patch.margin) * u64::from(side) / u64::from(crop_side);
    3 * (u64::from(side) + 2 * margin).pow(2)
}

fn problem(path: &Path, places: &[usize], error: &DataError) -> Problem {
    let message = match places.len() {
        1 => error.to_string(),
        count => format!("{error}; its {count} patches are left out"),
    };
    Problem { path: path.to_owned(), message }
}

fn combined_hash(mut hashes: Vec<[u8; 32]>) -> String {
    hashes.sort_unstable();
    let mut all = Sha256::new();
    for hash in &hashes {
        all.update(hash);
    }
    hex(&all.finalize())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Crop, Split};
    use image::Rgb;
    use std::path::PathBuf;

    fn patch(path: &Path, crop: Option<Crop>, class: usize) -> Patch {
        Patch { path: path.to_owned(), crop, margin: 0, class: ClassId(class), split: Split::Train }
    }

    fn field(folder: &Path) -> PathBuf {
        let path = folder.join("field.png");
        RgbImage::from_fn(20, 10, |x, y| Rgb([x as u8, y as u8, 0])).save(&path).unwrap();
        path
    }

    #[test]
    fn keeps_order_drops_the_unreadable_and_cuts_windows() {
        let folder = tempfile::tempdir().unwrap();
        let path = field(folder.path());
        let broken = folder.path().join("broken.png");
        std::fs::write(&broken, b"no image").unwrap();
        let crop = |left| Some(Crop { left, top: 2, side: 4 });
        let patches = vec![
            patch(&path, crop(9), 1),
            patch(&broken, None, 0),
            patch(&path, crop(3), 0),
            patch(&broken, crop(1), 1),
        ];
        let (store, problems) = PatchStore::open(patches, 4, DEFAULT_MEMORY_BUDGET);
        assert_eq!(store.len(), 2);
        assert_eq!((store.class_of(0), store.class_of(1)), (ClassId(1), ClassId(0)));
        assert_eq!(&store.pixels(0).unwrap()[..6], [9, 2, 0, 10, 2, 0]);
        assert_eq!(&store.pixels(1).unwrap()[..6], [3, 2, 0, 4, 2, 0]);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].path, broken);
        assert!(problems[0].message.contains("2 patches"), "{}", problems[0].message);
    }

    #[test]
    fn a_small_budget_changes_where_pixels_are_and_not_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = field(folder.path());
        let patches = vec![patch(&path, None, 0), patch(&path, Some(Crop { left: -2, top: 0, side: 7 }), 1)];
        let (kept, _) = PatchStore::open(patches.clone(), 5, 2 * 75);
        let (dropped, _) = PatchStore::open(patches, 5, 2 * 75 - 1);
        assert!(matches!(kept.pixels(0).unwrap(), Cow::Borrowed(_)));
        assert!(matches!(dropped.pixels(0).unwrap(), Cow::Owned(_)));
        for index in 0..2 {
            assert_eq!(kept.pixels(index).unwrap(), dropped.pixels(index).unwrap());
        }
        assert_eq!(kept.data_hash(), dropped.data_hash());
        std::fs::remove_file(&path).unwrap();
        assert!(kept.pixels(1).is_ok());
        assert!(matches!(dropped.pixels(1), Err(DataError::Read { .. })));
    }

    #[test]
    fn data_hash_ignores_order_and_sees_pixels() {
        let folder = tempfile::tempdir().unwrap();
        let path = field(folder.path());
        let at = |left| patch(&path, Some(Crop { left, top: 0, side: 4 }), 0);
        let hash = |patches| PatchStore::open(patches, 4, DEFAULT_MEMORY_BUDGET).0.data_hash();
        assert_eq!(hash(vec![at(0), at(5)]), hash(vec![at(5), at(0)]));
        assert_ne!(hash(vec![at(0), at(5)]), hash(vec![at(0), at(6)]));
        assert_eq!(hash(vec![]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
