//! The narrowest bands against all images at once.

use super::*;
use crate::memory::Memories;
use crate::stages::tests::random_state;
use crate::{Features, Images, Pixels, Plan, Precision};
use locam_arch::ArchName;
use locam_core::{Normalization, Size};
use locam_kernels::testing::random_values;
use locam_kernels::{Bf16, Isa};

const ARCHS: [ArchName; 5] =
    [ArchName::Resnet18, ArchName::Resnet50, ArchName::Vgg16, ArchName::Squeezenet1_1, ArchName::MobilenetV2];

/// Bands, and whether their maps are those of the whole, bit by bit.
fn compare<E: Element>(network: &Network<E>, size: Size) -> (usize, bool) {
    let pixels = random_values(3 * size.area() as usize, 11);
    let mut image = Images { count: 1, size, pixels: Pixels::Planes(&pixels) };
    let mut memory = Memory::default();
    let (extent, whole) = network.run(image, &Memories::default(), &mut memory, &mut Vec::new()).unwrap();
    let whole: Vec<f32> = whole.iter().map(|value| value.to_f32()).collect();
    assert!(whole.iter().any(|&value| value != 0.0), "nothing but zeros");

    let mut memory = Memory::default();
    let mut run = Run::new(network, &mut image, &mut memory).unwrap();
    run.flows.iter_mut().for_each(|flow| flow.band = flow.tile);
    assert_eq!(run.maps_extent(), extent);
    let (mut parts, mut values) = (0, Vec::new());
    run.finish(|rows| {
        parts += 1;
        values.extend(rows.iter().map(|value| value.to_f32()));
        Ok(())
    })
    .unwrap();
    (parts, values == whole)
}

/// Compares images of these widths and heights; of them the tall ones have many bands.
#[track_caller]
fn compare_all(name: &str, network: &Network<f32>, sizes: [(u32, u32); 4]) {
    for (width, height) in sizes {
        let (parts, same) = compare(network, Size::new(width, height));
        assert!(same, "{name} {width}x{height}");
        assert_eq!(parts > 1, height > 700, "{name} {width}x{height}: {parts} bands");
    }
}

#[test]
fn bands_are_the_whole() {
    for arch in ARCHS {
        let graph = arch.graph();
        let state = random_state(&graph);
        for isa in Isa::available() {
            let network = Network::new(isa, &graph, &state).unwrap();
            // The odd ones end within a tile, a stride and a pooled window.
            compare_all(&format!("{arch} on {isa}"), &network, [(64, 64), (97, 131), (45, 803), (33, 1366)]);
        }
    }
}

#[test]
fn bands_of_finer_maps_are_the_whole() {
    for arch in ARCHS {
        let graph = arch.graph();
        let state = random_state(&graph);
        for steps in [2, 4] {
            let network = Network::new(Isa::detect().unwrap(), &graph.finer(steps), &state).unwrap();
            let name = format!("{arch} in {steps} steps");
            compare_all(&name, &network, [(64, 64), (97, 131), (77, 803), (65, 1366)]);
        }
    }
}

/// Every `steps`-th cell is the network's own; those between are the cells of a pass over the image without as many columns and
/// rows, wherever no window reaches beyond its border.
#[test]
fn finer_maps_hold_the_networks_own_cells_and_the_shifted_ones_between_them() {
    for arch in [ArchName::Resnet18, ArchName::Squeezenet1_1, ArchName::Vgg16] {
        let graph = arch.graph();
        let state = random_state(&graph);
        let field = graph.field();
        let own = Plan::new(&graph, &state, Precision::F32).unwrap();
        let size = Size::new(2 * field.size + 3 * field.stride, field.size + 2 * field.stride + 7);
        let pixels: Vec<u8> = (0..3 * size.area()).map(|i| ((i * 2_654_435_761) >> 13) as u8).collect();
        for steps in [2, 4] {
            let plan = Plan::new(&graph.finer(steps), &state, Precision::F32).unwrap();
            let features = |plan: &Plan, left: u32, top: u32| {
                let part = Size::new(size.width - left, size.height - top);
                let rows = pixels.chunks_exact(3 * size.width as usize).skip(top as usize);
                let pixels: Vec<u8> = rows.flat_map(|row| &row[3 * left as usize..]).copied().collect();
                let pixels = Pixels::Bytes(&pixels, Normalization::Imagenet);
                plan.features(Images { count: 1, size: part, pixels }).unwrap()
            };
            let fine = features(&plan, 0, 0);
            let largest = fine.values.iter().copied().fold(0.0, f32::max);
            let mut inner = 0;
            for (row, column) in (0..steps).flat_map(|row| (0..steps).map(move |column| (row, column))) {
                let step = field.stride / steps as u32;
                let pass = features(&own, column as u32 * step, row as u32 * step);
                // Cells whose whole field lies inside the image without what is left out of it.
                let inside = |cell: usize, length: u32| {
                    let center = field.first_center.x + cell as f64 * f64::from(field.stride);
                    center > f64::from(field.size) / 2.0
                        && center + f64::from(field.size) / 2.0 < f64::from(length)
                };
                let [height, width] = [(row, size.height), (column, size.width)]
                    .map(|(phase, length)| length - phase as u32 * step);
                for y in 0..pass.extent.height {
                    for x in 0..pass.extent.width {
                        let at = |features: &Features, y: usize, x: usize| {
                            let first = (y * features.extent.width + x) * features.channels;
                            features.values[first..first + features.channels].to_vec()
                        };
                        let (found, expected) =
                            (at(&fine, y * steps + row, x * steps + column), at(&pass, y, x));
                        if (row, column) == (0, 0) {
                            assert_eq!(found, expected, "{arch} at {y}, {x}");
                        } else if inside(y, height) && inside(x, width) {
                            inner += 1;
                            let off =
                                found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                            assert!(
                                off < 1e-5 * largest,
                                "{arch} in {steps} steps at {y}, {x}: {off} of {largest}"
                            );
                        }
                    }
                }
            }
            assert!(inner >= steps * steps, "{arch}: {inner} cells see no border");
        }
    }
}

