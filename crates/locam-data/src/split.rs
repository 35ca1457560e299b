use crate::{DataError, Dataset, Item, Label, Split};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// How images without a given split are shared out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SplitPlan {
    /// Part that choices are made on, in 0..1.
    pub val_fraction: f64,
    /// Part that is looked at once, at the end, in 0..1.
    pub test_fraction: f64,
    /// Seed of the draw.
    pub seed: u64,
}

/// Gives every image of a data set its split, in the order of [`Dataset::items`].
///
/// Given splits stay. Where the data give none, whole groups (or single images where there are no groups) are drawn
/// at random, class by class, so that images from one source never straddle a split and every class is in each
/// part that its number allows. Where they give training and test images but none to make choices on, those are taken
/// from the training images by the same means. The result depends on the seed and not on the order of the images.
///
/// # Errors
/// [`DataError::Unfit`] where a part is wanted and there are fewer than three groups to share out, or where given
/// splits leave nothing to train on.
pub fn assign_splits(data: &Dataset, plan: &SplitPlan) -> Result<Vec<Split>, DataError> {
    let given = |split: Split| data.items.iter().any(|item| item.split == Some(split));
    let any_given = data.items.iter().any(|item| item.split.is_some());
    let unfit = |reason: String| DataError::Unfit { path: data.root.clone(), reason };
    let mut splits: Vec<Split> = data.items.iter().map(|item| item.split.unwrap_or(Split::Train)).collect();
    if any_given && !splits.contains(&Split::Train) {
        let reason = "no image is in its training split; put some there, or name data without splits, which are \
                      shared out";
        return Err(unfit(reason.to_owned()));
    }
    let wanted = SplitPlan {
        val_fraction: if given(Split::Val) { 0.0 } else { plan.val_fraction },
        test_fraction: if any_given { 0.0 } else { plan.test_fraction },
        seed: plan.seed,
    };
    if wanted.val_fraction + wanted.test_fraction <= 0.0 {
        return Ok(splits);
    }
    let open: Vec<usize> = (0..splits.len()).filter(|&i| splits[i] == Split::Train).collect();
    let units = units(data, &open);
    if units.len() < 3 {
        return Err(unfit(format!(
            "its images come from {} sources, and a source never straddles a split: at least 3 are needed to have \
             some for training, choices and tests; add images, or give the splits yourself",
            units.len()
        )));
    }
    draw(&units, &wanted, &mut splits);
    Ok(splits)
}

/// Images that stay together, with the class that stands for them.
struct Unit {
    class: usize,
    items: Vec<usize>,
}

/// Groups of the open images, sorted by a key that does not depend on the order of the images.
fn units(data: &Dataset, open: &[usize]) -> Vec<Unit> {
    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for &i in open {
        let item = &data.items[i];
        let key = match &item.group {
            Some(group) => format!("group {group}"),
            None => format!("image {}", item.path.strip_prefix(&data.root).unwrap_or(&item.path).display()),
        };
        by_key.entry(key).or_default().push(i);
    }
    by_key
        .into_values()
        .map(|items| Unit { class: main_class(items.iter().map(|&i| &data.items[i])), items })
        .collect()
}

