use crate::{ReportError, write_atomically};
use locam_core::{Point, Rect, Region, Size};
use serde::Serialize;
use std::io;
use std::path::Path;

/// What was found on one image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageRecord {
    /// The image's name or path, as it is to stand in the files.
    pub image: String,
    /// Its size in pixels.
    pub size: Size,
    /// What was found, in the order in which it is to be written.
    pub regions: Vec<Region>,
}

/// Lengths and areas are written to a tenth of a pixel: finer digits than the map can tell apart.
const PIXEL_DIGITS: i32 = 1;
/// Scores, in log-odds.
const SCORE_DIGITS: i32 = 4;
/// Probabilities near 1 differ late.
const PROBABILITY_DIGITS: i32 = 6;

/// One row of the table.
#[derive(Serialize)]
struct Row<'a> {
    image: &'a str,
    number: usize,
    class: &'a str,
    score: f64,
    probability: f64,
    peak_x: f64,
    peak_y: f64,
    centroid_x: f64,
    centroid_y: f64,
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
    area: f64,
    at_border: bool,
}

#[derive(Serialize)]
struct JsonImage<'a> {
    image: &'a str,
    size: Size,
    regions: Vec<JsonRegion<'a>>,
}

#[derive(Serialize)]
struct JsonRegion<'a> {
    number: usize,
    class: &'a str,
    score: f64,
    probability: f64,
    peak: Point,
    centroid: Point,
    rect: Rect,
    area: f64,
    at_border: bool,
    outline: Vec<[f64; 2]>,
}

/// Writes the regions of one image as JSON: lengths in pixels of the image, `score` in log-odds, `probability` its
/// logistic, `number` counting from 1, `outline` the corners `[x, y]` of a polygon. `class_names` are those of the
/// model, by class.
///
/// # Errors
/// When the file can't be written.
pub fn write_json(path: &Path, record: &ImageRecord, class_names: &[String]) -> Result<(), ReportError> {
    let regions = (1..).zip(&record.regions).map(|region| json_region(region, class_names)).collect();
    let image = JsonImage { image: &record.image, size: record.size, regions };
    write_atomically(path, |writer| {
        serde_json::to_writer_pretty(&mut *writer, &image)?;
        writeln!(writer)
    })
}

/// Writes the regions of all images as one CSV table with the columns `image, number, class, score, probability, peak_x, peak_y,
/// centroid_x, centroid_y, left, top, right, bottom, area, at_border`, units as in [`write_json`]. Images without regions have no
/// rows.
///
/// # Errors
/// When the file can't be written.
pub fn write_csv(path: &Path, records: &[ImageRecord], class_names: &[String]) -> Result<(), ReportError> {
    write_atomically(path, |writer| {
        let mut table = csv::WriterBuilder::new().has_headers(false).from_writer(writer);
        table.write_record(COLUMNS).map_err(io::Error::other)?;
        for record in records {
            for region in (1..).zip(&record.regions) {
                table.serialize(row(&record.image, region, class_names)).map_err(io::Error::other)?;
            }
        }
        table.flush()
    })
}

const COLUMNS: [&str; 15] = [
    "image",
    "number",
    "class",
    "score",
    "probability",
    "peak_x",
    "peak_y",
    "centroid_x",
    "centroid_y",
    "left",
    "top",
    "right",
    "bottom",
    "area",
    "at_border",
];

fn json_region<'a>((number, region): (usize, &Region), class_names: &'a [String]) -> JsonRegion<'a> {
    JsonRegion {
        number,
        class: class_name(region, class_names),
        score: rounded_score(region.score),
        probability: probability(region.score),
        peak: rounded_point(region.peak),
        centroid: rounded_point(region.centroid),
        rect: rounded_rect(region.rect),
        area: rounded_area(region.area),
        at_border: region.at_border,
        outline: corners(&region.outline),
    }
}

