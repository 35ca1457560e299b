//! Turning, scaling and moving: where each pixel of the changed patch is taken from.

use super::draw::Draw;
use super::symmetry::Symmetry;
use super::{Augment, Change, Picture};
use crate::View;

/// Objects come out between so many times smaller and so many times larger.
const SCALES: [f32; 2] = [0.6, 1.7];
/// The same where images are brought to one scale: about what that leaves open.
const ZOOMS: [f32; 2] = [0.8, 1.25];
/// The most that the patch's middle moves along each axis, as a part of its side.
const MOST_SHIFT: f32 = 0.15;
/// The most that an object with an up and a down is tilted, in radians.
const MOST_TILT: f32 = 0.18;
/// From this reduction on, pixels are means of four samples, so that fine texture does not alias.
const FOUR_SAMPLES: f32 = 1.2;

/// The way from places in the changed patch to places in the patch, both from the middle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Warp {
    /// Columns are the images of a step right and of a step down.
    matrix: [[f32; 2]; 2],
    /// Where the middle comes from, as a part of the side.
    shift: [f32; 2],
    /// Pixels of the patch per pixel of the changed one.
    reduction: f32,
}

impl Warp {
    /// The one drawn for a patch; `None` where nothing but a symmetry of the square is wanted.
    pub(super) fn random(augment: Augment, key: [u64; 3]) -> Option<Self> {
        let draw = |change| augment.has(change).then(|| Draw::new(key, Some(change)));
        let [turn, tilt, shift] = [Change::Rotation, Change::Tilt, Change::Shift].map(draw);
        // Zooming is scaling by less: the wider of the two counts, and both have one stream of numbers.
        let sizes = [(Change::Scale, SCALES), (Change::Zoom, ZOOMS)];
        let sizes = sizes.into_iter().find(|(change, _)| augment.has(*change)).map(|(_, sizes)| sizes);
        if turn.is_none() && tilt.is_none() && shift.is_none() && sizes.is_none() {
            return None;
        }
        let turn = turn.map_or(0.0, |mut draw| draw.between(0.0, std::f32::consts::TAU));
        let angle = turn + tilt.map_or(0.0, |mut draw| draw.between(-MOST_TILT, MOST_TILT));
        let mut size = Draw::new(key, Some(Change::Scale));
        let reduction = 1.0 / sizes.map_or(1.0, |[low, high]| size.factor(low, high));
        let shift =
            shift.map_or([0.0; 2], |mut draw| [(); 2].map(|()| draw.between(-MOST_SHIFT, MOST_SHIFT)));
        let (sine, cosine) = angle.sin_cos();
        let step = |x: f32, y: f32| {
            let [x, y] = Symmetry::random(augment, key).source_of([x, y]);
            [reduction * (cosine * x - sine * y), reduction * (sine * x + cosine * y)]
        };
        let (right, down) = (step(1.0, 0.0), step(0.0, 1.0));
        Some(Self { matrix: [[right[0], down[0]], [right[1], down[1]]], shift, reduction })
    }

    /// The changed patch, from what is known around it; what lies beyond is mirrored.
    pub(super) fn apply(&self, view: &View<'_>, side: usize) -> Picture {
        let half = side as f32 / 2.0;
        let middle = [view.left as f32 + half, view.top as f32 + half];
        let middle = [0, 1].map(|axis| middle[axis] + self.shift[axis] * side as f32);
        let at = |x: f32, y: f32| {
            let [a, b] = [x - half, y - half];
            let place = [0, 1].map(|axis| middle[axis] + self.matrix[axis][0] * a + self.matrix[axis][1] * b);
            sample(view, place)
        };
        let mut picture = Vec::with_capacity(side * side);
        for row in 0..side {
            for column in 0..side {
                let (x, y) = (column as f32, row as f32);
                picture.push(if self.reduction < FOUR_SAMPLES {
                    at(x + 0.5, y + 0.5)
                } else {
                    let corners = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)];
                    let four = corners.map(|(right, down)| at(x + right, y + down));
                    std::array::from_fn(|i| four.iter().map(|sample| sample[i]).sum::<f32>() / 4.0)
                });
            }
        }
        picture
    }
}

