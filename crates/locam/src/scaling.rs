//! By how much images are scaled before the network sees them.

use crate::Error;
use crate::locating::{LocateOptions, SLIDE_PIXELS};
use locam_core::{ModelSpec, Size};
use locam_data::{CellSize, ImageSource};

/// By how much images are scaled before the network sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Scaling {
    /// As the training patches were: to the same microns per pixel, where both the model and the image know theirs;
    /// otherwise by the same factor, where the model knows it; otherwise not at all.
    #[default]
    AsTrained,
    /// So that objects of this size (pixels of the images) come out as large as in the training patches.
    ObjectSize(f64),
    /// So that white blood cells come out as large as in the training patches, by the size of the red cells on the image
    /// itself ([`ImageSource::usual_cell_size`]). Of several classes the one with the largest objects stands for white cells.
    /// Where no size stands out, or one within a quarter of that in training, as [`Scaling::AsTrained`].
    ///
    /// Where red cells are too few to be sure of their size, and where many long ones ask for another scale, images are searched
    /// several times, small at first and then larger, until what is found is as large as in training. Slides are searched once.
    RedCells,
    /// By this factor.
    Factor(f64),
}

/// What happens to images below 224 pixels on a side, and to those that come out smaller than a training patch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SmallImages {
    /// They are an error.
    #[default]
    Refuse,
    /// They are enlarged until they are large enough.
    Enlarge,
}

/// Whole images are at least so many pixels wide and high; smaller ones are patches, or thumbnails.
const MIN_IMAGE_SIDE: u32 = 224;

/// The width of a white cell over what is measured of a red cell's ([`ImageSource::usual_cell_size`]), which is the inner
/// edge of its outline.
const WHITE_TO_RED: f64 = 2.0;

/// How far that differs from one laboratory to the next, either way: it is 2.2 on BCCD's train list and 1.5 to 1.9 on
/// generated smears. Where red cells ask for less of a change than this, images are searched as the training patches were.
const LEAST_CHANGE: f64 = 1.25;

/// Where the size of red cells is not sure, the part of the scale that they ask for at which the search begins: at too large a scale
/// cells come out in pieces, which have a size, too, and at too small a one they come out whole or not at all.
const COARSE: f64 = 0.35;
/// The size over that in training from which what is found is large enough. At a scale that is right it is 0.9, as
/// maps answer to less than all of a cell.
const LARGE_ENOUGH: f64 = 0.8;
const RIGHT: f64 = 0.9;
/// From one scale to the next, at least where something is found, and where nothing is.
const STEPS: [f64; 2] = [1.2, 1.5];

/// The scales at which an image is searched, one after the other, until what is found is as large as in training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Approach {
    /// Network input pixels per pixel of the image, at first.
    pub(crate) first: f64,
    /// The scale up to which the search goes on where nothing is found.
    likely: f64,
    /// And where something is.
    most: f64,
}

impl Approach {
    /// How an image is approached.
    ///
    /// # Errors
    /// An image that would be too small, unless it is to be enlarged, or that can't be decoded.
    pub(crate) fn new(
        source: &ImageSource,
        spec: &ModelSpec,
        options: &LocateOptions,
    ) -> Result<Self, Error> {
        let microns = source.microns_per_pixel().or(options.microns_per_pixel);
        let as_trained = match (microns, spec.microns_per_pixel) {
            (Some(here), Some(trained)) => here / trained,
            _ => spec.image_scale.unwrap_or(1.0),
        };
        let size = source.size();
        let smallest = options.scales.iter().copied().fold(f64::INFINITY, f64::min);
        let to_side = |side: u32| f64::from(side) / (f64::from(size.width.min(size.height)) * smallest);
        let least = to_side(spec.min_input_side());
        let approach = match (options.scaling, spec.object_size) {
            (Scaling::Factor(factor), _) => Self::at(factor),
            (Scaling::ObjectSize(here), Some(trained)) => Self::at(trained / here),
            (Scaling::RedCells, Some(trained)) => {
                let sizes = spec.sought_classes().map(|(_, class)| class.object_size.unwrap_or(trained));
                let white = sizes.reduce(f64::max).unwrap_or(trained);
                let red = source.usual_cell_size()?;
                let (likely, changes) = by_red_cells(red, white, as_trained);
                let approach = match red {
                    Some(red) if red.is_sure || (red.are_many && !changes) => Self::at(likely),
                    _ if size.area() > SLIDE_PIXELS => Self::at(likely),
                    // A small image shows few things large; it is not enlarged for that.
                    _ => Self::from_coarse(likely.max(to_side(MIN_IMAGE_SIDE).min(1.0))),
                };
                // A size that was measured is a guess, for which no image is shrunk further than the network can see it.
                approach.above(least.min(1.0))
            }
            _ => Self::at(as_trained),
        };
        match options.small_images {
            SmallImages::Enlarge => Ok(approach.above(least)),
            SmallImages::Refuse => {
                refuse_small(size, approach.likely, smallest, spec)?;
                Ok(approach.above(least.min(approach.likely)))
            }
        }
    }

