use locam_core::Size;
use std::io;
use std::path::PathBuf;

/// What can go wrong while writing results.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file could not be written.
    #[error("cannot write {}: {source}; check that the folder exists, may be written to and has room", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system or the encoder said.
        source: io::Error,
    },
    /// A file of this program could not be read back.
    #[error("cannot read {}: {source}; delete it and run the same command again", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system or the decoder said.
        source: io::Error,
    },
    /// Maps that go into one array differ in size.
    #[error(
        "cannot write maps of {first} and {other} cells into one array; write them to files of their own"
    )]
    Sizes {
        /// The size of the first map.
        first: Size,
        /// The size that differs.
        other: Size,
    },
    /// A plot could not be drawn.
    #[error("cannot draw the plot of {what}: {reason}")]
    Plot {
        /// What it shows.
        what: &'static str,
        /// What the plotting library said.
        reason: String,
    },
    /// The HTML page could not be made.
    #[error("cannot make the page `{title}`: {reason}")]
    Page {
        /// Its title.
        title: String,
        /// What the template engine or the image encoder said.
        reason: String,
    },
}
