//! The last feature maps, where they are finer than the network's own: put together from the maps of their phases, which are
//! computed over values without some of their first rows and columns.

use crate::places::Place;
use crate::trace::Axis;
use locam_kernels::{Buffer, Element, Extent};
use std::ops::Range;

/// Where the last feature maps come from.
#[derive(Debug)]
pub(crate) struct Phases {
    /// Along an axis.
    steps: usize,
    /// Their maps, row by row; a single one are the maps themselves.
    places: Vec<Place>,
}

impl Phases {
    /// So many phases along both axes.
    ///
    /// # Panics
    /// If there are not their square of maps.
    pub(crate) fn new(steps: usize, places: Vec<Place>) -> Self {
        assert_eq!(places.len(), steps * steps, "phases along both axes");
        Self { steps, places }
    }

    /// The places of the phases' maps.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// The place of the maps, if there is but one phase.
    pub(crate) fn only(&self) -> Option<Place> {
        if let [place] = self.places[..] { Some(place) } else { None }
    }

    /// The extent of the maps, from those of the phases.
    pub(crate) fn extent(&self, of: impl Fn(Place) -> Extent) -> Extent {
        let along = |axis: Axis| self.along(axis).into_iter().map(&of);
        let width = along(Axis::Columns).map(|phase| phase.width).sum();
        let height = along(Axis::Rows).map(|phase| phase.height).sum();
        Extent { width, height, ..of(self.places[0]) }
    }

    /// The phases along one axis, first along the other.
    pub(crate) fn along(&self, axis: Axis) -> Vec<Place> {
        let every = match axis {
            Axis::Columns => 1,
            Axis::Rows => self.steps,
        };
        self.places.iter().step_by(every).take(self.steps).copied().collect()
    }

    /// How many rows of the maps there are, where phases have so many.
    pub(crate) fn made(&self, of: impl Fn(Place) -> usize) -> usize {
        let missing = |(number, &place): (usize, &Place)| of(place) * self.steps + number / self.steps;
        self.places.iter().enumerate().map(missing).min().unwrap_or(0)
    }

    /// The first row of a value that rows of the maps from `row` on need.
    pub(crate) fn needed_from(&self, value: usize, row: usize) -> usize {
        let phase = self.places.iter().position(|place| place.value == value).unwrap_or(0);
        row.saturating_sub(phase / self.steps).div_ceil(self.steps)
    }

    /// Rows of the maps, from the rows of the phases' values.
    pub(crate) fn interleave<'v, E: Element>(
        &self,
        rows: Range<usize>,
        width: usize,
        values: impl Fn(Place, usize) -> &'v [E],
        maps: &mut [E],
    ) {
        let channels = self.places[0].pitch;
        for (row, maps) in rows.zip(maps.chunks_exact_mut((width * channels).max(1))) {
            let phases = &self.places[row % self.steps * self.steps..][..self.steps];
            for (first, &place) in phases.iter().enumerate() {
                let cells = maps.chunks_exact_mut(channels).skip(first).step_by(self.steps);
                let found = values(place, row / self.steps).chunks_exact(channels);
                cells.zip(found).for_each(|(cell, found)| cell.copy_from_slice(found));
            }
        }
    }
}

/// Values without their first rows and columns, copied where they are not a part of what is there.
pub(crate) fn skipped<'v, E: Element>(
    values: &'v [E],
    extent: Extent,
    pitch: usize,
    [rows, columns]: [usize; 2],
    copy: &'v mut Buffer<E>,
) -> (&'v [E], Extent) {
    let left = Extent {
        height: extent.height.saturating_sub(rows),
        width: extent.width.saturating_sub(columns),
        ..extent
    };
    if left == extent {
        return (values, extent);
    }
    let row = (extent.width * pitch).max(1);
    copy.resize(left.pixels() * pitch);
    let mut into = copy.chunks_exact_mut((left.width * pitch).max(1));
    for image in values.chunks_exact(row * extent.height.max(1)).take(extent.batch) {
        for (row, into) in image.chunks_exact(row).skip(rows).zip(into.by_ref()) {
            into.copy_from_slice(&row[columns * pitch..]);
        }
    }
    (copy, left)
}
