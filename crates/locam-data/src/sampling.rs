//! Which patches an epoch of training goes through, and in which order.

use crate::PatchStore;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How the patches of an epoch are drawn. An epoch has as many as the store either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampling {
    /// Each patch once.
    #[default]
    Shuffled,
    /// Each class as often as the others, to within one: patches of rare classes come several times, changed in
    /// another way each time, and of frequent ones each epoch shows others.
    Balanced,
}

/// A patch of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drawn {
    /// Its place in the store.
    pub(crate) index: usize,
    /// How often it came before in this epoch.
    pub(crate) repeat: usize,
}

impl Drawn {
    /// The first time that a patch comes.
    pub(crate) fn once(index: usize) -> Self {
        Self { index, repeat: 0 }
    }

    /// What names this sample in the random key of its changes. Without repeats it is the place in the store.
    pub(crate) fn key(self) -> u64 {
        self.index as u64 | (self.repeat as u64) << 32
    }
}

impl Sampling {
    /// The samples of an epoch in order.
    pub(crate) fn draw(self, store: &PatchStore, random: &mut ChaCha8Rng) -> Vec<Drawn> {
        let mut drawn = match self {
            Self::Shuffled => (0..store.len()).map(Drawn::once).collect(),
            Self::Balanced => balanced(store, random),
        };
        drawn.shuffle(random);
        drawn
    }
}

/// As many samples of each class as of the others; a remainder goes to classes drawn anew each epoch. Within a class
/// no patch comes again before all have come.
fn balanced(store: &PatchStore, random: &mut ChaCha8Rng) -> Vec<Drawn> {
    let mut by_class: Vec<Vec<usize>> = Vec::new();
    for index in 0..store.len() {
        let class = store.class_of(index).0;
        by_class.resize(by_class.len().max(class + 1), Vec::new());
        by_class[class].push(index);
    }
    by_class.retain(|members| !members.is_empty());
    for members in &mut by_class {
        members.shuffle(random);
    }
    by_class.shuffle(random);
    let classes = by_class.len().max(1);
    let (each, more) = (store.len() / classes, store.len() % classes);
    let of_class = |(place, members): (usize, &Vec<usize>)| -> Vec<Drawn> {
        let count = each + usize::from(place < more);
        let sample = |i: usize| Drawn { index: members[i % members.len()], repeat: i / members.len() };
        (0..count).map(sample).collect()
    };
    by_class.iter().enumerate().flat_map(of_class).collect()
}
