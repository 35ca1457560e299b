//! The real binary, run in temporary folders.

mod errors;
mod lab;
mod masks;
mod protocol;
mod ready;
mod runs;
mod support;
