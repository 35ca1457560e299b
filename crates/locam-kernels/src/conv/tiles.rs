//! How Winograd's algorithm covers an image: long tiles of six points and short ones of five along each axis. With a
//! window of three taps they are four and three output pixels long, with four taps one less.
//!
//! Both kinds share their points (see [`super::transforms`]), so a short tile costs five products where a long one
//! costs six, and needs no weights of its own. A map of 7 pixels is 4 + 3: 11 products along an axis and not 12.

use crate::Extent;
use std::ops::Range;

/// Points of the longer transform, and so positions along an axis.
pub(crate) const POINTS: usize = 6;
/// The point that short tiles have not.
pub(crate) const LONG_ONLY: usize = 4;

/// A window as Winograd's algorithm sees it. At a stride of two it is one at a stride of one over pairs of rows and pairs
/// of columns, in which the four pixels of a pair of pairs count as channels: first those of the upper row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
}

impl Form {
    /// Whether there are transforms for it.
    pub(crate) fn is_possible(self) -> bool {
        matches!(self.taps(), 3 | 4) && matches!(self.stride, 1 | 2)
    }

    /// Side of the window at a stride of one.
    pub(crate) fn taps(self) -> usize {
        self.kernel.div_ceil(self.stride)
    }

    /// Channels at a stride of one.
    pub(crate) fn rows(self, channels: usize) -> usize {
        self.stride * self.stride * channels
    }

    /// The window's place (row by row) and the channel that tap (`y`, `x`) of channel `row` at a stride of one stands
    /// for; none beyond the window.
    pub(crate) fn place(self, row: usize, y: usize, x: usize, channels: usize) -> Option<(usize, usize)> {
        let (pixel, channel) = (row / channels, row % channels);
        let (y, x) = (y * self.stride + pixel / self.stride, x * self.stride + pixel % self.stride);
        (y < self.kernel && x < self.kernel).then_some((y * self.kernel + x, channel))
    }
}

/// Tiles along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axis {
    length: usize,
    taps: usize,
    longs: usize,
    shorts: usize,
}

impl Axis {
    /// The cheapest cover: a long tile costs six products, a short one five.
    fn new(length: usize, taps: usize) -> Self {
        let (long, short) = sizes(taps);
        let covers = (0..=3).filter_map(|shorts: usize| {
            let rest = length.saturating_sub(short * shorts);
            // A short one that a long one before it makes needless is never cheaper.
            (shorts == 0 || length > short * (shorts - 1)).then(|| (rest.div_ceil(long), shorts))
        });
        let (longs, shorts) = covers.min_by_key(|(longs, shorts)| 6 * longs + 5 * shorts).unwrap_or((0, 0));
        Self { length, taps, longs, shorts }
    }

    fn tiles(self) -> usize {
        self.longs + self.shorts
    }

    fn span(self, tile: usize) -> Span {
        let ((long, short), is_long) = (sizes(self.taps), tile < self.longs);
        let (start, size) = if is_long {
            (long * tile, long)
        } else {
            (long * self.longs + short * (tile - self.longs), short)
        };
        Span { start, is_long, used: size.min(self.length - start) }
    }
}

/// Output pixels of a long and of a short tile.
pub(crate) const fn sizes(taps: usize) -> (usize, usize) {
    (POINTS + 1 - taps, POINTS - taps)
}

/// A tile along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Its first output pixel.
    pub(crate) start: usize,
    /// Whether it has all points.
    pub(crate) is_long: bool,
    /// Those of its output pixels that lie in the image.
    pub(crate) used: usize,
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
    pub(crate) fn new(output: Extent, taps: usize) -> Self {
        let axis = |length: usize| Axis::new(length, taps);
        Self { rows: axis(output.height), columns: axis(output.width), batch: output.batch }
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
            let has = |tile: &Tile| (needed < 2 || tile.y.is_long) && (needed % 2 == 0 || tile.x.is_long);
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
            let axis = Axis::new(length, 3);
            assert_eq!(6 * axis.longs + 5 * axis.shorts, cost, "{length} pixels: {axis:?}");
        }
        for (length, taps) in (1..200).flat_map(|length| [3, 4].map(|taps| (length, taps))) {
            let axis = Axis::new(length, taps);
            let mut covered = 0;
            for span in (0..axis.tiles()).map(|tile| axis.span(tile)) {
                assert_eq!(span.start, covered, "{length}, {taps} taps");
                assert!(span.used >= 1, "{length}, {taps} taps");
                covered += span.used;
            }
            assert_eq!(covered, length, "{taps} taps");
        }
    }
}
