use crate::isa::Kernel;
use crate::simd::{Simd, load_up_to, write_up_to};
use crate::{Element, Isa};

/// Pixels that are stored as vectors before they are put together.
const TOGETHER: usize = 64;

/// Puts the values of three planes together, pixel by pixel.
///
/// # Panics
/// If planes have fewer values than there are pixels.
pub fn interleave<E: Element>(isa: Isa, planes: [&[f32]; 3], pixels: &mut [[E; 3]]) {
    assert!(planes.iter().all(|plane| plane.len() >= pixels.len()), "a value of each plane for every pixel");
    E::run(isa, Interleaved { planes, pixels });
}

struct Interleaved<'a, E> {
    planes: [&'a [f32]; 3],
    pixels: &'a mut [[E; 3]],
}

impl<E: Element> Kernel<E> for Interleaved<'_, E> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(self) {
        let mut stored = [[E::default(); TOGETHER]; 3];
        for (number, pixels) in self.pixels.chunks_mut(TOGETHER).enumerate() {
            for (stored, plane) in stored.iter_mut().zip(self.planes) {
                let plane = &plane[number * TOGETHER..][..pixels.len()];
                for first in (0..plane.len()).step_by(S::LANES) {
                    let count = S::LANES.min(plane.len() - first);
                    // SAFETY: the caller has the instruction set, and both slices have so many values from the first on.
                    unsafe {
                        let values: S = load_up_to(plane.as_ptr().add(first), count);
                        write_up_to(values, stored.as_mut_ptr().add(first), count);
                    }
                }
            }
            for (x, pixel) in pixels.iter_mut().enumerate() {
                *pixel = [stored[0][x], stored[1][x], stored[2][x]];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bf16;
    use crate::testing::random_values;

    fn compare<E: Element>(isa: Isa) {
        for count in [0, 1, 15, 16, 17, 63, 64, 65, 200] {
            let planes = [1, 2, 3].map(|seed| random_values(count, seed));
            let mut pixels = vec![[E::default(); 3]; count];
            interleave(isa, [&planes[0], &planes[1], &planes[2]], &mut pixels);
            for (x, pixel) in pixels.iter().enumerate() {
                let expected = [0, 1, 2].map(|plane| E::from_f32(planes[plane][x]));
                assert_eq!(*pixel, expected, "pixel {x} of {count} on {isa}");
            }
        }
    }

    #[test]
    fn pixels_are_the_planes_values_side_by_side() {
        for isa in Isa::available() {
            compare::<f32>(isa);
            if isa.has_bf16() {
                compare::<Bf16>(isa);
            }
        }
    }
}
