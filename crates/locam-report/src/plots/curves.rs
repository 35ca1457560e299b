use super::chart::{Chart, legend, mesh, name};
use super::{Canvas, Drawing, Drawn, EpochRecord, TEXT, reason};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordusize;
use plotters::prelude::*;

const TRAIN: RGBColor = RGBColor(0, 114, 178);
const TEST: RGBColor = RGBColor(213, 94, 0);
/// Up to so many epochs each is marked by a dot.
const MOST_DOTS: usize = 40;

/// A named line of (epoch, value).
struct Line {
    name: &'static str,
    color: RGBColor,
    points: Vec<(usize, f64)>,
}

/// Two charts over the same epochs.
pub(super) struct Curves {
    epochs: usize,
    loss: Vec<Line>,
    accuracy: Vec<Line>,
}

impl Curves {
    pub(super) fn new(epochs: &[EpochRecord]) -> Self {
        let line = |name, color, value: &dyn Fn(&EpochRecord) -> Option<f64>| Line {
            name,
            color,
            points: epochs.iter().map(|e| (e.epoch, value(e).unwrap_or(f64::NAN))).collect(),
        };
        Self {
            epochs: epochs.iter().map(|e| e.epoch).max().unwrap_or(0),
            loss: vec![
                line("training", TRAIN, &|e| Some(e.train_loss)),
                line("validation", TEST, &|e| e.val_loss),
            ],
            accuracy: vec![line("validation", TEST, &|e| e.val_accuracy.map(|share| 100.0 * share))],
        }
    }

    fn chart<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<DB>,
        area: &DrawingArea<DB, Shift>,
        title: &str,
        lines: &[Line],
        (low, high): (f64, f64),
    ) -> Drawn {
        let mut chart = ChartBuilder::on(area)
            .caption(title, canvas.font(16.0, TEXT))
            .margin(canvas.unit(10.0))
            .x_label_area_size(canvas.unit(40.0))
            .y_label_area_size(canvas.unit(48.0))
            .build_cartesian_2d(1..self.epochs.max(2), low..high)
            .map_err(reason)?;
        mesh(canvas, &mut chart)
            .disable_x_mesh()
            .x_labels(self.epochs.clamp(2, 10))
            .y_label_formatter(&|value| if high > 10.0 { format!("{value:.0}") } else { shortest(*value) })
            .x_desc("epoch")
            .draw()
            .map_err(reason)?;
        for line in lines {
            self.draw_line(canvas, &mut chart, line)?;
        }
        if lines.len() > 1 {
            return legend(canvas, &mut chart, SeriesLabelPosition::UpperRight);
        }
        Ok(())
    }

    fn draw_line<'a, DB: DrawingBackend + 'a>(
        &self,
        canvas: &Canvas<DB>,
        chart: &mut Chart<'a, DB, RangedCoordusize>,
        line: &Line,
    ) -> Drawn {
        let style = canvas.stroke(line.color, 2.0);
        let mut named = false;
        for stretch in line.points.chunk_by(|a, b| a.1.is_finite() && b.1.is_finite()) {
            if !stretch[0].1.is_finite() {
                continue;
            }
            let series =
                chart.draw_series(LineSeries::new(stretch.iter().copied(), style)).map_err(reason)?;
            if !named {
                name(canvas, series, line.name, style);
                named = true;
            }
            if self.epochs <= MOST_DOTS {
                let dots =
                    stretch.iter().map(|&place| Circle::new(place, canvas.unit(2.5), line.color.filled()));
                chart.draw_series(dots).map_err(reason)?;
            }
        }
        Ok(())
    }
}

impl Drawing for Curves {
    fn size(&self) -> (u32, u32) {
        (880, 330)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn {
        let (left, right) = canvas.area.split_horizontally((50).percent_width());
        let highest = finite(&self.loss).fold(0.0, f64::max);
        let loss_range = (0.0, if highest > 0.0 { highest * 1.05 } else { 1.0 });
        self.chart(canvas, &left, "loss", &self.loss, loss_range)?;
        // The axis begins at a round tenth below the worst epoch, and never pretends that small changes are large.
        let lowest = finite(&self.accuracy).fold(90.0, f64::min);
        let accuracy_range = ((lowest / 10.0).floor() * 10.0, 100.0);
        self.chart(canvas, &right, "accuracy on validation patches (%)", &self.accuracy, accuracy_range)
    }
}

/// A tick's value without the noise of binary fractions: ticks are round, three digits after the point tell them.
fn shortest(value: f64) -> String {
    format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn finite(lines: &[Line]) -> impl Iterator<Item = f64> {
    lines.iter().flat_map(|line| &line.points).map(|&(_, value)| value).filter(|value| value.is_finite())
}
