use super::chart::{Chart, chart_on, class_ink, legend, mesh, name};
use super::{AXIS, Canvas, Drawing, Drawn, ReliabilityOf, reason};
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
    (class, counted): (&str, &str),
    bins: &[ReliabilityBin],
) -> Drawn {
    let color = class_ink(number);
    let style = canvas.stroke(color, 2.0);
    let place = |bin: &ReliabilityBin| (100.0 * bin.probability, 100.0 * bin.hit_rate);
    let all: usize = bins.iter().map(|bin| bin.count).sum();
    let line = chart.draw_series(LineSeries::new(bins.iter().map(place), style)).map_err(reason)?;
    name(canvas, line, &format!("{class} ({all} {counted})"), style);
    let radius = |bin: &ReliabilityBin| {
        let part = bin.count as f64 / all.max(1) as f64;
        canvas.unit((LARGEST_DOT * part.sqrt()).max(SMALLEST_DOT))
    };
    let dots = bins.iter().map(|bin| Circle::new(place(bin), radius(bin), color.filled()));
    chart.draw_series(dots).map_err(reason)?;
    Ok(())
}

impl Drawing for Curves<'_> {
    fn size(&self) -> (u32, u32) {
        (440, 400)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn {
        let (least, counted, share) = self.axes();
        let mut chart = chart_on(canvas, least.min(99.0)..100.0, 0.0..100.0)?;
        mesh(canvas, &mut chart)
            .x_label_formatter(&|value| format!("{value:.0}"))
            .y_label_formatter(&|value| format!("{value:.0}"))
            .x_desc("probability that is said (%)")
            .y_desc(share)
            .draw()
            .map_err(reason)?;
        let right = LineSeries::new([(least, least), (100.0, 100.0)], canvas.stroke(AXIS, 1.0));
        chart.draw_series(right).map_err(reason)?;
        for (number, (class, bins)) in self.classes.iter().enumerate() {
            draw_class(canvas, &mut chart, number, (class, counted), bins)?;
        }
        if self.classes.is_empty() {
            return Ok(());
        }
        let mut bins = self.classes.iter().flat_map(|(_, bins)| bins.iter());
        // Confident mistakes lie where the legend would be.
        let covered = bins.any(|bin| bin.hit_rate < 0.25 && bin.probability < 0.9);
        let place = if covered { SeriesLabelPosition::UpperLeft } else { SeriesLabelPosition::LowerLeft };
        legend(canvas, &mut chart, place)
    }
}
