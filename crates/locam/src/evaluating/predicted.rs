//! Figures of what other programs found.

use super::{ClassFigures, ClassImage, Evaluation, SEED};
use crate::Error;
use crate::assessing::truths_of;
use crate::evaluating::figures::class_figures;
use crate::leakage::SeenBefore;
use locam_core::{ClassId, Region, Shape};
use locam_data::{Dataset, Item, Label, Predictions};
use locam_locate::{MatchRule, Resamples, Truth};

/// How predictions are compared with the truth.
#[derive(Clone, Copy, Debug, Default)]
pub struct PredictionOptions {
    /// The score from which a prediction counts, as scores stand in the file; none for all.
    pub threshold: Option<f64>,
    /// The largest distance from an object that is known by a point, in pixels.
    pub radius: Option<f64>,
}

/// The figures of predictions on some images of a data set, per class that either has there; of a single class always.
///
/// # Errors
/// Objects that are known by points alone, without a radius; a threshold or radius that makes no sense.
pub fn prediction_figures(
    data: &Dataset,
    items: &[&Item],
    predictions: &Predictions,
    options: PredictionOptions,
) -> Result<Evaluation, Error> {
    let radius = radius(items, options)?;
    let are_probabilities = predictions.are_probabilities();
    let found = of_items(data, items, predictions);
    let resamples = Resamples::new(items.len(), Resamples::USUAL, SEED);
    let classes = data.classes.iter().enumerate().filter_map(|(id, name)| {
        let images: Vec<ClassImage> = found
            .iter()
            .map(|(truths, regions)| class_image(ClassId(id), truths, regions, radius, options.threshold))
            .map(|image| if are_probabilities { in_log_odds(image) } else { image })
            .collect();
        let seen = images.iter().any(|image| !image.truths.is_empty() || !image.candidates.is_empty());
        (seen || data.classes.len() == 1).then(|| ClassFigures {
            threshold: options.threshold,
            ..class_figures(name, &images, are_probabilities, &resamples)
        })
    });
    Ok(Evaluation {
        images: items.len(),
        unreadable: 0,
        radius,
        classes: classes.collect(),
        shortcuts: Vec::new(),
        seen_before: SeenBefore::default(),
    })
}

/// The distance within which a point counts as hit; whatever where there are no points.
fn radius(items: &[&Item], options: PredictionOptions) -> Result<f64, Error> {
    let sensible = |value: f64| value.is_finite() && value > 0.0;
    match (options.radius, options.threshold) {
        (Some(radius), _) if !sensible(radius) => {
            Err(Error::Request(format!("a radius of {radius} pixels makes no sense")))
        }
        (_, Some(threshold)) if !threshold.is_finite() => {
            Err(Error::Request(format!("a threshold of {threshold} makes no sense")))
        }
        (None, _) if items.iter().any(|item| has_points(item)) => Err(Error::Request(
            "the data mark objects by points, and without a model nothing says how near is near enough: give \
             --radius in pixels, half the size of an object for instance"
                .to_owned(),
        )),
        (radius, _) => Ok(radius.unwrap_or(0.0)),
    }
}

fn has_points(item: &Item) -> bool {
    truths_in(item).iter().any(|truth| matches!(truth.shape, Shape::Point(_)))
}

/// The objects of an image, by the data's classes.
pub(crate) fn truths_in(item: &Item) -> Vec<Truth> {
    let Label::Objects(objects) = &item.label else { return Vec::new() };
    objects.iter().map(|object| Truth { class: object.class, shape: object.shape.clone() }).collect()
}

/// Truth and predictions of each item.
fn of_items<'a>(
    data: &Dataset,
    items: &[&Item],
    predictions: &'a Predictions,
) -> Vec<(Vec<Truth>, &'a [Region])> {
    items
        .iter()
        .map(|item| {
            let place = data.items.iter().position(|known| known.path == item.path);
            let regions = place.and_then(|place| predictions.by_item.get(place));
            (truths_in(item), regions.map_or(&[][..], Vec::as_slice))
        })
        .collect()
}

