//! Products of a block of sums.

#[cfg(target_arch = "x86_64")]
use super::TILE_BYTES;
#[cfg(any(test, not(target_arch = "x86_64")))]
use super::twin;
use super::{ROW_BYTES, Shapes, Sums, TILES, is_here};
use std::ops::Range;

/// The factors of a block of sums.
#[derive(Clone, Copy)]
pub(crate) struct Factors<'a> {
    /// The first row of each tile of rows.
    pub(crate) rows: &'a [*const u8],
    /// Bytes from one row of a tile to the next.
    pub(crate) row_stride: usize,
    /// Bytes from a row's beginning to what each step reads.
    pub(crate) steps: &'a [isize],
    /// The weights of the first tile of columns, step by step rows of pairs.
    pub(crate) weights: *const u8,
    /// Bytes from there to those of the next tile of columns.
    pub(crate) weights_stride: usize,
    /// Tiles of columns.
    pub(crate) columns: usize,
    /// Values that a step reads of a row.
    pub(crate) depth: usize,
}

impl Factors<'_> {
    /// Bytes of a tile of weights.
    pub(super) fn tile_bytes(&self) -> usize {
        self.depth / 2 * ROW_BYTES
    }

    /// The weights of a step for a tile of columns.
    pub(super) fn weights_of(&self, step: usize, column: usize) -> *const u8 {
        self.weights.wrapping_add(column * self.weights_stride + step * self.tile_bytes())
    }
}

/// Most tiles of rows and of columns that blocks are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Shape {
    /// For each six products five tiles of rows and two of weights are read.
    pub(crate) const LARGE: Self = Self { rows: 3, columns: 2 };
    /// Each tile of rows is read once, for rows that are slow to read: those that lie across lines of the cache.
    pub(crate) const WIDE: Self = Self { rows: 1, columns: 4 };

    /// The fastest for rows that are so many bytes apart.
    pub(crate) fn of(row_stride: usize) -> Self {
        if row_stride.is_multiple_of(ROW_BYTES) { Self::LARGE } else { Self::WIDE }
    }
}

/// Calls a function with the tiles of rows and columns that there are as constants.
#[cfg(target_arch = "x86_64")]
macro_rules! with_tiles {
    ($factors:expr, $function:ident($($argument:expr),*)) => {
        match ($factors.rows.len(), $factors.columns) {
            (1, 1) => $function::<1, 1>($($argument),*),
            (1, 2) => $function::<1, 2>($($argument),*),
            (1, 3) => $function::<1, 3>($($argument),*),
            (1, 4) => $function::<1, 4>($($argument),*),
            (2, 1) => $function::<2, 1>($($argument),*),
            (2, 2) => $function::<2, 2>($($argument),*),
            (2, 3) => $function::<2, 3>($($argument),*),
            (3, 1) => $function::<3, 1>($($argument),*),
            (3, 2) => $function::<3, 2>($($argument),*),
            (rows, columns) => unreachable!("blocks of {rows} by {columns} tiles"),
        }
    };
}

/// This thread's tiles, with shapes.
pub(crate) struct Tiles {
    depth: usize,
    /// What they hold in their twin.
    #[cfg(any(test, not(target_arch = "x86_64")))]
    twin: Sums,
}