    /// One search.
    fn at(scale: f64) -> Self {
        Self { first: scale, likely: scale, most: scale }
    }

    /// Several, from a coarse one on.
    fn from_coarse(likely: f64) -> Self {
        Self { first: COARSE * likely, likely, most: LEAST_CHANGE * likely }
    }

    /// None of the scales below `least`.
    fn above(self, least: f64) -> Self {
        let Self { first, likely, most } = self;
        Self { first: first.max(least), likely: likely.max(least), most: most.max(least) }
    }

    /// Whether no scale follows the first, whatever is found.
    pub(crate) fn is_one_search(&self) -> bool {
        self.first >= self.most
    }

    /// The scale after this one, by the usual size of what was found over that in training; none where that is large enough.
    pub(crate) fn after(&self, scale: f64, found: Option<f64>) -> Option<f64> {
        let next = match found {
            Some(size) if size >= LARGE_ENOUGH => return None,
            Some(size) => self.most.min(f64::max(RIGHT / size, STEPS[0]) * scale),
            None => self.likely.min(STEPS[1] * scale),
        };
        (next > scale).then_some(next)
    }
}

/// The scale at which white cells come out `trained` pixels wide, by the size of red ones, and whether it is another than in training.
fn by_red_cells(red: Option<CellSize>, trained: f64, as_trained: f64) -> (f64, bool) {
    let asked = red.map_or(as_trained, |red| trained / (WHITE_TO_RED * red.diameter));
    let changes = !(1.0 / LEAST_CHANGE..LEAST_CHANGE).contains(&(asked / as_trained));
    (if changes { asked } else { as_trained }, changes)
}

/// # Errors
/// An image that is too small, or comes out so.
fn refuse_small(size: Size, scale: f64, smallest: f64, spec: &ModelSpec) -> Result<(), Error> {
    let side = size.width.min(size.height);
    let least = if side < MIN_IMAGE_SIDE { MIN_IMAGE_SIDE } else { spec.min_input_side() };
    if (f64::from(side) * smallest * scale).round() >= f64::from(least) {
        return Ok(());
    }
    Err(Error::Request(format!(
        "an image of {size} pixels, scaled by {scale:.3}, is below {least} pixels on a side: its last feature maps would be \
         smaller than those of a training patch, and padding would reach all of them; give --upscale to enlarge it"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn red_cells_change_the_scale_of_training_only_where_they_are_surely_of_another_size() {
        // White cells of 180 pixels, at half their size in training: red ones of 90.
        for (diameter, scale) in [(75.0, 0.5), (110.0, 0.5), (45.0, 1.0), (180.0, 0.25)] {
            let red = CellSize { diameter, is_sure: true, are_many: true };
            let (found, changes) = by_red_cells(Some(red), 90.0, 0.5);
            assert!((found - scale).abs() < 1e-12);
            assert_eq!(changes, !(50.0..=150.0).contains(&diameter));
        }
        assert!((by_red_cells(None, 90.0, 0.5).0 - 0.5).abs() < 1e-12);
    }

    #[test]
    fn the_search_goes_on_until_what_is_found_is_large_enough() {
        let approach = Approach::from_coarse(1.0);
        assert_eq!(approach.after(0.35, Some(0.81)), None);
        let next = |scale, found, expected: f64| {
            let next = approach.after(scale, found).unwrap();
            assert!((next - expected).abs() < 1e-12, "{next} for {expected}");
        };
        next(0.5, Some(0.75), 0.6);
        next(0.5, Some(0.45), 1.0);
        next(1.0, Some(0.3), LEAST_CHANGE);
        next(0.5, None, 0.75);
        next(0.75, None, 1.0);
        assert_eq!(approach.after(1.0, None), None);
        assert_eq!(approach.after(LEAST_CHANGE, Some(0.3)), None);
        assert_eq!(Approach::at(0.5).after(0.5, Some(0.3)), None);
        assert!(Approach::at(0.5).is_one_search() && !approach.is_one_search());
    }
}
