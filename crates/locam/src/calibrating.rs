//! Choosing what turns maps into regions, on annotated images that take no part in a test.

use crate::Locator;
use crate::assessing::{
    Assessed, EVEN, RELIABILITY_BINS, is_annotated, match_rule, matches_of, regions_at, truths_of,
};
use crate::evaluating::SEED;
use crate::locating::Levels;
use crate::usual_box::fit_usual_box;
use crate::visible::{fit_min_visible, is_told};
use locam_core::{ClassId, ClassSpec, ModelSpec, Point, Region, UsualBox, median};
use locam_locate::{
    Counts, ImageVerdicts, MatchRule, Ranking, Resamples, Scaling, Truth, Verdict, fit_scaling,
    middle_of_plateau, reliability,
};
use rayon::prelude::*;
use serde::Serialize;

/// So many objects at least must have a region beside them before maps are moved.
const LEAST_PAIRS: usize = 8;

/// What was chosen for a class, and what it gives on the images that it was chosen on.
#[derive(Clone, Debug, Serialize)]
pub struct Calibration {
    /// The class.
    pub class: String,
    /// The margin of even odds.
    pub midpoint: f64,
    /// What margins less the midpoint are divided by.
    pub temperature: f64,
    /// The chosen score.
    pub threshold: f64,
    /// The chosen score along which regions are outlined.
    pub contour: f64,
    /// How large objects usually are, where boxes fit better with it.
    pub usual_box: Option<UsualBox>,
    /// How far an object that the border cuts must reach into the image to count, in object sizes, where that leaves anything out.
    pub min_visible: Option<f64>,
    /// F1 at both.
    pub f1: f64,
    /// F1 at both where a hit is an overlap of at least a half with the object's box; `None` where no object has one.
    pub overlap_f1: Option<f64>,
    /// F1 at the model's threshold before.
    pub f1_before: f64,
    /// The expected calibration error of these scores.
    pub calibration_error: f64,
    /// That of the scores before.
    pub calibration_error_before: f64,
}

/// Draws of the images over which a threshold is the mean.
const DRAWS: usize = 200;

/// The lowest margin that is tried as threshold and as contour.
const LOWEST: f64 = -2.0;
/// The highest one where nothing is found.
const HIGHEST: f64 = 12.0;
/// Steps from the lowest to the highest that is tried.
const STEPS: u32 = 56;

/// What [`calibrate`] chose.
#[derive(Clone, Debug, Serialize)]
pub struct Calibrated {
    /// By how much objects lie beyond the places where the maps answer to them, in network input pixels.
    pub displacement: Point,
    /// Per sought class that the images annotate.
    pub classes: Vec<Calibration>,
}

impl Calibrated {
    /// Puts what was chosen, and where, into a model's description.
    pub(crate) fn store_in(&self, spec: &mut ModelSpec, source: &str) {
        for class in &mut spec.classes {
            if let Some(chosen) = self.classes.iter().find(|chosen| chosen.class == class.name) {
                class.threshold = chosen.threshold;
                class.contour = Some(chosen.contour);
                class.midpoint = chosen.midpoint;
                class.usual_box = chosen.usual_box;
                class.min_visible = chosen.min_visible;
                class.temperature = chosen.temperature;
            }
        }
        spec.displacement = self.displacement;
        // Older programs would take the new scores for the old.
        spec.format = ModelSpec::FORMAT;
        source.clone_into(&mut spec.provenance.thresholds_from);
    }
}

