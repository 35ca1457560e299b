//! Generated blood smears with exact truth.
//!
//! Cells are layers of stain on a slide: densities add up, light falls off exponentially through them, and lamp,
//! focus and sensor come after. So what overlaps, fades or blurs does so as under a microscope, and the truth is
//! taken from the same outlines that are drawn.

mod all_idb;
mod canvas;
mod contour;
mod layout;
mod noise;
mod nucleus;
mod optics;
mod random;
mod red_cell;
mod stain;
mod voc;
mod white_cell;

pub use all_idb::{ALL_IDB2_SIDE, SmearPlan, SmearSummary, write_all_idb1, write_all_idb2, write_smears};
pub use stain::StainPreset;
pub use voc::{CellNames, VocFields, write_voc};

use canvas::Canvas;
use image::{ImageBuffer, Luma, RgbImage};
use layout::Layout;
use locam_core::{Point, Rect, Size};
use random::{Draw, Purpose};
use red_cell::{RedCellStyle, paint_platelet, paint_red_cell};
use serde::Serialize;
use stain::Stain;
use white_cell::{Truth, paint_white_cell};

/// Pixels in a micrometre at a cell scale of 1: a lymphocyte is about 100 pixels wide and a red cell 75.
const PIXELS_PER_MICROMETRE: f64 = 10.4;

/// Pixels of slide for each white cell at a cell scale of 1, where the number is not given.
const PIXELS_PER_WHITE_CELL: f64 = 220_000.0;

/// What to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct SmearConfig {
    /// Columns and rows of the image.
    pub size: Size,
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// White cells; fewer are drawn where there is no room for so many, and never more than 65,535.
    pub white_cells: u32,
    /// Blasts among the white cells, 0..=1: rounded to whole cells, but at least one where it is above 0.
    pub blast_fraction: f64,
    /// Magnification: at 1, a lymphocyte is about 100 pixels wide, a blast 140, a red cell 75. Kept within
    /// 0.05..=20.
    pub cell_scale: f64,
    /// The look of the laboratory.
    pub stain: StainPreset,
}

impl SmearConfig {
    /// An ordinary field of `size`, with white cells in proportion to its area, half of them blasts.
    pub fn new(size: Size, seed: u64) -> Self {
        let white_cells = (size.area() as f64 / PIXELS_PER_WHITE_CELL).round().max(1.0) as u32;
        Self { size, seed, white_cells, blast_fraction: 0.5, cell_scale: 1.0, stain: StainPreset::default() }
    }

    fn pixels_per_micrometre(&self) -> f32 {
        let scale = if self.cell_scale.is_finite() { self.cell_scale.clamp(0.05, 20.0) } else { 1.0 };
        (PIXELS_PER_MICROMETRE * scale) as f32
    }
}

impl Default for SmearConfig {
    /// A field of ALL-IDB1's size.
    fn default() -> Self {
        Self::new(Size::new(1712, 1368), 0)
    }
}

/// The two classes of white cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CellKind {
    /// Benign.
    Healthy,
    /// Malignant: an immature cell that has no place in blood.
    Blast,
}

/// The types of white cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CellType {
    /// Small and round, with dense clumped chromatin.
    Lymphocyte,
    /// With a nucleus of two to five lobes and granular cytoplasm.
    Neutrophil,
    /// Large, with a kidney-shaped nucleus.
    Monocyte,
    /// The blast: large, scant blue cytoplasm, irregular nucleus, fine chromatin, nucleoli.
    Lymphoblast,
}

/// One white cell, measured on the pixels that show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WhiteCell {
    /// Benign or malignant.
    pub kind: CellKind,
    /// What it is.
    pub cell_type: CellType,
    /// Mean of its pixels' centres, in image coordinates.
    pub centroid: Point,
    /// The edges of its outermost pixels, in image coordinates.
    pub rect: Rect,
    /// Its pixels.
    pub area: u64,
    /// Those of its pixels that show the nucleus.
    pub nucleus_area: u64,
}

/// A field of a smear, and where everything is.
#[derive(Clone, Debug)]
pub struct Smear {
    /// The picture.
    pub image: RgbImage,
    /// The white cells, in the order of their labels.
    pub cells: Vec<WhiteCell>,
    /// For each pixel 0, or i where it shows `cells[i - 1]`.
    pub labels: ImageBuffer<Luma<u16>, Vec<u16>>,
    /// Centres of the red cells whose centre is on the image.
    pub red_cells: Vec<Point>,
    /// Centres of the platelets whose centre is on the image.
    pub platelets: Vec<Point>,
}

