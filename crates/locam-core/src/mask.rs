use crate::{Point, Rect, Size};
use std::ops::Range;

/// Neighbouring pixels of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The row.
    pub row: u32,
    /// The columns, never none.
    pub columns: Range<u32>,
}

/// The pixels of an image that an object covers, and the box around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    /// By row, then by column; runs of a row neither overlap nor touch.
    runs: Vec<Run>,
    rect: Rect,
}

impl Mask {
    /// The mask of these pixels, given in any order, possibly more than once; `None` where there are none. Its box is the
    /// smallest that holds them.
    pub fn from_runs(mut runs: Vec<Run>) -> Option<Self> {
        runs.retain(|run| !run.columns.is_empty());
        runs.sort_by_key(|run| (run.row, run.columns.start));
        runs.dedup_by(|next, last| {
            let is_joined = next.row == last.row && next.columns.start <= last.columns.end;
            if is_joined {
                last.columns.end = last.columns.end.max(next.columns.end);
            }
            is_joined
        });
        let (first, last) = (runs.first()?, runs.last()?);
        let left = runs.iter().map(|run| run.columns.start).min()?;
        let right = runs.iter().map(|run| run.columns.end).max()?;
        let rect = Rect::new(left.into(), first.row.into(), right.into(), f64::from(last.row) + 1.0);
        Some(Self { runs, rect })
    }

    /// The pixels of an image of `size` whose centres lie in any of the polygons; `None` where none does. Inside of a
    /// polygon is what an odd number of its edges lies to the left of. Its box is the smallest that holds the polygons'
    /// corners, cut at the image's border.
    pub fn from_polygons(polygons: &[Vec<Point>], size: Size) -> Option<Self> {
        let runs = polygons.iter().flat_map(|polygon| runs_inside(polygon, size)).collect();
        let corners = || polygons.iter().flatten();
        let least = |along: fn(&Point) -> f64| corners().map(along).fold(f64::INFINITY, f64::min);
        let most = |along: fn(&Point) -> f64| corners().map(along).fold(f64::NEG_INFINITY, f64::max);
        let rect = Rect::new(
            least(|corner| corner.x),
            least(|corner| corner.y),
            most(|corner| corner.x),
            most(|corner| corner.y),
        );
        Some(Self::from_runs(runs)?.with_rect(rect.clamped_to(size)))
    }

    /// The same pixels with a box that is known otherwise.
    #[must_use]
    pub fn with_rect(self, rect: Rect) -> Self {
        Self { rect, ..self }
    }

    /// The box around the object.
    pub fn rect(&self) -> Rect {
        self.rect
    }

    /// All runs, by row, then by column.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The runs of one row, from left to right.
    pub fn runs_of(&self, row: u32) -> &[Run] {
        let start = self.runs.partition_point(|run| run.row < row);
        let rest = &self.runs[start..];
        &rest[..rest.partition_point(|run| run.row == row)]
    }

    /// How many pixels it has.
    pub fn area(&self) -> u64 {
        self.runs.iter().map(|run| run.columns.len() as u64).sum()
    }

    /// Whether `point` lies in one of the pixels or on the edge of one.
    pub fn contains(&self, point: Point) -> bool {
        // Negative places become 0 here; no run holds them below.
        let row = point.y.floor() as u32;
        let above = (point.y.fract() == 0.0).then(|| row.checked_sub(1)).flatten();
        let holds =
            |run: &Run| (f64::from(run.columns.start)..=f64::from(run.columns.end)).contains(&point.x);
        point.y >= 0.0 && above.into_iter().chain([row]).any(|row| self.runs_of(row).iter().any(holds))
    }
}

