use crate::predictions::{corners, probability, rounded_length};
use crate::{ImageRecord, Records, ReportError, write_atomically};
use locam_core::{Region, Size};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;

/// Writes the regions of all images as a data set in the format of COCO: `images`, `categories` and `annotations` with
/// boxes `[left, top, width, height]` and outlines in pixels, areas in square pixels, and each region's probability as
/// `score`. All identifiers count from 1: images in the order given, categories in the model's order.
///
/// The list of annotations alone is also what COCO's evaluation takes as results: see [`write_coco_results`].
///
/// # Errors
/// When a record can't be read, or the file not written.
pub fn write_coco(path: &Path, records: &Records) -> Result<(), ReportError> {
    let names = records.class_names();
    let categories: Vec<Value> =
        (1..).zip(names).map(|(id, name): (usize, _)| json!({"id": id, "name": name})).collect();
    write_atomically(path, |writer| {
        // pycocotools refuses results for a data set without this.
        write!(writer, "{{\"info\":{{\"description\":\"regions found by locam\"}},\n\"images\":")?;
        write_list(writer, records, |id, record| vec![image(id, record)])?;
        write!(writer, ",\n\"categories\":")?;
        serde_json::to_writer(&mut *writer, &categories)?;
        write!(writer, ",\n\"annotations\":")?;
        write_annotations(writer, records)?;
        writeln!(writer, "}}")
    })
}

/// Writes the regions of all images as results for COCO's evaluation, with the same identifiers as [`write_coco`].
///
/// # Errors
/// When a record can't be read, or the file not written.
pub fn write_coco_results(path: &Path, records: &Records) -> Result<(), ReportError> {
    write_atomically(path, |writer| {
        write_annotations(writer, records)?;
        writeln!(writer)
    })
}

fn write_annotations(writer: &mut dyn Write, records: &Records) -> io::Result<()> {
    let mut ids = 1..;
    write_list(writer, records, |image, record| {
        let regions = record.regions().iter();
        regions.zip(ids.by_ref()).map(|(region, id)| annotation(id, image, region)).collect()
    })
}

/// The elements that all records give, as one list.
fn write_list(
    writer: &mut dyn Write,
    records: &Records,
    mut elements: impl FnMut(usize, &ImageRecord) -> Vec<Value>,
) -> io::Result<()> {
    let mut before: &[u8] = b"[\n";
    for (id, record) in (1..).zip(records.iter()) {
        for element in elements(id, &record?) {
            writer.write_all(before)?;
            before = b",\n";
            serde_json::to_writer(&mut *writer, &element)?;
        }
    }
    writer.write_all(if before == b",\n" { b"\n]" } else { b"[]" })
}

fn image(id: usize, record: &ImageRecord) -> Value {
    let Size { width, height } = record.size();
    json!({"id": id, "file_name": record.image(), "width": width, "height": height})
}

fn annotation(id: usize, image: usize, region: &Region) -> Value {
    let rect = region.rect;
    let rect = [rect.left, rect.top, rect.width(), rect.height()].map(rounded_length);
    json!({
        "id": id,
        "image_id": image,
        "category_id": region.class.0 + 1,
        "bbox": rect,
        "area": region.area,
        "segmentation": [corners(&region.outline).concat()],
        "iscrowd": 0,
        "score": probability(region.score),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictions::tests::{empty_record, record};
    use crate::records::tests::written_records;

    #[test]
    fn both_files_agree_and_ids_count_from_one() {
        let folder = tempfile::tempdir().unwrap();
        let records = written_records(folder.path(), &[empty_record(), record()]);
        let read = |name: &str| -> Value {
            serde_json::from_slice(&std::fs::read(folder.path().join(name)).unwrap()).unwrap()
        };
        write_coco(&folder.path().join("coco.json"), &records).unwrap();
        write_coco_results(&folder.path().join("results.json"), &records).unwrap();
        let (whole, results) = (read("coco.json"), read("results.json"));
        assert_eq!(whole["annotations"], results);
        assert!(whole["info"].is_object());
        assert_eq!(
            whole["images"][1],
            json!({"id": 2, "file_name": record().image(), "width": 640, "height": 480})
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
        write_coco_results(&path, &written_records(folder.path(), &[])).unwrap();
        let found: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(found, json!([]));
    }
}
