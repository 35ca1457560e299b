//! Where a direct convolution reads and writes: which pixels of the input meet which pixel of the output.

use crate::{ConvParams, Extent};

/// A place of the window, as an offset in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tap {
    /// Rows below the window's origin; may be negative.
    pub(crate) y: isize,
    /// Pixels right of it; may be negative.
    pub(crate) x: isize,
}

impl Tap {
    /// At a stride above one the pixels of the input with the same rows and columns modulo the stride are images of their own: by
    /// how many of its pixels the tap lies off in the one that it reads.
    pub(crate) fn shift(self, stride: usize) -> Self {
        let stride = stride as isize;
        Self { y: self.y.div_euclid(stride), x: self.x.div_euclid(stride) }
    }

    /// Rows and columns modulo the stride of the pixels that the tap reads.
    pub(crate) fn phase(self, stride: usize) -> Self {
        let stride = stride as isize;
        Self { y: self.y.rem_euclid(stride), x: self.x.rem_euclid(stride) }
    }
}

/// A grid of output pixels, each of which reads the same taps relative to its origin in the input.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    /// Images, and rows and columns of the grid.
    pub(crate) grid: Extent,
    /// The output image that the grid's pixels lie in.
    pub(crate) output: Extent,
    /// Output pixels from one of the grid to the next.
    pub(crate) output_step: usize,
    /// The grid's first output row and column.
    pub(crate) output_start: (usize, usize),
    /// The input image.
    pub(crate) input: Extent,
    /// Input pixels from one origin to the next.
    pub(crate) input_step: usize,
    /// The window; taps outside the input read zeros.
    pub(crate) taps: Vec<Tap>,
}

impl Walk {
    /// A convolution's way forward, with `above` rows of padding above the input.
    pub(crate) fn forward(params: ConvParams, above: usize, input: Extent, output: Extent) -> Self {
        let (above, padding) = (above as isize, params.padding as isize);
        let taps = (0..params.kernel)
            .flat_map(|y| (0..params.kernel).map(move |x| (y, x)))
            .map(|(y, x)| Tap { y: y as isize - above, x: x as isize - padding })
            .collect();
        let step = params.stride;
        Self { grid: output, output, output_step: 1, output_start: (0, 0), input, input_step: step, taps }
    }

    /// The way over an input that has its padding around it, whole rows of the window at a time.
    pub(crate) fn over_rows(params: ConvParams, padded: Extent, output: Extent) -> Self {
        let taps = (0..params.kernel).map(|y| Tap { y: y as isize, x: 0 }).collect();
        let step = params.stride;
        Self {
            grid: output,
            output,
            output_step: 1,
            output_start: (0, 0),
            input: padded,
            input_step: step,
            taps,
        }
    }

    /// The way of the gradient to the input, for those of its pixels that lie at `phase` modulo the stride, and the
    /// places of the window (counted row by row) that the taps stand for, from the last to the first.
    ///
    /// An input pixel met the output pixels `(y + padding - kernel_y) / stride` where that division leaves nothing;
    /// pixels of one phase share the window's places for which it does.
    pub(crate) fn backward(
        params: ConvParams,
        input: Extent,
        output: Extent,
        phase: (usize, usize),
    ) -> (Self, Vec<usize>) {
        let ConvParams { kernel, stride, padding, .. } = params;
        let offset = |phase: usize, place: usize| -> Option<isize> {
            let distance = (phase + padding) as isize - place as isize;
            (distance.rem_euclid(stride as isize) == 0).then(|| distance.div_euclid(stride as isize))
        };
        let (mut taps, mut places) = (Vec::new(), Vec::new());
        // From the last place of the window on, so that taps go from left to right.
        for row in (0..kernel).rev() {
            for column in (0..kernel).rev() {
                if let (Some(y), Some(x)) = (offset(phase.0, row), offset(phase.1, column)) {
                    taps.push(Tap { y, x });
                    places.push(row * kernel + column);
                }
            }
        }
        let along = |length: usize, phase: usize| length.saturating_sub(phase).div_ceil(stride);
        let grid = Extent {
            batch: input.batch,
            height: along(input.height, phase.0),
            width: along(input.width, phase.1),
        };
        let walk = Self {
            grid,
            output: input,
            output_step: stride,
            output_start: phase,
            input: output,
            input_step: 1,
            taps,
        };
        (walk, places)
    }

    /// Image, row and column of a pixel of the grid.
    pub(crate) fn place(&self, pixel: usize) -> Place {
        let (row, x) = (pixel / self.grid.width, pixel % self.grid.width);
        Place { image: row / self.grid.height, y: row % self.grid.height, x }
    }

    /// The next pixel of the grid.
    #[inline(always)]
    pub(crate) fn next(&self, place: Place) -> Place {
        let Place { mut image, mut y, mut x } = place;
        x += 1;
        if x == self.grid.width {
            x = 0;
            y += 1;
            if y == self.grid.height {
                y = 0;
                image += 1;
            }
        }
        Place { image, y, x }
    }

    /// The input pixel that a tap of (0, 0) reads, which may lie outside the input.
    #[inline(always)]
    pub(crate) fn origin(&self, place: Place) -> isize {
        let row = place.image * self.input.height + place.y * self.input_step;
        (row * self.input.width + place.x * self.input_step) as isize
    }

