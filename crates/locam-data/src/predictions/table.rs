//! Predictions as a table, such as `regions.csv`.

use super::{Entry, EntryShape};
use crate::DataError;
use locam_core::{Point, Rect};
use std::path::Path;

pub(super) fn read(path: &Path) -> Result<Vec<Entry>, DataError> {
    let wrong = |reason: String| DataError::Manifest { path: path.to_owned(), reason };
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|error| wrong(error.to_string()))?;
    let header = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let columns = Columns::of(&header).map_err(wrong)?;
    let mut entries = Vec::new();
    for (number, record) in (2..).zip(reader.records()) {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        entries.push(columns.entry(&record, number).map_err(wrong)?);
    }
    Ok(entries)
}

struct Columns {
    image: usize,
    class: Option<usize>,
    score: Option<usize>,
    edges: Option<[usize; 4]>,
    middle: Option<[usize; 2]>,
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Result<Self, String> {
        let column = |name: &str| header.iter().position(|found| found == name);
        let all = |names: &[&str]| names.iter().map(|name| column(name)).collect::<Option<Vec<usize>>>();
        let pair = |names: [&str; 2]| all(&names).map(|places| [places[0], places[1]]);
        let edges = all(&["left", "top", "right", "bottom"]).map(|p| [p[0], p[1], p[2], p[3]]);
        let middle = pair(["centroid_x", "centroid_y"]).or_else(|| pair(["x", "y"]));
        match (column("image"), edges.is_some() || middle.is_some()) {
            (Some(image), true) => Ok(Self {
                image,
                class: column("class"),
                score: column("probability").or_else(|| column("score")),
                edges,
                middle,
            }),
            _ => Err(format!(
                "its columns are {}; needed are image, class, probability or score, and left, top, right, bottom or x, y",
                header.iter().collect::<Vec<_>>().join(", ")
            )),
        }
    }

    fn entry(&self, record: &csv::StringRecord, line: usize) -> Result<Entry, String> {
        let place = format!("line {line}");
        let number = |column: usize| {
            let text = &record[column];
            text.parse::<f64>().map_err(|_| format!("{place}: `{text}` is no number"))
        };
        let middle = match self.middle {
            Some([x, y]) => Some(Point::new(number(x)?, number(y)?)),
            None => None,
        };
        let shape = match (self.edges, middle) {
            (Some([left, top, right, bottom]), middle) => {
                let rect = Rect::new(number(left)?, number(top)?, number(right)?, number(bottom)?);
                EntryShape::Box(rect, middle)
            }
            (None, Some(point)) => EntryShape::Point(point),
            (None, None) => return Err(format!("{place} has no place")),
        };
        Ok(Entry {
            image: record[self.image].to_owned(),
            class: self.class.map(|column| record[column].to_owned()),
            score: self.score.map(number).transpose()?,
            shape,
            place,
        })
    }
}
