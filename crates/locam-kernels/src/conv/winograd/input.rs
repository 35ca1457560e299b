//! Images on their way into points.

use super::{Layout, POSITIONS};
use crate::conv::tiles::{Form, POINTS, Tile, TileList};
use crate::conv::transforms;
use crate::isa::Kernel;
use crate::parallel::{Shared, for_each_task, piece};
use crate::simd::{Simd, read_up_to, write_up_to};
use crate::{Buffer, Element, Extent, Isa};
use std::ops::Range;

/// Tiles of a task that transforms inputs or gradients.
pub(crate) const INPUT_TILES: usize = 8;

/// Images on their way into tiles.
#[derive(Clone, Copy)]
pub(crate) struct Image<E> {
    pub(crate) values: *const E,
    /// Zeros for as many channels as count as one pixel's.
    pub(crate) zeros: *const E,
    pub(crate) extent: Extent,
    pub(crate) channels: usize,
    /// Rows of padding above, and pixels of it left; negative where the output begins further in.
    pub(crate) padding: (isize, isize),
}

// SAFETY: it is only read.
unsafe impl<E: Sync> Send for Image<E> {}
// SAFETY: as above.
unsafe impl<E: Sync> Sync for Image<E> {}

/// Transforms tiles on all threads.
pub(crate) fn transform_inputs<E: Element>(
    isa: Isa,
    (image, form): (Image<E>, Form),
    list: &TileList,
    layout: Layout,
    points: Shared<E>,
) {
    for_each_task(list.tiles.len().div_ceil(INPUT_TILES), |task| {
        let tiles = piece(task, INPUT_TILES, list.tiles.len());
        E::run(isa, InputTask { image, form, list, tiles, layout, points });
    });
}

/// Turns tiles of an image into points.
pub(super) struct InputTask<'a, E> {
    pub(super) image: Image<E>,
    pub(super) form: Form,
    pub(super) list: &'a TileList,
    pub(super) tiles: Range<usize>,
    pub(super) layout: Layout,
    pub(super) points: Shared<E>,
}

impl<E: Element> Kernel<E> for InputTask<'_, E> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(self) {
        let mut pairs = Buffer::default();
        for place in self.tiles.clone() {
            let tile = self.list.tiles[place];
            // SAFETY: the tile is one of the image's, and its points are this task's own.
            unsafe {
                match (tile.y.is_long, tile.x.is_long) {
                    (true, true) => self.tile::<S, 6, 6>(tile, place, &mut pairs),
                    (true, false) => self.tile::<S, 6, 5>(tile, place, &mut pairs),
                    (false, true) => self.tile::<S, 5, 6>(tile, place, &mut pairs),
                    (false, false) => self.tile::<S, 5, 5>(tile, place, &mut pairs),
                }
            }
        }
    }
}

impl<E: Element> InputTask<'_, E> {
    /// # Safety
    /// As [`Simd`]; the tile is one of the image's, and its points belong to the caller.
    #[inline(always)]
    unsafe fn tile<S: Simd<Stored = E>, const Y: usize, const X: usize>(
        &self,
        tile: Tile,
        place: usize,
        pairs: &mut Buffer<E>,
    ) {
        // The pixels of a row that count as one.
        let channels = self.form.stride * self.image.channels;
        for first in 0..self.form.stride {
            let pixels = self.pixels::<Y, X>(tile, first, pairs);
            for channel in (0..channels).step_by(S::LANES) {
                let count = S::LANES.min(channels - channel);
                // SAFETY: each pixel has so many channels, and the layout room for all positions of the tile.
                unsafe {
                    let mut columns = [[S::zero(); Y]; X];
                    for (x, column) in columns.iter_mut().enumerate() {
                        let pixels =
                            std::array::from_fn(|y| read_up_to::<S>(pixels[y][x].add(channel), count));
                        *column = transforms::input(pixels);
                    }
                    for y in 0..Y {
                        let row: [S; X] = transforms::input(std::array::from_fn(|x| columns[x][y]));
                        for (x, value) in row.into_iter().enumerate() {
                            let position =
                                POINTS * transforms::position::<Y>(y) + transforms::position::<X>(x);
                            let at = position * self.layout.position
                                + place * self.layout.tile
                                + first * channels
                                + channel;
                            write_up_to(value, self.points.get().add(at), count);
                        }
                    }
                }
            }
        }
    }

    /// Where the tile's input pixels lie, in every row that counts as row `first` of a pair (or alone): in the image,
    /// among zeros where the tile reaches over its border, or in a copy where of a pair of pixels one lies outside.
    #[inline(always)]
    fn pixels<const Y: usize, const X: usize>(
        &self,
        tile: Tile,
        first: usize,
        pairs: &mut Buffer<E>,
    ) -> [[*const E; X]; Y] {
        let (Image { values, zeros, extent, channels, padding }, stride) = (self.image, self.form.stride);
        let y = (tile.y.start * stride + first) as isize - padding.0;
        let x = (tile.x.start * stride) as isize - padding.1;
        let inside = |start: isize, size: usize, length: usize| start >= 0 && start as usize + size <= length;
        let whole_rows = inside(x, X * stride, extent.width);
        let mut pixels = [[zeros; X]; Y];
        for (i, pixels) in pixels.iter_mut().enumerate() {
            let y = y + (i * stride) as isize;
            if !inside(y, 1, extent.height) {
                continue;
            }
            let row = (tile.image * extent.height + y as usize) * extent.width;
            let of_row = |x: isize| (row + x as usize) * channels;
            for (j, pixel) in pixels.iter_mut().enumerate() {
                let x = x + (j * stride) as isize;
                if whole_rows || inside(x, stride, extent.width) {
                    // SAFETY: the pixel lies in the image.
                    *pixel = unsafe { values.add(of_row(x)) };
                } else if let Some(there) = (0..stride).find(|&i| inside(x + i as isize, 1, extent.width)) {
                    pairs.resize(POSITIONS * 2 * channels);
                    let copy = &mut pairs[(i * X + j) * 2 * channels..][..2 * channels];
                    copy.fill(E::default());
                    // SAFETY: the pixel lies in the image.
                    let source = unsafe {
                        std::slice::from_raw_parts(values.add(of_row(x + there as isize)), channels)
                    };
                    copy[there * channels..][..channels].copy_from_slice(source);
                    *pixel = copy.as_ptr();
                }
            }
        }
        pixels
    }
}
