use locam_kernels::{Buffer, Element};
use std::rc::Rc;

/// Memory for gradients, which live for a part of a step: lent, given back, and lent again.
#[derive(Debug)]
pub(crate) struct Pool<E> {
    free: Vec<Buffer<E>>,
}

impl<E> Default for Pool<E> {
    fn default() -> Self {
        Self { free: Vec::new() }
    }
}

impl<E: Element> Pool<E> {
    /// Memory for `len` values, with whatever was there before: the smallest that is large enough.
    pub(crate) fn take(&mut self, len: usize) -> Buffer<E> {
        let fits = |buffer: &&Buffer<E>| buffer.bytes() >= len * size_of::<E>();
        let best = self.free.iter().filter(fits).map(Buffer::bytes).min();
        let found = best.and_then(|bytes| self.free.iter().position(|buffer| buffer.bytes() == bytes));
        let mut buffer = found.map_or_else(Buffer::default, |place| self.free.swap_remove(place));
        buffer.resize(len);
        buffer
    }

    /// Takes memory back, once nobody else reads it.
    pub(crate) fn give(&mut self, buffer: Rc<Buffer<E>>) {
        self.free.extend(Rc::try_unwrap(buffer).ok());
    }
}
