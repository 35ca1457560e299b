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

/// A place on an outline, in pixels.
struct Edge {
    place: [f64; 2],
    /// The unit vector to the dark side, and the same as an axis.
    inward: [f64; 2],
    axis: [f64; 2],
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
        let mut all = Votes::default();
        for edge in &edges {
            all.add(edge.axis);
        }
        Self { edges, size: Size::new(image.width(), image.height()), all_pairs: all.pairs() }
    }

    /// How much more crowded votes are a radius further to the dark side than as far to the bright side; 0 is chance.
    ///
    /// Two that meet count by the angle between their outlines, most at a right angle and not at all where these run side by
    /// side: so that of straight ones nothing is said.
    pub(super) fn crowding(&self, radius: f64, squares: &mut Squares) -> f64 {
        let mut crowded = |radius: f64| {
            squares.fill(self, radius);
            squares.votes().map(Votes::pairs).sum::<f64>() * squares.count as f64
        };
        (crowded(radius) - crowded(-radius)) / self.all_pairs.max(1.0)
    }

    /// From how many sides votes that meet come: 1 where from all around, as those for the middle of a disc, and 0 where from two
    /// sides. It is 0.6 for ellipses that are twice as long as wide.
    pub(super) fn roundness(&self, radius: f64) -> f64 {
        let mut squares = Squares::default();
        squares.fill(self, radius);
        let (mut across, mut all) = (0.0, 0.0);
        for votes in squares.votes() {
            across += votes.pairs();
            all += votes.count * (votes.count - 1.0);
        }
        across / f64::max(all, 1.0)
    }

    /// To how many circles of this radius all outlines come.
    pub(super) fn circles(&self, radius: f64) -> f64 {
        self.edges.len() as f64 / (TAU * radius)
    }
}

/// The votes for centres by the square in which they lie. Its memory serves one radius after the other.
#[derive(Default)]
pub(super) struct Squares {
    /// No votes but in those of this radius that have some.
    votes: Vec<Votes>,
    voted: Vec<u32>,
    /// How many squares the image has.
    count: usize,
}

impl Squares {
    /// The votes for centres so far to the dark side; negative radii are to the bright side.
    fn fill(&mut self, outlines: &Outlines, radius: f64) {
        for place in self.voted.drain(..) {
            self.votes[place as usize] = Votes::default();
        }
        let square = SQUARE * radius.abs();
        let [columns, rows] =
            [outlines.size.width, outlines.size.height].map(|side| (f64::from(side) / square).ceil());
        self.count = columns as usize * rows as usize;
        self.votes.resize(self.votes.len().max(self.count), Votes::default());
        self.voted.resize(outlines.edges.len(), 0);
        let (a_square, mut voted) = (square.recip(), 0);
        for Edge { place: [x, y], inward, axis } in &outlines.edges {
            let (column, row) = ((x + radius * inward[0]) * a_square, (y + radius * inward[1]) * a_square);
            if column >= 0.0 && row >= 0.0 && column < columns && row < rows {
                let place = row as u32 * columns as u32 + column as u32;
                let votes = &mut self.votes[place as usize];
                // Whether it is the first is not foreseen: a branch would cost more than all the rest.
                self.voted[voted] = place;
                voted += usize::from(votes.count == 0.0);
                votes.add(*axis);
            }
        }
        self.voted.truncate(voted);
    }

    /// Those of the squares that have some.
    fn votes(&self) -> impl Iterator<Item = &Votes> {
        self.voted.iter().map(|&place| &self.votes[place as usize])
    }
}

/// Votes in one place: how many, and the sum of their directions as axes, which are opposite to those at a right angle.
#[derive(Clone, Copy, Default)]
struct Votes {
    count: f64,
    axes: [f64; 2],
}

impl Votes {
    fn add(&mut self, axis: [f64; 2]) {
        self.count += 1.0;
        self.axes[0] += axis[0];
        self.axes[1] += axis[1];
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
    // By their squares, which are whole numbers.
    let strengths: Vec<i32> = gradients.iter().map(|&[dx, dy]| squared(dx) + squared(dy)).collect();
    let strong = *strengths.clone().select_nth_unstable(strengths.len().saturating_sub(1) * 99 / 100).1;
    let least = (LEAST_EDGE * LEAST_EDGE * f64::from(strong)).max(1.0) as i32;
    let mut edges = Vec::new();
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let place = y * width + x;
            let here = strengths[place];
            if here <= least {
                continue;
            }
            let inward = gradients[place].map(|part| -f64::from(part) / f64::from(here).sqrt());
            let [right, down] = inward.map(|part| (part / FRAC_1_SQRT_2) as isize);
            let step = down * width as isize + right;
            if here > strengths[place.wrapping_add_signed(-step)]
                && here >= strengths[place.wrapping_add_signed(step)]
            {
                let [along, across] = inward;
                edges.push(Edge {
                    place: [x, y].map(|place| place as f64 + 0.5),
                    inward,
                    axis: [along * along - across * across, 2.0 * along * across],
                });
            }
        }
    }
    edges
}

fn squared(part: i16) -> i32 {
    i32::from(part) * i32::from(part)
}

/// Sobel's derivatives along x and y, by rows; zero at the border.
fn gradients(image: &GrayImage) -> Vec<[i16; 2]> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut gradients = vec![[0; 2]; width * height];
    for y in 1..height.saturating_sub(1) {
        let [above, here, below] = [y - 1, y, y + 1].map(|y| &image.as_raw()[y * width..][..width]);
        for x in 1..width.saturating_sub(1) {
            let column = |x: usize| i16::from(above[x]) + 2 * i16::from(here[x]) + i16::from(below[x]);
            let row = |row: &[u8]| i16::from(row[x - 1]) + 2 * i16::from(row[x]) + i16::from(row[x + 1]);
            gradients[y * width + x] = [column(x + 1) - column(x - 1), row(below) - row(above)];
        }
    }
    gradients
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Luma;

    #[test]
    fn memory_that_served_other_radii_makes_no_difference() {
        let discs = GrayImage::from_fn(300, 200, |x, y| {
            let [x, y] = [x, y].map(|place| f64::from(place % 50) - 25.0);
            Luma([if x.hypot(y) < 14.0 { 90 } else { 210 }])
        });
        let (outlines, mut squares) = (Outlines::of(&discs), Squares::default());
        let mut crowding = |radius: f64| {
            let again = outlines.crowding(radius, &mut squares);
            let alone = outlines.crowding(radius, &mut Squares::default());
            assert!((again - alone).abs() < 1e-9, "{again} and {alone} at {radius}");
            again
        };
        let others = [8.0, 30.0, 11.0, 6.0, 40.0].map(&mut crowding);
        let theirs = crowding(14.0);
        assert!(others.iter().all(|other| *other < theirs / 2.0), "{others:?} and {theirs}");
    }
}