/// Chooses from annotated images where maps lie, and for every class a threshold of about the highest F1, the contour along which
/// regions fit objects best, and the midpoint and temperature that make the scores of regions the log-odds of their being objects.
///
/// A network may answer beside an object: it was trained on patches whose map cells need not lie around their
/// middle. The maps are moved by the median of the way from regions to the objects next to them.
/// Each contour is tried with the threshold that is best for it, and judged by F1 and, where objects have boxes, F1 by an
/// overlap of at least a half as well. Several thresholds, and several contours, often do about as well; the middle of the
/// longest such stretch is taken, since its ends are where other images would fall off. Where that lies a few false alarms can decide, so
/// that a threshold is its mean over bootstrap draws of the images. Where objects have boxes, their usual one
/// counts as much as fits best. Midpoint and temperature are
/// fitted to the regions that the network holds for likelier than not, found or not at the threshold, so that their probabilities
/// tell more than what was kept.
pub fn calibrate(locator: &Locator, assessed: &[Assessed]) -> Calibrated {
    let spec = &locator.model().spec;
    let by = displacement(locator, assessed);
    let moved: Vec<Assessed> = assessed.iter().map(|one| moved(one, by)).collect();
    let classes = spec
        .sought_classes()
        .filter(|&(id, _)| is_annotated(id, assessed))
        .map(|(id, class)| calibrate_class(locator, id, class, assessed, &moved))
        .collect();
    let Point { x, y } = spec.displacement;
    Calibrated { displacement: Point::new(x + by.x, y + by.y), classes }
}

/// The median of the way from regions to objects, in network input pixels. Regions and objects that the image's border
/// cuts are left out, and fewer than [`LEAST_PAIRS`] tell nothing.
fn displacement(locator: &Locator, assessed: &[Assessed]) -> Point {
    let mut ways: Vec<Point> = Vec::new();
    for one in assessed {
        for (id, class) in locator.model().spec.sought_classes() {
            let regions = regions_at(locator, id, class, Levels::even(class), one);
            let near = locator.object_size(class, &one.located.margins[id.0]);
            let peers: Vec<Point> = one.truths.iter().filter(|truth| truth.class == id).map(middle).collect();
            for region in regions.iter().filter(|region| !region.at_border) {
                let Some(object) = nearest(region.centroid, &peers) else { continue };
                let others: Vec<Point> = regions.iter().map(|region| region.centroid).collect();
                let mutual = nearest(object, &others) == Some(region.centroid);
                if mutual && object.distance(region.centroid) < near && is_whole(object, one, (near, near)) {
                    let scale = one.located.scale;
                    let (x, y) = (object.x - region.centroid.x, object.y - region.centroid.y);
                    ways.push(Point::new(x * scale, y * scale));
                }
            }
        }
    }
    if ways.len() < LEAST_PAIRS {
        return Point::default();
    }
    let usual =
        |coordinate: fn(&Point) -> f64| median(ways.iter().map(coordinate)).expect("there are enough");
    Point::new(usual(|way| way.x), usual(|way| way.y))
}

fn middle(truth: &Truth) -> Point {
    truth.shape.center()
}

/// Whether an object of that size around a place lies inside the image.
pub(crate) fn is_whole(middle: Point, one: &Assessed, (across, down): (f64, f64)) -> bool {
    let (width, height) = (f64::from(one.located.size.width), f64::from(one.located.size.height));
    let inside = |place: f64, length: f64, size: f64| place >= size / 2.0 && place <= length - size / 2.0;
    inside(middle.x, width, across) && inside(middle.y, height, down)
}

fn nearest(place: Point, all: &[Point]) -> Option<Point> {
    all.iter().copied().min_by(|a, b| place.distance(*a).total_cmp(&place.distance(*b)))
}

/// The same image with its margins moved by so many network input pixels.
fn moved(one: &Assessed, by: Point) -> Assessed {
    let scale = one.located.scale;
    let by = Point::new(by.x / scale, by.y / scale);
    let mut one = one.clone();
    one.located.margins = one.located.margins.into_iter().map(|margin| margin.moved(by)).collect();
    one
}