#[test]
fn bands_are_the_whole_in_bfloat16() {
    let graph = ArchName::Resnet18.graph();
    for isa in Isa::available() {
        let Ok(network) = Network::<Bf16>::new(isa, &graph, &random_state(&graph)) else {
            println!("skipped on {isa}: it has no kernels for bfloat16");
            continue;
        };
        for (width, height) in [(64, 64), (45, 1237)] {
            assert!(compare(&network, Size::new(width, height)).1, "{width}x{height} on {isa}");
        }
    }
}

#[test]
fn an_image_too_small_for_a_window_is_an_error() {
    let graph = ArchName::Squeezenet1_1.graph();
    let network = Network::<f32>::new(Isa::detect().unwrap(), &graph, &random_state(&graph)).unwrap();
    let pixels = [0.0; 3 * 4];
    let mut image = Images { count: 1, size: Size::new(2, 2), pixels: Pixels::Planes(&pixels) };
    assert!(network.run_in_bands(&mut image, &mut Memory::default(), |_, _| Ok(())).is_err());
}

/// Gives no row more than it is asked for, and refuses those beyond a limit.
struct Reluctant {
    size: Size,
    pixels: Vec<u8>,
    until: usize,
}

impl ImageRows for Reluctant {
    type Error = InferError;

    fn size(&self) -> Size {
        self.size
    }

    fn rows(&mut self, rows: Range<usize>) -> Result<(Images<'_>, usize), InferError> {
        if rows.end > self.until {
            return Err(InferError::Precision("no more rows".to_owned()));
        }
        let pitch = 3 * self.size.width as usize;
        let size = Size::new(self.size.width, rows.len() as u32);
        let pixels =
            Pixels::Bytes(&self.pixels[pitch * rows.start..pitch * rows.end], Normalization::Imagenet);
        Ok((Images { count: 1, size, pixels }, rows.start))
    }
}

#[test]
fn rows_that_come_as_needed_give_the_whole_image_s_maps() {
    let graph = ArchName::Resnet18.graph();
    let plan = Plan::new(&graph, &random_state(&graph), Precision::F32).unwrap();
    for size in [Size::new(97, 1003), Size::new(64, 64), Size::new(33, 1)] {
        let pixels: Vec<u8> = (0..3 * size.area()).map(|i| ((i * 2_654_435_761) >> 13) as u8).collect();
        let whole = Pixels::Bytes(&pixels, Normalization::Imagenet);
        let whole = plan.features(Images { count: 1, size, pixels: whole }).unwrap();
        let mut image = Reluctant { size, pixels, until: usize::MAX };
        let mut parts = Vec::new();
        let mut take = |part| {
            parts.push(part);
            Ok(())
        };
        plan.stream(&mut image, &mut take).unwrap();
        assert_eq!(parts.iter().map(|part| part.extent.height).sum::<usize>(), whole.extent.height);
        assert!(parts.iter().all(|part| part.extent.width == whole.extent.width));
        let values: Vec<f32> = parts.into_iter().flat_map(|part| part.values).collect();
        assert_eq!(values, whole.values, "{size}");

        image.until = 20;
        assert_eq!(plan.stream(&mut image, |_| Ok(())).is_err(), size.height > 20);
        let stop = |_| Err(InferError::Precision("stop".to_owned()));
        image.until = usize::MAX;
        assert!(plan.stream(&mut image, stop).unwrap_err().to_string().contains("stop"));
    }
}
