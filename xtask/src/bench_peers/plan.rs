//! What is measured against what, and the floors: data only.

/// The system under test, by the name that its runner knows.
pub(crate) const OURS: &str = "locam";

/// Burn's stock CPU backend, which our own runner measures too.
const BURN: &str = "burn-flex";

/// The precision of the outputs that rounded ones are compared with.
pub(crate) const EXACT: &str = "f32";

/// The inputs of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A batch of patches of 224x224.
    Patches,
    /// One image of 3000x2000.
    Image,
}

/// How the difference of two outputs is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The largest |a - b|.
    Absolute,
    /// The largest |a - b| over the largest |b|.
    OfMaximum,
    /// The largest |a - b| / |b|.
    Each,
}

impl Rule {
    /// Its name on `compare.py`'s command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Absolute => "absolute",
            Self::OfMaximum => "of-maximum",
            Self::Each => "each",
        }
    }
}

/// A rule with the most that it allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreement {
    /// How to measure.
    pub(crate) rule: Rule,
    /// The largest difference that still agrees.
    pub(crate) limit: f64,
}

/// A system to measure against.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The name that its runner knows.
    pub(crate) system: &'static str,
    /// What it computes in: `f32` or `bf16`.
    pub(crate) precision: &'static str,
    /// The largest difference from our float32 outputs, by the section's rule. It holds for our outputs too where they
    /// are rounded.
    pub(crate) limit: f64,
}

impl Peer {
    /// Whether our own runner measures it.
    pub(crate) fn is_ours(&self) -> bool {
        self.system == BURN
    }

    /// Its name for people.
    pub(crate) fn title(&self) -> &'static str {
        title(self.system)
    }
}

/// One task with its peers.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its name on the command line.
    pub(crate) key: &'static str,
    /// Its name for people.
    pub(crate) title: &'static str,
    /// The network, by torchvision's name.
    pub(crate) arch: &'static str,
    /// Its name in the runners' protocol.
    pub(crate) task: &'static str,
    /// What our side computes in.
    pub(crate) precision: &'static str,
    /// `native`, or `avx2` where both sides must do without wider instructions.
    pub(crate) isa: &'static str,
    /// The inputs.
    pub(crate) input: Input,
    /// How outputs are compared.
    pub(crate) rule: Rule,
    /// Against whom.
    pub(crate) peers: &'static [Peer],
}

impl Section {
    /// Whether our side rounds to fewer digits than float32 has. Two rounded outputs differ by the noise of both, so
    /// each is compared with our float32 outputs instead.
    pub(crate) fn is_rounded(&self) -> bool {
        self.precision != EXACT
    }
}

/// A speed that is promised.
#[derive(Debug)]
pub(crate) struct Floor {
    /// The section's key.
    pub(crate) section: &'static str,
    /// What is promised, for people.
    pub(crate) what: &'static str,
    /// The systems of which the best counts.
    pub(crate) against: &'static [&'static str],
    /// The least speed, ours over theirs.
    pub(crate) speed: f64,
    /// The most peak memory, ours over theirs.
    pub(crate) memory: Option<f64>,
}

const fn f32(system: &'static str, limit: f64) -> Peer {
    Peer { system, precision: "f32", limit }
}

const fn bf16(system: &'static str, limit: f64) -> Peer {
    Peer { system, precision: "bf16", limit }
}

const INFERENCE: Section = Section {
    key: "infer",
    title: "Inference, float32",
    arch: "resnet18",
    task: "infer",
    precision: "f32",
    isa: "native",
    input: Input::Patches,
    rule: Rule::Absolute,
    peers: &[
        f32("torch-channels-last", 1e-3),
        f32("torch-default", 1e-3),
        f32("onnxruntime", 1e-3),
        f32("openvino", 1e-3),
        f32("ncnn", 1e-3),
        f32("mnn", 1e-3),
        f32(BURN, 1e-3),
    ],
};

