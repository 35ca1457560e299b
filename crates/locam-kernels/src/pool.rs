//! Max pooling without memory of where the largest values were, and means over images.

use crate::conv::check_length;
use crate::isa::Kernel;
use crate::parallel::{Shared, for_each_chunk, for_each_task, piece};
use crate::simd::{Simd, read_up_to, write_up_to};
use crate::{Band, Element, Extent, Isa, KernelError, PoolParams};
use std::ops::Range;

/// Pixels of a task that copies.
const COPY_PIXELS: usize = 256;

/// Max pooling of what a band of rows needs; each value of the output is the largest of its window.
///
/// # Errors
/// [`KernelError::Pooling`], [`KernelError::WindowTooLarge`] where a window lies wholly outside the rows,
/// [`KernelError::Length`].
pub fn max_pool<E: Element>(
    isa: Isa,
    params: PoolParams,
    (extent, band): (Extent, Band),
    channels: usize,
    input: &[E],
    output: &mut [E],
) -> Result<(), KernelError> {
    let out = params.band_output(extent, band)?;
    check_length("the input", extent.values(channels)?, input.len())?;
    check_length("the output", out.values(channels)?, output.len())?;
    let target = Shared::new(output);
    let pool = Pool { params, above: band.above, extent, out, channels, input };
    for_each_task(out.batch * out.height, |row| {
        E::run(isa, PoolTask { pool: &pool, row, output: target });
    });
    Ok(())
}

struct Pool<'a, E> {
    params: PoolParams,
    above: usize,
    extent: Extent,
    out: Extent,
    channels: usize,
    input: &'a [E],
}

impl<E> Pool<'_, E> {
    fn pixel(&self, image: usize, y: usize, x: usize) -> usize {
        (image * self.extent.height + y) * self.extent.width + x
    }
}

/// The part of an axis, with so much padding before it, that the window at `at` covers.
pub(crate) fn window(params: PoolParams, before: usize, at: usize, length: usize) -> Range<usize> {
    let start = at * params.stride;
    let end = (start + params.kernel).saturating_sub(before).min(length);
    start.saturating_sub(before)..end
}

struct PoolTask<'a, E> {
    pool: &'a Pool<'a, E>,
    row: usize,
    output: Shared<E>,
}

impl<E: Element> Kernel<E> for PoolTask<'_, E> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(self) {
        let Pool { extent, above, out, channels, input, params } = *self.pool;
        let (image, y) = (self.row / out.height, self.row % out.height);
        let rows = window(params, above, y, extent.height);
        for x in 0..out.width {
            let windows = (rows.clone(), window(params, params.padding, x, extent.width));
            let corner = self.pool.pixel(image, 0, 0) * channels;
            let at = (self.row * out.width + x) * channels;
            // SAFETY: the window lies in the image, and this task alone writes this row.
            unsafe {
                let from = input.as_ptr().add(corner);
                largest_of::<S>(from, extent.width, windows, 0..channels, self.output.get().add(at));
            }
        }
    }
}

/// Writes the largest values of some channels of a window of an image, of which `channels.end` are a pixel.
///
/// # Safety
/// As [`Simd`]; the window lies in the image, whose rows have `width` pixels.
#[inline(always)]
unsafe fn largest_of<S: Simd>(
    image: *const S::Stored,
    width: usize,
    (rows, columns): (Range<usize>, Range<usize>),
    channels: Range<usize>,
    output: *mut S::Stored,
) {
    const TOGETHER: usize = 4;
    let each = TOGETHER * S::LANES;
    let together = channels.start + channels.len() / each * each;
    // SAFETY: the caller vouches for the window.
    unsafe {
        for channel in (channels.start..together).step_by(each) {
            let mut largest = [S::splat(f32::NEG_INFINITY); TOGETHER];
            for y in rows.clone() {
                for x in columns.clone() {
                    let from = image.add((y * width + x) * channels.end + channel);
                    for (number, largest) in largest.iter_mut().enumerate() {
                        // The new value last: where it is not a number, so is the result.
                        *largest = largest.max(S::read(from.add(number * S::LANES)));
                    }
                }
            }
            for (number, largest) in largest.into_iter().enumerate() {
                largest.write(output.add(channel + number * S::LANES));
            }
        }
        for channel in (together..channels.end).step_by(S::LANES) {
            let count = S::LANES.min(channels.end - channel);
            let mut largest = S::splat(f32::NEG_INFINITY);
            for y in rows.clone() {
                for x in columns.clone() {
                    let from = image.add((y * width + x) * channels.end + channel);
                    largest = largest.max(read_up_to(from, count));
                }
            }
            write_up_to(largest, output.add(channel), count);
        }
    }
}

