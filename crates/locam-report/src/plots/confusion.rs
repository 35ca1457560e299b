use super::{Canvas, Drawing, Drawn, TEXT, reason};
use crate::font::text_width;
use locam_locate::ConfusionMatrix;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const FAINT: RGBColor = RGBColor(110, 113, 120);
const EDGE: RGBColor = RGBColor(200, 203, 210);
/// The colour of a whole row in one cell.
const FULL: RGBColor = RGBColor(8, 64, 129);
/// Height of names and counts, in units of the SVG.
const FONT: f64 = 14.0;
/// Longer names are cut.
const LONGEST_NAME: usize = 24;
/// Cells smaller than this have no room for a number.
const SMALLEST_WITH_NUMBER: f64 = 26.0;
/// Gaps, and room for one line of text with its gap.
const GAP: f64 = 8.0;
const LINE: f64 = 26.0;

/// A confusion matrix with the sizes of its parts, in units of the SVG.
pub(super) struct Table<'a> {
    matrix: &'a ConfusionMatrix,
    names: Vec<String>,
    cell: f64,
    /// Width of the names to the left, and height of those above, which are turned where they are wider than a cell.
    names_width: f64,
    names_height: f64,
}

impl<'a> Table<'a> {
    pub(super) fn new(matrix: &'a ConfusionMatrix, class_names: &[String]) -> Self {
        let classes = matrix.classes();
        let name =
            |class: usize| class_names.get(class).map_or_else(|| class.to_string(), |name| shortened(name));
        let names: Vec<String> = (0..classes).map(name).collect();
        let cell = (560.0 / classes.max(1) as f64).clamp(18.0, 84.0);
        let widest = names.iter().map(|name| f64::from(text_width(name, FONT as f32))).fold(20.0, f64::max);
        let names_height = if widest <= cell - GAP / 2.0 { FONT + GAP } else { widest + GAP };
        Self { matrix, names, cell, names_width: widest + GAP, names_height }
    }

    fn side(&self) -> f64 {
        self.cell * self.names.len() as f64
    }

    /// Left and top of the cells.
    fn origin(&self) -> (f64, f64) {
        (GAP + LINE + self.names_width, GAP + LINE + self.names_height)
    }

    fn draw_cell<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, truth: usize, predicted: usize) -> Drawn {
        let (left, top) = self.origin();
        let (x, y) = (left + self.cell * predicted as f64, top + self.cell * truth as f64);
        let count = self.matrix.count(truth, predicted);
        let share = count as f64 / self.matrix.row_total(truth).max(1) as f64;
        let corners =
            [(canvas.unit(x), canvas.unit(y)), (canvas.unit(x + self.cell), canvas.unit(y + self.cell))];
        canvas.area.draw(&Rectangle::new(corners, shade(share).filled())).map_err(reason)?;
        canvas.area.draw(&Rectangle::new(corners, canvas.stroke(EDGE, 1.0))).map_err(reason)?;
        if self.cell < SMALLEST_WITH_NUMBER {
            return Ok(());
        }
        let color = if share > 0.5 { WHITE } else { TEXT };
        let size = FONT.min(self.cell * 0.4);
        let middle = (x + self.cell / 2.0, y + self.cell / 2.0);
        write(canvas, &count.to_string(), middle, (size, color), HPos::Center, FontTransform::None)
    }

    fn draw_names<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn {
        let (left, top) = self.origin();
        let turned = self.names_height > FONT + GAP;
        for (place, name) in self.names.iter().enumerate() {
            let middle = self.cell * (place as f64 + 0.5);
            let style = (FONT.min(self.cell * 0.8), TEXT);
            write(canvas, name, (left - GAP, top + middle), style, HPos::Right, FontTransform::None)?;
            let above = if turned { top - GAP } else { top - GAP - FONT / 2.0 };
            let (align, transform) = if turned {
                (HPos::Left, FontTransform::Rotate270)
            } else {
                (HPos::Center, FontTransform::None)
            };
            write(canvas, name, (left + middle, above), style, align, transform)?;
        }
        let center = self.side() / 2.0;
        let (across, down) = ((left + center, GAP + FONT / 2.0), (GAP + FONT / 2.0, top + center));
        write(canvas, "predicted", across, (FONT, FAINT), HPos::Center, FontTransform::None)?;
        write(canvas, "truth", down, (FONT, FAINT), HPos::Center, FontTransform::Rotate270)
    }
}

impl Drawing for Table<'_> {
    fn size(&self) -> (u32, u32) {
        let (left, top) = self.origin();
        // Room for the headings where there are few classes.
        let side = self.side().max(80.0);
        ((left + side + 2.0 * GAP).ceil() as u32, (top + side + 2.0 * GAP).ceil() as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn {
        for truth in 0..self.names.len() {
            for predicted in 0..self.names.len() {
                self.draw_cell(canvas, truth, predicted)?;
            }
        }
        self.draw_names(canvas)
    }
}

/// Writes a line whose place is the middle of its height.
fn write<DB: DrawingBackend>(
    canvas: &Canvas<DB>,
    text: &str,
    (x, y): (f64, f64),
    (size, color): (f64, RGBColor),
    align: HPos,
    transform: FontTransform,
) -> Drawn {
    let style = canvas.font(size, color).transform(transform).pos(Pos::new(align, VPos::Center));
    canvas.area.draw_text(text, &style, (canvas.unit(x), canvas.unit(y))).map_err(reason)
}

/// From white to the full colour.
fn shade(share: f64) -> RGBColor {
    let mix = |full: u8| (255.0 + (f64::from(full) - 255.0) * share.sqrt()).round() as u8;
    RGBColor(mix(FULL.0), mix(FULL.1), mix(FULL.2))
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    name.chars().take(LONGEST_NAME - 1).chain(['\u{2026}']).collect()
}
