//! `GeoJSON` as QuPath exports and imports it: the features of one image in a file of the image's name.

use super::{Entry, EntryShape, text_of};
use crate::DataError;
use locam_core::Point;
use serde_json::Value;
use std::path::{Path, PathBuf};

pub(super) fn read_folder(folder: &Path) -> Result<Vec<Entry>, DataError> {
    let read = |source| DataError::Read { path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(read)?.collect::<Result<Vec<_>, _>>().map_err(read)?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "geojson"));
    files.sort();
    if files.is_empty() {
        let reason = "holds no .geojson file, one per image, named after it".to_owned();
        return Err(DataError::Manifest { path: folder.to_owned(), reason });
    }
    let mut all = Vec::new();
    for file in files {
        all.extend(read_file(&file)?);
    }
    Ok(all)
}

pub(super) fn read_file(path: &Path) -> Result<Vec<Entry>, DataError> {
    let wrong = |reason: String| DataError::Manifest { path: path.to_owned(), reason };
    let value: Value = serde_json::from_str(&text_of(path)?).map_err(|error| wrong(error.to_string()))?;
    // QuPath writes a collection, or a plain list of features.
    let features = value.get("features").unwrap_or(&value).as_array();
    let features = features.ok_or_else(|| wrong("is no GeoJSON collection of features".to_owned()))?;
    let image = path.file_stem().unwrap_or_default().to_string_lossy();
    (1..)
        .zip(features)
        .map(|(number, feature): (usize, _)| {
            let place = format!("feature {number} of {}", path.display());
            entry(&image, feature, place.clone()).ok_or_else(|| {
                wrong(format!("{place} has no geometry of the types Point, Polygon or MultiPolygon"))
            })
        })
        .collect()
}

fn entry(image: &str, feature: &Value, place: String) -> Option<Entry> {
    let properties = &feature["properties"];
    Some(Entry {
        image: image.to_owned(),
        class: properties["classification"]["name"].as_str().map(str::to_owned),
        score: score(&properties["measurements"]),
        shape: shape(&feature["geometry"])?,
        place,
    })
}

/// The first of these measurements that is there; as an object, or as a list of names and values in older files.
fn score(measurements: &Value) -> Option<f64> {
    ["probability", "detection probability", "score"].into_iter().find_map(|wanted| {
        let in_object = || {
            let (_, value) =
                measurements.as_object()?.iter().find(|(name, _)| name.to_lowercase() == wanted)?;
            value.as_f64()
        };
        let in_list = || {
            let is_it =
                |entry: &&Value| entry["name"].as_str().is_some_and(|name| name.to_lowercase() == wanted);
            measurements.as_array()?.iter().find(is_it)?["value"].as_f64()
        };
        in_object().or_else(in_list)
    })
}

fn shape(geometry: &Value) -> Option<EntryShape> {
    let coordinates = &geometry["coordinates"];
    match geometry["type"].as_str()? {
        "Point" => Some(EntryShape::Point(point(coordinates)?)),
        "Polygon" => Some(EntryShape::Polygon(ring(coordinates)?)),
        "MultiPolygon" => {
            let rings: Option<Vec<Vec<Point>>> = coordinates.as_array()?.iter().map(ring).collect();
            let largest = |a: &Vec<Point>, b: &Vec<Point>| {
                super::middle_and_area(a).1.total_cmp(&super::middle_and_area(b).1)
            };
            rings?.into_iter().max_by(largest).map(EntryShape::Polygon)
        }
        _ => None,
    }
}

/// The outer ring of a polygon, without its first corner repeated.
fn ring(polygon: &Value) -> Option<Vec<Point>> {
    let mut corners: Vec<Point> = polygon.get(0)?.as_array()?.iter().map(point).collect::<Option<_>>()?;
    if corners.len() > 1 && corners.first() == corners.last() {
        corners.pop();
    }
    (!corners.is_empty()).then_some(corners)
}

fn point(value: &Value) -> Option<Point> {
    Some(Point::new(value.get(0)?.as_f64()?, value.get(1)?.as_f64()?))
}
