//! The feature `slides`, which needs a library of the system's.

use crate::ci::step;
use crate::kernels::succeeds;
use anyhow::Result;

/// Checks and tests the crate that reads slides, alone, so that nothing else is built again. Where `OpenSlide` is not
/// installed this is said and skipped.
pub(crate) fn run() -> Result<()> {
    if !succeeds("pkg-config", &["--exists", "openslide"]) {
        eprintln!(
            "\n==> slides skipped: pkg-config finds no OpenSlide (Debian's libopenslide-dev and libclang-dev)"
        );
        return Ok(());
    }
    let of = ["--release", "-p", "locam-data", "--features", "slides"];
    step("cargo", &[&["clippy"][..], &of, &["--all-targets", "--", "-D", "warnings"]].concat(), &[])?;
    step("cargo", &[&["test"][..], &of, &["--lib", "--test", "slides"]].concat(), &[])
}
