use super::{AXIS, Canvas, Drawing, Drawn, GRID, TEXT, reason};
use crate::class_color;
use locam_core::ClassId;
use plotters::prelude::*;

/// The loss of each step of a learning-rate range test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLoss {
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// The batch's loss.
    pub loss: f64,
    /// The loss without the noise of batches.
    pub smoothed_loss: f64,
}

/// Losses over a logarithmic axis of learning rates.
pub(super) struct Rates<'a> {
    steps: &'a [RateLoss],
    suggestion: Option<f64>,
}

impl<'a> Rates<'a> {
    pub(super) fn new(steps: &'a [RateLoss], suggestion: Option<f64>) -> Self {
        Self { steps, suggestion }
    }

    /// The ends of the axis of rates, by powers of ten around all of them.
    fn rates(&self) -> (f64, f64) {
        let exponents = self.steps.iter().map(|step| step.learning_rate.log10());
        let (low, high) = exponents
            .filter(|exponent| exponent.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), one| (low.min(one), high.max(one)));
        if low > high { (-6.0, 0.0) } else { (low.floor(), high.ceil().max(low.floor() + 1.0)) }
    }

    /// The end of the axis of losses: somewhat more than the smoothed loss begins with, so that the explosion at the end does
    /// not flatten what is before it.
    fn highest(&self) -> f64 {
        let first = self.steps.iter().map(|step| step.smoothed_loss).take(10).fold(0.0, f64::max);
        if first.is_finite() && first > 0.0 { 1.5 * first } else { 1.0 }
    }
}

impl Drawing for Rates<'_> {
    fn size(&self) -> (u32, u32) {
        (560, 400)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn {
        let ((low, high), highest) = (self.rates(), self.highest());
        let mut chart = ChartBuilder::on(&canvas.area)
            .margin(canvas.unit(14.0))
            .x_label_area_size(canvas.unit(40.0))
            .y_label_area_size(canvas.unit(52.0))
            .build_cartesian_2d(low..high, 0.0..highest)
            .map_err(reason)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(canvas.unit(1.0) as u32))
            .axis_style(AXIS.stroke_width(canvas.unit(1.0) as u32))
            .set_all_tick_mark_size(canvas.unit(4.0))
            .x_labels((high - low) as usize + 1)
            .y_labels(6)
            .x_label_formatter(&|exponent| format!("{}", 10f64.powf(*exponent)))
            .y_label_formatter(&|loss| format!("{loss:.1}"))
            .x_desc("learning rate")
            .y_desc("loss")
            .label_style(canvas.font(13.0, TEXT))
            .axis_desc_style(canvas.font(13.0, TEXT))
            .draw()
            .map_err(reason)?;
        let color = |number| {
            let [red, green, blue] = class_color(ClassId(number));
            RGBColor(red, green, blue)
        };
        let line = |of: fn(&RateLoss) -> f64| -> Vec<(f64, f64)> {
            let point = |step: &RateLoss| (step.learning_rate.log10(), of(step).min(highest));
            self.steps.iter().map(point).filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
        };
        let suggested = self.suggestion.map(|rate| vec![(rate.log10(), 0.0), (rate.log10(), highest)]);
        let series = [
            ("each batch".to_owned(), line(|step| step.loss), AXIS.stroke_width(canvas.unit(1.0) as u32)),
            (
                "smoothed".to_owned(),
                line(|step| step.smoothed_loss),
                color(0).stroke_width(canvas.unit(2.0) as u32),
            ),
        ];
        let mark = suggested.zip(self.suggestion).map(|(points, rate)| {
            (format!("suggestion: {rate:.1e}"), points, color(1).stroke_width(canvas.unit(2.0) as u32))
        });
        for (name, points, style) in series.into_iter().chain(mark) {
            let (length, middle) = (canvas.unit(20.0), canvas.unit(1.0));
            chart.draw_series(LineSeries::new(points, style)).map_err(reason)?.label(name).legend(
                move |(x, y)| PathElement::new(vec![(x, y - middle), (x + length, y - middle)], style),
            );
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
