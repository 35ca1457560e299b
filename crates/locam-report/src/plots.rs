use crate::{ReportError, font};
use image::imageops::{self, FilterType};
use image::{ImageFormat, RgbImage};
use locam_locate::{ConfusionMatrix, FrocPoint, PrecisionRecall, ReliabilityBin};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use std::io::Cursor;

mod chart;
mod confusion;
mod curves;
mod lines;
mod rates;
mod reliability;

pub use rates::RateLoss;

const TEXT: RGBColor = RGBColor(32, 33, 36);
const GRID: RGBColor = RGBColor(226, 228, 232);
const AXIS: RGBColor = RGBColor(140, 143, 150);

/// Pixels of the PNG per unit of the SVG.
const PNG_SCALE: u32 = 2;
/// The PNG is drawn so many times larger and reduced, since the bitmap backend draws wide lines with steps.
const SUPERSAMPLING: u32 = 2;

/// What one epoch of training gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean loss over the training patches.
    pub train_loss: f64,
    /// Mean loss over the validation patches, where there are any.
    pub val_loss: Option<f64>,
    /// Share of the validation patches that were classified rightly, in 0..=1.
    pub val_accuracy: Option<f64>,
}

/// One plot in two forms that were drawn by the same code.
#[derive(Clone, Debug)]
pub struct Plot {
    /// A standalone SVG document; its text is text.
    pub svg: String,
    /// The same with twice as many pixels as the SVG has units, for [`crate::write_image`].
    pub picture: RgbImage,
}

impl Plot {
    /// The picture as the bytes of a PNG file.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn png(&self) -> Result<Vec<u8>, ReportError> {
        let mut bytes = Cursor::new(Vec::new());
        let reason =
            |error: image::ImageError| ReportError::Plot { what: "a PNG file", reason: error.to_string() };
        self.picture.write_to(&mut bytes, ImageFormat::Png).map_err(reason)?;
        Ok(bytes.into_inner())
    }
}

/// The loss on training and validation patches and the accuracy on validation patches over the epochs, side by side. Values that
/// are not finite leave a gap.
///
/// # Errors
/// When the plotting library fails.
pub fn training_curves(epochs: &[EpochRecord]) -> Result<Plot, ReportError> {
    render("loss and accuracy", &curves::Curves::new(epochs))
}

/// A confusion matrix with counts, coloured by the share of each true class. `class_names` are those of its rows.
///
/// # Errors
/// When the plotting library fails.
pub fn confusion_plot(matrix: &ConfusionMatrix, class_names: &[String]) -> Result<Plot, ReportError> {
    render("the confusion matrix", &confusion::Table::new(matrix, class_names))
}

/// What a reliability curve is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReliabilityOf {
    /// Regions of maps, and whether they are objects. Their probabilities begin at a half.
    Regions,
    /// Labelled patches, and whether their likeliest class is right. Its probability is at least one over the number
    /// of classes.
    Patches {
        /// How many classes there are.
        classes: usize,
    },
}

/// Per class the share that is right over the probability that was said of it; on the diagonal both agree.
///
/// # Errors
/// When the plotting library fails.
pub fn reliability_plot(
    classes: &[(String, Vec<ReliabilityBin>)],
    of: ReliabilityOf,
) -> Result<Plot, ReportError> {
    render("the reliability curve", &reliability::Curves::new(classes, of))
}

/// Per class precision over recall, from the strongest region down.
///
/// # Errors
/// When the plotting library fails.
pub fn precision_recall_plot(classes: &[(String, Vec<PrecisionRecall>)]) -> Result<Plot, ReportError> {
    render("precision over recall", &lines::precision_recall(classes))
}

/// Per class the share of objects that are found over the false alarms per image.
///
/// # Errors
/// When the plotting library fails.
pub fn froc_plot(classes: &[(String, Vec<FrocPoint>)]) -> Result<Plot, ReportError> {
    render("the free-response curve", &lines::froc(classes))
}

/// The losses of a learning-rate range test over the learning rate, with a mark at the one that is suggested.
///
/// # Errors
/// When the plotting library fails.
pub fn learning_rate_plot(steps: &[RateLoss], suggestion: Option<f64>) -> Result<Plot, ReportError> {
    render("the loss over the learning rate", &rates::Rates::new(steps, suggestion))
}

/// What can be drawn on every backend.
trait Drawing {
    /// Width and height in units of the SVG.
    fn size(&self) -> (u32, u32);

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn;
}

/// A drawing's outcome; the library's errors name the backend in their type, which is of no use to anyone.
type Drawn = Result<(), String>;

fn reason(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A surface measured in units of the SVG. The bitmap backend measures in its own, smaller pixels, and has no
/// transform, so every length goes through [`Canvas::unit`].
struct Canvas<DB: DrawingBackend> {
    area: DrawingArea<DB, Shift>,
    scale: u32,
}

impl<DB: DrawingBackend> Canvas<DB> {
    fn unit(&self, length: f64) -> i32 {
        (length * f64::from(self.scale)).round() as i32
    }

    fn stroke(&self, color: RGBColor, width: f64) -> ShapeStyle {
        color.stroke_width(self.unit(width) as u32)
    }

    fn font(&self, size: f64, color: RGBColor) -> TextStyle<'static> {
        (font::FAMILY, size * f64::from(self.scale)).into_font().color(&color)
    }
}

fn render(what: &'static str, drawing: &impl Drawing) -> Result<Plot, ReportError> {
    let plot = || {
        register()?;
        Ok(Plot { svg: as_svg(drawing)?, picture: as_picture(drawing)? })
    };
    plot().map_err(|reason| ReportError::Plot { what, reason })
}