impl Tiles {
    /// # Safety
    /// [`is_here`], and there are no others of this thread.
    pub(crate) unsafe fn new(depth: usize) -> Self {
        debug_assert!(cfg!(test) || is_here(), "an instruction set is only made where it is");
        let shapes = Shapes::new(depth);
        #[cfg(target_arch = "x86_64")]
        if !cfg!(test) || is_here() {
            // SAFETY: the caller has the instruction, and the shapes are ones that it takes.
            unsafe {
                std::arch::asm!(
                    "ldtilecfg [{}]",
                    in(reg) &raw const shapes,
                    options(nostack, readonly, preserves_flags),
                );
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = shapes;
        Self {
            depth,
            #[cfg(any(test, not(target_arch = "x86_64")))]
            twin: Sums::zeroed(),
        }
    }

    /// Adds the products of some steps to the block of sums, which the first step begins.
    ///
    /// # Safety
    /// Tiles have their shapes for this depth. There are as many values behind each of the rows' beginnings at each step, and
    /// weights.
    #[inline(always)]
    pub(crate) unsafe fn add_products(&mut self, factors: &Factors<'_>, steps: Range<usize>) {
        debug_assert_eq!(self.depth, factors.depth, "tiles of this depth");
        debug_assert!(factors.rows.len() * factors.columns <= TILES, "no more tiles than there are");
        #[cfg(any(test, not(target_arch = "x86_64")))]
        if !is_here() {
            // SAFETY: the caller's.
            return unsafe { twin::add_products(factors, steps, &mut self.twin) };
        }
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the caller's.
        unsafe {
            if steps.start == 0 {
                begin();
            }
            match (factors.rows.len(), factors.columns) {
                _ if steps.is_empty() => {}
                (2, 3) => multiply_tall(factors, steps),
                _ => with_tiles!(factors, multiply(factors, steps)),
            }
        }
    }

    /// The sums of the tiles that there are.
    ///
    /// # Safety
    /// Those of all steps were added.
    #[inline(always)]
    pub(crate) unsafe fn store(&self, factors: &Factors<'_>, sums: &mut Sums) {
        debug_assert_eq!(self.depth, factors.depth, "tiles of this depth");
        #[cfg(any(test, not(target_arch = "x86_64")))]
        if !is_here() {
            sums.0 = self.twin.0;
            return;
        }
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the caller's.
        unsafe {
            with_tiles!(factors, store(sums));
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = factors;
    }
}

impl Drop for Tiles {
    /// Empties the tiles, which the system then need not save.
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if !cfg!(test) || is_here() {
            // SAFETY: there are tiles.
            unsafe {
                std::arch::asm!("tilerelease", options(nostack, nomem, preserves_flags));
            }
        }
    }
}

/// # Safety
/// As [`Tiles::add_products`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn begin() {
    // SAFETY: the caller's; nothing but tiles is written.
    unsafe {
        std::arch::asm!(
            "tilezero tmm0", "tilezero tmm1", "tilezero tmm2",
            "tilezero tmm3", "tilezero tmm4", "tilezero tmm5",
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _,
            options(nostack, nomem, preserves_flags),
        );
    }
}

/// Tiles of rows pass through one register and are read again for the second tile of columns, but for the last of them. The
/// sums of row `r` and column `c` are in tile `c * ROWS + r`.
///
/// # Safety
/// As [`Tiles::add_products`]; there are so many tiles.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn multiply<const ROWS: usize, const COLUMNS: usize>(factors: &Factors<'_>, steps: Range<usize>) {
    let offsets = factors.steps[steps.clone()].as_ptr_range();
    let row = |tile: usize| factors.rows[tile];
    let weights = |column: usize| factors.weights_of(steps.start, column);
    // Rows of a second and third tile, or weights of a third and fourth one.
    let (row1, row2) = if ROWS == 1 { (weights(2), weights(3)) } else { (row(1), row(ROWS - 1)) };
    // SAFETY: reads are those that the caller vouches for.
    unsafe {
        std::arch::asm!(
            "2:",
            "mov {offset}, qword ptr [{step}]",
            "lea {at}, [{row0} + {offset}]",
            "tileloadd tmm7, [{weights0} + {pitch}*1]",
            "tileloadd tmm6, [{at} + {stride}*1]",
            "tdpbf16ps tmm0, tmm6, tmm7",
            ".if {rows} > 1",
            "lea {at}, [{row1_or_weights2} + {offset}]",
            "tileloadd tmm6, [{at} + {stride}*1]",
            "tdpbf16ps tmm1, tmm6, tmm7",
            ".endif",
            ".if {rows} > 2",
            "lea {at}, [{row2_or_weights3} + {offset}]",
            "tileloadd tmm6, [{at} + {stride}*1]",
            "tdpbf16ps tmm2, tmm6, tmm7",
            ".endif",
            "add {weights0}, {tile}",
            ".if {columns} > 1",
            "tileloadd tmm7, [{weights1} + {pitch}*1]",
            ".if {rows} == 1",
            "tdpbf16ps tmm1, tmm6, tmm7",
            ".endif",
            ".if {rows} == 2",
            "tdpbf16ps tmm3, tmm6, tmm7",
            "lea {at}, [{row0} + {offset}]",
            "tileloadd tmm6, [{at} + {stride}*1]",
            "tdpbf16ps tmm2, tmm6, tmm7",
            ".endif",
            ".if {rows} == 3",
            "tdpbf16ps tmm5, tmm6, tmm7",
            "lea {at}, [{row1_or_weights2} + {offset}]",
            "tileloadd tmm6, [{at} + {stride}*1]",
            "tdpbf16ps tmm4, tmm6, tmm7",
            "lea {at}, [{row0} + {offset}]",
            "tileloadd tmm6, [{at} + {stride}*1]",
            "tdpbf16ps tmm3, tmm6, tmm7",
            ".endif",
            "add {weights1}, {tile}",
            ".endif",
            ".if {columns} > 2",
            "tileloadd tmm7, [{row1_or_weights2} + {pitch}*1]",
            "tdpbf16ps tmm2, tmm6, tmm7",
            "add {row1_or_weights2}, {tile}",
            ".endif",
            ".if {columns} > 3",
            "tileloadd tmm7, [{row2_or_weights3} + {pitch}*1]",
            "tdpbf16ps tmm3, tmm6, tmm7",
            "add {row2_or_weights3}, {tile}",
            ".endif",
            "add {step}, 8",
            "cmp {step}, {end}",
            "jne 2b",
            rows = const ROWS,
            columns = const COLUMNS,
            offset = out(reg) _,
            at = out(reg) _,
            step = inout(reg) offsets.start => _,
            end = in(reg) offsets.end,
            row0 = in(reg) row(0),
            row1_or_weights2 = inout(reg) row1 => _,
            row2_or_weights3 = inout(reg) row2 => _,
            stride = in(reg) factors.row_stride,
            weights0 = inout(reg) weights(0) => _,
            weights1 = inout(reg) weights(1) => _,
            tile = in(reg) factors.tile_bytes(),
            pitch = in(reg) ROW_BYTES,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, readonly),
        );
    }
}

