use locam_kernels::for_each_chunk;
use locam_net::StateDict;

/// An exponential moving average of a network's tensors, batch norm's running statistics included (Polyak and Juditsky,
/// 1992). It is kept in host memory, so that it is the same computation whatever trains the network.
#[derive(Clone, Debug)]
pub(crate) struct Average {
    decay: f64,
    state: StateDict,
}

impl Average {
    /// An average that begins with these tensors.
    pub(crate) fn new(decay: f64, state: StateDict) -> Self {
        Self { decay, state }
    }

    /// The averaged tensors.
    pub(crate) fn state(&self) -> &StateDict {
        &self.state
    }

    /// Moves the average towards the tensors that there are after `steps` steps of the run.
    ///
    /// The decay rises to its value by (1 + steps) / (10 + steps), as in TensorFlow's `ExponentialMovingAverage`: else a
    /// short run would end with much of the weights that it began with.
    pub(crate) fn update(&mut self, tensors: &StateDict, steps: usize) {
        let steps = steps as f64;
        let decay = self.decay.min((1.0 + steps) / (10.0 + steps));
        let mut pairs: Vec<_> = self.state.values_mut().zip(tensors.values()).collect();
        for_each_chunk(&mut pairs, 1, |_, pair| {
            for (averaged, tensor) in pair {
                for (average, &value) in averaged.data.iter_mut().zip(&tensor.data) {
                    let (before, now) = (f64::from(*average), f64::from(value));
                    *average = (now + decay * (before - now)) as f32;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_net::TensorValue;

    fn state(value: f32) -> StateDict {
        let tensor = |value| TensorValue { shape: vec![1], data: vec![value] };
        StateDict::from([("a".into(), tensor(value)), ("b".into(), tensor(-value))])
    }

    #[test]
    fn it_follows_the_definition_and_rises_to_its_decay() {
        let mut average = Average::new(0.25, state(8.0));
        // (1 + 1) / (10 + 1) at first, then 3 / 12 and the decay itself.
        let mut expected = 8.0;
        for (steps, value, decay) in [(1, 4.0, 2.0 / 11.0), (2, 1.0, 0.25), (3, 2.0, 0.25)] {
            average.update(&state(value), steps);
            expected = decay * expected + (1.0 - decay) * f64::from(value);
            let (a, b) = (average.state()["a"].data[0], average.state()["b"].data[0]);
            assert!(
                (f64::from(a) - expected).abs() < 1e-6 && a.to_bits() == (-b).to_bits(),
                "{steps}: {a}, {b}, {expected}"
            );
        }
    }
}
