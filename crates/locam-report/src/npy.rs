use crate::{ReportError, write_atomically};
use locam_core::ScoreMap;
use std::io::{self, Write};
use std::path::Path;

/// Magic bytes and format version 1.0.
const PREAMBLE: &[u8] = b"\x93NUMPY\x01\x00";
/// The data begin at a multiple of this.
const ALIGNMENT: usize = 64;

/// Writes maps as one NumPy array of 32-bit floats, shape `[maps, rows, columns]`, for `numpy.load`. Values are
/// written as they are. The format is that of <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
///
/// # Errors
/// Maps of different sizes, or a file that can't be written.
pub fn write_npy(path: &Path, maps: &[ScoreMap]) -> Result<(), ReportError> {
    if let [first, rest @ ..] = maps
        && let Some(other) = rest.iter().find(|map| map.size() != first.size())
    {
        return Err(ReportError::Sizes { first: first.size(), other: other.size() });
    }
    write_atomically(path, |writer| write_array(writer, maps))
}

fn write_array(writer: &mut dyn Write, maps: &[ScoreMap]) -> io::Result<()> {
    let (rows, columns) = maps.first().map_or((0, 0), |map| (map.size().height, map.size().width));
    let shape = format!("({}, {rows}, {columns})", maps.len());
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    // The header is a line, and its length counts the spaces that align what follows.
    let length = (PREAMBLE.len() + 2 + header.len() + 1).next_multiple_of(ALIGNMENT) - PREAMBLE.len() - 2;
    writer.write_all(PREAMBLE)?;
    writer.write_all(&(length as u16).to_le_bytes())?;
    writeln!(writer, "{header:<width$}", width = length - 1)?;
    for value in maps.iter().flat_map(ScoreMap::values) {
        writer.write_all(&value.to_le_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_core::{MapTransform, Size};

    fn map(width: u32, height: u32, first: f32) -> ScoreMap {
        let values = (0..width * height).map(|i| first + i as f32).collect();
        ScoreMap::new(Size::new(width, height), values, MapTransform::uniform(0.5, 32.0))
    }

    #[test]
    fn the_bytes_are_those_of_numpy() {
        let mut bytes = Vec::new();
        write_array(&mut bytes, &[map(3, 2, 0.0), map(3, 2, -7.5)]).unwrap();
        assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
        let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert_eq!((10 + length) % 64, 0);
        let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
        assert_eq!(
            header.trim_end_matches(['\n', ' ']),
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 3), }"
        );
        assert!(header.ends_with('\n'));
        let values: Vec<f32> =
            bytes[10 + length..].chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        assert_eq!(values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, -7.5, -6.5, -5.5, -4.5, -3.5, -2.5]);
    }

    #[test]
    fn maps_of_different_sizes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_npy(&folder.path().join("a.npy"), &[map(3, 2, 0.0), map(2, 3, 0.0)]).unwrap_err();
        assert!(error.to_string().contains("3x2 and 2x3"), "{error}");
    }
}
