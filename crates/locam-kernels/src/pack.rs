use crate::amx::{Depths, TILE_COLUMNS};
use crate::isa::Kernel;
use crate::parallel::{Shared, for_each_task};
use crate::simd::{Simd, load_up_to};
use crate::{Buffer, Element, Isa};

/// Weights in the order in which a matrix product reads them: panel by panel of output channels, in a panel tap by
/// tap, in a tap word by word, each word for all channels of the panel. Missing channels are zeros. Where tiles are multiplied
/// ([`crate::amx`]), the values of a tap are cut into [`Depths`], and a panel, of a tile's columns, lies depth by depth, in a depth tap
/// by tap.
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
        self.rows = rows;
        self.taps = places.len();
        if isa.has_tiles_of::<E>() {
            self.fill_tiles(isa, weights, places, columns);
            return;
        }
        self.width = isa.panel();
        self.panels = columns.div_ceil(self.width);
        self.words = rows.div_ceil(per_word);
        let (width, tap_len) = (self.width, self.tap_len());
        let taps = self.taps;
        self.values.resize(self.panels * taps * tap_len);
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
                    let row = word * per_word + part;
                    let source = if row < rows { &matrix[row * columns + first..][..there] } else { &[] };
                    write_padded(source, packed[part..].iter_mut().step_by(per_word));
                }
            }
        });
    }

    fn fill_tiles(&mut self, isa: Isa, weights: &[f32], places: &[usize], columns: usize) {
        let (rows, taps) = (self.rows, self.taps);
        let depths = Depths::new(rows);
        let (size, order) = (depths.size(), depths.order().collect::<Vec<_>>());
        self.width = TILE_COLUMNS;
        self.panels = columns.div_ceil(self.width);
        self.words = order.len() / 2;
        let depths = order.len() / size;
        self.values.resize(self.panels * taps * self.tap_len());
        let values = Shared::new(&mut self.values);
        let step = size * TILE_COLUMNS;
        for_each_task(self.panels * depths, |task| {
            let (first, depth) = (task / depths * TILE_COLUMNS, task % depths);
            let there = TILE_COLUMNS.min(columns - first);
            // SAFETY: each task has the values of its own panel and depth.
            let packed = unsafe { values.slice(task * taps * step..(task + 1) * taps * step) };
            for (tile, place) in packed.chunks_exact_mut(step).zip(places) {
                let matrix = &weights[place * rows * columns..][..rows * columns];
                let row = |row: &Option<usize>| {
                    row.map_or(&[][..], |row| &matrix[row * columns + first..][..there])
                };
                let (pairs, rows) =
                    (tile.chunks_exact_mut(2 * TILE_COLUMNS), order[depth * size..][..size].chunks_exact(2));
                let pairs = pairs.zip(rows).map(|(pair, rows)| (pair, [row(&rows[0]), row(&rows[1])]));
                E::run(isa, WritePairs(pairs));
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

    /// Bytes of a panel.
    pub(crate) fn panel_bytes(&self) -> usize {
        self.taps * self.tap_len() * size_of::<E>()
    }

    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> usize {
        self.values.bytes()
    }
}

/// Writes pairs of rows, of which each has as many values as a tile has columns, or fewer.
struct WritePairs<I>(I);

impl<'a, E: Element, I: Iterator<Item = (&'a mut [E], [&'a [f32]; 2])>> Kernel<E> for WritePairs<I> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(self) {
        let mut rounded = [[E::default(); TILE_COLUMNS]; 2];
        for (pair, rows) in self.0 {
            assert!(pair.len() == 2 * TILE_COLUMNS && rows.iter().all(|row| row.len() <= TILE_COLUMNS));
            // SAFETY: the caller has the instruction set, whose vectors have a word for each column of a tile; rows have so many
            // values.
            unsafe {
                for (rounded, row) in rounded.iter_mut().zip(rows) {
                    let values: S = load_up_to(row.as_ptr(), row.len());
                    values.write(rounded.as_mut_ptr());
                }
                S::pair(rounded[0].as_ptr(), rounded[1].as_ptr()).store(pair.as_mut_ptr().cast());
            }
        }
    }
}

/// Writes values, and zeros after the last one.
fn write_padded<'a, E: Element>(values: &[f32], targets: impl Iterator<Item = &'a mut E>) {
    let padded = values.iter().copied().chain(std::iter::repeat(0.0));
    targets.zip(padded).for_each(|(target, value)| *target = E::from_f32(value));
}
