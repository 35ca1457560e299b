//! A copy of a part of a map with its padding, in which windows of neighbouring pixels are neighbours.

use super::Task;
use crate::Element;
use crate::amx::{Depths, TILE_DEPTH, TILE_ROWS};
use crate::simd::Simd;
use crate::walk::{Tap, TapBounds, Walk};
use std::ops::Range;

/// Where pixels of the input lie in the copy: depth by depth, in a depth plane by plane, in a plane row by row, in a row image by
/// image; a pixel of a depth has room for [`TILE_DEPTH`] values. There is one plane at a stride of one. At a stride of two there is
/// one of the pixels with even rows and columns, and so on: in a plane, a tap of the next pixel reads the next pixel. The padding
/// right of a row is the padding left of the next image's, or of the next row.
pub(super) struct Planes {
    stride: usize,
    phases: Vec<Phase>,
    /// The least row and column that a pixel reads of a plane.
    low: Tap,
    /// Pixels from an image to the next.
    pub(super) width: usize,
    /// Images, of which all have these rows of the grid.
    pub(super) images: Range<usize>,
    pub(super) rows: Range<usize>,
    /// Rows that are read more than written.
    more_rows: usize,
}

/// Pixels of the input whose rows and columns are these modulo the stride: those of a plane.
struct Phase {
    first: Tap,
    /// How many of them a row has, from the first one that is read.
    columns: usize,
}

impl Planes {
    /// Planes for pixels of the grid: whole images, or whole rows of one.
    pub(super) fn new(walk: &Walk, pixels: Range<usize>) -> Self {
        let TapBounds { low, high } = walk.shift_bounds();
        let (first, end) = (low.x.max(0) as usize, (walk.grid.width as isize + high.x).max(0) as usize);
        let phase = |first_pixel: Tap| {
            let there = walk.input.width.saturating_sub(first_pixel.x as usize).div_ceil(walk.input_step);
            Phase { first: first_pixel, columns: there.min(end).saturating_sub(first) }
        };
        let phases: Vec<Phase> = walk.phases().into_iter().map(phase).collect();
        let widest = phases.iter().map(|phase| phase.columns).max().unwrap_or(0);
        let before = (-low.x).max(0) as usize;
        let width = walk.grid.width;
        let (start, last) = (walk.place(pixels.start), walk.place(pixels.end - 1));
        Self {
            stride: walk.input_step,
            phases,
            low,
            width: end.saturating_sub(first).max(before + widest).max(width),
            images: start.image..last.image + 1,
            rows: start.y..last.y + 1,
            more_rows: (high.y - low.y) as usize,
        }
    }

    /// Pixels from a row to the next.
    fn row(&self) -> usize {
        self.images.len() * self.width
    }

    /// Pixels of a plane.
    fn plane(&self) -> usize {
        self.before() + (self.rows.len() + self.more_rows) * self.row()
    }

    /// Pixels of padding before the first row.
    fn before(&self) -> usize {
        (-self.low.x).max(0) as usize
    }

    /// Pixels of a depth, with those that only rows without an output pixel read. An odd number, lest depths share sets of a cache.
    pub(super) fn depth(&self) -> usize {
        (self.phases.len() * self.plane() + TILE_ROWS) | 1
    }

    /// Pixels from the beginning, and from pixel to pixel, to what a tap reads.
    ///
    /// # Panics
    /// If it is not one of the walk.
    pub(super) fn offset(&self, tap: Tap) -> usize {
        let (shift, first) = (tap.shift(self.stride), tap.phase(self.stride));
        let plane = self.phases.iter().position(|phase| phase.first == first).expect("planes of all taps");
        let (y, x) = ((shift.y - self.low.y) as usize, (shift.x - self.low.x) as usize);
        plane * self.plane() + y * self.row() + x
    }

    /// Copies what a task reads.
    ///
    /// # Safety
    /// The walk's input is there.
    #[inline(always)]
    pub(super) unsafe fn copy<S: Simd<Stored = E>, E: Element, K>(
        &self,
        task: &Task<'_, E, K>,
        copy: &mut [E],
    ) {
        let (source, input) = (task.source, task.walk.input);
        let depths = Depths::new(task.weights.rows);
        let (size, starts) = (depths.size(), depths.starts().collect::<Vec<_>>());
        let depth = self.depth() * TILE_DEPTH;
        assert!(copy.len() >= starts.len() * depth, "room for all depths");
        let fill = |pixels: Range<usize>, copy: &mut [E]| {
            let values = pixels.start * TILE_DEPTH..pixels.end * TILE_DEPTH;
            copy.chunks_exact_mut(depth).for_each(|copy| copy[values.clone()].fill(E::default()));
        };
        let first = self.low.x.max(0) as usize;
        let mut begin = 0;
        for phase in &self.phases {
            fill(begin..begin + self.before(), copy);
            begin += self.before();
            for row in 0..self.rows.len() + self.more_rows {
                let y =
                    ((self.rows.start + row) as isize + self.low.y) * self.stride as isize + phase.first.y;
                let columns = if (0..input.height as isize).contains(&y) { phase.columns } else { 0 };
                for image in self.images.clone() {
                    let pixel = ((image * input.height) as isize + y) * input.width as isize;
                    let pixel = pixel + phase.first.x + (first * self.stride) as isize;
                    let from = source.values.wrapping_offset(pixel * source.pitch as isize);
                    for (number, &start) in starts.iter().enumerate() {
                        let to = copy[number * depth + begin * TILE_DEPTH..].as_mut_ptr();
                        let step = self.stride * source.pitch;
                        // SAFETY: these pixels lie in the input, and the copy has room for all depths.
                        unsafe { copy_depth::<S>((from.wrapping_add(start), step), size, (to, columns)) };
                    }
                    fill(begin + columns..begin + self.width, copy);
                    begin += self.width;
                }
            }
        }
    }
}

/// Copies the values of a depth of `columns` pixels, which are `step` values apart.
///
/// # Safety
/// As [`Simd`], whose vectors hold a depth; there are `size` values of each, and room.
#[inline(always)]
unsafe fn copy_depth<S: Simd>(
    (from, step): (*const S::Stored, usize),
    size: usize,
    (to, columns): (*mut S::Stored, usize),
) {
    // SAFETY: the caller's.
    unsafe {
        if size == TILE_DEPTH {
            for column in 0..columns {
                S::read_words(from.add(column * step)).store(to.add(column * TILE_DEPTH).cast());
            }
        } else {
            for column in 0..columns {
                to.add(column * TILE_DEPTH).copy_from_nonoverlapping(from.add(column * step), size);
            }
        }
    }
}
