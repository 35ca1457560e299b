//! Intel's Advanced Matrix Extensions: eight registers of 16 rows by 64 bytes, and an instruction that adds the product of
//! two such tiles of bfloat16 to one of `f32`.
//!
//! A block of sums takes six tiles; one of rows and one of columns feed it in turn. The compiler's own functions for these
//! instructions are unstable, so they are assembly here. What tiles hold outlives a statement ([`Tiles`]): the compiler knows no
//! tiles and leaves them alone, and so does what is done to the sums of the block before in the meantime.
//!
//! Products are sums of pairs, and denormals are zeros, as the instruction has it. A row of the sums depends on its own row
//! of values alone, so that it is the same, bit by bit, whatever shares a tile with it.

mod block;
mod detect;
mod rate;
#[cfg(any(test, not(target_arch = "x86_64")))]
mod twin;

pub(crate) use block::{Factors, Shape, Tiles};
pub(crate) use detect::is_here;
pub(crate) use rate::measured_rate;

/// Rows of a tile: output pixels that are multiplied together.
pub(crate) const TILE_ROWS: usize = 16;
/// Output channels of a tile of sums.
pub(crate) const TILE_COLUMNS: usize = 16;
/// Stored values of a tile's row, of which pairs are multiplied and summed.
pub(crate) const TILE_DEPTH: usize = 32;
/// Most tiles of a block of sums.
const TILES: usize = 6;
/// Bytes of a tile's row, of sixteen sums or as many pairs of weights.
const ROW_BYTES: usize = 64;
/// Bytes of a tile.
pub(crate) const TILE_BYTES: usize = TILE_ROWS * ROW_BYTES;

/// Tiles of sums on their way to memory: those of the first tile of columns, then those of the next.
#[repr(C, align(64))]
pub(crate) struct Sums(pub(crate) [[[f32; TILE_COLUMNS]; TILE_ROWS]; TILES]);

impl Sums {
    pub(crate) fn zeroed() -> Self {
        Self([[[0.0; TILE_COLUMNS]; TILE_ROWS]; TILES])
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
    /// Six tiles of sums, one of rows with values of so many to a depth, and one of columns.
    fn new(depth: usize) -> Self {
        let (full, values, pairs) = (64, 2 * depth as u16, depth as u8 / 2);
        let mut shapes =
            Self { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        shapes.row_bytes[..8].copy_from_slice(&[full, full, full, full, full, full, values, full]);
        shapes.rows[..8].copy_from_slice(&[16, 16, 16, 16, 16, 16, 16, pairs]);
        shapes
    }
}
