//! The line protocol with a child process that measures itself.
//!
//! A runner is started with the whole request on its command line. It loads, warms up, writes its outputs to a file,
//! and says so in one line of JSON. Each `run` on its standard input is then answered by one measurement; `quit` or the
//! end of input ends it. An `error` in place of an answer says what went wrong.
//!
//! Two variables of the environment count beside the command line: `LOCAM_ISA=avx2` where a side must do without wider
//! instructions, and `LOCAM_PEERS_SECONDS`, how long a measurement takes if not two seconds.

use super::environment::Prepared;
use super::options::Scale;
use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Lines of a failed runner's log that its error repeats.
const SHOWN_LOG_LINES: usize = 5;

/// What to start: a program and the arguments before the request.
#[derive(Debug)]
pub(crate) struct Program {
    /// The executable.
    pub(crate) path: PathBuf,
    /// Arguments before the request's, such as a script.
    pub(crate) arguments: Vec<OsString>,
}

/// What a runner is asked to do.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// The system's name.
    pub(crate) system: &'static str,
    /// `infer`, `train` or `image`.
    pub(crate) task: &'static str,
    /// `f32` or `bf16`.
    pub(crate) precision: &'static str,
    /// `native` or `avx2`.
    pub(crate) isa: &'static str,
    /// How many threads it may use.
    pub(crate) threads: usize,
    /// Where its inputs lie, and their size.
    pub(crate) prepared: &'a Prepared,
    /// Whether measurements take their full time.
    pub(crate) scale: Scale,
}

/// A runner's first line.
#[derive(Debug, Deserialize)]
pub(crate) struct Ready {
    /// Version and configuration, for people.
    pub(crate) version: String,
    /// The NumPy file with its outputs.
    pub(crate) output: PathBuf,
}

/// A runner's answer to `run`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Measurement {
    /// Mean over the iterations of about two seconds.
    pub(crate) seconds_per_iteration: f64,
    /// The most memory that the process has held so far.
    pub(crate) peak_memory_bytes: u64,
}

/// A running child. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Runner {
    name: String,
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Runner {
    /// Starts a runner and waits until it is ready, which includes its warm-up.
    pub(crate) fn start(program: &Program, job: &Job<'_>) -> Result<(Self, Ready)> {
        let name = format!("{} ({}, {}, {})", job.system, job.task, job.precision, job.isa);
        let log = job
            .prepared
            .folder
            .join(format!("log-{}-{}-{}-{}.txt", job.system, job.task, job.precision, job.isa));
        let mut child = command(program, job)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("{} can't be written", log.display()))?)
            .spawn()
            .with_context(|| format!("could not start {} for {name}", program.path.display()))?;
        let requests = child.stdin.take().context("the child has no standard input")?;
        let answers = BufReader::new(child.stdout.take().context("the child has no standard output")?);
        let mut runner = Self { name, child, requests, answers, log };
        let ready = runner.answer()?;
        Ok((runner, ready))
    }

    /// Lets the runner measure once.
    pub(crate) fn measure(&mut self) -> Result<Measurement> {
        writeln!(self.requests, "run").and_then(|()| self.requests.flush()).with_context(|| {
            format!("{} does not listen; its log ends:\n{}", self.name, log_end(&self.log))
        })?;
        self.answer()
    }

    fn answer<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        self.answers.read_line(&mut line).with_context(|| format!("{} can't be read", self.name))?;
        parse(&line)
            .map_err(|problem| anyhow!("{}: {problem}; its log ends:\n{}", self.name, log_end(&self.log)))
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Nothing of it is needed any more, and a child that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(program: &Program, job: &Job<'_>) -> Command {
    let mut command = Command::new(&program.path);
    command.args(&program.arguments);
    let input = job.prepared;
    for (option, value) in [
        ("--system", job.system),
        ("--arch", input.arch),
        ("--task", job.task),
        ("--precision", job.precision),
        ("--isa", job.isa),
        ("--batch", &input.batch.to_string()),
        ("--width", &input.width.to_string()),
        ("--height", &input.height.to_string()),
        ("--threads", &job.threads.to_string()),
    ] {
        command.args([option, value]);
    }
    command.arg("--folder").arg(&input.folder).env("PYTHONDONTWRITEBYTECODE", "1");
    // Peers are told by their command line. A value from the caller's shell would slow our native side.
    match job.isa {
        "native" => command.env_remove("LOCAM_ISA"),
        isa => command.env("LOCAM_ISA", isa),
    };
    match job.scale {
        Scale::Full => command.env_remove("LOCAM_PEERS_SECONDS"),
        Scale::Quick => command.env("LOCAM_PEERS_SECONDS", "0.1"),
    };
    command
}

/// Reads one line of the protocol.
fn parse<T: DeserializeOwned>(line: &str) -> Result<T> {
    if line.is_empty() {
        bail!("it ended without an answer");
    }
    let value: serde_json::Value =
        serde_json::from_str(line).map_err(|_| anyhow!("not a line of the protocol: {}", line.trim_end()))?;
    if let Some(error) = value.get("error") {
        bail!("{}", error.as_str().unwrap_or("an error without words"));
    }
    serde_json::from_value(value).with_context(|| format!("an unexpected answer: {}", line.trim_end()))
}

fn log_end(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(folder: &Path) -> Prepared {
        Prepared { folder: folder.to_owned(), arch: "resnet18", batch: 1, width: 8, height: 4 }
    }

    /// Starts a shell script as a runner and measures once.
    fn one_turn(script: &str) -> Result<(Ready, Measurement)> {
        let folder =
            std::env::temp_dir().join(format!("locam-runner-{}-{}", std::process::id(), script.len()));
        std::fs::create_dir_all(&folder)?;
        let program = Program { path: "sh".into(), arguments: vec!["-c".into(), script.into()] };
        let prepared = prepared(&folder);
        let job = Job {
            system: "fake",
            task: "infer",
            precision: "f32",
            isa: "avx2",
            threads: 2,
            prepared: &prepared,
            scale: Scale::Quick,
        };
        let result =
            Runner::start(&program, &job).and_then(|(mut runner, ready)| Ok((ready, runner.measure()?)));
        std::fs::remove_dir_all(&folder)?;
        result
    }

    #[test]
    fn a_turn_is_answered() {
        let script = r#"
            echo "{\"ready\": true, \"version\": \"$LOCAM_ISA\", \"output\": \"x.npy\"}"
            read line
            test "$line" = run && echo '{"seconds_per_iteration": 0.25, "peak_memory_bytes": 4096}'"#;
        let (ready, measurement) = one_turn(script).unwrap();
        assert_eq!((ready.version.as_str(), ready.output.as_path()), ("avx2", Path::new("x.npy")));
        assert_eq!((measurement.seconds_per_iteration, measurement.peak_memory_bytes), (0.25, 4096));
    }

    #[test]
    fn failures_are_told_with_the_end_of_the_log() {
        let cases = [
            (r#"echo why >&2; echo '{"error": "no such model"}'"#, "no such model; its log ends:\nwhy"),
            ("echo because >&2", "it ended without an answer; its log ends:\nbecause"),
            ("echo hello", "not a line of the protocol: hello"),
        ];
        for (script, expected) in cases {
            let message = format!("{:#}", one_turn(&format!("{script}; exit 1")).unwrap_err());
            assert!(message.starts_with("fake (infer, f32, avx2): "), "{message}");
            assert!(message.contains(expected), "{message}");
        }
    }
}
