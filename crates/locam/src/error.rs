use locam_data::Problem;
use std::path::{Path, PathBuf};

/// Why a job could not be done. Errors of the parts pass through unchanged: they already say what and where.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// From the network, weights or model folder.
    #[error(transparent)]
    Net(#[from] locam_net::NetError),
    /// From the CPU engine.
    #[error(transparent)]
    Infer(#[from] locam_infer::InferError),
    /// From the data set, its images or annotations.
    #[error(transparent)]
    Data(#[from] locam_data::DataError),
    /// From training.
    #[error(transparent)]
    Train(#[from] locam_train::TrainError),
    /// From writers and plots.
    #[error(transparent)]
    Report(#[from] locam_report::ReportError),
    /// From the description of an architecture.
    #[error(transparent)]
    Arch(#[from] locam_arch::ArchError),
    /// An argument names no image.
    #[error("no image found for `{given}`: {reason}")]
    NoImages {
        /// What the user gave.
        given: String,
        /// Why it names no image.
        reason: String,
    },
    /// Every image failed.
    #[error("none of the {count} images could be used; the first: {}", named(path, reason))]
    NothingUsable {
        /// How many were tried.
        count: usize,
        /// The first of them.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
    /// One image failed and nothing may fail.
    #[error("{} (without --strict such a file is passed over)", named(path, reason))]
    Strict {
        /// The image.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
    /// The data and the model do not fit together, or a request makes no sense.
    #[error("{0}")]
    Request(String),
    /// A file or folder can't be read or written.
    #[error(
        "cannot read or write {}: {source}; check that its folder exists, may be read and written, and has room",
        path.display()
    )]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// The reason with the file's name, once.
fn named(path: &Path, reason: &str) -> Problem {
    Problem { path: path.to_owned(), message: reason.to_owned() }
}