/// The same of the first channels, of values that are not below zero, without widening them; returns how many channels these are.
///
/// # Safety
/// As [`largest_of`].
#[inline(always)]
unsafe fn largest_rectified_of<S: Simd>(
    image: *const S::Stored,
    width: usize,
    (rows, columns): (Range<usize>, Range<usize>),
    channels: usize,
    output: *mut S::Stored,
) -> usize {
    const TOGETHER: usize = 2;
    let values = S::LANES * S::PER_WORD;
    let together = channels / (TOGETHER * values) * TOGETHER * values;
    // SAFETY: the caller vouches for the window.
    unsafe {
        for channel in (0..together).step_by(TOGETHER * values) {
            let mut largest = [S::zero(); TOGETHER];
            for y in rows.clone() {
                for x in columns.clone() {
                    let from = image.add((y * width + x) * channels + channel);
                    for (number, largest) in largest.iter_mut().enumerate() {
                        *largest = largest.max_rectified(S::read_words(from.add(number * values)));
                    }
                }
            }
            for (number, largest) in largest.into_iter().enumerate() {
                largest.store(output.add(channel + number * values).cast());
            }
        }
    }
    together
}

/// Pools a rectangle: `between` holds the input pixels at `from`, rows and columns, and the pooled pixels are those of
/// an image at rows and columns of an output of some extent. `above` rows of padding are above the first row; where `rectified`
/// is set, no value is below zero.
///
/// # Safety
/// The windows lie in the rectangle, and nobody else writes these pixels.
pub(crate) unsafe fn pool_tile<E: Element>(
    isa: Isa,
    (params, above, rectified): (PoolParams, usize, bool),
    from: (Range<usize>, Range<usize>),
    between: &[E],
    channels: usize,
    to: (Extent, usize, Range<usize>, Range<usize>),
    output: Shared<E>,
) {
    E::run(isa, TileTask { params, above, rectified, from, between, channels, to, output });
}

struct TileTask<'a, E> {
    params: PoolParams,
    above: usize,
    rectified: bool,
    from: (Range<usize>, Range<usize>),
    between: &'a [E],
    channels: usize,
    to: (Extent, usize, Range<usize>, Range<usize>),
    output: Shared<E>,
}

impl<E: Element> Kernel<E> for TileTask<'_, E> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(self) {
        let (out, image, ys, xs) = self.to;
        let (rows, columns) = self.from;
        let within = |at: usize, before: usize, whole: &Range<usize>| {
            let window = window(self.params, before, at, whole.end);
            window.start - whole.start..window.end - whole.start
        };
        for y in ys {
            for x in xs.clone() {
                let at = ((image * out.height + y) * out.width + x) * self.channels;
                let windows = (within(y, self.above, &rows), within(x, self.params.padding, &columns));
                // SAFETY: the caller vouches for windows and pixels.
                unsafe {
                    let (from, to) = (self.between.as_ptr(), self.output.get().add(at));
                    let first = if self.rectified && S::PER_WORD == 2 {
                        largest_rectified_of::<S>(from, columns.len(), windows.clone(), self.channels, to)
                    } else {
                        0
                    };
                    largest_of::<S>(from, columns.len(), windows, first..self.channels, to);
                }
            }
        }
    }
}

/// The mean over the pixels of each image, per channel.
///
/// # Errors
/// [`KernelError::Length`].
pub fn global_mean<E: Element>(
    extent: Extent,
    channels: usize,
    input: &[E],
    output: &mut [f32],
) -> Result<(), KernelError> {
    check_length("the input", extent.values(channels)?, input.len())?;
    check_length("the output", extent.batch * channels, output.len())?;
    let of_image = extent.height * extent.width * channels;
    for_each_chunk(output, channels.max(1), |image, means| {
        means.fill(0.0);
        for pixel in input[image * of_image..][..of_image].chunks_exact(channels) {
            means.iter_mut().zip(pixel).for_each(|(mean, value)| *mean += value.to_f32());
        }
        for mean in means {
            *mean /= (extent.height * extent.width) as f32;
        }
    });
    Ok(())
}

/// Copies `channels` values per pixel from one tensor to another, each with a pitch and an offset of its own.
///
/// # Panics
/// If the tensors do not have as many pixels, or the channels do not fit into a pixel.
pub fn copy_channels<E: Element>(from: (&[E], usize, usize), to: (&mut [E], usize, usize), channels: usize) {
    let ((from, from_pitch, from_offset), (to, to_pitch, to_offset)) = (from, to);
    assert_eq!(from.len() / from_pitch, to.len() / to_pitch, "as many pixels");
    let fit = |pitch: usize, offset| pitch.checked_sub(offset).is_some_and(|left| channels <= left);
    assert!(fit(from_pitch, from_offset) && fit(to_pitch, to_offset), "{channels} channels fit into a pixel");
    let pixels = from.len() / from_pitch;
    let target = Shared::new(to);
    for_each_task(pixels.div_ceil(COPY_PIXELS), |task| {
        for pixel in piece(task, COPY_PIXELS, pixels) {
            let start = pixel * to_pitch + to_offset;
            // SAFETY: each task has pixels of its own.
            let to = unsafe { target.slice(start..start + channels) };
            to.copy_from_slice(&from[pixel * from_pitch + from_offset..][..channels]);
        }
    });
}
