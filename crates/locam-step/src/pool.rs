use locam_kernels::Buffer;
use std::rc::Rc;

/// Memory for gradients, which live for a part of a step: lent, given back, and lent again.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: Vec<Buffer<f32>>,
}

impl Pool {
    /// Memory for `len` values, with whatever was there before: the smallest that is large enough.
    pub(crate) fn take(&mut self, len: usize) -> Buffer<f32> {
        let fits = |buffer: &&Buffer<f32>| buffer.bytes() >= len * size_of::<f32>();
        let best = self.free.iter().filter(fits).map(Buffer::bytes).min();
        let found = best.and_then(|bytes| self.free.iter().position(|buffer| buffer.bytes() == bytes));
        let mut buffer = found.map_or_else(Buffer::default, |place| self.free.swap_remove(place));
        buffer.resize(len);
        buffer
    }

    /// Takes memory back, once nobody else reads it.
    pub(crate) fn give(&mut self, buffer: Rc<Buffer<f32>>) {
        self.free.extend(Rc::try_unwrap(buffer).ok());
    }
}
