use super::*;
use crate::{Item, Layout, SmearConfig, generate};
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, imageops};
use locam_core::ClassId;
use std::path::PathBuf;

fn field(seed: u64) -> RgbImage {
    generate(&SmearConfig::new(Size::new(160, 120), seed)).image
}

fn copies_among(images: &[RgbImage]) -> Copies {
    let prints: Vec<Option<Fingerprint>> = images.iter().map(|image| Fingerprint::of(image).ok()).collect();
    Copies::among(&prints)
}

fn compressed(image: &RgbImage) -> RgbImage {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 60).encode_image(image).unwrap();
    image::load_from_memory(&bytes).unwrap().to_rgb8()
}

fn brighter(image: &RgbImage) -> RgbImage {
    let mut image = image.clone();
    for value in image.pixels_mut().flat_map(|pixel| &mut pixel.0) {
        *value = value.saturating_add(9);
    }
    image
}

#[test]
fn near_copies_are_found_in_every_guise_and_other_fields_are_none() {
    let image = field(1);
    let guises = [
        ("compressed", compressed(&image)),
        ("brighter", brighter(&image)),
        ("smaller", resize(&image, Size::new(120, 90)).unwrap()),
        ("mirrored", imageops::flip_horizontal(&image)),
        ("upside down", imageops::flip_vertical(&image)),
        ("turned", compressed(&imageops::rotate90(&image))),
        ("turned back", imageops::rotate270(&image)),
        ("turned and mirrored", imageops::flip_horizontal(&imageops::rotate90(&image))),
    ];
    for (name, guise) in guises {
        let copies = copies_among(&[image.clone(), field(2), guise]);
        assert_eq!(copies, Copies { identical: vec![], near: vec![(0, 2)] }, "{name}");
    }
    let fields: Vec<RgbImage> = (0..40).map(field).collect();
    assert_eq!(copies_among(&fields), Copies::default());
}

#[test]
fn identical_images_are_one_group_and_named_once_beside_near_ones() {
    let (one, other) = (field(1), field(2));
    let images = [one.clone(), other.clone(), one.clone(), compressed(&one), other, one];
    let copies = copies_among(&images);
    assert_eq!(copies, Copies { identical: vec![vec![0, 2, 5], vec![1, 4]], near: vec![(0, 3)] });
    assert_eq!(copies.groups(6), [vec![0, 2, 3, 5], vec![1, 4]]);
    let print = |image| Fingerprint::of(image).ok();
    let unreadable = [print(&images[0]), None, print(&images[0])];
    assert_eq!(Copies::among(&unreadable), Copies { identical: vec![vec![0, 2]], near: vec![] });
}

#[test]
fn images_of_one_shade_are_no_near_copies() {
    let flat = |shade| RgbImage::from_pixel(50, 50, Rgb([shade; 3]));
    let copies = copies_among(&[flat(200), flat(201), flat(200)]);
    assert_eq!(copies, Copies { identical: vec![vec![0, 2]], near: vec![] });
}

#[test]
fn copies_join_the_groups_that_they_lie_in() {
    let item = |(i, group): (usize, Option<&str>)| Item {
        path: PathBuf::from(format!("data/{i}.png")),
        label: Label::Class(ClassId(usize::from(i == 4))),
        split: None,
        group: group.map(str::to_owned),
    };
    let groups = [Some("a"), Some("b"), None, Some("a"), None, None, Some("c")];
    let data = Dataset {
        root: "data".into(),
        layout: Layout::ClassFolders,
        classes: vec!["x".into(), "y".into()],
        items: groups.into_iter().enumerate().map(item).collect(),
        problems: Vec::new(),
    };
    let copies = Copies { identical: vec![vec![1, 4]], near: vec![(1, 3)] };
    let names = |data: &Dataset| -> Vec<Option<String>> {
        data.items.iter().map(|item| item.group.clone()).collect()
    };
    let joined = names(&copies.kept_together(&data));
    let [a, c] = ["0.png", "c"].map(|name| Some(name.to_owned()));
    assert_eq!(joined, [a.clone(), a.clone(), None, a.clone(), a, None, c]);
    assert_eq!(names(&Copies::default().kept_together(&data)), names(&data));
    assert_eq!(copies.contradictions(&data), [[1, 4]]);
}