/// The class that occurs most often; the first of equals.
fn main_class<'a>(items: impl Iterator<Item = &'a Item>) -> usize {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for item in items {
        match &item.label {
            Label::Class(class) => *counts.entry(class.0).or_default() += 1,
            Label::Objects(objects) => {
                for object in objects {
                    *counts.entry(object.class.0).or_default() += 1;
                }
            }
        }
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(usize::MAX, |(class, _)| class)
}

/// Fills test, then val, class by class; what is left stays with training.
fn draw(units: &[Unit], plan: &SplitPlan, splits: &mut [Split]) {
    let mut strata: BTreeMap<usize, Vec<&Unit>> = BTreeMap::new();
    for unit in units {
        strata.entry(unit.class).or_default().push(unit);
    }
    let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
    for stratum in strata.values_mut() {
        stratum.shuffle(&mut random);
        // A class of one or two sources is all needed for training.
        if stratum.len() < 3 {
            continue;
        }
        let images: usize = stratum.iter().map(|unit| unit.items.len()).sum();
        let mut rest = stratum.as_slice();
        for (split, fraction) in [(Split::Test, plan.test_fraction), (Split::Val, plan.val_fraction)] {
            let wanted = (images as f64 * fraction).round().max(f64::from(u8::from(fraction > 0.0))) as usize;
            let mut taken = 0;
            while taken < wanted && rest.len() > 1 {
                taken += rest[0].items.len();
                for &i in &rest[0].items {
                    splits[i] = split;
                }
                rest = &rest[1..];
            }
        }
    }
}

mod folds;

pub use folds::{FoldPlan, assign_folds};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;
    use locam_core::ClassId;
    use proptest::prelude::*;
    use std::path::PathBuf;

    /// Patches, each with its class and its group.
    pub(super) fn data(labels: &[(usize, Option<usize>)]) -> Dataset {
        let items = labels.iter().enumerate().map(|(i, &(class, group))| Item {
            path: PathBuf::from(format!("{i:04}.png")),
            label: Label::Class(ClassId(class)),
            split: None,
            group: group.map(|group| group.to_string()),
        });
        Dataset {
            root: PathBuf::new(),
            layout: Layout::ClassFolders,
            classes: vec!["a".into(), "b".into()],
            items: items.collect(),
            problems: Vec::new(),
        }
    }

    fn count(splits: &[Split], split: Split) -> usize {
        splits.iter().filter(|&&found| found == split).count()
    }

    const PLAN: SplitPlan = SplitPlan { val_fraction: 0.15, test_fraction: 0.2, seed: 1 };

    #[test]
    fn two_classes_of_130_give_52_to_test_and_40_to_val() {
        let labels: Vec<_> = (0..260).map(|i| (i % 2, None)).collect();
        let splits = assign_splits(&data(&labels), &PLAN).unwrap();
        assert_eq!((count(&splits, Split::Test), count(&splits, Split::Val)), (52, 40));
        for class in 0..2 {
            let test = (0..260).filter(|&i| i % 2 == class && splits[i] == Split::Test).count();
            assert_eq!(test, 26);
        }
    }

    #[test]
    fn given_splits_stay_and_val_comes_from_train() {
        let mut data = data(&[(0, None); 40]);
        for (i, item) in data.items.iter_mut().enumerate() {
            item.split = Some(if i < 10 { Split::Test } else { Split::Train });
        }
        let splits = assign_splits(&data, &PLAN).unwrap();
        assert!(splits[..10].iter().all(|&split| split == Split::Test));
        assert_eq!((count(&splits, Split::Test), count(&splits, Split::Val)), (10, 5));
    }

    #[test]
    fn too_few_sources_are_an_error() {
        let error = assign_splits(&data(&[(0, Some(1)), (1, Some(2)), (0, Some(2))]), &PLAN).unwrap_err();
        assert!(error.to_string().contains("2 sources"), "{error}");
    }

    proptest! {
        #[test]
        fn groups_never_straddle_and_order_does_not_matter(
            labels in prop::collection::vec((0..2usize, 0..12usize), 40..120),
            seed in 0..1000u64,
        ) {
            let labels: Vec<_> = labels.into_iter().map(|(class, group)| (class, Some(group))).collect();
            let plan = SplitPlan { seed, ..PLAN };
            let forward = data(&labels);
            prop_assume!(labels.iter().map(|(_, group)| group).collect::<std::collections::BTreeSet<_>>().len() >= 3);
            let splits = assign_splits(&forward, &plan).unwrap();
            let mut by_group = BTreeMap::new();
            for (item, &split) in forward.items.iter().zip(&splits) {
                prop_assert_eq!(*by_group.entry(item.group.clone()).or_insert(split), split);
            }
            let mut backward = forward.clone();
            backward.items.reverse();
            let mut reversed = assign_splits(&backward, &plan).unwrap();
            reversed.reverse();
            prop_assert_eq!(splits, reversed);
        }
    }
}