/// Chooses on images whose margins were moved to where their objects are; what was before is told by the images as they were.
fn calibrate_class(
    locator: &Locator,
    id: ClassId,
    class: &ClassSpec,
    assessed: &[Assessed],
    moved: &[Assessed],
) -> Calibration {
    let f1_before = counts_at(locator, id, class, Levels::at(class.threshold, class), assessed).f1();
    let class = &ClassSpec { usual_box: None, min_visible: None, ..class.clone() };
    let levels = candidates(locator, id, class, moved);
    let resamples = Resamples::new(moved.len(), DRAWS, SEED);
    let tried: Vec<Outlined> = levels
        .par_iter()
        .map(|&contour| Outlined::new(locator, id, class, (contour, &levels), &resamples, moved))
        .collect();
    let fits: Vec<(f64, f64)> = tried.iter().map(|one| (one.levels.contour, one.fit())).collect();
    let contour = middle_of_plateau(&fits);
    let chosen = tried.into_iter().find(|one| one.levels.contour >= contour).expect("one of those tried");
    let class = &ClassSpec { min_visible: chosen.min_visible, ..class.clone() };
    let better =
        chosen.overlap_f1.and_then(|alone| fit_usual_box(locator, id, class, chosen.levels, alone, moved));
    let (usual_box, overlap_f1) =
        better.map_or((None, chosen.overlap_f1), |(usual, f1)| (Some(usual), Some(f1)));
    let even = Levels { threshold: class.score(0.0), ..chosen.levels };
    let found = verdicts(locator, id, class, even, moved);
    let margin = |verdict: &Verdict| Verdict { score: class.margin(verdict.score), ..*verdict };
    let margins: Vec<Verdict> = found.iter().map(margin).collect();
    let Scaling { midpoint, temperature } = fit_scaling(&margins);
    let scaled = ClassSpec { midpoint, temperature, ..class.clone() };
    let error = |class: &ClassSpec| {
        let score = |margin: &Verdict| Verdict { score: class.score(margin.score), ..*margin };
        let likelier: Vec<Verdict> =
            margins.iter().map(score).filter(|verdict| verdict.score >= 0.0).collect();
        reliability(&likelier, EVEN, RELIABILITY_BINS).expected_calibration_error
    };
    let rescaled = |score: f64| scaled.score(class.margin(score));
    Calibration {
        class: class.name.clone(),
        midpoint,
        temperature,
        threshold: rescaled(chosen.levels.threshold),
        contour: rescaled(chosen.levels.contour),
        usual_box,
        min_visible: chosen.min_visible,
        f1: chosen.f1,
        overlap_f1,
        f1_before,
        calibration_error: error(&scaled),
        calibration_error_before: error(class),
    }
}

/// The scores that are tried as threshold and as contour: up to the median score of the objects that are found, since
/// from there on half of them would be lost.
fn candidates(locator: &Locator, id: ClassId, class: &ClassSpec, assessed: &[Assessed]) -> Vec<f64> {
    let found = verdicts(locator, id, class, Levels::even(class), assessed);
    let scores = found.iter().filter(|verdict| verdict.hit).map(|verdict| verdict.score);
    let lowest = class.score(LOWEST);
    let highest = median(scores).unwrap_or_else(|| class.score(HIGHEST));
    (0..=STEPS).map(|step| lowest + (highest - lowest) * f64::from(step) / f64::from(STEPS)).collect()
}

/// The overlap from which a box counts as found.
pub(crate) const HALF: f64 = 0.5;

/// Regions along one contour, at a threshold that is about the best for them.
struct Outlined {
    levels: Levels,
    min_visible: Option<f64>,
    f1: f64,
    overlap_f1: Option<f64>,
}

