//! Nuclei: their shapes, chromatin and nucleoli. Lengths are in micrometres from the cell's centre.

use super::contour::Contour;
use super::noise::{Noise, mix, smooth_step};
use super::random::Draw;

/// The shape of a type's nuclei.
pub(super) enum Form {
    /// One round body.
    Round {
        /// Diameter as a share of the cell's.
        share: (f32, f32),
        /// Departure from a circle, as a share of the radius.
        roughness: f32,
        /// How likely it has a cleft.
        notches: f32,
        /// The deepest cleft, as a share of the radius.
        notch_depth: f32,
    },
    /// Lobes joined by threads.
    Lobes {
        /// The least and the most lobes.
        count: (usize, usize),
    },
    /// A bent sausage.
    Kidney,
}

/// The texture of a type's nuclei.
pub(super) struct Chromatin {
    /// The least and the greatest mean density, in layers of stain.
    pub(super) density: (f32, f32),
    /// Width of clumps.
    pub(super) grain: f32,
    /// How much darker clumps are than the mean, as a share of it.
    pub(super) contrast: f32,
    /// 1: density varies evenly; more: blocks with sharp edges.
    pub(super) clumping: f32,
    /// The least and the most nucleoli.
    pub(super) nucleoli: (usize, usize),
}

/// One nucleus with all that was drawn by lot.
pub(super) struct Nucleus {
    shape: Shape,
    /// Moves the edge in and out by at most `warp_depth`.
    warp: Noise,
    warp_depth: f32,
    density: f32,
    texture: Noise,
    grain: f32,
    contrast: f32,
    clumping: f32,
    /// Centres and radii.
    nucleoli: Vec<[f32; 3]>,
}

enum Shape {
    Blob {
        center: [f32; 2],
        outline: Contour,
    },
    /// Ends and radius of each rod; they melt together where they meet.
    Rods(Vec<([f32; 2], [f32; 2], f32)>),
}

impl Nucleus {
    pub(super) fn random(form: &Form, chromatin: &Chromatin, cell_radius: f32, draw: &mut Draw) -> Self {
        let (shape, warp_depth) = match *form {
            Form::Round { share, roughness, notches, notch_depth } => {
                let radius = cell_radius * draw.between(share.0, share.1);
                let elongation = draw.between(0.02, 0.14);
                let mut outline = Contour::random(draw, radius, elongation, roughness);
                if draw.chance(notches) {
                    outline.notch(
                        draw.angle(),
                        draw.between(0.3, 1.0) * notch_depth,
                        draw.between(0.12, 0.4),
                    );
                }
                (Shape::Blob { center: polar(draw.angle(), 0.7 * (cell_radius - radius)), outline }, 0.1)
            }
            Form::Lobes { count } => (lobes(draw.count(count.0, count.1), cell_radius, draw), 0.32),
            Form::Kidney => (kidney(cell_radius, draw), 0.4),
        };
        let nucleolus_count = draw.count(chromatin.nucleoli.0, chromatin.nucleoli.1);
        let nucleolus = |_| {
            let [x, y] = polar(draw.angle(), cell_radius * draw.between(0.05, 0.52));
            [x, y, draw.between(0.75, 1.35)]
        };
        let nucleoli = (0..nucleolus_count).map(nucleolus).collect();
        Self {
            shape,
            warp: Noise::new(draw.seed()),
            warp_depth,
            density: draw.between(chromatin.density.0, chromatin.density.1),
            texture: Noise::new(draw.seed()),
            grain: chromatin.grain * draw.between(0.85, 1.15),
            contrast: chromatin.contrast * draw.between(0.8, 1.2),
            clumping: chromatin.clumping,
            nucleoli,
        }
    }

    /// About the distance from the edge; negative inside.
    pub(super) fn signed_distance(&self, [x, y]: [f32; 2]) -> f32 {
        let warp = self.warp_depth * (2.0 * self.warp.value(x / 1.7, y / 1.7) - 1.0);
        warp + match &self.shape {
            Shape::Blob { center, outline } => outline.signed_distance(x - center[0], y - center[1]),
            Shape::Rods(rods) => {
                rods.iter().map(|rod| distance_from_rod([x, y], rod)).fold(f32::INFINITY, melt)
            }
        }
    }

