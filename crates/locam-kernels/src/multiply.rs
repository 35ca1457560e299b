//! The block of a matrix product that stays in registers; everything that multiplies comes down to it.

use crate::simd::Simd;

/// Sums of `R` rows by `V` vectors of columns.
pub(crate) type Block<S, const R: usize, const V: usize> = [[S; V]; R];

/// Adds rows times a panel to the block.
///
/// Row `r` is `words` words at `rows[r]`; the panel has a row of `V` vectors for each of these words.
///
/// # Safety
/// As [`Simd`]; the rows and the panel are as long as said.
#[inline(always)]
pub(crate) unsafe fn add_product<S: Simd, const R: usize, const V: usize>(
    block: &mut Block<S, R, V>,
    rows: &[*const S::Stored; R],
    words: usize,
    panel: *const S::Stored,
) {
    let mut panel = panel;
    for word in 0..words {
        let mut columns = [unsafe { S::zero() }; V];
        for (v, column) in columns.iter_mut().enumerate() {
            // SAFETY: the panel has `words` rows of `V` vectors.
            *column = unsafe { S::read_words(panel.add(v * S::LANES * S::PER_WORD)) };
        }
        for (row, sums) in rows.iter().zip(block.iter_mut()) {
            // SAFETY: the row has `words` words.
            let value = unsafe { S::splat_word(row.add(word * S::PER_WORD)) };
            for (sum, column) in sums.iter_mut().zip(columns) {
                // SAFETY: the caller has the instruction set.
                *sum = unsafe { sum.dot(value, column) };
            }
        }
        // SAFETY: at most one past the panel's end.
        panel = unsafe { panel.add(V * S::LANES * S::PER_WORD) };
    }
}

/// Adds a sum of outer products to the block: for each of `count` pixels `R` values at `left[pixel]` times `V` vectors
/// at `right + pixel * pitch`.
///
/// # Safety
/// As [`Simd`]; there are `count` pointers, with `R` values each, and as many rows of `V` vectors.
#[inline(always)]
pub(crate) unsafe fn add_outer_products<S: Simd<Stored = f32>, const R: usize, const V: usize>(
    block: &mut Block<S, R, V>,
    left: impl Fn(usize) -> *const f32,
    right: *const f32,
    pitch: usize,
    count: usize,
) {
    for pixel in 0..count {
        let mut columns = [unsafe { S::zero() }; V];
        for (v, column) in columns.iter_mut().enumerate() {
            // SAFETY: the row of this pixel has `V` vectors.
            *column = unsafe { S::load(right.add(pixel * pitch + v * S::LANES)) };
        }
        let row = left(pixel);
        for (r, sums) in block.iter_mut().enumerate() {
            // SAFETY: there are `R` values at the pixel.
            let value = unsafe { S::splat(*row.add(r)) };
            for (sum, column) in sums.iter_mut().zip(columns) {
                // SAFETY: the caller has the instruction set.
                *sum = unsafe { value.mul_add(column, *sum) };
            }
        }
    }
}

/// A block of zeros.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
pub(crate) unsafe fn zero_block<S: Simd, const R: usize, const V: usize>() -> Block<S, R, V> {
    // SAFETY: the caller has the instruction set.
    [[unsafe { S::zero() }; V]; R]
}

/// Calls `$body` with the constant `$r` set to `$rows`, which is at most `$most` (itself at most 6).
macro_rules! with_rows {
    ($rows:expr, $r:ident => $body:expr) => {
        match $rows {
            1 => {
                const $r: usize = 1;
                $body
            }
            2 => {
                const $r: usize = 2;
                $body
            }
            3 => {
                const $r: usize = 3;
                $body
            }
            4 => {
                const $r: usize = 4;
                $body
            }
            5 => {
                const $r: usize = 5;
                $body
            }
            _ => {
                const $r: usize = 6;
                $body
            }
        }
    };
}
pub(crate) use with_rows;
