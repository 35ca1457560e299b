//! What is in a data set, and what is wrong with it, before anybody trains on it.

mod table;

use crate::copies::{Copies, Fingerprint};
use crate::{DataError, Dataset, Item, Label, Problem, Split, sniffed_mismatch};
use locam_core::ClassId;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeSet;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};

/// A class with fewer examples than this is called near-empty.
pub const NEAR_EMPTY: usize = 10;

/// A data set in figures. Its `Display` is a plain-text table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The folder or manifest that was opened.
    pub root: PathBuf,
    /// Readable images.
    pub images: SplitCounts,
    /// The classes, in the data set's order.
    pub classes: Vec<ClassSummary>,
    /// Widths of the readable images in pixels; nothing where there are none.
    pub width: Option<Spread>,
    /// Heights of the readable images in pixels; nothing where there are none.
    pub height: Option<Spread>,
    /// Files that were passed over when the data set was opened.
    pub passed_over: Vec<FileNote>,
    /// Images that cannot be decoded.
    pub unreadable: Vec<FileNote>,
    /// Images whose extension contradicts their content; they are read all the same.
    pub wrong_extensions: Vec<FileNote>,
    /// Groups of identical images that lie in more than one split, so that a score would be too good.
    pub duplicates_across_splits: Vec<Vec<PathBuf>>,
    /// Pairs of images that differ in little and lie in two splits.
    pub near_duplicates_across_splits: Vec<[PathBuf; 2]>,
    /// Groups of identical images that are labelled with more than one class.
    pub duplicates_across_classes: Vec<Vec<PathBuf>>,
}

/// One class in figures, over readable images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassSummary {
    /// As the data set names it.
    pub name: String,
    /// Images of this class, or with an object of it.
    pub images: SplitCounts,
    /// Annotated objects.
    pub objects: SplitCounts,
    /// Images of this class that are identical to an earlier one of it.
    pub copies: usize,
    /// Whether it has fewer than [`NEAR_EMPTY`] objects or, without annotation, images.
    pub near_empty: bool,
}

/// Counts per part of the data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SplitCounts {
    /// In the training part.
    pub train: usize,
    /// In the validation part.
    pub val: usize,
    /// In the test part.
    pub test: usize,
    /// Where the layout gives no split.
    pub unassigned: usize,
}

impl SplitCounts {
    /// Over all parts.
    pub const fn total(self) -> usize {
        self.train + self.val + self.test + self.unassigned
    }

    fn of(&mut self, split: Option<Split>) -> &mut usize {
        match split {
            Some(Split::Train) => &mut self.train,
            Some(Split::Val) => &mut self.val,
            Some(Split::Test) => &mut self.test,
            None => &mut self.unassigned,
        }
    }
}

impl AddAssign for SplitCounts {
    fn add_assign(&mut self, other: Self) {
        self.train += other.train;
        self.val += other.val;
        self.test += other.test;
        self.unassigned += other.unassigned;
    }
}

/// The smallest, the middle (the lower of two) and the largest of some numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Smallest.
    pub min: u32,
    /// Median.
    pub median: u32,
    /// Largest.
    pub max: u32,
}

impl Spread {
    fn of(mut values: Vec<u32>) -> Option<Self> {
        values.sort_unstable();
        let median = *values.get(values.len().checked_sub(1)? / 2)?;
        Some(Self { min: *values.first()?, median, max: *values.last()? })
    }
}

/// Something to know about one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FileNote {
    /// The file.
    pub path: PathBuf,
    /// What there is to know.
    pub message: String,
}

impl From<Problem> for FileNote {
    fn from(problem: Problem) -> Self {
        Self { path: problem.path, message: problem.message }
    }
}

/// What one readable file turned out to be.
struct Probe {
    print: Fingerprint,
    mismatch: Option<String>,
}

