//! probe
use locam_arch::*; use locam_core::*; use locam_infer::*; use locam_step::*; use std::time::Instant;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (b, w, h): (usize, u32, u32) = (a[1].parse().unwrap(), a[2].parse().unwrap(), a[3].parse().unwrap());
    let precision: Precision = a[4].parse().unwrap();
    let arch: ArchName = a.get(5).map_or("resnet18", |s| s).parse().unwrap();
    let graph = arch.graph();
    let mut state = StateDict::new();
    for (k, shape) in graph.parameters(4) {
        let n: usize = shape.iter().product();
        let f = if shape.len() == 4 { (2.0 / (shape[1] * shape[2] * shape[3]) as f32).sqrt() } else { 0.1 };
        let v = (0..n).map(|i| if k.ends_with("running_var") { 1.0 } else if shape.len() == 1 && k.ends_with("weight") { 0.5 } else { f * (((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0) }).collect();
        state.insert(k, TensorValue::new(shape, v).unwrap());
    }
    for node in graph.nodes() { if let Op::BatchNorm { key, channels } = &node.op {
        state.insert(format!("{key}.running_mean"), TensorValue::new(vec![*channels], vec![0.1; *channels]).unwrap());
        state.insert(format!("{key}.running_var"), TensorValue::new(vec![*channels], vec![1.0; *channels]).unwrap());
    } }
    let mut t = Trainer::new(&graph, &state, 4, Optimizer::Sgd { momentum: 0.9, weight_decay: 0.0 }).unwrap(); let _ = precision;
    let px: Vec<u8> = (0..b * (w * h * 3) as usize).map(|i| (i * 31 % 251) as u8).collect();
    let im = Images { count: b, size: Size::new(w, h), pixels: Pixels::Bytes(&px, Normalization::Imagenet) };
    let mut best = f64::MAX;
    let labels: Vec<usize> = (0..b).map(|i| i % 4).collect();
    for _ in 0..5 { let s = Instant::now(); let l = t.step(im, &labels, 1e-3).unwrap(); best = best.min(s.elapsed().as_secs_f64()); let f = std::fs::read_to_string("/proc/self/stat").unwrap(); let f: Vec<&str> = f.split(' ').collect(); println!("{} {:.0} ms faults {}", l.loss, s.elapsed().as_secs_f64()*1e3, f[9]); }
    println!("{:.1} ms  {:.1} img/s", best * 1e3, b as f64 / best);
    println!("{}", std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmHWM")).unwrap());
}
