//! All checks, cheapest first. Tests run in the release profile: the demonstration needs that build anyway, and a
//! network in an unoptimised build would take many times longer than building it.

use crate::{browser, kernels, readers, readme, slides};
use anyhow::{Context, Result, ensure};
use std::process::Command;
use std::time::Instant;

/// Runs every step and stops at the first that fails.
pub(crate) fn run() -> Result<()> {
    step("cargo", &["fmt", "--all", "--check"], &[])?;
    readme::check()?;
    step("cargo", &["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])?;
    let nextest =
        Command::new("cargo").args(["nextest", "--version"]).output().is_ok_and(|o| o.status.success());
    if nextest {
        step("cargo", &["nextest", "run", "--release", "--workspace", "--no-fail-fast"], &[])?;
    } else {
        step("cargo", &["test", "--release", "--workspace", "--lib", "--bins", "--tests"], &[])?;
    }
    kernels::inlined()?;
    step("cargo", &["test", "--release", "--workspace", "--doc"], &[])?;
    step("cargo", &["doc", "--release", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    slides::run()?;
    kernels::neon()?;
    kernels::sanitize()?;
    readers::run()?;
    for command in readme::commands()? {
        if command != readme::TEST_COMMAND {
            step("bash", &["-c", &command], &[])?;
        }
    }
    browser::run(&[])
}

/// Runs a command, named before it and timed after it.
pub(crate) fn step(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let shown = format!("{program} {}", arguments.join(" "));
    eprintln!("\n==> {shown}");
    let started = Instant::now();
    let status = command(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .status()
        .with_context(|| format!("could not start `{shown}`"))?;
    ensure!(status.success(), "`{shown}` failed ({status})");
    eprintln!("==> done in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// A command that isn't told what Cargo told this program of its own package. Build scripts look at that (ring's does), so that
/// what stands on them would be built again whenever Cargo is started by this program and by hand in turn.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}
