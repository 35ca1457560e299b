use crate::{DataError, Layout};
use locam_core::{ClassId, Shape};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The part of a data set that an image belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Weights are fitted on it.
    Train,
    /// Choices (thresholds, the best epoch) are made on it.
    Val,
    /// Looked at once, at the end.
    Test,
}

/// One annotated object of a whole image.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its class, a place in [`Dataset::classes`].
    pub class: ClassId,
    /// Where it is.
    pub shape: Shape,
}

/// What is known of an image.
#[derive(Clone, Debug, PartialEq)]
pub enum Label {
    /// The image is a patch of one class.
    Class(ClassId),
    /// The image is a whole field with these objects (possibly none).
    Objects(Vec<Object>),
}

/// One labelled image.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The image file.
    pub path: PathBuf,
    /// What is known of it.
    pub label: Label,
    /// Its part of the data set, where the layout gives one.
    pub split: Option<Split>,
    /// Images that share a group come from one source and never straddle a split.
    pub group: Option<String>,
}

/// Something wrong with one file, which the run survived.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// What was wrong.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.display().to_string();
        // Errors of reading name the file themselves.
        if self.message.contains(&path) {
            f.write_str(&self.message)
        } else {
            write!(f, "{path}: {}", self.message)
        }
    }
}

/// A folder of labelled images, read but not decoded.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The folder or manifest that was opened.
    pub root: PathBuf,
    /// How it is laid out.
    pub layout: Layout,
    /// Class names; a [`ClassId`] is a place in this list.
    pub classes: Vec<String>,
    /// The images, sorted by path.
    pub items: Vec<Item>,
    /// Files that were passed over.
    pub problems: Vec<Problem>,
}

impl Dataset {
    /// Whether its images are labelled patches, and none is an annotated whole image.
    pub fn holds_patches(&self) -> bool {
        self.items.iter().all(|item| matches!(item.label, Label::Class(_)))
    }

    /// The class of a name.
    ///
    /// # Errors
    /// [`DataError::Unfit`] where the data have no such class.
    pub fn class_named(&self, name: &str) -> Result<ClassId, DataError> {
        let place = self.classes.iter().position(|known| known == name);
        place.map(ClassId).ok_or_else(|| DataError::Unfit {
            path: self.root.clone(),
            reason: format!("it has no class `{name}`; its classes are {}", self.classes.join(", ")),
        })
    }

    /// Keeps only patches and objects of these classes, which become the data's classes, in this order. Data that
    /// annotate no object at all can be asked for any class.
    ///
    /// # Errors
    /// [`DataError::Unfit`] where the data have classes, and not these.
    pub fn keep_classes(&mut self, names: &[String]) -> Result<(), DataError> {
        let asked = names.iter().filter(|_| !self.classes.is_empty());
        let kept = asked.map(|name| self.class_named(name)).collect::<Result<Vec<_>, _>>()?;
        let keep = |class: &mut ClassId| {
            let place = kept.iter().position(|known| known == class);
            *class = place.map_or(*class, ClassId);
            place.is_some()
        };
        self.items.retain_mut(|item| match &mut item.label {
            Label::Class(class) => keep(class),
            Label::Objects(objects) => {
                objects.retain_mut(|object| keep(&mut object.class));
                true
            }
        });
        self.classes = names.to_vec();
        Ok(())
    }
}

/// A square window of an image, in its pixels. It may reach over the border, where the border pixel is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Crop {
    /// First column.
    pub left: i64,
    /// First row.
    pub top: i64,
    /// Columns and rows.
    pub side: u32,
}

/// One training example: a whole file, or a window of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The image file.
    pub path: PathBuf,
    /// The window; the whole image where there is none.
    pub crop: Option<Crop>,
    /// Pixels of the image around the window that augmentation may show, too.
    pub margin: u32,
    /// Its class, a place in the class list that was chosen for training.
    pub class: ClassId,
    /// Its part of the data set.
    pub split: Split,
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_core::{Point, Rect};

    fn data(classes: &[&str], labels: Vec<Label>) -> Dataset {
        let item =
            |(place, label)| Item { path: format!("{place}.png").into(), label, split: None, group: None };
        Dataset {
            root: "data".into(),
            layout: Layout::Voc,
            classes: classes.iter().map(|&name| name.to_owned()).collect(),
            items: labels.into_iter().enumerate().map(item).collect(),
            problems: Vec::new(),
        }
    }

    fn object(class: usize) -> Object {
        Object { class: ClassId(class), shape: Shape::Box(Rect::around(Point::new(5.0, 5.0), 2.0, 2.0)) }
    }

    #[test]
    fn kept_classes_are_numbered_anew_and_images_stay() {
        let fields =
            vec![Label::Objects(vec![object(0), object(2), object(1)]), Label::Objects(vec![object(1)])];
        let patches = vec![Label::Class(ClassId(1)), Label::Class(ClassId(2))];
        let mut data = data(&["platelet", "red", "white"], [fields, patches].concat());
        data.keep_classes(&["white".to_owned(), "platelet".to_owned()]).unwrap();
        assert_eq!(data.classes, ["white", "platelet"]);
        let labels: Vec<_> = data.items.into_iter().map(|item| item.label).collect();
        assert_eq!(
            labels,
            [
                Label::Objects(vec![object(1), object(0)]),
                Label::Objects(Vec::new()),
                Label::Class(ClassId(0))
            ]
        );
    }

    #[test]
    fn classes_that_are_not_there_are_named_unless_nothing_is() {
        let names = ["whites".to_owned()];
        let mut annotated = data(&["platelet", "white"], vec![Label::Objects(vec![object(1)])]);
        let error = annotated.keep_classes(&names).unwrap_err().to_string();
        assert!(error.contains("`whites`") && error.contains("platelet, white"), "{error}");
        let mut empty = data(&[], vec![Label::Objects(Vec::new())]);
        empty.keep_classes(&names).unwrap();
        assert_eq!((empty.classes.len(), empty.items.len()), (1, 1));
    }
}
