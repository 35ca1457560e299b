use super::{Chunk, Rows};
use crate::Bf16;
use crate::amx::TILE_COLUMNS;
use crate::conv::weight_gradient::Job;
use crate::simd::Simd;

/// The output's gradient as pairs of pixels: by tiles of channels, in these image by image, in an image pair by pair.
pub(super) struct Pairs {
    /// Values of a tile of channels.
    pub(super) panel: usize,
    panels: usize,
}

impl Pairs {
    pub(super) fn new(job: &Job<'_, Bf16>, chunk: &Chunk) -> Self {
        let panel = chunk.images.len() * chunk.pixels() * TILE_COLUMNS;
        Self { panel, panels: job.channels.div_ceil(TILE_COLUMNS) }
    }

    /// Bytes that a row of the output takes.
    pub(super) fn row_bytes(job: &Job<'_, Bf16>) -> usize {
        Rows::pitch(job) * job.channels.next_multiple_of(TILE_COLUMNS) * size_of::<Bf16>()
    }

    /// Values of the copy.
    pub(super) fn len(&self) -> usize {
        self.panels * self.panel
    }

    /// # Safety
    /// As [`Simd`]; the gradient is there.
    #[inline(always)]
    pub(super) unsafe fn copy<S: Simd<Stored = Bf16>>(
        &self,
        job: &Job<'_, Bf16>,
        chunk: &Chunk,
        copy: &mut [Bf16],
    ) {
        assert!(copy.len() >= self.len(), "room for all pairs");
        let (grid, channels) = (job.walk.grid, job.channels);
        let zeros = job.source.zeros;
        let mut pixels = Vec::with_capacity(chunk.rows.len() * chunk.pitch);
        for (number, image) in chunk.images.clone().enumerate() {
            pixels.clear();
            for y in chunk.rows.clone() {
                let row = (image * grid.height + y) * grid.width;
                let row = job.gradient.as_ptr().wrapping_add(row * channels);
                pixels.extend((0..grid.width).map(|x| row.wrapping_add(x * channels)));
                pixels.extend(std::iter::repeat_n(zeros, chunk.pitch - grid.width));
            }
            pixels.resize(chunk.pixels(), zeros);
            let first = number * chunk.pixels() * TILE_COLUMNS;
            for (pair, pixels) in pixels.as_chunks::<2>().0.iter().enumerate() {
                for panel in 0..self.panels {
                    let channel = panel * TILE_COLUMNS;
                    let at = panel * self.panel + first + pair * 2 * TILE_COLUMNS;
                    let count = TILE_COLUMNS.min(channels - channel);
                    // SAFETY: these channels are there, of pixels and of zeros, and the copy has room for all pairs.
                    unsafe {
                        let pixels = [pixels[0].wrapping_add(channel), pixels[1].wrapping_add(channel)];
                        pair_up_to::<S>(pixels, count).store(copy.as_mut_ptr().add(at).cast());
                    }
                }
            }
        }
    }
}

/// Words of the values of `count` channels at two places.
///
/// # Safety
/// As [`Simd`], whose vectors have a word for each column of a tile; so many values are at both places.
#[inline(always)]
pub(super) unsafe fn pair_up_to<S: Simd<Stored = Bf16>>(at: [*const Bf16; 2], count: usize) -> S {
    // SAFETY: the caller's.
    unsafe {
        if count == TILE_COLUMNS {
            return S::pair(at[0], at[1]);
        }
        let mut both = [[Bf16::default(); TILE_COLUMNS]; 2];
        both[0].as_mut_ptr().copy_from_nonoverlapping(at[0], count);
        both[1].as_mut_ptr().copy_from_nonoverlapping(at[1], count);
        S::pair(both[0].as_ptr(), both[1].as_ptr())
    }
}
