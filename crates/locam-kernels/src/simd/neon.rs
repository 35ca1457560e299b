use super::{Simd, stored_as_f32};
use core::arch::aarch64::{
    float32x4_t, vaddq_f32, vandq_u32, vbslq_f32, vcgtq_f32, vdupq_n_f32, vfmaq_f32, vld1q_f32, vmulq_f32,
    vreinterpretq_f32_u32, vreinterpretq_u32_f32, vst1q_f32, vsubq_f32,
};

/// Four values in a NEON register.
#[derive(Clone, Copy)]
pub(crate) struct F32x4(float32x4_t);

// SAFETY: each method is a few NEON instructions on as many values as the trait says; the partial ones go through
// an array.
unsafe impl Simd for F32x4 {
    const LANES: usize = 4;
    stored_as_f32!();

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self(unsafe { vdupq_n_f32(0.0) })
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(unsafe { vdupq_n_f32(value) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { vld1q_f32(from) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { vst1q_f32(to, self.0) }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        let mut values = [0f32; 4];
        unsafe {
            core::ptr::copy_nonoverlapping(from, values.as_mut_ptr(), count);
            Self(vld1q_f32(values.as_ptr()))
        }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        let mut values = [0f32; 4];
        unsafe {
            vst1q_f32(values.as_mut_ptr(), self.0);
            core::ptr::copy_nonoverlapping(values.as_ptr(), to, count);
        }
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        Self(unsafe { vfmaq_f32(c.0, self.0, b.0) })
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        Self(unsafe { vaddq_f32(self.0, b.0) })
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        Self(unsafe { vsubq_f32(self.0, b.0) })
    }
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        Self(unsafe { vmulq_f32(self.0, b.0) })
    }
    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        Self(unsafe { vbslq_f32(vcgtq_f32(self.0, b.0), self.0, b.0) })
    }
    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        Self(unsafe { vbslq_f32(vcgtq_f32(b.0, self.0), self.0, b.0) })
    }
    #[inline(always)]
    unsafe fn where_positive(self, value: Self) -> Self {
        unsafe {
            let positive = vcgtq_f32(self.0, vdupq_n_f32(0.0));
            Self(vreinterpretq_f32_u32(vandq_u32(positive, vreinterpretq_u32_f32(value.0))))
        }
    }
}
