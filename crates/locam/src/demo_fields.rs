//! The demonstration's smears on disk, in the layout of Pascal VOC, so that every command can read them again.

use crate::Error;
use image::codecs::jpeg::JpegEncoder;
use locam_data::{CellKind, Smear, SmearConfig, Split, generate};
use locam_report::write_atomically;
use std::fmt::Write as _;
use std::path::Path;

/// A JPEG quality that microscope cameras use.
const QUALITY: u8 = 90;

/// The smears of one part of the data.
#[derive(Debug)]
pub(crate) struct FieldSet {
    pub(crate) split: Split,
    pub(crate) smears: Vec<SmearConfig>,
}

/// Generates the smears and writes images, boxes and split lists.
///
/// # Errors
/// Files that can't be written.
pub(crate) fn write_fields(folder: &Path, sets: &[FieldSet]) -> Result<(), Error> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    for part in ["JPEGImages", "Annotations", "ImageSets/Main"] {
        let path = folder.join(part);
        std::fs::create_dir_all(&path).map_err(io(&path))?;
    }
    for set in sets {
        let split = crate::split_name(set.split);
        let mut names = String::new();
        for (i, config) in set.smears.iter().enumerate() {
            let name = format!("{split}-{:03}", i + 1);
            write_field(folder, &name, &generate(config))?;
            let _ = writeln!(names, "{name}");
        }
        let list = folder.join(format!("ImageSets/Main/{split}.txt"));
        write_atomically(&list, |file| file.write_all(names.as_bytes()))?;
    }
    Ok(())
}

fn write_field(folder: &Path, name: &str, smear: &Smear) -> Result<(), Error> {
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    smear.image.write_with_encoder(encoder).map_err(|error| Error::Request(format!("{name}: {error}")))?;
    write_atomically(&folder.join(format!("JPEGImages/{name}.jpg")), |file| file.write_all(&jpeg))?;
    let xml = annotation(name, smear);
    write_atomically(&folder.join(format!("Annotations/{name}.xml")), |file| file.write_all(xml.as_bytes()))?;
    Ok(())
}

fn annotation(name: &str, smear: &Smear) -> String {
    let (width, height) = smear.image.dimensions();
    let mut xml = format!(
        "<annotation>\n  <filename>{name}.jpg</filename>\n  \
         <size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n"
    );
    for cell in &smear.cells {
        let kind = match cell.kind {
            CellKind::Blast => "blast",
            CellKind::Healthy => "healthy",
        };
        let rect = cell.rect;
        let _ = writeln!(
            xml,
            "  <object><name>{kind}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>",
            rect.left, rect.top, rect.right, rect.bottom
        );
    }
    xml + "</annotation>\n"
}
