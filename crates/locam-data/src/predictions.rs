//! What other programs found on the images of a data set: COCO, CSV and `GeoJSON`.
//!
//! Each reader gives plain entries with the names that its file uses; one place matches them with the data's images and
//! classes, and checks them. What can't be used is counted by its kind, since a file often has the same fault on
//! every line.

mod coco;
mod geojson;
mod table;

use crate::layout::OpenOptions;
use crate::{DataError, Dataset, Problem, Strictness};
use locam_core::{ClassId, Point, Rect, Region};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

/// What was found on the images of a data set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// Per item of the data set, in the order of the file. A class is a place in [`Dataset::classes`]; scores are as
    /// they stand in the file; a prediction that is only a point has a rectangle without area.
    pub by_item: Vec<Vec<Region>>,
    /// What was passed over, by kind.
    pub problems: Vec<Problem>,
}

impl Predictions {
    /// Whether all scores lie in 0 to 1, so that they can be taken for probabilities.
    pub fn are_probabilities(&self) -> bool {
        self.by_item.iter().flatten().all(|region| (0.0..=1.0).contains(&region.score))
    }
}

/// One prediction as its file has it.
#[derive(Clone, Debug)]
struct Entry {
    /// The image's name or path.
    image: String,
    /// The class's name; none where the file has no classes.
    class: Option<String>,
    /// None where the file has no scores.
    score: Option<f64>,
    shape: EntryShape,
    /// Where in the file, for messages.
    place: String,
}

#[derive(Clone, Debug)]
enum EntryShape {
    Point(Point),
    /// A box, and its object's centroid where that is given, too.
    Box(Rect, Option<Point>),
    Polygon(Vec<Point>),
}

/// Reads predictions from a file, or from a folder of `GeoJSON` files:
///
/// - `.json`: COCO results (`image_id`, `category_id`, `bbox`, `score`), whose identifiers are looked up in a `coco.json`
///   beside the file or else in the data's own COCO files; or a COCO data set with a `score` per annotation;
/// - `.csv`: columns `image`, `class`, `probability` or `score`, and `left, top, right, bottom` or `x, y` (or
///   `centroid_x, centroid_y`), in pixels of the image;
/// - `.geojson`: as QuPath exports it, one file per image with the image's name.
///
/// `class` may be left out where the data have one class.
///
/// # Errors
/// A file that can't be read or understood, that names no image or class of the data, or, where `options` are strict,
/// the first kind of fault.
pub fn read_predictions(
    path: &Path,
    data: &Dataset,
    options: &OpenOptions,
) -> Result<Predictions, DataError> {
    let entries = entries(path, data)?;
    let names = Names::of(data);
    let mut found = Predictions { by_item: vec![Vec::new(); data.items.len()], problems: Vec::new() };
    let mut faults = Faults::default();
    let (count, mut used) = (entries.len(), 0);
    for entry in entries {
        match names.region(&entry, data, &mut faults) {
            Ok((item, region)) => {
                found.by_item[item].push(region);
                used += 1;
            }
            Err(fault) => faults.add(&fault, &entry.place),
        }
    }
    found.problems = faults.problems(path);
    match found.problems.first() {
        Some(first) if used == 0 => Err(DataError::Manifest {
            path: path.to_owned(),
            reason: format!("none of its {count} predictions can be used: {}", first.message),
        }),
        Some(first) if options.strictness == Strictness::Strict => {
            Err(DataError::Refused { path: path.to_owned(), reason: first.message.clone() })
        }
        _ => Ok(found),
    }
}

fn entries(path: &Path, data: &Dataset) -> Result<Vec<Entry>, DataError> {
    let extension = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    match extension.as_deref() {
        Some("json") => coco::read(path, data),
        Some("csv") => table::read(path),
        Some("geojson") => geojson::read_file(path),
        _ if path.is_dir() => geojson::read_folder(path),
        _ => Err(DataError::Manifest {
            path: path.to_owned(),
            reason: "predictions are read from .json (COCO), .csv or .geojson files, or a folder of .geojson files"
                .to_owned(),
        }),
    }
}

/// Reads a text file.
fn text_of(path: &Path) -> Result<String, DataError> {
    std::fs::read_to_string(path).map_err(|source| DataError::Read { path: path.to_owned(), source })
}

/// Why an entry can't be used, in words that fit any entry with the same fault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Image(String),
    Ambiguous(String),
    Class(String),
    NoClass,
    Score,
    NoScore,
    Place,
    Area,
}

impl Fault {
    /// Faults with the same words are counted together.
    fn words(&self) -> &'static str {
        match self {
            Self::Image(_) => "name an image that is not in the data",
            Self::Ambiguous(_) => "name an image of which the data have several (give more of its path)",
            Self::Class(_) => "have a class that is not compared",
            Self::NoClass => "have no class, and the data have more than one",
            Self::Score => "have a score that is no number",
            Self::NoScore => "have no score, and count as equally sure",
            Self::Place => "have coordinates that are no numbers",
            Self::Area => "have a box without area",
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Image(name) | Self::Ambiguous(name) | Self::Class(name) => Some(name),
            _ => None,
        }
    }
}