/// The pixels whose centres lie in a polygon.
fn runs_inside(polygon: &[Point], size: Size) -> Vec<Run> {
    // The places at which edges cross the middle of each row.
    let center = |row: u32| f64::from(row) + 0.5;
    let first_at = |place: f64, length: u32| (place - 0.5).ceil().clamp(0.0, length.into()) as u32;
    let mut crossings: Vec<Vec<f64>> = Vec::new();
    let lowest = polygon.iter().map(|corner| corner.y).fold(f64::INFINITY, f64::min);
    let first_row = first_at(lowest, size.height);
    for (&a, &b) in polygon.iter().zip(polygon.iter().cycle().skip(1)) {
        let (top, bottom) = if a.y <= b.y { (a, b) } else { (b, a) };
        for row in first_at(top.y, size.height)..first_at(bottom.y, size.height) {
            let index = (row - first_row) as usize;
            if crossings.len() <= index {
                crossings.resize(index + 1, Vec::new());
            }
            let along = (center(row) - top.y) / (bottom.y - top.y);
            crossings[index].push(top.x + along * (bottom.x - top.x));
        }
    }
    let mut runs = Vec::new();
    for (row, mut places) in (first_row..).zip(crossings) {
        places.sort_by(f64::total_cmp);
        for pair in places.as_chunks::<2>().0 {
            let columns = first_at(pair[0], size.width)..first_at(pair[1], size.width);
            runs.push(Run { row, columns });
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(row: u32, columns: Range<u32>) -> Run {
        Run { row, columns }
    }

    #[test]
    fn runs_are_joined_and_empty_ones_are_none() {
        let mask =
            Mask::from_runs(vec![run(3, 5..7), run(1, 4..4), run(2, 0..2), run(3, 2..5), run(3, 3..6)]);
        let mask = mask.unwrap();
        assert_eq!(mask.runs(), [run(2, 0..2), run(3, 2..7)]);
        assert_eq!((mask.area(), mask.rect()), (7, Rect::new(0.0, 2.0, 7.0, 4.0)));
        assert_eq!((mask.runs_of(3), mask.runs_of(1)), (&[run(3, 2..7)][..], &[][..]));
        assert_eq!(Mask::from_runs(vec![run(1, 4..4)]), None);
    }

    #[test]
    fn a_pixel_contains_its_edges() {
        let mask = Mask::from_runs(vec![run(2, 4..6), run(0, 0..1)]).unwrap();
        for (x, y, inside) in [
            (4.0, 2.0, true),
            (6.0, 3.0, true),
            (5.0, 2.5, true),
            (5.0, 1.9, false),
            (5.0, 3.1, false),
            (6.1, 2.5, false),
            (0.0, 0.0, true),
            (0.5, -0.5, false),
            (-0.5, 0.5, false),
        ] {
            assert_eq!(mask.contains(Point::new(x, y)), inside, "{x}, {y}");
        }
    }

    #[test]
    fn polygons_reach_over_the_border_and_are_cut_there() {
        let corners = [(-5.0, 1.0), (30.0, 1.0), (30.0, 2.6), (-5.0, 2.6)];
        let polygon = corners.map(|(x, y)| Point::new(x, y)).to_vec();
        let mask = Mask::from_polygons(&[polygon], Size::new(20, 10)).unwrap();
        assert_eq!(mask.runs(), [run(1, 0..20), run(2, 0..20)]);
        assert_eq!(mask.rect(), Rect::new(0.0, 1.0, 20.0, 2.6));
        let sliver = [(2.6, 2.0), (2.9, 2.0), (2.9, 9.0)].map(|(x, y)| Point::new(x, y)).to_vec();
        assert_eq!(Mask::from_polygons(&[sliver], Size::new(20, 10)), None);
    }

    /// Whether an odd number of a polygon's edges lies to the left of a place.
    fn is_inside(polygon: &[Point], place: Point) -> bool {
        let crosses = |(a, b): &(&Point, &Point)| {
            (a.y <= place.y) != (b.y <= place.y)
                && a.x + (place.y - a.y) / (b.y - a.y) * (b.x - a.x) <= place.x
        };
        polygon.iter().zip(polygon.iter().cycle().skip(1)).filter(crosses).count() % 2 == 1
    }

    proptest! {
        #[test]
        fn masks_of_polygons_are_the_pixels_inside(
            polygons in prop::collection::vec(prop::collection::vec((-9.0_f64..40.0, -9.0_f64..30.0), 3..9), 1..4),
        ) {
            let size = Size::new(31, 21);
            let polygons: Vec<Vec<Point>> = polygons
                .into_iter()
                .map(|corners| corners.into_iter().map(|(x, y)| Point::new(x, y)).collect())
                .collect();
            let mask = Mask::from_polygons(&polygons, size);
            let mut area = 0;
            for (column, row) in (0..size.height).flat_map(|row| (0..size.width).map(move |column| (column, row))) {
                let center = Point::new(f64::from(column) + 0.5, f64::from(row) + 0.5);
                let inside = polygons.iter().any(|polygon| is_inside(polygon, center));
                area += u64::from(inside);
                prop_assert_eq!(mask.as_ref().is_some_and(|mask| mask.contains(center)), inside, "{:?}", center);
            }
            prop_assert_eq!(mask.map_or(0, |mask| mask.area()), area);
        }
    }
}
