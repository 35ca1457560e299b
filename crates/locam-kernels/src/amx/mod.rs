//! Intel's Advanced Matrix Extensions: eight registers of 16 rows by 64 bytes, and an instruction that adds the product of
//! two such tiles of bfloat16 to one of `f32`.
//!
//! A block of sums takes four tiles, two tiles of rows and two of columns feed it: four products for four reads. The
//! compiler's own functions for these instructions are unstable, so they are assembly here, a whole block at a time: what
//! tiles hold never outlives a statement. Their shapes do ([`configure`], [`release`]); the compiler knows no tiles and
//! leaves them alone.
//!
//! Products are sums of pairs, and denormals are zeros, as the instruction has it. A row of the sums depends on its own row
//! of values alone, so that it is the same, bit by bit, whatever shares a tile with it.

mod block;
mod detect;
mod rate;
#[cfg(any(test, not(target_arch = "x86_64")))]
mod twin;

pub(crate) use block::{Factors, multiply};
pub(crate) use detect::is_here;
pub(crate) use rate::measured_rate;

/// Rows of a tile: output pixels that are multiplied together.
pub(crate) const TILE_ROWS: usize = 16;
/// Output channels of a tile of sums.
const TILE_COLUMNS: usize = 16;
/// Stored values of a tile's row, of which pairs are multiplied and summed.
pub(crate) const TILE_DEPTH: usize = 32;
/// Output pixels of a block of sums.
pub(crate) const BLOCK_ROWS: usize = 2 * TILE_ROWS;
/// Output channels of a block of sums.
pub(crate) const BLOCK_COLUMNS: usize = 2 * TILE_COLUMNS;
/// Bytes of a row of a block, which are as many for sums as for pairs of weights.
const BLOCK_PITCH: usize = 4 * BLOCK_COLUMNS;

/// A block of sums on its way to memory.
#[repr(C, align(64))]
pub(crate) struct Sums(pub(crate) [[f32; BLOCK_COLUMNS]; BLOCK_ROWS]);

impl Sums {
    pub(crate) fn zeroed() -> Self {
        Self([[0.0; BLOCK_COLUMNS]; BLOCK_ROWS])
    }
}

/// How the values that a tap reads are cut into depths of tiles, all of the same size. The last one begins so early that it
/// ends where the tap does: no value beyond is read, and weights of values that were in the one before are zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depths {
    /// Values that a tap reads, of which there are whole pairs.
    read: usize,
    /// Those that count.
    values: usize,
}

impl Depths {
    pub(crate) fn new(values: usize) -> Self {
        Self { read: values.next_multiple_of(2), values }
    }

    /// Values of each.
    pub(crate) fn size(self) -> usize {
        self.read.min(TILE_DEPTH)
    }

    /// The first value of each.
    pub(crate) fn starts(self) -> impl Iterator<Item = usize> + Clone {
        (0..self.read).step_by(TILE_DEPTH).map(move |start| start.min(self.read - self.size()))
    }

    /// The values of all depths, one after the other; none where weights are zeros.
    pub(crate) fn order(self) -> impl Iterator<Item = Option<usize>> {
        let fresh = (0..).step_by(TILE_DEPTH);
        self.starts().zip(fresh).flat_map(move |(start, fresh)| {
            let values = start..start + self.size();
            values.map(move |value| (fresh..self.values).contains(&value).then_some(value))
        })
    }
}

/// What each tile looks like.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Shapes {
    /// Four tiles of sums, two of rows with values of so many to a depth, and two of columns.
    fn new(depth: usize) -> Self {
        let (full, values, pairs) = (64, 2 * depth as u16, depth as u8 / 2);
        let mut shapes =
            Self { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        shapes.row_bytes[..8].copy_from_slice(&[full, full, full, full, values, values, full, full]);
        shapes.rows[..8].copy_from_slice(&[16, 16, 16, 16, 16, 16, pairs, pairs]);
        shapes
    }
}

/// Gives this thread's tiles their shapes.
///
/// # Safety
/// [`is_here`].
pub(crate) unsafe fn configure(depth: usize) {
    debug_assert!(cfg!(test) || is_here(), "an instruction set is only made where it is");
    let shapes = Shapes::new(depth);
    #[cfg(target_arch = "x86_64")]
    if !cfg!(test) || is_here() {
        // SAFETY: the caller has the instruction, and the shapes are ones that it takes.
        unsafe {
            std::arch::asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly, preserves_flags));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = shapes;
}

/// Empties this thread's tiles, which the system then need not save.
///
/// # Safety
/// [`is_here`].
pub(crate) unsafe fn release() {
    #[cfg(target_arch = "x86_64")]
    if !cfg!(test) || is_here() {
        // SAFETY: the caller has the instruction.
        unsafe {
            std::arch::asm!("tilerelease", options(nostack, nomem, preserves_flags));
        }
    }
}
