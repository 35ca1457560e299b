//! Small windows by Winograd's algorithm: tiles of input become 36 points, each point is a matrix product of tiles by
//! channels, and 36 points become a tile of output. For windows of 3x3 at stride 1 it takes a quarter of a direct
//! convolution's multiplications, for 7x7 at stride 2 a third ([`Form`]).

mod input;
mod multiply;
mod weights;

pub(crate) use input::{INPUT_TILES, Image, transform_inputs};
pub(crate) use weights::Points;

use super::tiles::{POINTS, TileGrid, TileList};
use crate::parallel::{Shared, for_each_task, piece, with_scratch};
use crate::sink::Sink;
use crate::{Buffer, Element, Extent, Isa};
use input::InputTask;
use multiply::MultiplyTask;

const POSITIONS: usize = POINTS * POINTS;
/// Output channels whose products are kept between the matrix products and the way back.
const BLOCK: usize = 64;
/// Tiles whose products are kept; a multiple of the rows of every block of sums.
const LOCAL_TILES: usize = 24;
/// Most of them where all threads share the points: a block's weights are read from the last-level cache for each such chunk.
const SHARED_TILES: usize = 144;
/// Up to this many bytes of points a tile stays with the thread that transformed it, in its second-level cache.
const LOCAL_BYTES: usize = 36 * 128 * 4;
/// Bytes of points that all threads work on together: within the last-level cache.
const SHARED_BYTES: usize = 12 << 20;

/// How the tiles are cut; a function of the shape alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Whether a chunk is one thread's work from end to end.
    is_local: bool,
    /// Tiles in all.
    total: usize,
    /// Tiles that are transformed before they are multiplied.
    portion: usize,
    /// Tiles whose products are kept.
    chunk: usize,
}

impl Cut {
    pub(crate) fn new<E>(grid: &TileGrid, channels: usize) -> Self {
        let bytes = POSITIONS * channels * size_of::<E>();
        let total = grid.len();
        let is_local = bytes <= LOCAL_BYTES;
        let (portion, chunk) = if is_local {
            (LOCAL_TILES, LOCAL_TILES)
        } else {
            let most = (SHARED_BYTES / bytes).max(1);
            // Equal portions, so that the last one keeps the threads as busy as the others.
            let even = total.div_ceil(total.div_ceil(most).max(1)).max(1);
            let portion = even.next_multiple_of(LOCAL_TILES);
            let chunk = portion.div_ceil(portion.div_ceil(SHARED_TILES));
            (portion, chunk.next_multiple_of(LOCAL_TILES))
        };
        Self { is_local, total, portion, chunk }
    }

    /// Chunks of tiles; each has a sink of its own.
    pub(crate) fn chunks(self) -> usize {
        self.total.div_ceil(self.portion) * self.portion.div_ceil(self.chunk)
    }
}

