//! Batches of patches, built ahead by worker threads.

use crate::augment::seeded;
use crate::sampling::Drawn;
use crate::{Augment, Blend, DataError, PatchStore, Sampling};
use std::iter::FusedIterator;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Finished batches that each worker may have waiting.
const AHEAD: usize = 2;

/// The third part of the shuffle's random key, where augmentation has a sample's index: no index is as large.
const SHUFFLE: u64 = u64::MAX;

/// How batches are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Patches per batch, at least 1; the last batch of an epoch may have fewer.
    pub batch_size: usize,
    /// Threads that build batches ahead, at least 1. The batches do not depend on it.
    pub workers: usize,
    /// The seed of order and augmentation.
    pub seed: u64,
    /// Changes made to patches in [`Order::Shuffled`]; sequential ones stay as they are.
    pub augment: Augment,
    /// How the patches of an epoch are drawn in [`Order::Shuffled`].
    pub sampling: Sampling,
}

/// In which order an epoch goes through the patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// For training: samples and an order drawn from the seed and the epoch alone, with augmentation.
    Shuffled {
        /// Which pass over the data, from 0.
        epoch: usize,
    },
    /// For evaluation: the order of the store, without augmentation.
    Sequential,
}

/// Patches that go through the network together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The batch's place in its epoch, from 0.
    pub first: usize,
    /// The pixels: patches, rows, columns, RGB.
    pub pixels: Vec<u8>,
    /// The class of each patch.
    pub labels: Vec<usize>,
    /// What was blended into each patch.
    pub blends: Vec<Blend>,
    /// The place in the store of each patch.
    pub indices: Vec<usize>,
}

/// The batches of one epoch, in order. Dropping it stops the workers.
#[derive(Debug)]
pub struct Batches {
    /// Worker `w` of `n` builds every `n`-th batch from the `w`-th on, so taking turns restores the order.
    lanes: Vec<Receiver<Result<Batch, DataError>>>,
    workers: Vec<JoinHandle<()>>,
    remaining: usize,
    turn: usize,
}

/// Everything that a worker needs.
struct Plan {
    store: Arc<PatchStore>,
    order: Vec<Drawn>,
    batch_size: usize,
    augment: Augment,
    seed: u64,
    epoch: u64,
}

/// Starts to build the batches of one epoch, from the batch `first_batch` on (0 for all of them), so that training
/// can go on in the middle of an epoch.
///
/// The iterator ends after the first error.
pub fn batches(store: &Arc<PatchStore>, config: &LoaderConfig, order: Order, first_batch: usize) -> Batches {
    let plan = Arc::new(Plan::new(store, config, order));
    let remaining = plan.order.len().div_ceil(plan.batch_size).saturating_sub(first_batch);
    let count = config.workers.max(1).min(remaining);
    let mut batches = Batches { lanes: Vec::new(), workers: Vec::new(), remaining, turn: 0 };
    for worker in 0..count {
        let (sender, receiver) = sync_channel(AHEAD);
        let plan = Arc::clone(&plan);
        let places = (first_batch + worker..first_batch + remaining).step_by(count);
        let failed = sender.clone();
        let spawned = thread::Builder::new()
            .name(format!("locam-loader-{worker}"))
            .spawn(move || plan.build_all(places, &sender));
        match spawned {
            Ok(handle) => batches.workers.push(handle),
            // The channel is empty and the receiver is held here, so this neither blocks nor fails.
            Err(error) => drop(failed.try_send(Err(DataError::Worker { reason: error.to_string() }))),
        }
        batches.lanes.push(receiver);
    }
    batches
}

impl Plan {
    fn new(store: &Arc<PatchStore>, config: &LoaderConfig, order: Order) -> Self {
        let (epoch, augment, order) = match order {
            Order::Shuffled { epoch } => {
                let epoch = epoch as u64;
                let drawn = config.sampling.draw(store, &mut seeded([config.seed, epoch, SHUFFLE]));
                (epoch, config.augment, drawn)
            }
            Order::Sequential => (0, Augment::NONE, (0..store.len()).map(Drawn::once).collect()),
        };
        Self {
            store: Arc::clone(store),
            order,
            batch_size: config.batch_size.max(1),
            augment,
            seed: config.seed,
            epoch,
        }
    }

    /// Builds the batches at `places` until the last, an error, or nobody listening.
    fn build_all(&self, places: impl Iterator<Item = usize>, sender: &SyncSender<Result<Batch, DataError>>) {
        for place in places {
            let batch = self.build(place);
            let failed = batch.is_err();
            if sender.send(batch).is_err() || failed {
                break;
            }
        }
    }

