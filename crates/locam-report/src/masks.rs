use crate::{ImageRecord, ReportError, write_atomically};
use locam_core::{Point, Region, Size};
use png::{BitDepth, ColorType, Encoder};
use std::io::{self, Write};
use std::path::Path;
use tiff::encoder::colortype::{Gray8, Gray16, Gray32};
use tiff::encoder::{TiffEncoder, TiffKind};

/// Rows of a strip of a TIFF.
const STRIP: u32 = 64;
/// From so many bytes of pixels on a TIFF is a `BigTIFF`, whose offsets have 64 bits.
const BIG: u64 = 3 << 30;

/// Writes a grey PNG as large as the image, each pixel of which holds the number of the region that covers its middle, or 0: 8
/// bits, or 16 where there are more than 255 regions. Rows are made one by one.
///
/// # Errors
/// More regions than 16 bits can number; a file that can't be written.
pub fn write_png_mask(path: &Path, record: &ImageRecord) -> Result<(), ReportError> {
    let count = record.regions().len();
    let depth = if u8::try_from(count).is_ok() { BitDepth::Eight } else { BitDepth::Sixteen };
    write_atomically(path, |writer| {
        if u16::try_from(count).is_err() {
            return Err(io::Error::other(format!(
                "PNG can't hold the numbers of {count} regions; write tiff-masks instead of masks"
            )));
        }
        let mut encoder = Encoder::new(writer, record.size().width, record.size().height);
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(depth);
        let mut writer = encoder.write_header()?;
        let mut pixels = writer.stream_writer()?;
        let mut labels = LabelRows::new(record);
        let mut bytes = Vec::new();
        for y in 0..record.size().height {
            let row = labels.row(y).iter();
            bytes.clear();
            match depth {
                BitDepth::Eight => bytes.extend(row.map(|&label| label as u8)),
                _ => bytes.extend(row.flat_map(|&label| (label as u16).to_be_bytes())),
            }
            pixels.write_all(&bytes)?;
        }
        pixels.finish()?;
        Ok(writer.finish()?)
    })
}

/// Writes the same as [`write_png_mask`] as a TIFF in strips that are not compressed, with 32 bits where there are more than 65535
/// regions.
///
/// # Errors
/// A file that can't be written.
pub fn write_tiff_mask(path: &Path, record: &ImageRecord) -> Result<(), ReportError> {
    write_atomically(path, |writer| {
        let written = if 4 * record.size().area() < BIG {
            TiffEncoder::new(writer).and_then(|tiff| write_strips(tiff, record))
        } else {
            TiffEncoder::new_big(writer).and_then(|tiff| write_strips(tiff, record))
        };
        written.map_err(|error| match error {
            tiff::TiffError::IoError(error) => error,
            error => io::Error::other(error),
        })
    })
}

fn write_strips<W: Write + io::Seek, K: TiffKind>(
    tiff: TiffEncoder<W, K>,
    record: &ImageRecord,
) -> tiff::TiffResult<()> {
    match record.regions().len() {
        0..=0xff => strips::<Gray8, W, K>(tiff, record, |label| label as u8),
        0x100..=0xffff => strips::<Gray16, W, K>(tiff, record, |label| label as u16),
        _ => strips::<Gray32, W, K>(tiff, record, |label| label),
    }
}

fn strips<C, W: Write + io::Seek, K: TiffKind>(
    mut tiff: TiffEncoder<W, K>,
    record: &ImageRecord,
    value: impl Fn(u32) -> C::Inner,
) -> tiff::TiffResult<()>
where
    C: tiff::encoder::colortype::ColorType,
    [C::Inner]: tiff::encoder::TiffValue,
{
    let Size { width, height } = record.size();
    let mut image = tiff.new_image::<C>(width, height)?;
    image.rows_per_strip(STRIP.min(height))?;
    let mut labels = LabelRows::new(record);
    let mut pixels = Vec::new();
    for top in (0..height).step_by(STRIP as usize) {
        pixels.clear();
        for y in top..height.min(top + STRIP) {
            pixels.extend(labels.row(y).iter().map(|&label| value(label)));
        }
        image.write_strip(&pixels)?;
    }
    image.finish()
}

