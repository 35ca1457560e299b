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

/// Optical densities between which the threshold is kept. The upper one is the least density of stained tissue in
/// Macenko et al., "A method for normalizing histology slides for quantitative analysis" (ISBI 2009): whatever Otsu's
/// method makes of ink and folds, pale tissue stays. The lower one is above the noise of cameras and of JPEG.
const THRESHOLDS: std::ops::RangeInclusive<f64> = 0.03..=0.15;

/// Densities per bin of the histogram.
const BIN: f64 = 0.01;
const BINS: usize = 256;

/// Where on a slide anything is stained, in cells of about an object's size.
///
/// A cell is tissue where any channel of any of its pixels absorbs light: where the optical density, measured from
/// the brightest glass of the image, reaches a threshold by Otsu ("A threshold selection method from gray-level
/// histograms", IEEE Transactions on Systems, Man, and Cybernetics 9, 1979). Density, unlike saturation, also sees
/// what is grey. The test is meant to err towards tissue: images with a dark background are all tissue.
#[derive(Clone, Debug)]
pub struct TissueMask {
    image: Size,
    columns: usize,
    rows: usize,
    is_tissue: Vec<bool>,
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
        let densities = darkest.densities();
        let threshold = otsu(&densities).clamp(*THRESHOLDS.start(), *THRESHOLDS.end());
        let is_tissue = densities.into_iter().map(|density| density >= threshold).collect();
        Ok(Self { image, columns: darkest.columns, rows: darkest.cells.len() / darkest.columns, is_tissue })
    }

    /// Whether anything in this region of the image, in its pixels, is tissue; false for regions beside the image.
    pub fn any_in(&self, region: Rect) -> bool {
        let region = region.clamped_to(self.image);
        if region.area() <= 0.0 {
            return false;
        }
        let cells = |from: f64, to: f64, pixels: u32, cells: usize| {
            let per_pixel = cells as f64 / f64::from(pixels);
            (from * per_pixel).floor() as usize..((to * per_pixel).ceil() as usize).min(cells)
        };
        let columns = cells(region.left, region.right, self.image.width, self.columns);
        let mut rows = cells(region.top, region.bottom, self.image.height, self.rows);
        rows.any(|row| self.is_tissue[row * self.columns..][columns.clone()].contains(&true))
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
        Ok(Self { columns, cells, glass: histograms.map(|histogram| glass(&histogram)) })
    }

    /// The largest optical density in each cell.
    fn densities(&self) -> Vec<f64> {
        let density = |value: u8, glass: u8| (f64::from(glass) / f64::from(value.max(1))).log10().max(0.0);
        let of_cell = |cell: &[u8; 3]| {
            cell.iter().zip(self.glass).map(|(&value, glass)| density(value, glass)).fold(0.0, f64::max)
        };
        self.cells.iter().map(of_cell).collect()
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

/// The density between the two classes whose means lie farthest apart, weighted by how many belong to each.
fn otsu(densities: &[f64]) -> f64 {
    let mut histogram = [0_u64; BINS];
    for &density in densities {
        histogram[((density / BIN) as usize).min(BINS - 1)] += 1;
    }
    let sum = |bins: &[u64]| bins.iter().sum::<u64>() as f64;
    let moment = |bins: &[u64], from: usize| -> f64 {
        bins.iter().enumerate().map(|(bin, &count)| (from + bin) as f64 * count as f64).sum()
    };
    let between = |split: usize| {
        let (below, above) = histogram.split_at(split);
        let (low, high) = (sum(below), sum(above));
        if low == 0.0 || high == 0.0 {
            return 0.0;
        }
        low * high * (moment(below, 0) / low - moment(above, split) / high).powi(2)
    };
    let best = (1..BINS).max_by(|&a, &b| between(a).total_cmp(&between(b)).then(b.cmp(&a)));
    best.unwrap_or(1) as f64 * BIN
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
    fn otsu_splits_two_heaps_between_them() {
        let densities: Vec<f64> = [0.02, 0.03, 0.04, 0.5, 0.52, 0.55].repeat(9);
        let threshold = otsu(&densities);
        assert!((0.04..=0.5).contains(&threshold), "{threshold}");
    }
}
