use crate::predictions::{corners, probability, rounded_area, rounded_rect};
use crate::{ImageRecord, ReportError, write_atomically};
use locam_core::Region;
use serde_json::{Value, json};
use std::path::Path;

/// Writes the regions of all images as a data set in the format of COCO: `images`, `categories` and `annotations` with
/// boxes `[left, top, width, height]` and outlines in pixels, areas in square pixels, and each region's probability as
/// `score`. All identifiers count from 1: images in the order given, categories in the model's order.
///
/// The list of annotations alone is also what COCO's evaluation takes as results: see [`write_coco_results`].
///
/// # Errors
/// When the file can't be written.
pub fn write_coco(path: &Path, records: &[ImageRecord], class_names: &[String]) -> Result<(), ReportError> {
    let images: Vec<Value> = (1..)
        .zip(records)
        .map(|(id, record): (usize, _)| {
            let (width, height) = (record.size.width, record.size.height);
            json!({"id": id, "file_name": record.image, "width": width, "height": height})
        })
        .collect();
    let categories: Vec<Value> =
        (1..).zip(class_names).map(|(id, name): (usize, _)| json!({"id": id, "name": name})).collect();
    write_atomically(path, |writer| {
        write!(writer, "{{\"images\":")?;
        serde_json::to_writer(&mut *writer, &images)?;
        write!(writer, ",\n\"categories\":")?;
        serde_json::to_writer(&mut *writer, &categories)?;
        write!(writer, ",\n\"annotations\":")?;
        write_list(writer, records)?;
        writeln!(writer, "}}")
    })
}

/// Writes the regions of all images as results for COCO's evaluation, with the same identifiers as [`write_coco`].
///
/// # Errors
/// When the file can't be written.
pub fn write_coco_results(path: &Path, records: &[ImageRecord]) -> Result<(), ReportError> {
    write_atomically(path, |writer| {
        write_list(writer, records)?;
        writeln!(writer)
    })
}

fn write_list(writer: &mut dyn std::io::Write, records: &[ImageRecord]) -> std::io::Result<()> {
    let regions = (1..)
        .zip(records)
        .flat_map(|(image, record): (usize, _)| record.regions.iter().map(move |region| (image, region)));
    write!(writer, "[")?;
    for (id, (image, region)) in (1..).zip(regions) {
        writer.write_all(if id == 1 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *writer, &annotation(id, image, region))?;
    }
    write!(writer, "\n]")
}

fn annotation(id: usize, image: usize, region: &Region) -> Value {
    let rect = rounded_rect(region.rect);
    let rect =
        [rect.left, rect.top, rect.width(), rect.height()].map(|length| (length * 10.0).round() / 10.0);
    json!({
        "id": id,
        "image_id": image,
        "category_id": region.class.0 + 1,
        "bbox": rect,
        "area": rounded_area(region.area),
        "segmentation": [corners(&region.outline).concat()],
        "iscrowd": 0,
        "score": probability(region.score),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictions::tests::{names, record};

    #[test]
    fn both_files_agree_and_ids_count_from_one() {
        let folder = tempfile::tempdir().unwrap();
        let records = [ImageRecord { regions: Vec::new(), ..record() }, record()];
        let read = |name: &str| -> Value {
            serde_json::from_slice(&std::fs::read(folder.path().join(name)).unwrap()).unwrap()
        };
        write_coco(&folder.path().join("coco.json"), &records, &names()).unwrap();
        write_coco_results(&folder.path().join("results.json"), &records).unwrap();
        let (whole, results) = (read("coco.json"), read("results.json"));
        assert_eq!(whole["annotations"], results);
        assert_eq!(
            whole["images"][1],
            json!({"id": 2, "file_name": records[1].image, "width": 640, "height": 480})
        );
        let found = &results[0];
        assert_eq!((&found["image_id"], &found["category_id"]), (&json!(2), &json!(2)));
        assert_eq!(found["bbox"], json!([0.0, 1.0, 30.3, 39.0]));
        assert_eq!(found["segmentation"][0], json!([0.0, 1.0, 30.3, 1.0, 30.3, 40.0, 0.0, 40.0]));
    }

    #[test]
    fn nothing_found_is_an_empty_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        write_coco_results(&path, &[]).unwrap();
        let found: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(found, json!([]));
    }
}
