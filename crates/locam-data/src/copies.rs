//! Images that show the same: a score on a test image that was trained on says nothing.
//!
//! Identical images are told by a hash of their pixels, so that another file format makes no difference. Near copies
//! (compressed again, resized, brightened, mirrored or turned by right angles) are told in two steps: candidates by a
//! perceptual hash, the signs of differences between neighbouring blocks (the "difference hash"), and of those the ones
//! whose thumbnails correlate. The hash alone takes any two cells on an even background for each other.

use crate::store::hex;
use crate::{DataError, Dataset, Label, read_rgb, resize};
use image::RgbImage;
use locam_core::Size;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Columns and rows of a thumbnail.
const SIDE: usize = 36;
/// Columns and rows of blocks of a thumbnail, one more than bits of the hash in a row.
const BLOCKS: usize = 9;
/// So many of the hash's 64 bits at most may differ between near copies.
const MOST_BITS: u32 = 12;
/// Thumbnails of near copies correlate at least so much.
const LEAST_CORRELATION: f32 = 0.985;
/// Thumbnails of lower contrast (standard deviation of grey values in 0..=255) show nothing that could be compared.
const LEAST_CONTRAST: f32 = 3.0;
/// The four right angles, plain and mirrored.
const SYMMETRIES: usize = 8;

/// What an image shows, in little.
#[derive(Clone, Debug)]
pub struct Fingerprint {
    pub(crate) size: Size,
    /// SHA-256 of size and pixels.
    pixels: [u8; 32],
    /// Nothing for an image of a single shade.
    sight: Option<Sight>,
}

/// A thumbnail with its perceptual hashes.
#[derive(Clone, Debug)]
struct Sight {
    /// Grey values, rows of [`SIDE`], with a mean of 0 and a sum of squares of 1.
    grey: Vec<f32>,
    /// Of the thumbnail in every symmetry.
    hashes: [u64; SYMMETRIES],
}

/// Images of a list that show the same, by their places in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// Groups of two and more images with the same pixels.
    pub identical: Vec<Vec<usize>>,
    /// Pairs of images that differ in little. Of identical images only the first is named.
    pub near: Vec<(usize, usize)>,
}

/// Decodes every image of a data set, in parallel. Images that can't be read have none.
pub fn fingerprints(data: &Dataset) -> Vec<Option<Fingerprint>> {
    data.items.par_iter().map(|item| Fingerprint::read(&item.path).ok()).collect()
}

impl Fingerprint {
    /// That of an image file.
    ///
    /// # Errors
    /// Those of [`read_rgb`].
    pub fn read(path: &Path) -> Result<Self, DataError> {
        Self::of(&read_rgb(path)?)
    }

    pub(crate) fn of(image: &RgbImage) -> Result<Self, DataError> {
        let size = Size::new(image.width(), image.height());
        let mut hash = Sha256::new();
        hash.update(size.width.to_le_bytes());
        hash.update(size.height.to_le_bytes());
        hash.update(image.as_raw());
        Ok(Self { size, pixels: hash.finalize().into(), sight: Sight::of(image)? })
    }

    /// SHA-256 of size and pixels, as hexadecimal digits: the same for the same image in any file format.
    pub fn pixel_hash(&self) -> String {
        hex(&self.pixels)
    }
}

impl Sight {
    fn of(image: &RgbImage) -> Result<Option<Self>, DataError> {
        let small = resize(image, Size::new(SIDE as u32, SIDE as u32))?;
        let mut grey: Vec<f32> = small
            .pixels()
            .map(|pixel| pixel.0.iter().map(|&value| f32::from(value)).sum::<f32>() / 3.0)
            .collect();
        let mean = grey.iter().sum::<f32>() / grey.len() as f32;
        for value in &mut grey {
            *value -= mean;
        }
        let length = grey.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length < LEAST_CONTRAST * SIDE as f32 {
            return Ok(None);
        }
        for value in &mut grey {
            *value /= length;
        }
        let hashes = std::array::from_fn(|symmetry| difference_hash(&in_symmetry(&grey, symmetry)));
        Ok(Some(Self { grey, hashes }))
    }

    /// Whether one of the symmetries of the other shows the same.
    fn is_near(&self, other: &Self) -> bool {
        (0..SYMMETRIES).any(|symmetry| {
            (self.hashes[0] ^ other.hashes[symmetry]).count_ones() <= MOST_BITS
                && dot(&self.grey, &in_symmetry(&other.grey, symmetry)) >= LEAST_CORRELATION
        })
    }
}

/// A thumbnail mirrored (for odd numbers) and turned.
fn in_symmetry(grey: &[f32], symmetry: usize) -> Vec<f32> {
    let last = SIDE - 1;
    let source = |row: usize, column: usize| {
        let column = if symmetry % 2 == 1 { last - column } else { column };
        match symmetry / 2 {
            0 => (row, column),
            1 => (column, last - row),
            2 => (last - row, last - column),
            _ => (last - column, row),
        }
    };
    let places = (0..SIDE).flat_map(|row| (0..SIDE).map(move |column| (row, column)));
    places.map(|(row, column)| source(row, column)).map(|(row, column)| grey[row * SIDE + column]).collect()
}

