use super::Simd;
use super::avx512::F32x16;
use crate::Bf16;
use core::arch::x86_64::{
    __m256bh, __m256i, __m512bh, _mm256_loadu_si256, _mm256_mask_storeu_epi16, _mm256_maskz_loadu_epi16,
    _mm256_storeu_si256, _mm512_and_si512, _mm512_castpd_ps, _mm512_castps_pd, _mm512_castps_si512,
    _mm512_castsi512_ps, _mm512_cvtepu16_epi32, _mm512_cvtneps_pbh, _mm512_dpbf16_ps, _mm512_max_epu16,
    _mm512_or_si512, _mm512_set1_epi16, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_slli_epi32,
    _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};
use core::mem::transmute;

/// Sixteen sums in an AVX-512 register over memory that holds bfloat16.
#[derive(Clone, Copy)]
pub(crate) struct Bf16x16(F32x16);

#[inline(always)]
unsafe fn widen(bits: __m256i) -> Bf16x16 {
    // SAFETY: the caller has AVX-512.
    unsafe { Bf16x16(F32x16(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits))))) }
}

#[inline(always)]
unsafe fn narrow(value: Bf16x16) -> __m256i {
    // SAFETY: the caller has AVX512-BF16; both types are 256 bits.
    unsafe { transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(value.0.0)) }
}

#[inline(always)]
unsafe fn pairs(words: Bf16x16) -> __m512bh {
    // SAFETY: both types are 512 bits.
    unsafe { transmute(_mm512_castps_si512(words.0.0)) }
}

#[inline(always)]
fn first(count: usize) -> u16 {
    ((1u32 << count) - 1) as u16
}

// SAFETY: each method is a few instructions of AVX-512 F, BW, VL and BF16 on as many values as the trait says; masked
// lanes are neither read nor written.
unsafe impl Simd for Bf16x16 {
    const LANES: usize = 16;
    type Stored = Bf16;

    #[inline(always)]
    unsafe fn read(from: *const Bf16) -> Self {
        unsafe { widen(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn write(self, to: *mut Bf16) {
        unsafe { _mm256_storeu_si256(to.cast(), narrow(self)) }
    }
    #[inline(always)]
    unsafe fn read_first(from: *const Bf16, count: usize) -> Self {
        unsafe { widen(_mm256_maskz_loadu_epi16(first(count), from.cast())) }
    }
    #[inline(always)]
    unsafe fn write_first(self, to: *mut Bf16, count: usize) {
        unsafe { _mm256_mask_storeu_epi16(to.cast(), first(count), narrow(self)) }
    }
    #[inline(always)]
    unsafe fn splat_word(from: *const Bf16) -> Self {
        unsafe { Self::splat(from.cast::<f32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn read_words(from: *const Bf16) -> Self {
        unsafe { Self::load(from.cast()) }
    }
    #[inline(always)]
    unsafe fn pair(first: *const Bf16, second: *const Bf16) -> Self {
        unsafe {
            let low = _mm512_cvtepu16_epi32(_mm256_loadu_si256(first.cast()));
            let high = _mm512_cvtepu16_epi32(_mm256_loadu_si256(second.cast()));
            let both = _mm512_or_si512(low, _mm512_slli_epi32::<16>(high));
            Self(F32x16(_mm512_castsi512_ps(both)))
        }
    }
    #[inline(always)]
    unsafe fn store_turned(vectors: [Self; 16], to: *mut Bf16, pitch: usize) {
        unsafe {
            // Turns blocks of two by two words, then of these, and so on: within lanes of 128 bits, then lanes.
            let mut two = [_mm512_setzero_ps(); 16];
            for i in 0..8 {
                let (a, b) = (vectors[2 * i].0.0, vectors[2 * i + 1].0.0);
                two[2 * i] = _mm512_unpacklo_ps(a, b);
                two[2 * i + 1] = _mm512_unpackhi_ps(a, b);
            }
            let mut four = [_mm512_setzero_ps(); 16];
            for i in 0..4 {
                for half in 0..2 {
                    let (a, b) = (two[4 * i + half], two[4 * i + 2 + half]);
                    let (a, b) = (_mm512_castps_pd(a), _mm512_castps_pd(b));
                    four[4 * i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
                    four[4 * i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
                }
            }
            // Vector 4 * i + c now has the words c, c + 4, c + 8 and c + 12 of vectors 4 * i and the three that follow.
            for c in 0..4 {
                let (a, b) = (four[c], four[4 + c]);
                let (d, e) = (four[8 + c], four[12 + c]);
                let (even, odd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
                let (even2, odd2) = (_mm512_shuffle_f32x4::<0x88>(d, e), _mm512_shuffle_f32x4::<0xdd>(d, e));
                let rows = [
                    _mm512_shuffle_f32x4::<0x88>(even, even2),
                    _mm512_shuffle_f32x4::<0x88>(odd, odd2),
                    _mm512_shuffle_f32x4::<0xdd>(even, even2),
                    _mm512_shuffle_f32x4::<0xdd>(odd, odd2),
                ];
                for (i, row) in rows.into_iter().enumerate() {
                    _mm512_storeu_ps(to.add((4 * i + c) * pitch).cast(), row);
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn max_rectified(self, b: Self) -> Self {
        unsafe {
            // Without signs they are in the order of whole numbers, with what is no number at its end.
            let magnitudes = _mm512_and_si512(_mm512_castps_si512(b.0.0), _mm512_set1_epi16(0x7fff));
            let larger = _mm512_max_epu16(_mm512_castps_si512(self.0.0), magnitudes);
            Self(F32x16(_mm512_castsi512_ps(larger)))
        }
    }
    #[inline(always)]
    unsafe fn dot(self, a: Self, b: Self) -> Self {
        unsafe { Self(F32x16(_mm512_dpbf16_ps(self.0.0, pairs(a), pairs(b)))) }
    }
    #[inline(always)]
    unsafe fn zero() -> Self {
        unsafe { Self(F32x16::zero()) }
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { Self(F32x16::splat(value)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self(F32x16::load(from)) }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        unsafe { Self(F32x16::load_first(from, count)) }
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        unsafe { Self(self.0.mul_add(b.0, c.0)) }
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        unsafe { Self(self.0.add(b.0)) }
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        unsafe { Self(self.0.sub(b.0)) }
    }
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        unsafe { Self(self.0.mul(b.0)) }
    }
    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        unsafe { Self(self.0.max(b.0)) }
    }
    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        unsafe { Self(self.0.min(b.0)) }
    }
    #[inline(always)]
    unsafe fn where_positive(self, value: Self) -> Self {
        unsafe { Self(self.0.where_positive(value.0)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { self.0.store(to) }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        unsafe { self.0.store_first(to, count) }
    }
}
