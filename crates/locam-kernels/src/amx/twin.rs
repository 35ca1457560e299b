//! Products of tiles in plain Rust, for tests on CPUs without them: it reads the same values, and a sanitizer sees it. Nothing
//! else calls it.

use super::{Factors, Sums, TILE_COLUMNS};
use crate::Bf16;
use std::ops::Range;

/// # Safety
/// As [`super::Tiles::add_products`], but for the instructions.
pub(super) unsafe fn add_products(factors: &Factors<'_>, steps: Range<usize>, sums: &mut Sums) {
    if steps.start == 0 {
        *sums = Sums::zeroed();
    }
    let read = |from: *const u8, number: usize| {
        // SAFETY: the caller vouches for so many values.
        Bf16(u16::from_le_bytes(unsafe { *from.cast::<[u8; 2]>().add(number) })).to_f32()
    };
    for (tile, sums) in sums.0.chunks_mut(factors.rows.len()).enumerate().take(factors.columns) {
        for (&first, sums) in factors.rows.iter().zip(sums) {
            for (row, sums) in sums.iter_mut().enumerate() {
                for step in steps.clone() {
                    let values =
                        first.wrapping_add(row * factors.row_stride).wrapping_offset(factors.steps[step]);
                    let weights = factors.weights_of(step, tile);
                    for (column, sum) in sums.iter_mut().enumerate() {
                        let weight = |k: usize| read(weights, (k / 2 * TILE_COLUMNS + column) * 2 + k % 2);
                        *sum += (0..factors.depth).map(|k| read(values, k) * weight(k)).sum::<f32>();
                    }
                }
            }
        }
    }
}
