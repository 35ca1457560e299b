use crate::predictions::probability;
use crate::{ImageRecord, ReportError, write_atomically};
use std::path::Path;

/// Writes the regions of one image in the format of YOLO: a line `class x y width height probability` each, classes
/// counting from 0 in the model's order, boxes by their middle and size, inside the image and as fractions of its width
/// and height.
///
/// # Errors
/// When the file can't be written.
pub fn write_yolo(path: &Path, record: &ImageRecord) -> Result<(), ReportError> {
    let (width, height) = (f64::from(record.size().width), f64::from(record.size().height));
    write_atomically(path, |writer| {
        for region in record.regions() {
            let rect = region.rect.clamped_to(record.size());
            writeln!(
                writer,
                "{} {:.6} {:.6} {:.6} {:.6} {:.6}",
                region.class.0,
                rect.center().x / width,
                rect.center().y / height,
                rect.width() / width,
                rect.height() / height,
                probability(region.score),
            )?;
        }
        Ok(())
    })
}

/// Writes the names of the classes, one a line, as YOLO's `classes.txt`.
///
/// # Errors
/// When the file can't be written.
pub fn write_yolo_classes(path: &Path, class_names: &[String]) -> Result<(), ReportError> {
    write_atomically(path, |writer| class_names.iter().try_for_each(|name| writeln!(writer, "{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictions::tests::{empty_record, names, record};

    #[test]
    fn boxes_are_fractions_of_the_image_and_inside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let mut regions = record().regions().to_vec();
        regions[0].rect.right = 700.0;
        write_yolo(&path, &ImageRecord::new("a", record().size(), regions)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "1 0.500000 0.042708 1.000000 0.081250 0.893166\n");
    }

    #[test]
    fn an_image_without_regions_has_an_empty_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, classes) = (folder.path().join("a.txt"), folder.path().join("classes.txt"));
        write_yolo(&path, &empty_record()).unwrap();
        write_yolo_classes(&classes, &names()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        assert_eq!(std::fs::read_to_string(&classes).unwrap(), "background\nwhite <cell>\n");
    }
}