/// Draws a smear: a function of `config` alone, whatever the number of threads.
pub fn generate(config: &SmearConfig) -> Smear {
    let scale = config.pixels_per_micrometre();
    let stain = Stain::of_field(config.stain, config.seed);
    let layout = Layout::random(config, scale);
    let mut canvas = Canvas::new(config.size);
    paint_background_cells(&mut canvas, &layout, scale, &stain, config.seed);
    let pixels = canvas.density.len();
    let mut truth = Truth { labels: vec![0; pixels], nuclei: vec![false; pixels] };
    for (index, place) in layout.white_cells.iter().enumerate() {
        let draw = &mut Draw::new(config.seed, Purpose::WhiteCell, index);
        paint_white_cell(&mut canvas, &mut truth, (place, index as u16 + 1), scale, &stain, draw);
    }
    let types: Vec<CellType> = layout.white_cells.iter().map(|place| place.cell_type).collect();
    let cells = measure(&types, &mut truth, config.size);
    let on_image = |places: &[[f32; 2]]| {
        let inside = places.iter().filter(|place| layout::is_inside(**place, config.size));
        inside.map(|[x, y]| Point::new((*x).into(), (*y).into())).collect()
    };
    let mut labels = ImageBuffer::new(config.size.width, config.size.height);
    labels.copy_from_slice(&truth.labels);
    Smear {
        image: optics::develop(canvas, &stain, scale, config.seed),
        cells,
        labels,
        red_cells: on_image(&layout.red_cells),
        platelets: on_image(&layout.platelets),
    }
}

fn paint_background_cells(canvas: &mut Canvas, layout: &Layout, scale: f32, stain: &Stain, seed: u64) {
    let style = RedCellStyle::random(&mut Draw::new(seed, Purpose::RedCell, 0));
    for (index, center) in layout.red_cells.iter().enumerate() {
        let draw = &mut Draw::new(seed, Purpose::RedCell, index + 1);
        paint_red_cell(canvas, *center, scale, (stain, &style), draw);
    }
    for (index, center) in layout.platelets.iter().enumerate() {
        paint_platelet(canvas, *center, scale, stain, &mut Draw::new(seed, Purpose::Platelet, index));
    }
}

/// What of a cell has been seen so far.
#[derive(Clone)]
struct Sum {
    area: u64,
    nucleus_area: u64,
    columns: u64,
    rows: u64,
    left: u32,
    right: u32,
    top: u32,
    bottom: u32,
}

/// Measures every cell on its pixels. A cell too small to own any is dropped, and the labels close up.
fn measure(types: &[CellType], truth: &mut Truth, size: Size) -> Vec<WhiteCell> {
    let unseen = Sum {
        area: 0,
        nucleus_area: 0,
        columns: 0,
        rows: 0,
        left: u32::MAX,
        right: 0,
        top: u32::MAX,
        bottom: 0,
    };
    let mut sums = vec![unseen; types.len()];
    for (index, &label) in truth.labels.iter().enumerate() {
        let Some(sum) = usize::from(label).checked_sub(1).map(|cell| &mut sums[cell]) else { continue };
        let (column, row) = ((index % size.width as usize) as u32, (index / size.width as usize) as u32);
        sum.area += 1;
        sum.nucleus_area += u64::from(truth.nuclei[index]);
        sum.columns += u64::from(column);
        sum.rows += u64::from(row);
        (sum.left, sum.right) = (sum.left.min(column), sum.right.max(column + 1));
        (sum.top, sum.bottom) = (sum.top.min(row), sum.bottom.max(row + 1));
    }
    let mut new_labels = vec![0];
    let mut cells = Vec::new();
    for (cell_type, sum) in types.iter().zip(&sums) {
        cells.extend((sum.area > 0).then(|| sum.cell(*cell_type)));
        new_labels.push(cells.len() as u16);
    }
    for label in &mut truth.labels {
        *label = new_labels[usize::from(*label)];
    }
    cells
}

impl Sum {
    fn cell(&self, cell_type: CellType) -> WhiteCell {
        let area = self.area as f64;
        WhiteCell {
            kind: cell_type.kind(),
            cell_type,
            centroid: Point::new(self.columns as f64 / area + 0.5, self.rows as f64 / area + 0.5),
            rect: Rect::new(self.left.into(), self.top.into(), self.right.into(), self.bottom.into()),
            area: self.area,
            nucleus_area: self.nucleus_area,
        }
    }
}
