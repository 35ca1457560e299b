//! The `locam` binary.
fn main() {}
