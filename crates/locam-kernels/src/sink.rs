//! What happens to a convolution's sums on their way to memory.

use crate::Element;
use crate::simd::{Simd, load_up_to, prefetch, read_up_to, store_up_to, write_up_to};

/// A function applied to every value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// The value itself.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

/// Takes finished sums.
pub(crate) trait Sink<E>: Copy + Send + Sync {
    /// Takes some vectors: of each the values of `count` channels (at most `LANES`) of an output pixel, from the given pixel and
    /// channel on. Vectors that are there together are better taken together: what is to be done is asked once for all.
    ///
    /// # Safety
    /// As [`Simd`]; the pixels and the channels are within the output, and no other thread writes them.
    unsafe fn put<S: Simd<Stored = E>, const N: usize>(
        &mut self,
        at: [(usize, usize); N],
        count: usize,
        values: [S; N],
    );

    /// Asks for the memory that [`Sink::put`] of this pixel and channel will need.
    fn prefetch(&self, pixel: usize, channel: usize);
}

/// Writes `activation(value + bias + residual)`; where statistics are kept, adds the written value and its square to
/// those of its channel.
pub(crate) struct Forward<E> {
    /// Channel 0 of pixel 0.
    pub(crate) output: *mut E,
    /// Values from one pixel to the next.
    pub(crate) pitch: usize,
    /// Per channel, or null.
    pub(crate) bias: *const f32,
    /// Shaped as the output at its own pitch, or null.
    pub(crate) residual: *const E,
    /// Values from one residual pixel to the next.
    pub(crate) residual_pitch: usize,
    pub(crate) activation: Activation,
    /// Sums per channel, then sums of squares per channel, or null.
    pub(crate) statistics: *mut f32,
    /// Channels of the statistics.
    pub(crate) channels: usize,
}

impl<E> Clone for Forward<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Forward<E> {}

// SAFETY: tasks write disjoint pixels, and each has statistics of its own.
unsafe impl<E> Send for Forward<E> {}
// SAFETY: as above.
unsafe impl<E> Sync for Forward<E> {}

impl<E: Element> Sink<E> for Forward<E> {
    #[inline(always)]
    unsafe fn put<S: Simd<Stored = E>, const N: usize>(
        &mut self,
        at: [(usize, usize); N],
        count: usize,
        mut values: [S; N],
    ) {
        // SAFETY: the caller vouches for pixels, channels and count; the pointers are those of whole tensors.
        unsafe {
            if !self.bias.is_null() {
                for (value, (_, channel)) in values.iter_mut().zip(at) {
                    *value = value.add(load_up_to(self.bias.add(channel), count));
                }
            }
            if !self.residual.is_null() {
                for (value, (pixel, channel)) in values.iter_mut().zip(at) {
                    let residual = self.residual.add(pixel * self.residual_pitch + channel);
                    *value = value.add(read_up_to::<S>(residual, count));
                }
            }
            // The constant first: a value that is not a number stays one.
            match self.activation {
                Activation::None => {}
                Activation::Relu => {
                    for value in &mut values {
                        *value = S::zero().max(*value);
                    }
                }
                Activation::Relu6 => {
                    for value in &mut values {
                        *value = S::splat(6.0).min(S::zero().max(*value));
                    }
                }
            }
            if !self.statistics.is_null() {
                // Sums of one channel after the other stay in a register, as long as no other is written between them.
                for (&value, (_, channel)) in values.iter().zip(at) {
                    add_to::<S>(self.statistics.add(channel), count, value);
                }
                for (&value, (_, channel)) in values.iter().zip(at) {
                    add_to::<S>(self.statistics.add(self.channels + channel), count, value.mul(value));
                }
            }
            for (value, (pixel, channel)) in values.into_iter().zip(at) {
                write_up_to(value, self.output.add(pixel * self.pitch + channel), count);
            }
        }
    }

