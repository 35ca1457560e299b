use crate::amx::measured_rate;
use crate::isa::Kernel;
use crate::simd::Simd;
use crate::{Element, Isa};
use std::hint::black_box;
use std::time::Instant;

/// Multiplications and additions a second that the threads of the current rayon pool reach together where nothing is
/// read from memory: the limit of every kernel on values stored as `E`. The best of several short runs.
pub fn measured_peak<E: Element>(isa: Isa) -> f64 {
    let run = || {
        let each: Vec<f64> = rayon::broadcast(|_| {
            if isa.has_tiles_of::<E>() {
                // SAFETY: the instruction set is proof that they are here.
                return unsafe { measured_rate() };
            }
            let mut rate = 0.0;
            E::run(isa, PeakTask { rate: &mut rate });
            rate
        });
        each.iter().sum()
    };
    (0..8).map(|_| run()).fold(0.0, f64::max)
}

struct PeakTask<'a> {
    rate: &'a mut f64,
}

impl<E: Element> Kernel<E> for PeakTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd<Stored = E>, const R: usize, const V: usize>(self) {
        const ROUNDS: usize = 1_000_000;
        // SAFETY: the caller has the instruction set; the last store has room for a vector.
        unsafe {
            let mut sums = [[S::splat(black_box(0.0)); V]; R];
            let factor = S::splat(black_box(0.5));
            let start = Instant::now();
            for _ in 0..ROUNDS {
                for sum in sums.as_flattened_mut() {
                    *sum = sum.dot(factor, factor);
                }
            }
            let seconds = start.elapsed().as_secs_f64();
            let mut total = S::zero();
            for &sum in sums.as_flattened() {
                total = total.add(sum);
            }
            let mut values = [0f32; 16];
            total.store(values.as_mut_ptr());
            black_box(values);
            *self.rate = (2 * ROUNDS * R * V * S::LANES * S::PER_WORD) as f64 / seconds;
        }
    }
}
