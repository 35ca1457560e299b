use crate::canvas::{INK, Style, WHITE, fitted, horizontal_bar, positions, scaled};
use crate::font::{Align, draw_text, text_width};
use crate::{ScoreRange, heat_color};
use image::{RgbImage, imageops};
use locam_core::{ScoreMap, Size};

/// The widest a panel gets, in pixels.
const WIDEST: u32 = 1600;
/// The aspect that the arrangement of tiles comes nearest to: that of a printed figure across a page.
const ASPECT: f64 = 1.6;

/// One image beside the maps that were made of it: the plain mean of all feature channels, the sum weighted for a
/// class, the negative of the plain mean, and single channels.
///
/// This is what Zhou et al., "Learning deep features for discriminative localization", 2016, show of a network. Each
/// map is drawn alone over the extent of the image, with the range of its colours beneath; the ranges come
/// from the caller, so that panels of different images compare.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a> {
    /// The image, as it was given to be searched or reduced.
    pub image: &'a RgbImage,
    /// Its size as it was given.
    pub size: Size,
    /// The class that the sum is weighted for.
    pub class_name: &'a str,
    /// The plain mean of all channels.
    pub mean: &'a ScoreMap,
    /// The weighted sum for the class.
    pub weighted: &'a ScoreMap,
    /// Single channels with their numbers.
    pub channels: &'a [(usize, ScoreMap)],
    /// The range of `mean`; its negative is drawn with the negated range.
    pub mean_range: ScoreRange,
    /// The range of `weighted`.
    pub weighted_range: ScoreRange,
    /// The range of all `channels`.
    pub channel_range: ScoreRange,
}

struct Tile {
    title: String,
    picture: RgbImage,
    range: Option<ScoreRange>,
}

impl Panel<'_> {
    /// Draws it, at most 1600 pixels wide.
    pub fn draw(&self) -> RgbImage {
        let image = self.size;
        let columns = columns(image, 4 + self.channels.len() as u32);
        let tile = fitted(image, 320, (WIDEST - 200) / columns);
        let style = Style { text: 16.0, pad: 12, line: 2 };
        let tiles = self.tiles(image, tile);
        // A narrow image still leaves room for its title.
        let cell = Size::new(tile.width.max(widest_title(&tiles, style)), tile.height + 2 * CAPTION);
        let rows = (tiles.len() as u32).div_ceil(columns);
        let mut canvas =
            RgbImage::from_pixel(columns * (cell.width + GAP) + GAP, rows * (cell.height + GAP) + GAP, WHITE);
        for (place, tile) in (0..).zip(&tiles) {
            let x = GAP + place % columns * (cell.width + GAP);
            let y = GAP + place / columns * (cell.height + GAP);
            draw_tile(&mut canvas, (x, y), cell.width, tile, style);
        }
        canvas
    }

    fn tiles(&self, image: Size, size: Size) -> Vec<Tile> {
        let heat = |title: String, map: &ScoreMap, range: ScoreRange| {
            let mut picture = RgbImage::new(size.width, size.height);
            for (x, y, position) in positions(map, range, image, size) {
                picture.put_pixel(x, y, heat_color(position));
            }
            Tile { title, picture, range: Some(range) }
        };
        let negative = self.mean.with_values(self.mean.values().iter().map(|value| -value).collect());
        let photograph = Tile {
            title: format!("image, {} \u{d7} {} px", image.width, image.height),
            picture: scaled(self.image, size),
            range: None,
        };
        let mut tiles = vec![
            photograph,
            heat("mean of all channels".to_owned(), self.mean, self.mean_range),
            heat(format!("weighted for {}", self.class_name), self.weighted, self.weighted_range),
            heat("negative of the mean".to_owned(), &negative, self.mean_range.negated()),
        ];
        for (number, map) in self.channels {
            tiles.push(heat(format!("channel {number}"), map, self.channel_range));
        }
        tiles
    }
}

fn widest_title(tiles: &[Tile], style: Style) -> u32 {
    tiles.iter().map(|tile| text_width(&tile.title, style.text)).fold(0.0, f32::max).ceil() as u32
}

/// Pixels between tiles.
const GAP: u32 = 20;
/// Rows that a line of text above or below a tile takes.
const CAPTION: u32 = 24;

fn draw_tile(canvas: &mut RgbImage, (x, y): (u32, u32), width: u32, tile: &Tile, style: Style) {
    let left = x + (width - tile.picture.width()) / 2;
    draw_text(canvas, (x as f32 + width as f32 / 2.0, y as f32), Align::Center, style.text, INK, &tile.title);
    imageops::replace(canvas, &tile.picture, left.into(), (y + CAPTION).into());
    if let Some(range) = tile.range {
        let below = y + CAPTION + tile.picture.height() + (CAPTION - style.text as u32) * 3 / 4;
        let bar = tile.picture.width().max(width.min(120));
        horizontal_bar(canvas, (x + (width - bar) / 2, below), bar, range, style);
    }
}

/// The number of columns that brings the panel nearest to a figure's aspect, of those that leave no gap.
fn columns(image: Size, tiles: u32) -> u32 {
    let aspect = |columns: u32| {
        let width = columns * (image.width + GAP);
        let height = (tiles / columns) * (image.height + GAP);
        (f64::from(width) / f64::from(height) / ASPECT).ln().abs()
    };
    let even = (1..=tiles).filter(|columns| tiles.is_multiple_of(*columns));
    even.min_by(|&a, &b| aspect(a).total_cmp(&aspect(b))).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use locam_core::MapTransform;

    #[test]
    fn tiles_are_arranged_by_the_aspect_of_the_image() {
        assert_eq!(columns(Size::new(640, 480), 8), 4);
        assert_eq!(columns(Size::new(1600, 400), 8), 2);
        assert_eq!(columns(Size::new(300, 900), 8), 8);
    }

    #[test]
    fn a_panel_is_bounded_and_holds_the_image() {
        for size in [Size::new(224, 224), Size::new(3000, 2000), Size::new(30, 2000), Size::new(1700, 40)] {
            let image = RgbImage::from_pixel(size.width, size.height, Rgb([10, 200, 30]));
            let cells = Size::new(size.width.div_ceil(32), size.height.div_ceil(32));
            let map =
                ScoreMap::new(cells, vec![0.3; cells.area() as usize], MapTransform::uniform(0.5, 32.0));
            let channels: Vec<_> = (0..4).map(|i| (i, map.clone())).collect();
            let range = ScoreRange { low: 0.0, high: 1.0 };
            let panel = Panel {
                image: &image,
                size,
                class_name: "blast",
                mean: &map,
                weighted: &map,
                channels: &channels,
                mean_range: range,
                weighted_range: range,
                channel_range: range,
            };
            let drawn = panel.draw();
            assert!(drawn.width() <= 2000, "{size}: {}", drawn.width());
            assert!(drawn.pixels().any(|pixel| pixel.0 == [10, 200, 30]), "{size}");
        }
    }
}
