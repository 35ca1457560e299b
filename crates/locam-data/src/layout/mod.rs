//! How labelled images lie in folders, one module per way, and the opening of a data set in whichever it is.

mod all_idb;
mod class_folders;
mod coco;
mod csv_manifest;
mod masks;
mod points;
mod tree;
mod voc;
mod yolo;

use crate::{DataError, Dataset, Item, Label, Problem};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tree::Tree;

/// How a data set is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// A folder per class, with or without `train`, `val` and `test` above.
    #[serde(rename = "folders")]
    ClassFolders,
    /// Patches `img/Im001_1.tif`, where 1 is a blast and 0 a healthy cell. The names do not say which field a patch
    /// was cut from, so that patches can only be grouped where a `groups.csv` (`path,group`) lies beside `img`.
    AllIdb2,
    /// Fields `im/Im001_1.jpg` with the blasts' centroids in `xyc/Im001_1.xyc`.
    AllIdb1,
    /// Pascal VOC: an XML file with boxes per image, split lists in `ImageSets/Main`. A box runs from `xmin` to
    /// `xmax` as they stand; whether a data set counts pixels from 0 or 1 moves it by one pixel. At 1 it begins at the border,
    /// which tools that count from 0 write there, too.
    Voc,
    /// YOLO: `class cx cy w h` in parts of the image's size, names in `data.yaml`, `classes.txt` or `obj.names`.
    Yolo,
    /// COCO JSON, one file or several. Objects have the pixels of their `segmentation` (polygons or run lengths), where they have
    /// one, and the box of their `bbox`.
    Coco,
    /// A table `path,label[,split][,group]`.
    Csv,
    /// `x y class` in pixels, in a text file beside each image.
    Points,
    /// Label images: for each image a PNG of its name, grey or with a palette, below a folder `masks`. A pixel of value 0
    /// is background, each other value is an object. The class is the name of the folder below `masks`
    /// (`masks/cell/a.png`), else the one that a `classes.txt` names, else `object`.
    Masks,
}

impl Layout {
    /// All of them, in the order in which they are looked for: what somebody wrote on purpose comes first, then what is
    /// unmistakable.
    pub const ALL: [Self; 9] = [
        Self::Csv,
        Self::AllIdb2,
        Self::AllIdb1,
        Self::Coco,
        Self::Voc,
        Self::Yolo,
        Self::Points,
        Self::Masks,
        Self::ClassFolders,
    ];

    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClassFolders => "folders",
            Self::AllIdb2 => "all-idb2",
            Self::AllIdb1 => "all-idb1",
            Self::Voc => "voc",
            Self::Yolo => "yolo",
            Self::Coco => "coco",
            Self::Csv => "csv",
            Self::Points => "points",
            Self::Masks => "masks",
        }
    }

    /// What this layout is recognised by.
    const fn sign(self) -> &'static str {
        match self {
            Self::ClassFolders => "folders with images, named after classes",
            Self::AllIdb2 => "img/Im001_1.tif and the like",
            Self::AllIdb1 => "im/Im001_1.jpg with xyc/Im001_1.xyc",
            Self::Voc => "XML files with <annotation>",
            Self::Yolo => "text files `class cx cy w h` beside images or under labels/",
            Self::Coco => "a JSON file with images, annotations and categories",
            Self::Csv => "a CSV file with the columns path,label",
            Self::Points => "text files `x y class` beside images",
            Self::Masks => "grey PNG files of the images' names under masks/ or masks/CLASS/",
        }
    }

    fn fits(self, tree: &Tree) -> bool {
        match self {
            Self::ClassFolders => class_folders::fits(tree),
            Self::AllIdb2 => all_idb::patches_fit(tree),
            Self::AllIdb1 => all_idb::fields_fit(tree),
            Self::Voc => voc::fits(tree),
            Self::Yolo => yolo::fits(tree),
            Self::Coco => coco::fits(tree),
            Self::Csv => csv_manifest::fits(tree),
            Self::Points => points::fits(tree),
            Self::Masks => masks::fits(tree),
        }
    }

    fn read(self, tree: &Tree) -> Result<Found, DataError> {
        match self {
            Self::ClassFolders => Ok(class_folders::read(tree)),
            Self::AllIdb2 => all_idb::read_patches(tree),
            Self::AllIdb1 => Ok(all_idb::read_fields(tree)),
            Self::Voc => voc::read(tree),
            Self::Yolo => yolo::read(tree),
            Self::Coco => coco::read(tree),
            Self::Csv => csv_manifest::read(tree),
            Self::Points => Ok(points::read(tree)),
            Self::Masks => Ok(masks::read(tree)),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Layout {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        Self::ALL.into_iter().find(|layout| layout.as_str() == text).ok_or_else(|| DataError::UnknownLayout {
            name: text.to_owned(),
            known: Self::ALL.map(Self::as_str).join(", "),
        })
    }
}

/// What becomes of a file that can't be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// It is passed over and named in [`Dataset::problems`].
    #[default]
    Lenient,
    /// It is an error.
    Strict,
}

/// How a data set is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The layout; recognised where there is none.
    pub layout: Option<Layout>,
    /// What becomes of files that can't be used.
    pub strictness: Strictness,
}

/// What a layout's reader makes of a tree.
#[derive(Debug, Default)]
struct Found {
    classes: Vec<String>,
    items: Vec<Item>,
    problems: Vec<Problem>,
}

impl Found {
    /// Notes a file that is passed over.
    fn skip(&mut self, path: impl Into<PathBuf>, message: impl Into<String>) {
        self.problems.push(Problem { path: path.into(), message: message.into() });
    }
}

impl Dataset {
    /// Reads the labels of a folder, a CSV file or a COCO file; images are only named, not decoded.
    ///
    /// # Errors
    /// A path that does not exist, nothing that is labelled, a layout that does not fit, and with
    /// [`Strictness::Strict`] the first file that can't be used.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, DataError> {
        let tree = Tree::read(path)?;
        let layout = match options.layout {
            Some(layout) => layout,
            None => {
                Layout::ALL.into_iter().find(|layout| layout.fits(&tree)).ok_or_else(|| unknown(&tree))?
            }
        };
        let mut found = layout.read(&tree)?;
        found.items.sort_by(|a, b| a.path.cmp(&b.path));
        found.problems.sort();
        if let (Strictness::Strict, Some(first)) = (options.strictness, found.problems.first()) {
            return Err(DataError::Refused { path: first.path.clone(), reason: first.message.clone() });
        }
        // An annotation without an object says that there is none; in other layouts it may just be missing.
        let says_of_nothing = matches!(layout, Layout::Voc | Layout::Coco);
        let labelled = found.items.iter().any(|item| match &item.label {
            Label::Objects(objects) => says_of_nothing || !objects.is_empty(),
            Label::Class(_) => true,
        });
        if !labelled {
            return Err(DataError::NothingLabelled {
                path: path.to_owned(),
                layout,
                sign: layout.sign(),
                first_problem: found.problems.first().map_or_else(String::new, |p| format!("; {p}")),
            });
        }
        let Found { classes, items, problems } = found;
        Ok(Self { root: path.to_owned(), layout, classes, items, problems })
    }
}

fn unknown(tree: &Tree) -> DataError {
    if tree.root().is_file() {
        return DataError::NoManifest { path: tree.root().to_owned() };
    }
    let looked_for =
        Layout::ALL.map(|layout| format!("  {:<9} {}", layout.as_str(), layout.sign())).join("\n");
    DataError::NoLayout { path: tree.root().to_owned(), files: tree.files().len(), looked_for }
}
