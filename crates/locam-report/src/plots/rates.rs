use super::chart::{chart_on, class_ink, legend, mesh, name};
use super::{AXIS, Canvas, Drawing, Drawn, reason};
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
        let mut chart = chart_on(canvas, low..high, 0.0..highest)?;
        mesh(canvas, &mut chart)
            .x_labels((high - low) as usize + 1)
            .x_label_formatter(&|exponent| format!("{}", 10f64.powf(*exponent)))
            .y_label_formatter(&|loss| format!("{loss:.1}"))
            .x_desc("learning rate")
            .y_desc("loss")
            .draw()
            .map_err(reason)?;
        let line = |of: fn(&RateLoss) -> f64| -> Vec<(f64, f64)> {
            let point = |step: &RateLoss| (step.learning_rate.log10(), of(step).min(highest));
            self.steps.iter().map(point).filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
        };
        let series = [
            ("each batch".to_owned(), line(|step| step.loss), canvas.stroke(AXIS, 1.0)),
            ("smoothed".to_owned(), line(|step| step.smoothed_loss), canvas.stroke(class_ink(0), 2.0)),
        ];
        let mark = self.suggestion.map(|rate| {
            let upright = vec![(rate.log10(), 0.0), (rate.log10(), highest)];
            (format!("suggestion: {rate:.1e}"), upright, canvas.stroke(class_ink(1), 2.0))
        });
        for (label, points, style) in series.into_iter().chain(mark) {
            let line = chart.draw_series(LineSeries::new(points, style)).map_err(reason)?;
            name(canvas, line, &label, style);
        }
        legend(canvas, &mut chart, SeriesLabelPosition::LowerLeft)
    }
}
