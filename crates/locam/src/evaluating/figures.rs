//! The figures of one class.

use super::ClassImage;
use crate::assessing::{EVEN, RELIABILITY_BINS};
use locam_core::Rect;
use locam_locate::{
    Counts, Estimate, FrocPoint, ImageVerdicts, MatchRule, PrecisionRecall, Ranking, Reliability,
    ReliabilityBin, Resamples, Verdict, is_correctly_localized, match_regions, reliability,
};
use serde::Serialize;

/// The figures of one class over all images. A figure is absent where nothing defines it: precision without regions,
/// recall without objects, overlap without boxes.
#[derive(Clone, Debug, Serialize)]
pub struct ClassFigures {
    /// The class.
    pub class: String,
    /// The score from which a region counts, where one is known.
    pub threshold: Option<f64>,
    /// Regions whose centroid lies on an object of the class, each object taken once.
    pub hits: usize,
    /// Regions without an object.
    pub false_alarms: usize,
    /// Objects without a region.
    pub misses: usize,
    /// Hits over regions.
    pub precision: Option<Estimate>,
    /// Hits over objects.
    pub recall: Option<Estimate>,
    /// Harmonic mean of both.
    pub f1: Option<Estimate>,
    /// Average precision over all thresholds, a hit being a centroid on an object.
    pub average_precision: Option<Estimate>,
    /// Mean sensitivity at 1/4 to 8 false alarms per image.
    pub froc_score: Option<Estimate>,
    /// The share of images with an object of the class whose strongest point lies on one.
    pub pointing: Option<Estimate>,
    /// Mean over images of the difference between regions and objects, without its sign.
    pub count_error: Option<Estimate>,
    /// On images without an object of the class.
    pub empty: Option<EmptyFigures>,
    /// By the overlap of boxes, where objects have boxes; those around masks are theirs.
    pub overlap: Option<OverlapFigures>,
    /// Of maps, where there are any and objects have boxes or masks.
    pub maps: Option<MapFigures>,
    /// How far the probabilities of regions are from the share of them that are objects, over all regions that are
    /// likelier than not; absent where scores are no probabilities.
    pub expected_calibration_error: Option<Estimate>,
    /// The same regions by their probability, in tenths of what lies between 0.5 and 1.
    pub reliability: Vec<ReliabilityBin>,
    /// Precision over recall at every threshold.
    pub precision_recall: Vec<PrecisionRecall>,
    /// Sensitivity over false alarms per image at every threshold.
    pub froc: Vec<FrocPoint>,
}

/// What is found where nothing is.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct EmptyFigures {
    /// Images without an object of the class.
    pub images: usize,
    /// Regions per such image.
    pub false_alarms_per_image: Estimate,
}

/// Figures by the overlap (intersection over union) of boxes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct OverlapFigures {
    /// F1 with an overlap of at least a half as a hit.
    pub f1: Option<Estimate>,
    /// The share of objects that some region's box overlaps by at least a half.
    pub boxes_overlapped: Option<Estimate>,
    /// COCO's average precision at an overlap of a half.
    pub ap_50: Option<Estimate>,
    /// COCO's average precision, the mean over overlaps from 0.5 to 0.95.
    pub ap_50_95: Option<Estimate>,
    /// The share of images with an object whose strongest region's box overlaps one by at least a half.
    pub corloc: Option<Estimate>,
}

/// Figures of maps that need no threshold.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MapFigures {
    /// `MaxBoxAcc` of Choe et al., 2020, over images with an object.
    pub max_box_accuracy: Option<Estimate>,
    /// Its second version.
    pub max_box_accuracy_v2: Option<Estimate>,
    /// `PxAP` of the same, over images whose objects all have masks.
    pub pixel_average_precision: Option<Estimate>,
}

/// Overlaps over which COCO averages.
const OVERLAPS: [f64; 10] = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];

/// All figures that need no maps. `are_log_odds` says whether scores mean probabilities.
pub(super) fn class_figures(
    class: &str,
    images: &[ClassImage],
    are_log_odds: bool,
    resamples: &Resamples,
) -> ClassFigures {
    let counts = counts(images, |image| image.rule);
    let ratio = |part: fn(&Counts) -> (usize, usize)| ratio_of(&counts, part, resamples);
    let verdicts: Vec<ImageVerdicts> = images.iter().map(|image| verdicts(image, image.rule)).collect();
    let ranking = Ranking::new(&verdicts);
    let all = counts.iter().fold(Counts::default(), |sum, &one| sum + one);
    let likelier = if are_log_odds { likelier_than_not(&verdicts) } else { Vec::new() };
    let error = |times: &[u32]| {
        let found = calibration(&likelier, times);
        (!found.bins.is_empty()).then_some(found.expected_calibration_error)
    };
    let once = vec![1; images.len()];
    ClassFigures {
        class: class.to_owned(),
        threshold: None,
        hits: all.true_positives,
        false_alarms: all.false_positives,
        misses: all.misses,
        precision: ratio(|c| (c.true_positives, c.true_positives + c.false_positives)),
        recall: ratio(|c| (c.true_positives, c.true_positives + c.misses)),
        f1: ratio(f1_parts),
        average_precision: resamples.estimate(|times| ranking.average_precision(times)),
        froc_score: resamples.estimate(|times| ranking.froc_score(times)),
        pointing: share(images, |image| image.pointing, resamples),
        count_error: resamples
            .ratio(&parts(images, |image| (image.regions.len().abs_diff(image.truths.len()) as f64, 1.0))),
        empty: empty_figures(images, resamples),
        overlap: overlap_figures(images, resamples),
        maps: None,
        expected_calibration_error: resamples.estimate(error),
        reliability: calibration(&likelier, &once).bins,
        precision_recall: ranking.precision_recall(),
        froc: ranking.froc(),
    }
}