/// Convolves. `sink_of` gives the sink of a chunk of tiles.
///
/// # Safety
/// The image's values are there; the sinks take every pixel of `output`.
pub(crate) unsafe fn convolve<E: Element, K: Sink<E>>(
    isa: Isa,
    image: Image<E>,
    output: Extent,
    weights: &Points<E>,
    shared: &mut Buffer<E>,
    sink_of: impl Fn(usize) -> K + Sync + Send,
) {
    let (form, channels) = (weights.form, weights.rows);
    let grid = TileGrid::new(output, form.taps());
    let cut = Cut::new::<E>(&grid, channels);
    let blocks = weights.columns.div_ceil(BLOCK);
    let portions = grid.len().div_ceil(cut.portion);
    if cut.is_local {
        for_each_task(portions, |portion| {
            let list = TileList::new(&grid, piece(portion, cut.portion, cut.total));
            let layout = Layout::new::<E>(list.tiles.len(), channels);
            let tiles = 0..list.tiles.len();
            with_scratch::<E, _>(layout.len(), Layout::products(cut.chunk).len(), |points, products| {
                let points = Shared::new(points);
                E::run(isa, InputTask { image, form, list: &list, tiles: tiles.clone(), layout, points });
                for block in 0..blocks {
                    let (tiles, products, sink) = (tiles.clone(), &mut *products, sink_of(portion));
                    let multiply = MultiplyTask {
                        list: &list,
                        tiles,
                        layout,
                        points,
                        weights,
                        block,
                        output,
                        products,
                        sink,
                    };
                    E::run(isa, multiply);
                }
            });
        });
        return;
    }
    for portion in 0..portions {
        let list = TileList::new(&grid, piece(portion, cut.portion, cut.total));
        let layout = Layout::new::<E>(list.tiles.len(), channels);
        shared.resize(layout.len());
        let points = Shared::new(shared);
        transform_inputs(isa, (image, form), &list, layout, points);
        let chunks = list.tiles.len().div_ceil(cut.chunk);
        for_each_task(blocks * chunks, |task| {
            let (block, chunk) = (task / chunks, task % chunks);
            let tiles = piece(chunk, cut.chunk, list.tiles.len());
            let sink = sink_of(portion * cut.portion.div_ceil(cut.chunk) + chunk);
            with_scratch::<E, _>(0, Layout::products(cut.chunk).len(), |_, products| {
                let list = &list;
                E::run(
                    isa,
                    MultiplyTask { list, tiles, layout, points, weights, block, output, products, sink },
                );
            });
        });
    }
}

/// Values of type `E`, and of `f32`, that [`convolve_tile`] needs on the way.
pub(crate) fn tile_scratch<E: Element>(weights: &Points<E>) -> (usize, usize) {
    (Layout::new::<E>(LOCAL_TILES, weights.rows).len(), Layout::products(LOCAL_TILES).len())
}

/// Convolves in one task, for a caller that is one itself.
///
/// # Safety
/// As [`convolve`]; there is as much scratch as [`tile_scratch`] says.
pub(crate) unsafe fn convolve_tile<E: Element, K: Sink<E> + Copy>(
    isa: Isa,
    image: Image<E>,
    output: Extent,
    weights: &Points<E>,
    (points, products): (&mut [E], &mut [f32]),
    sink: K,
) {
    let (form, grid) = (weights.form, TileGrid::new(output, weights.form.taps()));
    let points = Shared::new(points);
    for chunk in 0..grid.len().div_ceil(LOCAL_TILES) {
        let list = &TileList::new(&grid, piece(chunk, LOCAL_TILES, grid.len()));
        let (tiles, layout) = (0..list.tiles.len(), Layout::new::<E>(list.tiles.len(), weights.rows));
        E::run(isa, InputTask { image, form, list, tiles: tiles.clone(), layout, points });
        for block in 0..weights.columns.div_ceil(BLOCK) {
            let (tiles, products) = (tiles.clone(), &mut *products);
            let task = MultiplyTask { list, tiles, layout, points, weights, block, output, products, sink };
            E::run(isa, task);
        }
    }
}

/// Where the points of tiles lie: position by position, in a position tile by tile, in a tile by channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Values from one tile to the next.
    pub(crate) tile: usize,
    /// Values from one position to the next.
    pub(crate) position: usize,
}

impl Layout {
    pub(crate) fn new<E>(tiles: usize, channels: usize) -> Self {
        // Rows of tiles start at cache lines; an odd number of lines from one position to the next spreads the
        // positions over the sets of the first-level cache.
        let line = 64 / size_of::<E>();
        let tile = if channels.is_multiple_of(line) { channels } else { channels.next_multiple_of(2) };
        let lines = (tiles * tile).div_ceil(line) | 1;
        Self { tile, position: lines * line }
    }

    /// The products of so many tiles by a block of output channels.
    fn products(tiles: usize) -> Self {
        Self::new::<f32>(tiles, BLOCK)
    }

    pub(crate) fn len(self) -> usize {
        POSITIONS * self.position
    }
}
