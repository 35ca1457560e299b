//! Convolutions of which one reads what the one before made, and nobody else does: in an inverted residual block (Sandler et al.,
//! "MobileNetV2", 2018, <https://arxiv.org/abs/1801.04381>) these values are six times as many as those that come in and go out. So
//! rows of one image go through all three of the block while they are in the second-level cache.

use crate::InferError;
use crate::bands::{Window, covered};
use crate::memory::Memory;
use crate::network::{Network, Step, StepTime, target};
use crate::places::Place;
use locam_kernels::{Band, ConvParams, Element, Extent};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Bytes of the widest values that a band has: with what is made of them they fill half of a small second-level cache.
const BAND_BYTES: usize = 256 << 10;

/// How many convolutions: one to more channels, one of each channel by itself, and one to fewer.
pub(crate) const STEPS: usize = 3;

/// Per step whether a chain begins with it.
pub(crate) fn chains<E: Element>(steps: &[Step<E>], maps: &[Place]) -> Vec<bool> {
    let has = |step: &Step<E>, fits: fn(ConvParams) -> bool| step.work.params().is_some_and(fits);
    let is_pointwise = |step: &Step<E>| {
        has(step, |ConvParams { kernel, stride, padding, .. }| (kernel, stride, padding) == (1, 1, 0))
    };
    let is_depthwise =
        |step: &Step<E>| has(step, |params| params.is_depthwise() && params.stride <= params.kernel);
    let readers = |made: Place| {
        let read = steps.iter().flat_map(Step::reads).chain(maps.iter().copied());
        read.filter(|place| place.value == made.value).count()
    };
    let begins = |number: usize| {
        let Some([expand, depthwise, project]) = steps[number..].first_chunk() else { return false };
        let passes = |from: &Step<E>, to: &Step<E>| {
            to.input == Some(from.output) && to.skip == [0, 0] && readers(from.output) == 1
        };
        // Images have their padding around them, and what is written while the first is still read needs a place of its own.
        let apart = expand.input.is_some_and(|place| place.slot != project.output.slot);
        let added = expand.residual.is_some() || depthwise.residual.is_some();
        is_pointwise(expand)
            && is_depthwise(depthwise)
            && is_pointwise(project)
            && passes(expand, depthwise)
            && passes(depthwise, project)
            && expand.skip == [0, 0]
            && apart
            && !added
    };
    (0..steps.len()).map(begins).collect()
}

impl<E: Element> Network<E> {
    /// Runs the chain that begins with a step on one image. The value that `elsewhere` names is written there.
    pub(crate) fn run_chain(
        &self,
        begin: usize,
        memory: &mut Memory<E>,
        extents: &mut [Extent],
        elsewhere: Option<(usize, &mut [E])>,
        times: &mut Vec<StepTime>,
    ) -> Result<(), InferError> {
        let Memory { values: slots, bands, workspace, .. } = memory;
        let steps: [&Step<E>; STEPS] = std::array::from_fn(|i| &self.steps[begin + i]);
        let [expand, depthwise, project] = steps;
        let (Some(from), Some(params)) = (expand.input, depthwise.work.params()) else {
            unreachable!("a chain begins with a convolution of maps and has a depthwise one")
        };
        let input = extents[from.slot];
        let output = depthwise.work.output(input)?;
        let mut own = std::mem::take(&mut slots[project.output.slot]);
        let made = target(project.output, output, &mut own, elsewhere)?;
        let (wide, narrow) = (input.width * expand.output.pitch, output.width * depthwise.output.pitch);
        let rows = (BAND_BYTES / (wide * params.stride * size_of::<E>()).max(1)).clamp(1, output.height);
        let room = rows * params.stride + params.kernel;
        bands.resize(room * wide + rows * narrow);
        let (values, between) = bands.split_at_mut(room * wide);
        let mut window = Window { base: 0, end: 0, room, row_values: wide, values };
        let mut took = [Duration::ZERO; STEPS];
        for first in (0..output.height).step_by(rows) {
            let rows = first..output.height.min(first + rows);
            let (read, above) =
                covered(rows.clone(), params.kernel, params.stride, params.padding, input.height);
            let begun = Instant::now();
            let fresh = window.end..read.end;
            if !fresh.is_empty() {
                window.advance(read.start, read.end);
                let from = &slots[from.slot][part(&fresh, input.width * from.pitch)];
                let to = window.range(fresh.clone());
                expand.run(self.isa, alone(input, &fresh), from, None, &mut window.values[to], workspace)?;
            }
            let expanded = Instant::now();
            let between = &mut between[..rows.len() * narrow];
            let band = Band { above, rows: rows.len() };
            let extent = Extent { height: read.len(), ..input };
            depthwise.run(self.isa, (extent, band), window.rows(read), None, between, workspace)?;
            let convolved = Instant::now();
            let to = part(&rows, output.width * project.output.pitch);
            let added = |place: Place| &slots[place.slot][part(&rows, output.width * place.pitch)];
            let residual = project.residual.map(added);
            project.run(self.isa, alone(output, &rows), between, residual, &mut made[to], workspace)?;
            let times = [expanded - begun, convolved - expanded, convolved.elapsed()];
            took.iter_mut().zip(times).for_each(|(took, time)| *took += time);
        }
        for ((step, extent), took) in steps.into_iter().zip([input, input, output]).zip(took) {
            times.push(step.time(extent, took));
        }
        (slots[project.output.slot], extents[project.output.slot]) = (own, output);
        Ok(())
    }
}

/// Some rows of an image as one of their own, for a window of one pixel.
fn alone(extent: Extent, rows: &Range<usize>) -> (Extent, Band) {
    (Extent { height: rows.len(), ..extent }, Band { above: 0, rows: rows.len() })
}

/// The values of some rows, each of so many.
fn part(rows: &Range<usize>, values: usize) -> Range<usize> {
    rows.start * values..rows.end * values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::tests::random_state;
    use locam_arch::ArchName;
    use locam_kernels::Isa;

    fn chains_of(arch: ArchName) -> Vec<String> {
        let graph = arch.graph();
        let network = Network::<f32>::new(Isa::PORTABLE, &graph, &random_state(&graph)).unwrap();
        let begins = network.steps.iter().zip(&network.chains).filter(|(_, begins)| **begins);
        begins.map(|(step, _)| step.name.clone()).collect()
    }

    #[test]
    fn every_block_of_mobilenet_that_expands_is_a_chain() {
        let expected: Vec<String> = (2..=17).map(|block| format!("features.{block}.conv.0.0")).collect();
        assert_eq!(chains_of(ArchName::MobilenetV2), expected);
        for arch in [ArchName::Resnet18, ArchName::Resnet50, ArchName::Squeezenet1_1, ArchName::Vgg16] {
            assert_eq!(chains_of(arch), Vec::<String>::new(), "{arch}");
        }
    }
}
