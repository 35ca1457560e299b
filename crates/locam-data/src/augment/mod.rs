//! Changes to training patches that leave their class as it is, and blends of two patches with both their classes.

mod blend;
mod camera;
mod colour;
mod copy_paste;
mod draw;
mod geometry;
mod symmetry;

pub use blend::Blend;
pub use copy_paste::SmallObjects;

use crate::{DataError, View};
use geometry::Warp;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use symmetry::Symmetry;

/// Rows of pixels (red, green, blue) from 0 to 255, and beyond on the way.
type Picture = Vec<[f32; 3]>;

/// How much of a patch's side must be known around it, so that a patch with smaller objects shows what is there. What
/// is not known is mirrored.
pub const AUGMENT_MARGIN: f64 = 0.35;

/// One kind of random change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// Mirrors left to right and top to bottom.
    Flips,
    /// Turns by right angles.
    Turns,
    /// Turns by any angle.
    Rotation,
    /// Turns by up to ten degrees either way.
    Tilt,
    /// Makes objects 0.6 to 1.7 times as large.
    Scale,
    /// Moves objects off the middle, by up to 0.15 of the patch.
    Shift,
    /// Changes strength and colour of dyes, haematoxylin and eosin or Giemsa's.
    Stain,
    /// Changes hue, saturation, white balance and gamma.
    Colour,
    /// Lets the light fall off to a side and to the corners.
    Light,
    /// Blurs or sharpens.
    Blur,
    /// Adds a sensor's noise.
    Noise,
    /// Compresses as a JPEG file.
    Jpeg,
    /// Hides a box.
    CutOut,
    /// Mixes two patches of a batch and their classes (Zhang et al., 2018).
    MixUp,
    /// Puts a box of another patch of the batch into a patch, with its part of the class (Yun et al., 2019).
    CutMix,
    /// Makes objects 0.8 to 1.25 times as large, where images are brought to one scale; nothing beside `Scale`.
    Zoom,
    /// Pastes crowds of small objects of other classes beside what is sought (after Ghiasi et al., 2021).
    CopyPaste,
}

impl Change {
    /// Every change with its word.
    pub const ALL: [(&'static str, Self); 17] = [
        ("flips", Self::Flips),
        ("turns", Self::Turns),
        ("rotation", Self::Rotation),
        ("tilt", Self::Tilt),
        ("scale", Self::Scale),
        ("zoom", Self::Zoom),
        ("shift", Self::Shift),
        ("stain", Self::Stain),
        ("colour", Self::Colour),
        ("light", Self::Light),
        ("blur", Self::Blur),
        ("noise", Self::Noise),
        ("jpeg", Self::Jpeg),
        ("cut-out", Self::CutOut),
        ("copy-paste", Self::CopyPaste),
        ("mixup", Self::MixUp),
        ("cutmix", Self::CutMix),
    ];
}

/// Which random changes are made to training patches: as text a preset's name, or the words of [`Change::ALL`]
/// separated by commas. A minus takes back what stands before it: `microscopy,-scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Augment {
    /// A bit for each change.
    changes: u32,
}

impl Augment {
    /// Patches as they are.
    pub const NONE: Self = Self { changes: 0 };

    /// What leaves nearly every object what it is: nothing is mirrored, or turned by more than ten degrees.
    pub const PHOTO: Self = {
        use Change::{Blur, Colour, CutOut, Jpeg, Light, Noise, Scale, Shift, Tilt};
        Self::of(&[Tilt, Scale, Shift, Colour, Light, Blur, Noise, Jpeg, CutOut])
    };

