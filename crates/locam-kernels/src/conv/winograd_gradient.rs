//! The gradient to a weight by Winograd's algorithm: the adjoint of the way forward. Tiles of the output's gradient
//! become points, each position is a sum over tiles of outer products, and positions become the window's places.

use super::gradient::GradientWorkspace;
use super::tiles::{Form, POINTS, Tile, TileGrid, TileList};
use super::transforms::{self, across};
use super::weight_gradient::Job;
use super::winograd::{INPUT_TILES, Image, Layout, transform_inputs};
use crate::isa::Kernel;
use crate::multiply::{add_block, outer_product, with_rows};
use crate::parallel::{Shared, for_each_task, piece};
use crate::simd::{Simd, load_up_to, store_up_to};
use crate::{Buffer, Element, Extent, Isa};
use std::ops::Range;

/// Input channels of a task that turns sums into places of the window.
const FINISH_ROWS: usize = 8;
const POSITIONS: usize = POINTS * POINTS;
/// Least and most bytes of points of input and gradient that are held at a time. Between them twice the bytes of the
/// sums, which are read and written once for every portion: few portions where sums are large, and else points that
/// are multiplied while the second-level caches still hold them.
const PORTION_BYTES: (usize, usize) = (4 << 20, 24 << 20);

/// Fills `to` with a matrix of input channels x output channels for each place of the window.
///
/// # Safety
/// The job's tensors have the lengths that its shapes ask for.
pub(crate) unsafe fn to_weight(
    isa: Isa,
    job: &Job<'_, f32>,
    (form, padding): (Form, usize),
    to: &mut [f32],
    workspace: &mut GradientWorkspace<f32>,
) {
    let (source, output, gradient) = (job.source, job.walk.output, job.gradient);
    let image = Image {
        values: source.values,
        zeros: source.zeros,
        extent: job.walk.input,
        channels: source.pitch,
        padding: (padding as isize, padding as isize),
    };
    let grid = TileGrid::new(output, form.taps());
    let rows = form.rows(image.channels);
    let columns = job.channels;
    let bytes = (2 * POSITIONS * 4 * rows * columns).clamp(PORTION_BYTES.0, PORTION_BYTES.1);
    let most = (bytes / (POSITIONS * 4 * (rows + columns))).max(1);
    let portion = grid.len().div_ceil(grid.len().div_ceil(most).max(1)).max(1);
    let GradientWorkspace { input_points, gradient_points, sums } = workspace;
    sums.resize(POSITIONS * rows * columns);
    for (number, start) in (0..grid.len()).step_by(portion).enumerate() {
        let list = TileList::new(&grid, start..(start + portion).min(grid.len()));
        let layout = Layout::new::<f32>(list.tiles.len(), rows);
        input_points.resize(layout.len());
        let points = Shared::new(input_points);
        transform_inputs(isa, (image, form), &list, layout, points);
        let panels = Panels::new(isa, list.tiles.len(), columns);
        gradient_points.resize(POSITIONS * panels.position);
        let gradients = Shared::new(gradient_points);
        for_each_task(list.tiles.len().div_ceil(INPUT_TILES), |task| {
            let tiles = piece(task, INPUT_TILES, list.tiles.len());
            f32::run(
                isa,
                GradientTask { gradient, form, output, list: &list, tiles, panels, points: gradients },
            );
        });
        let product = Product { list: &list, layout, points, panels, gradients, rows, fresh: number == 0 };
        let sums = Shared::new(sums);
        for_each_task(POSITIONS * panels.count, |task| {
            let (position, panel) = (task / panels.count, task % panels.count);
            f32::run(isa, ProductTask { product: &product, position, panel, sums });
        });
    }
    let to = Shared::new(to);
    for_each_task(rows.div_ceil(FINISH_ROWS), |task| {
        let here = piece(task, FINISH_ROWS, rows);
        f32::run(isa, FinishTask { sums, form, channels: image.channels, rows, columns, here, to });
    });
}

/// Where the points of the gradient lie: position by position, in a position panel by panel of channels, in a panel
/// tile by tile, so that a sum over tiles reads straight through.
#[derive(Clone, Copy)]
struct Panels {
    channels: usize,
    width: usize,
    count: usize,
    panel: usize,
    position: usize,
}

impl Panels {
    fn new(isa: Isa, tiles: usize, channels: usize) -> Self {
        let width = isa.panel();
        let count = channels.div_ceil(width);
        let panel = tiles * width;
        // An odd number of cache lines, for the sets of the first-level cache.
        let position = ((count * panel).div_ceil(16) | 1) * 16;
        Self { channels, width, count, panel, position }
    }

    fn at(&self, position: usize, place: usize, channel: usize) -> usize {
        let (panel, lane) = (channel / self.width, channel % self.width);
        position * self.position + panel * self.panel + place * self.width + lane
    }
}

/// Turns tiles of the output's gradient into points.
struct GradientTask<'a> {
    gradient: &'a [f32],
    form: Form,
    output: Extent,
    list: &'a TileList,
    tiles: Range<usize>,
    panels: Panels,
    points: Shared<f32>,
}

impl Kernel<f32> for GradientTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = f32>, const R: usize, const V: usize>(self) {
        for place in self.tiles.clone() {
            // SAFETY: the tile is one of the output's, and its points are this task's own.
            unsafe {
                match self.form.taps() {
                    3 => self.any_tile::<S, 4, 3>(place),
                    _ => self.any_tile::<S, 3, 2>(place),
                }
            }
        }
    }
}

