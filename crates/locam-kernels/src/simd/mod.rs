//! Vectors of `f32`, one type per instruction set, behind one trait.
//!
//! A kernel is written once, generic over [`Simd`], and compiled once per instruction set inside a function that
//! enables it: every method is `#[inline(always)]`, so that the intrinsics end up in that function's body.
//!
//! Sums are always kept in `f32`. What lies in memory has a type of its own, [`Simd::Stored`]: `f32` or
//! [`Bf16`](crate::Bf16). A matrix product reads memory in *words* of 32 bits, one `f32` or two neighbouring `Bf16`,
//! and [`Simd::dot`] adds the product of a word that is the same in all lanes and a vector of words.

#![allow(clippy::undocumented_unsafe_blocks, reason = "each type says once why all its methods are sound")]

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512_bf16;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod portable;

/// A vector of `LANES` values of type `f32`.
///
/// # Safety
/// Every method may be called only where the CPU has the instruction set that the type stands for. Methods that
/// take a pointer read or write as many values as they say, which need no alignment.
pub(crate) unsafe trait Simd: Copy {
    /// Values in a vector.
    const LANES: usize;
    /// What lies in memory.
    type Stored: crate::Element;
    /// Values of the stored type in a word of 32 bits.
    const PER_WORD: usize = 4 / size_of::<Self::Stored>();

    /// Reads `LANES` stored values.
    unsafe fn read(from: *const Self::Stored) -> Self;
    /// Writes `LANES` values, rounded to what is stored.
    unsafe fn write(self, to: *mut Self::Stored);
    /// Reads the first `count < LANES` stored values; the others are zero.
    unsafe fn read_first(from: *const Self::Stored, count: usize) -> Self;
    /// Reads `count` stored values at each of two places, one after the other, of which there are at most `LANES`; the
    /// others are zero.
    #[inline(always)]
    unsafe fn read_two(first: *const Self::Stored, second: *const Self::Stored, count: usize) -> Self {
        let mut both = [Self::Stored::default(); 64];
        unsafe {
            both.as_mut_ptr().copy_from_nonoverlapping(first, count);
            both.as_mut_ptr().add(count).copy_from_nonoverlapping(second, count);
            Self::read(both.as_ptr())
        }
    }
    /// Writes the first `count < LANES` values, rounded to what is stored.
    unsafe fn write_first(self, to: *mut Self::Stored, count: usize);
    /// The word at `from`, which may lie anywhere, in every lane.
    unsafe fn splat_word(from: *const Self::Stored) -> Self;
    /// `LANES` words.
    unsafe fn read_words(from: *const Self::Stored) -> Self;
    /// Words of half their size each: `LANES` stored values at one place, and those at another. Only for types of which a word
    /// has two.
    #[inline(always)]
    unsafe fn pair(first: *const Self::Stored, second: *const Self::Stored) -> Self {
        let mut words = [Self::Stored::default(); 64];
        for lane in 0..Self::LANES {
            unsafe {
                words[2 * lane] = *first.add(lane);
                words[2 * lane + 1] = *second.add(lane);
            }
        }
        unsafe { Self::read_words(words.as_ptr()) }
    }
    /// Writes words of 16 vectors with 16 lanes: the first words of all, then, `pitch` stored values further, the second ones, and
    /// so on.
    #[inline(always)]
    unsafe fn store_turned(vectors: [Self; 16], to: *mut Self::Stored, pitch: usize) {
        let mut words = [[0.0; 16]; 16];
        for (words, vector) in words.iter_mut().zip(vectors) {
            unsafe { vector.store(words.as_mut_ptr()) };
        }
        for lane in 0..16 {
            let turned = words.map(|words| words[lane]);
            unsafe { to.add(lane * pitch).cast::<[f32; 16]>().write_unaligned(turned) };
        }
    }
    /// The larger ones of the values in two words; no value of `self` is below zero, and the sign of `b`'s does not count.
    #[inline(always)]
    unsafe fn max_rectified(self, b: Self) -> Self {
        unsafe { self.max(b) }
    }
    /// `self` plus, in each lane, the sum of the products of the values in two words.
    unsafe fn dot(self, a: Self, b: Self) -> Self;

