use crate::average::Average;
use crate::files::replace_file;
use crate::learner::Learner;
use crate::metrics::Sums;
use crate::{DataRecord, EpochMetrics, TrainConfig, TrainError};
use locam_net::{StateDict, TensorValue};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Epochs that are complete.
    pub(crate) epochs: usize,
    /// Batches done of the epoch after those.
    pub(crate) batches: usize,
    /// Sums over the patches of these batches.
    pub(crate) sums: Sums,
    /// Seconds spent on these batches.
    pub(crate) seconds: f64,
    /// One row per complete epoch.
    pub(crate) history: Vec<EpochMetrics>,
    /// The place in `history` of the best epoch.
    pub(crate) best: Option<usize>,
}

/// What a checkpoint says beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Version of this format.
    pub(crate) format: u32,
    /// The configuration that the run was started with.
    pub(crate) config: TrainConfig,
    /// The data that it was started on.
    pub(crate) data: DataRecord,
    /// How far it has come.
    pub(crate) progress: Progress,
}

impl Header {
    /// The version of the format that this program writes.
    pub(crate) const FORMAT: u32 = 1;
}

/// Everything that carries a run on to the same numbers: one safetensors file, so that one rename switches
/// from the old checkpoint to the new. Weights and batch-norm statistics are under `network.`, their average under
/// `average.`, the optimiser's state is a burnpack record in bytes, and the header is JSON in the metadata.
pub(crate) struct Checkpoint {
    pub(crate) header: Header,
    pub(crate) network: StateDict,
    /// The average of the network's tensors, in a run that keeps one.
    pub(crate) average: Option<StateDict>,
    pub(crate) optimizer: Vec<u8>,
}

const HEADER: &str = "locam";
const NETWORK: &str = "network.";
const AVERAGE: &str = "average.";
const OPTIMIZER: &str = "optimizer";

impl Checkpoint {
    /// The state of a learner, and the average of its tensors.
    pub(crate) fn of(
        header: Header,
        learner: &Learner,
        average: Option<&Average>,
    ) -> Result<Self, TrainError> {
        Ok(Self {
            header,
            network: learner.state_dict(),
            average: average.map(|average| average.state().clone()),
            optimizer: learner.optimizer_state()?,
        })
    }

    /// Replaces the file at `path`; a crash leaves the old checkpoint or the new one.
    pub(crate) fn write(&self, path: &Path) -> Result<(), TrainError> {
        let encode = |reason: String| TrainError::Encode { what: "the checkpoint", reason };
        let header = serde_json::to_string(&self.header).map_err(|e| encode(e.to_string()))?;
        let averages = self.average.iter().flatten().map(|(name, tensor)| (AVERAGE, name, tensor));
        let weights: Vec<(String, &[usize], Vec<u8>)> = self
            .network
            .iter()
            .map(|(name, tensor)| (NETWORK, name, tensor))
            .chain(averages)
            .map(|(part, name, tensor)| {
                let bytes = tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect();
                (format!("{part}{name}"), &tensor.shape[..], bytes)
            })
            .collect();
        let mut views = Vec::with_capacity(weights.len() + 1);
        for (name, shape, bytes) in &weights {
            let view =
                TensorView::new(Dtype::F32, shape.to_vec(), bytes).map_err(|e| encode(e.to_string()))?;
            views.push((name.as_str(), view));
        }
        let optimizer = TensorView::new(Dtype::U8, vec![self.optimizer.len()], &self.optimizer);
        views.push((OPTIMIZER, optimizer.map_err(|e| encode(e.to_string()))?));
        let metadata = HashMap::from([(HEADER.to_owned(), header)]);
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| encode(e.to_string()))?;
        replace_file(path, &bytes)
    }

    /// Reads the checkpoint at `path`; none where there is no such file.
    pub(crate) fn read_if_there(path: &Path) -> Result<Option<Self>, TrainError> {
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(&bytes)
                .map(Some)
                .map_err(|reason| TrainError::Damaged { path: path.to_owned(), reason }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(TrainError::Read { path: path.to_owned(), source }),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        let json = metadata.metadata().as_ref().and_then(|map| map.get(HEADER));
        let header: Header = serde_json::from_str(json.ok_or("it has no header; it is not a checkpoint")?)
            .map_err(|e| e.to_string())?;
        if header.format != Header::FORMAT {
            return Err(format!("its format is {} and this program reads {}", header.format, Header::FORMAT));
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        let optimizer = tensors.tensor(OPTIMIZER).map_err(|e| e.to_string())?.data().to_vec();
        let network = part_of(&tensors, NETWORK)?;
        let average = Some(part_of(&tensors, AVERAGE)?).filter(|state| !state.is_empty());
        Ok(Self { header, network, average, optimizer })
    }
}

/// The tensors whose names begin with that of a part, which is taken off.
fn part_of(tensors: &SafeTensors<'_>, part: &str) -> Result<StateDict, String> {
    let mut state = StateDict::new();
    for (name, view) in tensors.iter() {
        if let Some(own) = name.strip_prefix(part) {
            let data = view.data().as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
            let value = TensorValue::new(view.shape().to_vec(), data);
            let value = value.ok_or_else(|| format!("`{name}` is not of 32-bit floats"))?;
            state.insert(own.to_owned(), value);
        }
    }
    Ok(state)
}
