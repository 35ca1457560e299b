use crate::{Event, Observer, TrainConfig, TrainError, Weights};
use locam_net::{HeadRule, StateDict, imagenet_weights, merge_weights, read_weights};

/// Puts the initial weights that the configuration names in the place of those of a network, less a head for other
/// classes.
pub(crate) fn load_initial(
    own: StateDict,
    classes: usize,
    config: &TrainConfig,
    observer: &mut dyn Observer,
) -> Result<StateDict, TrainError> {
    let path = match &config.weights {
        Weights::None => return Ok(own),
        Weights::File(path) if path.is_file() => path.clone(),
        Weights::File(path) => return Err(TrainError::NoWeights { given: path.clone() }),
        Weights::Imagenet => imagenet_weights(config.arch, &mut |done, total| {
            observer.observe(&Event::Download { done, total });
        })?,
    };
    let (state, report) = merge_weights(config.arch, classes, own, &read_weights(&path)?, HeadRule::Replace)?;
    observer.observe(&Event::WeightsLoaded {
        source: config.weights.to_string(),
        loaded: report.loaded,
        dropped: report.dropped,
        unexpected: report.unexpected,
    });
    Ok(state)
}