    /// How many places of a row, from this one on, have no tap left or right of the input; 0 where this one has.
    #[inline(always)]
    pub(crate) fn run_length(&self, place: Place, bounds: &TapBounds) -> usize {
        let x = (place.x * self.input_step) as isize;
        let beyond = self.input.width as isize - (x + bounds.high.x);
        if x + bounds.low.x < 0 || beyond <= 0 {
            return 0;
        }
        (beyond as usize).div_ceil(self.input_step).min(self.grid.width - place.x)
    }

    /// Whether no tap ever lies outside the input.
    pub(crate) fn stays_inside(&self) -> bool {
        let TapBounds { low, high } = self.tap_bounds();
        let reaches = |places: usize, high: isize, length: usize| {
            places == 0 || ((places - 1) * self.input_step) as isize + high < length as isize
        };
        low.y >= 0
            && low.x >= 0
            && reaches(self.grid.height, high.y, self.input.height)
            && reaches(self.grid.width, high.x, self.input.width)
    }

    /// Whether the taps are rows of so many neighbours, from left to right.
    pub(crate) fn has_rows_of(&self, columns: usize) -> bool {
        let is_row = |row: &[Tap]| {
            let first = row[0];
            (0..).zip(row).all(|(x, tap)| tap.y == first.y && tap.x == first.x + x)
        };
        self.taps.len().is_multiple_of(columns) && self.taps.chunks(columns).all(is_row)
    }

    /// Pixels of the grid whose origins are evenly spaced, counted from its first one: a row, or all.
    pub(crate) fn line(&self) -> usize {
        let is_whole = self.input_step == 1 && self.grid == self.input;
        if is_whole { self.grid.pixels() } else { self.grid.width }
    }

    /// The smallest and largest offsets of the taps.
    pub(crate) fn tap_bounds(&self) -> TapBounds {
        TapBounds::of(&self.taps.iter().copied())
    }

    /// The smallest and largest of their shifts.
    pub(crate) fn shift_bounds(&self) -> TapBounds {
        TapBounds::of(&self.taps.iter().map(|tap| tap.shift(self.input_step)))
    }

    /// Their phases, each once, in the order of the taps.
    pub(crate) fn phases(&self) -> Vec<Tap> {
        let mut phases = Vec::new();
        for tap in &self.taps {
            let phase = tap.phase(self.input_step);
            if !phases.contains(&phase) {
                phases.push(phase);
            }
        }
        phases
    }

    /// Pixels from an origin to what each tap reads.
    pub(crate) fn tap_offsets(&self) -> Vec<isize> {
        self.taps.iter().map(|tap| tap.y * self.input.width as isize + tap.x).collect()
    }

    /// The input pixels that a tap reads at `count` places of the grid from `pixel` on; none outside the input.
    pub(crate) fn for_each_input(
        &self,
        tap: Tap,
        pixel: usize,
        count: usize,
        mut visit: impl FnMut(Option<usize>),
    ) {
        let mut place = self.place(pixel);
        let mut left = count;
        while left > 0 {
            let run = left.min(self.grid.width - place.x);
            let y = (place.y * self.input_step) as isize + tap.y;
            let inside = (0..self.input.height as isize).contains(&y);
            let row = (place.image * self.input.height) as isize + y;
            for i in 0..run {
                let x = ((place.x + i) * self.input_step) as isize + tap.x;
                let there = inside && (x as usize) < self.input.width;
                visit(there.then(|| (row * self.input.width as isize + x) as usize));
            }
            left -= run;
            place = self.next(Place { x: place.x + run - 1, ..place });
        }
    }

    /// The output pixel at a place of the grid.
    #[inline(always)]
    pub(crate) fn output_pixel(&self, place: Place) -> usize {
        let y = place.y * self.output_step + self.output_start.0;
        let x = place.x * self.output_step + self.output_start.1;
        (place.image * self.output.height + y) * self.output.width + x
    }

    /// Whether the input has the row that a tap reads at a place of the grid.
    #[inline(always)]
    pub(crate) fn has_row(&self, place: Place, tap: Tap) -> bool {
        let y = (place.y * self.input_step) as isize + tap.y;
        (0..self.input.height as isize).contains(&y)
    }

    /// The input pixel that a tap reads at a place of the grid; none outside the input.
    #[inline(always)]
    pub(crate) fn input_pixel(&self, place: Place, tap: Tap) -> Option<usize> {
        let y = (place.y * self.input_step) as isize + tap.y;
        let x = (place.x * self.input_step) as isize + tap.x;
        let inside = self.has_row(place, tap) && (0..self.input.width as isize).contains(&x);
        inside.then(|| (place.image * self.input.height + y as usize) * self.input.width + x as usize)
    }
}

/// How far taps reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TapBounds {
    pub(crate) low: Tap,
    pub(crate) high: Tap,
}

impl TapBounds {
    /// Zeros of no taps.
    fn of(taps: &(impl Iterator<Item = Tap> + Clone)) -> Self {
        let along = |of: fn(Tap) -> isize| {
            let values = || taps.clone().map(of);
            (values().min().unwrap_or(0), values().max().unwrap_or(0))
        };
        let ((low_y, high_y), (low_x, high_x)) = (along(|tap| tap.y), along(|tap| tap.x));
        Self { low: Tap { y: low_y, x: low_x }, high: Tap { y: high_y, x: high_x } }
    }
}

/// A pixel of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) image: usize,
    pub(crate) y: usize,
    pub(crate) x: usize,
}
