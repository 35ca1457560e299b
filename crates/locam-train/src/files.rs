//! Writing so that a crash at any moment leaves either the old content or the new.

use crate::TrainError;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Names that start so are unfinished or replaced; nobody reads them.
const UNFINISHED: &str = ".unfinished-";

/// `path` with its name marked as unfinished.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(UNFINISHED);
    name.push(path.file_name().unwrap_or_default());
    path.with_file_name(name)
}

fn write_error(path: &Path) -> impl FnOnce(std::io::Error) -> TrainError + '_ {
    |source| TrainError::Write { path: path.to_owned(), source }
}

/// Makes a folder and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<(), TrainError> {
    fs::create_dir_all(path).map_err(write_error(path))
}

/// Replaces the file at `path`; the bytes are on the disk before the name points to them.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let new = unfinished(path);
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&new, path)).map_err(write_error(path))
}

/// Replaces the folder at `path` by the one that `fill` makes.
///
/// Between two renames there is no folder at `path`; a run that dies there makes it again when it is resumed.
pub(crate) fn replace_folder(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let new = unfinished(path);
    let old = unfinished(&path.with_extension("old"));
    remove_folder(&new)?;
    remove_folder(&old)?;
    fs::create_dir_all(&new).map_err(write_error(path))?;
    fill(&new)?;
    if path.exists() {
        fs::rename(path, &old).map_err(write_error(path))?;
    }
    fs::rename(&new, path).map_err(write_error(path))?;
    remove_folder(&old)
}

fn remove_folder(path: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::Write { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Whether a folder is absent or has nothing in it but what an interrupted write left.
pub(crate) fn is_empty_folder(path: &Path) -> Result<bool, TrainError> {
    let read_error = |source| TrainError::Read { path: path.to_owned(), source };
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        other => other.map_err(read_error)?,
    };
    for entry in entries {
        let name = entry.map_err(read_error)?.file_name();
        if !name.to_string_lossy().starts_with(UNFINISHED) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_fill_leaves_the_old_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("best");
        replace_folder(&path, |new| replace_file(&new.join("a"), b"old")).unwrap();
        let failed = replace_folder(&path, |new| {
            replace_file(&new.join("a"), b"new")?;
            Err(TrainError::NoRun { path: new.to_owned() })
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(path.join("a")).unwrap(), b"old");
        replace_folder(&path, |new| replace_file(&new.join("b"), b"new")).unwrap();
        assert!(!path.join("a").exists() && path.join("b").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn leftovers_of_a_crash_do_not_fill_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_empty_folder(&folder.path().join("absent")).unwrap());
        fs::write(folder.path().join(".unfinished-manifest.json"), "{").unwrap();
        assert!(is_empty_folder(folder.path()).unwrap());
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        assert!(!is_empty_folder(folder.path()).unwrap());
    }
}