    /// Every preset with its name: what suits stained cells, which have no up or down, photographs, and characters, and
    /// nothing at all.
    pub const PRESETS: [(&'static str, Self); 4] = {
        use Change::{
            Blur, Colour, CopyPaste, CutOut, Flips, Jpeg, Light, Noise, Rotation, Scale, Shift, Stain, Tilt,
        };
        [
            (
                "microscopy",
                Self::of(&[
                    Flips, Rotation, Scale, Shift, Stain, Colour, Light, Blur, Noise, Jpeg, CutOut, CopyPaste,
                ]),
            ),
            ("photo", Self::PHOTO),
            ("characters", Self::of(&[Tilt, Scale, Shift, Light, Blur, Noise])),
            ("none", Self::NONE),
        ]
    };

    const fn of(changes: &[Change]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < changes.len() {
            bits |= 1 << changes[i] as u16;
            i += 1;
        }
        Self { changes: bits }
    }

    /// Whether the change is made.
    pub const fn has(self, change: Change) -> bool {
        self.changes >> change as u16 & 1 == 1
    }

    /// The same with or without a change.
    #[must_use]
    pub const fn with(self, change: Change, made: bool) -> Self {
        self.with_all(Self::of(&[change]), made)
    }

    const fn with_all(self, other: Self, made: bool) -> Self {
        Self { changes: if made { self.changes | other.changes } else { self.changes & !other.changes } }
    }

    /// Whether patches come to show what lies around them.
    pub const fn reaches_out(self) -> bool {
        self.has(Change::Rotation)
            || self.has(Change::Tilt)
            || self.has(Change::Scale)
            || self.has(Change::Zoom)
            || self.has(Change::Shift)
    }

    /// Appends to `batch` one square patch of `side` by `side` RGB pixels in the way drawn for it. Blends of patches are
    /// made of the whole batch, and [`SmallObjects`] pasted before.
    ///
    /// The draw depends on `key` alone: the seed, the epoch and the sample's index. So it is the same whichever
    /// thread makes it.
    ///
    /// # Panics
    /// If `view` does not hold the patch.
    pub fn append(self, batch: &mut Vec<u8>, view: &View<'_>, side: usize, key: [u64; 3]) {
        let warp = Warp::random(self, key);
        let symmetry = Symmetry::random(self, key);
        let start = batch.len();
        if warp.is_none() {
            symmetry.append(batch, &view.patch(side), side);
        }
        if warp.is_some() || self.changes_values() {
            let mut picture = match &warp {
                Some(warp) => warp.apply(view, side),
                None => batch
                    .drain(start..)
                    .as_slice()
                    .as_chunks()
                    .0
                    .iter()
                    .map(|rgb| rgb.map(f32::from))
                    .collect(),
            };
            colour::change(&mut picture, side, self, key);
            camera::degrade(&mut picture, side, self, key);
            batch.extend(picture.as_flattened().iter().map(|value| value.round().clamp(0.0, 255.0) as u8));
        }
        camera::compress(&mut batch[start..], side, self, key);
    }

    /// Whether colours are worked on.
    const fn changes_values(self) -> bool {
        let with = Self::of(&[
            Change::Stain,
            Change::Colour,
            Change::Light,
            Change::Blur,
            Change::Noise,
            Change::CutOut,
        ]);
        self.changes & with.changes != 0
    }
}

impl FromStr for Augment {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let mut all = Self::NONE;
        for word in text.split(',').map(str::trim) {
            let (word, made) = word.strip_prefix('-').map_or((word, true), |rest| (rest, false));
            let preset = Self::PRESETS.iter().find(|(name, _)| *name == word).map(|(_, augment)| *augment);
            let change = Change::ALL.iter().find(|(name, _)| *name == word);
            let Some(one) = preset.or(change.map(|(_, change)| Self::of(&[*change]))) else {
                let presets = Self::PRESETS.map(|(name, _)| name).join(", ");
                let changes = Change::ALL.map(|(name, _)| name).join(", ");
                return Err(DataError::UnknownChange { name: word.to_owned(), presets, changes });
            };
            all = all.with_all(one, made);
        }
        Ok(all)
    }
}

impl TryFrom<String> for Augment {
    type Error = DataError;

    fn try_from(text: String) -> Result<Self, DataError> {
        text.parse()
    }
}

impl From<Augment> for String {
    fn from(augment: Augment) -> Self {
        augment.to_string()
    }
}

impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = Self::PRESETS.iter().find(|(_, preset)| preset == self) {
            return f.write_str(name);
        }
        let words = Change::ALL.iter().filter(|(_, change)| self.has(*change)).map(|(name, _)| *name);
        f.write_str(&words.collect::<Vec<_>>().join(","))
    }
}

