//! The outer edge of a set of grid points as a polygon.

use crate::grid::Grid;
use locam_core::Point;
use std::collections::HashSet;

/// The outer edge of connected cells (corners included) as a simple polygon: clockwise as seen, no corner repeated, none
/// on a straight line between its neighbours.
///
/// It runs through the middles of the cells' outer edges. No edge is passed twice, so that the polygon never touches
/// itself, not even where cells meet in a corner; stairs become straight lines. Holes are not part of it.
pub(crate) fn outline(grid: &Grid, members: &[usize]) -> Vec<Point> {
    let place = |i: usize| ((i % grid.width()).cast_signed(), (i / grid.width()).cast_signed());
    let cells: HashSet<(isize, isize)> = members.iter().map(|&i| place(i)).collect();
    let Some(&first) = members.iter().min() else { return Vec::new() };
    let start = Edge { corner: place(first), direction: (1, 0) };
    let mut corners = Vec::new();
    let mut edge = start;
    loop {
        corners.push(edge.middle(grid));
        edge = edge.next(&cells);
        if edge == start {
            return without_straight_ones(&corners);
        }
    }
}

/// One side of a cell of the set, which lies to its right.
#[derive(Clone, Copy, PartialEq)]
struct Edge {
    /// Where it begins: the left top corner of the cell of this column and row.
    corner: (isize, isize),
    direction: (isize, isize),
}

impl Edge {
    fn end(self) -> (isize, isize) {
        (self.corner.0 + self.direction.0, self.corner.1 + self.direction.1)
    }

    fn middle(self, grid: &Grid) -> Point {
        let at = |(column, row): (isize, isize)| grid.corner(column.cast_unsigned(), row.cast_unsigned());
        let (from, to) = (at(self.corner), at(self.end()));
        Point::new(f64::midpoint(from.x, to.x), f64::midpoint(from.y, to.y))
    }

    /// The edge that follows: to the left where a cell lies there, which joins cells that meet in a corner.
    fn next(self, cells: &HashSet<(isize, isize)>) -> Self {
        let ((x, y), (dx, dy)) = (self.end(), self.direction);
        let (left, right) = ((dy, -dx), (-dy, dx));
        // The cells on both sides of the way ahead, by their left top corners.
        let cell = |side: (isize, isize)| ((x + (dx + side.0 - 1) / 2), (y + (dy + side.1 - 1) / 2));
        let direction = if cells.contains(&cell(left)) {
            left
        } else if cells.contains(&cell(right)) {
            self.direction
        } else {
            right
        };
        Self { corner: (x, y), direction }
    }
}

/// The corners at which the way turns.
fn without_straight_ones(corners: &[Point]) -> Vec<Point> {
    let count = corners.len();
    let turns = |i: usize| {
        let (before, here, after) = (corners[(i + count - 1) % count], corners[i], corners[(i + 1) % count]);
        let (ax, ay) = (here.x - before.x, here.y - before.y);
        let (bx, by) = (after.x - here.x, after.y - here.y);
        (ax * by - ay * bx).abs() > 1e-9 * ax.hypot(ay) * bx.hypot(by)
    };
    (0..count).filter(|&i| turns(i)).map(|i| corners[i]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_core::{MapTransform, ScoreMap, Size};
    use proptest::prelude::*;

    /// Cells of one pixel.
    fn grid(width: u32, height: u32) -> Grid {
        let size = Size::new(width, height);
        let map = ScoreMap::new(size, vec![0.0; size.area() as usize], MapTransform::uniform(0.5, 1.0));
        Grid::whole(&map, size)
    }

    /// Twice the area, positive where corners go clockwise as seen.
    fn doubled_area(corners: &[Point]) -> f64 {
        let next = corners.iter().cycle().skip(1);
        corners.iter().zip(next).map(|(a, b)| a.x * b.y - b.x * a.y).sum()
    }

    fn turn(a: Point, b: Point, c: Point) -> f64 {
        (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
    }

    fn within(a: Point, b: Point, c: Point) -> bool {
        (a.x.min(b.x)..=a.x.max(b.x)).contains(&c.x) && (a.y.min(b.y)..=a.y.max(b.y)).contains(&c.y)
    }

    fn meet(a: Point, b: Point, c: Point, d: Point) -> bool {
        let sides = [turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)];
        if sides[0] * sides[1] < 0.0 && sides[2] * sides[3] < 0.0 {
            return true;
        }
        (sides[0] == 0.0 && within(a, b, c))
            || (sides[1] == 0.0 && within(a, b, d))
            || (sides[2] == 0.0 && within(c, d, a))
            || (sides[3] == 0.0 && within(c, d, b))
    }

    /// Whether sides only meet where one follows the other.
    fn is_simple(corners: &[Point]) -> bool {
        let count = corners.len();
        let side = |i: usize| (corners[i], corners[(i + 1) % count]);
        (0..count).all(|i| {
            (i + 1..count).all(|j| {
                let ((a, b), (c, d)) = (side(i), side(j));
                j == i + 1 || (i == 0 && j == count - 1) || !meet(a, b, c, d)
            })
        })
    }

    #[test]
    fn one_cell_is_a_diamond() {
        let found = outline(&grid(3, 3), &[4]);
        assert_eq!(found, [(1.5, 1.0), (2.0, 1.5), (1.5, 2.0), (1.0, 1.5)].map(|(x, y)| Point::new(x, y)));
    }

    #[test]
    fn a_rectangle_loses_its_corners_alone() {
        let members: Vec<usize> = (0..5).flat_map(|y| (0..7).map(move |x| y * 9 + x)).collect();
        let found = outline(&grid(9, 6), &members);
        assert_eq!(found.len(), 8);
        assert!((doubled_area(&found) / 2.0 - 34.5).abs() < 1e-9);
    }

    #[test]
    fn cells_that_meet_in_a_corner_are_one_polygon() {
        let found = outline(&grid(2, 2), &[0, 3]);
        assert!(is_simple(&found) && (doubled_area(&found) / 2.0 - 1.5).abs() < 1e-9, "{found:?}");
    }

    /// The cells connected to the first one, in reading order.
    fn connected(cells: &[bool], width: usize) -> Vec<usize> {
        let Some(first) = cells.iter().position(|&is| is) else { return Vec::new() };
        let (mut found, mut open) = (vec![false; cells.len()], vec![first]);
        found[first] = true;
        while let Some(i) = open.pop() {
            for j in 0..cells.len() {
                let near = (i % width).abs_diff(j % width) <= 1 && (i / width).abs_diff(j / width) <= 1;
                if cells[j] && !found[j] && near {
                    found[j] = true;
                    open.push(j);
                }
            }
        }
        (0..cells.len()).filter(|&i| found[i]).collect()
    }

    proptest! {
        #[test]
        fn any_connected_set_has_a_simple_outline(
            width in 1_usize..9, cells in prop::collection::vec(prop::bool::weighted(0.6), 1..70)
        ) {
            let height = cells.len().div_ceil(width);
            let members = connected(&cells, width);
            if !members.is_empty() {
                let grid = grid(width as u32, height as u32);
                let found = outline(&grid, &members);
                prop_assert!(found.len() >= 4 && is_simple(&found), "{:?}", found);
                prop_assert!(doubled_area(&found) > 0.0);
                let whole = |p: &Point| p.x >= 0.0 && p.x <= width as f64 && p.y >= 0.0 && p.y <= height as f64;
                prop_assert!(found.iter().all(whole));
            }
        }
    }
}
