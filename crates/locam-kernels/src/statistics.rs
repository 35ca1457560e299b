use crate::Buffer;

/// Sums per channel, gathered while something else is computed: chunk by chunk in `f32`, together in `f64`.
#[derive(Debug, Default)]
pub struct Statistics {
    partial: Buffer<f32>,
    channels: usize,
    chunks: usize,
    sums: Vec<[f64; 2]>,
}

impl Statistics {
    /// Two rows of zeros for every chunk.
    pub(crate) fn begin(&mut self, channels: usize, chunks: usize) -> *mut f32 {
        (self.channels, self.chunks) = (channels, chunks);
        self.partial.resize(2 * channels * chunks);
        self.partial.fill(0.0);
        self.partial.as_mut_ptr()
    }

    /// Adds the chunks up, in their order.
    pub(crate) fn end(&mut self) {
        self.sums.clear();
        self.sums.resize(self.channels, [0.0; 2]);
        for chunk in self.partial.chunks_exact(2 * self.channels) {
            let (first, second) = chunk.split_at(self.channels);
            for (sums, (&a, &b)) in self.sums.iter_mut().zip(first.iter().zip(second)) {
                sums[0] += f64::from(a);
                sums[1] += f64::from(b);
            }
        }
    }

    /// Per channel the two sums.
    pub fn sums(&self) -> &[[f64; 2]] {
        &self.sums
    }
}
