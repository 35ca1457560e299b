//! Images in the light that a model knows.

use crate::Error;
use locam_data::ImageSource;

/// The light of the glass on the images that the ready model learned from: BCCD's have 202 to 214 in every channel, generated ones 181
/// to 231.
const GLASS: f64 = 210.0;

/// The least and the most by which a channel is multiplied. In the dark there is only noise.
const GAINS: [f64; 2] = [0.8, 2.5];

/// What becomes of each value of the three channels.
#[derive(Debug)]
pub(crate) struct WhiteBalance([[u8; 256]; 3]);

impl WhiteBalance {
    /// Brings the glass of an image to the light of training.
    ///
    /// # Errors
    /// Those of decoding.
    pub(crate) fn of(source: &ImageSource) -> Result<Self, Error> {
        Ok(Self::from_glass(source.glass()?))
    }

    fn from_glass(glass: [u8; 3]) -> Self {
        Self(glass.map(|light| {
            let gain = (GLASS / f64::from(light.max(1))).clamp(GAINS[0], GAINS[1]);
            std::array::from_fn(|value| (gain * value as f64).round().min(255.0) as u8)
        }))
    }

    /// The pixels in that light, in place of what `into` held.
    pub(crate) fn apply(&self, pixels: &[u8], into: &mut Vec<u8>) {
        into.clear();
        into.extend(
            pixels.iter().zip((0..3).cycle()).map(|(&value, channel)| self.0[channel][usize::from(value)]),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glass_comes_out_as_in_training_and_black_stays_black() {
        let mut lit = vec![9];
        WhiteBalance::from_glass([105, 210, 84]).apply(&[105, 210, 84, 0, 0, 0, 50, 250, 200], &mut lit);
        assert_eq!(lit, [210, 210, 210, 0, 0, 0, 100, 250, 255]);
    }

    #[test]
    fn dark_images_are_not_made_of_noise() {
        let mut lit = Vec::new();
        WhiteBalance::from_glass([0, 20, 255]).apply(&[10, 20, 255], &mut lit);
        assert_eq!(lit, [25, 50, 210]);
    }
}