/// Decodes every image of a data set, in parallel with one image per thread in memory, and counts.
pub fn inspect(dataset: &Dataset) -> Inspection {
    let probes: Vec<Result<Probe, DataError>> =
        dataset.items.par_iter().map(|item| probe(&item.path)).collect();
    let mut prints = Vec::new();
    let mut unreadable = Vec::new();
    let mut wrong_extensions = Vec::new();
    let mut images = SplitCounts::default();
    for (item, probe) in dataset.items.iter().zip(probes) {
        match probe {
            Ok(Probe { print, mismatch }) => {
                *images.of(item.split) += 1;
                wrong_extensions
                    .extend(mismatch.map(|message| FileNote { path: item.path.clone(), message }));
                prints.push(Some(print));
            }
            Err(error) => {
                unreadable.push(FileNote { path: item.path.clone(), message: error.to_string() });
                prints.push(None);
            }
        }
    }
    let pairs = dataset.items.iter().zip(&prints);
    let readable: Vec<(&Item, &Fingerprint)> =
        pairs.filter_map(|(item, print)| Some((item, print.as_ref()?))).collect();
    let copies = Copies::among(&prints);
    let path_of = |i: usize| dataset.items[i].path.clone();
    let paths = |group: &Vec<usize>| group.iter().map(|&i| path_of(i)).collect();
    let split_of = |i: usize| dataset.items[i].split;
    let astride = copies.near.iter().filter(|&&(a, b)| split_of(a) != split_of(b));
    Inspection {
        root: dataset.root.clone(),
        images,
        classes: summarise_classes(dataset, &readable),
        width: Spread::of(readable.iter().map(|(_, print)| print.size.width).collect()),
        height: Spread::of(readable.iter().map(|(_, print)| print.size.height).collect()),
        passed_over: dataset.problems.iter().cloned().map(FileNote::from).collect(),
        unreadable,
        wrong_extensions,
        duplicates_across_splits: copies.differing(split_of).iter().map(paths).collect(),
        near_duplicates_across_splits: astride.map(|&(a, b)| [path_of(a), path_of(b)]).collect(),
        duplicates_across_classes: copies.contradictions(dataset).iter().map(paths).collect(),
    }
}

fn probe(path: &Path) -> Result<Probe, DataError> {
    Ok(Probe { print: Fingerprint::read(path)?, mismatch: sniffed_mismatch(path)? })
}

fn summarise_classes(dataset: &Dataset, readable: &[(&Item, &Fingerprint)]) -> Vec<ClassSummary> {
    let mut images = vec![SplitCounts::default(); dataset.classes.len()];
    let mut objects = images.clone();
    let mut hashes = vec![BTreeSet::new(); dataset.classes.len()];
    let mut copies = vec![0; dataset.classes.len()];
    for (item, print) in readable {
        for class in classes_of(item) {
            *images[class.0].of(item.split) += 1;
            copies[class.0] += usize::from(!hashes[class.0].insert(print.pixel_hash()));
        }
        if let Label::Objects(of_item) = &item.label {
            for object in of_item {
                *objects[object.class.0].of(item.split) += 1;
            }
        }
    }
    let figures = images.into_iter().zip(objects).zip(copies);
    let summary = |(name, ((images, objects), copies)): (&String, ((SplitCounts, SplitCounts), usize))| {
        let examples = if objects.total() > 0 { objects.total() } else { images.total() };
        ClassSummary { name: name.clone(), images, objects, copies, near_empty: examples < NEAR_EMPTY }
    };
    dataset.classes.iter().zip(figures).map(summary).collect()
}

