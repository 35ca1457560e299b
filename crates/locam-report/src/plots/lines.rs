use super::chart::{chart_on, class_ink, legend, mesh, name};
use super::{Canvas, Drawing, Drawn, reason};
use locam_locate::{FrocPoint, PrecisionRecall};
use plotters::prelude::*;

/// Named lines over one pair of axes, both of which begin at 0.
pub(super) struct Lines {
    x: Axis,
    y: Axis,
    legend: SeriesLabelPosition,
    curves: Vec<(String, Vec<(f64, f64)>)>,
}

struct Axis {
    name: &'static str,
    end: f64,
}

/// More false alarms per image than these are nobody's choice.
const MOST_FALSE_ALARMS: f64 = 8.0;

/// Precision over recall, in percent.
pub(super) fn precision_recall(classes: &[(String, Vec<PrecisionRecall>)]) -> Lines {
    let line = |(name, points): &(String, Vec<PrecisionRecall>)| {
        (name.clone(), points.iter().map(|point| (100.0 * point.recall, 100.0 * point.precision)).collect())
    };
    Lines {
        x: Axis { name: "recall (%)", end: 100.0 },
        y: Axis { name: "precision (%)", end: 100.0 },
        legend: SeriesLabelPosition::LowerLeft,
        curves: classes.iter().map(line).collect(),
    }
}

/// Sensitivity in percent over false alarms per image, in steps: between two thresholds nothing is found.
pub(super) fn froc(classes: &[(String, Vec<FrocPoint>)]) -> Lines {
    let all = classes.iter().flat_map(|(_, points)| points);
    let most = all.map(|point| point.false_alarms_per_image).fold(0.0, f64::max);
    let end = (1.1 * most).clamp(0.25, MOST_FALSE_ALARMS);
    let line = |(name, points): &(String, Vec<FrocPoint>)| {
        let mut steps = Vec::new();
        let mut reached = 0.0;
        for point in points.iter().take_while(|point| point.false_alarms_per_image <= end) {
            steps.push((point.false_alarms_per_image, reached));
            reached = 100.0 * point.sensitivity;
            steps.push((point.false_alarms_per_image, reached));
        }
        (name.clone(), steps)
    };
    Lines {
        x: Axis { name: "false alarms per image", end },
        y: Axis { name: "objects found (%)", end: 100.0 },
        legend: SeriesLabelPosition::LowerRight,
        curves: classes.iter().map(line).collect(),
    }
}

impl Drawing for Lines {
    fn size(&self) -> (u32, u32) {
        (440, 400)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn {
        let mut chart = chart_on(canvas, 0.0..self.x.end, 0.0..self.y.end)?;
        let digits = if self.x.end > 5.0 { 0 } else { 2 };
        mesh(canvas, &mut chart)
            .x_label_formatter(&|value| format!("{value:.digits$}"))
            .y_label_formatter(&|value| format!("{value:.0}"))
            .x_desc(self.x.name)
            .y_desc(self.y.name)
            .draw()
            .map_err(reason)?;
        for (number, (class, points)) in self.curves.iter().enumerate() {
            let style = canvas.stroke(class_ink(number), 2.0);
            let line = chart.draw_series(LineSeries::new(points.iter().copied(), style)).map_err(reason)?;
            name(canvas, line, class, style);
        }
        if self.curves.is_empty() { Ok(()) } else { legend(canvas, &mut chart, self.legend.clone()) }
    }
}
