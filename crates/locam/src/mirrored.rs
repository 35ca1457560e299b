//! Images that go on beyond their borders as their own mirror image, so that what a border cuts looks whole to the network.

use locam_core::Size;

/// Pixels of the network's input that are mirrored beyond each border of an image: one stride of most networks, and whole ones
/// of all. Twice or three times as many find as much.
pub(crate) const MIRRORED: u32 = 32;

/// Columns and rows of an image with those that are mirrored.
pub(crate) fn mirrored_size(image: Size) -> Size {
    Size::new(image.width + 2 * MIRRORED, image.height + 2 * MIRRORED)
}

/// An axis of an image with some of its pixels mirrored beyond either end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MirroredAxis {
    length: u32,
    mirrored: u32,
}

impl MirroredAxis {
    /// Columns and rows of an image.
    pub(crate) fn both(image: Size, mirrored: u32) -> [Self; 2] {
        [image.width, image.height].map(|length| Self { length, mirrored })
    }

    /// The pixel of the image that stands at a place of the longer axis.
    ///
    /// # Panics
    /// Where more pixels are mirrored than there are.
    pub(crate) fn pixel(self, place: u32) -> u32 {
        if place < self.mirrored {
            return self.mirrored - 1 - place;
        }
        let pixel = place - self.mirrored;
        if pixel < self.length { pixel } else { 2 * self.length - 1 - pixel }
    }

    /// The first pixel of the image that stands at one of these places.
    pub(crate) fn first(self, places: std::ops::Range<u32>) -> u32 {
        // Pixels fall up to the first border, rise to the second and fall again.
        if places.start < self.mirrored && places.end > self.mirrored {
            return 0;
        }
        self.pixel(places.start).min(self.pixel(places.end - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_mirrored_at_both_borders_and_the_first_of_them_is_known() {
        let [across, down] = MirroredAxis::both(Size::new(4, 3), 2);
        let pixels =
            |axis: MirroredAxis, places: u32| (0..places).map(|at| axis.pixel(at)).collect::<Vec<_>>();
        assert_eq!(pixels(across, 8), [1, 0, 0, 1, 2, 3, 3, 2]);
        assert_eq!(pixels(down, 7), [1, 0, 0, 1, 2, 2, 1]);
        for start in 0..7 {
            for end in start + 1..=7 {
                assert_eq!(Some(down.first(start..end)), (start..end).map(|at| down.pixel(at)).min());
            }
        }
    }
}
