use crate::TrainConfig;
use locam_arch::Module;

/// What the learning rate of each layer is multiplied by: 0 up to the module that is the last to be frozen, 1 for the
/// head, and for each module before that once more the decay.
pub(crate) struct LayerRates {
    modules: Vec<Module>,
    frozen: usize,
    decay: f64,
}

impl LayerRates {
    /// The rates of a configuration that was found valid.
    pub(crate) fn new(config: &TrainConfig) -> Self {
        let modules = config.arch.graph().modules();
        let last = config.freeze.as_ref().and_then(|name| modules.iter().position(|one| one.name == *name));
        Self { frozen: last.map_or(0, |place| place + 1), modules, decay: config.layer_decay }
    }

    /// The rate of a layer by its key.
    pub(crate) fn of(&self, layer: &str) -> f64 {
        let owner = self.modules.iter().position(|module| module.layers.iter().any(|own| own == layer));
        match owner {
            None => 1.0,
            Some(place) if place < self.frozen => 0.0,
            Some(place) => self.decay.powi((self.modules.len() - place).try_into().unwrap_or(i32::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_fall_from_the_head_to_the_image_and_end_at_what_is_frozen() {
        let config =
            TrainConfig { freeze: Some("layer1".into()), layer_decay: 0.5, ..TrainConfig::default() };
        let rates = LayerRates::new(&config);
        let cases = [
            ("fc", 1.0),
            ("layer4.1.bn2", 0.5),
            ("layer4.0.conv1", 0.5),
            ("layer2.0.downsample.0", 0.125),
            ("layer1.1.conv2", 0.0),
            ("bn1", 0.0),
            ("conv1", 0.0),
        ];
        for (layer, expected) in cases {
            assert!((rates.of(layer) - expected).abs() < 1e-12, "{layer}: {}", rates.of(layer));
        }
        assert!((LayerRates::new(&TrainConfig::default()).of("conv1") - 1.0).abs() < 1e-12);
    }
}
