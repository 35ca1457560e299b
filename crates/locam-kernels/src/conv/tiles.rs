//! How Winograd's algorithm covers an image: tiles of four and of three output pixels along each axis.
//!
//! Both kinds share their points (see [`super::transforms`]), so a tile of three costs five products where one of four
//! costs six, and needs no weights of its own. A map of 7 pixels is 4 + 3: 11 products along an axis and not 12.

use crate::Extent;
use std::ops::Range;

/// Points of the longer transform, and so positions along an axis.
pub(crate) const POINTS: usize = 6;
/// The point that tiles of three have not.
pub(crate) const LONG_ONLY: usize = 4;

/// Tiles along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axis {
    length: usize,
    fours: usize,
    threes: usize,
}

impl Axis {
    /// The cheapest cover: a four costs six products, a three five.
    fn new(length: usize) -> Self {
        let covers = (0..=3).filter_map(|threes: usize| {
            let rest = length.saturating_sub(3 * threes);
            // A three that a four before it makes needless is never cheaper.
            (threes == 0 || length > 3 * (threes - 1)).then(|| (rest.div_ceil(4), threes))
        });
        let (fours, threes) = covers.min_by_key(|(fours, threes)| 6 * fours + 5 * threes).unwrap_or((0, 0));
        Self { length, fours, threes }
    }

    fn tiles(self) -> usize {
        self.fours + self.threes
    }

    fn span(self, tile: usize) -> Span {
        let (start, size) =
            if tile < self.fours { (4 * tile, 4) } else { (4 * self.fours + 3 * (tile - self.fours), 3) };
        Span { start, size, used: size.min(self.length - start) }
    }
}

/// A tile along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Its first output pixel.
    pub(crate) start: usize,
    /// Four or three.
    pub(crate) size: usize,
    /// Those of its output pixels that lie in the image.
    pub(crate) used: usize,
}

impl Span {
    /// Whether it has all points.
    pub(crate) fn is_long(self) -> bool {
        self.size == 4
    }
}

/// A tile of output pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) image: usize,
    pub(crate) y: Span,
    pub(crate) x: Span,
}

/// The tiles of all images of a batch, row by row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TileGrid {
    rows: Axis,
    columns: Axis,
    batch: usize,
}

impl TileGrid {
    pub(crate) fn new(output: Extent) -> Self {
        Self { rows: Axis::new(output.height), columns: Axis::new(output.width), batch: output.batch }
    }

    /// Tiles in all.
    pub(crate) fn len(&self) -> usize {
        self.batch * self.rows.tiles() * self.columns.tiles()
    }

    pub(crate) fn tile(&self, index: usize) -> Tile {
        let (row, column) = (index / self.columns.tiles(), index % self.columns.tiles());
        let (image, row) = (row / self.rows.tiles(), row % self.rows.tiles());
        Tile { image, y: self.rows.span(row), x: self.columns.span(column) }
    }
}

/// Some tiles, and which of them have which points.
#[derive(Debug)]
pub(crate) struct TileList {
    pub(crate) tiles: Vec<Tile>,
    /// Places in `tiles` of those that are long along neither, the columns, the rows, both: at `2 * rows + columns`
    /// whoever needs length along these axes.
    places: [Vec<u32>; 4],
}

impl TileList {
    pub(crate) fn new(grid: &TileGrid, range: Range<usize>) -> Self {
        let tiles: Vec<Tile> = range.map(|index| grid.tile(index)).collect();
        let places = std::array::from_fn(|needed| {
            let has = |tile: &Tile| (needed < 2 || tile.y.is_long()) && (needed % 2 == 0 || tile.x.is_long());
            (0..).zip(&tiles).filter(|(_, tile)| has(tile)).map(|(place, _)| place).collect()
        });
        Self { tiles, places }
    }

    /// Places of the tiles that have the point `position`, counted row by row.
    pub(crate) fn with_position(&self, position: usize) -> &[u32] {
        let (row, column) = (position / POINTS, position % POINTS);
        &self.places[2 * usize::from(row == LONG_ONLY) + usize::from(column == LONG_ONLY)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_pixel_once_at_the_least_cost() {
        let costs = [
            (1, 5),
            (2, 5),
            (3, 5),
            (4, 6),
            (5, 10),
            (6, 10),
            (7, 11),
            (8, 12),
            (14, 22),
            (28, 42),
            (56, 84),
        ];
        for (length, cost) in costs {
            let axis = Axis::new(length);
            assert_eq!(6 * axis.fours + 5 * axis.threes, cost, "{length} pixels: {axis:?}");
        }
        for length in 1..200 {
            let axis = Axis::new(length);
            let mut covered = 0;
            for span in (0..axis.tiles()).map(|tile| axis.span(tile)) {
                assert_eq!(span.start, covered, "{length}");
                assert!(span.used >= 1, "{length}");
                covered += span.used;
            }
            assert_eq!(covered, length);
        }
    }
}
