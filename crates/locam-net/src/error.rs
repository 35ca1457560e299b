use locam_arch::ArchError;
use locam_infer::InferError;
use locam_infer::Precision;
use std::{fmt, io, path::PathBuf};

/// A tensor whose shape in a file is not the network's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misshapen {
    /// The tensor's key.
    pub key: String,
    /// Shape in the network.
    pub expected: Vec<usize>,
    /// Shape in the file.
    pub found: Vec<usize>,
}

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {:?} instead of {:?}", self.key, self.found, self.expected)
    }
}

/// What can go wrong with networks, their weights and their folders.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The architecture is unknown, or the input too small for it.
    #[error(transparent)]
    Arch(#[from] ArchError),
    /// The CPU engine refuses.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is there, but is not what it should be.
    #[error("{} cannot be used: {reason}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Weights do not belong to the network.
    #[error(
        "the weights do not fit {architecture} with {classes} classes{}{}{}; \
         choose the architecture that they were made for",
        listed("missing", missing),
        listed("of another shape", misshapen),
        listed("unexpected", unexpected)
    )]
    Weights {
        /// The network's architecture.
        architecture: String,
        /// The network's number of classes.
        classes: usize,
        /// Keys that the network has and the weights have not.
        missing: Vec<String>,
        /// Keys that both have with different shapes.
        misshapen: Vec<Misshapen>,
        /// Keys that only the weights have.
        unexpected: Vec<String>,
    },
    /// A file's SHA-256 is not the one that was expected.
    #[error("{} is damaged or not the expected file: its SHA-256 is {found}, expected {expected}; {advice}", path.display())]
    Hash {
        /// Which file.
        path: PathBuf,
        /// The expected hash, or its start.
        expected: String,
        /// The file's hash.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// Weights cannot be downloaded.
    #[error(
        "cannot download {url}: {reason}; run again to go on where it stopped, or fetch the file by other means \
         and put it at {}",
        place.display()
    )]
    Download {
        /// The full address.
        url: String,
        /// Why.
        reason: String,
        /// Where the file is looked for.
        place: PathBuf,
    },
    /// A device that is not there or not built in.
    #[error("{0}")]
    Device(String),
}

impl NetError {
    /// For a precision that no device but the CPU has.
    pub fn cpu_only(precision: Precision) -> Self {
        Self::Device(format!("the precision {precision} is for the CPU; use f32, or the device cpu"))
    }
}

/// At most this many names of a list are shown; a file for another network can differ in hundreds.
const SHOWN: usize = 8;

/// `; missing (12): a, b, …`, or nothing for an empty list.
fn listed<T: fmt::Display>(what: &str, names: &[T]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = names.iter().take(SHOWN).map(T::to_string).collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("; {what} ({}): {}{more}", names.len(), shown.join(", "))
}
