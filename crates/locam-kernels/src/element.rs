use crate::{Isa, Kernel};
use std::fmt::Debug;

/// A value of type bfloat16: the upper half of an `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl Bf16 {
    /// The nearest bfloat16, ties to even; not-a-number stays so.
    pub fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        if value.is_nan() {
            return Self((bits >> 16) as u16 | 0x40);
        }
        let half = 0x7fff + ((bits >> 16) & 1);
        Self(((bits + half) >> 16) as u16)
    }

    /// The same value as an `f32`.
    pub fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for super::Bf16 {}
}

/// What activations and packed weights are stored as: `f32` or [`Bf16`].
pub trait Element: sealed::Sealed + Copy + Default + Debug + Send + Sync + PartialEq + 'static {
    /// The stored value nearest to `value`.
    fn from_f32(value: f32) -> Self;

    /// The stored value.
    fn to_f32(self) -> f32;

    /// Whether kernels on this type run with `isa`.
    fn runs_on(isa: Isa) -> bool;

    /// Runs a kernel with the vectors of `isa`, which the CPU is known to have.
    #[doc(hidden)]
    #[expect(private_bounds, reason = "sealed: nobody else implements or calls it")]
    fn run<K: Kernel<Self>>(isa: Isa, kernel: K);
}

impl Element for f32 {
    fn from_f32(value: f32) -> Self {
        value
    }

    fn to_f32(self) -> f32 {
        self
    }

    fn runs_on(_: Isa) -> bool {
        true
    }

    #[expect(private_bounds, reason = "sealed: nobody else implements or calls it")]
    fn run<K: Kernel<Self>>(isa: Isa, kernel: K) {
        crate::isa::run_f32(isa, kernel);
    }
}

impl Element for Bf16 {
    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }

    fn to_f32(self) -> f32 {
        self.to_f32()
    }

    fn runs_on(isa: Isa) -> bool {
        isa.has_bf16()
    }

    #[expect(private_bounds, reason = "sealed: nobody else implements or calls it")]
    fn run<K: Kernel<Self>>(isa: Isa, kernel: K) {
        crate::isa::run_bf16(isa, kernel);
    }
}
