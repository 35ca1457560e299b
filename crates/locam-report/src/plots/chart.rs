//! What line charts share: the look of their axes, the keys of their lines and the legend.

use super::{AXIS, Canvas, Drawn, GRID, TEXT, reason};
use crate::class_color;
use locam_core::ClassId;
use plotters::chart::{MeshStyle, SeriesAnno};
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use std::ops::Range;

/// Numbers over `X`.
pub(super) type Chart<'a, DB, X = RangedCoordf64> = ChartContext<'a, DB, Cartesian2d<X, RangedCoordf64>>;

/// A chart that takes the whole canvas.
pub(super) fn chart_on<'a, DB: DrawingBackend>(
    canvas: &Canvas<DB>,
    x: Range<f64>,
    y: Range<f64>,
) -> Result<Chart<'a, DB>, String> {
    ChartBuilder::on(&canvas.area)
        .margin(canvas.unit(14.0))
        .x_label_area_size(canvas.unit(40.0))
        .y_label_area_size(canvas.unit(52.0))
        .build_cartesian_2d(x, y)
        .map_err(reason)
}

/// The axes and the grid, without names and numbers.
pub(super) fn mesh<'a, 'b, DB: DrawingBackend, X: Ranged + ValueFormatter<<X as Ranged>::ValueType>>(
    canvas: &Canvas<DB>,
    chart: &'b mut Chart<'a, DB, X>,
) -> MeshStyle<'a, 'b, X, RangedCoordf64, DB> {
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT)
        .bold_line_style(canvas.stroke(GRID, 1.0))
        .axis_style(canvas.stroke(AXIS, 1.0))
        .set_all_tick_mark_size(canvas.unit(4.0))
        .x_labels(6)
        .y_labels(6)
        .label_style(canvas.font(13.0, TEXT))
        .axis_desc_style(canvas.font(13.0, TEXT));
    mesh
}

/// The colour of a class, by its number.
pub(super) fn class_ink(number: usize) -> RGBColor {
    let [red, green, blue] = class_color(ClassId(number));
    RGBColor(red, green, blue)
}

/// Names a line in the legend, beside a piece of it.
pub(super) fn name<'a, DB: DrawingBackend + 'a>(
    canvas: &Canvas<DB>,
    line: &mut SeriesAnno<'a, DB>,
    name: &str,
    style: ShapeStyle,
) {
    let (length, middle) = (canvas.unit(20.0), canvas.unit(1.0));
    line.label(name)
        .legend(move |(x, y)| PathElement::new(vec![(x, y - middle), (x + length, y - middle)], style));
}

/// Draws the names of the lines that were drawn before.
pub(super) fn legend<'a, DB: DrawingBackend + 'a, X: Ranged>(
    canvas: &Canvas<DB>,
    chart: &mut Chart<'a, DB, X>,
    position: SeriesLabelPosition,
) -> Drawn {
    chart
        .configure_series_labels()
        .position(position)
        .margin(canvas.unit(8.0))
        .legend_area_size(canvas.unit(26.0))
        .label_font(canvas.font(13.0, TEXT))
        .background_style(WHITE.mix(0.85))
        .draw()
        .map_err(reason)
}