fn row<'a>(image: &'a str, region: (usize, &Region), class_names: &'a [String]) -> Row<'a> {
    let JsonRegion { number, class, score, probability, peak, centroid, rect, area, at_border, .. } =
        json_region(region, class_names);
    Row {
        image,
        number,
        class,
        score,
        probability,
        peak_x: peak.x,
        peak_y: peak.y,
        centroid_x: centroid.x,
        centroid_y: centroid.y,
        left: rect.left,
        top: rect.top,
        right: rect.right,
        bottom: rect.bottom,
        area,
        at_border,
    }
}

/// The name of a region's class; empty for a class that the model doesn't have.
pub(crate) fn class_name<'a>(region: &Region, class_names: &'a [String]) -> &'a str {
    class_names.get(region.class.0).map_or("", String::as_str)
}

/// The logistic of the log-odds, to be written.
pub(crate) fn probability(score: f64) -> f64 {
    rounded(1.0 / (1.0 + (-score).exp()), PROBABILITY_DIGITS)
}

fn rounded_point(point: Point) -> Point {
    Point::new(rounded(point.x, PIXEL_DIGITS), rounded(point.y, PIXEL_DIGITS))
}

pub(crate) fn rounded_rect(rect: Rect) -> Rect {
    let [left, top, right, bottom] =
        [rect.left, rect.top, rect.right, rect.bottom].map(|edge| rounded(edge, PIXEL_DIGITS));
    Rect::new(left, top, right, bottom)
}

/// Corners `[x, y]`, to be written.
pub(crate) fn corners(outline: &[Point]) -> Vec<[f64; 2]> {
    outline.iter().map(|&point| rounded_point(point)).map(|point| [point.x, point.y]).collect()
}

/// An area in square pixels, to be written.
pub(crate) fn rounded_area(area: f64) -> f64 {
    rounded(area, PIXEL_DIGITS)
}

/// A score in log-odds, to be written.
pub(crate) fn rounded_score(score: f64) -> f64 {
    rounded(score, SCORE_DIGITS)
}

/// To so many digits after the point, without a negative zero.
fn rounded(value: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (value * factor).round() / factor + 0.0
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
pub(crate) mod tests {
    use super::*;
    use locam_core::ClassId;

    pub(crate) fn record() -> ImageRecord {
        let region = Region {
            class: ClassId(1),
            score: 2.123_456_7,
            peak: Point::new(10.04, 20.06),
            centroid: Point::new(11.0, 21.55),
            rect: Rect::new(-0.01, 1.0, 30.26, 40.0),
            area: 1234.567,
            outline: Rect::new(-0.01, 1.0, 30.26, 40.0).corners().to_vec(),
            at_border: true,
        };
        ImageRecord { image: "a, \"b\".png".to_owned(), size: Size::new(640, 480), regions: vec![region] }
    }

    pub(crate) fn names() -> Vec<String> {
        vec!["background".to_owned(), "white <cell>".to_owned()]
    }

    #[test]
    fn the_table_has_the_documented_columns_and_digits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regions.csv");
        write_csv(&path, &[record()], &names()).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "image,number,class,score,probability,peak_x,peak_y,centroid_x,centroid_y,left,top,right,bottom,area,at_border\n\
             \"a, \"\"b\"\".png\",1,white <cell>,2.1235,0.893162,10.0,20.1,11.0,21.6,0.0,1.0,30.3,40.0,1234.6,true\n"
        );
    }

    #[test]
    fn a_table_without_regions_has_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regions.csv");
        write_csv(&path, &[], &names()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[test]
    fn json_says_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_json(&path, &record(), &names()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(json["size"]["width"], 640);
        assert_eq!(json["regions"][0]["number"], 1);
        assert_eq!(json["regions"][0]["outline"][2], serde_json::json!([30.3, 40.0]));
        assert_eq!(json["regions"][0]["class"], "white <cell>");
        assert_eq!(json["regions"][0]["score"], 2.1235);
        assert_eq!(json["regions"][0]["rect"]["right"], 30.3);
    }

    #[test]
    fn endless_scores_have_probabilities() {
        assert!(probability(f64::INFINITY) == 1.0 && probability(-1e308) == 0.0);
    }
}
