use super::{AXIS, Canvas, Drawing, Drawn, GRID, TEXT, reason};
use crate::class_color;
use locam_core::ClassId;
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
        let mut chart = ChartBuilder::on(&canvas.area)
            .margin(canvas.unit(14.0))
            .x_label_area_size(canvas.unit(40.0))
            .y_label_area_size(canvas.unit(52.0))
            .build_cartesian_2d(0.0..self.x.end, 0.0..self.y.end)
            .map_err(reason)?;
        let digits = if self.x.end > 5.0 { 0 } else { 2 };
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(canvas.unit(1.0) as u32))
            .axis_style(AXIS.stroke_width(canvas.unit(1.0) as u32))
            .set_all_tick_mark_size(canvas.unit(4.0))
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&|value| format!("{value:.digits$}"))
            .y_label_formatter(&|value| format!("{value:.0}"))
            .x_desc(self.x.name)
            .y_desc(self.y.name)
            .label_style(canvas.font(13.0, TEXT))
            .axis_desc_style(canvas.font(13.0, TEXT))
            .draw()
            .map_err(reason)?;
        for (number, (name, points)) in self.curves.iter().enumerate() {
            let [red, green, blue] = class_color(ClassId(number));
            let style = RGBColor(red, green, blue).stroke_width(canvas.unit(2.0) as u32);
            let (length, middle) = (canvas.unit(20.0), canvas.unit(1.0));
            chart
                .draw_series(LineSeries::new(points.iter().copied(), style))
                .map_err(reason)?
                .label(name)
                .legend(move |(x, y)| {
                    PathElement::new(vec![(x, y - middle), (x + length, y - middle)], style)
                });
        }
        if self.curves.is_empty() {
            return Ok(());
        }
        chart
            .configure_series_labels()
            .position(self.legend.clone())
            .margin(canvas.unit(8.0))
            .legend_area_size(canvas.unit(26.0))
            .label_font(canvas.font(13.0, TEXT))
            .background_style(WHITE.mix(0.85))
            .draw()
            .map_err(reason)
    }
}