/// The colour at a place, between the four pixels around it.
pub(super) fn sample(view: &View<'_>, [x, y]: [f32; 2]) -> [f32; 3] {
    let (x, y) = (x - 0.5, y - 0.5);
    let (left, top) = (x.floor(), y.floor());
    let (right_share, bottom_share) = (x - left, y - top);
    let columns = [0, 1].map(|step| reflected(left as i32 + step, view.width));
    let rows = [0, 1].map(|step| reflected(top as i32 + step, view.height));
    let pixel = |row: usize, column: usize| -> &[u8] { &view.pixels[3 * (row * view.width + column)..][..3] };
    let [a, b] = columns.map(|column| pixel(rows[0], column));
    let [c, d] = columns.map(|column| pixel(rows[1], column));
    std::array::from_fn(|i| {
        let upper = f32::from(a[i]) + right_share * (f32::from(b[i]) - f32::from(a[i]));
        let lower = f32::from(c[i]) + right_share * (f32::from(d[i]) - f32::from(c[i]));
        upper + bottom_share * (lower - upper)
    })
}

/// A place along an axis, mirrored at the ends as often as it takes.
fn reflected(place: i32, length: usize) -> usize {
    if (0..length as i32).contains(&place) {
        return place as usize;
    }
    let within = place.rem_euclid(2 * length as i32) as usize;
    within.min(2 * length - 1 - within)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;

    fn view(pixels: &[u8], width: usize) -> View<'_> {
        View { pixels: pixels.into(), width, height: pixels.len() / 3 / width, left: 2, top: 1 }
    }

    /// Columns and rows as colours, 12 by 9.
    fn numbered() -> Vec<u8> {
        (0..9).flat_map(|y| (0..12).flat_map(move |x| [20 * x, 20 * y, 9])).collect()
    }

    #[test]
    fn places_beyond_the_ends_are_mirrored() {
        let found: Vec<usize> = (-4..8).map(|place| reflected(place, 3)).collect();
        assert_eq!(found, [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1]);
    }

    #[test]
    fn without_turn_scale_and_shift_the_patch_stays() {
        let pixels = numbered();
        let still = Warp { matrix: [[1.0, 0.0], [0.0, 1.0]], shift: [0.0; 2], reduction: 1.0 };
        let picture = still.apply(&view(&pixels, 12), 5);
        assert_eq!(picture[0], [40.0, 20.0, 9.0]);
        assert_eq!(picture[24], [120.0, 100.0, 9.0]);
    }

    #[test]
    fn reductions_show_more_of_what_lies_around() {
        let pixels = numbered();
        let smaller = Warp { matrix: [[1.5, 0.0], [0.0, 1.5]], shift: [0.0; 2], reduction: 1.5 };
        let picture = smaller.apply(&view(&pixels, 12), 5);
        // The middle stays; the first pixel's middle lies 1.5 times as far from it: 3 pixels of the source.
        assert!((picture[12][0] - 80.0).abs() < 1e-3 && (picture[12][1] - 60.0).abs() < 1e-3);
        assert!((picture[0][0] - 20.0).abs() < 5.0 && picture[0][1] < 11.0, "{:?}", picture[0]);
    }

    #[test]
    fn scales_and_shifts_stay_within_their_ranges() {
        for (words, [small, large]) in
            [("scale,shift", SCALES), ("zoom,shift", ZOOMS), ("scale,zoom,shift", SCALES)]
        {
            let augment: Augment = words.parse().unwrap();
            let (mut least, mut most) = (f32::MAX, 0.0_f32);
            for index in 0..400 {
                let warp = Warp::random(augment, [1, 2, index]).unwrap();
                assert!(warp.shift.iter().all(|shift| shift.abs() <= MOST_SHIFT));
                assert!((warp.matrix[0][0] - warp.reduction).abs() < 1e-6 && warp.matrix[0][1].abs() < 1e-6);
                (least, most) = (least.min(1.0 / warp.reduction), most.max(1.0 / warp.reduction));
            }
            assert!((small * 0.999..small * 1.03).contains(&least), "{words}: {least}");
            assert!((large * 0.97..large * 1.001).contains(&most), "{words}: {most}");
        }
    }

    #[test]
    fn every_turn_is_as_likely() {
        let augment: Augment = "rotation".parse().unwrap();
        let mut quarters = [0; 4];
        for index in 0..400 {
            let [[a, b], [c, d]] = Warp::random(augment, [1, 2, index]).unwrap().matrix;
            assert!((a - d).abs() < 1e-6 && (b + c).abs() < 1e-6 && (a * d - b * c - 1.0).abs() < 1e-5);
            quarters[usize::from(a > 0.0) + 2 * usize::from(c > 0.0)] += 1;
        }
        assert!(quarters.iter().all(|&count| count > 70), "{quarters:?}");
    }
}
