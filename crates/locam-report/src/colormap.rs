use image::Rgb;
use locam_core::{ClassId, ScoreMap};
use std::sync::LazyLock;

/// The scores at the two ends of a colour scale. One range serves all pictures of a run: a range per picture would
/// make the brightest place of an empty image look like a find.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRange {
    /// Drawn in the darkest colour, as is everything below.
    pub low: f64,
    /// Drawn in the brightest colour, as is everything above.
    pub high: f64,
}

impl ScoreRange {
    /// From the lowest to the highest finite score of all `maps`; 0 to 1 where there is none.
    pub fn of<'a>(maps: impl IntoIterator<Item = &'a ScoreMap>) -> Self {
        let values = maps.into_iter().flat_map(ScoreMap::values).filter(|value| value.is_finite());
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
            (low.min(f64::from(value)), high.max(f64::from(value)))
        });
        if low <= high { Self { low, high } } else { Self { low: 0.0, high: 1.0 } }
    }

    /// The range of the negated scores.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { low: -self.high, high: -self.low }
    }

    /// Where a score lies between the ends, in 0..=1; 0 for what is not a number.
    pub fn position(self, score: f64) -> f64 {
        let span = self.high - self.low;
        let position = if span > 0.0 { (score - self.low) / span } else { 0.5 };
        if position.is_nan() { 0.0 } else { position.clamp(0.0, 1.0) }
    }

    /// Two to six round scores inside the range, rising, and the digits after the point that they need.
    pub(crate) fn ticks(self) -> (Vec<f64>, usize) {
        let span = self.high - self.low;
        if !(span > 0.0 && span.is_finite()) {
            return (vec![self.low], 1);
        }
        let magnitude = 10_f64.powf((span / 5.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|factor| factor * magnitude)
            .into_iter()
            .find(|step| span / step <= 5.0)
            .unwrap_or(10.0 * magnitude);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        let digits = (-(step.log10() + 1e-9).floor()).max(0.0) as usize;
        ((first..=last).map(|i| i as f64 * step).collect(), digits)
    }
}

/// Coefficients of the red, green and blue channel, constant first.
type Polynomial = [[f64; 3]; 7];

/// The colour map `inferno` of van der Walt and Smith (perceptually uniform, CC0), as the least-squares polynomials of
/// M. Zucker (CC0), which differ from the table by less than what can be seen.
const INFERNO: Polynomial = [
    [0.000_218_940_4, 0.001_651_004_6, -0.019_480_898_4],
    [0.106_513_419_5, 0.563_956_436_8, 3.932_712_388_9],
    [11.602_493_082_5, -3.972_853_965_7, -15.942_394_106_3],
    [-41.703_996_131_4, 17.436_398_882_1, 44.354_145_198_7],
    [77.162_935_699_4, -33.402_358_942_1, -81.807_309_257_4],
    [-71.319_428_245, 32.626_064_264, 73.209_519_858],
    [25.131_126_224_8, -12.242_668_952_4, -23.070_325_002_9],
];

/// Colours from one end of the scale to the other: neighbours differ by 1 of 255 at most in each channel.
const COLORS: usize = 2048;

/// The colour at a position of the scale, 0 (black) to 1 (pale yellow); brightness rises evenly.
pub fn heat_color(position: f64) -> Rgb<u8> {
    static TABLE: LazyLock<Vec<Rgb<u8>>> =
        LazyLock::new(|| (0..=COLORS).map(|i| inferno(i as f64 / COLORS as f64)).collect());
    let position = if position.is_nan() { 0.0 } else { position.clamp(0.0, 1.0) };
    TABLE[(position * COLORS as f64 + 0.5) as usize]
}

fn inferno(position: f64) -> Rgb<u8> {
    Rgb(std::array::from_fn(|channel| {
        let value =
            INFERNO.iter().rev().fold(0.0, |sum, coefficients| sum * position + coefficients[channel]);
        (value.clamp(0.0, 1.0) * 255.0).round() as u8
    }))
}

/// Red, green, blue of a class: the palette of Okabe and Ito, which the colour-blind can tell apart, over and over.
pub fn class_color(class: ClassId) -> [u8; 3] {
    const COLORS: [[u8; 3]; 7] = [
        [0, 114, 178],
        [230, 159, 0],
        [0, 158, 115],
        [213, 94, 0],
        [204, 121, 167],
        [86, 180, 233],
        [240, 228, 66],
    ];
    COLORS[class.0 % COLORS.len()]
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;
    use locam_core::{MapTransform, Size};

    #[test]
    fn colours_are_those_of_inferno() {
        for (position, [r, g, b]) in [
            (0.0, [0, 0, 4]),
            (0.25, [87, 16, 110]),
            (0.5, [188, 55, 84]),
            (0.75, [249, 142, 9]),
            (1.0, [252, 255, 164]),
        ] {
            let Rgb(found) = heat_color(position);
            let far = found.iter().zip([r, g, b]).map(|(a, b): (&u8, u8)| a.abs_diff(b)).max().unwrap();
            assert!(far <= 8, "{position}: {found:?}");
        }
    }

    #[test]
    fn neighbours_on_the_scale_are_as_near_as_colours_can_be() {
        for i in 0..COLORS {
            let [Rgb(one), Rgb(next)] = [i, i + 1].map(|i| heat_color(i as f64 / COLORS as f64));
            assert!(one.iter().zip(next).all(|(one, next)| one.abs_diff(next) <= 1), "{one:?} and {next:?}");
        }
    }

    #[test]
    fn brightness_rises_along_the_scale() {
        let luma = |i: i32| {
            let Rgb([r, g, b]) = heat_color(f64::from(i) / 20.0);
            0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b)
        };
        assert!((0..20).all(|i| luma(i) < luma(i + 1)));
    }

    #[test]
    fn a_range_spans_all_maps_and_ignores_what_is_no_number() {
        let map =
            |values: [f32; 2]| ScoreMap::new(Size::new(2, 1), values.into(), MapTransform::uniform(0.5, 8.0));
        let range = ScoreRange::of([&map([1.0, f32::NAN]), &map([-3.0, f32::INFINITY])]);
        assert_eq!(range, ScoreRange { low: -3.0, high: 1.0 });
        assert_eq!(ScoreRange::of([]), ScoreRange { low: 0.0, high: 1.0 });
        assert!(range.position(9.0) == 1.0 && range.position(-1.0) == 0.5 && range.position(f64::NAN) == 0.0);
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ScoreRange { low: -3.2, high: 11.9 }.ticks(), (vec![0.0, 5.0, 10.0], 0));
        assert_eq!(ScoreRange { low: 0.0, high: 0.5 }.ticks().0.len(), 6);
        assert_eq!(ScoreRange { low: 0.0, high: 0.5 }.ticks().1, 1);
        assert_eq!(ScoreRange { low: 2.0, high: 2.0 }.ticks().0, [2.0]);
    }
}
