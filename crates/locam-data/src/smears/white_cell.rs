//! White cells: what each type looks like, and how one is drawn.

use super::canvas::Canvas;
use super::contour::Contour;
use super::layout::WhitePlace;
use super::noise::{Noise, mix, smooth_step};
use super::nucleus::{Chromatin, Form, Nucleus};
use super::random::Draw;
use super::stain::Stain;
use super::{CellKind, CellType};

/// How cells of one type vary. Lengths are in micrometres, pairs are the least and the most.
struct Recipe {
    /// Of the whole cell.
    diameters: (f32, f32),
    /// Departure of the cell's outline from a circle, as a share of its radius.
    roughness: f32,
    form: Form,
    chromatin: Chromatin,
    cytoplasm: Cytoplasm,
}

/// The look of the cell outside the nucleus, in layers of stain.
struct Cytoplasm {
    basophilic: (f32, f32),
    acidophilic: (f32, f32),
    /// How much deeper the cell's edge is stained than its inside.
    rim: f32,
    /// Width of granules and of the ground substance's grain.
    grain: f32,
    /// How strongly granules stand out.
    granularity: f32,
    /// How pale the zone beside the nucleus is.
    halo: f32,
    /// The most vacuoles, and how likely there are any.
    vacuoles: (usize, f32),
}

/// A mature lymphocyte: small, round, dense clumped chromatin, a thin pale blue rim.
const LYMPHOCYTE: Recipe = Recipe {
    diameters: (8.8, 10.8),
    roughness: 0.035,
    form: Form::Round { share: (0.74, 0.86), roughness: 0.03, notches: 0.25, notch_depth: 0.12 },
    chromatin: Chromatin {
        density: (0.92, 1.25),
        grain: 1.25,
        contrast: 0.25,
        clumping: 2.8,
        nucleoli: (0, 0),
    },
    cytoplasm: Cytoplasm {
        basophilic: (0.4, 0.8),
        acidophilic: (0.0, 0.1),
        rim: 0.15,
        grain: 0.9,
        granularity: 0.1,
        halo: 0.3,
        vacuoles: (1, 0.05),
    },
};

/// A neutrophil: two to five lobes on threads, pink cytoplasm full of fine granules.
const NEUTROPHIL: Recipe = Recipe {
    diameters: (11.6, 14.2),
    roughness: 0.05,
    form: Form::Lobes { count: (2, 5) },
    chromatin: Chromatin {
        density: (0.85, 1.2),
        grain: 1.1,
        contrast: 0.28,
        clumping: 2.8,
        nucleoli: (0, 0),
    },
    cytoplasm: Cytoplasm {
        basophilic: (0.05, 0.2),
        acidophilic: (0.75, 1.2),
        rim: 0.1,
        grain: 0.45,
        granularity: 0.5,
        halo: 0.0,
        vacuoles: (2, 0.1),
    },
};

/// A monocyte: large, kidney-shaped nucleus of lacy chromatin, grey-blue ground-glass cytoplasm.
const MONOCYTE: Recipe = Recipe {
    diameters: (13.5, 16.5),
    roughness: 0.085,
    form: Form::Kidney,
    chromatin: Chromatin {
        density: (0.6, 0.85),
        grain: 0.8,
        contrast: 0.32,
        clumping: 1.6,
        nucleoli: (0, 0),
    },
    cytoplasm: Cytoplasm {
        basophilic: (0.4, 0.65),
        acidophilic: (0.35, 0.6),
        rim: 0.05,
        grain: 0.45,
        granularity: 0.28,
        halo: 0.0,
        vacuoles: (5, 0.5),
    },
};

/// A lymphoblast: large, little cytoplasm and that deep blue, an irregular nucleus of fine open chromatin with
/// nucleoli.
const LYMPHOBLAST: Recipe = Recipe {
    diameters: (12.0, 15.2),
    roughness: 0.06,
    form: Form::Round { share: (0.85, 0.94), roughness: 0.065, notches: 0.75, notch_depth: 0.3 },
    chromatin: Chromatin {
        density: (0.6, 0.95),
        grain: 0.55,
        contrast: 0.28,
        clumping: 1.6,
        nucleoli: (1, 3),
    },
    cytoplasm: Cytoplasm {
        basophilic: (1.0, 1.7),
        acidophilic: (0.0, 0.1),
        rim: 0.2,
        grain: 0.7,
        granularity: 0.2,
        halo: 0.2,
        vacuoles: (5, 0.3),
    },
};

impl CellType {
    /// The least and the greatest usual diameter, in micrometres.
    pub(super) fn diameters(self) -> (f32, f32) {
        self.recipe().diameters
    }

    /// Whether cells of this type count as benign or as malignant.
    pub fn kind(self) -> CellKind {
        match self {
            Self::Lymphocyte | Self::Neutrophil | Self::Monocyte => CellKind::Healthy,
            Self::Lymphoblast => CellKind::Blast,
        }
    }

    /// A healthy type. Lymphocytes are commoner than in blood, since they are what blasts must be told from.
    pub(super) fn random_healthy(draw: &mut Draw) -> Self {
        match draw.between(0.0, 1.0) {
            share if share < 0.55 => Self::Lymphocyte,
            share if share < 0.87 => Self::Neutrophil,
            _ => Self::Monocyte,
        }
    }

