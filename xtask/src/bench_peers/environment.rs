//! What must be there before anything is measured: the peers, our runner, and a folder with weights and inputs.

use super::options::{Options, Scale};
use super::plan::{Agreement, Input, Section};
use super::runner::Program;
use crate::ci;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Python side.
const SCRIPTS: &str = "xtask/peers";

/// The model files that some peers need, by `prepare.py`'s names.
const FORMATS: &[(&str, &str)] =
    &[("onnxruntime", "onnx"), ("openvino", "onnx"), ("mnn", "mnn"), ("ncnn", "ncnn")];

/// A folder with weights and inputs of one size.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// Holds `model.safetensors`, `input.npy`, `labels.npy`, the peers' model files, and soon the outputs.
    pub(crate) folder: PathBuf,
    /// The network.
    pub(crate) arch: &'static str,
    /// Images in it.
    pub(crate) batch: usize,
    /// Of each image, in pixels.
    pub(crate) width: usize,
    /// Of each image, in pixels.
    pub(crate) height: usize,
}

/// What `compare.py` says.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Comparison {
    /// Whether the difference is within the limit.
    pub(crate) agree: bool,
    /// The difference by the rule; none where it is not a number or the shapes differ.
    pub(crate) difference: Option<f64>,
}

/// Everything that stays the same through the command. Dropping it removes its temporary folder.
#[derive(Debug)]
pub(crate) struct Workplace {
    /// Our runner.
    pub(crate) ours: Program,
    /// The peers' runner.
    pub(crate) peers: Program,
    python: PathBuf,
    folder: PathBuf,
    prepared: Vec<(Input, Prepared)>,
}

impl Workplace {
    /// Installs the peers, builds our runner, and makes the folder.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let ours = Program { path: our_runner()?, arguments: vec![] };
        let python = python()?;
        let script = Path::new(SCRIPTS).join("runner.py").into_os_string();
        let folder = std::env::temp_dir().join(format!("locam-bench-peers-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("{} can't be made", folder.display()))?;
        let peers = Program { path: python.clone(), arguments: vec![script] };
        let mut workplace = Self { ours, peers, python, folder, prepared: vec![] };
        for section in options.sections() {
            workplace.prepare(section, options)?;
        }
        Ok(workplace)
    }

    /// The folder for a section's network and kind of input, made on the first call.
    pub(crate) fn prepare(&mut self, section: &Section, options: &Options) -> Result<Prepared> {
        let Section { arch, input, .. } = *section;
        let is_for = |(made, prepared): &&(Input, Prepared)| *made == input && prepared.arch == arch;
        if let Some((_, prepared)) = self.prepared.iter().find(is_for) {
            return Ok(prepared.clone());
        }
        let (name, batch, width, height) = match (input, options.scale) {
            (Input::Patches, Scale::Full) => ("patches", options.batch, 224, 224),
            (Input::Patches, Scale::Quick) => ("patches", options.batch, 64, 96),
            (Input::Image, Scale::Full) => ("image", 1, 3000, 2000),
            (Input::Image, Scale::Quick) => ("image", 1, 300, 200),
        };
        let prepared =
            Prepared { folder: self.folder.join(format!("{arch}-{name}")), arch, batch, width, height };
        let formats = if input == Input::Patches { formats(options) } else { String::new() };
        eprintln!("==> preparing {arch}, {name}: {batch} x {width}x{height}");
        let mut command = self.script("prepare.py");
        command.arg("--folder").arg(&prepared.folder).args(["--arch", arch, "--formats", &formats]);
        for (option, value) in [("--batch", batch), ("--width", width), ("--height", height)] {
            command.args([option, &value.to_string()]);
        }
        finished(&mut command)?;
        self.prepared.push((input, prepared.clone()));
        Ok(prepared)
    }

    /// Compares two NumPy files.
    pub(crate) fn compare(&self, ours: &Path, theirs: &Path, agreement: Agreement) -> Result<Comparison> {
        let limit = agreement.limit.to_string();
        let output = finished(self.script("compare.py").args([ours, theirs]).args([
            "--rule",
            agreement.rule.name(),
            "--limit",
            &limit,
        ]))?;
        serde_json::from_slice(&output).context("compare.py printed something else than JSON")
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(Path::new(SCRIPTS).join(name)).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // A temporary folder that stays behind is no reason to fail.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The model files that the wanted peers need, separated by commas.
fn formats(options: &Options) -> String {
    let mut formats = Vec::new();
    for peer in options.sections().iter().flat_map(|section| section.peers).filter(|peer| options.wants(peer))
    {
        for (system, format) in FORMATS {
            if *system == peer.system && !formats.contains(format) {
                formats.push(*format);
            }
        }
    }
    formats.join(",")
}

/// Python with the peers, installed unless the requirements are those of the last installation.
fn python() -> Result<PathBuf> {
    let venv = std::env::var_os("LOCAM_PEERS_VENV")
        .map_or_else(|| PathBuf::from("target/peers-venv"), PathBuf::from);
    let python = venv.join("bin/python");
    let stamp = venv.join("installed-requirements.txt");
    let list = Path::new(SCRIPTS).join("requirements.txt");
    let wanted =
        std::fs::read_to_string(&list).with_context(|| format!("{} can't be read", list.display()))?;
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    eprintln!("==> installing the peers into {} (several GB)", venv.display());
    finished(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    finished(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&list))?;
    std::fs::write(&stamp, wanted).with_context(|| format!("{} can't be written", stamp.display()))?;
    Ok(python)
}

/// Builds our runner and asks Cargo where it put it.
fn our_runner() -> Result<PathBuf> {
    eprintln!("==> building our runner");
    let mut command = ci::command("cargo");
    command.args(["build", "--release", "-p", "locam", "--example", "peer_runner"]);
    command.args(["--message-format", "json-render-diagnostics"]);
    let output = command.stderr(std::process::Stdio::inherit()).output().context("could not start cargo")?;
    ensure!(output.status.success(), "our runner does not build ({})", output.status);
    executable(&String::from_utf8_lossy(&output.stdout)).context("cargo built no example `peer_runner`")
}

/// The executable that Cargo's messages name for the runner.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "peer_runner")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Runs a command to its end and returns what it printed; what it complained of is part of the error.
fn finished(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("could not start {command:?}"))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed ({}):\n{}", output.status, complaints.trim_end());
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_read_from_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"locam"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"peer_runner"},"executable":"/t/examples/peer_runner"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/t/examples/peer_runner")));
        assert_eq!(executable("{}"), None);
    }

    #[test]
    fn only_the_needed_formats_are_made() {
        let formats = |line: &str| {
            let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            super::formats(&Options::parse(&arguments).unwrap().unwrap())
        };
        assert_eq!(formats("--peers torch-default"), "");
        assert_eq!(formats("--only infer-bf16"), "onnx");
        assert_eq!(formats(""), "onnx,ncnn,mnn");
    }
}
