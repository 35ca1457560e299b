//! Winograd's transforms for windows of 3 and 4 taps (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016,
//! <https://arxiv.org/abs/1509.09308>), along one axis; two axes are one after the other.
//!
//! The long form evaluates polynomials at 0, a, -a, b, -b and infinity, the short one at the same without -b: with 3
//! taps they are F(4, 3) and F(3, 3). All scaling of the short form is in the transform of the input, so that both use
//! the same transformed weights: the short one leaves out position [`LONG_ONLY`](super::tiles::LONG_ONLY). The input's
//! transform depends on the points alone, not on the taps.
//!
//! With a = 5/8 and b = 3/2 rounding errors come out half as large as with the usual 1 and 2: 8e-7 of the output's
//! deviation in `f32`, and 0.010 instead of 0.020 where the points are bfloat16 (128 channels, normal values).

use super::tiles::POINTS;
use crate::simd::Simd;

const A: f32 = 0.625;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;

/// Position of each point of a transform of `N` points.
#[inline(always)]
pub(crate) const fn position<const N: usize>(point: usize) -> usize {
    if N == POINTS || point < 4 { point } else { 5 }
}

/// What lies across columns, at one place of each. A loop and no closure, so that it is compiled with its caller's instruction
/// set.
#[inline(always)]
pub(crate) fn across<S: Copy, const Y: usize, const X: usize>(columns: &[[S; Y]; X], y: usize) -> [S; X] {
    let mut row = [columns[0][y]; X];
    for (value, column) in row.iter_mut().zip(columns) {
        *value = column[y];
    }
    row
}

/// Input pixels to points: B^T d. `N` is 6 or 5.
#[inline(always)]
pub(crate) unsafe fn input<S: Simd, const N: usize>(d: [S; N]) -> [S; N] {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let k = |value: f32| S::splat(value);
        let mut t = d;
        if N == POINTS {
            let ends =
                |low: S, middle: S, high: S| k(A2 * B2).mul_add(low, k(-A2 - B2).mul_add(middle, high));
            t[0] = ends(d[0], d[2], d[4]);
            let (even, odd) = (k(-B2).mul_add(d[2], d[4]), k(-B2).mul_add(d[1], d[3]));
            t[1] = k(A).mul_add(odd, even);
            t[2] = k(-A).mul_add(odd, even);
            let (even, odd) = (k(-A2).mul_add(d[2], d[4]), k(-A2).mul_add(d[1], d[3]));
            t[3] = k(B).mul_add(odd, even);
            t[4] = k(-B).mul_add(odd, even);
            t[N - 1] = ends(d[1], d[3], d[N - 1]);
        } else {
            // x (x - a) (x + a) (x - b) without one factor each, times what the long form's weights have more.
            let without_zero = k(A2).mul_add(k(B).mul(d[0]).sub(d[1]), k(-B).mul_add(d[2], d[3]));
            t[0] = k(B).mul(without_zero);
            t[1] = k(A + B).mul(k(-A * B).mul_add(d[1], k(A - B).mul_add(d[2], d[3])));
            t[2] = k(B - A).mul(k(A * B).mul_add(d[1], k(-A - B).mul_add(d[2], d[3])));
            t[3] = k(2.0 * B).mul(k(-A2).mul_add(d[1], d[3]));
            t[N - 1] = k(A2).mul_add(k(B).mul(d[1]).sub(d[2]), k(-B).mul_add(d[3], d[4]));
        }
        t
    }
}

