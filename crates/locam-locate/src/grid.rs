use locam_core::{Point, Rect, ScoreMap, Size};
use std::ops::{Range, RangeInclusive};

/// Points per map cell along each axis, where the stride has as many pixels.
const POINTS_PER_CELL: f64 = 8.0;

/// Where a map is sampled: a finer grid that covers an image exactly.
///
/// The grid's points include the centres of all map cells, where a bilinear surface has its maxima, and each point
/// stands for a rectangle around it. At the image's border the rectangles are cut, so that together they are the
/// image: areas and extents need no correction.
pub(crate) struct Lattice {
    pub(crate) columns: Axis,
    pub(crate) rows: Axis,
}

/// One axis of the lattice: sample positions and the edges of the cells around them, in pixels.
#[derive(Clone)]
pub(crate) struct Axis {
    points: Vec<f64>,
    edges: Vec<f64>,
    /// For each point the map cell whose centre is at it or before it.
    cell_before: Vec<u32>,
}

impl Axis {
    fn new(first_center: f64, stride: f64, length: f64, cells: u32) -> Self {
        // Finer than a pixel would add points and no knowledge.
        let step = stride / stride.floor().clamp(1.0, POINTS_PER_CELL);
        let first = (0.5 - first_center / step).floor();
        let count = (((length - first_center) / step - first + 0.5).ceil()).max(1.0) as usize;
        let edge = |i: usize| first_center + (first + i as f64 - 0.5) * step;
        let points: Vec<f64> = (0..count).map(|i| (edge(i) + step / 2.0).clamp(0.0, length)).collect();
        let last = f64::from(cells.saturating_sub(1));
        let before = |point: &f64| ((point - first_center) / stride).clamp(0.0, last) as u32;
        Self {
            edges: (0..=count).map(|i| edge(i).clamp(0.0, length)).collect(),
            cell_before: points.iter().map(before).collect(),
            points,
        }
    }

    /// The points of which the cell before is one of these.
    pub(crate) fn points_after(&self, cells: RangeInclusive<u32>) -> Range<usize> {
        let start = self.cell_before.partition_point(|cell| cell < cells.start());
        start..self.cell_before.partition_point(|cell| cell <= cells.end())
    }

    fn part(&self, points: Range<usize>) -> Self {
        Self {
            edges: self.edges[points.start..=points.end].to_vec(),
            cell_before: self.cell_before[points.clone()].to_vec(),
            points: self.points[points].to_vec(),
        }
    }
}

impl Lattice {
    pub(crate) fn new(map: &ScoreMap, image: Size) -> Self {
        let (transform, size) = (map.transform(), map.size());
        Self {
            columns: Axis::new(
                transform.first_center.x,
                transform.stride.x,
                f64::from(image.width),
                size.width,
            ),
            rows: Axis::new(
                transform.first_center.y,
                transform.stride.y,
                f64::from(image.height),
                size.height,
            ),
        }
    }
}

/// A margin map sampled on a part of the lattice.
pub(crate) struct Grid {
    columns: Axis,
    rows: Axis,
    values: Vec<f32>,
}

impl Grid {
    /// Samples the points of `columns` by `rows` whose square of map cells, named by its left top one, is wanted;
    /// the others are not numbers.
    pub(crate) fn new(
        map: &ScoreMap,
        lattice: &Lattice,
        (columns, rows): (Range<usize>, Range<usize>),
        wanted: impl Fn(u32, u32) -> bool,
    ) -> Self {
        let (columns, rows) = (lattice.columns.part(columns), lattice.rows.part(rows));
        let mut values = Vec::with_capacity(columns.points.len() * rows.points.len());
        for (&y, &row) in rows.points.iter().zip(&rows.cell_before) {
            for (&x, &column) in columns.points.iter().zip(&columns.cell_before) {
                values.push(if wanted(column, row) { map.sample(Point::new(x, y)) } else { f32::NAN });
            }
        }
        Self { columns, rows, values }
    }

    /// Samples the whole map.
    pub(crate) fn whole(map: &ScoreMap, image: Size) -> Self {
        let lattice = Lattice::new(map, image);
        let all = (0..lattice.columns.points.len(), 0..lattice.rows.points.len());
        Self::new(map, &lattice, all, |_, _| true)
    }

    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    pub(crate) fn width(&self) -> usize {
        self.columns.points.len()
    }

    /// Where the edges before a column and a row meet.
    pub(crate) fn corner(&self, column: usize, row: usize) -> Point {
        Point::new(self.columns.edges[column], self.rows.edges[row])
    }

    pub(crate) fn point(&self, index: usize) -> Point {
        Point::new(self.columns.points[index % self.width()], self.rows.points[index / self.width()])
    }

    /// The part of the image that a point stands for.
    pub(crate) fn cell(&self, index: usize) -> Rect {
        let (column, row) = (index % self.width(), index / self.width());
        Rect::new(
            self.columns.edges[column],
            self.rows.edges[row],
            self.columns.edges[column + 1],
            self.rows.edges[row + 1],
        )
    }

