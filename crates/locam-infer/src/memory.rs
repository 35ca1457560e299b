use locam_kernels::{Buffer, Element};
use std::sync::Mutex;

/// Memory of a run; lend the same to the next one.
#[derive(Debug, Default)]
pub(crate) struct Memory<E> {
    /// Images with the first convolution's padding.
    pub(crate) images: Buffer<E>,
    /// Values of whole batches.
    pub(crate) values: Vec<Buffer<E>>,
    /// Values of one image.
    pub(crate) bands: Buffer<E>,
    /// A step's input without what it leaves out.
    pub(crate) skipped: Buffer<E>,
    /// The last maps, where they are put together from several.
    pub(crate) maps: Buffer<E>,
    pub(crate) workspace: Buffer<E>,
}

/// Memory of as many runs as there were at the same time.
#[derive(Debug, Default)]
pub(crate) struct Memories<E>(Mutex<Vec<Memory<E>>>);

impl<E: Element> Memories<E> {
    /// Lends memory that an earlier run has left.
    pub(crate) fn lend<T>(&self, run: impl FnOnce(&mut Memory<E>) -> T) -> T {
        let free = self.0.lock().ok().and_then(|mut all| all.pop());
        let mut memory = free.unwrap_or_default();
        let result = run(&mut memory);
        if let Ok(mut all) = self.0.lock() {
            all.push(memory);
        }
        result
    }
}
