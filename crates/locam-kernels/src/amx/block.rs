//! Products of a block of sums.

#[cfg(target_arch = "x86_64")]
use super::TILE_COLUMNS;
use super::{BLOCK_PITCH, Sums};
#[cfg(any(test, not(target_arch = "x86_64")))]
use super::{is_here, twin};

/// The factors of a block of sums.
pub(crate) struct Factors<'a> {
    /// The first row of a tile, and that of a second one if there is one.
    pub(crate) rows: (*const u8, Option<*const u8>),
    /// Bytes from one row of a tile to the next.
    pub(crate) row_stride: usize,
    /// Bytes from a row's beginning to each of its depths.
    pub(crate) steps: &'a [isize],
    /// Weights of the first step: rows of pairs, [`BLOCK_COLUMNS`] in each.
    pub(crate) columns: *const u8,
    /// Values of a depth.
    pub(crate) depth: usize,
}

impl Factors<'_> {
    /// Bytes of the weights from one step to the next.
    pub(super) fn column_step(&self) -> usize {
        self.depth / 2 * BLOCK_PITCH
    }
}

/// The sums over all steps, of the rows of the tiles that are there by the first `columns` channels or a few more.
///
/// # Safety
/// [`is_here`], and tiles have their shapes for this depth. There is a step or more, and at each of them there are as many values
/// behind each of the rows' beginnings, and the weights.
pub(crate) unsafe fn multiply(factors: &Factors<'_>, columns: usize, sums: &mut Sums) {
    #[cfg(any(test, not(target_arch = "x86_64")))]
    if !is_here() {
        // SAFETY: the caller's.
        return unsafe { twin::multiply(factors, sums) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = columns;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's.
    unsafe {
        match factors.rows {
            (first, Some(second)) if columns > TILE_COLUMNS => two_by_two(factors, first, second, sums),
            (first, None) if columns > TILE_COLUMNS => one_by_two(factors, first, sums),
            (first, second) => two_by_one(factors, first, second.unwrap_or(first), sums),
        }
    }
}

/// Two tiles of rows by two of columns.
///
/// # Safety
/// As [`multiply`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn two_by_two(factors: &Factors<'_>, first: *const u8, second: *const u8, sums: &mut Sums) {
    let steps = factors.steps.as_ptr_range();
    // SAFETY: reads are those that the caller vouches for, and there is room for all sums.
    unsafe {
        std::arch::asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "mov {first}, qword ptr [{step}]",
            "lea {second}, [{first} + {second_row}]",
            "add {first}, {first_row}",
            "tileloadd tmm4, [{first} + {stride}*1]",
            "tileloadd tmm6, [{columns} + {pitch}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{columns} + {pitch}*1 + 64]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{second} + {stride}*1]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {columns}, {column_step}",
            "add {step}, 8",
            "cmp {step}, {end}",
            "jne 2b",
            "tilestored [{sums} + {pitch}*1], tmm0",
            "tilestored [{sums} + {pitch}*1 + 64], tmm1",
            "tilestored [{sums} + {pitch}*1 + 2048], tmm2",
            "tilestored [{sums} + {pitch}*1 + 2112], tmm3",
            first = out(reg) _,
            second = out(reg) _,
            step = inout(reg) steps.start => _,
            end = in(reg) steps.end,
            first_row = in(reg) first,
            second_row = in(reg) second,
            stride = in(reg) factors.row_stride,
            columns = inout(reg) factors.columns => _,
            column_step = in(reg) factors.column_step(),
            pitch = in(reg) BLOCK_PITCH,
            sums = in(reg) sums.0.as_mut_ptr(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// One tile of rows by two of columns.
///
/// # Safety
/// As [`multiply`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn one_by_two(factors: &Factors<'_>, first: *const u8, sums: &mut Sums) {
    let steps = factors.steps.as_ptr_range();
    // SAFETY: as in `two_by_two`.
    unsafe {
        std::arch::asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "2:",
            "mov {first}, qword ptr [{step}]",
            "add {first}, {first_row}",
            "tileloadd tmm4, [{first} + {stride}*1]",
            "tileloadd tmm6, [{columns} + {pitch}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{columns} + {pitch}*1 + 64]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "add {columns}, {column_step}",
            "add {step}, 8",
            "cmp {step}, {end}",
            "jne 2b",
            "tilestored [{sums} + {pitch}*1], tmm0",
            "tilestored [{sums} + {pitch}*1 + 64], tmm1",
            first = out(reg) _,
            step = inout(reg) steps.start => _,
            end = in(reg) steps.end,
            first_row = in(reg) first,
            stride = in(reg) factors.row_stride,
            columns = inout(reg) factors.columns => _,
            column_step = in(reg) factors.column_step(),
            pitch = in(reg) BLOCK_PITCH,
            sums = in(reg) sums.0.as_mut_ptr(),
            out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// Two tiles of rows by one of columns.
///
/// # Safety
/// As [`multiply`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn two_by_one(factors: &Factors<'_>, first: *const u8, second: *const u8, sums: &mut Sums) {
    let steps = factors.steps.as_ptr_range();
    // SAFETY: as in `two_by_two`.
    unsafe {
        std::arch::asm!(
            "tilezero tmm0",
            "tilezero tmm2",
            "2:",
            "mov {first}, qword ptr [{step}]",
            "lea {second}, [{first} + {second_row}]",
            "add {first}, {first_row}",
            "tileloadd tmm4, [{first} + {stride}*1]",
            "tileloadd tmm6, [{columns} + {pitch}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{second} + {stride}*1]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "add {columns}, {column_step}",
            "add {step}, 8",
            "cmp {step}, {end}",
            "jne 2b",
            "tilestored [{sums} + {pitch}*1], tmm0",
            "tilestored [{sums} + {pitch}*1 + 2048], tmm2",
            first = out(reg) _,
            second = out(reg) _,
            step = inout(reg) steps.start => _,
            end = in(reg) steps.end,
            first_row = in(reg) first,
            second_row = in(reg) second,
            stride = in(reg) factors.row_stride,
            columns = inout(reg) factors.columns => _,
            column_step = in(reg) factors.column_step(),
            pitch = in(reg) BLOCK_PITCH,
            sums = in(reg) sums.0.as_mut_ptr(),
            out("tmm0") _, out("tmm2") _, out("tmm4") _, out("tmm5") _, out("tmm6") _,
            options(nostack),
        );
    }
}
