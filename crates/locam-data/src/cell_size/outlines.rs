//! Outlines of dark things, and how crowded the centres are that they vote for.

use image::GrayImage;
use image::imageops::blur;
use locam_core::Size;
use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// Side of the squares in which votes for a centre are counted, over the radius: cells are not quite round.
const SQUARE: f64 = 0.2;
/// Deviation of the Gaussian that an image is smoothed with, in its pixels: noise of a camera makes edges that drown the outlines.
const SMOOTHING: f32 = 1.0;
/// Edges weaker than this fraction of the strong ones (the 99th percentile) don't vote.
const LEAST_EDGE: f64 = 0.3;

/// A place on an outline, in pixels, and the unit vector to the dark side.
struct Edge {
    x: f64,
    y: f64,
    inward: [f64; 2],
}

/// All outlines of an image.
pub(super) struct Outlines {
    edges: Vec<Edge>,
    size: Size,
    /// What pairs come to where all votes are in one square.
    all_pairs: f64,
}

impl Outlines {
    pub(super) fn of(image: &GrayImage) -> Self {
        let edges = edges(image);
        let all = edges.iter().fold(Votes::default(), |sum, edge| sum.with(edge.inward));
        Self { edges, size: Size::new(image.width(), image.height()), all_pairs: all.pairs() }
    }

    /// How much more crowded votes are a radius further to the dark side than as far to the bright side; 0 is chance.
    ///
    /// Two that meet count by the angle between their outlines, most at a right angle and not at all where these run side by
    /// side: so that of straight ones nothing is said.
    pub(super) fn crowding(&self, radius: f64) -> f64 {
        let crowded = |radius: f64| {
            let votes = self.votes(radius);
            votes.iter().map(Votes::pairs).sum::<f64>() * votes.len() as f64
        };
        (crowded(radius) - crowded(-radius)) / self.all_pairs.max(1.0)
    }

    /// From how many sides votes that meet come: 1 where from all around, as those for the middle of a disc, and 0 where from two
    /// sides. It is 0.6 for ellipses that are twice as long as wide.
    pub(super) fn roundness(&self, radius: f64) -> f64 {
        let (mut across, mut all) = (0.0, 0.0);
        for votes in self.votes(radius) {
            across += votes.pairs();
            all += votes.count * (votes.count - 1.0);
        }
        across / f64::max(all, 1.0)
    }

    /// To how many circles of this radius all outlines come.
    pub(super) fn circles(&self, radius: f64) -> f64 {
        self.edges.len() as f64 / (TAU * radius)
    }

    /// The votes in every square, for centres so far to the dark side; negative radii are to the bright side.
    fn votes(&self, radius: f64) -> Vec<Votes> {
        let square = SQUARE * radius.abs();
        let columns = (f64::from(self.size.width) / square).ceil() as usize;
        let rows = (f64::from(self.size.height) / square).ceil() as usize;
        let mut votes = vec![Votes::default(); columns * rows];
        for edge in &self.edges {
            let x = ((edge.x + radius * edge.inward[0]) / square).floor();
            let y = ((edge.y + radius * edge.inward[1]) / square).floor();
            if x >= 0.0 && y >= 0.0 && (x as usize) < columns && (y as usize) < rows {
                let place = &mut votes[y as usize * columns + x as usize];
                *place = place.with(edge.inward);
            }
        }
        votes
    }
}

/// Votes in one place: how many, and the sum of their directions as axes, which are opposite to those at a right angle.
#[derive(Clone, Copy, Default)]
struct Votes {
    count: f64,
    axes: [f64; 2],
}

impl Votes {
    fn with(self, [x, y]: [f64; 2]) -> Self {
        let [along, across] = self.axes;
        Self { count: self.count + 1.0, axes: [along + x * x - y * y, across + 2.0 * x * y] }
    }

    /// Twice the sum, over all pairs, of the squared sine of the angle between them.
    fn pairs(&self) -> f64 {
        self.count * self.count - self.axes[0] * self.axes[0] - self.axes[1] * self.axes[1]
    }
}

/// The strong edges, thinned to lines.
fn edges(image: &GrayImage) -> Vec<Edge> {
    let [width, height] = [image.width(), image.height()].map(|side| side as usize);
    let gradients = gradients(&blur(image, SMOOTHING));
    let strength = |x: usize, y: usize| {
        let [dx, dy] = gradients[y * width + x];
        (dx * dx + dy * dy).sqrt()
    };
    let mut strengths: Vec<f64> = gradients.iter().map(|[dx, dy]| (dx * dx + dy * dy).sqrt()).collect();
    let place = strengths.len().saturating_sub(1) * 99 / 100;
    let least = LEAST_EDGE * *strengths.select_nth_unstable_by(place, f64::total_cmp).1;
    let mut edges = Vec::new();
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let here = strength(x, y);
            if here <= least.max(1.0) {
                continue;
            }
            let inward = gradients[y * width + x].map(|part| -part / here);
            let step = inward.map(|part| (part / FRAC_1_SQRT_2).trunc().clamp(-1.0, 1.0) as isize);
            let at = |sign: isize| {
                strength(x.wrapping_add_signed(sign * step[0]), y.wrapping_add_signed(sign * step[1]))
            };
            if here > at(-1) && here >= at(1) {
                edges.push(Edge { x: x as f64 + 0.5, y: y as f64 + 0.5, inward });
            }
        }
    }
    edges
}

/// Sobel's derivatives along x and y, by rows; zero at the border.
fn gradients(image: &GrayImage) -> Vec<[f64; 2]> {
    let (width, height) = image.dimensions();
    let value = |x: u32, y: u32| f64::from(image.get_pixel(x, y).0[0]);
    let mut gradients = vec![[0.0; 2]; (width * height) as usize];
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let column = |x: u32| value(x, y - 1) + 2.0 * value(x, y) + value(x, y + 1);
            let row = |y: u32| value(x - 1, y) + 2.0 * value(x, y) + value(x + 1, y);
            gradients[(y * width + x) as usize] = [column(x + 1) - column(x - 1), row(y + 1) - row(y - 1)];
        }
    }
    gradients
}
