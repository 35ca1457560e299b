use locam_core::{Normalization, Size};
use locam_data::Batch;
use locam_infer::{Images, InferError, Pixels};
use locam_kernels::Element;
use locam_step::{FrozenOutput, Outcome, Targets, Trainer};
use std::collections::HashMap;

/// Memory for outputs. Those of further patches are made anew in every epoch.
const MOST_BYTES: usize = 2 << 30;

/// What frozen layers made of training patches, by their places in the store: each patch goes through these layers once.
pub(crate) struct KeptOutputs<E> {
    by_patch: HashMap<usize, FrozenOutput<E>>,
    bytes: usize,
}

impl<E> Default for KeptOutputs<E> {
    fn default() -> Self {
        Self { by_patch: HashMap::new(), bytes: 0 }
    }
}

impl<E: Element> KeptOutputs<E> {
    /// [`Trainer::step`] on a batch of patches of this size.
    pub(crate) fn step(
        &mut self,
        trainer: &mut Trainer<E>,
        batch: &Batch,
        (size, normalization): (Size, Normalization),
        targets: &Targets,
        learning_rate: f64,
    ) -> Result<Outcome, InferError> {
        let patch = batch.pixels.len() / batch.indices.len();
        let patches = batch.indices.iter().copied().zip(batch.pixels.chunks_exact(patch));
        let new: HashMap<usize, &[u8]> =
            patches.filter(|(place, _)| !self.by_patch.contains_key(place)).collect();
        if !new.is_empty() {
            let pixels: Vec<u8> = new.values().copied().flatten().copied().collect();
            let pixels = Pixels::Bytes(&pixels, normalization);
            let made = trainer.frozen_outputs(Images { count: new.len(), size, pixels })?;
            self.bytes += made.iter().map(FrozenOutput::bytes).sum::<usize>();
            self.by_patch.extend(new.keys().copied().zip(made));
        }
        let outputs: Vec<&FrozenOutput<E>> =
            batch.indices.iter().map(|place| &self.by_patch[place]).collect();
        let outcome = trainer.step_behind_frozen(&outputs, targets, learning_rate);
        if self.bytes > MOST_BYTES {
            let dropped = new.keys().filter_map(|place| self.by_patch.remove(place));
            self.bytes -= dropped.map(|output| output.bytes()).sum::<usize>();
        }
        outcome
    }

    /// Of how many patches there are outputs.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_patch.len()
    }
}
