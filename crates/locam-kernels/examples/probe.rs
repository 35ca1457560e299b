//! probe
use locam_kernels::*;
use std::time::Instant;
fn run<E: Element>(isa: Isa, name: &str, batch: usize, hw: usize, cin: usize, cout: usize, k: usize, s: usize, alg: Algorithm) {
    let p = ConvParams { channels_in: cin, channels_out: cout, kernel: k, stride: s, padding: k / 2, groups: 1 };
    let e = Extent { batch, height: hw, width: hw };
    let out = p.output(e).unwrap();
    let read = if alg == Algorithm::Rows { p.padded(e) } else { e };
    let extra = if alg == Algorithm::Rows && size_of::<E>() == 2 { 1 } else { 0 };
    let mut x = Buffer::<E>::zeroed(read.pixels() * cin + extra);
    for (i, v) in x.iter_mut().enumerate() { *v = E::from_f32(((i * 7919 % 1000) as f32 - 500.0) / 500.0); }
    let w: Vec<f32> = (0..p.weight_len()).map(|i| ((i * 104729 % 1000) as f32 - 500.0) / 5000.0).collect();
    let conv = Convolution::<E>::new(isa, p, alg, &w).unwrap();
    let mut y = Buffer::<E>::zeroed(out.pixels() * cout);
    let mut ws = Buffer::zeroed(0);
    let bias = vec![0.1; cout];
    let mut best = f64::MAX;
    for _ in 0..6 {
        let t = Instant::now();
        let o = Output { bias: Some(&bias), activation: Activation::Relu, ..Output::plain(&mut y, cout) };
        conv.run(e, &x, o, &mut ws).unwrap();
        best = best.min(t.elapsed().as_secs_f64());
    }
    let macs = p.multiply_adds(out) as f64;
    println!("{name:20} {alg:?} {:6.2} ms  {:.0} GF/s", best * 1e3, macs * 2.0 / best / 1e9);
}
fn all<E: Element>(isa: Isa, b: usize) {
    use Algorithm::*;
    run::<E>(isa, "conv1", b, 224, 3, 64, 7, 2, Rows);
    for (hw, c) in [(56, 64), (28, 128), (14, 256), (7, 512)] {
        run::<E>(isa, &format!("3x3 {c}"), b, hw, c, c, 3, 1, Winograd);
        run::<E>(isa, &format!("3x3 {c}"), b, hw, c, c, 3, 1, Direct);
        if c < 512 {
            run::<E>(isa, &format!("3x3s2 {c}"), b, hw, c, 2 * c, 3, 2, Direct);
            run::<E>(isa, &format!("1x1s2 {c}"), b, hw, c, 2 * c, 1, 2, Direct);
        }
    }
}
fn main() {
    let isa = Isa::detect().unwrap();
    println!("{isa}");
    all::<f32>(isa, 32);
    if isa.has_bf16() { println!("bf16"); all::<Bf16>(isa, 32); }
}