    fn recipe(self) -> &'static Recipe {
        match self {
            Self::Lymphocyte => &LYMPHOCYTE,
            Self::Neutrophil => &NEUTROPHIL,
            Self::Monocyte => &MONOCYTE,
            Self::Lymphoblast => &LYMPHOBLAST,
        }
    }
}

/// Which white cell covers each pixel: its number from 1, or 0; and whether its nucleus does.
pub(super) struct Truth {
    pub(super) labels: Vec<u16>,
    pub(super) nuclei: Vec<bool>,
}

/// One cell with all that was drawn by lot. Lengths are in micrometres from its centre.
struct Cell {
    outline: Contour,
    nucleus: Nucleus,
    basophilic: f32,
    acidophilic: f32,
    ground: Noise,
    /// Centres and radii.
    vacuoles: Vec<[f32; 3]>,
}

impl Cell {
    fn random(recipe: &Recipe, radius: f32, draw: &mut Draw) -> Self {
        let cytoplasm = &recipe.cytoplasm;
        let elongation = draw.between(0.0, 0.16);
        let outline = Contour::random(draw, radius, elongation, recipe.roughness);
        let (most, likely) = cytoplasm.vacuoles;
        let count = if draw.chance(likely) { draw.count(1, most) } else { 0 };
        let vacuole = |_| {
            let (sine, cosine) = draw.angle().sin_cos();
            let away = radius * draw.between(0.45, 0.92);
            [away * cosine, away * sine, draw.between(0.25, 0.6)]
        };
        let vacuoles = (0..count).map(vacuole).collect();
        Self {
            outline,
            vacuoles,
            nucleus: Nucleus::random(&recipe.form, &recipe.chromatin, radius, draw),
            basophilic: draw.between(cytoplasm.basophilic.0, cytoplasm.basophilic.1),
            acidophilic: draw.between(cytoplasm.acidophilic.0, cytoplasm.acidophilic.1),
            ground: Noise::new(draw.seed()),
        }
    }

    /// Layers of cytoplasm, less the vacuoles, at a distance from cell's and nucleus' edges.
    fn cytoplasm_layers(
        &self,
        look: &Cytoplasm,
        [x, y]: [f32; 2],
        outside_cell: f32,
        outside_nucleus: f32,
    ) -> f32 {
        let rim = 1.0 + look.rim * smooth_step(-1.1, -0.2, outside_cell);
        let halo = 1.0 - look.halo * smooth_step(1.2, 0.1, outside_nucleus);
        let patches = self.ground.value(x / 2.6, y / 2.6) - 0.5;
        let granule = self.ground.fractal(x / look.grain, y / look.grain) - 0.5;
        rim * halo * (1.0 + 0.3 * patches) * (1.0 + 2.6 * look.granularity * granule)
    }

    /// The share of stain that vacuoles leave.
    fn beside_vacuoles(&self, [x, y]: [f32; 2]) -> f32 {
        let left = |[center_x, center_y, radius]: &[f32; 3]| {
            mix(0.2, 1.0, smooth_step(0.7, 1.15, (x - center_x).hypot(y - center_y) / radius))
        };
        self.vacuoles.iter().map(left).product()
    }
}

/// Draws a white cell and marks where it is.
pub(super) fn paint_white_cell(
    canvas: &mut Canvas,
    truth: &mut Truth,
    (place, label): (&WhitePlace, u16),
    pixels_per_micrometre: f32,
    stain: &Stain,
    draw: &mut Draw,
) {
    let recipe = place.cell_type.recipe();
    let cell = Cell::random(recipe, place.radius / pixels_per_micrometre, draw);
    let softness = 0.11_f32.max(0.7 / pixels_per_micrometre);
    let reach = (cell.outline.reach() + 2.0 * softness) * pixels_per_micrometre;
    canvas.paint(place.center, reach, |mut spot| {
        let at = [spot.x / pixels_per_micrometre, spot.y / pixels_per_micrometre];
        let outside_cell = cell.outline.signed_distance(at[0], at[1]);
        let covered = coverage(outside_cell, softness);
        if covered <= 0.0 {
            return;
        }
        // The nucleus never pierces the membrane.
        let outside_nucleus = cell.nucleus.signed_distance(at).max(outside_cell + 0.25);
        if outside_cell <= 0.0 {
            truth.labels[spot.index] = label;
            truth.nuclei[spot.index] = outside_nucleus <= 0.0;
        }
        let nuclear = covered * coverage(outside_nucleus, 1.4 * softness);
        let clear = covered * cell.beside_vacuoles(at);
        let layers = clear * cell.cytoplasm_layers(&recipe.cytoplasm, at, outside_cell, outside_nucleus);
        let chromatin =
            nuclear * mix(1.0, cell.beside_vacuoles(at), 0.4) * cell.nucleus.chromatin(at, outside_nucleus);
        // A white cell pushes red cells aside; a little of one may show through.
        spot.keep(1.0 - 0.94 * covered);
        spot.add(&stain.basophilic, layers * cell.basophilic * (1.0 - 0.6 * nuclear));
        spot.add(&stain.acidophilic, layers * cell.acidophilic * (1.0 - 0.6 * nuclear));
        spot.add(&stain.chromatin, chromatin);
    });
}

/// How much of a pixel an object covers whose edge is `outside` away, for an edge that is `softness` wide each way.
fn coverage(outside: f32, softness: f32) -> f32 {
    (0.5 - outside / (2.0 * softness)).clamp(0.0, 1.0)
}
