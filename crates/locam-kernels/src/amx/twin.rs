//! Products of tiles in plain Rust, for tests on CPUs without them: it reads the same values, and a sanitizer sees it. Nothing
//! else calls it.

use super::{BLOCK_COLUMNS, Factors, Sums, TILE_ROWS};
use crate::Bf16;

/// # Safety
/// As [`super::multiply`], but for the instructions.
pub(super) unsafe fn multiply(factors: &Factors<'_>, sums: &mut Sums) {
    let read = |from: *const u8, number: usize| {
        // SAFETY: the caller vouches for so many values.
        Bf16(u16::from_le_bytes(unsafe { *from.cast::<[u8; 2]>().add(number) })).to_f32()
    };
    for (row, sums) in sums.0.iter_mut().enumerate() {
        *sums = [0.0; BLOCK_COLUMNS];
        let (first, second) = factors.rows;
        let tile = if row < TILE_ROWS { Some(first) } else { second };
        let Some(tile) = tile else { return };
        let first = tile.wrapping_add(row % TILE_ROWS * factors.row_stride);
        let columns = (0..).map(|step| factors.columns.wrapping_add(step * factors.column_step()));
        for (&step, columns) in factors.steps.iter().zip(columns) {
            let values = first.wrapping_offset(step);
            for (column, sum) in sums.iter_mut().enumerate() {
                let product = |k: usize| {
                    let weight = k / 2 * 2 * BLOCK_COLUMNS + 2 * column + k % 2;
                    read(values, k) * read(columns, weight)
                };
                *sum += (0..factors.depth).map(product).sum::<f32>();
            }
        }
    }
}
