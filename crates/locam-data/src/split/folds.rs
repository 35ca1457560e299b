//! Cross-validation: every image is tested on once, by a model that never saw it or its source.

use super::{Unit, units};
use crate::{DataError, Dataset, Item, Label, Split};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// How images are shared out among folds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoldPlan {
    /// How many folds there are, at least 2.
    pub folds: usize,
    /// Seed of the draw.
    pub seed: u64,
}

/// The data set once per fold: that fold's images are its test split, all others its training split, from which choices
/// (validation) are still to be taken.
///
/// Whole groups are dealt out class by class, each to the fold with the fewest images of its class, so that the classes
/// are as evenly spread as the groups allow. Images that the data keep for a test take no part. The result depends on
/// the seed and not on the order of the images.
///
/// # Errors
/// [`DataError::Unfit`] for fewer than 2 folds, and where a fold would lack a class, which a class from fewer sources
/// than folds always makes.
pub fn assign_folds(data: &Dataset, plan: FoldPlan) -> Result<Vec<Dataset>, DataError> {
    let unfit = |reason: String| DataError::Unfit { path: data.root.clone(), reason };
    if plan.folds < 2 {
        return Err(unfit(format!("{} folds are too few: at least 2 are needed", plan.folds)));
    }
    let open: Vec<usize> =
        (0..data.items.len()).filter(|&i| data.items[i].split != Some(Split::Test)).collect();
    let units = units(data, &open);
    if units.len() < plan.folds {
        return Err(unfit(format!(
            "its images come from {} sources, and a source never straddles folds: {} folds need as many; take fewer",
            units.len(),
            plan.folds
        )));
    }
    let fold_of = deal(&units, plan, data.items.len());
    let folds: Vec<Dataset> =
        (0..plan.folds).map(|fold| with_test_fold(data, &open, &fold_of, fold)).collect();
    for (number, fold) in folds.iter().enumerate() {
        if let Some(class) = lacking(fold, &open, data) {
            let sources = units.iter().filter(|unit| has_class(unit, data, class)).count();
            return Err(unfit(format!(
                "fold {} of {} has no image of class `{}`, whose images come from {sources} sources, and a source never \
                 straddles folds; take fewer folds, or add images",
                number + 1,
                plan.folds,
                data.classes[class]
            )));
        }
    }
    Ok(folds)
}

/// For each image the number of its fold.
fn deal(units: &[Unit], plan: FoldPlan, images: usize) -> Vec<usize> {
    let mut strata: BTreeMap<usize, Vec<&Unit>> = BTreeMap::new();
    for unit in units {
        strata.entry(unit.class).or_default().push(unit);
    }
    let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
    let mut fold_of = vec![0; images];
    let mut in_fold = vec![0; plan.folds];
    for stratum in strata.values_mut() {
        stratum.shuffle(&mut random);
        // The largest groups first, while there is room to balance them; the sort keeps the draw among equals.
        stratum.sort_by_key(|unit| std::cmp::Reverse(unit.items.len()));
        let mut of_class = vec![0; plan.folds];
        for unit in stratum.iter() {
            let fold =
                (0..plan.folds).min_by_key(|&fold| (of_class[fold], in_fold[fold])).unwrap_or_default();
            of_class[fold] += unit.items.len();
            in_fold[fold] += unit.items.len();
            for &i in &unit.items {
                fold_of[i] = fold;
            }
        }
    }
    fold_of
}

fn with_test_fold(data: &Dataset, open: &[usize], fold_of: &[usize], fold: usize) -> Dataset {
    let split = |i: usize| if fold_of[i] == fold { Split::Test } else { Split::Train };
    let items = open.iter().map(|&i| Item { split: Some(split(i)), ..data.items[i].clone() });
    Dataset { items: items.collect(), ..data.clone() }
}

/// A class that occurs in the data and not in the fold's test images.
fn lacking(fold: &Dataset, open: &[usize], data: &Dataset) -> Option<usize> {
    let test = || fold.items.iter().filter(|item| item.split == Some(Split::Test));
    (0..data.classes.len()).find(|&class| {
        open.iter().any(|&i| shows(&data.items[i], class)) && !test().any(|item| shows(item, class))
    })
}

