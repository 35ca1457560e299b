//! Generated smears on disk in the layout of Pascal VOC: a box around every white cell.

use super::{CellKind, Smear, SmearConfig, SmearPlan, generate};
use crate::DataError;
use image::codecs::jpeg::JpegEncoder;
use rayon::prelude::*;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A JPEG quality that microscope cameras use.
const QUALITY: u8 = 90;

/// What cells are called in the annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellNames {
    /// `blast` or `healthy`.
    Kinds,
    /// `WBC`, whatever they are.
    WhiteCells,
}

/// Fields that make up one part of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct VocFields {
    /// The name of the list in `ImageSets/Main`: `train`, `val` or `test`; no list where it is `None`.
    pub list: Option<String>,
    /// What the files' names begin with.
    pub prefix: String,
    /// What cells are called.
    pub names: CellNames,
    /// The fields.
    pub smears: Vec<SmearConfig>,
}

impl SmearPlan {
    /// The plan's whole fields with boxes, as a part of a data set. The names hold the seed, so that fields of several plans
    /// can lie in one folder.
    pub fn voc_fields(&self, list: Option<&str>) -> VocFields {
        VocFields {
            list: list.map(str::to_owned),
            prefix: format!("smear-{}", self.seed),
            names: CellNames::WhiteCells,
            smears: self.field_configs(),
        }
    }
}

/// Generates the fields and writes images, boxes and the part's list into `folder`, beside what other parts lie there: a list that
/// is there keeps what has another prefix. Returns the number of white cells.
///
/// # Errors
/// [`DataError::Write`], and [`DataError::Read`] where a list is there that can't be read.
pub fn write_voc(folder: &Path, part: &VocFields) -> Result<usize, DataError> {
    for name in ["JPEGImages", "Annotations", "ImageSets/Main"] {
        let path = folder.join(name);
        fs::create_dir_all(&path).map_err(write_error(&path))?;
    }
    let name = |index: usize| format!("{}-{:03}", part.prefix, index + 1);
    let counts: Result<Vec<usize>, DataError> = part
        .smears
        .par_iter()
        .enumerate()
        .with_max_len(1)
        .map(|(index, config)| write_field(folder, &name(index), &generate(config), part.names))
        .collect();
    if let Some(list) = &part.list {
        let path = folder.join(format!("ImageSets/Main/{list}.txt"));
        let mut names = others(&path, &format!("{}-", part.prefix))?;
        (0..part.smears.len()).for_each(|index| names.extend([&name(index), "\n"]));
        replace(&path, names.as_bytes())?;
    }
    Ok(counts?.into_iter().sum())
}

/// The lines of a list that don't begin so; none where there is no list.
fn others(list: &Path, prefix: &str) -> Result<String, DataError> {
    match fs::read_to_string(list) {
        Ok(lines) => {
            let others = lines.lines().filter(|line| !line.starts_with(prefix));
            Ok(others.flat_map(|line| [line, "\n"]).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(DataError::Read { path: list.to_owned(), source }),
    }
}

fn write_field(folder: &Path, name: &str, smear: &Smear, names: CellNames) -> Result<usize, DataError> {
    let path = folder.join(format!("JPEGImages/{name}.jpg"));
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    smear.image.write_with_encoder(encoder).map_err(|error| write_error(&path)(io::Error::other(error)))?;
    replace(&path, &jpeg)?;
    let xml = annotation(name, smear, names);
    replace(&folder.join(format!("Annotations/{name}.xml")), xml.as_bytes())?;
    Ok(smear.cells.len())
}

fn annotation(name: &str, smear: &Smear, names: CellNames) -> String {
    let (width, height) = smear.image.dimensions();
    let mut xml = format!(
        "<annotation>\n  <filename>{name}.jpg</filename>\n  \
         <size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n"
    );
    for cell in &smear.cells {
        let class = match (names, cell.kind) {
            (CellNames::WhiteCells, _) => "WBC",
            (CellNames::Kinds, CellKind::Blast) => "blast",
            (CellNames::Kinds, CellKind::Healthy) => "healthy",
        };
        let rect = cell.rect;
        // Writing to a string can't fail.
        let _ = writeln!(
            xml,
            "  <object><name>{class}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>",
            rect.left, rect.top, rect.right, rect.bottom
        );
    }
    xml + "</annotation>\n"
}

/// Writes a file beside its place and renames it.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    fs::write(&part, bytes).and_then(|()| fs::rename(&part, path)).map_err(write_error(path))
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> DataError {
    let path: PathBuf = path.to_owned();
    move |source| DataError::Write { path, source }
}
