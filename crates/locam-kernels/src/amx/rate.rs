//! How fast tiles are multiplied where nothing is read from memory.

use super::{TILE_COLUMNS, TILE_DEPTH, TILE_ROWS, Tiles};
use std::time::Instant;

const ROUNDS: usize = 200_000;
/// Of tiles in a round.
const PRODUCTS: usize = 4;

/// Multiplications and additions a second of this thread.
///
/// # Safety
/// [`super::is_here`], and this thread has no tiles.
pub(crate) unsafe fn measured_rate() -> f64 {
    // SAFETY: the caller has the instructions.
    let seconds = unsafe {
        let _tiles = Tiles::new(TILE_DEPTH);
        let start = Instant::now();
        multiply_zeros(ROUNDS);
        start.elapsed().as_secs_f64()
    };
    (2 * ROUNDS * PRODUCTS * TILE_ROWS * TILE_COLUMNS * TILE_DEPTH) as f64 / seconds
}

/// The products of a block of sums, so many times.
///
/// # Safety
/// As [`measured_rate`]; tiles have their shapes, and there is a round or more.
#[cfg(target_arch = "x86_64")]
unsafe fn multiply_zeros(rounds: usize) {
    // SAFETY: the caller's; nothing but tiles is written.
    unsafe {
        std::arch::asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "tilezero tmm4",
            "tilezero tmm5",
            "tilezero tmm6",
            "tilezero tmm7",
            "2:",
            "tdpbf16ps tmm0, tmm6, tmm7",
            "tdpbf16ps tmm1, tmm6, tmm7",
            "tdpbf16ps tmm2, tmm6, tmm7",
            "tdpbf16ps tmm3, tmm6, tmm7",
            "dec {rounds}",
            "jnz 2b",
            // Ends when the last product does.
            "tilestored [{sums} + {pitch}*1], tmm3",
            rounds = inout(reg) rounds => _,
            sums = in(reg) super::Sums::zeroed().0.as_mut_ptr(),
            pitch = in(reg) super::ROW_BYTES,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// # Safety
/// There is no safe call.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn multiply_zeros(_: usize) {
    unreachable!("AMX is x86's");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_measured_where_there_are_tiles() {
        if !crate::amx::is_here() {
            println!("skipped: this CPU or system has no AMX");
            return;
        }
        // SAFETY: asked above.
        let rate = unsafe { measured_rate() };
        assert!(rate.is_finite() && rate > 0.0, "{rate}");
    }
}
