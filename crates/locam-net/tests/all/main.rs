//! Whole networks: against `PyTorch`, as maps, as files. One binary, because linking Burn takes long.

mod accuracy;
mod bright_dot;
mod common;
mod identities;
mod kept_rows;
mod model_folder;
mod reference;
mod training;
mod training_step;
mod weight_files;
