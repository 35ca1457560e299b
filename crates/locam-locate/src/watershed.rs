use crate::grid::Grid;
use locam_core::Point;

/// No basin yet: a point that has not been flooded.
const DRY: u32 = u32::MAX;

/// The points at or above `threshold`, divided into connected sets with one peak each; sets in the order of their
/// peaks, strongest first, and the peak first within its set.
///
/// This is a watershed by flooding from the top: points come in order of falling value and join the set of their
/// strongest neighbour that came before. Where a point touches two sets it is the highest saddle between
/// them, and there they are made one unless their peaks are further apart than `min_distance` pixels *and* the weaker
/// peak rises above the saddle by at least `min_drop`. Time is that of sorting the points.
pub(crate) fn basins(grid: &Grid, threshold: f64, min_distance: f64, min_drop: f64) -> Vec<Vec<usize>> {
    let values = grid.values();
    let mut order: Vec<usize> = (0..values.len()).filter(|&i| f64::from(values[i]) >= threshold).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    let mut flood = Flood { grid, basin_of: vec![DRY; values.len()], basins: Vec::new() };
    for &index in &order {
        flood.add(index, min_distance, min_drop);
    }
    let mut sets = vec![Vec::new(); flood.basins.len()];
    for &index in &order {
        sets[flood.root(flood.basin_of[index]) as usize].push(index);
    }
    sets.retain(|set| !set.is_empty());
    sets
}

/// A union-find over peaks: of two joined sets the stronger, which is the older, is the root.
struct Flood<'a> {
    grid: &'a Grid,
    basin_of: Vec<u32>,
    basins: Vec<Basin>,
}

struct Basin {
    parent: u32,
    peak: usize,
}

impl Flood<'_> {
    fn add(&mut self, index: usize, min_distance: f64, min_drop: f64) {
        let mut touched: Vec<u32> = Vec::with_capacity(8);
        let mut strongest: Option<usize> = None;
        for other in self.grid.neighbours(index) {
            if self.basin_of[other] == DRY {
                continue;
            }
            touched.push(self.root(self.basin_of[other]));
            if strongest.is_none_or(|best| self.grid.values()[other] > self.grid.values()[best]) {
                strongest = Some(other);
            }
        }
        let Some(strongest) = strongest else {
            self.basin_of[index] = self.basins.len() as u32;
            self.basins.push(Basin { parent: self.basins.len() as u32, peak: index });
            return;
        };
        self.basin_of[index] = self.basin_of[strongest];
        touched.sort_unstable();
        touched.dedup();
        self.join(&touched, index, min_distance, min_drop);
    }

    /// Joins those of the `touched` sets that are not worth keeping apart at the saddle `index`.
    fn join(&mut self, touched: &[u32], index: usize, min_distance: f64, min_drop: f64) {
        for (place, &weaker) in touched.iter().enumerate().skip(1) {
            let drop = self.value(self.basins[weaker as usize].peak) - self.value(index);
            for &other in &touched[..place] {
                let stronger = self.root(other);
                if drop < min_drop || self.peak(weaker).distance(self.peak(stronger)) <= min_distance {
                    self.basins[weaker as usize].parent = stronger;
                    break;
                }
            }
        }
    }

    /// The set that a set has become part of; shortens the way there for the next time.
    fn root(&mut self, mut basin: u32) -> u32 {
        loop {
            let parent = self.basins[basin as usize].parent;
            if parent == basin {
                return basin;
            }
            let grandparent = self.basins[parent as usize].parent;
            self.basins[basin as usize].parent = grandparent;
            basin = grandparent;
        }
    }

    fn peak(&self, basin: u32) -> Point {
        self.grid.point(self.basins[basin as usize].peak)
    }

    fn value(&self, index: usize) -> f64 {
        f64::from(self.grid.values()[index])
    }
}
