//! PNG files whose values are numbers of objects, not colours.

use locam_core::{Mask, Run, Size};
use png::{BitDepth, ColorType, Decoder, Limits, Reader, Transformations};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// The most bytes that a label image may have.
const MAX_BYTES: usize = 2 << 30;

/// A PNG of grey values or of places in a palette, whose header was read.
pub(super) struct LabelImage {
    reader: Reader<BufReader<File>>,
}

impl LabelImage {
    /// Whether a file has values that can be numbers of objects.
    pub(super) fn is_one(path: &Path) -> bool {
        Self::open(path).is_ok()
    }

    /// Reads the header.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
        let mut decoder = Decoder::new_with_limits(BufReader::new(file), Limits { bytes: MAX_BYTES });
        // Palettes would be looked up, and values of few bits spread over a byte.
        decoder.set_transformations(Transformations::IDENTITY);
        let reader = decoder.read_info().map_err(|error| format!("is no sound PNG: {error}"))?;
        match reader.output_color_type().0 {
            ColorType::Grayscale | ColorType::Indexed => Ok(Self { reader }),
            ColorType::GrayscaleAlpha | ColorType::Rgb | ColorType::Rgba => Err(
                "is a picture in colour or with alpha, not a label image: save it as grey or with a palette, 0 for the \
                 background and another value for each object"
                    .to_owned(),
            ),
        }
    }

    pub(super) fn size(&self) -> Size {
        let info = self.reader.info();
        Size::new(info.width, info.height)
    }

    /// The pixels of each value but 0, by value.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn objects(mut self) -> Result<Vec<Mask>, String> {
        let (size, depth) = (self.size(), self.reader.output_color_type().1);
        let length = self.reader.output_buffer_size().filter(|length| *length <= MAX_BYTES);
        let mut bytes = vec![0; length.ok_or("is too large")?];
        let frame = self.reader.next_frame(&mut bytes).map_err(|error| format!("is damaged: {error}"))?;
        let mut runs: BTreeMap<u16, Vec<Run>> = BTreeMap::new();
        for (row, line) in (0..size.height).zip(bytes.chunks(frame.line_size)) {
            let mut at = 0;
            let values: Vec<u16> = values(line, depth).take(size.width as usize).collect();
            for equal in values.chunk_by(|a, b| a == b) {
                let end = at + equal.len() as u32;
                if equal[0] != 0 {
                    runs.entry(equal[0]).or_default().push(Run { row, columns: at..end });
                }
                at = end;
            }
        }
        Ok(runs.into_values().filter_map(Mask::from_runs).collect())
    }
}

/// The samples of a row, and what fills its last byte.
fn values(line: &[u8], depth: BitDepth) -> Box<dyn Iterator<Item = u16> + '_> {
    let bits = match depth {
        BitDepth::Sixteen => {
            return Box::new(line.as_chunks::<2>().0.iter().map(|&value| u16::from_be_bytes(value)));
        }
        BitDepth::Eight => return Box::new(line.iter().map(|&value| value.into())),
        BitDepth::One => 1,
        BitDepth::Two => 2,
        BitDepth::Four => 4,
    };
    let of_byte = move |&byte: &u8| {
        (1..=8 / bits).map(move |place| u16::from(byte >> (8 - place * bits)) & ((1 << bits) - 1))
    };
    Box::new(line.iter().flat_map(of_byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PNG of 5 by 2 samples, as they stand in the file.
    fn written(color: ColorType, depth: BitDepth, bytes: &[u8]) -> tempfile::TempPath {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut encoder = png::Encoder::new(&mut file, 5, 2);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette(vec![0; 48]);
        }
        encoder.write_header().unwrap().write_image_data(bytes).unwrap();
        file.into_temp_path()
    }

    #[test]
    fn values_of_any_depth_are_numbers_and_colours_of_a_palette_do_not_matter() {
        // The rows 0 1 1 0 3 and 3 3 3 3 1.
        let deep: Vec<u8> =
            [0_u16, 1, 1, 0, 3, 3, 3, 3, 3, 1].into_iter().flat_map(u16::to_be_bytes).collect();
        for (color, depth, bytes) in [
            (ColorType::Grayscale, BitDepth::Two, vec![0b0001_0100, 0b1100_0000, 0b1111_1111, 0b0100_0000]),
            (ColorType::Indexed, BitDepth::Two, vec![0b0001_0100, 0b1100_0000, 0b1111_1111, 0b0100_0000]),
            (ColorType::Indexed, BitDepth::Four, vec![0x01, 0x10, 0x30, 0x33, 0x33, 0x10]),
            (ColorType::Indexed, BitDepth::Eight, vec![0, 1, 1, 0, 3, 3, 3, 3, 3, 1]),
            (ColorType::Grayscale, BitDepth::Sixteen, deep),
        ] {
            let path = written(color, depth, &bytes);
            let labels = LabelImage::open(&path).unwrap();
            assert_eq!(labels.size(), Size::new(5, 2));
            let objects = labels.objects().unwrap();
            let runs: Vec<&[Run]> = objects.iter().map(Mask::runs).collect();
            let run = |row, columns| Run { row, columns };
            assert_eq!(
                runs,
                [[run(0, 1..3), run(1, 4..5)], [run(0, 4..5), run(1, 0..4)]],
                "{color:?} {depth:?}"
            );
        }
        let path = written(ColorType::Grayscale, BitDepth::One, &[0b0110_1000, 0b1111_1000]);
        let objects = LabelImage::open(&path).unwrap().objects().unwrap();
        assert_eq!(objects.iter().map(Mask::area).collect::<Vec<_>>(), [8]);
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        let path = written(ColorType::Grayscale, BitDepth::Eight, &[1; 10]);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 20]).unwrap();
        assert!(LabelImage::open(&path).unwrap().objects().unwrap_err().contains("damaged"));
        std::fs::write(&path, &bytes[..20]).unwrap();
        assert!(!LabelImage::is_one(&path));
    }
}
