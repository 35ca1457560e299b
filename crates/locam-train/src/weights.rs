use crate::{Event, Observer, TrainConfig, TrainError, Weights};
use locam_net::{HeadRule, Network, imagenet_weights, read_weights};

/// Puts the initial weights that the configuration names into a network, less a head for other classes.
pub(crate) fn load_initial(
    network: Network,
    config: &TrainConfig,
    observer: &mut dyn Observer,
) -> Result<Network, TrainError> {
    let path = match &config.weights {
        Weights::None => return Ok(network),
        Weights::File(path) => path.clone(),
        Weights::Imagenet => imagenet_weights(config.arch, &mut |done, total| {
            observer.observe(&Event::Download { done, total });
        })?,
    };
    let (network, report) = network.load_state_dict(&read_weights(&path)?, HeadRule::Replace)?;
    observer.observe(&Event::WeightsLoaded {
        source: config.weights.to_string(),
        loaded: report.loaded,
        dropped: report.dropped,
        unexpected: report.unexpected,
    });
    Ok(network)
}
