//! What a run over many images has finished, so that the same command goes on where it was stopped.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The journal's name in the run's folder.
pub(crate) const JOURNAL: &str = "run.jsonl";

/// An image whose files are all written, and the state in which it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Finished {
    /// The name of its files.
    name: String,
    /// Its path as it was given.
    image: String,
    /// Its size in bytes.
    bytes: u64,
    /// When it was last changed, in seconds since 1970; absent where the system doesn't know.
    modified: Option<String>,
}

impl Finished {
    /// The state that an image has now.
    ///
    /// # Errors
    /// An image that isn't there.
    pub(crate) fn of(image: &Path, name: &str) -> std::io::Result<Self> {
        let metadata = std::fs::metadata(image)?;
        let age = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Ok(Self {
            name: name.to_owned(),
            image: image.display().to_string(),
            bytes: metadata.len(),
            modified: age.map(|age| format!("{}.{:09}", age.as_secs(), age.subsec_nanos())),
        })
    }
}

/// Whether a run goes on or begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// The folder holds the same plan's run.
    GoOn,
    /// It holds none, or that of another plan, which counts no longer.
    Anew,
}

/// A file of one line of JSON for the plan (model, options, whatever changes what is written) and one for each finished image.
/// Lines are appended once an image's files are on the disk; a line that was cut off doesn't count. While a run is at
/// work its journal is locked.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    finished: HashMap<String, Finished>,
}

impl Journal {
    /// Opens the journal in `folder`, and forgets what it holds unless that is of the same `plan`, a line of JSON.
    ///
    /// # Errors
    /// Another run at work in the folder; a file that can't be read or written.
    pub(crate) fn open(folder: &Path, plan: &str) -> Result<(Self, Begin), Error> {
        let path = folder.join(JOURNAL);
        let io = |source| Error::Io { path: path.clone(), source };
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io);
        let mut file = options?;
        // Where the file system knows no locks the run goes on without.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::Request(format!(
                "another locam is writing into {}; wait until it has finished, or name another folder with --out",
                folder.display()
            )));
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(io)?;
        let first = format!("{plan}\n");
        let (finished, length, begin) = match text.strip_prefix(first.as_bytes()) {
            Some(lines) => {
                let (finished, length) = whole_lines(lines);
                (finished, first.len() + length, Begin::GoOn)
            }
            None => (HashMap::new(), 0, Begin::Anew),
        };
        file.set_len(length as u64).and_then(|()| file.seek(SeekFrom::End(0))).map_err(io)?;
        let journal = Self { path: path.clone(), file, finished };
        if begin == Begin::Anew {
            journal.append(plan)?;
        }
        Ok((journal, begin))
    }

    /// Whether the image was finished in this state.
    pub(crate) fn holds(&self, image: &Finished) -> bool {
        self.finished.get(&image.name) == Some(image)
    }

    /// Notes that all files of an image are written.
    ///
    /// # Errors
    /// A disk that is full.
    pub(crate) fn add(&self, image: &Finished) -> Result<(), Error> {
        let line = serde_json::to_string(image)
            .map_err(|error| Error::Io { path: self.path.clone(), source: error.into() })?;
        self.append(&line)
    }

    fn append(&self, line: &str) -> Result<(), Error> {
        let written = (&self.file).write_all(format!("{line}\n").as_bytes());
        written
            .and_then(|()| self.file.sync_data())
            .map_err(|source| Error::Io { path: self.path.clone(), source })
    }
}

/// The images on the lines before the first that is damaged, and the length of these.
fn whole_lines(text: &[u8]) -> (HashMap<String, Finished>, usize) {
    let (mut finished, mut length) = (HashMap::new(), 0);
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        match serde_json::from_slice::<Finished>(line) {
            Ok(image) if line.ends_with(b"\n") => finished.insert(image.name.clone(), image),
            _ => break,
        };
        length += line.len();
    }
    (finished, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"{"plan":1}"#;

    fn image(folder: &Path, name: &str) -> Finished {
        let path = folder.join(name);
        std::fs::write(&path, name).unwrap();
        Finished::of(&path, name).unwrap()
    }

    #[test]
    fn what_is_finished_is_known_again_wherever_the_file_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (image(folder.path(), "a"), image(folder.path(), "b"));
        let path = folder.path().join(JOURNAL);
        let (journal, begin) = Journal::open(folder.path(), PLAN).unwrap();
        assert_eq!(begin, Begin::Anew);
        journal.add(&a).unwrap();
        let one = std::fs::metadata(&path).unwrap().len() as usize;
        journal.add(&b).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (journal, begin) = Journal::open(folder.path(), PLAN).unwrap();
            assert_eq!(begin == Begin::GoOn, length > PLAN.len(), "{length}");
            assert_eq!((journal.holds(&a), journal.holds(&b)), (length >= one, length == whole.len()));
            journal.add(&b).unwrap();
            drop(journal);
            assert!(Journal::open(folder.path(), PLAN).unwrap().0.holds(&b), "{length}");
        }
    }

    #[test]
    fn another_plan_or_a_changed_image_runs_again() {
        let folder = tempfile::tempdir().unwrap();
        let a = image(folder.path(), "a");
        Journal::open(folder.path(), PLAN).unwrap().0.add(&a).unwrap();
        std::fs::write(folder.path().join("a"), "longer than before").unwrap();
        let changed = Finished::of(&folder.path().join("a"), "a").unwrap();
        let (journal, _) = Journal::open(folder.path(), PLAN).unwrap();
        assert!(journal.holds(&a) && !journal.holds(&changed));
        drop(journal);
        let (journal, begin) = Journal::open(folder.path(), r#"{"plan":2}"#).unwrap();
        assert!(begin == Begin::Anew && !journal.holds(&a));
    }

    #[test]
    fn two_runs_in_one_folder_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let first = Journal::open(folder.path(), PLAN).unwrap();
        let message = Journal::open(folder.path(), PLAN).unwrap_err().to_string();
        assert!(message.contains("--out"), "{message}");
        drop(first);
        assert!(Journal::open(folder.path(), PLAN).is_ok());
    }
}
