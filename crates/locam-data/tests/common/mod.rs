//! What several tests need.

use std::path::{Path, PathBuf};

/// A folder of the real data, where there is one.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LOCAM_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = root.join("data").join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there", path.display());
    None
}
