use std::io;
use std::path::PathBuf;

/// What can go wrong while training.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A value of the configuration makes no sense.
    #[error("{key} = {value} is out of range; allowed is {allowed}")]
    Config {
        /// The key in `config.toml`.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// The network has no module of this name.
    #[error("freeze = `{name}` is no module of {arch}; there are {modules}")]
    UnknownModule {
        /// The name.
        name: String,
        /// The architecture.
        arch: String,
        /// All modules' names.
        modules: String,
    },
    /// The weights to start from are not there.
    #[error(
        "weights = `{}` is no file; give none, imagenet, or the path of a .safetensors or .pth file",
        given.display()
    )]
    NoWeights {
        /// What was given.
        given: PathBuf,
    },
    /// The data can't be trained on with this configuration.
    #[error("the {split} patches {reason}")]
    Unfit {
        /// The part of the data set.
        split: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A file or folder could not be read.
    #[error("cannot read {}: {source}; check that it exists and may be read", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}; check the folder and the free space", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file of the run folder, or a configuration, can't be understood.
    #[error("{} can't be understood: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// Something could not be put into its file format.
    #[error("cannot encode {what}: {reason}")]
    Encode {
        /// What was to be written.
        what: &'static str,
        /// What the encoder said.
        reason: String,
    },
    /// A new run was to start in a folder that has something in it.
    #[error("{} is not empty; carry on the run in it with --resume, or choose another folder", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// There is no run to resume.
    #[error("{} holds no run that could be resumed; start one there without --resume", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// The run that was to be resumed is complete.
    #[error(
        "the run in {} has finished its {epochs} epochs; to train longer, start a new run with more epochs in \
         another folder",
        path.display()
    )]
    Finished {
        /// The run folder.
        path: PathBuf,
        /// Epochs trained.
        epochs: usize,
    },
    /// The run that was to be resumed was started with another configuration.
    #[error(
        "the run in {} was started with another {key}; resume it with the same settings, or choose another folder",
        path.display()
    )]
    OtherConfig {
        /// The run folder.
        path: PathBuf,
        /// The first key that differs.
        key: String,
    },
    /// The run that was to be resumed was started on other data.
    #[error(
        "the run in {} was started on other data ({what} differ); bring back the same files, or choose another \
         folder",
        path.display()
    )]
    OtherData {
        /// The run folder.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// The loss became infinite or not a number.
    #[error(
        "the {split} loss is {loss} in epoch {epoch}, batch {batch}, at a learning rate of {learning_rate}; start a \
         new run with a lower learning rate or a warm-up"
    )]
    NotFinite {
        /// `train`, or `val` where it shows after the epoch's last batch.
        split: &'static str,
        /// The loss.
        loss: f64,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The batch in the epoch, counted from 1.
        batch: usize,
        /// The learning rate of that batch.
        learning_rate: f64,
    },
    /// The architecture can't take patches of this size.
    #[error(transparent)]
    Arch(#[from] locam_arch::ArchError),
    /// Reading patches failed.
    #[error(transparent)]
    Data(#[from] locam_data::DataError),
    /// Building, reading or writing a network failed.
    #[error(transparent)]
    Net(#[from] locam_net::NetError),
}
