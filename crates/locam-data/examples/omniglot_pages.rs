//! Composes pages of handwritten characters from the drawings of Omniglot, as Pascal VOC with boxes around one sought
//! character. Twelve of the twenty people who drew each character make the pages of `train`, four those of `valid` and
//! four those of `test`.
//!
//! ```text
//! cargo run --release -p locam-data --example omniglot_pages -- images_background_small1 Greek/character20 pages
//! ```

use image::RgbImage;
use locam_core::{Rect, Size};
use locam_data::{read_rgb, resize};
use rand::{RngExt as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Each split with its pages and its drawers, who are numbered from 1.
const SPLITS: [(&str, usize, std::ops::RangeInclusive<u32>); 3] =
    [("train", 48, 1..=12), ("valid", 24, 13..=16), ("test", 24, 17..=20)];
/// Places for characters on a page.
const GRID: (u32, u32) = (7, 5);
/// Pixels from place to place, and the largest shift of a character from the middle of its own.
const PITCH: u32 = 128;
const SHIFT: i64 = 12;
/// Side of a drawing, and how much smaller or larger it becomes.
const SIDE: f64 = 105.0;
const SCALES: std::ops::Range<f64> = 0.85..1.15;
/// One place in so many holds the sought character.
const RARITY: u32 = 6;
/// Darker than this is ink.
const INK: u8 = 128;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [drawings, sought, out] = arguments.as_slice() else {
        return Err("usage: omniglot_pages DRAWINGS ALPHABET/CHARACTER OUT".into());
    };
    let (drawings, out) = (Path::new(drawings), Path::new(out));
    let characters = characters(drawings)?;
    let sought = drawings.join(sought);
    let others: Vec<PathBuf> = characters.iter().filter(|&path| *path != sought).cloned().collect();
    if others.len() == characters.len() {
        return Err(format!("there is no character {}", sought.display()).into());
    }
    let mut random = ChaCha8Rng::seed_from_u64(0);
    for (split, pages, drawers) in SPLITS {
        let folder = out.join(split);
        std::fs::create_dir_all(&folder)?;
        let drawers: Vec<u32> = drawers.collect();
        for page in 0..pages {
            let (image, boxes) = compose(&sought, &others, &drawers, &mut random)?;
            let name = format!("{split}-{page:02}");
            image.save(folder.join(format!("{name}.png")))?;
            std::fs::write(folder.join(format!("{name}.xml")), annotation(&name, &image, &boxes)?)?;
        }
    }
    Ok(())
}

/// The folders of all characters of all alphabets, sorted.
fn characters(drawings: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for alphabet in std::fs::read_dir(drawings)? {
        for character in std::fs::read_dir(alphabet?.path())? {
            found.push(character?.path());
        }
    }
    found.sort();
    Ok(found)
}

/// A white page with a character at every place, and the boxes around the ink of the sought ones.
fn compose(
    sought: &Path,
    others: &[PathBuf],
    drawers: &[u32],
    random: &mut ChaCha8Rng,
) -> Result<(RgbImage, Vec<Rect>), Box<dyn Error>> {
    let mut page = RgbImage::from_pixel(GRID.0 * PITCH, GRID.1 * PITCH, image::Rgb([255; 3]));
    let mut boxes = Vec::new();
    for (row, column) in (0..GRID.1).flat_map(|row| (0..GRID.0).map(move |column| (row, column))) {
        let is_sought = random.random_ratio(1, RARITY);
        let character = if is_sought { sought } else { others.choose(random).ok_or("no other character")? };
        let drawer = drawers.choose(random).ok_or("no drawer")?;
        let side = (SIDE * random.random_range(SCALES)).round() as u32;
        let drawing = resize(&drawing_of(character, *drawer)?, Size::new(side, side))?;
        let mut first = |place: u32| {
            i64::from(place * PITCH + PITCH / 2) - i64::from(side / 2) + random.random_range(-SHIFT..=SHIFT)
        };
        let (left, top) = (first(column), first(row));
        darken(&mut page, &drawing, (left, top));
        if is_sought && let Some(ink) = ink(&drawing) {
            let (dx, dy) = (left as f64, top as f64);
            boxes.push(Rect::new(ink.left + dx, ink.top + dy, ink.right + dx, ink.bottom + dy));
        }
    }
    Ok((page, boxes))
}

/// One person's drawing of a character: files end in the person's number.
fn drawing_of(character: &Path, drawer: u32) -> Result<RgbImage, Box<dyn Error>> {
    let ending = format!("_{drawer:02}.png");
    for entry in std::fs::read_dir(character)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(&ending) {
            return Ok(read_rgb(&path)?);
        }
    }
    Err(format!("{} has no drawing {drawer}", character.display()).into())
}

/// Lays a drawing over the page; the darker of both is seen, and what would lie outside is left out.
fn darken(page: &mut RgbImage, drawing: &RgbImage, (left, top): (i64, i64)) {
    for (x, y, pixel) in drawing.enumerate_pixels() {
        let (x, y) = (u32::try_from(left + i64::from(x)), u32::try_from(top + i64::from(y)));
        if let (Ok(x), Ok(y)) = (x, y)
            && let Some(under) = page.get_pixel_mut_checked(x, y)
        {
            under.0.iter_mut().zip(pixel.0).for_each(|(under, over)| *under = over.min(*under));
        }
    }
}

/// The box around a drawing's ink.
fn ink(drawing: &RgbImage) -> Option<Rect> {
    let dark = drawing.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] < INK);
    dark.map(|(x, y, _)| Rect::new(f64::from(x), f64::from(y), f64::from(x + 1), f64::from(y + 1))).reduce(
        |a, b| Rect::new(a.left.min(b.left), a.top.min(b.top), a.right.max(b.right), a.bottom.max(b.bottom)),
    )
}

fn annotation(name: &str, page: &RgbImage, boxes: &[Rect]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(text, "<annotation>\n<filename>{name}.png</filename>")?;
    writeln!(text, "<size><width>{}</width><height>{}</height></size>", page.width(), page.height())?;
    for rect in boxes {
        writeln!(
            text,
            "<object><name>character</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>",
            rect.left, rect.top, rect.right, rect.bottom
        )?;
    }
    writeln!(text, "</annotation>")?;
    Ok(text)
}
