use crate::canvas::{
    FAINT, INK, Style, WHITE, fill, fitted, outline, positions, scaled, tick_labels, vertical_bar,
};
use crate::font::{Align, blend, draw_text, text_width};
use crate::marks::{FOUND, HALO, Placement, TRUTH, draw_truth};
use crate::{ScoreRange, heat_color};
use image::{Rgb, RgbImage, imageops};
use locam_core::{Point, Rect, Region, ScoreMap, Size};
use locam_locate::Truth;

/// The longest side, in pixels, that the image has on an overlay unless something else is asked for.
pub const DEFAULT_LONGEST_SIDE: u32 = 1600;
/// Smaller images are enlarged until their longest side has so many pixels, so that text has room.
const SHORTEST_LONGEST_SIDE: u32 = 480;
/// How much of the image the brightest colour hides.
const STRONGEST_COVER: f64 = 0.65;

/// An image with the score map of one class laid over it.
///
/// The lower a score the more of the image shows through: at the low end of the range all of it. Regions are numbered
/// in the order given. Title, colour bar and scale are in margins, so that they hide nothing.
#[derive(Clone, Copy, Debug)]
pub struct Overlay<'a> {
    /// The image, as it was given to be searched or reduced.
    pub image: &'a RgbImage,
    /// Its size as it was given: regions and truths are in these pixels.
    pub size: Size,
    /// The scores; the map's transform leads to the same pixels.
    pub map: &'a ScoreMap,
    /// The scores at the ends of the colour scale, the same for all overlays of a run.
    pub range: ScoreRange,
    /// What was found, drawn as numbered boxes.
    pub regions: &'a [Region],
    /// The number of the first of them, as the tables count.
    pub first_number: usize,
    /// What is known to be there, drawn in green; empty where nothing is known.
    pub truths: &'a [Truth],
    /// The line above: the name of the class.
    pub title: &'a str,
    /// What the colours stand for, e.g. `log-odds`.
    pub unit: &'a str,
    /// How many micrometres a pixel of the image is wide, for the scale bar, where that is known.
    pub microns_per_pixel: Option<f64>,
    /// Images are reduced until their longest side has at most so many pixels.
    pub longest_side: u32,
}

