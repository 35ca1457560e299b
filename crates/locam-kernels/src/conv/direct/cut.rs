//! How the work of a direct convolution is cut into tasks; a function of the shape alone.

use crate::Element;
use crate::pack::Packed;
use crate::parallel::piece;
use std::ops::Range;

/// Grid pixels of a task: enough to use a panel many times while it is in the second-level cache.
const TASK_PIXELS: usize = 96;
/// Tasks to aim at where there are few pixels: then panels are dealt out too.
const LEAST_TASKS: usize = 16;

/// Tasks: chunks of pixels by groups of panels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pixels: usize,
    panels: usize,
    chunks: usize,
    panel_groups: usize,
}

impl Cut {
    pub(crate) fn new<E: Element>(pixels: usize, weights: &Packed<E>) -> Self {
        let panels = weights.panels;
        let chunks = pixels.div_ceil(TASK_PIXELS);
        let panel_groups = LEAST_TASKS.div_ceil(chunks.max(1)).clamp(1, panels.max(1));
        Self { pixels, panels, chunks, panel_groups }
    }

    /// Chunks of pixels; each has a sink of its own.
    pub(crate) fn chunks(self) -> usize {
        self.chunks
    }

    pub(super) fn tasks(self) -> usize {
        self.chunks * self.panel_groups
    }

    /// The chunk of a task, its pixels and its panels.
    pub(super) fn task(self, task: usize) -> (usize, Range<usize>, Range<usize>) {
        let (chunk, group) = (task / self.panel_groups, task % self.panel_groups);
        let panels_each = self.panels.div_ceil(self.panel_groups);
        let pixels = piece(chunk, TASK_PIXELS, self.pixels);
        (chunk, pixels, piece(group, panels_each, self.panels))
    }
}
