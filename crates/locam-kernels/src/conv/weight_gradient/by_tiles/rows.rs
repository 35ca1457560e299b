use super::Chunk;
use super::pairs::pair_up_to;
use crate::Bf16;
use crate::amx::{TILE_DEPTH, TILE_ROWS};
use crate::conv::weight_gradient::Job;
use crate::simd::Simd;
use crate::walk::{Tap, TapBounds};
use std::ops::Range;

/// The input as rows of pixels. At a stride of two pixels with even rows and columns lie in a plane of their own, and so on, of which
/// a tap reads one. Where taps read rows of the window, each row of the input is a plane; the rows of the next tap follow those of
/// a tap, so that tiles reach from one into the other.
pub(super) struct Rows {
    /// Values from a row to the next.
    pub(super) stride: usize,
    pub(super) tiles: Vec<Tile>,
    /// Values of the copy.
    pub(super) len: usize,
    arrangement: Arrangement,
}

/// Sixteen rows.
pub(super) struct Tile {
    /// What the first one begins with at the first step.
    pub(super) first: usize,
    /// The first one's row of the gradient to the weight, counted through all taps.
    pub(super) row: usize,
    /// Rows that are there.
    pub(super) count: usize,
}

enum Arrangement {
    /// A plane for each phase, of so many pixels of an image, from the least shift of all taps on.
    Planes { phases: Vec<Tap>, pixels: usize, low: Tap, values: Range<usize> },
    /// Rows of the input for an image.
    OverRows(usize),
}

impl Rows {
    /// Rows of some of the values that a tap reads; of all where taps read rows of the window.
    pub(super) fn new(job: &Job<'_, Bf16>, chunk: &Chunk, values: Range<usize>) -> Self {
        let (walk, width, images) = (&job.walk, job.width, chunk.images.len());
        if job.reads_rows() {
            let height = (chunk.rows.len() - 1) * walk.input_step + walk.taps.len();
            let (stride, rows) = (chunk.pitch, walk.taps.len() * width);
            let tile = |row| Tile { first: row * stride, row, count: TILE_ROWS.min(rows - row) };
            let tiles = (0..rows).step_by(TILE_ROWS).map(tile).collect();
            // The last tile reads rows behind those of the last tap.
            let len = (images * height * width + TILE_ROWS) * stride;
            return Self { stride, tiles, len, arrangement: Arrangement::OverRows(height) };
        }
        let TapBounds { low, high } = walk.shift_bounds();
        let phases = walk.phases();
        let offset = |shift: Tap| (shift.y - low.y) as usize * chunk.pitch + (shift.x - low.x) as usize;
        let pixels = (chunk.pixels() + offset(high)).next_multiple_of(TILE_DEPTH);
        // An odd number of cache lines, for the sets of the first-level cache.
        let stride = ((images * pixels / TILE_DEPTH) | 1) * TILE_DEPTH;
        let rows = values.len().next_multiple_of(TILE_ROWS);
        let mut tiles = Vec::new();
        for (number, tap) in walk.taps.iter().enumerate() {
            let (shift, phase) = (tap.shift(walk.input_step), tap.phase(walk.input_step));
            let plane = phases.iter().position(|&one| one == phase).expect("phases of all taps");
            for row in (0..values.len()).step_by(TILE_ROWS) {
                tiles.push(Tile {
                    first: (plane * rows + row) * stride + offset(shift),
                    row: number * width + values.start + row,
                    count: TILE_ROWS.min(values.len() - row),
                });
            }
        }
        let len = phases.len() * rows * stride;
        Self { stride, tiles, len, arrangement: Arrangement::Planes { phases, pixels, low, values } }
    }

    /// Pixels from a row of the output to the next.
    pub(super) fn pitch(job: &Job<'_, Bf16>) -> usize {
        let width = job.walk.grid.width;
        if job.reads_rows() {
            return width.next_multiple_of(TILE_DEPTH);
        }
        let TapBounds { low, high } = job.walk.shift_bounds();
        width + (high.x - low.x) as usize
    }

    /// Bytes that a row of the output takes for so many of the values that a tap reads.
    pub(super) fn row_bytes(job: &Job<'_, Bf16>, values: usize) -> usize {
        let planes = if job.reads_rows() { job.walk.input_step } else { job.walk.phases().len() };
        Self::pitch(job) * planes * values.next_multiple_of(TILE_ROWS) * size_of::<Bf16>()
    }

