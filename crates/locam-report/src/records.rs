use crate::{ImageRecord, ReportError, read_json};
use std::io;
use std::path::PathBuf;

/// The records of many images, read one at a time from the files that [`write_json`](crate::write_json) wrote.
///
/// Tables of a whole run are made from these files, so that no run is too long for the memory, and a table says the
/// same whether the run was interrupted or not.
#[derive(Clone, Debug)]
pub struct Records {
    paths: Vec<PathBuf>,
    class_names: Vec<String>,
}

impl Records {
    /// The records in these files, in this order. `class_names` are those of the model, by class.
    pub fn new(paths: Vec<PathBuf>, class_names: Vec<String>) -> Self {
        Self { paths, class_names }
    }

    pub(crate) fn class_names(&self) -> &[String] {
        &self.class_names
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = io::Result<ImageRecord>> {
        let read = |path: &PathBuf| read_json(path, &self.class_names);
        self.paths.iter().map(move |path| read(path).map_err(|error: ReportError| io::Error::other(error)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::predictions::tests::{names, record};
    use crate::{write_csv, write_json};
    use std::path::Path;

    /// Records in files of `folder`.
    pub(crate) fn written_records(folder: &Path, records: &[ImageRecord]) -> Records {
        let paths: Vec<PathBuf> = (0..records.len()).map(|i| folder.join(format!("{i}.json"))).collect();
        for (path, record) in paths.iter().zip(records) {
            write_json(path, record, &names()).unwrap();
        }
        Records::new(paths, names())
    }

    #[test]
    fn a_record_that_is_gone_is_named_and_no_table_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let records = written_records(folder.path(), &[record(), record()]);
        std::fs::remove_file(folder.path().join("1.json")).unwrap();
        let table = folder.path().join("regions.csv");
        let message = write_csv(&table, &records).unwrap_err().to_string();
        assert!(message.contains("1.json") && !message.contains("regions.csv"), "{message}");
        assert!(!table.exists());
    }
}
