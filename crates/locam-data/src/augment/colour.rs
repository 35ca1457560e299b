//! Changes of colour: what another laboratory's stain, lamp and camera would do.

use super::draw::Draw;
use super::{Augment, Change, Picture};

/// Optical densities per channel of the dyes that colours are taken apart into, as unit vectors. The third of each
/// stands for whatever the two dyes leave.
const STAINS: [[[f32; 3]; 3]; 2] = [
    // Haematoxylin and eosin (Ruifrok and Johnston, 2001).
    [[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [-0.332, -0.076, 0.940]],
    // Giemsa: methylene blue and eosin, as in ImageJ's plugin by the same authors' method.
    [[0.835, 0.514, 0.196], [0.093, 0.954, 0.283], [-0.053, -0.279, 0.959]],
];

/// How likely each change of colour is for a patch: some keep the colours that they have.
const LIKELY: f32 = 0.8;
/// Dyes may bind so much less and so much more.
const STRENGTHS: [f32; 2] = [0.6, 1.6];
/// The most by which a dye's own densities change before it is made a unit vector again.
const DYE_CHANGE: f32 = 0.15;
/// The most density that is added to or taken from everywhere.
const VEIL: f32 = 0.05;
/// The most that hues turn, in radians.
const HUE: f32 = 0.35;
const SATURATIONS: [f32; 2] = [0.5, 1.5];
/// Gains of single channels, as a wrong white balance gives them.
const GAINS: [f32; 2] = [0.85, 1.18];
const GAMMAS: [f32; 2] = [0.65, 1.5];
/// The most that light falls from one side to the other, and from the middle to a corner.
const FALLS: [f32; 2] = [0.3, 0.3];

/// Levels of a table over 0 to 255: four for each.
const LEVELS: usize = 1024;

/// Changes a picture's colours.
pub(super) fn change(picture: &mut Picture, side: usize, augment: Augment, key: [u64; 3]) {
    let draw = |change| {
        let mut draw = Draw::new(key, Some(change));
        (augment.has(change) && draw.chance(LIKELY)).then_some(draw)
    };
    if let Some(mut draw) = draw(Change::Stain) {
        stain(picture, &mut draw);
    }
    if let Some(mut draw) = draw(Change::Light) {
        light(picture, side, &mut draw);
    }
    if let Some(mut draw) = draw(Change::Colour) {
        camera(picture, &mut draw);
    }
}

/// Takes colours apart into dyes, changes how much each dye binds and which colour it has, and puts them together
/// again (Ruifrok and Johnston, 2001; Tellez et al., 2019).
fn stain(picture: &mut Picture, draw: &mut Draw) {
    let dyes = STAINS[usize::from(draw.chance(0.5))];
    let strengths = [(); 3].map(|()| draw.factor(STRENGTHS[0], STRENGTHS[1]));
    let changed = dyes.map(|dye| unit(dye.map(|density| density + draw.between(-DYE_CHANGE, DYE_CHANGE))));
    let veil = draw.between(-VEIL, VEIL);
    let apart = inverse(dyes);
    // Rows times matrix: densities to dyes, dyes to new densities.
    let matrix: [[f32; 3]; 3] = std::array::from_fn(|from| {
        std::array::from_fn(|to| (0..3).map(|dye| apart[from][dye] * strengths[dye] * changed[dye][to]).sum())
    });
    let table = table(|value| -((value + 1.0) / 256.0).ln());
    for pixel in picture.iter_mut() {
        let density = pixel.map(|value| look_up(&table, value));
        *pixel = std::array::from_fn(|to| {
            let density = (0..3).map(|from| density[from] * matrix[from][to]).sum::<f32>() + veil;
            256.0 * (-density).exp() - 1.0
        });
    }
}

/// Lets light fall off to one side and from some middle outwards.
fn light(picture: &mut Picture, side: usize, draw: &mut Draw) {
    let (sine, cosine) = draw.between(0.0, std::f32::consts::TAU).sin_cos();
    let (across, outwards) = (draw.between(0.0, FALLS[0]), draw.between(0.0, FALLS[1]));
    let middle = [(); 2].map(|()| draw.between(-0.3, 0.3));
    let place = |index: usize| index as f32 / side as f32 - 0.5;
    for (row, line) in picture.chunks_exact_mut(side).enumerate() {
        for (column, pixel) in line.iter_mut().enumerate() {
            let (x, y) = (place(column), place(row));
            let [from_x, from_y] = [x - middle[0], y - middle[1]];
            let share =
                1.0 + across * (x * cosine + y * sine) - outwards * (from_x * from_x + from_y * from_y);
            *pixel = pixel.map(|value| value * share);
        }
    }
}

/// Turns hues, changes saturation, white balance and gamma.
fn camera(picture: &mut Picture, draw: &mut Draw) {
    let (sine, cosine) = draw.between(-HUE, HUE).sin_cos();
    let saturation = draw.between(SATURATIONS[0], SATURATIONS[1]);
    let gains = [(); 3].map(|()| draw.factor(GAINS[0], GAINS[1]));
    let gamma = draw.factor(GAMMAS[0], GAMMAS[1]);
    let table = table(|value| 255.0 * (value / 255.0).powf(gamma));
    let root = 1.0 / 3.0_f32.sqrt();
    for pixel in picture.iter_mut() {
        let grey = pixel.iter().sum::<f32>() / 3.0;
        let [r, g, b] = pixel.map(|value| value - grey);
        // A turn around the axis of greys, after Rodrigues.
        let across = [b - g, r - b, g - r].map(|value| value * root);
        *pixel = std::array::from_fn(|i| {
            let chroma = saturation * (cosine * [r, g, b][i] + sine * across[i]);
            look_up(&table, gains[i] * (grey + chroma))
        });
    }
}

fn table(function: impl Fn(f32) -> f32) -> Vec<f32> {
    (0..LEVELS).map(|level| function(level as f32 * 255.0 / (LEVELS - 1) as f32)).collect()
}

fn look_up(table: &[f32], value: f32) -> f32 {
    table[(value.clamp(0.0, 255.0) * ((LEVELS - 1) as f32 / 255.0) + 0.5) as usize]
}

fn unit(vector: [f32; 3]) -> [f32; 3] {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.map(|value| value / length)
}

fn inverse(m: [[f32; 3]; 3]) -> [[f32; 3]; 3] {
    let minor = |row: usize, column: usize| {
        let (r, c) = ([(row + 1) % 3, (row + 2) % 3], [(column + 1) % 3, (column + 2) % 3]);
        m[r[0]][c[0]] * m[r[1]][c[1]] - m[r[0]][c[1]] * m[r[1]][c[0]]
    };
    let determinant: f32 = (0..3).map(|column| m[0][column] * minor(0, column)).sum();
    std::array::from_fn(|row| std::array::from_fn(|column| minor(column, row) / determinant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dyes_are_unit_vectors_and_can_be_taken_apart() {
        for dyes in STAINS {
            let apart = inverse(dyes);
            for (row, dye) in dyes.iter().enumerate() {
                assert!((dye.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 5e-3, "{dye:?}");
                let product = |column: usize| (0..3).map(|i| dye[i] * apart[i][column]).sum::<f32>();
                for column in 0..3 {
                    assert!((product(column) - f32::from(u8::from(row == column))).abs() < 1e-5);
                }
            }
        }
    }

    fn changed(change: &str, index: u64) -> Picture {
        let mut picture = vec![[211.0, 214.0, 208.0], [92.0, 56.0, 166.0], [184.0, 148.0, 140.0], [90.0; 3]];
        super::change(&mut picture, 2, change.parse().unwrap(), [3, 4, index]);
        picture
    }

    #[test]
    fn nuclei_stay_darker_than_red_cells_and_those_darker_than_the_slide() {
        let green = |change: &str, index, place: usize| changed(change, index)[place][1];
        for index in 0..200 {
            for change in ["stain", "colour"] {
                let [slide, nucleus, red_cell] = [0, 1, 2].map(|place| green(change, index, place));
                assert!(
                    nucleus < red_cell && red_cell < slide,
                    "{change} {index}: {nucleus} {red_cell} {slide}"
                );
            }
        }
    }

    #[test]
    fn colours_move_by_much_and_in_all_directions() {
        for change in ["stain", "colour"] {
            let shifts: Vec<f32> = (0..200).map(|i| changed(change, i)[1][0] - 92.0).collect();
            let beyond =
                |limit: f32| shifts.iter().filter(|shift| **shift * limit.signum() > limit.abs()).count();
            assert!(beyond(15.0) > 20 && beyond(-15.0) > 20, "{change}: {} {}", beyond(15.0), beyond(-15.0));
            let kept = shifts.iter().filter(|shift| shift.abs() < 1e-3).count();
            assert!((15..70).contains(&kept), "{change} keeps {kept} of 200 patches");
        }
    }

    #[test]
    fn greys_stay_grey_but_for_the_white_balance() {
        for index in 0..50 {
            let [r, g, b] = changed("light", index)[3];
            assert!((r - g).abs() < 1e-3 && (g - b).abs() < 1e-3);
        }
    }
}
