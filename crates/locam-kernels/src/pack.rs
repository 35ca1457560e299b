use crate::amx::{BLOCK_COLUMNS, Depths};
use crate::parallel::{Shared, for_each_task};
use crate::{Buffer, Element, Isa};

/// Weights in the order in which a matrix product reads them: panel by panel of output channels, in a panel tap by
/// tap, in a tap word by word, each word for all channels of the panel. Missing channels are zeros. Where tiles are multiplied, the
/// words of a tap are those of its [`Depths`].
#[derive(Debug)]
pub(crate) struct Packed<E> {
    values: Buffer<E>,
    /// Values that a tap reads.
    pub(crate) rows: usize,
    /// Words per tap.
    pub(crate) words: usize,
    /// Taps.
    pub(crate) taps: usize,
    /// Output channels of a panel.
    pub(crate) width: usize,
    /// Panels.
    pub(crate) panels: usize,
}

impl<E: Element> Packed<E> {
    /// Nothing yet.
    pub(crate) fn empty() -> Self {
        Self { values: Buffer::zeroed(0), rows: 0, words: 0, taps: 0, width: 0, panels: 0 }
    }

    /// Packs the matrices `places` of `weights`, which are each `rows` x `columns`, row-major, in the memory that is
    /// there.
    pub(crate) fn fill(&mut self, isa: Isa, weights: &[f32], places: &[usize], rows: usize, columns: usize) {
        let per_word = 4 / size_of::<E>();
        // The row of the matrix that each packed one is, if any.
        let (width, order): (usize, Vec<Option<usize>>) = if isa.has_tiles_of::<E>() {
            (BLOCK_COLUMNS, Depths::new(rows).order().collect())
        } else {
            let packed = 0..rows.next_multiple_of(per_word);
            (isa.panel(), packed.map(|row| (row < rows).then_some(row)).collect())
        };
        (self.rows, self.width) = (rows, width);
        self.panels = columns.div_ceil(self.width);
        self.taps = places.len();
        self.words = order.len() / per_word;
        let tap_len = order.len() * width;
        self.values.resize(self.panels * self.taps * tap_len);
        let taps = self.taps;
        let values = Shared::new(&mut self.values);
        for_each_task(self.panels * taps, |task| {
            let (panel, tap) = (task / taps, task % taps);
            // SAFETY: each task has the values of its own panel and tap.
            let packed = unsafe { values.slice(task * tap_len..(task + 1) * tap_len) };
            let matrix = &weights[places[tap] * rows * columns..][..rows * columns];
            let first = panel * width;
            let there = width.min(columns - first);
            for (word, packed) in packed.chunks_exact_mut(width * per_word).enumerate() {
                for part in 0..per_word {
                    let row = order[word * per_word + part];
                    let source = row.map_or(&[][..], |row| &matrix[row * columns + first..][..there]);
                    let targets = packed[part..].iter_mut().step_by(per_word);
                    let padded = source.iter().copied().chain(std::iter::repeat(0.0));
                    targets.zip(padded).for_each(|(target, value)| *target = E::from_f32(value));
                }
            }
        });
    }

    /// The first value of a panel.
    ///
    /// # Panics
    /// If there is no such panel.
    pub(crate) fn panel(&self, panel: usize) -> *const E {
        self.values[panel * self.taps * self.tap_len()..].as_ptr()
    }

    /// Values of a panel in one tap.
    pub(crate) fn tap_len(&self) -> usize {
        self.words * (4 / size_of::<E>()) * self.width
    }

    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> usize {
        self.values.bytes()
    }
}
