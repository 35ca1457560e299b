//! How large a class's objects usually are, where that tells more of their boxes than the maps do.

use crate::Locator;
use crate::assessing::{Assessed, regions_at, truths_of};
use crate::calibrating::{HALF, is_whole};
use crate::locating::Levels;
use locam_core::{ClassId, ClassSpec, UsualBox, median};
use locam_locate::{Counts, MatchRule, match_regions};

/// Boxes that must lie wholly inside images before anything is said of them.
const LEAST_BOXES: usize = 8;
/// Weights of the usual box that are tried.
const WEIGHTS: [f64; 4] = [0.25, 0.5, 0.75, 1.0];

/// The usual box at the weight that gives the highest F1 by an overlap of at least a half, with that F1; no box where the extents of
/// regions alone, which give `alone`, do as well.
///
/// Cells of the maps are square and may be as large as an object, so that small or oblong objects have boxes that
/// are known better from others of their kind.
pub(crate) fn fit_usual_box(
    locator: &Locator,
    id: ClassId,
    class: &ClassSpec,
    levels: Levels,
    alone: f64,
    assessed: &[Assessed],
) -> Option<(UsualBox, f64)> {
    let mut sides: [Vec<f64>; 2] = Default::default();
    for one in assessed {
        for rect in truths_of(id, &one.truths).iter().filter_map(|truth| truth.shape.rect()) {
            if is_whole(rect.center(), one, (rect.width(), rect.height())) {
                sides[0].push(rect.width() * one.located.scale);
                sides[1].push(rect.height() * one.located.scale);
            }
        }
    }
    if sides[0].len() < LEAST_BOXES {
        return None;
    }
    let [width, height] = sides.map(|lengths| median(lengths).expect("there are enough"));
    let f1 = |usual: UsualBox| {
        let class = ClassSpec { usual_box: Some(usual), ..class.clone() };
        let mut counts = Counts::default();
        for one in assessed {
            let regions = regions_at(locator, id, &class, levels, one);
            let rule = MatchRule::Overlap { iou: HALF };
            counts += match_regions(&regions, &truths_of(id, &one.truths), rule).counts();
        }
        counts.f1()
    };
    let mut best = (None, alone);
    for weight in WEIGHTS {
        let usual = UsualBox { width, height, weight };
        let found = f1(usual);
        if found > best.1 {
            best = (Some(usual), found);
        }
    }
    Some((best.0?, best.1))
}
