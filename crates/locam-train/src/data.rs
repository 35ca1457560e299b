use crate::{DataRecord, PartRecord, TrainConfig, TrainError};
use locam_core::{ClassSpec, Stain};
use locam_data::PatchStore;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What a run is trained on.
#[derive(Clone, Debug)]
pub struct TrainData {
    /// The classes in the order of the logits; the patches' classes are places in this list.
    pub classes: Vec<ClassSpec>,
    /// Weights are fitted on these.
    pub train: Arc<PatchStore>,
    /// The best epoch is chosen on these; without them it is the last one.
    pub val: Option<Arc<PatchStore>>,
    /// The best model is tried on these at the end.
    pub test: Option<Arc<PatchStore>>,
    /// Size of the objects in network input pixels, where known; stored with the model.
    pub object_size: Option<f64>,
    /// Network input pixels per pixel of the source images, where they all agree; stored with the model.
    pub image_scale: Option<f64>,
    /// Microns per network input pixel, where known; stored with the model.
    pub microns_per_pixel: Option<f64>,
    /// The light and the stain of the source images, where they show cells; stored with the model.
    pub stain: Option<Stain>,
}

impl TrainData {
    /// The parts by name.
    fn parts(&self) -> impl Iterator<Item = (&'static str, &PatchStore)> {
        let train = std::iter::once(("training", &*self.train));
        let val = self.val.iter().map(|store| ("validation", &**store));
        train.chain(val).chain(self.test.iter().map(|store| ("test", &**store)))
    }

    /// Checks that the patches can be trained on with `config`, before any work.
    pub(crate) fn check(&self, config: &TrainConfig) -> Result<(), TrainError> {
        let unfit = |split, reason| Err(TrainError::Unfit { split, reason });
        for (split, store) in self.parts() {
            if store.is_empty() {
                return unfit(
                    split,
                    "are none; give at least one readable image, or leave this part out".into(),
                );
            }
            if store.side() != config.patch_size {
                let reason = format!(
                    "are {0}x{0} pixels and patch_size is {1}; make both the same",
                    store.side(),
                    config.patch_size
                );
                return unfit(split, reason);
            }
            if let Some(i) = (0..store.len()).find(|&i| store.class_of(i).0 >= self.classes.len()) {
                let reason = format!(
                    "have class number {} and there are only {} class names",
                    store.class_of(i).0,
                    self.classes.len()
                );
                return unfit(split, reason);
            }
        }
        if config.patience.is_some() && self.val.is_none() {
            let reason =
                "are none, and patience counts epochs that are no better on them; give some, or no patience";
            return unfit("validation", reason.to_owned());
        }
        match self.class_counts().iter().position(|&count| count == 0) {
            _ if self.classes.len() < 2 => {
                unfit("training", format!("have {} class; a classifier needs at least 2", self.classes.len()))
            }
            Some(class) => {
                let name = &self.classes[class].name;
                unfit("training", format!("have none of class `{name}`; add some, or leave the class out"))
            }
            None => Ok(()),
        }
    }

    /// How many training patches each class has.
    pub(crate) fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for i in 0..self.train.len() {
            counts[self.train.class_of(i).0] += 1;
        }
        counts
    }

    /// The identity of the data, for the manifest and for resuming.
    pub(crate) fn record(&self) -> DataRecord {
        DataRecord {
            classes: self.classes.iter().map(|class| class.name.clone()).collect(),
            train: part_record(&self.train),
            val: self.val.as_deref().map(part_record),
            test: self.test.as_deref().map(part_record),
        }
    }
}

fn part_record(store: &PatchStore) -> PartRecord {
    let mut order = Sha256::new();
    for patch in store.patches() {
        // Folders may be moved between a stop and a resume, so only the file's own name counts.
        let name = patch.path.file_name().unwrap_or_default().to_string_lossy();
        order.update(format!("{name}\0{:?}\0{}\n", patch.crop, patch.class.0));
    }
    let order_hash = order.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    PartRecord { patches: store.len(), data_hash: store.data_hash(), order_hash }
}