impl Outlined {
    fn new(
        locator: &Locator,
        id: ClassId,
        class: &ClassSpec,
        (contour, thresholds): (f64, &[f64]),
        resamples: &Resamples,
        assessed: &[Assessed],
    ) -> Self {
        let all = Levels { threshold: contour, contour };
        let mut found: Vec<Vec<Region>> =
            assessed.iter().map(|one| regions_at(locator, id, class, all, one)).collect();
        let by_centroid = |one: &Assessed| match_rule(locator, id, one);
        let above: Vec<f64> = thresholds.iter().copied().filter(|&threshold| threshold >= contour).collect();
        let best_threshold = |ranking: &Ranking| {
            let best = |times: &[u32]| {
                let f1 = ranking.f1_from(&above, times)?;
                Some(middle_of_plateau(&above.iter().copied().zip(f1).collect::<Vec<_>>()))
            };
            resamples.mean(best).map_or(contour, |mean| mean.max(contour))
        };
        let verdicts = compared(id, &found, assessed, by_centroid);
        let of_all = best_threshold(&Ranking::new(&verdicts));
        let min_visible = fit_min_visible(locator, class, of_all, (&found, &verdicts), assessed);
        let class = ClassSpec { min_visible, ..class.clone() };
        for (regions, one) in found.iter_mut().zip(assessed) {
            let margin = &one.located.margins[id.0];
            regions.retain(|region| is_told(locator, &class, margin, region, one.located.size));
        }
        let told = Ranking::new(&compared(id, &found, assessed, by_centroid));
        let threshold = best_threshold(&told);
        let once = vec![1; assessed.len()];
        let f1 = |ranking: &Ranking| ranking.f1_from(&[threshold], &once).map_or(0.0, |f1| f1[0]);
        let has_box = |truth: &Truth| truth.class == id && truth.shape.rect().is_some();
        let has_boxes = assessed.iter().any(|one| one.truths.iter().any(has_box));
        let by_overlap =
            || Ranking::new(&compared(id, &found, assessed, |_| MatchRule::Overlap { iou: HALF }));
        Self {
            levels: Levels { threshold, contour },
            min_visible,
            f1: f1(&told),
            overlap_f1: has_boxes.then(|| f1(&by_overlap())),
        }
    }

    fn fit(&self) -> f64 {
        self.f1 + self.overlap_f1.unwrap_or(0.0)
    }
}

/// The regions of a class on each image, compared with its objects.
fn compared(
    id: ClassId,
    found: &[Vec<Region>],
    assessed: &[Assessed],
    rule: impl Fn(&Assessed) -> MatchRule,
) -> Vec<ImageVerdicts> {
    let on_one = |(regions, one): (&Vec<Region>, &Assessed)| {
        ImageVerdicts::new(regions, &truths_of(id, &one.truths), rule(one))
    };
    found.iter().zip(assessed).map(on_one).collect()
}

/// The scores of all regions of a class at some log-odds, and whether they are objects.
fn verdicts(
    locator: &Locator,
    id: ClassId,
    class: &ClassSpec,
    levels: Levels,
    assessed: &[Assessed],
) -> Vec<Verdict> {
    let of = |one: &Assessed| {
        let regions = regions_at(locator, id, class, levels, one);
        let rule = match_rule(locator, id, one);
        ImageVerdicts::new(&regions, &truths_of(id, &one.truths), rule).verdicts
    };
    assessed.iter().flat_map(of).collect()
}

/// The right and the wrong of each sought class at what would be chosen on these images, which is told as well.
pub(crate) fn best_counts(locator: &Locator, assessed: &[Assessed]) -> Vec<(Calibration, Counts)> {
    let by = displacement(locator, assessed);
    let moved: Vec<Assessed> = assessed.iter().map(|one| moved(one, by)).collect();
    let counts = |(id, class): (ClassId, &ClassSpec)| {
        let best = calibrate_class(locator, id, class, assessed, &moved);
        let Calibration { midpoint, temperature, .. } = best;
        let class = &ClassSpec { min_visible: best.min_visible, ..class.clone() };
        let scaled = ClassSpec { midpoint, temperature, ..class.clone() };
        let in_its_own = |score: f64| class.score(scaled.margin(score));
        let levels = Levels { threshold: in_its_own(best.threshold), contour: in_its_own(best.contour) };
        let counts = counts_at(locator, id, class, levels, &moved);
        (best, counts)
    };
    let sought = locator.model().spec.sought_classes();
    sought.filter(|&(id, _)| is_annotated(id, assessed)).map(counts).collect()
}

