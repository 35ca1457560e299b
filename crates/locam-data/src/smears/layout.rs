//! Where the cells of a smear lie.

use super::noise::Noise;
use super::random::{Draw, Purpose};
use super::{CellType, SmearConfig};
use locam_core::Size;
use std::f32::consts::PI;

/// Mean diameter of a red cell, in micrometres.
pub(super) const RED_CELL_DIAMETER: f32 = 7.2;

/// Places to try before a cell is given up for lack of room.
const TRIES: usize = 24;

/// A white cell to draw.
#[derive(Clone, Copy, Debug)]
pub(super) struct WhitePlace {
    pub(super) cell_type: CellType,
    /// In pixels.
    pub(super) center: [f32; 2],
    /// In pixels.
    pub(super) radius: f32,
}

/// Centres in pixels; red cells and platelets may lie a little outside the image.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) white_cells: Vec<WhitePlace>,
    pub(super) red_cells: Vec<[f32; 2]>,
    pub(super) platelets: Vec<[f32; 2]>,
}

impl Layout {
    pub(super) fn random(config: &SmearConfig, pixels_per_micrometre: f32) -> Self {
        let draw = &mut Draw::new(config.seed, Purpose::Layout, 0);
        let white_cells = white_places(config, pixels_per_micrometre, draw);
        let red_cells =
            red_places(config.size, RED_CELL_DIAMETER * pixels_per_micrometre, &white_cells, draw);
        let share = draw.between(0.03, 0.12);
        let count = (red_cells.len() as f32 * share) as usize;
        let platelets = platelet_places(config.size, pixels_per_micrometre, count, &white_cells, draw);
        Self { white_cells, red_cells, platelets }
    }
}

fn white_places(config: &SmearConfig, pixels_per_micrometre: f32, draw: &mut Draw) -> Vec<WhitePlace> {
    // Labels have 16 bits.
    let count = config.white_cells.min(u16::MAX.into()) as usize;
    let blasts = blast_count(count, config.blast_fraction);
    let mut types: Vec<CellType> = (0..count)
        .map(|i| if i < blasts { CellType::Lymphoblast } else { CellType::random_healthy(draw) })
        .collect();
    for last in (1..count).rev() {
        types.swap(last, draw.count(0, last));
    }
    let mut places: Vec<WhitePlace> = Vec::with_capacity(count);
    for cell_type in types {
        let (small, large) = cell_type.diameters();
        let radius = draw.between(small, large) / 2.0 * pixels_per_micrometre;
        let beside = draw.chance(0.15);
        for _ in 0..TRIES {
            let center = match places.last() {
                Some(other) if beside => step_from(other.center, 1.0 * (other.radius + radius), draw),
                _ => anywhere(config.size, 0.0, draw),
            };
            // Contours bulge, so cells at this distance touch and seldom overlap by more than a sliver.
            let crowded =
                |other: &WhitePlace| distance(center, other.center) < 0.98 * (radius + other.radius);
            if is_inside(center, config.size) && !places.iter().any(crowded) {
                places.push(WhitePlace { cell_type, center, radius });
                break;
            }
        }
    }
    places
}

/// Blasts among `count` white cells: the nearest whole number, but one at least where there are to be any.
fn blast_count(count: usize, fraction: f64) -> usize {
    let fraction = if fraction > 0.0 { fraction.min(1.0) } else { return 0 };
    ((count as f64 * fraction).round() as usize).clamp(1.min(count), count)
}

