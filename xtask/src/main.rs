//! Developer commands, run as `cargo xtask COMMAND`: the whole of continuous integration is one of them, so that
//! what a machine checks and what a person checks is the same.

mod bench_peers;
mod browser;
mod ci;
mod kernels;
mod readers;
mod readme;
mod results;
mod slides;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask COMMAND

  ci            everything that a change must pass, cheapest check first
  inlined       check that no vector instruction of the kernels became a call in target/release/locam
  sanitize      run the kernels' tests under AddressSanitizer
  neon          check the kernels for 64-bit ARM, and run their tests there where an emulator is installed
  readers       read back every file that locating writes with Python's libraries
  slides        check and test the reading of slides through OpenSlide
  readme        check that README's pictures exist and that its commands are the ones that ci runs
  results       put an evaluation's figures, or a table, into docs/results.md: results SECTION EVALUATION.json|TABLE.md
  browser       look at the pages of the demonstration, or those named, in headless Chromium
  bench-peers   measure the engine beside PyTorch, ONNX Runtime, OpenVINO, ncnn and MNN (--help for its options)
";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    std::env::set_current_dir(root())?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["ci"] => ci::run(),
        ["inlined"] => kernels::inlined(),
        ["sanitize"] => kernels::sanitize(),
        ["neon"] => kernels::neon(),
        ["readers"] => readers::run(),
        ["slides"] => slides::run(),
        ["readme"] => readme::check(),
        ["results", section, file] => results::record(section, file),
        ["browser", ..] => browser::run(&arguments[1..]),
        ["bench-peers", ..] => bench_peers::run(&arguments[1..]),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("no such command: {}\n\n{HELP}", other.join(" ")),
    }
}

/// The workspace's root.
fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}