/// Every section, in the order of the report.
pub(crate) const SECTIONS: &[Section] = &[
    INFERENCE,
    Section {
        key: "infer-bf16",
        title: "Inference, bfloat16",
        precision: "bf16",
        rule: Rule::OfMaximum,
        peers: &[bf16("torch-bf16", 5e-2), bf16("openvino", 5e-2)],
        ..INFERENCE
    },
    Section {
        key: "mobilenet",
        title: "Inference, MobileNetV2, float32",
        arch: "mobilenet_v2",
        peers: &[
            f32("torch-channels-last", 1e-3),
            f32("onnxruntime", 1e-3),
            f32("openvino", 1e-3),
            f32("ncnn", 1e-3),
            f32("mnn", 1e-3),
        ],
        ..INFERENCE
    },
    Section {
        key: "train",
        title: "Training, float32",
        task: "train",
        rule: Rule::Each,
        peers: &[f32("torch-channels-last", 1e-2), f32("torch-default", 1e-2), f32(BURN, 1e-2)],
        ..INFERENCE
    },
    Section {
        key: "train-bf16",
        title: "Training beside bfloat16 autocast (ours: bfloat16 by AMX, float32 elsewhere)",
        task: "train",
        precision: "bf16",
        rule: Rule::Each,
        // Autocast rounds: PyTorch's own losses come apart by 1 % in 20 steps.
        peers: &[bf16("torch-bf16", 5e-2)],
        ..INFERENCE
    },
    Section {
        key: "image",
        title: "One large image, last feature maps, float32",
        task: "image",
        input: Input::Image,
        rule: Rule::OfMaximum,
        peers: &[f32("torch-channels-last", 1e-3)],
        ..INFERENCE
    },
    Section {
        key: "avx2",
        title: "Inference, float32, no instructions beyond AVX2",
        isa: "avx2",
        peers: &[f32("torch-channels-last", 1e-3), f32("torch-default", 1e-3)],
        ..INFERENCE
    },
];

/// Every floor, in the order of the report.
pub(crate) const FLOORS: &[Floor] = &[
    speed("infer", "inference", &["torch-channels-last", "onnxruntime", "openvino"], 1.6),
    speed("infer", "inference", &["mnn"], 1.25),
    speed("infer", "inference", &[BURN], 6.0),
    speed("infer-bf16", "bfloat16 inference", &["openvino"], 1.2),
    speed("train", "training", &["torch-channels-last"], 1.6),
    speed("train", "training", &[BURN], 6.0),
    speed("train-bf16", "training beside bfloat16", &["torch-bf16"], 1.0),
    Floor { memory: Some(0.25), ..speed("image", "image 3000x2000", &["torch-channels-last"], 1.6) },
    speed("avx2", "AVX2 inference", &["torch-channels-last", "torch-default"], 1.2),
];

const fn speed(
    section: &'static str,
    what: &'static str,
    against: &'static [&'static str],
    speed: f64,
) -> Floor {
    Floor { section, what, against, speed, memory: None }
}

/// The keys of all sections.
pub(crate) fn section_keys() -> Vec<&'static str> {
    SECTIONS.iter().map(|section| section.key).collect()
}

/// All systems to measure against, each once.
pub(crate) fn systems() -> Vec<&'static str> {
    let mut systems = Vec::new();
    for peer in SECTIONS.iter().flat_map(|section| section.peers) {
        if !systems.contains(&peer.system) {
            systems.push(peer.system);
        }
    }
    systems
}

/// A system's name for people.
pub(crate) fn title(system: &'static str) -> &'static str {
    match system {
        "torch-channels-last" => "PyTorch channels_last",
        "torch-default" => "PyTorch default layout",
        "torch-bf16" => "PyTorch bfloat16",
        "onnxruntime" => "ONNX Runtime",
        "openvino" => "OpenVINO",
        "mnn" => "MNN",
        BURN => "Burn Flex",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_floor_names_a_section_and_peers_of_it() {
        for floor in FLOORS {
            let section = SECTIONS.iter().find(|section| section.key == floor.section).expect(floor.section);
            for system in floor.against {
                assert!(
                    section.peers.iter().any(|peer| peer.system == *system),
                    "{}: {system}",
                    floor.section
                );
            }
        }
    }
}
