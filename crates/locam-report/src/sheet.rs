use crate::canvas::{FAINT, INK, WHITE, fill};
use crate::class_color;
use crate::font::{Align, draw_text, text_width};
use crate::predictions::probability;
use image::{Rgb, RgbImage, imageops};
use locam_core::{ClassId, Size};

/// The side of a cutout on a sheet, in pixels.
pub const CUTOUT_SIDE: u32 = 128;
/// Cutouts beside each other.
const COLUMNS: u32 = 12;
/// Pixels between cutouts, and around everything.
const GAP: u32 = 10;
/// Height of a line of text, and of the line with its room.
const TEXT: f32 = 16.0;
const LINE: u32 = 22;
/// Height of the mark in its class's colour under a cutout.
const MARK: u32 = 4;

/// A found object, cut from its image.
#[derive(Clone, Debug)]
pub struct Cutout {
    /// Its number in the tables.
    pub number: usize,
    /// Its class.
    pub class: ClassId,
    /// Its score in log-odds.
    pub score: f64,
    /// Its surroundings, at most [`CUTOUT_SIDE`] pixels wide and high.
    pub picture: RgbImage,
}

/// A contact sheet: the objects found on an image, in the order given, each over its number and probability.
#[derive(Clone, Copy, Debug)]
pub struct Sheet<'a> {
    /// The line above, e.g. the image's name.
    pub title: &'a str,
    /// What is shown.
    pub cutouts: &'a [Cutout],
    /// How many objects were found in all.
    pub found: usize,
    /// The classes that are named with their colours above.
    pub classes: &'a [(ClassId, &'a str)],
}

impl Sheet<'_> {
    /// Draws it, 12 objects in a row.
    pub fn draw(&self) -> RgbImage {
        let count = self.cutouts.len() as u32;
        let columns = count.clamp(4, COLUMNS);
        let (across, down) = (CUTOUT_SIDE + GAP, CUTOUT_SIDE + MARK + LINE + GAP);
        let top = 2 * GAP + 2 * LINE;
        let size = Size::new(GAP + columns * across, top + count.div_ceil(columns) * down + GAP);
        let mut sheet = RgbImage::from_pixel(size.width.max(self.header_width()), size.height, WHITE);
        self.draw_header(&mut sheet);
        for (place, cutout) in (0..).zip(self.cutouts) {
            draw_cutout(&mut sheet, (GAP + place % columns * across, top + place / columns * down), cutout);
        }
        sheet
    }

    fn draw_header(&self, sheet: &mut RgbImage) {
        let (left, top) = (GAP as f32, GAP as f32);
        draw_text(sheet, (left, top), Align::Left, TEXT, INK, self.title);
        let mut x = left;
        let y = top + LINE as f32;
        for (class, name) in self.classes {
            fill(sheet, (x as u32, y as u32 + 3), Size::new(12, 12), Rgb(class_color(*class)));
            draw_text(sheet, (x + 18.0, y), Align::Left, TEXT, INK, name);
            x += legend_width(name);
        }
        draw_text(sheet, (x, y), Align::Left, TEXT, FAINT, &self.note());
    }

    fn note(&self) -> String {
        let order = "surest first, with number and probability";
        match self.cutouts.len() {
            shown if shown == self.found => format!("{shown} found, {order}"),
            shown => {
                format!("{shown} of {} found, evenly from the surest to the least sure, {order}", self.found)
            }
        }
    }

    fn header_width(&self) -> u32 {
        let legend: f32 = self.classes.iter().map(|(_, name)| legend_width(name)).sum();
        let line = (legend + text_width(&self.note(), TEXT)).max(text_width(self.title, TEXT));
        line.ceil() as u32 + 2 * GAP
    }
}

fn legend_width(name: &str) -> f32 {
    18.0 + text_width(name, TEXT) + 18.0
}

fn draw_cutout(sheet: &mut RgbImage, (x, y): (u32, u32), cutout: &Cutout) {
    let margin = |side: u32| i64::from(CUTOUT_SIDE.saturating_sub(side) / 2);
    let (width, height) = cutout.picture.dimensions();
    imageops::replace(sheet, &cutout.picture, i64::from(x) + margin(width), i64::from(y) + margin(height));
    let below = y + CUTOUT_SIDE;
    fill(sheet, (x, below), Size::new(CUTOUT_SIDE, MARK), Rgb(class_color(cutout.class)));
    let line = (below + MARK + 2) as f32;
    draw_text(sheet, (x as f32, line), Align::Left, TEXT, INK, &cutout.number.to_string());
    let right = (x + CUTOUT_SIDE) as f32;
    // What is all but certain does not round to certainty.
    let probability = format!("{:.3}", (probability(cutout.score) * 1000.0).floor() / 1000.0);
    draw_text(sheet, (right, line), Align::Right, TEXT, FAINT, &probability);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutouts_stand_in_their_order_and_none_is_survived() {
        let cutout = |i: u32| Cutout {
            number: i as usize + 1,
            class: ClassId(0),
            score: 9.0 - f64::from(i) / 10.0,
            picture: RgbImage::from_pixel(CUTOUT_SIDE, 60, Rgb([i as u8, 200, 0])),
        };
        let cutouts: Vec<_> = (0..30).map(cutout).collect();
        let classes = [(ClassId(0), "cell")];
        let sheet = Sheet { title: "a.png", cutouts: &cutouts, found: 900, classes: &classes };
        let drawn = sheet.draw();
        let middle = |place: u32| {
            let x = GAP + place % COLUMNS * (CUTOUT_SIDE + GAP) + CUTOUT_SIDE / 2;
            let y = 2 * GAP + 2 * LINE + place / COLUMNS * (CUTOUT_SIDE + MARK + LINE + GAP);
            drawn.get_pixel(x, y + CUTOUT_SIDE / 2).0
        };
        assert!((0..30).all(|place| middle(place) == [place as u8, 200, 0]));
        let none = Sheet { cutouts: &[], found: 0, ..sheet }.draw();
        assert!(none.width() > 100 && none.height() > 2 * LINE);
    }
}
