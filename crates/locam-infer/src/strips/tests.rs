//! Strips against the whole image.

use super::*;
use crate::memory::Memory;
use crate::stages::tests::random_state;
use crate::{Images, Pixels};
use locam_arch::ArchName;
use locam_kernels::testing::random_values;
use locam_kernels::{Bf16, Isa};

/// These columns of an image in planes.
fn cut(pixels: &[f32], size: Size, columns: &Range<u32>) -> Vec<f32> {
    let range = columns.start as usize..columns.end as usize;
    pixels.chunks_exact(size.width as usize).flat_map(|row| &row[range.clone()]).copied().collect()
}

/// The last feature maps of an image in planes, and their extent.
pub(crate) fn maps<E: Element>(network: &Network<E>, pixels: &[f32], size: Size) -> (Extent, Vec<f32>) {
    let mut image = Images { count: 1, size, pixels: Pixels::Planes(pixels) };
    let mut values = Vec::new();
    let ready = |_, rows: &[E]| {
        values.extend(rows.iter().map(|value| value.to_f32()));
        Ok(())
    };
    let (extent, _) = network.run_in_bands(&mut image, &mut Memory::default(), ready).unwrap();
    (extent, values)
}

/// The number of strips from one to the next so many columns at most; panics where their maps are not those of the whole, bit by bit.
#[track_caller]
fn compare<E: Element>(name: &str, network: &Network<E>, size: Size, columns: u32) -> usize {
    let pixels = random_values(3 * size.area() as usize, 11);
    let (extent, whole) = maps(network, &pixels, size);
    let channels = whole.len() / extent.pixels();
    let strips = network.strips_of(size, columns as usize).unwrap();
    let mut next = 0;
    for strip in &strips {
        assert_eq!(strip.map.start, next, "{name} {size}");
        next = strip.map.end;
        let part = Size::new(strip.input.len() as u32, size.height);
        let (found_extent, found) = maps(network, &cut(&pixels, size, &strip.input), part);
        for row in 0..extent.height {
            let range = |width: usize, first: u32| {
                let first = (row * width + first as usize) * channels;
                first..first + strip.map.len() * channels
            };
            let same =
                whole[range(extent.width, strip.map.start)] == found[range(found_extent.width, strip.skip)];
            assert!(same, "{name} {size}: row {row} of {strip:?}");
        }
    }
    assert_eq!(next as usize, extent.width, "{name} {size}");
    strips.len()
}

#[test]
fn strips_are_the_whole() {
    let best = Isa::detect().unwrap();
    for arch in [
        ArchName::Resnet18,
        ArchName::Resnet50,
        ArchName::Vgg16,
        ArchName::Squeezenet1_1,
        ArchName::MobilenetV2,
    ] {
        let graph = arch.graph();
        let state = random_state(&graph);
        for (isa, steps) in Isa::available().into_iter().map(|isa| (isa, 1)).chain([(best, 2), (best, 4)]) {
            let network = Network::<f32>::new(isa, &graph.finer(steps), &state).unwrap();
            let columns = (network.alignment(Axis::Columns).0 as u32).max(448);
            // Odd ones end within a tile, a stride and a pooled window, and right behind a strip's beginning.
            let sizes = [(columns + 1023, 69), (2 * columns + 5, 65), (columns + 731, 96), (columns, 77)];
            // Where values lie does not depend on the instruction set, only how they are summed.
            let sizes = if isa == best && steps == 1 { &sizes[..] } else { &sizes[..1] };
            for &(width, height) in sizes {
                let strips = compare(
                    &format!("{arch} on {isa} in {steps} steps"),
                    &network,
                    Size::new(width, height),
                    columns,
                );
                // What is left behind a second strip's beginning may be no more than what it loses.
                assert!(strips > 1 || width < columns + 1000, "{arch} {width}x{height}: one strip");
            }
        }
    }
}

#[test]
fn strips_of_every_width_are_the_whole() {
    let graph = ArchName::Squeezenet1_1.graph();
    let network = Network::<f32>::new(Isa::detect().unwrap(), &graph, &random_state(&graph)).unwrap();
    for width in 1100..1170 {
        assert!(compare("SqueezeNet", &network, Size::new(width, 35), 448) > 1);
    }
}

#[test]
fn strips_are_the_whole_in_bfloat16() {
    let graph = ArchName::Resnet18.graph();
    for isa in Isa::available() {
        let Ok(network) = Network::<Bf16>::new(isa, &graph, &random_state(&graph)) else {
            println!("skipped on {isa}: it has no kernels for bfloat16");
            continue;
        };
        let columns = network.alignment(Axis::Columns).0 as u32;
        assert!(compare("bfloat16", &network, Size::new(2 * columns + 901, 40), columns) > 1);
    }
}

#[test]
fn strips_grow_only_by_what_their_edges_lose() {
    let graph = ArchName::Resnet18.graph();
    let network = Network::<f32>::new(Isa::detect().unwrap(), &graph, &random_state(&graph)).unwrap();
    let size = Size::new(100_000, 100_000);
    let strips = network.strips(size).unwrap();
    let read: usize = strips.iter().map(|strip| strip.input.len()).sum();
    assert!(read < 107_000, "{read} columns are read");
    assert!(strips.iter().all(|strip| strip.input.len() < STRIP_COLUMNS + 1600), "{strips:?}");
}