fn classes_of(item: &Item) -> BTreeSet<ClassId> {
    match &item.label {
        Label::Class(class) => BTreeSet::from([*class]),
        Label::Objects(objects) => objects.iter().map(|object| object.class).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, Object};
    use image::{ImageFormat, Rgb, RgbImage};
    use locam_core::{Point, Shape};

    fn picture(folder: &Path, name: &str, shade: u8) -> PathBuf {
        let path = folder.join(name);
        let image = RgbImage::from_pixel(10 + u32::from(shade), 6, Rgb([shade; 3]));
        image.save_with_format(&path, ImageFormat::Png).unwrap();
        path
    }

    fn dataset(root: &Path, classes: &[&str], items: Vec<(PathBuf, Label, Option<Split>)>) -> Dataset {
        Dataset {
            root: root.to_owned(),
            layout: Layout::ClassFolders,
            classes: classes.iter().map(ToString::to_string).collect(),
            items: items
                .into_iter()
                .map(|(path, label, split)| Item { path, label, split, group: None })
                .collect(),
            problems: Vec::new(),
        }
    }

    #[test]
    fn patches_are_counted_and_faults_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let [cell, other] = [0, 1].map(|class| Label::Class(ClassId(class)));
        let broken = root.join("broken.png");
        std::fs::write(&broken, b"nothing").unwrap();
        let mut items = vec![
            (picture(root, "copy_train.png", 200), cell.clone(), Some(Split::Train)),
            (picture(root, "copy_test.png", 200), cell.clone(), Some(Split::Test)),
            (picture(root, "both_a.png", 100), cell.clone(), Some(Split::Train)),
            (picture(root, "both_b.png", 100), other, Some(Split::Train)),
            (picture(root, "misnamed.jpg", 50), cell.clone(), Some(Split::Val)),
            (broken.clone(), cell.clone(), Some(Split::Train)),
        ];
        for shade in 0..8 {
            items.push((picture(root, &format!("{shade}.png"), shade), cell.clone(), Some(Split::Train)));
        }
        let found = inspect(&dataset(root, &["cell", "other"], items));
        assert_eq!(found.images, SplitCounts { train: 11, val: 1, test: 1, unassigned: 0 });
        assert_eq!(found.classes[0].images, SplitCounts { train: 10, val: 1, test: 1, unassigned: 0 });
        assert_eq!((found.classes[0].copies, found.classes[0].near_empty), (1, false));
        assert_eq!((found.classes[1].copies, found.classes[1].near_empty), (0, true));
        assert_eq!(found.width, Some(Spread { min: 10, median: 16, max: 210 }));
        assert_eq!(
            found.duplicates_across_splits,
            [[root.join("copy_train.png"), root.join("copy_test.png")]]
        );
        assert_eq!(found.duplicates_across_classes, [[root.join("both_a.png"), root.join("both_b.png")]]);
        assert_eq!(found.unreadable.iter().map(|note| &note.path).collect::<Vec<_>>(), [&broken]);
        assert_eq!(found.wrong_extensions.len(), 1);
        let text = found.to_string();
        for words in
            ["broken.png", "misnamed.jpg", "near-empty", "copy_test.png", "both_b.png", "10 / 16 / 210"]
        {
            assert!(text.contains(words), "{words} in\n{text}");
        }
    }

    #[test]
    fn objects_are_counted_and_empty_fields_are_images() {
        let folder = tempfile::tempdir().unwrap();
        let object = |class| Object { class: ClassId(class), shape: Shape::Point(Point::new(1.0, 2.0)) };
        let twelve = Label::Objects((0..12).map(|_| object(0)).chain([object(1)]).collect());
        let items = vec![
            (picture(folder.path(), "a.png", 1), twelve, None),
            (picture(folder.path(), "b.png", 2), Label::Objects(Vec::new()), None),
        ];
        let found = inspect(&dataset(folder.path(), &["red", "white"], items));
        assert_eq!(found.images.total(), 2);
        let figures = |c: &ClassSummary| (c.images.total(), c.objects.total(), c.near_empty);
        assert_eq!(found.classes.iter().map(figures).collect::<Vec<_>>(), [(1, 12, false), (1, 1, true)]);
        assert!(found.duplicates_across_classes.is_empty());
    }

    #[test]
    fn an_empty_data_set_has_no_sizes() {
        let found = inspect(&dataset(Path::new("nowhere"), &[], Vec::new()));
        assert_eq!((found.width, found.height), (None, None));
        assert!(found.to_string().starts_with("nowhere: 0 images"));
    }
}