/// Two tiles of rows by three of columns: each tile of rows is read once, and the first two of weights twice.
///
/// # Safety
/// As [`Tiles::add_products`]; there are so many tiles.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn multiply_tall(factors: &Factors<'_>, steps: Range<usize>) {
    let offsets = factors.steps[steps.clone()].as_ptr_range();
    let weights = |column: usize| factors.weights_of(steps.start, column);
    // SAFETY: reads are those that the caller vouches for.
    unsafe {
        std::arch::asm!(
            "2:",
            "mov {at}, qword ptr [{step}]",
            "lea {row}, [{row0} + {at}]",
            "tileloadd tmm6, [{row} + {stride}*1]",
            "tileloadd tmm7, [{weights0} + {pitch}*1]",
            "tdpbf16ps tmm0, tmm6, tmm7",
            "tileloadd tmm7, [{weights1} + {pitch}*1]",
            "tdpbf16ps tmm2, tmm6, tmm7",
            "tileloadd tmm7, [{weights2} + {pitch}*1]",
            "tdpbf16ps tmm4, tmm6, tmm7",
            "lea {row}, [{row1} + {at}]",
            "tileloadd tmm6, [{row} + {stride}*1]",
            "tdpbf16ps tmm5, tmm6, tmm7",
            "tileloadd tmm7, [{weights1} + {pitch}*1]",
            "tdpbf16ps tmm3, tmm6, tmm7",
            "tileloadd tmm7, [{weights0} + {pitch}*1]",
            "tdpbf16ps tmm1, tmm6, tmm7",
            "add {weights0}, {tile}",
            "add {weights1}, {tile}",
            "add {weights2}, {tile}",
            "add {step}, 8",
            "cmp {step}, {end}",
            "jne 2b",
            at = out(reg) _,
            row = out(reg) _,
            step = inout(reg) offsets.start => _,
            end = in(reg) offsets.end,
            row0 = in(reg) factors.rows[0],
            row1 = in(reg) factors.rows[1],
            stride = in(reg) factors.row_stride,
            weights0 = inout(reg) weights(0) => _,
            weights1 = inout(reg) weights(1) => _,
            weights2 = inout(reg) weights(2) => _,
            tile = in(reg) factors.tile_bytes(),
            pitch = in(reg) ROW_BYTES,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, readonly),
        );
    }
}

/// # Safety
/// As [`Tiles::add_products`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn store<const ROWS: usize, const COLUMNS: usize>(sums: &mut Sums) {
    // SAFETY: the caller's; there is room for all sums.
    unsafe {
        std::arch::asm!(
            "tilestored [{to} + {pitch}*1], tmm0",
            ".if {tiles} > 1",
            "tilestored [{to} + {pitch}*1 + {tile}], tmm1",
            ".endif",
            ".if {tiles} > 2",
            "tilestored [{to} + {pitch}*1 + 2*{tile}], tmm2",
            ".endif",
            ".if {tiles} > 3",
            "tilestored [{to} + {pitch}*1 + 3*{tile}], tmm3",
            ".endif",
            ".if {tiles} > 4",
            "tilestored [{to} + {pitch}*1 + 4*{tile}], tmm4",
            ".endif",
            ".if {tiles} > 5",
            "tilestored [{to} + {pitch}*1 + 5*{tile}], tmm5",
            ".endif",
            tiles = const ROWS * COLUMNS,
            tile = const TILE_BYTES,
            to = in(reg) sums.0.as_mut_ptr(),
            pitch = in(reg) ROW_BYTES,
            options(nostack, preserves_flags),
        );
    }
}
