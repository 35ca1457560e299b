//! Passes that go on from the rows of an earlier one.

use crate::identities::model;
use locam_arch::ArchName;
use locam_core::Size;
use locam_net::{
    ChannelChoice, Compute, ImageMaps, KeptRows, NetError, Precision, Predictor, RgbRows, WholeImage,
    class_maps,
};
use std::ops::Range;
use std::sync::Mutex;

/// The values that an earlier pass has left, by strip, and those that a pass adds.
#[derive(Default)]
struct InMemory {
    left: Mutex<std::vec::IntoIter<Vec<f32>>>,
    added: Mutex<Vec<Vec<f32>>>,
}

impl InMemory {
    fn with(left: Vec<Vec<f32>>) -> Self {
        Self { left: Mutex::new(left.into_iter()), added: Mutex::default() }
    }
}

impl KeptRows for InMemory {
    fn next_strip(&self) -> Vec<f32> {
        self.added.lock().unwrap().push(Vec::new());
        self.left.lock().unwrap().next().unwrap_or_default()
    }

    fn add(&self, values: &[f32]) {
        self.added.lock().unwrap().last_mut().unwrap().extend(values);
    }
}

/// A whole image that knows which of its rows was asked for first.
struct Asked<'a> {
    image: WholeImage<'a>,
    first: Option<usize>,
}

impl RgbRows for Asked<'_> {
    type Error = NetError;

    fn size(&self) -> Size {
        self.image.size()
    }

    fn select(&mut self, columns: Range<u32>) -> Result<(), NetError> {
        self.image.select(columns)
    }

    fn rows(&mut self, rows: Range<usize>) -> Result<(&[u8], usize), NetError> {
        self.first.get_or_insert(rows.start);
        self.image.rows(rows)
    }
}

fn noise(size: Size) -> Vec<u8> {
    (0..3 * size.area()).map(|i| ((i * i).wrapping_mul(2_654_435_761) >> 17) as u8).collect()
}

/// The first rows of all strips, each of so many rows, one strip after the other.
fn first_rows(strips: &[Vec<f32>], height: usize, rows: usize) -> Vec<Vec<f32>> {
    let of = |(strip, values): (usize, &Vec<f32>)| {
        let rows = rows.saturating_sub(strip * height).min(height);
        values[..rows * values.len() / height].to_vec()
    };
    strips.iter().enumerate().map(of).collect()
}

/// Runs an image, stops it after every `step` rows of its maps, and goes on; gives the first rows that were read then.
fn stopped(arch: ArchName, size: Size, choice: ChannelChoice, step: usize) -> Vec<Option<usize>> {
    let predictor = Predictor::new(&model(arch), &Compute::Cpu, Precision::F32).unwrap();
    let pixels = noise(size);
    let run = |kept: &InMemory| -> (ImageMaps, Option<usize>) {
        let mut image = Asked { image: WholeImage::new(size, &pixels), first: None };
        let maps = class_maps(&predictor, &mut image, choice, kept).unwrap();
        (maps, image.first)
    };
    let unbroken = InMemory::default();
    let (whole, _) = run(&unbroken);
    let strips = unbroken.added.into_inner().unwrap();
    let height = whole.mean.size().height as usize;
    let all = strips.len() * height;
    let mut read_from = Vec::new();
    for rows in (0..all).step_by(step).chain([all]) {
        let known = first_rows(&strips, height, rows);
        let kept = InMemory::with(known.clone());
        let (found, first) = run(&kept);
        assert!(found == whole, "{arch} {size}: other maps after {rows} of {all} rows");
        let added = kept.added.into_inner().unwrap();
        for ((all, known), added) in strips.iter().zip(known).zip(added) {
            assert!([known, added].concat() == *all, "{arch} {size}: other rows are kept after {rows}");
        }
        read_from.push(first);
    }
    read_from
}

#[test]
fn a_pass_that_was_stopped_gives_the_maps_of_an_unbroken_one() {
    let cases = [
        (ArchName::Resnet18, Size::new(224, 3333), ChannelChoice::Strongest(3), 13),
        (ArchName::Squeezenet1_1, Size::new(301, 2222), ChannelChoice::Random { count: 2, seed: 3 }, 11),
        (ArchName::MobilenetV2, Size::new(240, 1500), ChannelChoice::None, 5),
        (ArchName::Vgg16, Size::new(224, 1300), ChannelChoice::None, 13),
    ];
    for (arch, size, choice, step) in cases {
        let read_from = stopped(arch, size, choice, step);
        assert_eq!(read_from.first(), Some(&Some(0)), "{arch}");
        assert_eq!(read_from.last(), Some(&None), "{arch}: nothing is left to read");
        let begun: Vec<_> = read_from.iter().flatten().collect();
        assert!(begun.is_sorted() && begun.last() > Some(&&0), "{arch}: {begun:?}");
    }
}

#[test]
fn strips_that_were_finished_are_not_read_again() {
    let size = Size::new(25_000, 224);
    let read_from = stopped(ArchName::Squeezenet1_1, size, ChannelChoice::None, 5);
    assert_eq!(read_from.last(), Some(&None));
}