/// Points to output pixels: A^T m. `N` points give `M` pixels, 7 less than the taps for the long form and 6 less for
/// the short one.
#[inline(always)]
pub(crate) unsafe fn output<S: Simd, const N: usize, const M: usize>(m: [S; N]) -> [S; M] {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let k = |value: f32| S::splat(value);
        let mut y = [m[0]; M];
        let (sum, difference) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (sum2, difference2) = if N == POINTS { (m[3].add(m[4]), m[3].sub(m[4])) } else { (m[3], m[3]) };
        y[0] = m[0].add(sum).add(sum2);
        let (mut a, mut b) = (A, B);
        for (i, y) in y.iter_mut().enumerate().skip(1) {
            let (of_a, of_b) = if i % 2 == 0 { (sum, sum2) } else { (difference, difference2) };
            let first = if i == M - 1 { k(a).mul_add(of_a, m[N - 1]) } else { k(a).mul(of_a) };
            *y = k(b).mul_add(of_b, first);
            (a, b) = (a * A, b * B);
        }
        y
    }
}

/// Output pixels to points, the other way round: A y. The adjoint of [`output`], for gradients.
#[inline(always)]
pub(crate) unsafe fn output_adjoint<S: Simd, const N: usize, const M: usize>(y: [S; M]) -> [S; N] {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let mut m = [y[0]; N];
        (m[1], m[2]) = both_signs(A, y);
        let (b, minus_b) = both_signs(B, y);
        m[3] = b;
        if N == POINTS {
            m[4] = minus_b;
        }
        m[N - 1] = y[M - 1];
        m
    }
}

/// A polynomial at a point and at its negative.
#[inline(always)]
unsafe fn both_signs<S: Simd, const M: usize>(point: f32, factors: [S; M]) -> (S, S) {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let k = |value: f32| S::splat(value);
        let (mut even, mut odd) = (factors[0], factors[1]);
        let mut power = 1.0;
        for (i, &factor) in factors.iter().enumerate().skip(2) {
            let sum = if i % 2 == 0 { &mut even } else { &mut odd };
            power *= if i % 2 == 0 { point * point } else { 1.0 };
            *sum = k(power).mul_add(factor, *sum);
        }
        (k(point).mul_add(odd, even), k(-point).mul_add(odd, even))
    }
}

/// Weights to points: G g.
#[inline(always)]
pub(crate) unsafe fn weights<S: Simd, const T: usize>(g: [S; T]) -> [S; POINTS] {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let k = |value: f32| S::splat(value);
        let pair = |p: f32, scale: f32| {
            let (plus, minus) = both_signs(p, g);
            (k(scale).mul(plus), k(scale).mul(minus))
        };
        let (a, minus_a) = pair(A, SCALE_A);
        let (b, minus_b) = pair(B, SCALE_B);
        [k(SCALE_0).mul(g[0]), a, minus_a, b, minus_b, g[T - 1]]
    }
}

/// Points to weights, the other way round: G^T u. The adjoint of [`weights`], for gradients.
#[inline(always)]
pub(crate) unsafe fn weights_adjoint<S: Simd, const T: usize>(u: [S; POINTS]) -> [S; T] {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let k = |value: f32| S::splat(value);
        let (sum, difference) = (k(SCALE_A).mul(u[1].add(u[2])), k(SCALE_A).mul(u[1].sub(u[2])));
        let (sum2, difference2) = (k(SCALE_B).mul(u[3].add(u[4])), k(SCALE_B).mul(u[3].sub(u[4])));
        let mut g = [k(SCALE_0).mul_add(u[0], sum.add(sum2)); T];
        let (mut a, mut b) = (A, B);
        for (i, g) in g.iter_mut().enumerate().skip(1) {
            let (of_a, of_b) = if i % 2 == 0 { (sum, sum2) } else { (difference, difference2) };
            let first = if i == T - 1 { k(a).mul_add(of_a, u[5]) } else { k(a).mul(of_a) };
            *g = k(b).mul_add(of_b, first);
            (a, b) = (a * A, b * B);
        }
        g
    }
}

/// One over the product of a point's distances to the other ones.
const SCALE_0: f32 = 1.0 / (A2 * B2);
const SCALE_A: f32 = 1.0 / (2.0 * A2 * (A2 - B2));
const SCALE_B: f32 = 1.0 / (2.0 * B2 * (B2 - A2));
