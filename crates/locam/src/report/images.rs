//! The best and the worst images of an evaluation.

use crate::assessing::{Assessed, entries, match_rule, truths_of};
use crate::evaluating::{Evaluation, PatchEvaluation, truths_in};
use crate::writing::{Entry, Photograph, overlay};
use crate::{Error, Locator};
use image::RgbImage;
use locam_core::Region;
use locam_data::{Dataset, Item, Predictions};
use locam_locate::{Counts, MatchRule, match_regions};
use locam_report::{Block, Picture, Section, marked_picture};
use std::path::Path;

/// So many images are shown of each kind.
const WORST: usize = 4;
const BEST: usize = 2;
/// So many patches.
const PATCHES: usize = 12;
/// Their side on the page, in pixels.
const PATCH_SIDE: u32 = 224;

/// Places of the worst images, which have errors, and of the best, which have none, by what was counted on each. More errors
/// are worse, more hits without any are better; of equals the first is taken.
fn worst_and_best(counts: &[Counts]) -> (Vec<usize>, Vec<usize>) {
    let errors = |place: &usize| counts[*place].false_positives + counts[*place].misses;
    let (mut worst, mut best): (Vec<usize>, Vec<usize>) =
        (0..counts.len()).partition(|place| errors(place) > 0);
    worst.sort_by_key(|place| std::cmp::Reverse(errors(place)));
    best.sort_by_key(|&place| std::cmp::Reverse(counts[place].true_positives));
    best.retain(|&place| counts[place].true_positives > 0);
    worst.truncate(WORST);
    best.truncate(BEST);
    (worst, best)
}

/// What is wrong on an image, in words.
fn verdict(path: &Path, counts: Counts) -> String {
    let name = super::name(path);
    format!(
        "{name}: {} found, {} missed, {}",
        counts.true_positives,
        counts.misses,
        match counts.false_positives {
            1 => "1 false alarm".to_owned(),
            many => format!("{many} false alarms"),
        }
    )
}

/// Images with the maps of every sought class laid over.
pub(super) fn of_maps(locator: &Locator, assessed: &[Assessed]) -> Result<Vec<Section>, Error> {
    let counts: Vec<Counts> = assessed.iter().map(|one| counts_of(locator, one)).collect();
    let entries = entries(assessed);
    let draw = |place: usize| -> Result<Vec<Picture>, Error> {
        let entry: &Entry<'_> = &entries[place];
        let photo = Photograph::open(entry.path)?;
        let drawn = locator.model().spec.sought_classes().map(|(id, _)| Picture {
            caption: verdict(entry.path, counts[place]),
            image: overlay(locator, entry, id, &photo),
        });
        Ok(drawn.collect())
    };
    sections(&counts, draw, "The colour is the model's log-odds at every place, on one scale for all images.")
}

fn counts_of(locator: &Locator, one: &Assessed) -> Counts {
    let sought = locator.model().spec.sought_classes();
    sought.fold(Counts::default(), |sum, (id, _)| {
        let regions: Vec<Region> =
            one.located.regions.iter().filter(|region| region.class == id).cloned().collect();
        let rule = match_rule(locator, id, one);
        sum + match_regions(&regions, &truths_of(id, &one.truths), rule).counts()
    })
}

fn sections(
    counts: &[Counts],
    draw: impl Fn(usize) -> Result<Vec<Picture>, Error>,
    legend: &str,
) -> Result<Vec<Section>, Error> {
    let (worst, best) = worst_and_best(counts);
    let mut sections = Vec::new();
    for (title, kind, places) in
        [("Worst images", "most errors", worst), ("Best images", "most objects without an error", best)]
    {
        if places.is_empty() {
            continue;
        }
        let text = format!(
            "Those with the {kind}. White boxes are what was found, green is what people marked. {legend}"
        );
        let mut blocks = vec![Block::Text(text)];
        for place in places {
            blocks.extend(draw(place)?.into_iter().map(Block::Picture));
        }
        sections.push(Section { title: title.to_owned(), blocks });
    }
    Ok(sections)
}

/// Images with boxes alone.
pub(super) fn of_predictions(
    data: &Dataset,
    items: &[&Item],
    predictions: &Predictions,
    evaluation: &Evaluation,
) -> Result<Vec<Section>, Error> {
    let threshold = evaluation.classes.iter().find_map(|class| class.threshold);
    let found = |item: &Item| -> Vec<Region> {
        let place = data.items.iter().position(|known| known.path == item.path);
        let regions = place.map_or(&[][..], |place| &predictions.by_item[place]);
        let counts = |region: &&Region| threshold.is_none_or(|threshold| region.score >= threshold);
        regions.iter().filter(counts).cloned().collect()
    };
    let rule = MatchRule::Centroid { radius: evaluation.radius };
    let counts: Vec<Counts> =
        items.iter().map(|item| match_regions(&found(item), &truths_in(item), rule).counts()).collect();
    let draw = |place: usize| -> Result<Vec<Picture>, Error> {
        let item = items[place];
        let image = locam_data::read_rgb(&item.path)?;
        let picture = marked_picture(&image, &found(item), &truths_in(item));
        Ok(vec![Picture { caption: verdict(&item.path, counts[place]), image: picture }])
    };
    sections(&counts, draw, "")
}

/// The patches that were most surely taken for what they are not.
pub(super) fn of_patches(evaluation: &PatchEvaluation, names: &[String]) -> Result<Option<Section>, Error> {
    let sureness = |place: &usize| {
        let patch = &evaluation.details[*place].1;
        patch.probabilities[patch.predicted()]
    };
    let is_wrong = |place: &usize| {
        let patch = &evaluation.details[*place].1;
        patch.predicted() != patch.truth
    };
    let mut wrong: Vec<usize> = (0..evaluation.details.len()).filter(is_wrong).collect();
    wrong.sort_by(|a, b| sureness(b).total_cmp(&sureness(a)));
    let text = match wrong.len() {
        0 => return Ok(None),
        1 => "One patch is taken for another class than it is.".to_owned(),
        many => format!(
            "{many} patches are taken for another class than they are; those that the model was surest of:"
        ),
    };
    let mut shown = Vec::new();
    for place in wrong.into_iter().take(PATCHES) {
        let (path, patch) = &evaluation.details[place];
        let caption = format!(
            "{}: {}, taken for {} ({:.0} %)",
            super::name(path),
            names[patch.truth],
            names[patch.predicted()],
            100.0 * patch.probabilities[patch.predicted()]
        );
        shown.push(Picture { caption, image: thumbnail(&locam_data::read_rgb(path)?)? });
    }
    let blocks = vec![Block::Text(text), Block::Gallery(shown)];
    Ok(Some(Section { title: "Patches taken for another class".to_owned(), blocks }))
}

fn thumbnail(image: &RgbImage) -> Result<RgbImage, Error> {
    Ok(locam_data::resize(image, locam_core::Size::new(PATCH_SIDE, PATCH_SIDE))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_make_images_worst_and_hits_without_errors_best() {
        let counts =
            |true_positives, false_positives, misses| Counts { true_positives, false_positives, misses };
        let all = [
            counts(1, 0, 0),
            counts(2, 1, 0),
            counts(0, 0, 0),
            counts(9, 0, 0),
            counts(0, 2, 1),
            counts(3, 0, 0),
        ];
        assert_eq!(worst_and_best(&all), (vec![4, 1], vec![3, 5]));
        assert_eq!(worst_and_best(&[]), (vec![], vec![]));
    }
}
