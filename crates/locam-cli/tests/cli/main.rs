//! The real binary, run in temporary folders.

mod errors;
mod lab;
mod runs;
mod support;
