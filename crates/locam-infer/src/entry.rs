//! Where a pass over an image goes on whose first rows of the last feature maps are known from an earlier one.

use crate::InferError;
use crate::network::Network;
use crate::trace::Axis;
use locam_core::Size;
use locam_kernels::{Element, Extent};

/// A row of an image at which a pass may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The row of the image.
    pub row: u32,
    /// Rows of the last feature maps to drop: what the pass makes before those that are wanted.
    pub skip: u32,
}

impl<E: Element> Network<E> {
    /// The last row at which a pass may begin that is to give all but the first `known` rows of the last feature maps.
    pub(crate) fn entry(&self, size: Size, known: u32) -> Result<Entry, InferError> {
        let extent = Extent { batch: 1, height: size.height as usize, width: size.width as usize };
        let whole = self.trace(extent, Axis::Rows, 0..extent.height)?;
        let wanted = (known as usize).min(whole.exact.end)..whole.exact.end;
        let (unit, stride) = self.alignment(Axis::Rows);
        for row in (unit..extent.height.min(wanted.start * stride + 1)).step_by(unit).rev() {
            match self.trace(extent, Axis::Rows, row..extent.height) {
                Ok(trace) if trace.exact.start <= wanted.start && trace.exact.end == wanted.end => {
                    return Ok(Entry { row: row as u32, skip: (wanted.start - trace.start) as u32 });
                }
                // Too near to the rows that are wanted, or too low for a window.
                _ => {}
            }
        }
        Ok(Entry { row: 0, skip: wanted.start as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::tests::random_state;
    use crate::strips::tests::maps;
    use locam_arch::ArchName;
    use locam_kernels::testing::random_values;
    use locam_kernels::{Bf16, Isa};

    /// Rows of an image in planes, from one on.
    fn below(pixels: &[f32], size: Size, row: u32) -> Vec<f32> {
        let planes = pixels.chunks_exact(size.area() as usize);
        planes.flat_map(|plane| &plane[(row * size.width) as usize..]).copied().collect()
    }

    /// The different rows at which passes begin, whatever is known; panics where one of them gives other values.
    #[track_caller]
    fn entries<E: Element>(name: &str, network: &Network<E>, size: Size) -> Vec<u32> {
        let pixels = random_values(3 * size.area() as usize, 5);
        let (extent, whole) = maps(network, &pixels, size);
        let of_row = whole.len() / extent.height;
        let (mut rows, mut found) = (Vec::new(), whole.clone());
        for known in 0..=extent.height {
            let Entry { row, skip } = network.entry(size, known as u32).unwrap();
            if rows.last() != Some(&row) {
                let part = Size::new(size.width, size.height - row);
                found = maps(network, &below(&pixels, size, row), part).1;
                rows.push(row);
            }
            let same = whole[known * of_row..] == found[skip as usize * of_row..];
            assert!(same, "{name} {size}: {known} rows are known, begun at {row}");
        }
        rows
    }

    #[test]
    fn a_pass_that_goes_on_gives_the_rows_of_the_whole() {
        for arch in [
            ArchName::Resnet18,
            ArchName::Resnet50,
            ArchName::Vgg16,
            ArchName::Squeezenet1_1,
            ArchName::MobilenetV2,
        ] {
            let graph = arch.graph();
            let state = random_state(&graph);
            let best = Isa::detect().unwrap();
            // Where values lie does not depend on the instruction set, only how they are summed.
            let isas = if arch == ArchName::Resnet18 { Isa::available() } else { vec![best] };
            for (isa, steps) in isas.into_iter().map(|isa| (isa, 1)).chain([(best, 2), (best, 4)]) {
                let network = Network::<f32>::new(isa, &graph.finer(steps), &state).unwrap();
                let unit = network.alignment(Axis::Rows).0 as u32;
                // They end within a tile, a stride and a pooled window.
                let sizes = [(69, unit + 1621), (96, 2 * unit + 1500)];
                for &(width, height) in if isa == best && steps == 1 { &sizes[..] } else { &sizes[..1] } {
                    let rows = entries(
                        &format!("{arch} on {isa} in {steps} steps"),
                        &network,
                        Size::new(width, height),
                    );
                    assert!(rows[0] == 0 && rows.iter().all(|row| row % unit == 0), "{arch}: {rows:?}");
                    assert!(rows.len() as u32 > height / (unit + 1621), "{arch} {width}x{height}: {rows:?}");
                }
            }
        }
    }

    #[test]
    fn a_pass_goes_on_not_far_above_what_is_missing() {
        let graph = ArchName::Resnet18.graph();
        let network = Network::<f32>::new(Isa::detect().unwrap(), &graph, &random_state(&graph)).unwrap();
        let size = Size::new(1000, 100_000);
        let above = |known: u32| 32 * known - network.entry(size, known).unwrap().row;
        let most = (100..3100).step_by(11).map(above).max().unwrap();
        assert!(most < 1600, "{most} rows are computed again");
    }

    #[test]
    fn heights_of_every_kind_go_on_alike() {
        let graph = ArchName::Squeezenet1_1.graph();
        let network = Network::<f32>::new(Isa::detect().unwrap(), &graph, &random_state(&graph)).unwrap();
        for height in 1300..1370 {
            assert!(entries("SqueezeNet", &network, Size::new(35, height)).len() > 1, "{height}");
        }
    }

    #[test]
    fn passes_go_on_in_bfloat16() {
        let graph = ArchName::Resnet18.graph();
        for isa in Isa::available() {
            let Ok(network) = Network::<Bf16>::new(isa, &graph, &random_state(&graph)) else {
                println!("skipped on {isa}: it has no kernels for bfloat16");
                continue;
            };
            let unit = network.alignment(Axis::Rows).0 as u32;
            assert!(entries("bfloat16", &network, Size::new(40, unit + 1901)).len() > 1);
        }
    }
}