    /// Layers of chromatin at a place inside.
    pub(super) fn chromatin(&self, [x, y]: [f32; 2], outside: f32) -> f32 {
        let lump = self.texture.fractal(x / self.grain, y / self.grain) - 0.5;
        let slow = self.warp.value(x / 3.1 + 40.0, y / 3.1) - 0.5;
        let clumps = (2.0 * self.clumping * lump).clamp(-1.0, 1.0);
        let membrane = 0.16 * smooth_step(-0.7, -0.15, outside);
        let mut density = self.density * (1.0 + self.contrast * clumps + 0.25 * slow + membrane);
        for &[center_x, center_y, radius] in &self.nucleoli {
            let apart = (x - center_x).hypot(y - center_y) / radius + 0.3 * lump;
            let ring = (-((apart - 1.1) / 0.22).powi(2)).exp();
            density *= mix(0.66, 1.0, smooth_step(0.4, 1.05, apart)) * (1.0 + 0.12 * ring);
        }
        density
    }
}

/// Two to five bodies along an arc, each a short rod, with threads between.
fn lobes(count: usize, cell_radius: f32, draw: &mut Draw) -> Shape {
    let away = cell_radius * draw.between(0.4, 0.5);
    let thickness = cell_radius * [0.36, 0.36, 0.32, 0.28, 0.25][count.min(5) - 1];
    let turn = draw.between(1.25, 1.5) * [1.0, 1.45, 1.15, 1.0, 0.88][count.min(5) - 1];
    let start = draw.angle();
    let mut rods = Vec::new();
    let mut before: Option<[f32; 2]> = None;
    for lobe in 0..count {
        let angle = start + turn * lobe as f32 + 0.15 * draw.normal();
        let center = polar(angle, away * draw.between(0.85, 1.15));
        let [along_x, along_y] =
            polar(angle + 1.57 + 0.5 * draw.normal(), thickness * draw.between(0.3, 0.8));
        let ends = [[center[0] - along_x, center[1] - along_y], [center[0] + along_x, center[1] + along_y]];
        rods.push((ends[0], ends[1], thickness * draw.between(0.75, 1.05)));
        if let Some(end) = before {
            rods.push((end, ends[0], cell_radius * draw.between(0.05, 0.11)));
        }
        before = Some(ends[1]);
    }
    Shape::Rods(rods)
}

/// A thick rod bent around the cell's middle.
fn kidney(cell_radius: f32, draw: &mut Draw) -> Shape {
    const PIECES: usize = 5;
    let away = cell_radius * draw.between(0.3, 0.42);
    let thickness = cell_radius * draw.between(0.3, 0.38);
    let bend = draw.between(2.0, 3.9);
    let start = draw.angle();
    let joint = |i: usize| polar(start + bend * i as f32 / PIECES as f32, away);
    let mut rods = Vec::new();
    for piece in 0..PIECES {
        rods.push((joint(piece), joint(piece + 1), thickness * draw.between(0.9, 1.1)));
    }
    Shape::Rods(rods)
}

fn polar(angle: f32, length: f32) -> [f32; 2] {
    let (sine, cosine) = angle.sin_cos();
    [length * cosine, length * sine]
}

fn distance_from_rod([x, y]: [f32; 2], (start, end, radius): &([f32; 2], [f32; 2], f32)) -> f32 {
    let (along_x, along_y) = (end[0] - start[0], end[1] - start[1]);
    let (off_x, off_y) = (x - start[0], y - start[1]);
    let length_squared = (along_x * along_x + along_y * along_y).max(1e-6);
    let nearest = ((off_x * along_x + off_y * along_y) / length_squared).clamp(0.0, 1.0);
    (off_x - nearest * along_x).hypot(off_y - nearest * along_y) - radius
}

/// The lesser of two distances, rounded where they are alike.
fn melt(a: f32, b: f32) -> f32 {
    const WIDTH: f32 = 0.35;
    let alike = (WIDTH - (a - b).abs()).max(0.0) / WIDTH;
    a.min(b) - alike * alike * WIDTH / 4.0
}
