//! The eight symmetries of a square, without any change of a pixel's value.

use super::draw::Draw;
use super::{Augment, Change};

/// One of the eight symmetries of a square: transposed first, then mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Symmetry {
    pub(super) transpose: bool,
    pub(super) mirror_x: bool,
    pub(super) mirror_y: bool,
}

impl Symmetry {
    /// The one drawn for a patch.
    pub(super) fn random(augment: Augment, key: [u64; 3]) -> Self {
        let bits = Draw::new(key, None).bits();
        let bit = |place: u32| bits >> place & 1 == 1;
        // A turn by 90 degrees is a transposition followed by a mirroring; one by 180 mirrors both ways.
        let turned = match bits >> 2 & 3 {
            _ if !augment.has(Change::Turns) => Self::default(),
            0 => Self::default(),
            1 => Self { transpose: true, mirror_x: true, mirror_y: false },
            2 => Self { transpose: false, mirror_x: true, mirror_y: true },
            _ => Self { transpose: true, mirror_x: false, mirror_y: true },
        };
        let flips = augment.has(Change::Flips);
        Self {
            transpose: turned.transpose,
            mirror_x: turned.mirror_x ^ (flips && bit(0)),
            mirror_y: turned.mirror_y ^ (flips && bit(1)),
        }
    }

    /// Appends a square patch of RGB pixels, rearranged.
    pub(super) fn append(self, batch: &mut Vec<u8>, pixels: &[u8], side: usize) {
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

    /// Where a step in the changed patch leads in the patch.
    pub(super) fn source_of(self, [x, y]: [f32; 2]) -> [f32; 2] {
        let x = if self.mirror_x { -x } else { x };
        let y = if self.mirror_y { -y } else { y };
        if self.transpose { [y, x] } else { [x, y] }
    }
}