/// Makes the font known to the plotting library; once is enough, again does no harm.
fn register() -> Drawn {
    register_font(font::FAMILY, FontStyle::Normal, font::bytes())
        .map_err(|_| "the font is damaged".to_owned())
}

fn as_svg(drawing: &impl Drawing) -> Result<String, String> {
    let mut svg = String::new();
    draw_on(SVGBackend::with_string(&mut svg, drawing.size()), 1, drawing)?;
    Ok(svg)
}

fn as_picture(drawing: &impl Drawing) -> Result<RgbImage, String> {
    let (width, height) = drawing.size();
    let scale = PNG_SCALE * SUPERSAMPLING;
    let mut large = RgbImage::new(width * scale, height * scale);
    draw_on(BitMapBackend::with_buffer(&mut large, (width * scale, height * scale)), scale, drawing)?;
    Ok(imageops::resize(&large, width * PNG_SCALE, height * PNG_SCALE, FilterType::Triangle))
}

fn draw_on<DB: DrawingBackend>(backend: DB, scale: u32, drawing: &impl Drawing) -> Drawn {
    let canvas = Canvas { area: backend.into_drawing_area(), scale };
    canvas.area.fill(&WHITE).map_err(reason)?;
    drawing.draw(&canvas)?;
    canvas.area.present().map_err(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs() -> Vec<EpochRecord> {
        (1..=15)
            .map(|epoch| EpochRecord {
                epoch,
                train_loss: 0.7 / epoch as f64,
                val_loss: (epoch != 4).then_some(0.8 / epoch as f64),
                val_accuracy: Some(1.0 - 0.4 / epoch as f64),
            })
            .collect()
    }

    #[test]
    fn curves_have_text_and_the_same_shape_in_both_forms() {
        let plot = training_curves(&epochs()).unwrap();
        assert!(plot.svg.starts_with("<svg") && plot.svg.contains("epoch") && plot.svg.contains("polyline"));
        let (width, height) = curves::Curves::new(&epochs()).size();
        assert_eq!(plot.picture.dimensions(), (PNG_SCALE * width, PNG_SCALE * height));
        assert!(plot.png().unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn one_epoch_none_and_broken_ones_can_be_drawn() {
        let broken = EpochRecord { epoch: 1, train_loss: f64::NAN, val_loss: None, val_accuracy: None };
        for epochs in [vec![], vec![broken], epochs()[..1].to_vec()] {
            assert!(training_curves(&epochs).is_ok());
        }
    }

    #[test]
    fn reliability_names_its_classes_and_draws_none_and_single_bins() {
        let bin = |probability, hit_rate| ReliabilityBin { count: 7, probability, hit_rate };
        let classes = [
            ("blast".to_owned(), vec![bin(0.55, 0.4), bin(0.97, 1.0)]),
            ("healthy".to_owned(), vec![bin(0.7, 0.0)]),
            ("none".to_owned(), Vec::new()),
        ];
        let plot = reliability_plot(&classes, ReliabilityOf::Regions).unwrap();
        assert!(plot.svg.contains("blast (14 regions)") && plot.svg.contains("none (0 regions)"));
        assert!(reliability_plot(&[], ReliabilityOf::Regions).is_ok());
        let patches = reliability_plot(&classes, ReliabilityOf::Patches { classes: 4 }).unwrap();
        assert!(patches.svg.contains("blast (14 patches)"));
    }

    #[test]
    fn curves_name_their_classes_and_can_be_empty() {
        let place = |score, recall| PrecisionRecall { score, recall, precision: 0.9 };
        let classes =
            [("blast".to_owned(), vec![place(2.0, 0.5), place(1.0, 1.0)]), ("none".to_owned(), Vec::new())];
        let plot = precision_recall_plot(&classes).unwrap();
        assert!(plot.svg.contains("blast") && plot.svg.contains("none") && plot.svg.contains("recall"));
        let place = FrocPoint { score: 1.0, false_alarms_per_image: 30.0, sensitivity: 0.5 };
        assert!(froc_plot(&[("blast".to_owned(), vec![place])]).unwrap().svg.contains("false alarms"));
        assert!(froc_plot(&[]).is_ok() && precision_recall_plot(&[]).is_ok());
    }

    #[test]
    fn learning_rates_are_labelled_by_powers_of_ten_and_broken_losses_left_out() {
        let step = |i: i32| {
            let loss = if i == 5 { f64::NAN } else { 1.0 / f64::from(i + 1) };
            RateLoss { learning_rate: 10f64.powi(i - 6), loss, smoothed_loss: loss }
        };
        let steps: Vec<RateLoss> = (0..7).map(step).collect();
        let plot = learning_rate_plot(&steps, Some(1e-3)).unwrap();
        for text in ["0.001", "0.000001", "learning rate", "suggestion: 1.0e-3"] {
            assert!(plot.svg.contains(text), "{text}: {}", plot.svg);
        }
        assert!(!learning_rate_plot(&steps[..1], None).unwrap().svg.contains("suggestion"));
        assert!(learning_rate_plot(&[], None).is_ok());
    }

    #[test]
    fn a_matrix_shows_its_counts_and_escapes_names() {
        let matrix = ConfusionMatrix::from_pairs(2, std::iter::repeat_n((0, 0), 37).chain([(1, 0)]));
        let names = ["<blast> & co".to_owned(), "healthy".to_owned()];
        let plot = confusion_plot(&matrix, &names).unwrap();
        assert!(plot.svg.contains("\n37\n") && plot.svg.contains("&lt;blast&gt; &amp; co"), "{}", plot.svg);
        assert!(confusion_plot(&ConfusionMatrix::new(0), &[]).is_ok());
        assert!(confusion_plot(&ConfusionMatrix::new(60), &names).is_ok());
    }
}