    #[inline(always)]
    fn prefetch(&self, pixel: usize, channel: usize) {
        prefetch(self.output.wrapping_add(pixel * self.pitch + channel));
        if !self.residual.is_null() {
            prefetch(self.residual.wrapping_add(pixel * self.residual_pitch + channel));
        }
    }
}

/// The gradient of a value that was normalised, perhaps added to, and rectified: adds the gradient of another branch,
/// passes what the `ReLU` passed, and adds what batch normalisation's gradient needs to the sums of its channel.
pub(crate) struct Backward<E> {
    /// Channel 0 of pixel 0 of the gradient; all tensors here have the same pitch.
    pub(crate) output: *mut E,
    /// Values from one pixel to the next.
    pub(crate) pitch: usize,
    /// The gradient from another branch, or null.
    pub(crate) addend: *const E,
    /// What the `ReLU` gave, or null where there is none.
    pub(crate) rectified: *const E,
    /// Where the `ReLU` ends: six, or infinity.
    pub(crate) ceiling: f32,
    /// What batch normalisation read, or null where there is none.
    pub(crate) normalized_from: *const E,
    /// Its mean per channel, or null where there is none.
    pub(crate) mean: *const f32,
    /// Per channel the sum of gradients, then the sum of gradients times deviations from the mean.
    pub(crate) sums: *mut f32,
}

impl<E> Clone for Backward<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Backward<E> {}

// SAFETY: tasks write disjoint pixels, and each has sums of its own.
unsafe impl<E> Send for Backward<E> {}
// SAFETY: as above.
unsafe impl<E> Sync for Backward<E> {}

impl<E: Element> Sink<E> for Backward<E> {
    #[inline(always)]
    unsafe fn put<S: Simd<Stored = E>, const N: usize>(
        &mut self,
        at: [(usize, usize); N],
        count: usize,
        mut values: [S; N],
    ) {
        let place = |(pixel, channel): (usize, usize)| pixel * self.pitch + channel;
        // SAFETY: as in `Forward`.
        unsafe {
            if !self.addend.is_null() {
                for (value, at) in values.iter_mut().zip(at) {
                    *value = value.add(read_up_to(self.addend.add(place(at)), count));
                }
            }
            if !self.rectified.is_null() {
                for (value, at) in values.iter_mut().zip(at) {
                    let rectified: S = read_up_to(self.rectified.add(place(at)), count);
                    *value = rectified.where_positive(*value);
                    if self.ceiling < f32::INFINITY {
                        *value = S::splat(self.ceiling).sub(rectified).where_positive(*value);
                    }
                }
            }
            if !self.normalized_from.is_null() {
                // As in `Forward`.
                for (&value, at) in values.iter().zip(at) {
                    add_to::<S>(self.sums.add(at.1), count, value);
                }
                for (&value, at) in values.iter().zip(at) {
                    let mean: S = load_up_to(self.mean.add(at.1), count);
                    let deviation = read_up_to::<S>(self.normalized_from.add(place(at)), count).sub(mean);
                    add_to::<S>(self.sums.add(self.pitch + at.1), count, value.mul(deviation));
                }
            }
            for (value, at) in values.into_iter().zip(at) {
                write_up_to(value, self.output.add(place(at)), count);
            }
        }
    }

    #[inline(always)]
    fn prefetch(&self, pixel: usize, channel: usize) {
        let at = pixel * self.pitch + channel;
        prefetch(self.output.wrapping_add(at));
        for other in [self.addend, self.rectified, self.normalized_from] {
            if !other.is_null() {
                prefetch(other.wrapping_add(at));
            }
        }
    }
}

/// Adds to the sums of `count` channels.
///
/// # Safety
/// As [`Simd`]; there are `count` sums.
#[inline(always)]
unsafe fn add_to<S: Simd>(sums: *mut f32, count: usize, value: S) {
    // SAFETY: the caller vouches for the sums.
    unsafe { store_up_to(load_up_to::<S>(sums, count).add(value), sums, count) }
}
