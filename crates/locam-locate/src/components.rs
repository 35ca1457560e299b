//! The connected parts of a map at many thresholds, from one pass over its points.

use crate::grid::Grid;
use locam_core::Rect;

/// Points that touch, corners included, all at or above a threshold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Component {
    pub(crate) extent: Rect,
    pub(crate) area: f64,
}

/// Calls `visit` with the number of each threshold and the components at it, from the highest threshold down. Points are
/// joined from the strongest on (a union-find), so that no threshold begins anew.
pub(crate) fn components(grid: &Grid, thresholds: &[f64], mut visit: impl FnMut(usize, &[Component])) {
    let value = |point: usize| f64::from(grid.values()[point]);
    let mut points: Vec<usize> = (0..grid.values().len()).filter(|&point| !value(point).is_nan()).collect();
    points.sort_unstable_by(|&a, &b| value(b).total_cmp(&value(a)).then(a.cmp(&b)));
    let mut order: Vec<usize> = (0..thresholds.len()).collect();
    order.sort_by(|&a, &b| thresholds[b].total_cmp(&thresholds[a]));
    let mut forest = Forest::new(grid);
    let mut joined = 0;
    for number in order {
        while joined < points.len() && value(points[joined]) >= thresholds[number] {
            forest.add(points[joined], grid);
            joined += 1;
        }
        let roots = points[..joined].iter().filter(|&&point| forest.parents[point] == point);
        let found: Vec<Component> = roots.map(|&point| forest.components[point]).collect();
        visit(number, &found);
    }
}

/// Components by the point that stands for each.
struct Forest {
    /// A point on the way to the one that stands for its component; none where it was not added.
    parents: Vec<usize>,
    components: Vec<Component>,
}

const NONE: usize = usize::MAX;

impl Forest {
    fn new(grid: &Grid) -> Self {
        let alone = |point| Component { extent: grid.cell(point), area: grid.cell(point).area() };
        let points = grid.values().len();
        Self { parents: vec![NONE; points], components: (0..points).map(alone).collect() }
    }

    fn add(&mut self, point: usize, grid: &Grid) {
        self.parents[point] = point;
        for neighbour in grid.neighbours(point) {
            if self.parents[neighbour] != NONE {
                self.join(point, neighbour);
            }
        }
    }

    fn root(&mut self, mut point: usize) -> usize {
        while self.parents[point] != point {
            self.parents[point] = self.parents[self.parents[point]];
            point = self.parents[point];
        }
        point
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        let (large, small) = if self.components[a].area >= self.components[b].area { (a, b) } else { (b, a) };
        let (one, other) = (self.components[large], self.components[small]);
        self.parents[small] = large;
        self.components[large] =
            Component { extent: one.extent.union(other.extent), area: one.area + other.area };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RegionConfig, find_regions};
    use locam_core::{ClassId, MapTransform, ScoreMap, Size};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn components_are_the_regions_that_nothing_but_a_gap_tells_apart(
            (columns, values) in (1_u32..10, 1_u32..10).prop_flat_map(|(columns, rows)| {
                (Just(columns), prop::collection::vec(-9.0_f32..9.0, (columns * rows) as usize))
            }),
            thresholds in prop::collection::vec(-10.0_f64..10.0, 1..6)
        ) {
            let size = Size::new(columns, values.len() as u32 / columns);
            let image = Size::new(size.width * 32 - 9, size.height * 32 - 21);
            let map = ScoreMap::new(size, values, MapTransform::uniform(0.5, 32.0));
            let mut seen = 0;
            components(&Grid::whole(&map, image), &thresholds, |number, found| {
                seen += 1;
                let config = RegionConfig {
                    threshold: thresholds[number],
                    contour: thresholds[number],
                    min_distance: 0.0,
                    min_drop: f64::INFINITY,
                    min_area: 0.0,
                    box_inset: 0.0,
                    usual_box: None,
                };
                let mut twins = find_regions(&map, ClassId(0), image, &config);
                assert_eq!(found.len(), twins.len());
                for component in found {
                    let is_twin = |region: &locam_core::Region| {
                        region.rect == component.extent && (region.area - component.area).abs() < 1e-6
                    };
                    let twin = twins.iter().position(is_twin).expect("a region of this extent and area");
                    twins.swap_remove(twin);
                }
            });
            prop_assert_eq!(seen, thresholds.len());
        }
    }
}
