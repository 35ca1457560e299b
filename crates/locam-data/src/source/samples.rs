//! From samples to red, green and blue.

use crate::image_io::blend_over_white;

/// What the samples of a pixel mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Color {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
    Cmyk,
    YCbCr,
}

impl Color {
    pub(super) fn samples(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb | Self::YCbCr => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }
}

/// Red, green, blue of interleaved samples.
pub(super) fn to_rgb(samples: Vec<u8>, color: Color) -> Vec<u8> {
    match color {
        Color::Rgb => samples,
        Color::Grey => samples.into_iter().flat_map(|grey| [grey; 3]).collect(),
        Color::GreyAlpha => of_pixels(&samples, |[grey, alpha]| blend_over_white([grey; 3], alpha)),
        Color::Rgba => of_pixels(&samples, |[r, g, b, alpha]| blend_over_white([r, g, b], alpha)),
        Color::Cmyk => of_pixels(&samples, cmyk_to_rgb),
        Color::YCbCr => of_pixels(&samples, ycbcr_to_rgb),
    }
}

fn of_pixels<const N: usize>(samples: &[u8], rgb: impl Fn([u8; N]) -> [u8; 3]) -> Vec<u8> {
    samples.as_chunks::<N>().0.iter().copied().flat_map(rgb).collect()
}

/// As `image` converts the CMYK of TIFF files.
fn cmyk_to_rgb([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let light = 1.0 - f32::from(black) / 255.0;
    [cyan, magenta, yellow].map(|ink| ((255.0 - f32::from(ink)) * light) as u8)
}

/// ITU-R BT.601 at full range, as JFIF has it.
fn ycbcr_to_rgb([luma, blue, red]: [u8; 3]) -> [u8; 3] {
    let [luma, blue, red] = [f32::from(luma), f32::from(blue) - 128.0, f32::from(red) - 128.0];
    [luma + 1.402 * red, luma - 0.344_136 * blue - 0.714_136 * red, luma + 1.772 * blue]
        .map(|value| value.round().clamp(0.0, 255.0) as u8)
}
