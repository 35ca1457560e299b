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
    let status = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .status()
        .with_context(|| format!("could not start `{shown}`"))?;
    ensure!(status.success(), "`{shown}` failed ({status})");
    eprintln!("==> done in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}
