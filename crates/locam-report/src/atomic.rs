use crate::ReportError;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use std::fs::Permissions;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;
use tempfile::{Builder, NamedTempFile};

/// A file that is being written.
pub trait WriteSeek: Write + Seek {}

impl<T: Write + Seek> WriteSeek for T {}

/// Writes a file so that it is either there whole or not there at all: into a temporary file of the same folder, which
/// takes the file's name once all bytes are on the disk. A file of that name is replaced.
///
/// # Errors
/// When `write` fails, or the folder can't be written to. No temporary file is left behind then.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn WriteSeek) -> io::Result<()>,
) -> Result<(), ReportError> {
    try_write(path, write).map_err(|source| match source.downcast::<ReportError>() {
        // What is written may be read from other files, and those have the fault then.
        Ok(error) => error,
        Err(source) => ReportError::Write { path: path.to_owned(), source },
    })
}

fn try_write(path: &Path, write: impl FnOnce(&mut dyn WriteSeek) -> io::Result<()>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file = temporary_in(folder)?;
    let mut writer = BufWriter::new(file);
    write(&mut writer)?;
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A temporary file with the permissions that any new file gets; the library's own default is readable by the
/// owner alone, which would stay so after the renaming.
fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    let builder = builder.permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    builder.tempfile_in(folder)
}

const PREFIX: &str = ".locam-";
const SUFFIX: &str = ".part";

/// Deletes the temporary files that a killed program left in a folder, where nobody else is writing into it. Files that
/// can't be deleted stay: they harm nobody.
pub fn delete_leftovers(folder: &Path) {
    let Ok(entries) = folder.read_dir() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Writes a picture as PNG, whatever the path's extension.
///
/// # Errors
/// When the file can't be written.
pub fn write_image(path: &Path, image: &RgbImage) -> Result<(), ReportError> {
    write_atomically(path, |writer| {
        PngEncoder::new(writer)
            .write_image(image.as_raw(), image.width(), image.height(), ExtendedColorType::Rgb8)
            .map_err(io::Error::other)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_replaces_the_old_one_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        for text in ["first and longer", "second"] {
            write_atomically(&path, |writer| writer.write_all(text.as_bytes())).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_keeps_the_old_file_and_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "old").unwrap();
        let error = write_atomically(&path, |writer| {
            writer.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        let message = error.unwrap_err().to_string();
        assert!(message.contains("a.txt") && message.contains("no more"), "{message}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn leftovers_are_deleted_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (left, _) = temporary_in(folder.path()).unwrap().keep().unwrap();
        drop(left);
        std::fs::write(folder.path().join("a.part"), "mine").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        delete_leftovers(folder.path());
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert!(left.len() == 1 && left[0].file_name() == "a.part", "{left:?}");
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write_atomically(&folder.path().join("no/a.txt"), |_| Ok(())).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_what_they_may_read_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write_atomically(&ours, |_| Ok(())).unwrap();
        std::fs::write(&plain, "").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn pictures_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let picture = RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8, y as u8, 200]));
        write_image(&path, &picture).unwrap();
        assert_eq!(image::open(&path).unwrap().to_rgb8(), picture);
    }
}
