//! Which parts of a slide are bare glass.

use crate::DataError;
use crate::source::{ImageSource, ScaledRows};
use locam_core::{Rect, Size};

/// Pixels of the scaled image along a side of a cell of the mask.
const CELL: u32 = 4;

/// The largest part of an image's pixels that may be brighter than its glass: dust and reflections.
const BRIGHTER_THAN_GLASS: f64 = 0.001;

/// What is darker than this is no glass in a bright field, but an image without any.
const DARKEST_GLASS: u8 = 180;

/// The optical density from which a place is no glass: it takes 9 % of the light.
///
/// The least density of stained tissue is usually taken to be 0.15 (Macenko et al., "A method for normalizing histology
/// slides for quantitative analysis", ISBI 2009), and Otsu's threshold lies higher still, between pale and dark tissue.
/// Both lose pale cells: 0.15 loses 140 of 1,093 annotated ones of BCCD, 0.04 none, and of a scanned section
/// (CMU-1-Small-Region) it leaves 45 % to be searched instead of 43 %.
const THRESHOLD: f64 = 0.04;

/// Where on a slide anything is stained, in cells of about an object's size.
///
/// A cell is tissue where any channel of any of its pixels takes 9 % of the light or more: where the optical density,
/// measured from the glass of the same image, reaches 0.04. Density, unlike saturation, also sees what is grey. The
/// test errs towards tissue: dust is, and images with a dark background are everywhere.
#[derive(Clone, Debug)]
pub struct TissueMask {
    image: Size,
    /// Cells, the last of which may reach beyond the image, per pixel of the image along x and y.
    cells_per_pixel: [f64; 2],
    columns: usize,
    is_tissue: Vec<bool>,
    missing: Vec<Rect>,
}

impl TissueMask {
    /// Looks at the whole image, scaled down so far that an object of `object_size` pixels of the image is
    /// about four pixels wide: fewer would let its stain fade into the glass. Only a few rows are held at a time.
    ///
    /// # Errors
    /// Those of reading the image; damaged parts count as glass.
    pub fn new(source: &ImageSource, object_size: f64) -> Result<Self, DataError> {
        let image = source.size();
        let step = (object_size / f64::from(CELL)).clamp(1.0, 64.0);
        let along = |pixels: u32| ((f64::from(pixels) / step).ceil() as u32).clamp(1, pixels);
        let scaled = Size::new(along(image.width), along(image.height));
        let darkest = Darkest::of(ScaledRows::new(source, scaled, 0..scaled.width)?)?;
        let darkest_glass = darkest.glass.map(|glass| f64::from(glass) / 10_f64.powf(THRESHOLD));
        let is_tissue =
            |cell: &[u8; 3]| cell.iter().zip(darkest_glass).any(|(&value, glass)| f64::from(value) <= glass);
        let is_tissue: Vec<bool> = darkest.cells.iter().map(is_tissue).collect();
        let per_pixel = |scaled: u32, image: u32| f64::from(scaled) / f64::from(image) / f64::from(CELL);
        let cells_per_pixel = [per_pixel(scaled.width, image.width), per_pixel(scaled.height, image.height)];
        let Darkest { columns, missing, .. } = darkest;
        Ok(Self { image, cells_per_pixel, columns, is_tissue, missing })
    }

    /// Whether anything in this region of the image, in its pixels, is tissue; false for regions beside the image.
    pub fn any_in(&self, region: Rect) -> bool {
        let region = region.clamped_to(self.image);
        if region.area() <= 0.0 {
            return false;
        }
        let [across, down] = self.cells_per_pixel;
        let cells = |from: f64, to: f64, cells: usize| from.floor() as usize..(to.ceil() as usize).min(cells);
        let columns = cells(region.left * across, region.right * across, self.columns);
        let rows = self.is_tissue.len() / self.columns;
        cells(region.top * down, region.bottom * down, rows)
            .any(|row| self.is_tissue[row * self.columns..][columns.clone()].contains(&true))
    }

    /// The parts of the image that are damaged and count as glass, in its pixels.
    pub fn missing(&self) -> &[Rect] {
        &self.missing
    }

    /// The part of the image that is tissue, in 0..=1.
    pub fn fraction(&self) -> f64 {
        let tissue = self.is_tissue.iter().filter(|&&is_tissue| is_tissue).count();
        tissue as f64 / self.is_tissue.len() as f64
    }
}

/// The darkest red, green and blue of each cell, and how bright the glass is.
struct Darkest {
    columns: usize,
    cells: Vec<[u8; 3]>,
    glass: [u8; 3],
    missing: Vec<Rect>,
}

impl Darkest {
    fn of(mut rows: ScaledRows) -> Result<Self, DataError> {
        let size = rows.size();
        let columns = size.width.div_ceil(CELL) as usize;
        let mut cells = vec![[u8::MAX; 3]; columns * size.height.div_ceil(CELL) as usize];
        let mut histograms = [[0_u64; 256]; 3];
        let pitch = 3 * size.width as usize;
        for row in 0..size.height as usize {
            let (pixels, first) = rows.rows(row..row + 1)?;
            let (pixels, _) = pixels[(row - first) * pitch..][..pitch].as_chunks::<3>();
            let cells = &mut cells[row / CELL as usize * columns..][..columns];
            for (pixels, cell) in pixels.chunks(CELL as usize).zip(cells) {
                for pixel in pixels {
                    for channel in 0..3 {
                        cell[channel] = cell[channel].min(pixel[channel]);
                        histograms[channel][usize::from(pixel[channel])] += 1;
                    }
                }
            }
        }
        let glass = histograms.map(|histogram| glass(&histogram));
        Ok(Self { columns, cells, glass, missing: rows.missing().to_vec() })
    }
}