    /// The points around one, diagonals included.
    pub(crate) fn neighbours(&self, index: usize) -> impl Iterator<Item = usize> + use<> {
        let (width, height) = (self.width(), self.rows.points.len());
        let (column, row) = (index % width, index / width);
        let columns = column.saturating_sub(1)..=(column + 1).min(width - 1);
        (row.saturating_sub(1)..=(row + 1).min(height - 1))
            .flat_map(move |r| columns.clone().map(move |c| r * width + c))
            .filter(move |&other| other != index)
    }
}

/// Where in an image a map is strongest, in pixels of the image; the first in reading order of equal places.
pub fn strongest_point(map: &ScoreMap, image: Size) -> Point {
    let grid = Grid::whole(map, image);
    let mut best = 0;
    for (index, value) in grid.values().iter().enumerate() {
        if *value > grid.values()[best] || grid.values()[best].is_nan() {
            best = index;
        }
    }
    refine(map, grid.point(best), image)
}

/// Moves a maximum between the cell centres: to the vertex of the parabola through the values one stride to either
/// side, along each axis, at most half a stride away and inside the image. Where a side has no cells the place is
/// kept along that axis.
pub(crate) fn refine(map: &ScoreMap, peak: Point, image: Size) -> Point {
    let (transform, size) = (map.transform(), map.size());
    let place = transform.map_from_image(peak);
    let at = |dx: f64, dy: f64| {
        let moved = Point::new(peak.x + dx * transform.stride.x, peak.y + dy * transform.stride.y);
        f64::from(map.sample(moved))
    };
    let inside = |coordinate: f64, cells: u32| (1.5..=f64::from(cells) - 1.5).contains(&coordinate);
    let middle = at(0.0, 0.0);
    let dx = if inside(place.x, size.width) { vertex(at(-1.0, 0.0), middle, at(1.0, 0.0)) } else { 0.0 };
    let dy = if inside(place.y, size.height) { vertex(at(0.0, -1.0), middle, at(0.0, 1.0)) } else { 0.0 };
    Point::new(
        (peak.x + dx * transform.stride.x).clamp(0.0, f64::from(image.width)),
        (peak.y + dy * transform.stride.y).clamp(0.0, f64::from(image.height)),
    )
}

/// The place of the maximum of the parabola through values at -1, 0 and 1; 0 where there is none between.
fn vertex(before: f64, middle: f64, after: f64) -> f64 {
    let curvature = before - 2.0 * middle + after;
    let offset = 0.5 * (before - after) / curvature;
    if curvature < 0.0 && offset.is_finite() { offset.clamp(-0.5, 0.5) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_core::MapTransform;
    use proptest::prelude::*;

    #[test]
    fn cell_centres_are_points_of_the_grid() {
        let map = ScoreMap::new(Size::new(3, 1), vec![0.0, 7.0, 0.0], MapTransform::uniform(0.5, 32.0));
        let grid = Grid::whole(&map, Size::new(96, 32));
        let best: Vec<usize> = (0..grid.values().len()).filter(|&i| grid.values()[i] > 6.999).collect();
        assert!(!best.is_empty() && best.iter().all(|&i| (grid.point(i).x - 32.5).abs() < 1e-9));
    }

    #[test]
    fn a_parabola_gives_its_vertex_back() {
        let height = |x: f64| 5.0 - (x - 0.3).powi(2);
        assert!((vertex(height(-1.0), height(0.0), height(1.0)) - 0.3).abs() < 1e-12);
        assert!(vertex(1.0, 1.0, 1.0) == 0.0);
    }

    #[test]
    fn the_strongest_point_lies_between_two_equal_cells() {
        let values = vec![0.0, 0.0, 0.0, 0.0, 0.0, 6.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let map = ScoreMap::new(Size::new(4, 3), values, MapTransform::uniform(16.0, 32.0));
        let found = strongest_point(&map, Size::new(128, 96));
        assert!(found.distance(Point::new(64.0, 48.0)) < 1e-9, "{found:?}");
    }

    proptest! {
        #[test]
        fn cells_tile_the_image(
            (columns, rows) in (1_u32..9, 1_u32..9), (width, height) in (1_u32..300, 1_u32..300),
            first in -20.0_f64..40.0, stride in 0.4_f64..50.0
        ) {
            let size = Size::new(columns, rows);
            let map = ScoreMap::new(size, vec![0.0; size.area() as usize], MapTransform::uniform(first, stride));
            let image = Size::new(width, height);
            let grid = Grid::whole(&map, image);
            let area: f64 = (0..grid.values().len()).map(|i| grid.cell(i).area()).sum();
            prop_assert!((area - image.area() as f64).abs() < 1e-6 * area);
            for index in 0..grid.values().len() {
                let (cell, point) = (grid.cell(index), grid.point(index));
                prop_assert!(cell.contains(point), "{cell:?} {point:?}");
            }
        }
    }
}