/// For each of 8 rows of 9 blocks, whether each block is darker than the next.
fn difference_hash(grey: &[f32]) -> u64 {
    let side = SIDE / BLOCKS;
    let block = |row: usize, column: usize| -> f32 {
        (row * side..(row + 1) * side)
            .map(|y| grey[y * SIDE + column * side..][..side].iter().sum::<f32>())
            .sum()
    };
    let bits = (0..BLOCKS - 1).flat_map(|row| (0..BLOCKS - 1).map(move |column| (row, column)));
    bits.fold(0, |hash, (row, column)| hash << 1 | u64::from(block(row, column) < block(row, column + 1)))
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Copies {
    /// The copies among images; `None` for one that could not be read.
    pub fn among(prints: &[Option<Fingerprint>]) -> Self {
        let mut by_pixels: BTreeMap<&[u8; 32], Vec<usize>> = BTreeMap::new();
        for (place, print) in prints.iter().enumerate() {
            if let Some(print) = print {
                by_pixels.entry(&print.pixels).or_default().push(place);
            }
        }
        let mut groups: Vec<Vec<usize>> = by_pixels.into_values().collect();
        groups.sort();
        let sights: Vec<(usize, &Sight)> = groups
            .iter()
            .filter_map(|group| Some((group[0], prints[group[0]].as_ref()?.sight.as_ref()?)))
            .collect();
        let near_to = |i: usize| -> Vec<(usize, usize)> {
            let (first, sight) = sights[i];
            let later = sights[i + 1..].iter();
            later.filter(|(_, other)| sight.is_near(other)).map(|&(second, _)| (first, second)).collect()
        };
        let near = (0..sights.len()).into_par_iter().flat_map_iter(near_to).collect();
        groups.retain(|group| group.len() > 1);
        Self { identical: groups, near }
    }

    /// Groups of two and more images that show the same, directly or by way of others.
    pub fn groups(&self, images: usize) -> Vec<Vec<usize>> {
        let pairs = self.identical.iter().flat_map(|group| group[1..].iter().map(|&other| (group[0], other)));
        let mut groups = connected(images, pairs.chain(self.near.iter().copied()));
        groups.retain(|group| group.len() > 1);
        groups
    }

    /// Groups of identical images that differ in `property`.
    pub(crate) fn differing<P: Ord>(&self, property: impl Fn(usize) -> P) -> Vec<Vec<usize>> {
        let differs =
            |group: &&Vec<usize>| group.iter().map(|&i| property(i)).collect::<BTreeSet<P>>().len() > 1;
        self.identical.iter().filter(differs).cloned().collect()
    }

    /// Groups of identical images that are labelled with more than one class.
    pub fn contradictions(&self, data: &Dataset) -> Vec<Vec<usize>> {
        self.differing(|i| match data.items[i].label {
            Label::Class(class) => Some(class),
            Label::Objects(_) => None,
        })
    }

    /// The data set with images that show the same in one group, so that they never straddle a split that is drawn.
    pub fn kept_together(&self, data: &Dataset) -> Dataset {
        let mut data = data.clone();
        let copies = self.groups(data.items.len());
        if copies.is_empty() {
            return data;
        }
        let mut by_group: BTreeMap<&str, usize> = BTreeMap::new();
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        for (i, item) in data.items.iter().enumerate() {
            if let Some(group) = &item.group {
                pairs.push((*by_group.entry(group).or_insert(i), i));
            }
        }
        pairs.extend(copies.iter().flat_map(|group| group[1..].iter().map(|&other| (group[0], other))));
        let joined: BTreeSet<usize> = copies.into_iter().flatten().collect();
        for group in connected(data.items.len(), pairs) {
            if group.iter().any(|i| joined.contains(i)) {
                let first = &data.items[group[0]];
                let name = first.path.strip_prefix(&data.root).unwrap_or(&first.path).display().to_string();
                for i in group {
                    data.items[i].group = Some(name.clone());
                }
            }
        }
        data
    }
}

/// All of `0..count` in groups that pairs connect, each sorted.
fn connected(count: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    fn root(parents: &mut [usize], mut of: usize) -> usize {
        while parents[of] != of {
            parents[of] = parents[parents[of]];
            of = parents[of];
        }
        of
    }
    let mut parents: Vec<usize> = (0..count).collect();
    for (a, b) in pairs {
        let (a, b) = (root(&mut parents, a), root(&mut parents, b));
        parents[a.max(b)] = a.min(b);
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for i in 0..count {
        groups.entry(root(&mut parents, i)).or_default().push(i);
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests;
