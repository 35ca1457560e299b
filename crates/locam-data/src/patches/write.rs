use super::{PatchClass, PatchPlan, PatchSet, plan_patches};
use crate::{DataError, Dataset, Patch, Problem, Split, cut, read_rgb, resize};
use image::ImageFormat;
use locam_core::Size;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenPatches {
    /// Patches per class, by name.
    pub counts: BTreeMap<String, usize>,
    /// Images that were passed over.
    pub problems: Vec<Problem>,
}

/// Cuts patches into a folder per class, resized to `side_out` pixels, with a `manifest.csv` that names for each its
/// class, its source (as `group`, so that splits keep sources together) and its window. The manifest is a data set
/// in the CSV layout; splits that the data gave are kept in it.
///
/// Everything is written beside `out` first and takes its name at the end.
///
/// # Errors
/// Those of [`plan_patches`]; [`DataError::Exists`] where `out` has something in it; files that can't be written.
pub fn write_patches(
    data: &Dataset,
    plan: &PatchPlan,
    out: &Path,
    side_out: u32,
) -> Result<WrittenPatches, DataError> {
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(DataError::Exists { path: out.to_owned() });
    }
    let set = plan_patches(data, plan)?;
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let unfinished = out.with_file_name(name);
    let result = fill(&unfinished, data, &set, side_out).and_then(|written| {
        if out.is_dir() {
            fs::remove_dir(out).map_err(write_error(out))?;
        }
        fs::rename(&unfinished, out).map_err(write_error(out))?;
        Ok(written)
    });
    if result.is_err() {
        // What is half done is of no use, and the error says why; a failure to remove it would only hide that.
        let _ = fs::remove_dir_all(&unfinished);
    }
    result
}

fn fill(folder: &Path, data: &Dataset, set: &PatchSet, side: u32) -> Result<WrittenPatches, DataError> {
    for PatchClass { name, .. } in &set.classes {
        let path = folder.join(folder_name(name));
        fs::create_dir_all(&path).map_err(write_error(&path))?;
    }
    let mut by_image: BTreeMap<&Path, Vec<(usize, &Patch)>> = BTreeMap::new();
    for (i, patch) in set.patches.iter().enumerate() {
        by_image.entry(&patch.path).or_default().push((i, patch));
    }
    let images: Vec<_> = by_image.into_iter().collect();
    let outcomes: Vec<Result<Vec<(usize, PathBuf)>, Outcome>> = images
        .par_iter()
        .map(|(path, patches)| write_image_patches(folder, path, patches, set, side))
        .collect();
    let mut written = WrittenPatches { counts: BTreeMap::new(), problems: set.problems.clone() };
    let mut files: BTreeMap<usize, PathBuf> = BTreeMap::new();
    for outcome in outcomes {
        match outcome {
            Ok(done) => files.extend(done),
            Err(Outcome::Unreadable(problem)) => written.problems.push(problem),
            Err(Outcome::Failed(error)) => return Err(error),
        }
    }
    write_manifest(&folder.join("manifest.csv"), data, set, &files)?;
    for i in files.keys() {
        *written.counts.entry(set.classes[set.patches[*i].class.0].name.clone()).or_default() += 1;
    }
    Ok(written)
}

/// Why an image gave no patches: it is bad, or the disk is.
enum Outcome {
    Unreadable(Problem),
    Failed(DataError),
}

fn write_image_patches(
    folder: &Path,
    path: &Path,
    patches: &[(usize, &Patch)],
    set: &PatchSet,
    side: u32,
) -> Result<Vec<(usize, PathBuf)>, Outcome> {
    let unreadable =
        |error: DataError| Outcome::Unreadable(Problem { path: path.to_owned(), message: error.to_string() });
    let image = read_rgb(path).map_err(unreadable)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    patches
        .iter()
        .map(|&(i, patch)| {
            let whole = patch.crop.map_or_else(|| image.clone(), |crop| cut(&image, crop));
            let resized = resize(&whole, Size::new(side, side)).map_err(unreadable)?;
            let class = folder_name(&set.classes[patch.class.0].name);
            let file = PathBuf::from(class).join(format!("{stem}-{i:06}.png"));
            let mut png = Cursor::new(Vec::new());
            let target = folder.join(&file);
            resized.write_to(&mut png, ImageFormat::Png).map_err(|error| {
                Outcome::Failed(DataError::Write {
                    path: target.clone(),
                    source: std::io::Error::other(error),
                })
            })?;
            fs::write(&target, png.into_inner()).map_err(|e| Outcome::Failed(write_error(&target)(e)))?;
            Ok((i, file))
        })
        .collect()
}

fn write_manifest(
    path: &Path,
    data: &Dataset,
    set: &PatchSet,
    files: &BTreeMap<usize, PathBuf>,
) -> Result<(), DataError> {
    let splits_given = data.items.iter().any(|item| item.split.is_some());
    let failed = |error: csv::Error| write_error(path)(std::io::Error::other(error));
    let mut writer = csv::Writer::from_path(path).map_err(failed)?;
    let header = ["path", "label", "split", "group", "source", "left", "top", "side"];
    writer.write_record(header).map_err(failed)?;
    for (i, file) in files {
        let patch = &set.patches[*i];
        let source = patch.path.strip_prefix(&data.root).unwrap_or(&patch.path).display().to_string();
        let split = match patch.split {
            _ if !splits_given => "",
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        };
        let number = |value: Option<i64>| value.map_or_else(String::new, |value| value.to_string());
        writer
            .write_record([
                file.display().to_string(),
                set.classes[patch.class.0].name.clone(),
                split.to_owned(),
                source.clone(),
                source,
                number(patch.crop.map(|crop| crop.left)),
                number(patch.crop.map(|crop| crop.top)),
                number(patch.crop.map(|crop| i64::from(crop.side))),
            ])
            .map_err(failed)?;
    }
    writer.flush().map_err(write_error(path))
}

/// A class name as a folder name.
fn folder_name(class: &str) -> String {
    let plain: String = class.chars().map(|c| if matches!(c, '/' | '\\' | ':') { '_' } else { c }).collect();
    if plain.starts_with('.') || plain.is_empty() { format!("_{plain}") } else { plain }
}

fn write_error(path: &Path) -> impl FnOnce(std::io::Error) -> DataError {
    let path = path.to_owned();
    move |source| DataError::Write { path, source }
}