impl Overlay<'_> {
    /// Draws it.
    pub fn draw(&self) -> RgbImage {
        let size = self.picture_size();
        let style = Style::for_size(size);
        let layout = Layout::new(self, size, style);
        let mut canvas = RgbImage::from_pixel(layout.canvas.width, layout.canvas.height, WHITE);
        let (left, top) = (i64::from(layout.left), i64::from(layout.top));
        imageops::replace(&mut canvas, &self.blended(size), left, top);
        self.draw_marks(&mut canvas, &layout, style);
        self.draw_header(&mut canvas, &layout, style);
        let bar = Size::new(style.text.round() as u32, size.height);
        let bar_left = layout.left + size.width + style.pad;
        vertical_bar(&mut canvas, (bar_left, layout.top), bar, self.range, style, seen_on_white);
        self.draw_footer(&mut canvas, &layout, style);
        canvas
    }

    fn picture_size(&self) -> Size {
        let largest = self.longest_side.max(1);
        fitted(self.size, SHORTEST_LONGEST_SIDE.min(largest), largest)
    }

    /// The image under its heat map.
    fn blended(&self, size: Size) -> RgbImage {
        let mut picture = scaled(self.image, size);
        let positions = positions(self.map, self.range, self.size, size);
        for (x, y, position) in positions.filter(|&(_, _, position)| position > 0.0) {
            blend(&mut picture, x.into(), y.into(), heat_color(position), cover(position) as f32);
        }
        picture
    }

    fn draw_header(&self, canvas: &mut RgbImage, layout: &Layout, style: Style) {
        let y = style.pad as f32;
        draw_text(canvas, (layout.left as f32, y), Align::Left, style.text * TITLE, INK, self.title);
        let right = (layout.canvas.width - style.pad) as f32;
        draw_text(
            canvas,
            (right, y + style.text * (TITLE - 1.0)),
            Align::Right,
            style.text,
            FAINT,
            self.unit,
        );
    }

    fn draw_marks(&self, canvas: &mut RgbImage, layout: &Layout, style: Style) {
        let clip = layout.picture();
        let boxes: Vec<Rect> =
            self.regions.iter().map(|region| layout.place.rect(region.rect).intersection(clip)).collect();
        for rect in &boxes {
            draw_box(canvas, *rect, style.line, clip);
        }
        // The truth has the thinner line and goes on top, so that neither hides the other where they agree.
        for truth in self.truths {
            draw_truth(canvas, &truth.shape, layout.place, style, clip);
        }
        for (number, rect) in (self.first_number..).zip(&boxes) {
            draw_label(canvas, *rect, &number.to_string(), style);
        }
    }

    /// A scale bar to the left, what the marks mean in the middle, the image's size to the right.
    fn draw_footer(&self, canvas: &mut RgbImage, layout: &Layout, style: Style) {
        let y = layout.top + layout.size.height + style.pad;
        let middle = y + (style.text / 2.0) as u32;
        let (pixels, length) = self.scale_bar(layout.size);
        let thickness = style.line;
        fill(canvas, (layout.left, middle - thickness / 2), Size::new(length, thickness), INK);
        for end in [layout.left, layout.left + length - thickness.min(length)] {
            let tick = style.sample() / 2;
            fill(canvas, (end, middle - tick), Size::new(thickness, 2 * tick), INK);
        }
        let mut x = (layout.left + length + style.pad / 2) as f32;
        let write = |canvas: &mut RgbImage, x: f32, color, text: &str| {
            draw_text(canvas, (x, y as f32), Align::Left, style.text, color, text);
            x + text_width(text, style.text) + 1.5 * style.pad as f32
        };
        x = write(canvas, x, INK, &pixels);
        for (color, text) in self.legend() {
            let side = f64::from(style.sample());
            let sample = Rect::around(Point::new(f64::from(x) + side / 2.0, f64::from(middle)), side, side);
            let whole = Rect::new(0.0, 0.0, canvas.width().into(), canvas.height().into());
            if color == FOUND {
                draw_box(canvas, sample, style.line, whole);
            } else {
                outline(canvas, sample, style.line, color, whole);
            }
            x = write(canvas, x + side as f32 + style.pad as f32 / 2.0, INK, &text);
        }
        write(canvas, x, FAINT, &self.size_note());
    }

    fn legend(&self) -> Vec<(Rgb<u8>, String)> {
        let mut entries = vec![(FOUND, format!("{} found", self.regions.len()))];
        if !self.truths.is_empty() {
            entries.push((TRUTH, format!("{} known", self.truths.len())));
        }
        entries
    }

    fn size_note(&self) -> String {
        format!("{} \u{d7} {} px", self.size.width, self.size.height)
    }

    /// A round number of micrometres, or of image pixels, that takes about a fifth of the picture's width, and that width.
    fn scale_bar(&self, size: Size) -> (String, u32) {
        let image_width = f64::from(self.size.width);
        let (unit, width) = match self.microns_per_pixel {
            Some(microns) => ("\u{b5}m", image_width * microns),
            None => ("px", image_width),
        };
        // Parts of a pixel mean nothing.
        let least = if self.microns_per_pixel.is_some() { 0.0 } else { 1.0 };
        let magnitude = 10_f64.powf((width / 5.0).log10().floor());
        let rounds = [5.0, 2.0, 1.0].map(|factor| factor * magnitude);
        let bar = rounds.into_iter().find(|&bar| bar <= width / 5.0).unwrap_or(magnitude).max(least);
        let digits = (-bar.log10().floor()).clamp(0.0, 6.0) as usize;
        let length = bar / width * f64::from(size.width);
        (format!("{bar:.digits$} {unit}"), (length.round() as u32).max(1))
    }

    fn footer_width(&self, size: Size, style: Style) -> u32 {
        let (pixels, length) = self.scale_bar(size);
        let gap = 1.5 * style.pad as f32;
        let texts = [pixels, self.size_note()].map(|text| text_width(&text, style.text) + gap);
        let legend = self.legend();
        let entry = |text: &str| text_width(text, style.text) + gap + (style.sample() + style.pad / 2) as f32;
        let marks: f32 = legend.iter().map(|(_, text)| entry(text)).sum();
        length + style.pad / 2 + (texts.iter().sum::<f32>() + marks).ceil() as u32
    }
}