    fn build(&self, place: usize) -> Result<Batch, DataError> {
        let start = place * self.batch_size;
        let end = (start + self.batch_size).min(self.order.len());
        let drawn = &self.order[start..end];
        let side = self.store.side() as usize;
        let mut pixels = Vec::with_capacity(drawn.len() * 3 * side * side);
        let keys: Vec<[u64; 3]> = drawn.iter().map(|one| [self.seed, self.epoch, one.key()]).collect();
        for (one, &key) in drawn.iter().zip(&keys) {
            self.store.append(&mut pixels, one.index, self.augment, key)?;
        }
        let labels: Vec<usize> = drawn.iter().map(|one| self.store.class_of(one.index).0).collect();
        let blends = self.augment.blend(&mut pixels, side, &labels, &keys);
        let indices = drawn.iter().map(|one| one.index).collect();
        Ok(Batch { first: place, pixels, labels, blends, indices })
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining == 0 {
            return None;
        }
        let received = self.lanes[self.turn].recv();
        self.turn = (self.turn + 1) % self.lanes.len();
        let batch = received
            .unwrap_or_else(|_| Err(DataError::Worker { reason: "it ended without an answer".to_owned() }));
        self.remaining = if batch.is_ok() { self.remaining - 1 } else { 0 };
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining.min(1), Some(self.remaining))
    }
}

impl FusedIterator for Batches {}

impl Drop for Batches {
    fn drop(&mut self) {
        // A worker that waits for room in its channel wakes up when the receiving end is gone.
        self.lanes.clear();
        for worker in self.workers.drain(..) {
            // A worker's panic was already delivered as the end of its channel.
            drop(worker.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Crop, Patch, SmallObjects, Split};
    use image::{Rgb, RgbImage};
    use locam_core::{ClassId, Rect};
    use std::path::Path;

    const SIDE: u32 = 3;

    fn store(folder: &Path, count: u32, budget: u64) -> Arc<PatchStore> {
        let path = folder.join("field.png");
        RgbImage::from_fn(64, 8, |x, y| Rgb([x as u8, y as u8, 0])).save(&path).unwrap();
        let patch = |i: u32| Patch {
            path: path.clone(),
            crop: Some(Crop { left: i.into(), top: 0, side: SIDE }),
            margin: 2,
            class: ClassId(i as usize % 3),
            split: Split::Train,
        };
        let small = [(path.clone(), ClassId(3), Rect::new(10.0, 2.0, 13.0, 5.0))];
        let small = SmallObjects::open(&small, 1.0, &[], 3.0).unwrap();
        Arc::new(
            PatchStore::open((0..count).map(patch).collect(), SIDE, budget).0.with_small_objects(Some(small)),
        )
    }

    fn config(workers: usize) -> LoaderConfig {
        LoaderConfig {
            batch_size: 4,
            workers,
            seed: 7,
            augment: "microscopy,mixup,cutmix".parse().unwrap(),
            sampling: Sampling::Shuffled,
        }
    }

    fn epoch(store: &Arc<PatchStore>, config: &LoaderConfig, order: Order, first_batch: usize) -> Vec<Batch> {
        batches(store, config, order, first_batch).collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn sequential_batches_are_the_store_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 10, u64::MAX);
        let found = epoch(&store, &config(3), Order::Sequential, 0);
        assert_eq!(found.iter().map(|b| b.first).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(
            found.iter().flat_map(|b| b.indices.clone()).collect::<Vec<_>>(),
            (0..10).collect::<Vec<_>>()
        );
        assert_eq!(found[2].labels, [2, 0]);
        let expected = [store.pixels(8).unwrap(), store.pixels(9).unwrap()].concat();
        assert_eq!(found[2].pixels, expected);
    }

    #[test]
    fn workers_and_memory_do_not_change_the_batches() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, decoded) = (store(folder.path(), 30, u64::MAX), store(folder.path(), 30, 0));
        let order = Order::Shuffled { epoch: 5 };
        let expected = epoch(&kept, &config(1), order, 0);
        for workers in [0, 2, 3, 8, 100] {
            assert_eq!(epoch(&kept, &config(workers), order, 0), expected);
            assert_eq!(epoch(&decoded, &config(workers), order, 0), expected);
        }
    }

