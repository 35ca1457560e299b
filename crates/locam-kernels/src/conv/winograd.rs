//! Small windows by Winograd's algorithm: tiles of input become 36 points, each point is a matrix product of tiles by
//! channels, and 36 points become a tile of output. For windows of 3x3 at stride 1 it takes a quarter of a direct
//! convolution's multiplications, at stride 2 two thirds, for 7x7 at stride 2 a third ([`Form`]).

use super::tiles::{Form, POINTS, Tile, TileGrid, TileList};
use super::transforms;
use crate::isa::Kernel;
use crate::multiply::{add_product, with_rows, zero_block};
use crate::parallel::{Shared, for_each_task, piece, with_scratch};
use crate::simd::{Simd, load_up_to, read_up_to, write_up_to};
use crate::sink::Sink;
use crate::{Buffer, Element, Extent, Isa};
use std::ops::Range;

/// Tiles of a task that transforms inputs or gradients.
pub(crate) const INPUT_TILES: usize = 8;
/// Input channels of a task that transforms weights.
const WEIGHT_ROWS: usize = 16;
const POSITIONS: usize = POINTS * POINTS;
/// Output channels whose products are kept between the matrix products and the way back.
const BLOCK: usize = 64;
/// Tiles whose products are kept; a multiple of the rows of every block of sums.
const LOCAL_TILES: usize = 24;
const SHARED_TILES: usize = 48;
/// Up to this many bytes of points a tile stays with the thread that transformed it, in its second-level cache.
const LOCAL_BYTES: usize = 36 * 128 * 4;
/// Bytes of points that all threads work on together: within the last-level cache.
const SHARED_BYTES: usize = 12 << 20;

/// Transformed weights, by position, panel of output channels, and input channel.
#[derive(Debug)]
pub(crate) struct Points<E> {
    values: Buffer<E>,
    form: Form,
    rows: usize,
    columns: usize,
    width: usize,
}

impl<E: Element> Points<E> {
    pub(crate) fn empty() -> Self {
        Self { values: Buffer::zeroed(0), form: Form { kernel: 3, stride: 1 }, rows: 0, columns: 0, width: 0 }
    }

    /// Transforms weights given as matrices `channels` x `columns`, row-major, one per place of the window; a turned
    /// window has its last place first.
    pub(crate) fn fill(&mut self, isa: Isa, weights: &[f32], (form, turned): (Form, bool), channels: usize) {
        let places = form.kernel * form.kernel;
        let (rows, columns) = (form.rows(channels), weights.len() / (places * channels));
        assert_eq!(weights.len(), places * channels * columns, "a matrix for each place");
        (self.form, self.rows, self.columns, self.width) = (form, rows, columns, isa.panel());
        self.values.resize(POSITIONS * self.panels() * rows * self.width);
        let (panels, width) = (self.panels(), self.width);
        let values = Shared::new(&mut self.values);
        for_each_task(rows.div_ceil(WEIGHT_ROWS), |task| {
            let rows_here = piece(task, WEIGHT_ROWS, rows);
            f32::run(
                isa,
                WeightTask::<E> {
                    weights,
                    form,
                    turned,
                    channels,
                    rows,
                    columns,
                    width,
                    panels,
                    rows_here,
                    values,
                },
            );
        });
    }

    fn panels(&self) -> usize {
        self.columns.div_ceil(self.width)
    }

    fn panel(&self, position: usize, panel: usize) -> *const E {
        self.values[(position * self.panels() + panel) * self.rows * self.width..].as_ptr()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.values.bytes()
    }
}

/// The weights of some input channels.
struct WeightTask<'a, E> {
    weights: &'a [f32],
    form: Form,
    turned: bool,
    channels: usize,
    rows: usize,
    columns: usize,
    width: usize,
    panels: usize,
    rows_here: Range<usize>,
    values: Shared<E>,
}

