use crate::Layout;
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
