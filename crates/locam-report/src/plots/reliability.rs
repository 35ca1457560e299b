use super::{AXIS, Canvas, Drawing, Drawn, GRID, ReliabilityOf, TEXT, reason};
use crate::class_color;
use locam_core::ClassId;
use locam_locate::ReliabilityBin;
use plotters::prelude::*;

/// Area of the dot of a bin that holds all regions of a class, as its radius in units of the SVG.
const LARGEST_DOT: f64 = 11.0;
const SMALLEST_DOT: f64 = 2.5;

/// The bins of some classes, each with its name.
pub(super) struct Curves<'a> {
    classes: &'a [(String, Vec<ReliabilityBin>)],
    of: ReliabilityOf,
}

impl<'a> Curves<'a> {
    pub(super) fn new(classes: &'a [(String, Vec<ReliabilityBin>)], of: ReliabilityOf) -> Self {
        Self { classes, of }
    }

    /// The lowest probability in percent, what is counted, and what its share is of.
    fn axes(&self) -> (f64, &'static str, &'static str) {
        match self.of {
            ReliabilityOf::Regions => (50.0, "regions", "regions that are objects (%)"),
            ReliabilityOf::Patches { classes } => {
                (100.0 / classes.max(1) as f64, "patches", "patches that are right (%)")
            }
        }
    }
}

/// A line through the bins of a class; a dot's area is its bin's part of the regions.
fn draw_class<'a, DB: DrawingBackend + 'a>(
    canvas: &Canvas<DB>,
    chart: &mut Chart<'a, DB>,
    number: usize,
    (label, counted): (&str, &str),
    bins: &[ReliabilityBin],
) -> Drawn {
    let [red, green, blue] = class_color(ClassId(number));
    let color = RGBColor(red, green, blue);
    let style = color.stroke_width(canvas.unit(2.0) as u32);
    let (length, middle) = (canvas.unit(20.0), canvas.unit(1.0));
    let place = |bin: &ReliabilityBin| (100.0 * bin.probability, 100.0 * bin.hit_rate);
    let all: usize = bins.iter().map(|bin| bin.count).sum();
    chart
        .draw_series(LineSeries::new(bins.iter().map(place), style))
        .map_err(reason)?
        .label(format!("{label} ({all} {counted})"))
        .legend(move |(x, y)| PathElement::new(vec![(x, y - middle), (x + length, y - middle)], style));
    let radius = |bin: &ReliabilityBin| {
        let part = bin.count as f64 / all.max(1) as f64;
        canvas.unit((LARGEST_DOT * part.sqrt()).max(SMALLEST_DOT))
    };
    let dots = bins.iter().map(|bin| Circle::new(place(bin), radius(bin), color.filled()));
    chart.draw_series(dots).map_err(reason)?;
    Ok(())
}

type Chart<'a, DB> = ChartContext<
    'a,
    DB,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

impl Drawing for Curves<'_> {
    fn size(&self) -> (u32, u32) {
        (440, 400)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn {
        let (least, counted, share) = self.axes();
        let mut chart = ChartBuilder::on(&canvas.area)
            .margin(canvas.unit(14.0))
            .x_label_area_size(canvas.unit(40.0))
            .y_label_area_size(canvas.unit(52.0))
            .build_cartesian_2d(least.min(99.0)..100.0, 0.0..100.0)
            .map_err(reason)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(canvas.unit(1.0) as u32))
            .axis_style(AXIS.stroke_width(canvas.unit(1.0) as u32))
            .set_all_tick_mark_size(canvas.unit(4.0))
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&|value| format!("{value:.0}"))
            .y_label_formatter(&|value| format!("{value:.0}"))
            .x_desc("probability that is said (%)")
            .y_desc(share)
            .label_style(canvas.font(13.0, TEXT))
            .axis_desc_style(canvas.font(13.0, TEXT))
            .draw()
            .map_err(reason)?;
        let right = AXIS.stroke_width(canvas.unit(1.0) as u32);
        chart.draw_series(LineSeries::new([(least, least), (100.0, 100.0)], right)).map_err(reason)?;
        for (number, (name, bins)) in self.classes.iter().enumerate() {
            draw_class(canvas, &mut chart, number, (name, counted), bins)?;
        }
        if self.classes.is_empty() {
            return Ok(());
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .margin(canvas.unit(8.0))
            .legend_area_size(canvas.unit(26.0))
            .label_font(canvas.font(13.0, TEXT))
            .background_style(WHITE.mix(0.85))
            .draw()
            .map_err(reason)
    }
}