    #[test]
    fn small_objects_are_pasted_in_training_where_augmentation_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 60, u64::MAX);
        let with = |augment: &str| LoaderConfig { augment: augment.parse().unwrap(), ..config(2) };
        let changed = |augment: &str, order| {
            let (plain, found) =
                (epoch(&store, &with("none"), order, 0), epoch(&store, &with(augment), order, 0));
            let pairs = plain.iter().zip(&found).flat_map(|(a, b)| {
                let length = 3 * (SIDE * SIDE) as usize;
                a.pixels.chunks(length).zip(b.pixels.chunks(length))
            });
            pairs.filter(|(a, b)| a != b).count()
        };
        let shuffled = Order::Shuffled { epoch: 1 };
        assert!((30..60).contains(&changed("copy-paste", shuffled)));
        assert_eq!(changed("copy-paste", Order::Sequential), 0);
        assert_eq!(changed("none", shuffled), 0);
    }

    #[test]
    fn shuffling_visits_all_and_depends_on_seed_and_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 30, u64::MAX);
        let order_of = |config: &LoaderConfig, epoch_number| -> Vec<usize> {
            let order = Order::Shuffled { epoch: epoch_number };
            epoch(&store, config, order, 0).into_iter().flat_map(|b| b.indices).collect()
        };
        let first = order_of(&config(2), 0);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..30).collect::<Vec<_>>());
        assert_ne!(first, order_of(&config(2), 1));
        assert_ne!(first, order_of(&LoaderConfig { seed: 8, ..config(2) }, 0));
    }

    #[test]
    fn an_epoch_goes_on_from_its_middle() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 30, u64::MAX);
        let order = Order::Shuffled { epoch: 2 };
        for sampling in [Sampling::Shuffled, Sampling::Balanced] {
            let with = |workers| LoaderConfig { sampling, ..config(workers) };
            let whole = epoch(&store, &with(2), order, 0);
            for first_batch in 0..=whole.len() + 1 {
                let rest = epoch(&store, &with(3), order, first_batch);
                assert_eq!(rest, whole[first_batch.min(whole.len())..]);
            }
        }
    }

    /// A store of 40 patches: 25 of class 0, 11 of class 1, none of class 2, 4 of class 3.
    fn unequal(folder: &Path) -> Arc<PatchStore> {
        let path = folder.join("field.png");
        RgbImage::from_fn(64, 8, |x, y| Rgb([x as u8, y as u8, 0])).save(&path).unwrap();
        let classes = [[0].repeat(25), [1].repeat(11), [3].repeat(4)].concat();
        let patch = |(i, class): (i64, &usize)| Patch {
            path: path.clone(),
            crop: Some(Crop { left: i, top: 0, side: SIDE }),
            margin: 2,
            class: ClassId(*class),
            split: Split::Train,
        };
        let patches = (0..).zip(&classes).map(patch).collect();
        Arc::new(PatchStore::open(patches, SIDE, u64::MAX).0)
    }

    #[test]
    fn balanced_epochs_show_classes_equally_often_and_patches_of_a_class_evenly() {
        let folder = tempfile::tempdir().unwrap();
        let store = unequal(folder.path());
        let augment = "colour".parse().unwrap();
        let config = LoaderConfig { sampling: Sampling::Balanced, augment, ..config(2) };
        let (mut with_more, mut seen_of_first) = (Vec::new(), std::collections::BTreeSet::new());
        for number in 0..12 {
            let epoch = epoch(&store, &config, Order::Shuffled { epoch: number }, 0);
            let labels: Vec<usize> = epoch.iter().flat_map(|batch| batch.labels.clone()).collect();
            let of = |class| labels.iter().filter(|label| **label == class).count();
            let counts = [of(0), of(1), of(3)];
            assert_eq!(counts.iter().sum::<usize>(), 40);
            assert!(counts.iter().all(|count| (13..=14).contains(count)), "{counts:?}");
            with_more.push(counts.iter().position(|&count| count == 14).unwrap());
            let indices: Vec<usize> = epoch.iter().flat_map(|batch| batch.indices.clone()).collect();
            seen_of_first.extend(indices.iter().copied().filter(|&index| index < 25));
            let times = |index| indices.iter().filter(|other| **other == index).count();
            assert!((0..25).all(|index| times(index) <= 1));
            assert!((25..36).all(|index| (1..=2).contains(&times(index))));
            assert!((36..40).all(|index| (3..=4).contains(&times(index))));
            assert!(!indices.is_sorted(), "the order is random");
            // What comes again is changed in another way.
            let side = 3 * (SIDE * SIDE) as usize;
            let mut of_last: Vec<Vec<u8>> = epoch
                .iter()
                .flat_map(|batch| batch.pixels.chunks(side).zip(batch.indices.clone()))
                .filter(|(_, index)| *index == 39)
                .map(|(pixels, _)| pixels.to_vec())
                .collect();
            let count = of_last.len();
            of_last.sort();
            of_last.dedup();
            assert!(of_last.len() > 1, "{count} times the same");
        }
        with_more.sort_unstable();
        with_more.dedup();
        assert!(with_more.len() > 1, "the remainder changes");
        assert_eq!(seen_of_first.len(), 25, "each patch of the most frequent class comes some time");
    }

    #[test]
    fn an_error_is_delivered_in_its_place_and_ends_the_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 30, 0);
        std::fs::remove_file(folder.path().join("field.png")).unwrap();
        let mut batches = batches(&store, &config(2), Order::Sequential, 0);
        assert!(matches!(batches.next(), Some(Err(DataError::Read { .. }))));
        assert!(batches.next().is_none());
    }

    #[test]
    fn dropping_early_stops_the_workers() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 60, u64::MAX);
        let one_each = LoaderConfig { batch_size: 1, ..config(4) };
        for taken in [0, 1, 7] {
            let mut batches = batches(&store, &one_each, Order::Shuffled { epoch: 0 }, 0);
            assert_eq!(batches.by_ref().take(taken).count(), taken);
            drop(batches);
            assert_eq!(Arc::strong_count(&store), 1, "all workers have ended");
        }
    }

    #[test]
    fn an_empty_store_has_no_batches() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 0, u64::MAX);
        assert!(epoch(&store, &config(2), Order::Sequential, 0).is_empty());
    }
}
