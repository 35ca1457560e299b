//! Weights on their way into points.

use super::POSITIONS;
use crate::conv::tiles::{Form, POINTS};
use crate::conv::transforms::{self, across};
use crate::isa::Kernel;
use crate::parallel::{Shared, for_each_task, piece};
use crate::simd::{Simd, load_up_to};
use crate::{Buffer, Element, Isa};
use std::ops::Range;

/// Input channels of a task that transforms weights.
const WEIGHT_ROWS: usize = 16;

/// Transformed weights, by position, panel of output channels, and input channel.
#[derive(Debug)]
pub(crate) struct Points<E> {
    values: Buffer<E>,
    pub(super) form: Form,
    pub(super) rows: usize,
    pub(super) columns: usize,
    width: usize,
    /// Values from one position to the next.
    position: usize,
}

impl<E: Element> Points<E> {
    pub(crate) fn empty() -> Self {
        Self {
            values: Buffer::zeroed(0),
            form: Form { kernel: 3, stride: 1 },
            rows: 0,
            columns: 0,
            width: 0,
            position: 0,
        }
    }

    /// Transforms weights given as matrices `channels` x `columns`, row-major, one per place of the window; a turned
    /// window has its last place first.
    pub(crate) fn fill(&mut self, isa: Isa, weights: &[f32], (form, turned): (Form, bool), channels: usize) {
        let places = form.kernel * form.kernel;
        let (rows, columns) = (form.rows(channels), weights.len() / (places * channels));
        assert_eq!(weights.len(), places * channels * columns, "a matrix for each place");
        (self.form, self.rows, self.columns, self.width) = (form, rows, columns, isa.panel());
        // An odd number of cache lines: the positions, which are written in turn, would else share a few sets of the caches.
        let line = 64 / size_of::<E>();
        self.position = ((self.panels() * rows * self.width).div_ceil(line) | 1) * line;
        self.values.resize(POSITIONS * self.position);
        let (panels, width, position) = (self.panels(), self.width, self.position);
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
                    position,
                    rows_here,
                    values,
                },
            );
        });
    }

    fn panels(&self) -> usize {
        self.columns.div_ceil(self.width)
    }

    pub(super) fn panel(&self, position: usize, panel: usize) -> *const E {
        self.values[position * self.position + panel * self.rows * self.width..].as_ptr()
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
    position: usize,
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
                        3 => self.points::<S, 3>(row, column),
                        _ => self.points::<S, 4>(row, column),
                    };
                    for (position, &point) in points.iter().enumerate() {
                        let matrix = position * self.position + panel * self.rows * self.width;
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
                let mut g = [S::zero(); T];
                for (y, g) in g.iter_mut().enumerate() {
                    if count > 0
                        && let Some((place, channel)) = self.form.place(row, y, x, self.channels)
                    {
                        let place = if self.turned { last - place } else { place };
                        let at = (place * self.channels + channel) * self.columns + column;
                        *g = load_up_to(self.weights.as_ptr().add(at), count);
                    }
                }
                *half = transforms::weights(g);
            }
            let mut points = [S::zero(); POSITIONS];
            for y in 0..POINTS {
                let row = transforms::weights::<S, T>(across(&half, y));
                points[POINTS * y..POINTS * (y + 1)].copy_from_slice(&row);
            }
            points
        }
    }
}