/// The numbers of regions at the pixels of an image, a row at a time. Where outlines of two classes overlap, the higher
/// score counts.
struct LabelRows<'a> {
    /// Regions with their numbers, the topmost last.
    waiting: Vec<(u32, &'a Region)>,
    /// Those that may cross the row, the strongest last.
    active: Vec<(u32, &'a Region)>,
    row: Vec<u32>,
}

impl<'a> LabelRows<'a> {
    fn new(record: &'a ImageRecord) -> Self {
        let mut waiting: Vec<_> = (1..).zip(record.regions()).collect();
        waiting.sort_by(|(_, a), (_, b)| top(b).total_cmp(&top(a)));
        Self { waiting, active: Vec::new(), row: vec![0; record.size().width as usize] }
    }

    /// Rows are asked for from top to bottom.
    fn row(&mut self, y: u32) -> &[u32] {
        let middle = f64::from(y) + 0.5;
        let started = self.active.len();
        while let Some(next) = self.waiting.pop_if(|(_, region)| top(region) <= middle) {
            self.active.push(next);
        }
        if self.active.len() > started {
            self.active.sort_by(|(i, a), (j, b)| a.score.total_cmp(&b.score).then(j.cmp(i)));
        }
        self.active.retain(|(_, region)| bottom(region) >= middle);
        self.row.fill(0);
        for (number, region) in &self.active {
            fill_between(&mut self.row, &crossings(&region.outline, middle), *number);
        }
        &self.row
    }
}

fn top(region: &Region) -> f64 {
    region.outline.iter().map(|point| point.y).fold(f64::INFINITY, f64::min)
}

fn bottom(region: &Region) -> f64 {
    region.outline.iter().map(|point| point.y).fold(f64::NEG_INFINITY, f64::max)
}

/// Where a polygon's edges cross a horizontal line, from left to right; the polygon is between the first and the second, the
/// third and the fourth, and so on.
fn crossings(polygon: &[Point], y: f64) -> Vec<f64> {
    let next = polygon.iter().cycle().skip(1);
    let mut places: Vec<f64> = polygon
        .iter()
        .zip(next)
        .filter(|(a, b)| (a.y <= y) != (b.y <= y))
        .map(|(a, b)| a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x))
        .collect();
    places.sort_by(f64::total_cmp);
    places
}

fn fill_between(row: &mut [u32], crossings: &[f64], number: u32) {
    for pair in crossings.as_chunks::<2>().0 {
        // Pixels whose middles, half a pixel behind their numbers, lie between.
        let [first, end] = pair.map(|x| ((x - 0.5).ceil().max(0.0) as usize).min(row.len()));
        row[first..end].fill(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictions::tests::record;
    use locam_core::{ClassId, Rect};

    fn region(outline: &[(f64, f64)], score: f64) -> Region {
        let outline = outline.iter().map(|&(x, y)| Point::new(x, y)).collect();
        Region { outline, score, class: ClassId(0), ..record().regions()[0].clone() }
    }

    fn square(left: f64, top: f64, side: f64, score: f64) -> Region {
        let corners = Rect::new(left, top, left + side, top + side).corners();
        region(&corners.map(|corner| (corner.x, corner.y)), score)
    }

    /// A slanted shape, squares that overlap, one beyond the border, and as many small ones as asked for.
    fn drawn(more: usize) -> ImageRecord {
        let slanted = region(&[(10.0, 2.0), (40.0, 20.0), (12.0, 30.5), (20.0, 15.0)], 1.0);
        let mut regions = vec![slanted, square(50.0, 10.0, 20.0, 3.0), square(60.0, 5.0, 20.0, 2.0)];
        regions.push(square(-5.0, 90.0, 30.0, 1.0));
        regions.extend((0..more).map(|i| {
            let (x, y) = ((i % 300) as f64 * 2.0, 120.0 + (i / 300) as f64 * 2.0);
            square(x, y, 1.0, 1.0)
        }));
        ImageRecord::new("a", Size::new(600, 1000), regions)
    }

    /// The numbers by asking every region of every pixel.
    fn naive(record: &ImageRecord, x: u32, y: u32) -> u32 {
        let point = Point::new(f64::from(x) + 0.5, f64::from(y) + 0.5);
        let inside = |region: &Region| {
            crossings(&region.outline, point.y).iter().filter(|&&place| place <= point.x).count() % 2 == 1
        };
        let over = (1..).zip(record.regions()).filter(|(_, region)| inside(region));
        over.max_by(|(i, a), (j, b)| a.score.total_cmp(&b.score).then(j.cmp(i))).map_or(0, |(i, _)| i)
    }

    #[test]
    fn both_files_hold_the_number_of_the_region_at_every_pixel() {
        let folder = tempfile::tempdir().unwrap();
        let (png, tif) = (folder.path().join("a.png"), folder.path().join("a.tif"));
        for (more, bits) in [(0, 8), (300, 16)] {
            let record = drawn(more);
            write_png_mask(&png, &record).unwrap();
            write_tiff_mask(&tif, &record).unwrap();
            let (from_png, from_tiff) = (image::open(&png).unwrap(), image::open(&tif).unwrap());
            assert_eq!(from_png.color().bits_per_pixel(), bits);
            assert_eq!(from_png, from_tiff);
            let labels = from_png.to_luma16();
            if bits == 16 {
                assert!(
                    labels
                        .enumerate_pixels()
                        .all(|(x, y, label)| u32::from(label.0[0]) == naive(&record, x, y))
                );
                assert_eq!(labels.pixels().map(|label| label.0[0]).max(), Some(304));
            }
        }
    }

    #[test]
    fn more_regions_than_a_png_can_number_need_a_tiff() {
        let folder = tempfile::tempdir().unwrap();
        let (png, tif) = (folder.path().join("a.png"), folder.path().join("a.tif"));
        let record = drawn(66_000);
        let message = write_png_mask(&png, &record).unwrap_err().to_string();
        assert!(message.contains("tiff-masks") && !png.exists(), "{message}");
        write_tiff_mask(&tif, &record).unwrap();
        let mut tiff = tiff::decoder::Decoder::new(std::fs::File::open(&tif).unwrap()).unwrap();
        let tiff::decoder::DecodingResult::U32(labels) = tiff.read_image().unwrap() else {
            panic!("not 32 bits")
        };
        assert_eq!(labels.iter().max(), Some(&66_004));
    }
}
