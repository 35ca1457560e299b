//! A single bright dot must move the maps where the derived transform says that it lies.

use crate::common::host;
use burn::tensor::{Device, Tensor, TensorData};
use locam_arch::ArchName;
use locam_core::{Point, Size};
use locam_net::Network;

const IMAGE: Size = Size::new(352, 256);
/// The side of the dot, so that padding-free strides do not step over it.
const DOT: usize = 5;

/// Dots away from the border, at many phases of the strides.
const DOTS: [Point; 6] = [
    Point::new(176.5, 128.5),
    Point::new(144.5, 112.5),
    Point::new(160.5, 144.5),
    Point::new(201.5, 119.5),
    Point::new(187.5, 135.5),
    Point::new(230.5, 140.5),
];

fn image_with(dot: Option<Point>, device: &Device) -> Tensor<4> {
    let (width, height) = (IMAGE.width as usize, IMAGE.height as usize);
    let mut values = vec![0f32; 3 * width * height];
    if let Some(dot) = dot {
        for plane in values.chunks_exact_mut(width * height) {
            for row in 0..DOT {
                let first = (dot.y as usize + row - DOT / 2) * width + dot.x as usize - DOT / 2;
                plane[first..first + DOT].fill(50.0);
            }
        }
    }
    Tensor::from_data(TensorData::new(values, [1, 3, height, width]), device)
}

/// The centre of mass in map coordinates of the absolute change, summed over the channels.
fn center_of_change(black: &[f32], dotted: &[f32], size: Size) -> Point {
    let cells = size.area() as usize;
    let mut mass = vec![0f64; cells];
    for (i, (a, b)) in black.iter().zip(dotted).enumerate() {
        mass[i % cells] += f64::from((a - b).abs());
    }
    let total: f64 = mass.iter().sum();
    let width = size.width as usize;
    let moment = |place: &dyn Fn(usize) -> usize| -> f64 {
        mass.iter().enumerate().map(|(i, m)| m * (place(i) as f64 + 0.5)).sum::<f64>() / total
    };
    Point::new(moment(&|i| i % width), moment(&|i| i / width))
}

fn check(arch: ArchName) {
    let device = Device::default();
    let network = Network::init(arch, 2, 1, &device);
    let (transform, size) = (network.graph().map_transform(), network.graph().output_size(IMAGE).unwrap());
    let black = host(network.features(image_with(None, &device)));
    for dot in DOTS {
        let dotted = host(network.features(image_with(Some(dot), &device)));
        let found = transform.image_from_map(center_of_change(&black, &dotted, size));
        println!("{arch}: dot at {dot:?}, change around {found:?}");
        let half = transform.stride.x / 2.0;
        let close = (found.x - dot.x).abs() < half && (found.y - dot.y).abs() < half;
        assert!(close, "{arch}: the dot at {dot:?} changes the maps around {found:?}");
    }
}

macro_rules! check {
    ($($test:ident: $arch:ident,)*) => {
        $(#[test]
        fn $test() {
            check(ArchName::$arch);
        })*
    };
}

check! {
    resnet18: Resnet18,
    resnet34: Resnet34,
    resnet50: Resnet50,
    vgg16: Vgg16,
    vgg19: Vgg19,
    squeezenet1_1: Squeezenet1_1,
    mobilenet_v2: MobilenetV2,
}
