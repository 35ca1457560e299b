use crate::conv::tiles::Form;
use crate::conv::weight_gradient::{self, Job};
use crate::conv::winograd_gradient;
use crate::{GradientWorkspace, Isa, Kernel};
use std::fmt::Debug;

/// A value of type bfloat16: the upper half of an `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl Bf16 {
    /// The nearest bfloat16, ties to even; not-a-number stays so.
    #[inline]
    pub fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        if value.is_nan() {
            return Self((bits >> 16) as u16 | 0x40);
        }
        let half = 0x7fff + ((bits >> 16) & 1);
        Self(((bits + half) >> 16) as u16)
    }

    /// The same value as an `f32`.
    #[inline]
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

    /// The gradient to a weight, by the fastest way that there is for this type; by Winograd's algorithm only where the
    /// window's form and the padding are given.
    ///
    /// # Safety
    /// All tensors have the lengths that the shapes ask for.
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "sealed: nobody else implements or calls it")]
    unsafe fn weight_gradient(
        isa: Isa,
        job: &Job<'_, Self>,
        winograd: Option<(Form, usize)>,
        to: &mut [f32],
        workspace: &mut GradientWorkspace<Self>,
    );
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

    #[expect(private_interfaces, reason = "sealed: nobody else implements or calls it")]
    unsafe fn weight_gradient(
        isa: Isa,
        job: &Job<'_, Self>,
        winograd: Option<(Form, usize)>,
        to: &mut [f32],
        workspace: &mut GradientWorkspace<Self>,
    ) {
        // SAFETY: the caller's.
        unsafe {
            match winograd {
                Some((form, padding)) => {
                    winograd_gradient::to_weight(isa, job, (form, padding), to, workspace);
                }
                None => weight_gradient::outer_products(isa, job, to, &mut workspace.sums),
            }
        }
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

    #[expect(private_interfaces, reason = "sealed: nobody else implements or calls it")]
    unsafe fn weight_gradient(
        isa: Isa,
        job: &Job<'_, Self>,
        _: Option<(Form, usize)>,
        to: &mut [f32],
        workspace: &mut GradientWorkspace<Self>,
    ) {
        // SAFETY: the caller's.
        unsafe {
            if isa.has_tiles_of::<Self>() {
                weight_gradient::by_tiles(isa, job, to, &mut workspace.sums);
            } else {
                weight_gradient::outer_products(isa, job, to, &mut workspace.sums);
            }
        }
    }
}