fn counts_at(
    locator: &Locator,
    id: ClassId,
    class: &ClassSpec,
    levels: Levels,
    assessed: &[Assessed],
) -> Counts {
    let mut counts = Counts::default();
    for one in assessed {
        let regions = regions_at(locator, id, class, levels, one);
        counts += matches_of(locator, id, &regions, one).counts();
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocateOptions;
    use locam_arch::ArchName;
    use locam_core::{MapTransform, Rect, ScoreMap, Shape, Size};
    use locam_net::Compute;

    const IMAGE: Size = Size::new(640, 480);

    fn locator() -> Locator {
        let model = crate::testing::model(ArchName::Squeezenet1_1);
        Locator::new(model, &Compute::Cpu, "CPU".to_owned(), LocateOptions::default()).unwrap()
    }

    /// An image with an object of 40 pixels at each place, whose margin has a cone of that height (0 for none) `beside` it.
    fn image(objects: &[(f64, f64, f64)], beside: Point) -> Assessed {
        let (size, transform) = (Size::new(40, 30), MapTransform::uniform(8.0, 16.0));
        let margin = (0..size.area()).map(|i| {
            let (column, row) = (i % u64::from(size.width), i / u64::from(size.width));
            let place = transform.image_from_map(Point::new(column as f64 + 0.5, row as f64 + 0.5));
            let cone = |&(x, y, height): &(f64, f64, f64)| {
                let top = Point::new(x + beside.x, y + beside.y);
                height - 0.5 * place.distance(top)
            };
            objects.iter().map(cone).fold(-9.0, f64::max) as f32
        });
        let margin = ScoreMap::new(size, margin.collect(), transform);
        let shape = |&(x, y, _): &(f64, f64, f64)| Shape::Box(Rect::around(Point::new(x, y), 40.0, 40.0));
        let truth = |object| Truth { class: ClassId(1), shape: shape(object) };
        let located = crate::Located {
            size: IMAGE,
            scale: 1.0,
            searched: 1.0,
            maps: vec![margin.clone(); 2],
            margins: vec![margin.clone(); 2],
            mean: margin,
            channels: Vec::new(),
            regions: Vec::new(),
            missing: Vec::new(),
        };
        Assessed { path: "image.png".into(), located, truths: objects.iter().map(truth).collect() }
    }

    fn rows(height: f64) -> Vec<(f64, f64, f64)> {
        (0..12).map(|i| (80.0 + 120.0 * f64::from(i % 4), 80.0 + 140.0 * f64::from(i / 4), height)).collect()
    }

    /// An image with objects whose cones are 24 high, and with cones of that height where no object is.
    fn image_with_false_cones(height: f64) -> Assessed {
        let mut one = image(&rows(24.0), Point::default());
        let mut all = rows(24.0);
        all.extend(rows(height).iter().map(|&(x, y, height)| (x + 60.0, y + 70.0, height)));
        one.located.margins = image(&all, Point::default()).located.margins;
        one
    }

    #[test]
    fn maps_that_answer_beside_objects_are_moved_onto_them() {
        let beside = Point::new(-24.0, -16.0);
        let found = calibrate(&locator(), &[image(&rows(16.0), beside)]);
        assert!((found.displacement.x - 24.0).abs() < 4.0, "{found:?}");
        assert!((found.displacement.y - 16.0).abs() < 4.0, "{found:?}");
        let class = &found.classes[0];
        assert!(class.f1_before < 0.5 && (class.f1 - 1.0).abs() < 1e-9, "{class:?}");
        let few = calibrate(&locator(), &[image(&rows(16.0)[..LEAST_PAIRS - 1], beside)]);
        assert_eq!(few.displacement, Point::default());
    }

    #[test]
    fn oblong_objects_get_the_boxes_that_they_usually_have() {
        let mut one = image(&rows(16.0), Point::default());
        let round = calibrate(&locator(), std::slice::from_ref(&one));
        assert_eq!((round.classes[0].usual_box, round.classes[0].overlap_f1), (None, Some(1.0)));
        for truth in &mut one.truths {
            truth.shape = Shape::Box(Rect::around(truth.shape.center(), 110.0, 20.0));
        }
        let oblong = calibrate(&locator(), &[one]);
        let class = &oblong.classes[0];
        let usual = class.usual_box.expect("regions are round");
        assert_eq!((usual.width, usual.height, class.overlap_f1), (110.0, 20.0, Some(1.0)), "{class:?}");
        assert!(usual.weight > 0.25, "{usual:?}");
    }

    #[test]
    fn weak_false_regions_are_left_out_and_make_scores_less_certain() {
        let found = calibrate(&locator(), &[image_with_false_cones(10.0)]);
        let class = &found.classes[0];
        let margin = class.threshold * class.temperature + class.midpoint;
        // At the latest from 6.24 on a false cone is narrower than a third of an object and is dropped. The threshold is
        // the middle of all that do so, up to 24, where the objects' cones end.
        assert!(margin > 12.0 && margin < 18.0 && (class.f1 - 1.0).abs() < 1e-9, "{class:?}");
        // A box of 40 pixels is a cone's at 14, and one with sides of more than 28 or less than 57 pixels is a hit.
        let contour = class.contour * class.temperature + class.midpoint;
        assert!(contour > 8.8 && contour < margin && class.overlap_f1 == Some(1.0), "{class:?}");
        // Even odds lie between the false cones and the true ones.
        assert!(class.midpoint > 10.0 && class.midpoint < 24.0, "{class:?}");
        assert!(class.calibration_error < class.calibration_error_before, "{class:?}");
    }

    #[test]
    fn what_annotators_leave_to_the_next_field_is_not_told() {
        let marked = rows(24.0);
        // The middles of these cones lie beyond the border, where they are as high as the objects' own.
        let cut = [80.0, 320.0, 560.0].map(|x| (x, 500.0, 34.5));
        let mut one = image(&marked, Point::default());
        one.located.margins = image(&[&marked[..], &cut[..]].concat(), Point::default()).located.margins;
        let found = calibrate(&locator(), std::slice::from_ref(&one)).classes.remove(0);
        let least = found.min_visible.expect("cones at the border are not marked");
        assert!(least > 0.1 && least <= 0.5 && (found.f1 - 1.0).abs() < 1e-9, "{found:?}");
        for (x, ..) in cut {
            let shape = Shape::Box(Rect::around(Point::new(x, 470.0), 40.0, 20.0));
            one.truths.push(Truth { class: ClassId(1), shape });
        }
        assert_eq!(calibrate(&locator(), &[one]).classes[0].min_visible, None);
    }

    #[test]
    fn no_image_decides_alone_on_a_threshold() {
        let clean = image(&rows(24.0), Point::default());
        let noisy = image_with_false_cones(20.0);
        let threshold = |images: &[Assessed]| {
            let class = &calibrate(&locator(), images).classes[0];
            class.threshold * class.temperature + class.midpoint
        };
        let (low, high) = (threshold(std::slice::from_ref(&clean)), threshold(std::slice::from_ref(&noisy)));
        // A quarter of the draws of two images has the clean one twice.
        let expected = 0.25 * low + 0.75 * high;
        let both = threshold(&[clean, noisy]);
        assert!(high - low > 2.0 && (both - expected).abs() < 0.2, "{low} {both} {high}");
    }
}