/// Height of the title in lines of plain text.
const TITLE: f32 = 1.35;

/// Where things are on the canvas.
struct Layout {
    canvas: Size,
    size: Size,
    left: u32,
    top: u32,
    place: Placement,
}

impl Layout {
    fn new(overlay: &Overlay, size: Size, style: Style) -> Self {
        let labels = tick_labels(overlay.range);
        let numbers = labels.iter().map(|(_, label)| text_width(label, style.text)).fold(0.0, f32::max);
        let right = style.pad + style.text as u32 + style.pad + numbers.ceil() as u32;
        let header = text_width(overlay.title, style.text * TITLE) + text_width(overlay.unit, style.text);
        let inner = (size.width + right)
            .max(header.ceil() as u32 + 2 * style.pad)
            .max(overlay.footer_width(size, style));
        let top = 2 * style.pad + (style.text * TITLE).ceil() as u32;
        let bottom = 2 * style.pad + style.text.ceil() as u32;
        Self {
            canvas: Size::new(inner + 2 * style.pad, top + size.height + bottom),
            size,
            left: style.pad,
            top,
            place: Placement::new(Point::new(style.pad.into(), top.into()), overlay.size, size),
        }
    }

    fn picture(&self) -> Rect {
        let (left, top) = (f64::from(self.left), f64::from(self.top));
        Rect::new(left, top, left + f64::from(self.size.width), top + f64::from(self.size.height))
    }
}

/// How much of the image a colour hides.
fn cover(position: f64) -> f64 {
    STRONGEST_COVER * (1.0 - (1.0 - position).powi(2))
}

/// A colour of the scale as it looks over a white image.
fn seen_on_white(position: f64) -> Rgb<u8> {
    let Rgb(color) = heat_color(position);
    let cover = cover(position);
    Rgb(color.map(|value| (255.0 + (f64::from(value) - 255.0) * cover).round() as u8))
}

/// A white box with dark edges to either side, so that it stands out on any ground, the paper around the image
/// included.
fn draw_box(canvas: &mut RgbImage, rect: Rect, line: u32, clip: Rect) {
    outline(canvas, rect.grown(1.0), line + 2, HALO, clip);
    outline(canvas, rect, line, FOUND, clip.grown(-1.0));
}