/// A generator for one purpose, from numbers that name it.
pub(crate) fn seeded(key: [u64; 3]) -> ChaCha8Rng {
    let mut seed = [0; 32];
    for (bytes, part) in seed.chunks_exact_mut(8).zip(key) {
        bytes.copy_from_slice(&part.to_le_bytes());
    }
    ChaCha8Rng::from_seed(seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{RgbImage, imageops};
    use std::collections::BTreeSet;

    const SIDE: u32 = 5;

    fn numbered() -> RgbImage {
        RgbImage::from_fn(SIDE, SIDE, |x, y| image::Rgb([x as u8, y as u8, 9]))
    }

    fn changed(augment: Augment, image: &RgbImage, key: [u64; 3]) -> Vec<u8> {
        let mut out = vec![7];
        let side = image.width() as usize;
        augment.append(&mut out, &View::of_patch(image.as_raw(), side), side, key);
        assert_eq!((out.len(), out.remove(0)), (3 * side * side + 1, 7));
        out
    }

    fn all_outcomes(words: &str) -> BTreeSet<Vec<u8>> {
        let augment = words.parse().unwrap();
        (0..200).map(|index| changed(augment, &numbered(), [1, 2, index])).collect()
    }

    #[test]
    fn turns_are_the_four_turns() {
        let image = numbered();
        let expected = BTreeSet::from([
            image.clone().into_raw(),
            imageops::rotate90(&image).into_raw(),
            imageops::rotate180(&image).into_raw(),
            imageops::rotate270(&image).into_raw(),
        ]);
        assert_eq!(all_outcomes("turns"), expected);
    }

    #[test]
    fn flips_are_the_mirror_images() {
        let image = numbered();
        let expected = BTreeSet::from([
            image.clone().into_raw(),
            imageops::flip_horizontal(&image).into_raw(),
            imageops::flip_vertical(&image).into_raw(),
            imageops::rotate180(&image).into_raw(),
        ]);
        assert_eq!(all_outcomes("flips"), expected);
    }

    #[test]
    fn both_give_all_eight_symmetries_and_none_gives_the_patch() {
        assert_eq!(all_outcomes("flips,turns").len(), 8);
        assert_eq!(all_outcomes("none"), BTreeSet::from([numbered().into_raw()]));
    }

    #[test]
    fn every_change_alone_changes_some_patches() {
        let image =
            RgbImage::from_fn(32, 32, |x, y| image::Rgb([(x * 7) as u8, (y * 7) as u8, (x * y / 5) as u8]));
        for (word, change) in Change::ALL {
            let augment = Augment::NONE.with(change, true);
            assert_eq!(augment.to_string(), word);
            if matches!(change, Change::MixUp | Change::CutMix | Change::CopyPaste) {
                assert_eq!(
                    changed(augment, &image, [1, 2, 3]),
                    *image.as_raw(),
                    "these need more than a patch"
                );
                continue;
            }
            let differing =
                (0..20).filter(|&index| changed(augment, &image, [1, 2, index]) != *image.as_raw()).count();
            assert!(differing >= 5, "{word} changed {differing} of 20");
        }
    }

    #[test]
    fn the_key_alone_decides() {
        let image = RgbImage::from_fn(16, 16, |x, y| image::Rgb([(x * 15) as u8, (y * 15) as u8, 9]));
        for (name, preset) in Augment::PRESETS {
            let draw = |key| changed(preset, &image, key);
            assert_eq!(draw([1, 2, 3]), draw([1, 2, 3]));
            for part in 0..3 {
                let key = |value| std::array::from_fn(|i| if i == part { value } else { 0 });
                let differing = (1..20).filter(|&value| draw(key(value)) != draw(key(0))).count();
                assert!(
                    preset == Augment::NONE || differing > 10,
                    "{name}: part {part} of the key: {differing}"
                );
            }
        }
    }

    #[test]
    fn words_go_there_and_back_and_unknown_ones_are_answered() {
        for words in
            ["microscopy", "photo", "characters", "none", "flips,turns", "stain", "scale,mixup,cutmix"]
        {
            assert_eq!(words.parse::<Augment>().unwrap().to_string(), words);
        }
        assert_eq!(" turns , flips".parse::<Augment>().unwrap().to_string(), "flips,turns");
        let without = "microscopy,-scale,zoom".parse::<Augment>().unwrap();
        let microscopy = "microscopy".parse::<Augment>().unwrap();
        assert_eq!(without, microscopy.with(Change::Scale, false).with(Change::Zoom, true));
        assert_eq!("photo,-photo".parse::<Augment>().unwrap(), Augment::NONE);
        assert!("microscopy,-scales".parse::<Augment>().unwrap_err().to_string().contains("`scales`"));
        let message = "flip".parse::<Augment>().unwrap_err().to_string();
        assert!(message.contains("microscopy, photo") && message.contains("flips, turns"), "{message}");
    }
}
