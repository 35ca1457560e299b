//! Figures of what was found on annotated whole images, by this program or another, each with its interval.

mod figures;
mod maps;
mod patches;
mod predicted;
mod rows;

pub use figures::{ClassFigures, EmptyFigures, MapFigures, OverlapFigures};
pub use patches::{PatchClassFigures, PatchEvaluation, evaluate_patches};
pub(crate) use patches::{figures as patch_figures, run_folder, units};
pub(crate) use predicted::truths_in;
pub use predicted::{PredictionOptions, prediction_figures};
pub use rows::FigureRow;

use crate::assessing::{Assessed, is_annotated, match_rule, truths_of};
use crate::leakage::SeenBefore;
use crate::pictures::{froc, patch_reliability, precision_recall, reliability_curves, write_plot};
use crate::shortcuts::ShortcutFigures;
use crate::{Error, Locator};
use figures::class_figures;
use locam_core::{ClassId, ClassSpec, Region, Shape};
use locam_locate::{MatchRule, Resamples, Truth, strongest_point_in_truth};
use locam_report::{confusion_plot, write_atomically};
use maps::map_figures;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The seed of the resamples that intervals come from.
pub(crate) const SEED: u64 = 0;

/// What an evaluation gave.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// Images looked at.
    pub images: usize,
    /// Images passed over.
    pub unreadable: usize,
    /// The largest distance from an object that is known by a point, in pixels; 0 where no object is.
    pub radius: f64,
    /// Per sought class that the data annotate; every class where nothing is annotated.
    pub classes: Vec<ClassFigures>,
    /// What the classifier looks at, where that was checked.
    pub shortcuts: Vec<ShortcutFigures>,
    /// Images that the model's run had seen, where that was checked.
    pub seen_before: SeenBefore,
}

/// One image as the figures of one class see it.
#[derive(Clone, Debug)]
pub(crate) struct ClassImage {
    /// What was found.
    pub(crate) regions: Vec<Region>,
    /// The same and what lies below the threshold, for figures over all thresholds.
    pub(crate) candidates: Vec<Region>,
    /// What is there.
    pub(crate) truths: Vec<Truth>,
    /// When a region's centroid is on an object.
    pub(crate) rule: MatchRule,
    /// Whether the strongest point lies on an object; none without objects.
    pub(crate) pointing: Option<bool>,
}

impl ClassImage {
    /// The largest distance from an object, where the image has one that is known by a point.
    fn radius(&self) -> Option<f64> {
        let has_point = self.truths.iter().any(|truth| matches!(truth.shape, Shape::Point(_)));
        match self.rule {
            MatchRule::Centroid { radius } if has_point => Some(radius),
            _ => None,
        }
    }
}

/// The largest distance at which an object that is known by a point was met; 0 where no object is.
fn largest_radius<'a>(images: impl IntoIterator<Item = &'a ClassImage>) -> f64 {
    images.into_iter().filter_map(ClassImage::radius).fold(0.0, f64::max)
}

/// The figures of every class that the images annotate. Where they annotate none at all, those of every sought class:
/// all that is found there is a false alarm.
pub fn figures(locator: &Locator, assessed: &[Assessed], unreadable: usize) -> Evaluation {
    let sought: Vec<(ClassId, &ClassSpec)> = locator.model().spec.sought_classes().collect();
    let nothing = !sought.iter().any(|&(id, _)| is_annotated(id, assessed));
    let resamples = Resamples::new(assessed.len(), Resamples::USUAL, SEED);
    let mut radius = 0.0;
    let seen = with_weaker(locator, assessed);
    let classes = sought
        .into_iter()
        .filter(|&(id, _)| nothing || is_annotated(id, assessed))
        .map(|(id, class)| {
            let images: Vec<ClassImage> =
                seen.iter().map(|(one, weaker)| class_image(locator, id, class, one, weaker)).collect();
            radius = largest_radius(&images).max(radius);
            ClassFigures {
                maps: map_figures(id, assessed),
                threshold: Some(class.threshold),
                ..class_figures(&class.name, &images, true, &resamples)
            }
        })
        .collect();
    Evaluation {
        images: assessed.len(),
        unreadable,
        radius,
        classes,
        shortcuts: Vec::new(),
        seen_before: SeenBefore::default(),
    }
}

