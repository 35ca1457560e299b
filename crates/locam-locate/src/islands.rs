//! The parts of a map that could hold regions.

use locam_core::{ScoreMap, Size};
use std::ops::RangeInclusive;

/// Squares between map cells, which could hold a region together: those connected, corners included, where at least
/// one cell reaches the threshold. A square is named by its left top cell.
pub(crate) struct Islands {
    size: Size,
    /// Per square the number of its island, from 1 on; 0 for none.
    number: Vec<u32>,
    pub(crate) extents: Vec<Extent>,
}

/// The squares around an island.
#[derive(Clone)]
pub(crate) struct Extent {
    pub(crate) columns: RangeInclusive<u32>,
    pub(crate) rows: RangeInclusive<u32>,
}

impl Islands {
    /// A bilinear surface nowhere rises above the cells around it, so whatever reaches the threshold is on an island.
    pub(crate) fn new(map: &ScoreMap, threshold: f64) -> Self {
        let size = map.size();
        // Rounding may lift an interpolated value by a bit.
        let low = threshold - 1e-4 * (1.0 + threshold.abs());
        let reaches = |column: u32, row: u32| {
            let (right, below) = ((column + 1).min(size.width - 1), (row + 1).min(size.height - 1));
            let corners = [(column, row), (right, row), (column, below), (right, below)];
            corners.into_iter().any(|(x, y)| f64::from(map.at(x, y)) >= low)
        };
        let places = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
        let mut islands = Self { size, number: vec![0; size.area() as usize], extents: Vec::new() };
        let land: Vec<bool> = places.clone().map(|(x, y)| reaches(x, y)).collect();
        for (x, y) in places {
            let index = islands.index(x, y);
            if land[index] && islands.number[index] == 0 {
                islands.explore((x, y), &land);
            }
        }
        islands
    }

    /// The island that a square is part of, by its place among the extents.
    pub(crate) fn at(&self, column: u32, row: u32) -> Option<usize> {
        (self.number[self.index(column, row)] as usize).checked_sub(1)
    }

    fn index(&self, column: u32, row: u32) -> usize {
        row as usize * self.size.width as usize + column as usize
    }

    /// Numbers all squares of the island that holds `first`.
    fn explore(&mut self, first: (u32, u32), land: &[bool]) {
        let number = self.extents.len() as u32 + 1;
        let (mut left, mut right, mut top, mut bottom) = (first.0, first.0, first.1, first.1);
        let mut open = vec![first];
        let start = self.index(first.0, first.1);
        self.number[start] = number;
        while let Some((x, y)) = open.pop() {
            (left, right, top, bottom) = (left.min(x), right.max(x), top.min(y), bottom.max(y));
            for row in y.saturating_sub(1)..=(y + 1).min(self.size.height - 1) {
                for column in x.saturating_sub(1)..=(x + 1).min(self.size.width - 1) {
                    let index = self.index(column, row);
                    if land[index] && self.number[index] == 0 {
                        self.number[index] = number;
                        open.push((column, row));
                    }
                }
            }
        }
        self.extents.push(Extent { columns: left..=right, rows: top..=bottom });
    }
}
