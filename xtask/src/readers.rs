//! Every file that locating writes, read back by programs that others wrote.

use crate::ci::step;
use crate::kernels::{succeeds, target_folder};
use anyhow::{Context, Result};
use std::path::Path;

const SCRIPT: &str = "xtask/readers/read_back.py";
const REQUIREMENTS: &str = "xtask/readers/requirements.txt";

/// Generates smears, trains for a moment, locates with every kind of output, and reads all of it back. Where Python or its
/// packages can't be had this is said and skipped.
pub(crate) fn run() -> Result<()> {
    if !succeeds("python3", &["-m", "venv", "--help"]) {
        eprintln!("\n==> readers skipped: python3 with venv is not installed");
        return Ok(());
    }
    let folder = target_folder().join("readers");
    let python = folder.join("venv/bin/python");
    let venv = folder.join("venv");
    if !succeeds("python3", &["-m", "venv", &text(&venv)])
        || !succeeds(&text(&python), &["-m", "pip", "install", "--quiet", "-r", REQUIREMENTS])
    {
        eprintln!("\n==> readers skipped: the packages of {REQUIREMENTS} can't be installed here");
        return Ok(());
    }
    step("cargo", &["build", "--release", "-p", "locam-cli"], &[])?;
    let (model, found) = (folder.join("run"), folder.join("found"));
    produce(&folder, &model, &found)?;
    let description = text(&model.join("best/model.json"));
    step(&text(&python), &[SCRIPT, &text(&found), &description], &[])
}

/// A run with every kind of output. The threshold is so low that an hour's training isn't needed to find something.
fn produce(folder: &Path, model: &Path, found: &Path) -> Result<()> {
    let smears = folder.join("smears");
    for old in [model, found, &smears] {
        if old.exists() {
            std::fs::remove_dir_all(old).with_context(|| format!("could not delete {}", old.display()))?;
        }
    }
    let locam = text(&target_folder().join("release/locam"));
    let (patches, fields) = (text(&smears.join("ALL_IDB2")), text(&smears.join("ALL_IDB1/im")));
    let (model, found, smears) = (text(model), text(found), text(&smears));
    let size = ["--fields", "3", "--patches", "80", "--size", "1000x700"];
    step(&locam, &[&["data", "smears", "--out", &smears][..], &size].concat(), &[])?;
    let training = ["--arch", "squeezenet1_1", "--epochs", "3", "--patch-size", "96", "--optimizer", "adam"];
    step(&locam, &[&["train", &patches, "--out", &model][..], &training].concat(), &[])?;
    let search = ["--threshold=-0.5", "--scale", "1", "--stride", "8", "--write", "all"];
    step(&locam, &[&["locate", "--model", &model, &fields, "--out", &found][..], &search].concat(), &[])
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