/// Red cells: some alone, some in clumps that overlap, more of them in some parts of the slide than in others.
fn red_places(size: Size, diameter: f32, white_cells: &[WhitePlace], draw: &mut Draw) -> Vec<[f32; 2]> {
    let margin = diameter / 2.0;
    let area = (size.width as f32 + diameter) * (size.height as f32 + diameter);
    let coverage = draw.between(0.45, 0.85);
    let clumping = draw.between(0.2, 0.6);
    let wanted = (area * coverage / (PI * margin * margin)) as usize;
    let thickness = Noise::new(draw.seed());
    let mut grid = Grid::new(size, diameter);
    for _ in 0..wanted {
        let clumps = draw.chance(clumping);
        let nearest = if clumps { draw.between(0.42, 0.75) } else { 0.93 } * diameter;
        for _ in 0..TRIES / 3 {
            let center = match grid.any(draw) {
                Some(other) if clumps => step_from(other, draw.between(1.0, 1.25) * nearest, draw),
                _ => anywhere(size, margin, draw),
            };
            let sparse = thickness.value(center[0] / (5.0 * diameter), center[1] / (5.0 * diameter)) < 0.33;
            let in_the_way =
                |cell: &WhitePlace| distance(center, cell.center) < cell.radius + 0.42 * diameter;
            let kept = !(sparse && draw.chance(0.85));
            if kept && !white_cells.iter().any(in_the_way) && grid.nearest(center) >= nearest {
                grid.insert(center);
                break;
            }
        }
    }
    grid.points
}

/// Platelets: alone or in small groups, anywhere but on white cells.
fn platelet_places(
    size: Size,
    pixels_per_micrometre: f32,
    count: usize,
    white_cells: &[WhitePlace],
    draw: &mut Draw,
) -> Vec<[f32; 2]> {
    let mut places: Vec<[f32; 2]> = Vec::with_capacity(count);
    for _ in 0..count {
        let center = match places.last() {
            Some(other) if draw.chance(0.3) => {
                step_from(*other, draw.between(2.2, 4.0) * pixels_per_micrometre, draw)
            }
            _ => anywhere(size, 0.0, draw),
        };
        let on_cell =
            |cell: &WhitePlace| distance(center, cell.center) < cell.radius + 2.0 * pixels_per_micrometre;
        if !white_cells.iter().any(on_cell) {
            places.push(center);
        }
    }
    places
}

fn anywhere(size: Size, margin: f32, draw: &mut Draw) -> [f32; 2] {
    [size.width, size.height].map(|extent| draw.between(-margin, extent as f32 + margin))
}

fn step_from(start: [f32; 2], length: f32, draw: &mut Draw) -> [f32; 2] {
    let (sine, cosine) = draw.angle().sin_cos();
    [start[0] + length * cosine, start[1] + length * sine]
}

/// Whether a point lies on the image.
pub(super) fn is_inside([x, y]: [f32; 2], size: Size) -> bool {
    (0.0..size.width as f32).contains(&x) && (0.0..size.height as f32).contains(&y)
}

fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Points in square bins of one cell's diameter, so that neighbours are found without looking at all points.
struct Grid {
    diameter: f32,
    columns: usize,
    bins: Vec<Vec<[f32; 2]>>,
    points: Vec<[f32; 2]>,
}

impl Grid {
    fn new(size: Size, diameter: f32) -> Self {
        let bins = |extent: u32| (extent as f32 / diameter) as usize + 4;
        let (columns, rows) = (bins(size.width), bins(size.height));
        Self { diameter, columns, bins: vec![Vec::new(); columns * rows], points: Vec::new() }
    }

    /// Column and row of a point's bin, kept off the outermost bins so that every bin has neighbours.
    fn bin(&self, [x, y]: [f32; 2]) -> (usize, usize) {
        let index = |value: f32, bins: usize| ((value / self.diameter + 1.5).max(1.0) as usize).min(bins - 2);
        (index(x, self.columns), index(y, self.bins.len() / self.columns))
    }

    fn insert(&mut self, point: [f32; 2]) {
        let (column, row) = self.bin(point);
        self.bins[row * self.columns + column].push(point);
        self.points.push(point);
    }

    fn any(&self, draw: &mut Draw) -> Option<[f32; 2]> {
        (!self.points.is_empty()).then(|| self.points[draw.count(0, self.points.len() - 1)])
    }

    /// Distance of the nearest point; infinite where none is within a diameter.
    fn nearest(&self, point: [f32; 2]) -> f32 {
        let (column, row) = self.bin(point);
        let neighbours = (row - 1..=row + 1)
            .flat_map(|row| &self.bins[row * self.columns + column - 1..=row * self.columns + column + 1]);
        neighbours.flatten().map(|&other| distance(point, other)).fold(f32::INFINITY, f32::min)
    }
}