/// What a model found of every sought class on images, by the class's name.
pub(crate) fn class_images(locator: &Locator, assessed: &[Assessed]) -> Vec<(String, Vec<ClassImage>)> {
    let seen = with_weaker(locator, assessed);
    let sought = locator.model().spec.sought_classes();
    let images = |(id, class): (ClassId, &ClassSpec)| {
        let of_class = seen.iter().map(|(one, weaker)| class_image(locator, id, class, one, weaker));
        (class.name.clone(), of_class.collect())
    };
    sought.map(images).collect()
}

/// The figures of images that several models were searched with; images of one source (`units`, numbered from 0) are drawn
/// together for the intervals.
pub(crate) fn pooled_figures(
    classes: &BTreeMap<String, Vec<ClassImage>>,
    units: &[usize],
    unreadable: usize,
) -> Evaluation {
    let resamples = Resamples::of_sources(units, Resamples::USUAL, SEED);
    let is_annotated = |images: &[ClassImage]| images.iter().any(|image| !image.truths.is_empty());
    let figures = classes
        .iter()
        .filter(|(_, images)| is_annotated(images))
        .map(|(name, images)| class_figures(name, images, true, &resamples));
    Evaluation {
        images: units.len(),
        unreadable,
        radius: largest_radius(classes.values().flatten()),
        classes: figures.collect(),
        shortcuts: Vec::new(),
        seen_before: SeenBefore::default(),
    }
}

/// Images with all regions down to even odds.
fn with_weaker<'a>(locator: &Locator, assessed: &'a [Assessed]) -> Vec<(&'a Assessed, Vec<Region>)> {
    let lowest = |class: &ClassSpec| class.threshold.min(class.score(0.0));
    let regions = |one: &Assessed| locator.regions(&one.located.margins, one.located.size, lowest);
    assessed.iter().map(|one| (one, regions(one))).collect()
}

fn class_image(
    locator: &Locator,
    id: ClassId,
    class: &ClassSpec,
    one: &Assessed,
    weaker: &[Region],
) -> ClassImage {
    let margin = &one.located.margins[id.0];
    let truths = truths_of(id, &one.truths);
    let regions: Vec<Region> =
        one.located.regions.iter().filter(|region| region.class == id).cloned().collect();
    let added = weaker.iter().filter(|region| region.class == id && region.score < class.threshold).cloned();
    let strongest = || strongest_point_in_truth(margin, one.located.size, &truths);
    ClassImage {
        candidates: regions.iter().cloned().chain(added).collect(),
        pointing: (!truths.is_empty()).then(strongest),
        rule: match_rule(locator, id, one),
        regions,
        truths,
    }
}

/// Writes figures as `evaluation.json`, and their curves as `reliability`, `precision-recall` and `froc`, each as `.svg` and
/// `.png`.
///
/// # Errors
/// Files that can't be written.
pub fn write_figures(evaluation: &Evaluation, out: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(out).map_err(|source| Error::Io { path: out.to_owned(), source })?;
    write_json(evaluation, out)?;
    write_plot(out, "reliability", &reliability_curves(evaluation)?)?;
    write_plot(out, "precision-recall", &precision_recall(evaluation)?)?;
    write_plot(out, "froc", &froc(evaluation)?)
}

/// Writes the figures of a classifier as `evaluation.json`, and `confusion` and `reliability` as `.svg` and `.png`.
///
/// # Errors
/// Files that can't be written.
pub fn write_patch_figures(evaluation: &PatchEvaluation, out: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(out).map_err(|source| Error::Io { path: out.to_owned(), source })?;
    write_json(evaluation, out)?;
    let names: Vec<String> = evaluation.classes.iter().map(|class| class.class.clone()).collect();
    write_plot(out, "confusion", &confusion_plot(&evaluation.matrix(), &names)?)?;
    write_plot(out, "reliability", &patch_reliability(evaluation)?)
}

fn write_json(figures: &impl Serialize, out: &Path) -> Result<(), Error> {
    let json = serde_json::to_vec_pretty(figures).map_err(|e| Error::Request(e.to_string()))?;
    Ok(write_atomically(&out.join("evaluation.json"), |file| file.write_all(&json))?)
}