    /// All zeros.
    unsafe fn zero() -> Self;
    /// The same value everywhere.
    unsafe fn splat(value: f32) -> Self;
    /// Reads `LANES` values.
    unsafe fn load(from: *const f32) -> Self;
    /// Writes `LANES` values.
    unsafe fn store(self, to: *mut f32);
    /// Reads the first `count < LANES` values; the others are zero.
    unsafe fn load_first(from: *const f32, count: usize) -> Self;
    /// Writes the first `count < LANES` values.
    unsafe fn store_first(self, to: *mut f32, count: usize);
    /// `self * b + c`.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// `self + b`.
    unsafe fn add(self, b: Self) -> Self;
    /// `self - b`.
    unsafe fn sub(self, b: Self) -> Self;
    /// `self * b`.
    unsafe fn mul(self, b: Self) -> Self;
    /// The larger of each pair; `b` where `self` is not a number.
    unsafe fn max(self, b: Self) -> Self;
    /// The smaller of each pair; `b` where `self` is not a number.
    unsafe fn min(self, b: Self) -> Self;
    /// `value` where `self` is above zero, zero elsewhere.
    unsafe fn where_positive(self, value: Self) -> Self;
}

/// What a vector type whose memory holds `f32` does with it: nothing but read and write.
macro_rules! stored_as_f32 {
    () => {
        type Stored = f32;

        #[inline(always)]
        unsafe fn read(from: *const f32) -> Self {
            unsafe { Self::load(from) }
        }
        #[inline(always)]
        unsafe fn write(self, to: *mut f32) {
            unsafe { self.store(to) }
        }
        #[inline(always)]
        unsafe fn read_first(from: *const f32, count: usize) -> Self {
            unsafe { Self::load_first(from, count) }
        }
        #[inline(always)]
        unsafe fn write_first(self, to: *mut f32, count: usize) {
            unsafe { self.store_first(to, count) }
        }
        #[inline(always)]
        unsafe fn splat_word(from: *const f32) -> Self {
            unsafe { Self::splat(*from) }
        }
        #[inline(always)]
        unsafe fn read_words(from: *const f32) -> Self {
            unsafe { Self::load(from) }
        }
        #[inline(always)]
        unsafe fn dot(self, a: Self, b: Self) -> Self {
            unsafe { a.mul_add(b, self) }
        }
    };
}
pub(crate) use stored_as_f32;

/// Asks for the cache line at `at`, which soon is read or written. Only advice: any address will do.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing that the program could see, and faults nowhere.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T1 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Reads `count` stored values, at most `LANES`; the others are zero.
///
/// # Safety
/// As [`Simd`]; there are `count` values at `from`.
#[inline(always)]
pub(crate) unsafe fn read_up_to<S: Simd>(from: *const S::Stored, count: usize) -> S {
    // SAFETY: the caller vouches for `count` values.
    unsafe { if count >= S::LANES { S::read(from) } else { S::read_first(from, count) } }
}

/// Writes `count` values, at most `LANES`, rounded to what is stored.
///
/// # Safety
/// As [`Simd`]; there is room for `count` values at `to`.
#[inline(always)]
pub(crate) unsafe fn write_up_to<S: Simd>(value: S, to: *mut S::Stored, count: usize) {
    // SAFETY: the caller vouches for room for `count` values.
    unsafe { if count >= S::LANES { value.write(to) } else { value.write_first(to, count) } }
}

/// Reads `count` values of type `f32`, at most `LANES`; the others are zero.
///
/// # Safety
/// As [`Simd`]; there are `count` values at `from`.
#[inline(always)]
pub(crate) unsafe fn load_up_to<S: Simd>(from: *const f32, count: usize) -> S {
    // SAFETY: the caller vouches for `count` values.
    unsafe { if count >= S::LANES { S::load(from) } else { S::load_first(from, count) } }
}

/// Writes `count` values of type `f32`, at most `LANES`.
///
/// # Safety
/// As [`Simd`]; there is room for `count` values at `to`.
#[inline(always)]
pub(crate) unsafe fn store_up_to<S: Simd>(value: S, to: *mut f32, count: usize) {
    // SAFETY: the caller vouches for room for `count` values.
    unsafe { if count >= S::LANES { value.store(to) } else { value.store_first(to, count) } }
}
