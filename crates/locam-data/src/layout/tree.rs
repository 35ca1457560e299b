use crate::{DataError, Split, is_image_path};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Folders deeper than this are not entered, which also ends links that lead back.
const DEEPEST: usize = 12;

/// All files below a folder, or one file alone.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    /// Whole paths, sorted.
    files: Vec<PathBuf>,
}

impl Tree {
    /// Lists the files below `path`, hidden ones aside.
    pub(super) fn read(path: &Path) -> Result<Self, DataError> {
        let mut files = Vec::new();
        let about =
            std::fs::metadata(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
        if about.is_file() {
            files.push(path.to_owned());
        } else {
            list(path, DEEPEST, &mut files)?;
        }
        files.sort();
        Ok(Self { root: path.to_owned(), files })
    }

    /// The folder or file that was opened.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Every file.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The files that are images by their names.
    pub(super) fn images(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.iter().filter(|path| is_image_path(path))
    }

    /// The files with one of these endings.
    pub(super) fn with_extension(&self, extension: &str) -> impl Iterator<Item = &PathBuf> {
        self.files.iter().filter(move |path| has_extension(path, extension))
    }

    /// The path below the root, part by part.
    pub(super) fn parts(&self, path: &Path) -> Vec<String> {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
    }

    /// The split that a folder above the file is named after.
    pub(super) fn split_of(&self, path: &Path) -> Option<Split> {
        let parts = self.parts(path);
        let folders = parts.split_last().map_or(&[][..], |(_, folders)| folders);
        folders.iter().rev().find_map(|name| split_named(name))
    }

    /// Images by their names without extension.
    pub(super) fn images_by_stem(&self) -> BTreeMap<String, Vec<&PathBuf>> {
        let mut by_stem: BTreeMap<String, Vec<&PathBuf>> = BTreeMap::new();
        for path in self.images() {
            by_stem.entry(stem(path)).or_default().push(path);
        }
        by_stem
    }
}

fn list(folder: &Path, deeper: usize, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let read = |source| DataError::Read { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if !path.is_dir() {
            files.push(path);
        } else if deeper > 0 {
            list(&path, deeper - 1, files)?;
        }
    }
    Ok(())
}

/// The split that a word stands for.
pub(super) fn split_named(word: &str) -> Option<Split> {
    match word.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "val" | "valid" | "validation" | "dev" => Some(Split::Val),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    }
}

/// Whether a file's name ends so, in any case of letters.
pub(super) fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// The file's name without its extension.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

/// Of several files with one name, the one that shares the most folders with `beside`.
pub(super) fn nearest<'a>(candidates: &[&'a PathBuf], beside: &Path) -> Option<&'a PathBuf> {
    let shared = |path: &Path| path.components().zip(beside.components()).take_while(|(a, b)| a == b).count();
    candidates.iter().max_by_key(|path| (shared(path), std::cmp::Reverse(*path))).copied()
}

/// Reads a text file, whatever its bytes.
pub(super) fn read_text(path: &Path) -> Result<String, DataError> {
    let bytes = std::fs::read(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Parses every line of a text file that is not blank; the first that is wrong is an error with its number.
pub(super) fn parse_lines<T>(
    path: &Path,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let text = read_text(path).map_err(|error| error.to_string())?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(i, line)| parse(line).map_err(|reason| format!("line {}: {reason}", i + 1)))
        .collect()
}

/// The start of a text file, to recognise it by.
pub(super) fn head(path: &Path) -> String {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(4096).read_to_end(&mut bytes));
    if read.is_ok() { String::from_utf8_lossy(&bytes).into_owned() } else { String::new() }
}