/// The largest part and the whole of F1.
fn f1_parts(counts: &Counts) -> (usize, usize) {
    (2 * counts.true_positives, 2 * counts.true_positives + counts.false_positives + counts.misses)
}

fn counts(images: &[ClassImage], rule: impl Fn(&ClassImage) -> MatchRule) -> Vec<Counts> {
    images.iter().map(|image| match_regions(&image.regions, &image.truths, rule(image)).counts()).collect()
}

fn ratio_of(
    counts: &[Counts],
    part: fn(&Counts) -> (usize, usize),
    resamples: &Resamples,
) -> Option<Estimate> {
    let parts: Vec<(f64, f64)> =
        counts.iter().map(part).map(|(part, whole)| (part as f64, whole as f64)).collect();
    resamples.ratio(&parts)
}

fn parts(images: &[ClassImage], part: impl Fn(&ClassImage) -> (f64, f64)) -> Vec<(f64, f64)> {
    images.iter().map(part).collect()
}

/// The share of images that answer yes, of those that answer.
fn share(
    images: &[ClassImage],
    answer: impl Fn(&ClassImage) -> Option<bool>,
    resamples: &Resamples,
) -> Option<Estimate> {
    resamples.ratio(&parts(images, |image| match answer(image) {
        Some(yes) => (f64::from(u8::from(yes)), 1.0),
        None => (0.0, 0.0),
    }))
}

fn verdicts(image: &ClassImage, rule: MatchRule) -> ImageVerdicts {
    ImageVerdicts::new(&image.candidates, &image.truths, rule)
}

fn likelier_than_not(verdicts: &[ImageVerdicts]) -> Vec<Vec<Verdict>> {
    let likelier = |one: &ImageVerdicts| {
        one.verdicts.iter().filter(|verdict| verdict.score >= 0.0).copied().collect::<Vec<_>>()
    };
    verdicts.iter().map(likelier).collect()
}

fn calibration(verdicts: &[Vec<Verdict>], times: &[u32]) -> Reliability {
    let counted: Vec<Verdict> = verdicts
        .iter()
        .zip(times)
        .flat_map(|(one, &times)| std::iter::repeat_n(one, times as usize).flatten().copied())
        .collect();
    reliability(&counted, EVEN, RELIABILITY_BINS)
}

fn empty_figures(images: &[ClassImage], resamples: &Resamples) -> Option<EmptyFigures> {
    let part = |image: &ClassImage| {
        if image.truths.is_empty() { (image.regions.len() as f64, 1.0) } else { (0.0, 0.0) }
    };
    let empty = images.iter().filter(|image| image.truths.is_empty()).count();
    let false_alarms_per_image = resamples.ratio(&parts(images, part))?;
    Some(EmptyFigures { images: empty, false_alarms_per_image })
}

/// `None` unless every object has a box, and every region an area to overlap with.
fn overlap_figures(images: &[ClassImage], resamples: &Resamples) -> Option<OverlapFigures> {
    let mut truths = images.iter().flat_map(|image| &image.truths).peekable();
    truths.peek()?;
    let boxed = truths.all(|truth| truth.shape.rect().is_some());
    let extended = images.iter().flat_map(|image| &image.candidates).all(|region| region.rect.area() > 0.0);
    if !(boxed && extended) {
        return None;
    }
    let ranking = |iou: f64| {
        let verdicts: Vec<_> =
            images.iter().map(|image| verdicts(image, MatchRule::Overlap { iou })).collect();
        Ranking::new(&verdicts)
    };
    let rankings = OVERLAPS.map(ranking);
    let precision = |ranking: &Ranking, times: &[u32]| ranking.average_precision(times);
    let mean = |times: &[u32]| {
        let all: Option<Vec<f64>> = rankings.iter().map(|ranking| precision(ranking, times)).collect();
        Some(all?.iter().sum::<f64>() / OVERLAPS.len() as f64)
    };
    let counts = counts(images, |_| MatchRule::Overlap { iou: OVERLAPS[0] });
    Some(OverlapFigures {
        f1: ratio_of(&counts, f1_parts, resamples),
        boxes_overlapped: resamples.ratio(&parts(images, overlapped)),
        ap_50: resamples.estimate(|times| precision(&rankings[0], times)),
        ap_50_95: resamples.estimate(mean),
        corloc: share(
            images,
            |image| {
                (!image.truths.is_empty()).then(|| is_correctly_localized(&image.candidates, &image.truths))
            },
            resamples,
        ),
    })
}

/// Objects that some region's box overlaps, and all objects.
fn overlapped(image: &ClassImage) -> (f64, f64) {
    let is_overlapped =
        |rect: &Rect| image.regions.iter().any(|region| region.rect.iou(*rect) >= OVERLAPS[0]);
    let found = image.truths.iter().filter_map(|truth| truth.shape.rect()).filter(is_overlapped).count();
    (found as f64, image.truths.len() as f64)
}
