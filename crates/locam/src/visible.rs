//! How much of an object that an image's border cuts must be visible for it to count, as annotations have it.

use crate::Locator;
use crate::assessing::Assessed;
use locam_core::{ClassSpec, Region, ScoreMap, Size};
use locam_locate::{Counts, ImageVerdicts, Verdict, depth_at_border};

/// Objects that reach farther into the image than by this part have their middle there, and always count.
const MOST: f64 = 0.5;
/// So many of the objects that are found must be cut before where they end tells what is not marked.
const LEAST_CUT: usize = 8;

/// A region that the image's border cuts.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// How far it reaches into the image, in object sizes.
    visible: f64,
    /// Whether an object is marked there.
    hit: bool,
}

/// Whether a region is told: whether it reaches far enough into the image where the border cuts it. `margin` is its class's map.
pub(crate) fn is_told(
    locator: &Locator,
    class: &ClassSpec,
    margin: &ScoreMap,
    region: &Region,
    image: Size,
) -> bool {
    let Some(least) = class.min_visible else { return true };
    visible(locator, class, margin, region, image).is_none_or(|visible| visible >= least)
}

/// How far a region that the image's border cuts reaches into the image, in object sizes; `None` for others.
fn visible(
    locator: &Locator,
    class: &ClassSpec,
    margin: &ScoreMap,
    region: &Region,
    image: Size,
) -> Option<f64> {
    Some(depth_at_border(region, image)? / locator.smallest_object(class, margin))
}

/// How far regions that the border cuts have to reach into the image to be told, in object sizes, so that F1 at a threshold is
/// highest; `None` where all are to be. `found` are the regions on each image, `compared` what they are.
pub(crate) fn fit_min_visible(
    locator: &Locator,
    class: &ClassSpec,
    threshold: f64,
    (found, compared): (&[Vec<Region>], &[ImageVerdicts]),
    assessed: &[Assessed],
) -> Option<f64> {
    let (mut cut, mut counts) = (Vec::new(), Counts::default());
    for ((regions, ImageVerdicts { verdicts, objects }), one) in found.iter().zip(compared).zip(assessed) {
        counts.misses += objects;
        for (region, &Verdict { score, hit }) in regions.iter().zip(verdicts) {
            if score < threshold {
                continue;
            }
            if hit {
                counts.true_positives += 1;
                counts.misses -= 1;
            } else {
                counts.false_positives += 1;
            }
            let margin = &one.located.margins[region.class.0];
            let visible = visible(locator, class, margin, region, one.located.size);
            cut.extend(visible.map(|visible| Cut { visible, hit }));
        }
    }
    least_visible(cut, counts)
}

/// The least part of an object at which F1 is highest, given the regions that the border cuts and the `counts` of all.
///
/// Most annotators leave out what lies mostly beyond the border, as counting rules do that give each cell to one field alone (Howard and
/// Reed, "Unbiased stereology", 2nd edition, 2005). How much must be visible lies between the last region that is better dropped and
/// the first object that is not. Where enough objects are cut, it lies as far below the least visible of these as they are apart, which
/// is where they are expected to end if they are spread evenly.
fn least_visible(mut cut: Vec<Cut>, mut counts: Counts) -> Option<f64> {
    cut.sort_by(|a, b| a.visible.total_cmp(&b.visible));
    let (mut dropped, mut highest) = (0, counts.f1());
    for (place, one) in cut.iter().enumerate().take_while(|(_, one)| one.visible < MOST) {
        if one.hit {
            counts.true_positives -= 1;
            counts.misses += 1;
        } else {
            counts.false_positives -= 1;
        }
        if counts.f1() > highest {
            (dropped, highest) = (place + 1, counts.f1());
        }
    }
    let (dropped, kept) = cut.split_at(dropped);
    let objects: Vec<f64> = kept.iter().filter(|one| one.hit).map(|one| one.visible.min(1.0)).collect();
    let first = objects.first().copied().unwrap_or(1.0);
    let between = dropped.last().map_or(0.0, |last| f64::midpoint(last.visible, first));
    let cut_objects = objects.iter().filter(|&&visible| visible < 1.0).count();
    let end = if cut_objects < LEAST_CUT { 0.0 } else { first - (1.0 - first) / cut_objects as f64 };
    let least = between.max(end).min(MOST);
    (least > 0.0).then_some(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(hits: &[f64], false_alarms: &[f64], others: Counts) -> Option<f64> {
        let cut =
            |visible: &[f64], hit| visible.iter().map(|&visible| Cut { visible, hit }).collect::<Vec<_>>();
        let mut counts = others;
        counts.true_positives += hits.len();
        counts.false_positives += false_alarms.len();
        least_visible([cut(hits, true), cut(false_alarms, false)].concat(), counts)
    }

    fn about(found: Option<f64>, expected: f64) {
        assert!((found.expect("a least part") - expected).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn what_lies_mostly_beyond_the_border_is_dropped_where_it_is_not_marked() {
        let others = Counts { true_positives: 20, ..Counts::default() };
        about(fit(&[0.4, 0.9], &[0.1, 0.2], others), 0.3);
        // Two false alarms are worth an object, but none whose middle is inside.
        about(fit(&[0.2, 0.48], &[0.3, 0.34], others), 0.41);
        about(fit(&[0.7], &[0.3, 0.45, 0.6], others), 0.5);
        about(fit(&[], &[0.2], others), 0.5);
        assert_eq!(fit(&[0.2, 0.48], &[0.3], others), None);
        assert_eq!(fit(&[0.6], &[0.6, 0.7], others), None);
    }

    #[test]
    fn many_cut_objects_tell_where_marking_ends_without_any_false_alarm() {
        let others = Counts { true_positives: 20, ..Counts::default() };
        let from = |least: f64, count: u32| -> Vec<f64> {
            (0..count).map(|i| least + (1.0 - least) * f64::from(i) / f64::from(count)).collect()
        };
        about(fit(&from(0.4, 12), &[], others), 0.35);
        about(fit(&from(0.52, 100), &[], others), 0.5);
        assert_eq!(fit(&from(0.4, 7), &[], others), None);
        assert_eq!(fit(&from(1.0 / 13.0, 12), &[], others).map(|least| least < 1e-9), None);
        assert_eq!(fit(&[], &[], others), None);
    }
}