impl<E: Element> Kernel<f32> for WeightTask<'_, E> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = f32>, const R: usize, const V: usize>(self) {
        let per_word = 4 / size_of::<E>();
        // Panel by panel: rows of a panel lie one after the other.
        for (panel, row) in
            (0..self.panels).flat_map(|panel| self.rows_here.clone().map(move |row| (panel, row)))
        {
            for lane in (0..self.width).step_by(S::LANES) {
                // SAFETY: nine matrices of `rows` x `columns` are there, and this task alone writes these rows.
                unsafe {
                    let column = panel * self.width + lane;
                    let points = match self.form.taps() {
                        2 => self.points::<S, 2>(row, column),
                        3 => self.points::<S, 3>(row, column),
                        _ => self.points::<S, 4>(row, column),
                    };
                    for (position, &point) in points.iter().enumerate() {
                        let matrix = (position * self.panels + panel) * self.rows * self.width;
                        let word = (row / per_word * self.width + lane) * per_word + row % per_word;
                        let target = self.values.get().add(matrix + word);
                        if per_word == 1 {
                            point.store(target.cast());
                        } else {
                            let mut lanes = [0f32; 16];
                            point.store(lanes.as_mut_ptr());
                            for (i, &value) in lanes[..S::LANES].iter().enumerate() {
                                target.add(i * per_word).write(E::from_f32(value));
                            }
                        }
                    }
                }
            }
        }
    }
}

impl<E> WeightTask<'_, E> {
    /// # Safety
    /// As [`Simd`].
    #[inline(always)]
    unsafe fn points<S: Simd, const T: usize>(&self, row: usize, column: usize) -> [S; POSITIONS] {
        // SAFETY: columns beyond the last are not read.
        unsafe {
            let count = S::LANES.min(self.columns.saturating_sub(column));
            let last = self.form.kernel * self.form.kernel - 1;
            let mut half = [[S::zero(); POINTS]; T];
            for (x, half) in half.iter_mut().enumerate() {
                let g: [S; T] = std::array::from_fn(|y| match self.form.place(row, y, x, self.channels) {
                    Some((place, channel)) if count > 0 => {
                        let place = if self.turned { last - place } else { place };
                        let at = (place * self.channels + channel) * self.columns + column;
                        load_up_to(self.weights.as_ptr().add(at), count)
                    }
                    _ => S::zero(),
                });
                *half = transforms::weights(g);
            }
            let mut points = [S::zero(); POSITIONS];
            for y in 0..POINTS {
                let row = transforms::weights::<S, T>(std::array::from_fn(|x| half[x][y]));
                points[POINTS * y..POINTS * (y + 1)].copy_from_slice(&row);
            }
            points
        }
    }
}

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
            (even.next_multiple_of(SHARED_TILES), SHARED_TILES)
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

/// Turns tiles of an image into points.
struct InputTask<'a, E> {
    image: Image<E>,
    form: Form,
    list: &'a TileList,
    tiles: Range<usize>,
    layout: Layout,
    points: Shared<E>,
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

/// Multiplies the points of tiles by those of the weights of a block of output channels, and turns the products into
/// output.
struct MultiplyTask<'a, E, K> {
    list: &'a TileList,
    tiles: Range<usize>,
    layout: Layout,
    points: Shared<E>,
    weights: &'a Points<E>,
    block: usize,
    output: Extent,
    products: &'a mut [f32],
    sink: K,
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
                    2 => self.finish_tile::<S, 5, 4>(place),
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
                let product = |place: u32, column: usize| {
                    let place = place as usize - self.tiles.start;
                    position * layout.position + place * layout.tile + start - channels.start + column
                };
                // SAFETY: each place is a tile with points at this position, and has room among the products.
                unsafe {
                    let points = self.points.get().add(position * self.layout.position);
                    with_rows!(places.len(), USED => {
                        let rows: [*const E; USED] = std::array::from_fn(|r| {
                            points.add(places[r.min(places.len() - 1)] as usize * self.layout.tile).cast_const()
                        });
                        let mut sums = zero_block::<S, USED, V>();
                        add_product(&mut sums, &rows, words, panel);
                        for (sums, &place) in sums.iter().zip(places) {
                            for (v, sum) in sums.iter().enumerate() {
                                sum.store(self.products.as_mut_ptr().add(product(place, v * S::LANES)));
                            }
                        }
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
        for tile in self.list.tiles[self.tiles.clone()].iter().take(tiles.end).skip(tiles.start) {
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
                    let points: [S; Y] = std::array::from_fn(|y| {
                        let position = POINTS * transforms::position::<Y>(y) + transforms::position::<X>(x);
                        let place = (place - self.tiles.start) * layout.tile;
                        S::load(products.add(position * layout.position + place + channel - channels.start))
                    });
                    *column = transforms::output(points);
                }
                for y in 0..tile.y.used {
                    let row: [S; W] = transforms::output::<S, X, W>(std::array::from_fn(|x| columns[x][y]));
                    for (x, &value) in row.iter().enumerate().take(tile.x.used) {
                        self.sink.put(corner + y * self.output.width + x, channel, count, value);
                    }
                }
            }
        }
    }
}