fn has_class(unit: &Unit, data: &Dataset, class: usize) -> bool {
    unit.items.iter().any(|&i| shows(&data.items[i], class))
}

fn shows(item: &Item, class: usize) -> bool {
    match &item.label {
        Label::Class(id) => id.0 == class,
        Label::Objects(objects) => objects.iter().any(|object| object.class.0 == class),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_core::ClassId;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    fn data(labels: &[(usize, usize)]) -> Dataset {
        let grouped: Vec<_> = labels.iter().map(|&(class, group)| (class, Some(group))).collect();
        crate::split::tests::data(&grouped)
    }

    fn tested(fold: &Dataset) -> BTreeSet<&PathBuf> {
        let test = fold.items.iter().filter(|item| item.split == Some(Split::Test));
        test.map(|item| &item.path).collect()
    }

    const PLAN: FoldPlan = FoldPlan { folds: 5, seed: 3 };

    #[test]
    fn folds_of_single_images_are_even_and_of_all_classes() {
        let labels: Vec<_> = (0..260).map(|i| (usize::from(i % 4 == 0), i)).collect();
        for fold in assign_folds(&data(&labels), PLAN).unwrap() {
            let test: Vec<_> = fold.items.iter().filter(|item| item.split == Some(Split::Test)).collect();
            let of_b = test.iter().filter(|item| item.label == Label::Class(ClassId(1))).count();
            assert_eq!((test.len(), of_b), (52, 13));
        }
    }

    #[test]
    fn test_images_of_the_data_take_no_part() {
        let mut data = data(&(0..40).map(|i| (i % 2, i)).collect::<Vec<_>>());
        for (i, item) in data.items[..20].iter_mut().enumerate() {
            item.split = Some(if i < 10 { Split::Test } else { Split::Val });
        }
        let folds = assign_folds(&data, PLAN).unwrap();
        assert!(folds.iter().all(|fold| fold.items.len() == 30));
        assert_eq!(folds.iter().map(|fold| tested(fold).len()).sum::<usize>(), 30);
    }

    #[test]
    fn what_can_not_be_dealt_out_is_named() {
        let words = |labels: &[(usize, usize)], folds| {
            assign_folds(&data(labels), FoldPlan { folds, seed: 0 }).unwrap_err().to_string()
        };
        let many: Vec<_> = (0..20).map(|i| (0, i)).chain([(1, 30), (1, 31), (1, 31)]).collect();
        let missing = words(&many, 3);
        assert!(missing.contains("class `b`") && missing.contains("from 2 sources"), "{missing}");
        let few = words(&[(0, 1), (1, 1), (0, 2), (1, 2)], 3);
        assert!(few.contains("come from 2 sources"), "{few}");
        assert!(words(&many, 1).contains("at least 2"));
        assign_folds(&data(&many), FoldPlan { folds: 2, seed: 0 }).unwrap();
    }

    proptest! {
        #[test]
        fn every_image_is_tested_once_and_groups_stay_together(
            labels in prop::collection::vec((0..2usize, 0..40usize), 80..160),
            seed in 0..1000u64,
        ) {
            let data = data(&labels);
            let Ok(folds) = assign_folds(&data, FoldPlan { folds: 4, seed }) else { return Ok(()) };
            let mut times = vec![0; labels.len()];
            for fold in &folds {
                let mut groups: BTreeMap<&Option<String>, Split> = BTreeMap::new();
                for (i, item) in fold.items.iter().enumerate() {
                    let split = item.split.unwrap();
                    times[i] += usize::from(split == Split::Test);
                    prop_assert_eq!(*groups.entry(&item.group).or_insert(split), split);
                }
            }
            prop_assert!(times.iter().all(|&times| times == 1));
            let mut backward = data.clone();
            backward.items.reverse();
            let again = assign_folds(&backward, FoldPlan { folds: 4, seed }).unwrap();
            for (a, b) in folds.iter().zip(&again) {
                prop_assert_eq!(tested(a), tested(b));
            }
        }
    }
}
