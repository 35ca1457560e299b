use crate::{Records, ReportError, write_atomically};
use locam_core::{ClassId, Point, Rect, Region, Size};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::{self, BufReader};
use std::path::Path;

/// What was found on one image, in the digits in which it is written: every file says the same.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageRecord {
    image: String,
    size: Size,
    regions: Vec<Region>,
}

impl ImageRecord {
    /// A record of regions in the order in which they are to be numbered. `image` is its name or path, as it is to stand in
    /// the files.
    pub fn new(image: impl Into<String>, size: Size, regions: Vec<Region>) -> Self {
        Self { image: image.into(), size, regions: regions.into_iter().map(rounded_region).collect() }
    }

    /// The image's name or path.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// The image's size in pixels.
    pub fn size(&self) -> Size {
        self.size
    }

    /// What was found; numbers count from 1 in this order.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }
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

#[derive(Serialize, Deserialize)]
struct JsonImage<'a> {
    image: Cow<'a, str>,
    size: Size,
    regions: Vec<JsonRegion<'a>>,
}

#[derive(Serialize, Deserialize)]
struct JsonRegion<'a> {
    number: usize,
    class: Cow<'a, str>,
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
    let image = JsonImage { image: record.image.as_str().into(), size: record.size, regions };
    write_atomically(path, |writer| {
        serde_json::to_writer_pretty(&mut *writer, &image)?;
        writeln!(writer)
    })
}

/// Reads what [`write_json`] wrote, with the same `class_names`.
///
/// # Errors
/// A file that is not there or not of this kind, or that names another class.
pub fn read_json(path: &Path, class_names: &[String]) -> Result<ImageRecord, ReportError> {
    let failed = |source: io::Error| ReportError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let image: JsonImage<'_> =
        serde_json::from_reader(BufReader::new(file)).map_err(|error| failed(error.into()))?;
    let regions: Result<Vec<Region>, String> =
        image.regions.into_iter().map(|region| region_of(region, class_names)).collect();
    let regions = regions.map_err(|message| failed(io::Error::new(io::ErrorKind::InvalidData, message)))?;
    Ok(ImageRecord::new(image.image, image.size, regions))
}

fn region_of(region: JsonRegion<'_>, class_names: &[String]) -> Result<Region, String> {
    let class = class_names.iter().position(|name| *name == region.class);
    Ok(Region {
        class: ClassId(class.ok_or_else(|| format!("the model has no class `{}`", region.class))?),
        score: region.score,
        peak: region.peak,
        centroid: region.centroid,
        rect: region.rect,
        area: region.area,
        outline: region.outline.into_iter().map(|[x, y]| Point::new(x, y)).collect(),
        at_border: region.at_border,
    })
}

/// Writes the regions of all images as one CSV table with the columns `image, number, class, score, probability, peak_x, peak_y,
/// centroid_x, centroid_y, left, top, right, bottom, area, at_border`, units as in [`write_json`]. Images without regions have no
/// rows.
///
/// # Errors
/// When a record can't be read, or the file not written.
pub fn write_csv(path: &Path, records: &Records) -> Result<(), ReportError> {
    write_atomically(path, |writer| {
        let mut table = csv::WriterBuilder::new().has_headers(false).from_writer(writer);
        table.write_record(COLUMNS).map_err(io::Error::other)?;
        for record in records.iter() {
            let record = record?;
            for region in (1..).zip(&record.regions) {
                table
                    .serialize(row(&record.image, region, records.class_names()))
                    .map_err(io::Error::other)?;
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
        class: class_name(region, class_names).into(),
        score: region.score,
        probability: probability(region.score),
        peak: region.peak,
        centroid: region.centroid,
        rect: region.rect,
        area: region.area,
        at_border: region.at_border,
        outline: corners(&region.outline),
    }
}

fn row<'a>(image: &'a str, (number, region): (usize, &Region), class_names: &'a [String]) -> Row<'a> {
    Row {
        image,
        number,
        class: class_name(region, class_names),
        score: region.score,
        probability: probability(region.score),
        peak_x: region.peak.x,
        peak_y: region.peak.y,
        centroid_x: region.centroid.x,
        centroid_y: region.centroid.y,
        left: region.rect.left,
        top: region.rect.top,
        right: region.rect.right,
        bottom: region.rect.bottom,
        area: region.area,
        at_border: region.at_border,
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

/// Corners `[x, y]`, to be written.
pub(crate) fn corners(outline: &[Point]) -> Vec<[f64; 2]> {
    outline.iter().map(|point| [point.x, point.y]).collect()
}

/// A length or area that was calculated from rounded ones.
pub(crate) fn rounded_length(pixels: f64) -> f64 {
    rounded(pixels, PIXEL_DIGITS)
}

fn rounded_region(region: Region) -> Region {
    let point = |point: Point| Point::new(rounded_length(point.x), rounded_length(point.y));
    let [left, top, right, bottom] =
        [region.rect.left, region.rect.top, region.rect.right, region.rect.bottom].map(rounded_length);
    Region {
        score: rounded(region.score, SCORE_DIGITS),
        peak: point(region.peak),
        centroid: point(region.centroid),
        rect: Rect::new(left, top, right, bottom),
        area: rounded_length(region.area),
        outline: region.outline.into_iter().map(point).collect(),
        ..region
    }
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
    use crate::records::tests::written_records;

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
        ImageRecord::new("a, \"b\".png", Size::new(640, 480), vec![region])
    }

    /// The same image without a region.
    pub(crate) fn empty_record() -> ImageRecord {
        let ImageRecord { image, size, .. } = record();
        ImageRecord::new(image, size, Vec::new())
    }

    pub(crate) fn names() -> Vec<String> {
        vec!["background".to_owned(), "white <cell>".to_owned()]
    }

    #[test]
    fn the_table_has_the_documented_columns_and_digits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regions.csv");
        write_csv(&path, &written_records(folder.path(), &[record()])).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "image,number,class,score,probability,peak_x,peak_y,centroid_x,centroid_y,left,top,right,bottom,area,at_border\n\
             \"a, \"\"b\"\".png\",1,white <cell>,2.1235,0.893166,10.0,20.1,11.0,21.6,0.0,1.0,30.3,40.0,1234.6,true\n"
        );
    }

    #[test]
    fn a_table_without_regions_has_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regions.csv");
        write_csv(&path, &written_records(folder.path(), &[])).unwrap();
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
    fn json_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        for record in [record(), empty_record()] {
            write_json(&path, &record, &names()).unwrap();
            assert_eq!(read_json(&path, &names()).unwrap(), record);
        }
    }

    #[test]
    fn json_of_another_model_or_damaged_is_refused_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_json(&path, &record(), &names()).unwrap();
        let message = read_json(&path, &names()[..1]).unwrap_err().to_string();
        assert!(message.contains("a.json") && message.contains("white <cell>"), "{message}");
        std::fs::write(&path, b"{\"image\":").unwrap();
        assert!(read_json(&path, &names()).unwrap_err().to_string().contains("a.json"));
    }

    #[test]
    fn endless_scores_have_probabilities() {
        assert!(probability(f64::INFINITY) == 1.0 && probability(-1e308) == 0.0);
    }
}
