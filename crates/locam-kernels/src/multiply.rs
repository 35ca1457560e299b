//! The block of a matrix product that stays in registers; everything that multiplies comes down to it.

use crate::Element;
use crate::simd::{Simd, load_up_to, read_up_to, store_up_to};

/// Sums of `R` rows by `V` vectors of columns.
pub(crate) type Block<S, const R: usize, const V: usize> = [[S; V]; R];

/// Evaluates `$body` with the constant `$constant` set to `$value`: one of those listed, or else the last.
macro_rules! with_constant {
    ($value:expr, $constant:ident => $body:expr, $($listed:literal)* else $last:literal) => {
        match $value {
            $($listed => {
                const $constant: usize = $listed;
                $body
            })*
            _ => {
                const $constant: usize = $last;
                $body
            }
        }
    };
}
pub(crate) use with_constant;

/// Evaluates `$body` with the constant `$r` set to `$rows`, which is at most 6.
macro_rules! with_rows {
    ($rows:expr, $r:ident => $body:expr) => {
        $crate::multiply::with_constant!($rows, $r => $body, 1 2 3 4 5 else 6)
    };
}
pub(crate) use with_rows;

/// Repeats `$body` with `$r` as each row of a block of `$rows` (at most 6), so that the rows stay in registers: a loop over them
/// would have the block written to memory.
macro_rules! each_row {
    ($rows:expr, $r:ident => $body:expr) => {
        each_row!(@ $rows, $r => $body, 0 1 2 3 4 5)
    };
    (@ $rows:expr, $r:ident => $body:expr, $($row:literal)*) => {
        $(if $row < $rows {
            let $r: usize = $row;
            $body
        })*
    };
}
pub(crate) use each_row;

/// Evaluates `$body` with the constant `$v` set to `$vectors`, which is below the vectors of a panel (at most 4).
macro_rules! with_vectors {
    ($vectors:expr, $v:ident => $body:expr) => {
        $crate::multiply::with_constant!($vectors, $v => $body, 1 2 else 3)
    };
}
pub(crate) use with_vectors;

/// The sums, over the taps of a window, of rows times the first `V` vectors of a panel.
///
/// Each tap has `R` rows of `words` words; the panels of all taps follow each other, with a row of `pitch` stored values for each
/// word.
///
/// # Safety
/// As [`Simd`]; the rows and the panels are as long as said.
#[inline(always)]
pub(crate) unsafe fn product<S: Simd, const R: usize, const V: usize>(
    taps: impl Iterator<Item = [*const S::Stored; R]>,
    words: usize,
    (mut panel, pitch): (*const S::Stored, usize),
) -> Block<S, R, V> {
    // SAFETY: the caller has the instruction set.
    let mut block = unsafe { zero_block::<S, R, V>() };
    for rows in taps {
        for word in 0..words {
            // SAFETY: as above.
            let mut columns = [unsafe { S::zero() }; V];
            for (v, column) in columns.iter_mut().enumerate() {
                // SAFETY: the panel has `words` rows of `V` vectors or more.
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
            // SAFETY: at most one past the last panel's end.
            panel = unsafe { panel.add(pitch) };
        }
    }
    block
}

/// A sum of outer products: for each of `count` pixels `R` values at `left(pixel)` times a row of `V` vectors at `right(pixel)`, of
/// which `columns` values are there.
///
/// # Safety
/// As [`Simd`]; there are `R` and `columns` values where the pointers lead.
#[inline(always)]
pub(crate) unsafe fn outer_product<S: Simd, const R: usize, const V: usize>(
    count: usize,
    left: impl Fn(usize) -> *const S::Stored,
    right: impl Fn(usize) -> *const S::Stored,
    columns: usize,
) -> Block<S, R, V> {
    // SAFETY: the caller has the instruction set.
    let mut block = unsafe { zero_block::<S, R, V>() };
    let there = |v: usize| columns.saturating_sub(v * S::LANES).min(S::LANES);
    for pixel in 0..count {
        let (row, column) = (left(pixel), right(pixel));
        // SAFETY: as above.
        let mut vectors = [unsafe { S::zero() }; V];
        for (v, vector) in vectors.iter_mut().enumerate() {
            // SAFETY: `columns` values are there.
            *vector = unsafe {
                if columns >= V * S::LANES {
                    S::read(column.add(v * S::LANES))
                } else {
                    read_there(column, v, there(v))
                }
            };
        }
        for (r, sums) in block.iter_mut().enumerate() {
            // SAFETY: there are `R` values in the row.
            let value = unsafe { S::splat((*row.add(r)).to_f32()) };
            for (sum, vector) in sums.iter_mut().zip(vectors) {
                // SAFETY: the caller has the instruction set.
                *sum = unsafe { value.mul_add(vector, *sum) };
            }
        }
    }
    block
}

/// Vector `v` of a row, of which `count` values are there.
///
/// # Safety
/// As [`Simd`]; there are so many values.
#[inline(always)]
unsafe fn read_there<S: Simd>(row: *const S::Stored, v: usize, count: usize) -> S {
    // SAFETY: nothing is read where nothing is there.
    unsafe { if count == 0 { S::zero() } else { read_up_to(row.add(v * S::LANES), count) } }
}

/// Adds the first `columns` values of each row of the block to `sums`, whose rows are `pitch` values apart, or where
/// `fresh` is set replaces them.
///
/// # Safety
/// As [`Simd`]; the sums are there.
#[inline(always)]
pub(crate) unsafe fn add_block<S: Simd, const R: usize, const V: usize>(
    block: &Block<S, R, V>,
    sums: *mut f32,
    pitch: usize,
    columns: usize,
    fresh: bool,
) {
    for (r, row) in block.iter().enumerate() {
        for (v, &value) in row.iter().enumerate() {
            let count = columns.saturating_sub(v * S::LANES).min(S::LANES);
            if count > 0 {
                // SAFETY: `count` sums are there.
                unsafe {
                    let at = sums.add(r * pitch + v * S::LANES);
                    let before = if fresh { S::zero() } else { load_up_to(at, count) };
                    store_up_to(before.add(value), at, count);
                }
            }
        }
    }
}

/// A block of zeros.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn zero_block<S: Simd, const R: usize, const V: usize>() -> Block<S, R, V> {
    // SAFETY: the caller has the instruction set.
    [[unsafe { S::zero() }; V]; R]
}
