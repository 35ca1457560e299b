//! Points times the weights' points, and the products on their way to output.

use super::{BLOCK, Layout, POSITIONS, Points};
use crate::conv::tiles::{POINTS, Tile, TileList, sizes};
use crate::conv::transforms::{self, across};
use crate::isa::Kernel;
use crate::multiply::{each_row, product, with_rows};
use crate::parallel::{Shared, piece};
use crate::simd::Simd;
use crate::sink::Sink;
use crate::{Element, Extent};
use std::ops::Range;

/// Multiplies the points of tiles by those of the weights of a block of output channels, and turns the products into
/// output.
pub(super) struct MultiplyTask<'a, E, K> {
    pub(super) list: &'a TileList,
    pub(super) tiles: Range<usize>,
    pub(super) layout: Layout,
    pub(super) points: Shared<E>,
    pub(super) weights: &'a Points<E>,
    pub(super) block: usize,
    pub(super) output: Extent,
    pub(super) products: &'a mut [f32],
    pub(super) sink: K,
}

impl<E: Element, K: Sink<E>> Kernel<E> for MultiplyTask<'_, E, K> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(mut self) {
        // SAFETY: the points of all tiles are there, the products are this task's own, and the sink takes the tiles'
        // pixels.
        unsafe {
            for position in 0..POSITIONS {
                self.multiply::<S, R, V>(position);
            }
            for place in self.tiles.clone() {
                match self.weights.form.taps() {
                    3 => self.finish_tile::<S, 4, 3>(place),
                    _ => self.finish_tile::<S, 3, 2>(place),
                }
            }
        }
    }
}

impl<E: Element, K: Sink<E>> MultiplyTask<'_, E, K> {
    fn channels(&self) -> Range<usize> {
        piece(self.block, BLOCK, self.weights.columns)
    }

    /// # Safety
    /// As [`Simd`]; points and products are as the layouts say.
    #[inline(always)]
    unsafe fn multiply<S: Simd<Stored = E>, const R: usize, const V: usize>(&mut self, position: usize) {
        let places = self.list.with_position(position);
        let first = places.partition_point(|&place| (place as usize) < self.tiles.start);
        let last = places.partition_point(|&place| (place as usize) < self.tiles.end);
        let layout = Layout::products(self.tiles.len());
        let width = V * S::LANES;
        let words = self.weights.rows.div_ceil(S::PER_WORD);
        let channels = self.channels();
        for start in channels.clone().step_by(width) {
            let panel = self.weights.panel(position, start / width);
            for (group, places) in places[first..last].chunks(R).enumerate() {
                if start == channels.start {
                    self.prefetch(position, group * R..(group + 1) * R);
                }
                // SAFETY: each place is a tile with points at this position, and has room among the products.
                unsafe {
                    let points = self.points.get().add(position * self.layout.position);
                    let products =
                        self.products.as_mut_ptr().add(position * layout.position + start - channels.start);
                    with_rows!(places.len(), USED => {
                        let places: [usize; USED] = std::array::from_fn(|r| places[r] as usize);
                        let rows = places.map(|place| points.add(place * self.layout.tile).cast_const());
                        let taps = std::iter::once(rows);
                        let sums = product::<S, USED, V>(taps, words, (panel, width * S::PER_WORD));
                        each_row!(USED, row => {
                            let to = products.add((places[row] - self.tiles.start) * layout.tile);
                            for (v, sum) in sums[row].iter().enumerate() {
                                sum.store(to.add(v * S::LANES));
                            }
                        });
                    });
                }
            }
        }
    }

    /// Turns a tile's products into its output; long tiles have `L` pixels along an axis, short ones `T`.
    ///
    /// # Safety
    /// As [`Simd`]; the sink takes the tile's pixels.
    #[inline(always)]
    unsafe fn finish_tile<S: Simd<Stored = E>, const L: usize, const T: usize>(&mut self, place: usize) {
        let tile = self.list.tiles[place];
        // SAFETY: the caller's.
        unsafe {
            match (tile.y.is_long, tile.x.is_long) {
                (true, true) => self.finish::<S, 6, 6, L, L>(tile, place),
                (true, false) => self.finish::<S, 6, 5, L, T>(tile, place),
                (false, true) => self.finish::<S, 5, 6, T, L>(tile, place),
                (false, false) => self.finish::<S, 5, 5, T, T>(tile, place),
            }
        }
    }

    /// Asks, spread over the products of all positions, for what the sink will need: of each of these tiles (counted in
    /// the task) the pixel that stands at this position.
    #[inline(always)]
    fn prefetch(&self, position: usize, tiles: Range<usize>) {
        let (y, x) = (position / POINTS, position % POINTS);
        let (longest, _) = sizes(self.weights.form.taps());
        if y.max(x) >= longest {
            return;
        }
        let here = &self.list.tiles[self.tiles.clone()];
        for tile in &here[tiles.start.min(here.len())..tiles.end.min(here.len())] {
            if y < tile.y.used && x < tile.x.used {
                let row = tile.image * self.output.height + tile.y.start + y;
                let pixel = row * self.output.width + tile.x.start + x;
                for channel in self.channels().step_by(64 / size_of::<E>()) {
                    self.sink.prefetch(pixel, channel);
                }
            }
        }
    }

    /// # Safety
    /// As [`Simd`]; the sink takes the tile's pixels.
    #[inline(always)]
    unsafe fn finish<S: Simd<Stored = E>, const Y: usize, const X: usize, const H: usize, const W: usize>(
        &mut self,
        tile: Tile,
        place: usize,
    ) {
        let layout = Layout::products(self.tiles.len());
        let products = self.products.as_ptr();
        let channels = self.channels();
        let corner = (tile.image * self.output.height + tile.y.start) * self.output.width + tile.x.start;
        for channel in channels.clone().step_by(S::LANES) {
            let count = S::LANES.min(channels.end - channel);
            // SAFETY: all positions of the tile have products.
            unsafe {
                let mut columns = [[S::zero(); H]; X];
                for (x, column) in columns.iter_mut().enumerate() {
                    let mut points = [S::zero(); Y];
                    for (y, point) in points.iter_mut().enumerate() {
                        let position = POINTS * transforms::position::<Y>(y) + transforms::position::<X>(x);
                        let place = (place - self.tiles.start) * layout.tile;
                        *point = S::load(
                            products.add(position * layout.position + place + channel - channels.start),
                        );
                    }
                    *column = transforms::output(points);
                }
                for y in 0..tile.y.used {
                    let row: [S; W] = transforms::output::<S, X, W>(across(&columns, y));
                    for (x, &value) in row.iter().enumerate().take(tile.x.used) {
                        self.sink.put([(corner + y * self.output.width + x, channel)], count, [value]);
                    }
                }
            }
        }
    }
}
