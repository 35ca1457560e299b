//! After the first step a trainer asks the system for no more memory.
#![cfg(target_os = "linux")]

use locam_arch::{ArchName, StateDict, TensorValue};
use locam_core::Size;
use locam_infer::{Images, Pixels};
use locam_kernels::testing::random_values;
use locam_kernels::{Bf16, Element, Isa};
use locam_step::{CrossEntropy, Optimizer, Trainer};

/// Pages that this process was given so far, by `/proc/self/stat` (proc(5)): the eighth field after the name.
fn page_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    after_name.split_whitespace().nth(7).unwrap().parse().unwrap()
}

#[test]
fn the_system_is_asked_for_memory_in_the_first_step_alone() {
    check::<f32>();
    if Isa::detect().unwrap().has_bf16() {
        check::<Bf16>();
    } else {
        println!("bfloat16 is skipped: this CPU has no AVX512-BF16");
    }
}

fn check<E: Element>() {
    let graph = ArchName::Resnet18.graph();
    let state: StateDict = graph
        .state_shapes(2)
        .into_iter()
        .map(|(key, shape)| {
            let data = vec![0.01; shape.iter().product()];
            (key, TensorValue { shape, data })
        })
        .collect();
    let optimizer = Optimizer::Sgd { momentum: 0.9, weight_decay: 0.0 };
    let mut trainer = Trainer::<E>::new(&graph, &state, 2, optimizer).unwrap();
    let size = Size::new(96, 96);
    let pixels = random_values(8 * 3 * size.area() as usize, 1);
    let images = Images { count: 8, size, pixels: Pixels::Planes(&pixels) };
    let targets = CrossEntropy::plain(2).targets_of_labels(&[0, 1, 0, 1, 0, 1, 0, 1]);
    let mut faults = || {
        let before = page_faults();
        trainer.step(images, &targets, 1e-3).unwrap();
        page_faults() - before
    };
    let first = faults();
    // A thread that had no task in the first step takes its scratch memory in the second one.
    faults();
    let later: u64 = (0..5).map(|_| faults()).sum();
    assert!(first > 1000, "the first step takes memory: {first} pages");
    assert!(later < 5 * 50, "five later steps took {later} pages, the first one {first}");
}
