//! Finds the image files that a user named.

use crate::Error;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Expands files, folders (their images, not those of folders inside) and glob patterns into image files, in the
/// order given and sorted within each, each file once.
///
/// # Errors
/// A path that doesn't exist, a pattern that matches nothing, a folder without images.
pub fn find_images(given: &[String]) -> Result<Vec<PathBuf>, Error> {
    let (mut found, mut known) = (Vec::new(), HashSet::new());
    for argument in given {
        let new = expand(argument)?.into_iter().filter(|path| known.insert(path.clone()));
        found.extend(new);
    }
    Ok(found)
}

fn expand(argument: &str) -> Result<Vec<PathBuf>, Error> {
    let path = Path::new(argument);
    if path.is_dir() {
        return images_in(path);
    }
    if path.exists() {
        return Ok(vec![path.to_owned()]);
    }
    let no_images = |reason: String| Error::NoImages { given: argument.to_owned(), reason };
    if !argument.contains(['*', '?', '[']) {
        return Err(no_images("there is no such file or folder".to_owned()));
    }
    let matches = glob::glob(argument).map_err(|e| no_images(format!("the pattern is malformed: {e}")))?;
    let mut paths: Vec<PathBuf> = matches
        .filter_map(Result::ok)
        .filter(|path| path.is_file() && locam_data::is_image_path(path))
        .collect();
    paths.sort();
    if paths.is_empty() {
        return Err(no_images("the pattern matches no image file".to_owned()));
    }
    Ok(paths)
}

fn images_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries =
        std::fs::read_dir(folder).map_err(|source| Error::Io { path: folder.to_owned(), source })?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && locam_data::is_image_path(path))
        .collect();
    paths.sort();
    if paths.is_empty() {
        let reason =
            "the folder holds no image (jpg, png, tif, svs, bmp, webp; slides such as ndpi and mrxs with a \
                      build that has `--features slides`)"
                .to_owned();
        return Err(Error::NoImages { given: folder.display().to_string(), reason });
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_files_and_patterns_give_each_image_once() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.png", "a.jpg", "notes.txt"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let whole = folder.path().display().to_string();
        let given = [whole.clone(), format!("{whole}/*.png"), format!("{whole}/a.jpg")];
        let names: Vec<_> = find_images(&given)
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["a.jpg", "b.png"]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        for given in ["/no/such/file.png", "/no/such/*.png"] {
            let error = find_images(&[given.to_owned()]).unwrap_err().to_string();
            assert!(error.contains(given), "{error}");
        }
    }
}
