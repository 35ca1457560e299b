use crate::predictions::{class_name, corners, probability};
use crate::{ImageRecord, ReportError, class_color, write_atomically};
use locam_core::Region;
use serde_json::{Value, json};
use std::path::Path;

/// Writes the regions of one image as `GeoJSON`: a feature collection that `QuPath` imports as detections, with their
/// outlines in pixels of the image, their class with its colour, and their score (log-odds), probability, area (square
/// pixels) and number as measurements. Features are written one by one.
///
/// # Errors
/// When the file can't be written.
pub fn write_geojson(path: &Path, record: &ImageRecord, class_names: &[String]) -> Result<(), ReportError> {
    write_atomically(path, |writer| {
        write!(writer, "{{\"type\":\"FeatureCollection\",\"features\":[")?;
        for (number, region) in (1..).zip(record.regions()) {
            writer.write_all(if number == 1 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut *writer, &feature(number, region, class_names))?;
        }
        writeln!(writer, "\n]}}")
    })
}

fn feature(number: usize, region: &Region, class_names: &[String]) -> Value {
    let mut ring = corners(&region.outline);
    ring.extend(ring.first().copied());
    json!({
        "type": "Feature",
        // QuPath takes identifiers in this form alone.
        "id": format!("00000000-0000-4000-8000-{number:012x}"),
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "objectType": "detection",
            "name": number.to_string(),
            "classification": {
                "name": class_name(region, class_names),
                "color": class_color(region.class),
            },
            "measurements": {
                "number": number,
                "score": region.score,
                "probability": probability(region.score),
                "area": region.area,
                "at border": u8::from(region.at_border),
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictions::tests::{empty_record, names, record};

    fn written(record: &ImageRecord) -> Value {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.geojson");
        write_geojson(&path, record, &names()).unwrap();
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
    }

    #[test]
    fn polygons_are_closed_and_carry_their_class() {
        let regions = [record().regions(), record().regions()].concat();
        let found = written(&ImageRecord::new("a", record().size(), regions));
        assert_eq!(found["features"].as_array().unwrap().len(), 2);
        let feature = &found["features"][1];
        let ring = feature["geometry"]["coordinates"][0].as_array().unwrap();
        assert!(ring.len() == 5 && ring[0] == ring[4], "{ring:?}");
        assert_eq!(feature["properties"]["classification"]["name"], "white <cell>");
        assert_eq!(feature["properties"]["measurements"]["number"], 2);
        assert_ne!(feature["id"], found["features"][0]["id"]);
    }

    #[test]
    fn nothing_found_is_a_collection_of_nothing() {
        let found = written(&empty_record());
        assert_eq!(found, json!({"type": "FeatureCollection", "features": []}));
    }
}
