//! Checks of the kernels that the compiler cannot make: memory that is touched, instruction sets of other CPUs, and
//! instructions that became calls.

use crate::ci::step;
use anyhow::{Result, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PACKAGE: &str = "locam-kernels";

const SANITIZED: &str = "x86_64-unknown-linux-gnu";
const ARM: &str = "aarch64-unknown-linux-gnu";

/// What Debian calls a linker for 64-bit ARM and a program that runs what it links, and where the libraries lie.
const LINKER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: &str = "qemu-aarch64";
const LIBRARIES: &str = "/usr/aarch64-linux-gnu";

/// Runs the kernels' tests under `AddressSanitizer`, which every instruction set of this CPU takes part in.
pub(crate) fn sanitize() -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        eprintln!(
            "\n==> sanitize skipped: the stable compiler brings AddressSanitizer for {SANITIZED} alone"
        );
        return Ok(());
    }
    let folder = target_folder().join("sanitize");
    let environment = [
        // The sanitizer comes with the stable compiler, but its option is unstable.
        ("RUSTC_BOOTSTRAP", "1"),
        // Checks that are calls, and not part of every kernel, compile in a third of the time; they run in twice as much.
        ("RUSTFLAGS", "-Zsanitizer=address -Cllvm-args=-asan-instrumentation-with-call-threshold=0"),
        // With checks inlined, kernels took six times as long to compile with all optimisations.
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
        // These settings would make the next ordinary build start afresh.
        ("CARGO_TARGET_DIR", &folder.to_string_lossy()),
    ];
    let test = ["test", "--release", "--target", SANITIZED, "-p", PACKAGE, "--lib", "--tests"];
    step("cargo", &test, &environment)
}

/// Checks the kernels for 64-bit ARM, and runs their tests where an emulator is installed.
pub(crate) fn neon() -> Result<()> {
    if !(has_target() || succeeds("rustup", &["target", "add", ARM]) && has_target()) {
        eprintln!("\n==> neon skipped: the target {ARM} is not installed and can't be added");
        return Ok(());
    }
    step("cargo", &["check", "--release", "--target", ARM, "-p", PACKAGE, "--all-targets"], &[])?;
    if cfg!(target_arch = "aarch64") {
        return Ok(());
    }
    if !succeeds(LINKER, &["--version"]) || !succeeds(EMULATOR, &["--version"]) {
        eprintln!("==> neon was checked and not run: {LINKER} and {EMULATOR} are not both installed");
        return Ok(());
    }
    let environment = [
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER),
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", &format!("{EMULATOR} -L {LIBRARIES}")),
    ];
    step("cargo", &["test", "--release", "--target", ARM, "-p", PACKAGE, "--lib", "--tests"], &environment)
}

/// Checks that in the program, which was built before, no vector instruction is left as a function. A kernel's part that isn't
/// inlined is compiled without the kernel's instruction set, each of its vectors' loads is then a call, and it takes several times
/// as long; nothing else would tell.
pub(crate) fn inlined() -> Result<()> {
    let program = target_folder().join("release").join(format!("locam{}", std::env::consts::EXE_SUFFIX));
    if !succeeds("nm", &["--version"]) {
        eprintln!("\n==> inlined skipped: nm is not installed");
        return Ok(());
    }
    eprintln!("\n==> nm {}", program.display());
    let output = Command::new("nm").arg(&program).output()?;
    ensure!(output.status.success(), "{} can't be read: build it first", program.display());
    let symbols = String::from_utf8_lossy(&output.stdout);
    let calls = called_instructions(&symbols);
    ensure!(
        calls.is_empty(),
        "these are calls: {}; look for closures that read or write vectors (locam-kernels), or for a library that has \
         come to use them",
        calls.into_iter().collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

/// Those of the symbols, one a line, that stand for an instruction of AVX, FMA or AVX-512; without what comes before its module.
fn called_instructions(symbols: &str) -> BTreeSet<&str> {
    let instructions =
        symbols.lines().filter_map(|line| line.split_once("core_arch3x86")).map(|(_, name)| name);
    instructions
        .filter(|name| {
            let module = name.trim_start_matches(|c: char| c.is_ascii_digit());
            module.starts_with("avx") || module.starts_with("fma")
        })
        .collect()
}

/// Whether the compiler has the standard library for 64-bit ARM, with rustup or without.
fn has_target() -> bool {
    let arguments = ["--print", "target-libdir", "--target", ARM];
    let output = Command::new("rustc").args(arguments).stderr(Stdio::null()).output();
    output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

/// Whether a command is there and ends well; what it says is not shown.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Where Cargo builds.
pub(crate) fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::called_instructions;

    #[test]
    fn instructions_of_kernels_are_found_and_those_of_others_are_not() {
        let symbols = "\
00000000017641c0 t _ZN4core9core_arch3x863avx15_mm256_loadu_ps17h01E
00000000017641d0 t _RNvNtCs_4core9core_arch3x867avx512f17__mm512_slli_epi32
00000000017641e0 t _RNvNtNtNtCs_4core9core_arch3x864f16c12__mm_cvtph_ps
                 U memcpy@GLIBC_2.14
";
        let found = called_instructions(symbols).into_iter().collect::<Vec<_>>();
        assert_eq!(found, ["3avx15_mm256_loadu_ps17h01E", "7avx512f17__mm512_slli_epi32"]);
    }
}
