//! Reading and writing whole files, with errors that name them.

use crate::NetError;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

pub(crate) fn read_error(path: &Path, source: io::Error) -> NetError {
    NetError::Read { path: path.to_owned(), source }
}

pub(crate) fn write_error(path: &Path, source: io::Error) -> NetError {
    NetError::Write { path: path.to_owned(), source }
}

pub(crate) fn content_error(path: &Path, reason: impl Into<String>) -> NetError {
    NetError::Content { path: path.to_owned(), reason: reason.into() }
}

/// Where a file is written before it takes its name: beside it, hidden, ending in `.part`.
pub(crate) fn part_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.part"))
}

/// Writes a file's part, down to the disk.
pub(crate) fn write_part(path: &Path, bytes: &[u8]) -> Result<(), NetError> {
    let part = part_of(path);
    let write = |file: &mut File| file.write_all(bytes).and_then(|()| file.sync_all());
    File::create(&part).and_then(|mut file| write(&mut file)).map_err(|source| write_error(&part, source))
}

/// Gives a written part its name.
pub(crate) fn finish_part(path: &Path) -> Result<(), NetError> {
    fs::rename(part_of(path), path).map_err(|source| write_error(path, source))
}

/// The SHA-256 of bytes in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// The SHA-256 of a file in hexadecimal digits.
pub(crate) fn sha256_of_file(path: &Path) -> Result<String, NetError> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(|source| read_error(path, source))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hexadecimal(&hash.finalize())),
            Ok(count) => hash.update(&buffer[..count]),
            Err(source) => return Err(read_error(path, source)),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).flatten().collect()
}