/// The brightness that few pixels exceed.
fn glass(histogram: &[u64; 256]) -> u8 {
    let allowed = (histogram.iter().sum::<u64>() as f64 * BRIGHTER_THAN_GLASS) as u64;
    let mut brighter = 0;
    let found = (0..=u8::MAX).rev().find(|&value| {
        brighter += histogram[usize::from(value)];
        brighter > allowed
    });
    found.unwrap_or(u8::MAX).max(DARKEST_GLASS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SmearConfig, generate};
    use image::{Rgb, RgbImage, imageops};
    use rand::{RngExt as _, SeedableRng as _};

    const SIZE: Size = Size::new(1600, 1200);
    const EVERYWHERE: Rect = Rect::new(0.0, 0.0, 1600.0, 1200.0);

    fn mask(image: &RgbImage, object_size: f64) -> TissueMask {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slide.png");
        image.save(&path).unwrap();
        TissueMask::new(&ImageSource::open(&path).unwrap(), object_size).unwrap()
    }

    /// Glass under a lamp of some colour, with the noise of a camera.
    fn glass_of(color: [u8; 3]) -> RgbImage {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let mut noisy = |value: u8| (i16::from(value) + random.random_range(-4..=4)).clamp(0, 255) as u8;
        RgbImage::from_fn(SIZE.width, SIZE.height, |_, _| Rgb(color.map(&mut noisy)))
    }

    fn disc(image: &mut RgbImage, (x, y): (i64, i64), radius: i64, color: [u8; 3]) {
        for row in y - radius..=y + radius {
            for column in x - radius..=x + radius {
                if (row - y).pow(2) + (column - x).pow(2) <= radius.pow(2) {
                    image.put_pixel(column as u32, row as u32, Rgb(color));
                }
            }
        }
    }

    #[test]
    fn a_smear_on_glass_is_told_from_it() {
        let mut slide = glass_of([238, 236, 240]);
        let field = generate(&SmearConfig::new(Size::new(512, 512), 3)).image;
        imageops::replace(&mut slide, &field, 640, 320);
        let mask = mask(&slide, 100.0);
        assert!(mask.any_in(Rect::new(640.0, 320.0, 1152.0, 832.0)));
        for bare in [
            Rect::new(0.0, 0.0, 1600.0, 200.0),
            Rect::new(0.0, 940.0, 1600.0, 1200.0),
            Rect::new(0.0, 0.0, 520.0, 1200.0),
            Rect::new(1280.0, 0.0, 1600.0, 1200.0),
        ] {
            assert!(!mask.any_in(bare), "{bare:?}");
        }
        assert!((0.05..0.25).contains(&mask.fraction()), "{}", mask.fraction());
    }

    #[test]
    fn one_object_is_enough_whatever_its_colour_and_that_of_the_lamp() {
        for lamp in [[250_u8, 250, 250], [240, 232, 205], [205, 205, 205]] {
            for color in [[120_u8, 70, 150], [225, 170, 190], [128, 128, 128]] {
                let mut slide = glass_of(lamp);
                let tinted = [0, 1, 2].map(|c: usize| (i32::from(color[c]) * i32::from(lamp[c]) / 255) as u8);
                // Beside a clot far darker than it.
                disc(&mut slide, (300, 900), 120, [40, 5, 10]);
                disc(&mut slide, (1203, 317), 20, tinted);
                let mask = mask(&slide, 40.0);
                assert!(mask.any_in(Rect::new(1190.0, 300.0, 1216.0, 334.0)), "{color:?} under {lamp:?}");
                assert!(!mask.any_in(Rect::new(600.0, 400.0, 1100.0, 1200.0)), "{color:?} under {lamp:?}");
            }
        }
    }

    #[test]
    fn images_without_glass_are_tissue_everywhere() {
        for dark in [[0, 0, 0], [30, 60, 20], [150, 110, 140]] {
            let mask = mask(&glass_of(dark), 50.0);
            assert!(mask.fraction() > 0.9999, "{dark:?}: {}", mask.fraction());
        }
    }

    #[test]
    fn bare_glass_is_no_tissue_and_regions_beside_the_image_are_none() {
        let mask = mask(&glass_of([240, 240, 240]), 100.0);
        assert!(!mask.any_in(EVERYWHERE));
        let mut slide = glass_of([240, 240, 240]);
        disc(&mut slide, (1550, 1150), 40, [90, 60, 120]);
        let mask = self::mask(&slide, 100.0);
        assert!(mask.any_in(EVERYWHERE));
        assert!(mask.any_in(Rect::new(1500.0, 1100.0, 9000.0, 9000.0)));
        assert!(!mask.any_in(Rect::new(1600.0, 1200.0, 9000.0, 9000.0)));
        assert!(!mask.any_in(Rect::new(-50.0, -50.0, 0.0, 0.0)));
    }

    #[test]
    fn every_pixel_belongs_to_the_cell_that_was_looked_at() {
        for width in [1, 2, 5, 9, 41] {
            for dark in 0..width {
                let image = RgbImage::from_fn(width, 3, |x, _| Rgb([if x == dark { 90 } else { 240 }; 3]));
                let mask = mask(&image, 4.0);
                let at = |x: u32| Rect::new(f64::from(x), 1.0, f64::from(x + 1), 2.0);
                assert!(mask.any_in(at(dark)), "column {dark} of {width}");
                for bare in (0..width).filter(|x| x / CELL != dark / CELL) {
                    assert!(!mask.any_in(at(bare)), "column {bare} of {width}, dark at {dark}");
                }
            }
        }
    }
}
