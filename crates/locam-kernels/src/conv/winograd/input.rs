//! Images on their way into points.

use super::{Layout, POSITIONS};
use crate::conv::tiles::{Form, POINTS, Tile, TileList};
use crate::conv::transforms::{self, across};
use crate::isa::Kernel;
use crate::parallel::{Shared, for_each_task, piece};
use crate::simd::{Simd, prefetch, read_up_to, write_up_to};
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
        let (stride, width) = (self.form.stride, self.image.extent.width * self.image.channels);
        // The pixels of a row that count as one.
        let channels = stride * self.image.channels;
        let count = |channel: usize| S::LANES.min(channels - channel);
        // SAFETY: each pixel has so many channels.
        unsafe {
            let Some(corner) = self.corner::<Y, X>(tile) else {
                for first in 0..stride {
                    let pixels = self.pixels::<Y, X>(tile, first, pairs);
                    for channel in (0..channels).step_by(S::LANES) {
                        let at = |y: usize, x: usize| pixels[y][x].wrapping_add(channel);
                        self.transform::<S, Y, X>(
                            place,
                            first * channels + channel,
                            count(channel),
                            at,
                            None,
                        );
                    }
                }
                return;
            };
            if stride == 2 && 2 * channels <= S::LANES {
                let at = |y: usize, x: usize| corner.wrapping_add(2 * y * width + x * channels);
                self.transform::<S, Y, X>(place, 0, 2 * channels, at, Some(width));
                return;
            }
            // No hardware foresees that the next tile lies beside this one; it shares the first columns of a 3x3 window.
            let next = self.list.tiles.get(place + 1).and_then(|&next| self.corner::<Y, X>(next));
            for first in 0..stride {
                for channel in (0..channels).step_by(S::LANES) {
                    let from = first * width + channel;
                    let next = next.map(|next| next.wrapping_add(from));
                    let at = |y: usize, x: usize| {
                        let offset = stride * y * width + x * channels;
                        if let (Some(next), 2..) = (next, x) {
                            prefetch(next.wrapping_add(offset));
                        }
                        corner.wrapping_add(from + offset)
                    };
                    self.transform::<S, Y, X>(place, first * channels + channel, count(channel), at, None);
                }
            }
        }
    }

    /// Turns `count` channels of a tile into points from `row` on. Those of its pixel (y, x) lie `at` there; where `second`
    /// is given, half of them lie that much further on.
    ///
    /// Vectors are read here and not in the closure: what isn't inlined by force is compiled without the instruction
    /// set, and each of its instructions may become a call.
    ///
    /// # Safety
    /// As [`Simd`]; the pixels have so many channels, and the layout has room for them at all positions of the tile.
    #[inline(always)]
    unsafe fn transform<S: Simd<Stored = E>, const Y: usize, const X: usize>(
        &self,
        place: usize,
        row: usize,
        count: usize,
        at: impl Fn(usize, usize) -> *const E,
        second: Option<usize>,
    ) {
        // SAFETY: the caller's.
        unsafe {
            let mut columns = [[S::zero(); Y]; X];
            for (x, column) in columns.iter_mut().enumerate() {
                for (y, value) in column.iter_mut().enumerate() {
                    let first = at(y, x);
                    *value = match second {
                        Some(second) => S::read_two(first, first.add(second), count / 2),
                        None => read_up_to(first, count),
                    };
                }
                *column = transforms::input(*column);
            }
            let points = self.points.get().add(place * self.layout.tile + row);
            for y in 0..Y {
                let row: [S; X] = transforms::input(across(&columns, y));
                for (x, value) in row.into_iter().enumerate() {
                    let position = POINTS * transforms::position::<Y>(y) + transforms::position::<X>(x);
                    write_up_to(value, points.add(position * self.layout.position), count);
                }
            }
        }
    }

    /// Where a tile's first input pixel lies, if all of them lie in the image.
    #[inline(always)]
    fn corner<const Y: usize, const X: usize>(&self, tile: Tile) -> Option<*const E> {
        let (Image { values, extent, channels, padding, .. }, stride) = (self.image, self.form.stride);
        let y = usize::try_from((tile.y.start * stride) as isize - padding.0).ok()?;
        let x = usize::try_from((tile.x.start * stride) as isize - padding.1).ok()?;
        let inside = y + Y * stride <= extent.height && x + X * stride <= extent.width;
        // SAFETY: the pixel lies in the image.
        inside
            .then(|| unsafe { values.add(((tile.image * extent.height + y) * extent.width + x) * channels) })
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
