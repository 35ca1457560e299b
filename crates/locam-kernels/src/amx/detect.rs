//! Whether there are tiles: the CPU has to have them, and the system to save them.

use std::sync::OnceLock;

/// Whether this process may use tiles of bfloat16. The system is asked for it once.
pub(crate) fn is_here() -> bool {
    static HERE: OnceLock<bool> = OnceLock::new();
    *HERE.get_or_init(|| cpu_has_tiles() && system_saves_tiles())
}

#[cfg(target_arch = "x86_64")]
fn cpu_has_tiles() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    const SEVEN: u32 = 7;
    const BF16: u32 = 1 << 22;
    const TILE: u32 = 1 << 24;
    __cpuid(0).eax >= SEVEN && __cpuid_count(SEVEN, 0).edx & (BF16 | TILE) == BF16 | TILE
}

/// Linux saves tiles of processes that have asked for it, and faults others.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn system_saves_tiles() -> bool {
    const REQUEST: libc::c_ulong = 0x1023;
    const TILE_SHAPES: u64 = 17;
    const TILE_DATA: u64 = 18;
    if !is_x86_feature_detected!("xsave") {
        return false;
    }
    // SAFETY: the system has switched on the instruction, and register 0 is always there.
    let saved = unsafe { std::arch::x86_64::_xgetbv(0) };
    let both = 1 << TILE_SHAPES | 1 << TILE_DATA;
    // SAFETY: this changes what the system saves for this process, and nothing that the program could see.
    saved & both == both && unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, TILE_DATA) } == 0
}

#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn system_saves_tiles() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_has_tiles() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn system_saves_tiles() -> bool {
    false
}
