//! How windows are cut where nobody says it.

use super::wanted_classes;
use crate::{DataError, Dataset, Label, Object, Split};
use locam_core::{ClassId, median};

/// Side of a window over the usual object's larger side: some of what is around an object tells where it ends.
const SIDE: f64 = 1.2;
/// Fewest background windows of an image.
const FEWEST: usize = 3;

/// Windows that fit the annotated objects of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FittingWindows {
    /// Side of a window, in pixels of the images; none where no object has a size.
    pub side: Option<u32>,
    /// Background windows of each image.
    pub background: usize,
}

/// Windows a fifth larger than the usual object, and as much background as there are objects, but three windows of each image at
/// least. Of classes of different sizes it is the geometric mean of their usual sides that counts: a window that holds all of the
/// largest shows several of the smallest at once, and is nobody's in particular, while the middle of a large object is still told from
/// small ones. Test images take no part.
///
/// # Errors
/// [`DataError::Unfit`]: an unknown class.
pub fn fitting_windows(data: &Dataset, classes: Option<&[String]>) -> Result<FittingWindows, DataError> {
    let wanted = wanted_classes(data, classes)?;
    let images: Vec<Vec<&Object>> = data
        .items
        .iter()
        .filter(|item| item.split != Some(Split::Test))
        .filter_map(|item| match &item.label {
            Label::Objects(objects) => {
                Some(objects.iter().filter(|object| wanted.contains(&object.class)).collect())
            }
            Label::Class(_) => None,
        })
        .collect();
    let usual_side = |class: &ClassId| {
        let of_class = images.iter().flatten().filter(|object| object.class == *class);
        let boxes = of_class.filter_map(|object| object.shape.rect());
        median(boxes.map(|rect| rect.width().max(rect.height())))
    };
    let logarithms: Vec<f64> = wanted.iter().filter_map(usual_side).map(f64::ln).collect();
    let mean = logarithms.iter().sum::<f64>() / logarithms.len().max(1) as f64;
    let side = (!logarithms.is_empty()).then(|| (SIDE * mean.exp()).round() as u32);
    let objects: usize = images.iter().map(Vec::len).sum();
    let background = objects.div_ceil(images.len().max(1)).max(FEWEST);
    Ok(FittingWindows { side, background })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Item, Layout};
    use locam_core::{Point, Rect, Shape};
    use std::path::PathBuf;

    fn cells(count: usize, class: usize, width: f64, height: f64) -> Vec<Object> {
        let shape = Shape::Box(Rect::new(5.0, 7.0, 5.0 + width, 7.0 + height));
        vec![Object { class: ClassId(class), shape }; count]
    }

    fn data(images: Vec<(Vec<Object>, Option<Split>)>) -> Dataset {
        let item = |(objects, split)| Item {
            path: PathBuf::from("a.png"),
            label: Label::Objects(objects),
            split,
            group: None,
        };
        Dataset {
            root: PathBuf::from("data"),
            layout: Layout::Voc,
            classes: vec!["white".to_owned(), "red".to_owned()],
            items: images.into_iter().map(item).collect(),
            problems: Vec::new(),
        }
    }

    #[test]
    fn windows_fit_the_usual_objects_of_all_classes_and_background_the_number_of_objects() {
        let both = [cells(1, 0, 180.0, 200.0), cells(8, 1, 105.0, 90.0)].concat();
        let images = vec![(both, None), (Vec::new(), None), (cells(40, 0, 900.0, 900.0), Some(Split::Test))];
        let data = data(images);
        let fitting = |classes: Option<&[String]>| fitting_windows(&data, classes).unwrap();
        // 1.2 times the root of 200 times 105.
        assert_eq!(fitting(None), FittingWindows { side: Some(174), background: 5 });
        assert_eq!(fitting(Some(&["red".to_owned()])), FittingWindows { side: Some(126), background: 4 });
        assert_eq!(fitting(Some(&["white".to_owned()])), FittingWindows { side: Some(240), background: 3 });
        assert!(fitting_windows(&data, Some(&["blue".to_owned()])).is_err());
    }

    #[test]
    fn points_have_no_size() {
        let point = Object { class: ClassId(0), shape: Shape::Point(Point::new(3.0, 4.0)) };
        let data = data(vec![(vec![point; 12], None)]);
        assert_eq!(fitting_windows(&data, None).unwrap(), FittingWindows { side: None, background: 12 });
    }
}