/// Faults by their words: how many, and the first.
#[derive(Default)]
struct Faults(BTreeMap<&'static str, (usize, String)>);

impl Faults {
    fn add(&mut self, fault: &Fault, place: &str) {
        let first = || match fault.name() {
            Some(name) => format!("`{name}`, {place}"),
            None => place.to_owned(),
        };
        self.0.entry(fault.words()).and_modify(|entry| entry.0 += 1).or_insert_with(|| (1, first()));
    }

    fn problems(self, path: &Path) -> Vec<Problem> {
        let problem = |(words, (count, first)): (&str, (usize, String))| Problem {
            path: path.to_owned(),
            message: format!("predictions that {words}: {count}; the first: {first}"),
        };
        self.0.into_iter().map(problem).collect()
    }
}

/// The data's images by what a file may call them.
struct Names<'a> {
    by_file: BTreeMap<&'a OsStr, Vec<usize>>,
    by_stem: BTreeMap<&'a OsStr, Vec<usize>>,
}

impl<'a> Names<'a> {
    fn of(data: &'a Dataset) -> Self {
        let mut names = Self { by_file: BTreeMap::new(), by_stem: BTreeMap::new() };
        for (place, item) in data.items.iter().enumerate() {
            names.by_file.entry(item.path.file_name().unwrap_or_default()).or_default().push(place);
            names.by_stem.entry(item.path.file_stem().unwrap_or_default()).or_default().push(place);
        }
        names
    }

    /// By file name, or else by its stem; where several images have it, by as much of the path as is given.
    fn item(&self, name: &str, data: &Dataset) -> Result<usize, Fault> {
        let path = Path::new(name);
        let stem = || {
            let whole = self.by_stem.get(OsStr::new(name));
            whole.or_else(|| self.by_stem.get(path.file_stem().unwrap_or_default()))
        };
        let found = self.by_file.get(path.file_name().unwrap_or_default()).or_else(stem);
        match found.map(Vec::as_slice) {
            None | Some([]) => Err(Fault::Image(name.to_owned())),
            Some([one]) => Ok(*one),
            Some(several) => {
                let mut ending = several.iter().filter(|&&item| data.items[item].path.ends_with(path));
                match (ending.next(), ending.next()) {
                    (Some(&one), None) => Ok(one),
                    _ => Err(Fault::Ambiguous(name.to_owned())),
                }
            }
        }
    }

    fn region(&self, entry: &Entry, data: &Dataset, faults: &mut Faults) -> Result<(usize, Region), Fault> {
        let item = self.item(&entry.image, data)?;
        let class = match &entry.class {
            Some(name) => data.class_named(name).map_err(|_| Fault::Class(name.clone()))?,
            None if data.classes.len() == 1 => ClassId(0),
            None => return Err(Fault::NoClass),
        };
        let score = match entry.score {
            Some(score) if score.is_finite() => score,
            Some(_) => return Err(Fault::Score),
            None => {
                faults.add(&Fault::NoScore, &entry.place);
                1.0
            }
        };
        Ok((item, shaped(&entry.shape, class, score)?))
    }
}

fn shaped(shape: &EntryShape, class: ClassId, score: f64) -> Result<Region, Fault> {
    let (rect, centroid, area, outline) = match shape {
        EntryShape::Point(point) => (Rect::around(*point, 0.0, 0.0), *point, 0.0, vec![*point]),
        EntryShape::Box(rect, centroid) => {
            (*rect, centroid.unwrap_or(rect.center()), rect.area(), rect.corners().to_vec())
        }
        EntryShape::Polygon(corners) => {
            let (centroid, area) = middle_and_area(corners);
            (bounds(corners), centroid, area, corners.clone())
        }
    };
    let numbers = [rect.left, rect.top, rect.right, rect.bottom, centroid.x, centroid.y];
    let is_point = matches!(shape, EntryShape::Point(_));
    if !is_point && rect.area() <= 0.0 && numbers[..4].iter().all(|number| number.is_finite()) {
        return Err(Fault::Area);
    }
    if !numbers.iter().all(|number| number.is_finite()) {
        return Err(Fault::Place);
    }
    Ok(Region { class, score, peak: centroid, centroid, rect, area, outline, at_border: false })
}

fn bounds(corners: &[Point]) -> Rect {
    let least = |of: fn(&Point) -> f64| corners.iter().map(of).fold(f64::INFINITY, f64::min);
    let most = |of: fn(&Point) -> f64| corners.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
    Rect::new(least(|p| p.x), least(|p| p.y), most(|p| p.x), most(|p| p.y))
}

/// The centroid of a simple polygon, and its area; the middle of its bounds where it has none.
fn middle_and_area(corners: &[Point]) -> (Point, f64) {
    let (mut twice, mut x, mut y) = (0.0, 0.0, 0.0);
    for (place, a) in corners.iter().enumerate() {
        let b = corners[(place + 1) % corners.len()];
        let cross = a.x * b.y - b.x * a.y;
        twice += cross;
        x += (a.x + b.x) * cross;
        y += (a.y + b.y) * cross;
    }
    if twice.abs() > 0.0 {
        (Point::new(x / (3.0 * twice), y / (3.0 * twice)), twice.abs() / 2.0)
    } else {
        (bounds(corners).center(), 0.0)
    }
}

#[cfg(test)]
mod tests;
