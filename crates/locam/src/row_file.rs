//! Rows of a large image's maps in a file, from which a run that was killed goes on inside the image.

use locam_net::KeptRows;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The rows of the maps that are made while an image is searched, one strip after the other.
///
/// The file is only there to save time. What can't be read in it is made again; where it can't be written the image is
/// searched without. It begins with a text that says of what the rows are, and counts for nothing with another one. Then come
/// records of some rows each: the strip's number, how many values there are, a checksum (CRC-32) of these and
/// the number, and the values (float32, all little-endian). A record that was cut off ends the file.
#[derive(Debug, Default)]
pub(crate) struct RowFile(Mutex<Option<Open>>);

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    /// Strips that were begun.
    strips: u32,
    /// Up to where the file was read or written.
    position: u64,
    length: u64,
}

/// Bytes before a record's values.
const HEAD: usize = 12;

impl RowFile {
    /// The rows of what `subject` names, as far as the file has them; they are kept from now on.
    pub(crate) fn open(path: &Path, subject: &str) -> Self {
        Self(Mutex::new(Open::new(path, subject).ok()))
    }

    /// Deletes the file and keeps nothing any more.
    pub(crate) fn give_up(&self) {
        if let Some(open) = self.lock().take() {
            let _ = std::fs::remove_file(open.path);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeptRows for RowFile {
    fn next_strip(&self) -> Vec<f32> {
        self.lock().as_mut().map_or_else(Vec::new, Open::next_strip)
    }

    fn add(&self, values: &[f32]) {
        let written = self.lock().as_mut().map_or(Ok(()), |open| open.add(values));
        if written.is_err() {
            self.give_up();
        }
    }
}

impl Open {
    fn new(path: &Path, subject: &str) -> std::io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let (mut file, subject) = (options?, format!("{subject}\n"));
        let mut found = Vec::new();
        (&file).take(subject.len() as u64).read_to_end(&mut found)?;
        if found != subject.as_bytes() {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(subject.as_bytes())?;
        }
        let length = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, strips: 0, position: subject.len() as u64, length })
    }

    fn next_strip(&mut self) -> Vec<f32> {
        self.strips += 1;
        let mut values = Vec::new();
        while let Some(record) = self.record() {
            self.position += (HEAD + size_of::<f32>() * record.len()) as u64;
            values.extend(record);
        }
        values
    }

    /// The values of the next record, where it is whole and of the strip that was begun.
    fn record(&mut self) -> Option<Vec<f32>> {
        self.file.seek(SeekFrom::Start(self.position)).ok()?;
        let mut head = [0; HEAD];
        self.file.read_exact(&mut head).ok()?;
        let field = |at: usize| head[at..].first_chunk().map_or(0, |&bytes| u32::from_le_bytes(bytes));
        let (strip, count, sum) = (field(0), field(4), field(8));
        let bytes = u64::from(count) * size_of::<f32>() as u64;
        if strip != self.strips || self.position + HEAD as u64 + bytes > self.length {
            return None;
        }
        let mut values = vec![0; bytes as usize];
        self.file.read_exact(&mut values).ok()?;
        let is_whole = checksum(strip, &values) == sum;
        is_whole.then(|| values.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)).collect())
    }

    fn add(&mut self, values: &[f32]) -> std::io::Result<()> {
        if self.length > self.position {
            self.file.set_len(self.position)?;
        }
        let values: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let head = [self.strips, (values.len() / size_of::<f32>()) as u32, checksum(self.strips, &values)];
        let mut record = head.map(u32::to_le_bytes).concat();
        record.extend(values);
        self.file.seek(SeekFrom::Start(self.position))?;
        self.file.write_all(&record)?;
        self.position += record.len() as u64;
        self.length = self.position;
        Ok(())
    }
}

fn checksum(strip: u32, values: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&strip.to_le_bytes());
    sum.update(values);
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the file has of the first three strips.
    fn known(path: &Path, subject: &str) -> [Vec<f32>; 3] {
        let rows = RowFile::open(path, subject);
        std::array::from_fn(|_| rows.next_strip())
    }

    #[test]
    fn what_was_kept_is_known_again_wherever_the_file_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("partial/a.rows");
        let records =
            [(1, vec![1.0, -2.5]), (1, vec![f32::NAN, 0.0, 3.0]), (2, vec![4.0]), (3, vec![5.0, 6.0])];
        let rows = RowFile::open(&path, "a");
        let mut ends = vec![std::fs::metadata(&path).unwrap().len()];
        let mut strip = 0;
        for (number, values) in &records {
            while strip < *number {
                assert!(rows.next_strip().is_empty());
                strip += 1;
            }
            rows.add(values);
            ends.push(std::fs::metadata(&path).unwrap().len());
        }
        let whole = std::fs::read(&path).unwrap();
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let records = records.iter().zip(&ends[1..]).filter(|&(_, &end)| end <= length as u64);
            let mut expected: [Vec<f32>; 3] = Default::default();
            records.for_each(|((strip, values), _)| expected[strip - 1].extend(values));
            for (found, expected) in known(&path, "a").iter().zip(&expected) {
                assert_eq!(bits(found), bits(expected), "{length} of {} bytes", whole.len());
            }
        }
        for at in ends[0] as usize..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 4;
            std::fs::write(&path, &damaged).unwrap();
            let after = ends.iter().rposition(|&end| end <= at as u64).unwrap();
            let values: usize = records[..after].iter().map(|(_, values)| values.len()).sum();
            assert_eq!(known(&path, "a").concat().len(), values, "byte {at}");
        }
    }

    #[test]
    fn a_strip_that_goes_on_drops_what_stood_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.rows");
        let rows = RowFile::open(&path, "a");
        rows.next_strip();
        rows.add(&[1.0]);
        drop(rows);
        let file = OpenOptions::new().append(true).open(&path);
        file.unwrap().write_all(&[7; 100]).unwrap();
        let rows = RowFile::open(&path, "a");
        assert_eq!(rows.next_strip(), [1.0]);
        rows.add(&[2.0]);
        rows.next_strip();
        rows.add(&[3.0]);
        assert_eq!(known(&path, "a"), [vec![1.0, 2.0], vec![3.0], vec![]]);
    }

    #[test]
    fn rows_of_something_else_count_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.rows");
        for foreign in ["", "b\n", "aa\n", "a", "\u{1f600}", "b\nmore than that\n"] {
            std::fs::write(&path, foreign).unwrap();
            let rows = RowFile::open(&path, "a");
            assert!(rows.next_strip().is_empty(), "{foreign:?}");
            rows.add(&[1.0]);
            assert_eq!(known(&path, "a")[0], [1.0], "{foreign:?}");
            assert!(known(&path, "another")[0].is_empty());
        }
    }

    #[test]
    fn rows_that_are_given_up_or_can_not_be_kept_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.rows");
        let rows = RowFile::open(&path, "a");
        rows.next_strip();
        rows.add(&[1.0]);
        rows.give_up();
        rows.add(&[2.0]);
        assert!(rows.next_strip().is_empty() && !path.exists());
        let rows = RowFile::open(&folder.path().join("a.rows"), "a");
        drop(rows);
        // A file stands where the folder would be.
        let rows = RowFile::open(&path.join("b.rows"), "b");
        rows.add(&[1.0]);
        assert!(rows.next_strip().is_empty());
    }
}
