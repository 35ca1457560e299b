//! The pixels of a task in runs of neighbours, and what their windows read.

use crate::walk::{Place, TapBounds, Walk};
use std::ops::Range;

/// Columns of windows that are read by rows.
pub(super) const COLUMNS: usize = 3;
/// Most pixels of a run whose windows are read by rows.
const MOST_BY_ROWS: usize = 8;
/// Most pixels of another run.
const MOST: usize = 6;

/// Where a tap reads, in values from its window's origin, and its row of the weights, in values from the first.
pub(super) type Reading = (isize, usize);

/// Some neighbouring pixels of a row, whose sums are kept in registers together.
pub(super) struct Run {
    /// What all of them read, of the readings of all runs: the taps that lie in the input; by rows the first of each row that does.
    pub(super) readings: Range<usize>,
    /// Values from the input's first one to the first window's origin.
    pub(super) origin: isize,
    pub(super) output: usize,
    pub(super) count: usize,
    /// By rows whether the first and the last column of all their windows lie beyond the input.
    pub(super) beyond: [bool; 2],
}

/// The runs of a task.
pub(super) struct Runs {
    pub(super) all: Vec<Run>,
    pub(super) readings: Vec<Reading>,
    /// Whether windows are read by rows: they are three columns wide, at steps of one or two, of which one at most is beyond the
    /// input at either end.
    pub(super) by_rows: bool,
}

impl Runs {
    /// Those of some pixels of the grid, of images with so many values a pixel, and of weights with so many a tap.
    pub(super) fn new(walk: &Walk, pixels: Range<usize>, pitch: usize, channels: usize) -> Self {
        let (bounds, offsets) = (walk.tap_bounds(), walk.tap_offsets());
        let by_rows = reads_rows(walk, &bounds);
        let columns = if by_rows { COLUMNS } else { 1 };
        let (mut all, mut readings) = (Vec::new(), Vec::new());
        let mut place = walk.place(pixels.start);
        let mut left = pixels.len();
        while left > 0 {
            let count = if by_rows {
                let row = left.min(walk.grid.width - place.x);
                row.div_ceil(row.div_ceil(MOST_BY_ROWS))
            } else {
                walk.run_length(place, &bounds).clamp(1, left.min(MOST))
            };
            let first = readings.len();
            for (number, tap) in walk.taps.iter().enumerate().step_by(columns) {
                let is_read =
                    if by_rows { walk.has_row(place, *tap) } else { walk.input_pixel(place, *tap).is_some() };
                if is_read {
                    readings.push((offsets[number] * pitch as isize, number * channels));
                }
            }
            let x = |place: usize| (place * walk.input_step) as isize;
            all.push(Run {
                readings: first..readings.len(),
                origin: walk.origin(place) * pitch as isize,
                output: walk.output_pixel(place),
                count,
                beyond: [
                    x(place.x) + bounds.low.x < 0,
                    x(place.x + count - 1) + bounds.high.x >= walk.input.width as isize,
                ],
            });
            left -= count;
            place = walk.next(Place { x: place.x + count - 1, ..place });
        }
        Self { all, readings, by_rows }
    }
}

fn reads_rows(walk: &Walk, bounds: &TapBounds) -> bool {
    let last = (walk.grid.width.saturating_sub(1) * walk.input_step) as isize + bounds.high.x;
    let reach_one = bounds.low.x >= -1 && last <= walk.input.width as isize;
    matches!(walk.input_step, 1 | 2) && walk.has_rows_of(COLUMNS) && reach_one
}