impl GradientTask<'_> {
    /// Long tiles have `L` pixels along an axis, short ones `T`.
    ///
    /// # Safety
    /// As [`Simd`]; the tile is one of the output's, and its points belong to the caller.
    #[inline(always)]
    unsafe fn any_tile<S: Simd, const L: usize, const T: usize>(&self, place: usize) {
        let tile = self.list.tiles[place];
        // SAFETY: the caller's.
        unsafe {
            match (tile.y.is_long, tile.x.is_long) {
                (true, true) => self.tile::<S, 6, 6, L, L>(tile, place),
                (true, false) => self.tile::<S, 6, 5, L, T>(tile, place),
                (false, true) => self.tile::<S, 5, 6, T, L>(tile, place),
                (false, false) => self.tile::<S, 5, 5, T, T>(tile, place),
            }
        }
    }

    /// # Safety
    /// As [`Simd`]; the tile is one of the output's, and its points belong to the caller.
    #[inline(always)]
    unsafe fn tile<S: Simd, const Y: usize, const X: usize, const H: usize, const W: usize>(
        &self,
        tile: Tile,
        place: usize,
    ) {
        let (channels, width) = (self.panels.channels, self.output.width);
        let corner = (tile.image * self.output.height + tile.y.start) * width + tile.x.start;
        for channel in (0..channels).step_by(S::LANES) {
            let count = S::LANES.min(channels - channel);
            // SAFETY: pixels beyond the image count as zeros and are not read.
            unsafe {
                let mut columns = [[S::zero(); Y]; W];
                for (x, column) in columns.iter_mut().enumerate().take(tile.x.used) {
                    let mut pixels = [S::zero(); H];
                    for (y, pixel) in pixels.iter_mut().enumerate().take(tile.y.used) {
                        let at = (corner + y * width + x) * channels + channel;
                        *pixel = load_up_to(self.gradient.as_ptr().add(at), count);
                    }
                    *column = transforms::output_adjoint(pixels);
                }
                for y in 0..Y {
                    let row: [S; X] = transforms::output_adjoint::<S, X, W>(across(&columns, y));
                    for (x, value) in row.into_iter().enumerate() {
                        let position = POINTS * transforms::position::<Y>(y) + transforms::position::<X>(x);
                        let at = self.panels.at(position, place, channel);
                        store_up_to(value, self.points.get().add(at), count);
                    }
                }
            }
        }
    }
}

/// The points of both sides of some tiles.
struct Product<'a> {
    list: &'a TileList,
    layout: Layout,
    points: Shared<f32>,
    panels: Panels,
    gradients: Shared<f32>,
    rows: usize,
    fresh: bool,
}

/// A position by a panel of output channels.
struct ProductTask<'a> {
    product: &'a Product<'a>,
    position: usize,
    panel: usize,
    sums: Shared<f32>,
}

impl Kernel<f32> for ProductTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = f32>, const R: usize, const V: usize>(self) {
        let Product { list, layout, points, panels, gradients, rows, fresh } = *self.product;
        let places = list.with_position(self.position);
        let first = self.panel * panels.width;
        let columns = (panels.channels - first).min(V * S::LANES);
        for row in (0..rows).step_by(R) {
            // SAFETY: both sides have points for every place, and this task alone writes these sums.
            unsafe {
                let place = |i: usize| *places.get_unchecked(i) as usize;
                let points = points.get().add(self.position * layout.position + row);
                let left = |i: usize| points.add(place(i) * layout.tile).cast_const();
                let gradients = gradients.get().add(panels.at(self.position, 0, first));
                let right = |i: usize| gradients.add(place(i) * panels.width).cast_const();
                let sums = self.sums.get().add((self.position * rows + row) * panels.channels + first);
                with_rows!(R.min(rows - row), USED => {
                    let block = outer_product::<S, USED, V>(places.len(), left, right, columns);
                    add_block(&block, sums, panels.channels, columns, fresh);
                });
            }
        }
    }
}

/// Turns the sums of some input channels into the window's places.
struct FinishTask<'a> {
    sums: &'a Buffer<f32>,
    form: Form,
    channels: usize,
    rows: usize,
    columns: usize,
    here: Range<usize>,
    to: Shared<f32>,
}

impl Kernel<f32> for FinishTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = f32>, const R: usize, const V: usize>(self) {
        // SAFETY: there are sums for all positions, and this task alone writes these rows.
        unsafe {
            match self.form.taps() {
                3 => self.finish::<S, 3>(),
                _ => self.finish::<S, 4>(),
            }
        }
    }
}

impl FinishTask<'_> {
    /// # Safety
    /// As [`Simd`]; there are sums for all positions, and the caller alone writes these rows.
    #[inline(always)]
    unsafe fn finish<S: Simd, const T: usize>(&self) {
        let matrix = self.rows * self.columns;
        for row in self.here.clone() {
            for column in (0..self.columns).step_by(S::LANES) {
                let (at, count) = (row * self.columns + column, S::LANES.min(self.columns - column));
                // SAFETY: the caller's.
                unsafe {
                    let mut half = [[S::zero(); T]; POINTS];
                    for (x, half) in half.iter_mut().enumerate() {
                        let mut points = [S::zero(); POINTS];
                        for (y, point) in points.iter_mut().enumerate() {
                            *point =
                                load_up_to(self.sums.as_ptr().add((POINTS * y + x) * matrix + at), count);
                        }
                        *half = transforms::weights_adjoint(points);
                    }
                    for y in 0..T {
                        let taps: [S; T] = transforms::weights_adjoint(across(&half, y));
                        for (x, value) in taps.into_iter().enumerate() {
                            if let Some((place, channel)) = self.form.place(row, y, x, self.channels) {
                                let at = (place * self.channels + channel) * self.columns + column;
                                store_up_to(value, self.to.get().add(at), count);
                            }
                        }
                    }
                }
            }
        }
    }
}
