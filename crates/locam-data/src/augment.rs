//! Changes to training patches that leave their class as it is.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Which random changes are made to training patches. Cells have no up or down, so both default to on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Mirror left to right and top to bottom, each with probability 1/2.
    pub flips: bool,
    /// Turn by 0, 90, 180 or 270 degrees, each with probability 1/4.
    pub turns: bool,
}

impl Default for Augment {
    fn default() -> Self {
        Self { flips: true, turns: true }
    }
}

impl Augment {
    /// Patches as they are.
    pub const NONE: Self = Self { flips: false, turns: false };

    /// Appends to `batch` one square patch (`pixels`: rows, columns, RGB) in the way drawn for it.
    ///
    /// The draw depends on `key` alone: the seed, the epoch and the sample's index. So it is the same whichever
    /// thread makes it.
    ///
    /// # Panics
    /// If `pixels` has not 3 * `side` * `side` bytes.
    pub fn append(self, batch: &mut Vec<u8>, pixels: &[u8], side: usize, key: [u64; 3]) {
        assert_eq!(pixels.len(), 3 * side * side, "a patch of {side}x{side} RGB pixels");
        self.draw(key).append(batch, pixels, side);
    }

    fn draw(self, key: [u64; 3]) -> Symmetry {
        let bits = seeded(key).next_u32();
        let bit = |place: u32| bits >> place & 1 == 1;
        // A turn by 90 degrees is a transposition followed by a mirroring; one by 180 mirrors both ways.
        let turned = match bits >> 2 & 3 {
            _ if !self.turns => Symmetry::default(),
            0 => Symmetry::default(),
            1 => Symmetry { transpose: true, mirror_x: true, mirror_y: false },
            2 => Symmetry { transpose: false, mirror_x: true, mirror_y: true },
            _ => Symmetry { transpose: true, mirror_x: false, mirror_y: true },
        };
        Symmetry {
            transpose: turned.transpose,
            mirror_x: turned.mirror_x ^ (self.flips && bit(0)),
            mirror_y: turned.mirror_y ^ (self.flips && bit(1)),
        }
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

/// One of the eight symmetries of a square: transposed first, then mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Symmetry {
    transpose: bool,
    mirror_x: bool,
    mirror_y: bool,
}

impl Symmetry {
    fn append(self, batch: &mut Vec<u8>, pixels: &[u8], side: usize) {
        if self == Self::default() {
            batch.extend_from_slice(pixels);
            return;
        }
        batch.reserve(pixels.len());
        for y in 0..side {
            let y = if self.mirror_y { side - 1 - y } else { y };
            for x in 0..side {
                let x = if self.mirror_x { side - 1 - x } else { x };
                let source = if self.transpose { x * side + y } else { y * side + x };
                batch.extend_from_slice(&pixels[3 * source..3 * source + 3]);
            }
        }
    }
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

    fn all_outcomes(augment: Augment) -> BTreeSet<Vec<u8>> {
        (0..200)
            .map(|index| {
                let mut out = Vec::new();
                augment.append(&mut out, numbered().as_raw(), SIDE as usize, [1, 2, index]);
                out
            })
            .collect()
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
        assert_eq!(all_outcomes(Augment { flips: false, turns: true }), expected);
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
        assert_eq!(all_outcomes(Augment { flips: true, turns: false }), expected);
    }

    #[test]
    fn both_give_all_eight_symmetries_and_none_gives_the_patch() {
        assert_eq!(all_outcomes(Augment::default()).len(), 8);
        assert_eq!(all_outcomes(Augment::NONE), BTreeSet::from([numbered().into_raw()]));
    }

    #[test]
    fn the_key_alone_decides() {
        let draw = |key| Augment::default().draw(key);
        assert_eq!(draw([1, 2, 3]), draw([1, 2, 3]));
        for part in 0..3 {
            let key = |value| std::array::from_fn(|i| if i == part { value } else { 0 });
            let differing = (1..50).filter(|&value| draw(key(value)) != draw(key(0))).count();
            assert!(differing > 25, "part {part} of the key matters too rarely: {differing}");
        }
    }
}