fn class_image(
    id: ClassId,
    truths: &[Truth],
    regions: &[Region],
    radius: f64,
    threshold: Option<f64>,
) -> ClassImage {
    let candidates: Vec<Region> = regions.iter().filter(|region| region.class == id).cloned().collect();
    let counts = |region: &&Region| threshold.is_none_or(|threshold| region.score >= threshold);
    let truths = truths_of(id, truths);
    let strongest = candidates.iter().rev().max_by(|a, b| a.score.total_cmp(&b.score));
    let on_object =
        |region: &Region| truths.iter().any(|truth| truth.shape.contains(region.centroid, radius));
    ClassImage {
        regions: candidates.iter().filter(counts).cloned().collect(),
        pointing: (!truths.is_empty()).then(|| strongest.is_some_and(on_object)),
        rule: MatchRule::Centroid { radius },
        candidates,
        truths,
    }
}

/// Probabilities of 0 and 1 stay finite, and apart from all others that seven digits can tell.
const CERTAIN: f64 = 1e-7;

/// The same image with log-odds for probabilities.
fn in_log_odds(mut image: ClassImage) -> ClassImage {
    for region in image.regions.iter_mut().chain(&mut image.candidates) {
        let probability = region.score.clamp(CERTAIN, 1.0 - CERTAIN);
        region.score = (probability / (1.0 - probability)).ln();
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_core::{Point, Rect, Shape};
    use locam_data::{Layout, Object};

    fn data(shapes: &[Shape]) -> Dataset {
        let item = |(number, shape): (usize, &Shape)| Item {
            path: format!("{number}.png").into(),
            label: Label::Objects(vec![Object { class: ClassId(0), shape: shape.clone() }]),
            split: None,
            group: None,
        };
        Dataset {
            root: "data".into(),
            layout: Layout::Coco,
            classes: vec!["cell".to_owned()],
            items: shapes.iter().enumerate().map(item).collect(),
            problems: Vec::new(),
        }
    }

    fn predictions(scores: &[&[f64]]) -> Predictions {
        let region = |&score: &f64| {
            let rect = Rect::new(0.0, 0.0, 10.0, 10.0);
            let (centroid, outline) = (rect.center(), rect.corners().to_vec());
            Region {
                class: ClassId(0),
                score,
                peak: centroid,
                centroid,
                rect,
                area: 100.0,
                outline,
                at_border: false,
            }
        };
        let by_item = scores.iter().map(|scores| scores.iter().map(region).collect()).collect();
        Predictions { by_item, problems: Vec::new() }
    }

    fn figures(
        shapes: &[Shape],
        scores: &[&[f64]],
        options: PredictionOptions,
    ) -> Result<ClassFigures, Error> {
        let data = data(shapes);
        let items: Vec<&Item> = data.items.iter().collect();
        let mut found = prediction_figures(&data, &items, &predictions(scores), options)?;
        Ok(found.classes.remove(0))
    }

    const BOX: Shape = Shape::Box(Rect::new(1.0, 1.0, 11.0, 11.0));

    #[test]
    fn a_threshold_leaves_curves_as_they_are() {
        let scores: [&[f64]; 2] = [&[0.9, 0.2], &[0.6]];
        let all = figures(&[BOX, BOX], &scores, PredictionOptions::default()).unwrap();
        assert_eq!((all.hits, all.false_alarms, all.misses), (2, 1, 0));
        let strict = PredictionOptions { threshold: Some(0.7), radius: None };
        let some = figures(&[BOX, BOX], &scores, strict).unwrap();
        assert_eq!((some.hits, some.false_alarms, some.misses), (1, 0, 1));
        assert_eq!(some.average_precision, all.average_precision);
        assert!(all.overlap.is_some() && !all.reliability.is_empty());
    }

    #[test]
    fn points_need_a_radius() {
        let point = Shape::Point(Point::new(8.0, 5.0));
        let error = figures(std::slice::from_ref(&point), &[&[0.9]], PredictionOptions::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("--radius"), "{error}");
        let within = |radius| {
            let options = PredictionOptions { radius: Some(radius), threshold: None };
            figures(std::slice::from_ref(&point), &[&[0.9]], options)
                .map(|found| (found.hits, found.overlap.is_none()))
        };
        assert_eq!((within(3.0).unwrap(), within(2.9).unwrap()), ((1, true), (0, true)));
        assert!(within(f64::NAN).is_err() && within(-1.0).is_err());
    }

    #[test]
    fn scores_that_are_no_probabilities_have_no_calibration() {
        let found = figures(&[BOX], &[&[7.0]], PredictionOptions::default()).unwrap();
        assert!(found.expected_calibration_error.is_none() && found.reliability.is_empty());
    }
}
