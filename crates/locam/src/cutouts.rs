//! Found objects, cut from their image in one pass from top to bottom.

use crate::Error;
use image::{Rgb, RgbImage, imageops};
use locam_core::{Rect, Region, Size};
use locam_data::{ImageSource, ScaledRows};
use locam_report::{CUTOUT_SIDE, Cutout, ImageRecord, Sheet};

/// As many objects are shown as fit a sheet that can be looked at.
const SHOWN: usize = 480;
/// Side of the window around an object, as a multiple of its box's longer side.
const MARGIN: f64 = 1.25;
/// Rows that are read at a time.
const STEP: u32 = 64;
/// What lies beyond the image.
const OUTSIDE: Rgb<u8> = Rgb([235, 235, 235]);

/// The contact sheet of an image: its objects by their scores, the strongest first; of very many some, evenly chosen from that
/// order.
///
/// # Errors
/// An image that can't be read.
pub(crate) fn contact_sheet(
    source: &ImageSource,
    record: &ImageRecord,
    classes: &[(locam_core::ClassId, &str)],
) -> Result<RgbImage, Error> {
    let mut order: Vec<(usize, &Region)> = (1..).zip(record.regions()).collect();
    order.sort_by(|(_, a), (_, b)| b.score.total_cmp(&a.score));
    let found = order.len();
    let shown: Vec<_> = evenly(found).map(|place| order[place]).collect();
    let rects: Vec<Rect> = shown.iter().map(|(_, region)| window(region.rect)).collect();
    let pictures = cut(source, &rects)?;
    let cutout = |((number, region), picture): ((usize, &Region), RgbImage)| Cutout {
        number,
        class: region.class,
        score: region.score,
        picture,
    };
    let cutouts: Vec<Cutout> = shown.into_iter().zip(pictures).map(cutout).collect();
    Ok(Sheet { title: record.image(), cutouts: &cutouts, found, classes }.draw())
}

/// Up to so many places of `count` as are shown, evenly, the first and the last among them.
fn evenly(count: usize) -> impl Iterator<Item = usize> {
    let shown = count.min(SHOWN);
    (0..shown).map(move |place| if shown < 2 { place } else { place * (count - 1) / (shown - 1) })
}

/// A square around a box.
fn window(rect: Rect) -> Rect {
    let side = (rect.width().max(rect.height()) * MARGIN).max(1.0);
    Rect::around(rect.center(), side, side)
}

/// A window in pixels of the reduced image, and what is filled of it.
struct Window {
    left: i64,
    top: i64,
    picture: RgbImage,
}

/// Cuts windows, of which none comes out larger than [`CUTOUT_SIDE`]. The image is read as small as the smallest of them allows, so
/// that of a slide's pyramid a small level is enough for large objects.
fn cut(source: &ImageSource, windows: &[Rect]) -> Result<Vec<RgbImage>, Error> {
    let smallest = windows.iter().map(|rect| rect.width()).fold(f64::INFINITY, f64::min);
    let scale = (f64::from(CUTOUT_SIDE) / smallest).min(1.0);
    let full = source.size();
    let side = |pixels: u32| ((f64::from(pixels) * scale).round() as u32).max(1);
    let size = Size::new(side(full.width), side(full.height));
    let mut windows: Vec<Window> = windows.iter().map(|rect| reduced(*rect, scale)).collect();
    if !windows.is_empty() {
        fill(source, size, &mut windows)?;
    }
    windows.into_iter().map(|window| small(window.picture)).collect()
}

fn reduced(rect: Rect, scale: f64) -> Window {
    let side = ((rect.width() * scale).round() as u32).max(1);
    let first = |edge: f64| (edge * scale).round() as i64;
    let picture = RgbImage::from_pixel(side, side, OUTSIDE);
    Window { left: first(rect.left), top: first(rect.top), picture }
}

/// Copies what windows show of the image at `size`.
fn fill(source: &ImageSource, size: Size, windows: &mut [Window]) -> Result<(), Error> {
    let mut rows = ScaledRows::new(source, size, 0..size.width)?;
    for top in (0..size.height).step_by(STEP as usize) {
        let bottom = size.height.min(top + STEP);
        let reaches = |window: &&mut Window| {
            window.top < i64::from(bottom) && window.top + i64::from(window.picture.height()) > i64::from(top)
        };
        let mut reached = windows.iter_mut().filter(reaches).peekable();
        if reached.peek().is_none() {
            continue;
        }
        let (bytes, first) = rows.rows(top as usize..bottom as usize)?;
        let pitch = 3 * size.width as usize;
        let held = &bytes[(top as usize - first) * pitch..][..(bottom - top) as usize * pitch];
        let band = RgbImage::from_raw(size.width, bottom - top, held.to_vec())
            .ok_or_else(|| Error::Request("a band of rows has another length than its pixels".to_owned()))?;
        for window in reached {
            imageops::replace(&mut window.picture, &band, -window.left, i64::from(top) - window.top);
        }
    }
    Ok(())
}

fn small(picture: RgbImage) -> Result<RgbImage, Error> {
    if picture.width() <= CUTOUT_SIDE {
        return Ok(picture);
    }
    Ok(locam_data::resize(&picture, Size::new(CUTOUT_SIDE, CUTOUT_SIDE))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_show_what_lies_there_and_grey_beyond_the_image() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let image = RgbImage::from_fn(300, 200, |x, y| Rgb([x as u8, y as u8, 7]));
        image.save(&path).unwrap();
        let source = ImageSource::open(&path).unwrap();
        let windows = [Rect::new(10.0, 20.0, 50.0, 60.0), Rect::new(-20.0, 150.0, 40.0, 210.0)];
        let cut = cut(&source, &windows).unwrap();
        assert_eq!(cut[0], imageops::crop_imm(&image, 10, 20, 40, 40).to_image());
        assert_eq!((cut[1].get_pixel(0, 0), cut[1].get_pixel(20, 0)), (&OUTSIDE, &Rgb([0, 150, 7])));
        assert_eq!(*cut[1].get_pixel(59, 59), OUTSIDE);
        assert_eq!(*cut[1].get_pixel(59, 49), Rgb([39, 199, 7]));
    }

    #[test]
    fn large_windows_come_out_small() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        RgbImage::from_pixel(900, 700, Rgb([9, 8, 7])).save(&path).unwrap();
        let source = ImageSource::open(&path).unwrap();
        let cut = cut(&source, &[Rect::new(0.0, 0.0, 600.0, 600.0), Rect::new(200.0, 200.0, 500.0, 500.0)]);
        for picture in cut.unwrap() {
            assert_eq!(picture.dimensions(), (CUTOUT_SIDE, CUTOUT_SIDE));
            assert!(picture.pixels().all(|pixel| pixel.0 == [9, 8, 7]));
        }
    }

    #[test]
    fn of_many_objects_some_are_shown_from_the_first_to_the_last() {
        assert_eq!(evenly(3).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!((evenly(0).count(), evenly(1).count()), (0, 1));
        let shown: Vec<_> = evenly(100_000).collect();
        assert!(shown.len() == SHOWN && shown[0] == 0 && shown[SHOWN - 1] == 99_999);
        assert!(shown.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
