//! The slide before the lamp is lit: optical density at every pixel, and which white cell covers it.

use locam_core::Size;

/// Optical density in red, green and blue at every pixel. Densities of layers add up, so that cells that
/// overlap are darker where they do, as in transmitted light.
#[derive(Debug)]
pub(super) struct Canvas {
    pub(super) size: Size,
    pub(super) density: Vec<[f32; 3]>,
}

/// A pixel of [`Canvas::paint`].
pub(super) struct Spot<'a> {
    /// Column and row of the pixel's centre less the object's centre.
    pub(super) x: f32,
    pub(super) y: f32,
    /// Index of the pixel, row by row.
    pub(super) index: usize,
    /// Optical density in red, green and blue.
    pub(super) density: &'a mut [f32; 3],
}

impl Spot<'_> {
    /// Adds a layer of `amount` times `colour`.
    pub(super) fn add(&mut self, colour: &[f32; 3], amount: f32) {
        for (density, colour) in self.density.iter_mut().zip(colour) {
            *density += amount * colour;
        }
    }

    /// Leaves `share` of what is there.
    pub(super) fn keep(&mut self, share: f32) {
        for density in self.density.iter_mut() {
            *density *= share;
        }
    }
}

impl Canvas {
    pub(super) fn new(size: Size) -> Self {
        Self { size, density: vec![[0.0; 3]; size.area() as usize] }
    }

    /// Visits the pixels whose centres are within `reach` of `center`, each way.
    pub(super) fn paint(&mut self, center: [f32; 2], reach: f32, mut brush: impl FnMut(Spot<'_>)) {
        let span = |middle: f32, end: u32| {
            // Casts saturate, so that what lies outside the image becomes an empty span.
            let first = (middle - reach).floor().max(0.0) as usize;
            let past = ((middle + reach).ceil().max(0.0) as usize).min(end as usize);
            first..past.max(first)
        };
        let width = self.size.width as usize;
        let columns = span(center[0], self.size.width);
        for row in span(center[1], self.size.height) {
            let y = row as f32 + 0.5 - center[1];
            for column in columns.clone() {
                let index = row * width + column;
                let x = column as f32 + 0.5 - center[0];
                brush(Spot { x, y, index, density: &mut self.density[index] });
            }
        }
    }
}
