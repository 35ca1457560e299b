//! The first steps of a batch, image by image, so that what one step writes is still in the cache when the next reads it: each image
//! on one thread. Later steps, whose weights are larger than what they read and write of an image, see the whole batch, so that
//! weights are read from memory once.

use crate::chain::STEPS;
use crate::memory::Memories;
use crate::network::{Network, Step, StepTime};
use crate::places::Place;
use crate::{Images, InferError};
use locam_arch::INPUT_CHANNELS;
use locam_kernels::{Buffer, Element, Extent, on_this_thread};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Bytes that a step may read and write of an image: with those of another thread and weights they stay in a cache of 32 MB.
const MOST_BYTES: usize = 8 << 20;

/// The first steps, which take images one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Singly {
    /// How many steps.
    pub(crate) steps: usize,
    /// The one value of theirs that later steps read, or the last maps.
    pub(crate) output: Place,
    /// Its extent, of one image.
    pub(crate) extent: Extent,
}

impl<E: Element> Network<E> {
    /// The steps that take images of this size one by one, if there are any.
    pub(crate) fn singly(&self, image: Extent) -> Result<Option<Singly>, InferError> {
        let image = Extent { batch: 1, ..image };
        let (mut extents, mut found) = (vec![image; self.slots], None);
        for (number, step) in self.steps.iter().enumerate() {
            let (input, channels) =
                step.input.map_or((image, INPUT_CHANNELS), |place| (extents[place.slot], place.pitch));
            let extent = step.work.output(input)?;
            extents[step.output.slot] = extent;
            let bytes = size_of::<E>() * (input.values(channels)? + extent.values(step.output.pitch)?);
            if step.skip != [0, 0] || step.work.bytes() > bytes || bytes > MOST_BYTES {
                break;
            }
            if self.narrows[number] {
                found = Some(Singly { steps: number + 1, output: step.output, extent });
            }
        }
        Ok(found)
    }

    /// Runs these steps, which make `output` of the images. Times are as if threads shared each step.
    pub(crate) fn run_singly(
        &self,
        images: Images<'_>,
        singly: Singly,
        memories: &Memories<E>,
        output: &mut [E],
    ) -> Result<Vec<StepTime>, InferError> {
        let each = output.par_chunks_mut(output.len() / images.count).enumerate().map(|(number, output)| {
            let image = images.part(number..number + 1);
            on_this_thread(|| {
                memories.lend(|memory| {
                    memory.values.resize_with(self.slots, Buffer::default);
                    let (mut extents, mut times) = (vec![image.extent(); self.slots], Vec::new());
                    let mut step = 0;
                    while step < singly.steps {
                        let output = Some((singly.output.value, &mut *output));
                        if self.chains[step] && step + STEPS <= singly.steps {
                            self.run_chain(step, memory, &mut extents, output, &mut times)?;
                            step += STEPS;
                        } else {
                            self.run_steps(step..step + 1, image, memory, &mut extents, output, &mut times)?;
                            step += 1;
                        }
                    }
                    Ok(times)
                })
            })
        });
        let mut each = each.collect::<Result<Vec<Vec<StepTime>>, InferError>>()?.into_iter();
        let mut total = each.next().unwrap_or_default();
        for times in each {
            for (total, time) in total.iter_mut().zip(times) {
                total.seconds += time.seconds;
                total.multiply_adds += time.multiply_adds;
            }
        }
        let threads = rayon::current_num_threads().min(images.count) as f64;
        for time in &mut total {
            time.seconds /= threads;
        }
        Ok(total)
    }
}

/// Per step whether its output is all that later steps, or the last maps, read of what it and those before it made.
pub(crate) fn narrows<E>(steps: &[Step<E>], maps: &[Place]) -> Vec<bool> {
    let is_narrow = |number: usize| {
        let (before, after) = steps.split_at(number + 1);
        let read = after.iter().flat_map(Step::reads).chain(maps.iter().copied());
        let values: BTreeSet<usize> = read.map(|place| place.value).collect();
        let output = steps[number].output.value;
        before.iter().map(|step| step.output.value).all(|made| made == output || !values.contains(&made))
    };
    (0..steps.len()).map(is_narrow).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pixels;
    use crate::memory::Memory;
    use crate::stages::tests::random_state;
    use locam_arch::ArchName;
    use locam_core::Size;
    use locam_kernels::testing::random_values;
    use locam_kernels::{Bf16, Isa};

    fn network<E: Element>(arch: ArchName, isa: Isa) -> Network<E> {
        let graph = arch.graph();
        Network::new(isa, &graph, &random_state(&graph)).unwrap()
    }

    /// The last maps of four images, and the times of all steps.
    fn maps<E: Element>(network: &Network<E>, size: Size, threads: usize) -> (Vec<f32>, Vec<StepTime>) {
        let pixels = random_values(4 * 3 * size.area() as usize, 11);
        let images = Images { count: 4, size, pixels: Pixels::Planes(&pixels) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (mut memory, mut times) = (Memory::default(), Vec::new());
            let (_, maps) = network.run(images, &Memories::default(), &mut memory, &mut times).unwrap();
            (maps.iter().map(|value| value.to_f32()).collect(), times)
        })
    }

    /// Demands that images one by one have the maps of the batch at once, which more threads than images see.
    fn compare<E: Element>(arch: ArchName, isa: Isa) {
        let network = network::<E>(arch, isa);
        for size in [Size::new(97, 131), Size::new(64, 64)] {
            let (whole, times) = maps(&network, size, 5);
            assert!(whole.iter().any(|&value| value != 0.0), "nothing but zeros");
            for threads in [1, 3] {
                let (singly, shared) = maps(&network, size, threads);
                assert!(singly == whole, "{arch} on {isa}, {size}, {threads} threads");
                let counted = |times: &[StepTime]| -> Vec<(String, u64)> {
                    times.iter().map(|time| (time.name.clone(), time.multiply_adds)).collect()
                };
                assert_eq!(counted(&shared), counted(&times));
            }
        }
    }

    #[test]
    fn images_one_by_one_have_the_maps_of_the_batch() {
        for arch in [ArchName::Resnet18, ArchName::Resnet50, ArchName::Squeezenet1_1, ArchName::MobilenetV2] {
            for isa in Isa::available() {
                compare::<f32>(arch, isa);
                if isa.has_bf16() {
                    compare::<Bf16>(arch, isa);
                }
            }
        }
    }

    #[test]
    fn steps_take_images_one_by_one_while_they_are_larger_than_the_weights() {
        let steps = |arch, side| {
            let network = network::<f32>(arch, Isa::PORTABLE);
            let found = network.singly(Extent { batch: 9, height: side, width: side }).unwrap();
            found.map(|singly| network.steps[singly.steps - 1].name.clone())
        };
        assert_eq!(steps(ArchName::Resnet18, 224).as_deref(), Some("layer1.1.conv2"));
        assert_eq!(steps(ArchName::MobilenetV2, 224).as_deref(), Some("features.14.conv.1.0"));
        assert_eq!(steps(ArchName::MobilenetV2, 1000), None, "images beyond the cache");
        assert_eq!(steps(ArchName::Vgg16, 224), None, "images beyond the cache");
    }
}
