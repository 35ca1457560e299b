//! The command line of `cargo xtask bench-peers`.

use super::plan::{self, Peer, Section};
use anyhow::{Context, Result, ensure};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
cargo xtask bench-peers [OPTIONS]

Measures the engine beside its peers with ResNet-18 and MobileNetV2, in turn, and compares their outputs. Fails where a floor is missed,
outputs disagree, or a system can't be run. Takes about half an hour, in which the machine should do nothing else.

  --only KEYS     any of infer,infer-bf16,mobilenet,train,train-bf16,image,avx2 (default: all)
  --peers NAMES   any of torch-channels-last,torch-default,torch-bf16,onnxruntime,openvino,ncnn,mnn,burn-flex
                  (default: all; floors are judged only where all their peers are measured)
  --pairs N       pairs of measurements, after warm-up (default: 5)
  --threads N     threads of each side (default: 2)
  --batch N       images of 224x224 in a batch (default: 32)
  --quick         try the machinery on small inputs with short measurements; no floor is judged

The peers are installed from xtask/peers/requirements.txt into target/peers-venv (several GB), or into the folder that
LOCAM_PEERS_VENV names.
";

/// The size of inputs and measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// What the floors speak of.
    Full,
    /// Small and short, to try the machinery.
    Quick,
}

impl Scale {
    /// Whether figures of this size may be judged.
    pub(crate) fn is_full(self) -> bool {
        self == Self::Full
    }
}

/// The validated command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Pairs of measurements that count.
    pub(crate) pairs: usize,
    /// Threads of each side.
    pub(crate) threads: usize,
    /// Images in a batch, except where the task is one large image.
    pub(crate) batch: usize,
    /// Full or quick.
    pub(crate) scale: Scale,
    only: Vec<String>,
    peers: Vec<String>,
}

impl Options {
    /// Reads the arguments; `None` if they ask for help.
    pub(crate) fn parse(arguments: &[String]) -> Result<Option<Self>> {
        let mut options =
            Self { pairs: 5, threads: 2, batch: 32, scale: Scale::Full, only: vec![], peers: vec![] };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value =
                || rest.next().with_context(|| format!("{argument} needs a value; see bench-peers --help"));
            match argument.as_str() {
                "--help" | "-h" => return Ok(None),
                "--quick" => options.scale = Scale::Quick,
                "--pairs" => options.pairs = number(argument, value()?)?,
                "--threads" => options.threads = number(argument, value()?)?,
                "--batch" => options.batch = number(argument, value()?)?,
                "--only" => options.only = names(argument, value()?, &plan::section_keys())?,
                "--peers" => options.peers = names(argument, value()?, &plan::systems())?,
                other => anyhow::bail!("bench-peers has no option {other}; see bench-peers --help"),
            }
        }
        if options.scale == Scale::Quick {
            options.batch = options.batch.min(4);
            options.pairs = options.pairs.min(2);
        }
        Ok(Some(options))
    }

    /// The sections to measure, in their own order; one without any wanted peer is left out.
    pub(crate) fn sections(&self) -> Vec<&'static Section> {
        let wanted =
            |section: &&Section| self.only.is_empty() || self.only.iter().any(|key| key == section.key);
        let has_peer = |section: &&Section| section.peers.iter().any(|peer| self.wants(peer));
        plan::SECTIONS.iter().filter(wanted).filter(has_peer).collect()
    }

    /// Whether a peer is to be measured.
    pub(crate) fn wants(&self, peer: &Peer) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|name| name == peer.system)
    }
}

/// A count of at least one.
fn number(option: &str, text: &str) -> Result<usize> {
    let value = text.parse().with_context(|| format!("{option} wants a number, not {text}"))?;
    ensure!(value > 0, "{option} must be at least 1");
    Ok(value)
}

/// A list of known names.
fn names(option: &str, text: &str, known: &[&str]) -> Result<Vec<String>> {
    let names: Vec<String> = text.split(',').map(str::to_owned).collect();
    for name in &names {
        ensure!(known.contains(&name.as_str()), "{option} has no {name}; there are {}", known.join(", "));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn defaults_measure_everything() {
        let options = parse("").unwrap().unwrap();
        assert_eq!((options.pairs, options.threads, options.batch, options.scale), (5, 2, 32, Scale::Full));
        assert_eq!(options.sections().len(), plan::SECTIONS.len());
    }

    #[test]
    fn only_and_peers_narrow_the_sections() {
        let options = parse("--only train,infer --peers mnn").unwrap().unwrap();
        let keys: Vec<_> = options.sections().iter().map(|section| section.key).collect();
        assert_eq!(keys, ["infer"], "MNN doesn't train");
    }

    #[test]
    fn quick_is_small() {
        let options = parse("--quick --pairs 9").unwrap().unwrap();
        assert_eq!((options.pairs, options.batch, options.scale), (2, 4, Scale::Quick));
    }

    #[test]
    fn mistakes_are_told() {
        let cases = [
            ("--pairs", "--pairs needs a value; see bench-peers --help"),
            ("--pairs 0", "--pairs must be at least 1"),
            ("--threads two", "--threads wants a number, not two"),
            ("--fast", "bench-peers has no option --fast; see bench-peers --help"),
            (
                "--only maps",
                "--only has no maps; there are infer, infer-bf16, mobilenet, train, train-bf16, image, avx2",
            ),
        ];
        for (line, message) in cases {
            assert_eq!(parse(line).unwrap_err().to_string(), message, "{line}");
        }
        assert_eq!(parse("--help").unwrap(), None);
    }
}