    /// Bytes from a tile's beginning to what it reads at each step.
    pub(super) fn steps(&self, job: &Job<'_, Bf16>, chunk: &Chunk) -> Vec<isize> {
        let step = |image: usize, step: usize| match self.arrangement {
            Arrangement::Planes { pixels, .. } => image * pixels + step * chunk.depth,
            Arrangement::OverRows(height) => {
                let (y, x) = (step * chunk.depth / chunk.pitch, step * chunk.depth % chunk.pitch);
                (image * height + y * job.walk.input_step) * job.width * chunk.pitch + x
            }
        };
        let images = 0..chunk.images.len();
        let values = images.flat_map(|image| (0..chunk.steps).map(move |number| (image, number)));
        values.map(|(image, number)| (step(image, number) * size_of::<Bf16>()) as isize).collect()
    }

    /// # Safety
    /// As [`Simd`]; the walk's input is there.
    #[inline(always)]
    pub(super) unsafe fn copy<S: Simd<Stored = Bf16>>(
        &self,
        job: &Job<'_, Bf16>,
        chunk: &Chunk,
        copy: &mut [Bf16],
    ) {
        assert!(copy.len() >= self.len, "room for all rows");
        let (walk, source) = (&job.walk, job.source);
        let step = walk.input_step;
        let row_of = |image: usize, y: usize| {
            source.values.wrapping_add((image * walk.input.height + y) * walk.input.width * source.pitch)
        };
        let mut pixels = Vec::new();
        // SAFETY: pixels that lie outside the input are zeros; rows of the window lie in it. The copy has room for all rows.
        unsafe {
            match &self.arrangement {
                Arrangement::OverRows(height) => {
                    copy[self.len - TILE_ROWS * self.stride..].fill(Bf16::default());
                    let mut first = 0;
                    for image in chunk.images.clone() {
                        for y in (chunk.rows.start * step..).take(*height) {
                            pixels.clear();
                            let row = row_of(image, y);
                            let there = 0..walk.grid.width;
                            pixels.extend(there.map(|x| row.wrapping_add(x * step * source.pitch)));
                            pixels.resize(chunk.pitch, source.zeros);
                            self.turn::<S>(&pixels, 0..job.width, copy.as_mut_ptr().add(first));
                            first += job.width * self.stride;
                        }
                    }
                }
                Arrangement::Planes { phases, pixels: count, low, values } => {
                    let rows = values.len().next_multiple_of(TILE_ROWS);
                    let (columns, lines) = (low.x..low.x + chunk.pitch as isize, count / chunk.pitch);
                    for (number, image) in chunk.images.clone().enumerate() {
                        for (plane, phase) in phases.iter().enumerate() {
                            pixels.clear();
                            for line in 0..lines {
                                let y = (chunk.rows.start + line) as isize + low.y;
                                let y = y * step as isize + phase.y;
                                if !(0..walk.input.height as isize).contains(&y) {
                                    pixels.extend(std::iter::repeat_n(source.zeros, chunk.pitch));
                                    continue;
                                }
                                let row = row_of(image, y as usize);
                                pixels.extend(columns.clone().map(|x| {
                                    let x = x * step as isize + phase.x;
                                    let inside = (0..walk.input.width as isize).contains(&x);
                                    let pixel = row.wrapping_offset(x * source.pitch as isize);
                                    if inside { pixel } else { source.zeros }
                                }));
                            }
                            pixels.resize(*count, source.zeros);
                            let first = plane * rows * self.stride + number * count;
                            self.turn::<S>(&pixels, values.clone(), copy.as_mut_ptr().add(first));
                        }
                    }
                }
            }
        }
    }

    /// Writes values of pixels as rows of pixels, of which there are whole tiles.
    ///
    /// # Safety
    /// As [`Simd`], whose vectors have a word for each row of a tile; the pixels have the values, and there is room for whole tiles.
    #[inline(always)]
    unsafe fn turn<S: Simd<Stored = Bf16>>(
        &self,
        pixels: &[*const Bf16],
        values: Range<usize>,
        to: *mut Bf16,
    ) {
        for (number, pixels) in pixels.as_chunks::<TILE_DEPTH>().0.iter().enumerate() {
            for value in values.clone().step_by(TILE_ROWS) {
                let count = TILE_ROWS.min(values.end - value);
                // SAFETY: the caller's.
                unsafe {
                    let mut words = [S::zero(); TILE_ROWS];
                    for (word, pair) in words.iter_mut().zip(pixels.as_chunks::<2>().0) {
                        *word = pair_up_to([pair[0].wrapping_add(value), pair[1].wrapping_add(value)], count);
                    }
                    let to = to.add((value - values.start) * self.stride + number * TILE_DEPTH);
                    S::store_turned(words, to, self.stride);
                }
            }
        }
    }
}
