use crate::simd::{Simd, portable::Array4};
use crate::{Bf16, Element, KernelError};
use std::fmt;
use std::str::FromStr;

/// The name of the environment variable that forces an instruction set.
pub const ISA_VARIABLE: &str = "LOCAM_ISA";

/// An instruction set that this CPU has: a value of this type is the proof of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Isa(Name);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Name {
    Amx,
    Avx512Bf16,
    Avx512,
    Avx2,
    Neon,
    Portable,
}

const NAMES: [(Name, &str); 6] = [
    (Name::Amx, "amx"),
    (Name::Avx512Bf16, "avx512bf16"),
    (Name::Avx512, "avx512"),
    (Name::Avx2, "avx2"),
    (Name::Neon, "neon"),
    (Name::Portable, "portable"),
];

impl Isa {
    /// Plain Rust, which every CPU runs.
    pub const PORTABLE: Self = Self(Name::Portable);

    /// The instruction sets of this CPU, best first.
    pub fn available() -> Vec<Self> {
        NAMES.into_iter().filter(|(name, _)| name.is_here()).map(|(name, _)| Self(name)).collect()
    }

    /// The best instruction set of this CPU, or the one that [`ISA_VARIABLE`] names.
    ///
    /// # Errors
    /// [`KernelError::Isa`] where the variable names none, or one that this CPU has not.
    pub fn detect() -> Result<Self, KernelError> {
        match std::env::var(ISA_VARIABLE) {
            Ok(name) if !name.is_empty() => name.parse(),
            _ => Ok(Self::available().into_iter().next().unwrap_or(Self::PORTABLE)),
        }
    }

    /// Whether kernels on [`Bf16`](crate::Bf16) run here.
    pub fn has_bf16(self) -> bool {
        matches!(self.0, Name::Amx | Name::Avx512Bf16)
    }

    /// Whether matrix products in bfloat16 are those of tiles (Intel's AMX): several times as many a second as by vectors.
    pub fn has_tiles(self) -> bool {
        self.has_tiles_of::<Bf16>()
    }

    /// Whether matrix products of stored values of this type are those of tiles ([`crate::amx`]).
    pub(crate) fn has_tiles_of<E: Element>(self) -> bool {
        self.0 == Name::Amx && size_of::<E>() == 2
    }

    /// Tiles by their twin in plain Rust where the CPU has none; none where the rest of the kernels can't run.
    #[cfg(test)]
    pub(crate) fn with_tiles_or_their_twin() -> Option<Self> {
        Name::Avx512Bf16.is_here().then_some(Self(Name::Amx))
    }

    /// Output channels that a matrix product computes at a time: the width of a panel of packed weights.
    pub(crate) fn panel(self) -> usize {
        match self.0 {
            Name::Amx | Name::Avx512Bf16 | Name::Avx512 => 64,
            Name::Avx2 | Name::Neon => 16,
            Name::Portable => 8,
        }
    }
}

impl Name {
    #[cfg(target_arch = "x86_64")]
    fn is_here(self) -> bool {
        let avx512 = || {
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
        };
        match self {
            Self::Amx => Self::Avx512Bf16.is_here() && crate::amx::is_here(),
            Self::Avx512Bf16 => avx512() && is_x86_feature_detected!("avx512bf16"),
            Self::Avx512 => avx512(),
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Neon => false,
            Self::Portable => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_here(self) -> bool {
        // NEON is part of every 64-bit ARM.
        self == Self::Portable || (cfg!(target_arch = "aarch64") && self == Self::Neon)
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(name, _)| *name == self.0).map_or("", |(_, text)| text);
        f.write_str(name)
    }
}

impl FromStr for Isa {
    type Err = KernelError;

    fn from_str(text: &str) -> Result<Self, KernelError> {
        let known = NAMES.iter().find(|(_, name)| *name == text);
        match known {
            Some((name, _)) if name.is_here() => Ok(Self(*name)),
            _ => {
                let available: Vec<String> = Self::available().iter().map(Self::to_string).collect();
                Err(KernelError::Isa { name: text.to_owned(), available: available.join(", ") })
            }
        }
    }
}

/// Work that is compiled once per instruction set: `ROWS` x `VECTORS` is the block of sums that a matrix product
/// keeps in registers.
pub(crate) trait Kernel<E> {
    /// Does the work.
    ///
    /// # Safety
    /// The CPU has the instruction set of `S`. Implementations are `#[inline(always)]`.
    unsafe fn run<S: Simd<Stored = E>, const ROWS: usize, const VECTORS: usize>(self);
}

/// Runs a kernel on `f32`.
pub(crate) fn run_f32<K: Kernel<f32>>(isa: Isa, kernel: K) {
    match isa.0 {
        // SAFETY: an `Isa` is only made where the CPU has the instruction set.
        #[cfg(target_arch = "x86_64")]
        Name::Amx | Name::Avx512Bf16 | Name::Avx512 => unsafe { x86::avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Name::Avx2 => unsafe { x86::avx2(kernel) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: NEON is part of every 64-bit ARM. Of its 32 registers 24 hold sums.
        Name::Neon => unsafe { kernel.run::<crate::simd::neon::F32x4, 6, 4>() },
        // SAFETY: plain Rust runs everywhere.
        _ => unsafe { kernel.run::<Array4, 4, 2>() },
    }
}

/// Runs a kernel on bfloat16.
pub(crate) fn run_bf16<K: Kernel<crate::Bf16>>(isa: Isa, kernel: K) {
    assert!(isa.has_bf16(), "bfloat16 kernels need AVX512-BF16");
    #[cfg(target_arch = "x86_64")]
    // SAFETY: an `Isa` is only made where the CPU has the instruction set.
    unsafe {
        x86::avx512_bf16(kernel);
    }
    #[cfg(not(target_arch = "x86_64"))]
    drop(kernel);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Kernel;
    use crate::Bf16;
    use crate::simd::{avx2::F32x8, avx512::F32x16, avx512_bf16::Bf16x16};

    /// Of 32 registers 24 hold sums.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
    pub(super) unsafe fn avx512<K: Kernel<f32>>(kernel: K) {
        // SAFETY: this function has the features.
        unsafe { kernel.run::<F32x16, 6, 4>() }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
    pub(super) unsafe fn avx512_bf16<K: Kernel<Bf16>>(kernel: K) {
        // SAFETY: this function has the features.
        unsafe { kernel.run::<Bf16x16, 6, 4>() }
    }

    /// Of 16 registers 12 hold sums.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2<K: Kernel<f32>>(kernel: K) {
        // SAFETY: this function has the features.
        unsafe { kernel.run::<F32x8, 6, 2>() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_unknown_ones_list_what_there_is() {
        for isa in Isa::available() {
            assert_eq!(isa.to_string().parse::<Isa>().unwrap(), isa);
        }
        let error = "sse9".parse::<Isa>().unwrap_err().to_string();
        assert!(error.contains("sse9") && error.contains("portable"), "{error}");
    }
}