/// A number in the upper left corner of a box.
fn draw_label(canvas: &mut RgbImage, rect: Rect, label: &str, style: Style) {
    let width = text_width(label, style.text) + style.pad as f32 * 0.8;
    let place = (rect.left.round() as u32, rect.top.round() as u32);
    fill(canvas, place, Size::new(width.round() as u32, (style.text * 1.1).round() as u32), HALO);
    let middle = place.0 as f32 + width / 2.0;
    draw_text(canvas, (middle, place.1 as f32), Align::Center, style.text, WHITE, label);
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_core::{ClassId, MapTransform, Shape};

    fn draw(image: Size, regions: &[Region], truths: &[Truth], longest_side: u32) -> RgbImage {
        let picture = RgbImage::from_pixel(image.width, image.height, Rgb([200, 180, 190]));
        let cells = Size::new(image.width.div_ceil(32), image.height.div_ceil(32));
        let map = ScoreMap::new(cells, vec![0.0; cells.area() as usize], MapTransform::uniform(0.5, 32.0));
        let range = ScoreRange { low: 0.0, high: 10.0 };
        let (title, unit) = ("white cell", "log-odds");
        let (image, size, map) = (&picture, image, &map);
        let (first_number, microns_per_pixel) = (1, None);
        Overlay {
            image,
            size,
            map,
            range,
            regions,
            first_number,
            truths,
            title,
            unit,
            microns_per_pixel,
            longest_side,
        }
        .draw()
    }

    fn region(rect: Rect) -> Region {
        let (centroid, area, outline) = (rect.center(), rect.area(), rect.corners().to_vec());
        let class = ClassId(0);
        Region { class, score: 1.0, peak: centroid, centroid, rect, area, outline, at_border: false }
    }

    #[test]
    fn any_size_and_any_region_can_be_drawn() {
        for image in [Size::new(1, 1), Size::new(40, 900), Size::new(2100, 30), Size::new(224, 224)] {
            let beyond = region(Rect::new(-50.0, -50.0, 9000.0, 9000.0));
            let point = Truth { class: ClassId(0), shape: Shape::Point(Point::new(-3.0, 5000.0)) };
            let drawn = draw(image, &[beyond], &[point], 600);
            assert!(drawn.width() >= 1 && drawn.height() > image.height.min(600));
        }
    }

    #[test]
    fn the_scale_bar_is_round_and_as_long_as_it_says() {
        let image = RgbImage::new(8, 8);
        let map = ScoreMap::new(Size::new(1, 1), vec![0.0], MapTransform::uniform(0.5, 32.0));
        let overlay = |width: u32, microns_per_pixel| Overlay {
            image: &image,
            size: Size::new(width, 500),
            map: &map,
            range: ScoreRange { low: 0.0, high: 1.0 },
            regions: &[],
            first_number: 1,
            truths: &[],
            title: "",
            unit: "",
            microns_per_pixel,
            longest_side: 1000,
        };
        let bar = |width, microns| overlay(width, microns).scale_bar(Size::new(1000, 500));
        assert_eq!(bar(1000, None), ("200 px".to_owned(), 200));
        assert_eq!(bar(3, None), ("1 px".to_owned(), 333));
        assert_eq!(bar(1000, Some(0.25)), ("50 \u{b5}m".to_owned(), 200));
        assert_eq!(bar(46_000, Some(0.499)), ("2000 \u{b5}m".to_owned(), 87));
        assert_eq!(bar(10, Some(0.1)), ("0.2 \u{b5}m".to_owned(), 200));
    }

    #[test]
    fn the_low_end_of_the_scale_leaves_the_image_as_it_is() {
        let drawn = draw(Size::new(640, 480), &[], &[], DEFAULT_LONGEST_SIDE);
        let untouched = drawn.pixels().filter(|pixel| pixel.0 == [200, 180, 190]).count();
        assert_eq!(untouched, 640 * 480);
    }

    #[test]
    fn boxes_and_truths_are_drawn_where_they_are() {
        let rect = Rect::new(100.0, 200.0, 300.0, 320.0);
        let plain = draw(Size::new(640, 480), &[], &[], 640);
        let truth = Truth { class: ClassId(0), shape: Shape::Box(rect) };
        let marked = draw(Size::new(640, 480), &[], &[truth], 640);
        let style = Style::for_size(Size::new(640, 480));
        let top = 2 * style.pad + (style.text * TITLE).ceil() as u32;
        let changed: Vec<_> = marked
            .enumerate_pixels()
            .filter(|(x, y, pixel)| *y >= top && *y < top + 480 && plain.get_pixel(*x, *y) != *pixel)
            .map(|(x, y, _)| (x - style.pad, y - top))
            .collect();
        assert_eq!(
            (changed.iter().map(|p| p.0).min(), changed.iter().map(|p| p.0).max()),
            (Some(100), Some(299))
        );
        assert_eq!(
            (changed.iter().map(|p| p.1).min(), changed.iter().map(|p| p.1).max()),
            (Some(200), Some(319))
        );
    }
}
