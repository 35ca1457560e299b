//! Truth that is known by pixels.

use crate::support::Workplace;
use image::{GrayImage, Luma};
use serde_json::{Value, json};
use std::f64::consts::TAU;
use std::fs;

/// The edges of the boxes in a VOC file: left, top, right, bottom.
fn boxes(xml: &str) -> Vec<[f64; 4]> {
    let edge = |object: &str, name: &str| -> f64 {
        let (_, rest) = object.split_once(&format!("<{name}>")).unwrap();
        rest.split('<').next().unwrap().trim().parse().unwrap()
    };
    let objects = xml.split("<object>").skip(1);
    objects.map(|object| ["xmin", "ymin", "xmax", "ymax"].map(|name| edge(object, name))).collect()
}

/// The place on the ellipse inside a box at an angle.
fn on_ellipse([left, top, right, bottom]: [f64; 4], angle: f64) -> [f64; 2] {
    let middle = [f64::midpoint(left, right), f64::midpoint(top, bottom)];
    [middle[0] + (right - left) / 2.0 * angle.cos(), middle[1] + (bottom - top) / 2.0 * angle.sin()]
}

fn is_inside([left, top, right, bottom]: [f64; 4], x: u32, y: u32) -> bool {
    let along =
        |at: u32, low: f64, high: f64| (f64::from(at) + 0.5 - f64::midpoint(low, high)) / (high - low);
    along(x, left, right).hypot(along(y, top, bottom)) < 0.5
}

#[test]
fn polygons_and_label_images_give_the_figures_of_boxes_and_those_of_pixels() {
    let place = Workplace::new();
    let smears =
        ["data", "smears", "--out", "smears", "--fields", "1", "--size", "1200x900", "--boxes", "all"];
    place.ok(&[&smears[..], &["--cell-scales", "1", "--seed", "3"]].concat());
    let only = |folder: &str| fs::read_dir(place.path(folder)).unwrap().next().unwrap().unwrap().path();
    let (image, xml) = (only("smears/JPEGImages"), fs::read_to_string(only("smears/Annotations")).unwrap());
    let name = xml.split("<name>").nth(1).unwrap().split('<').next().unwrap();
    let boxes = boxes(&xml);
    assert!(!boxes.is_empty());

    // Polygons in COCO's file.
    let annotation = |(id, rect): (usize, &[f64; 4])| {
        let polygon: Vec<f64> =
            (0..64).flat_map(|step| on_ellipse(*rect, f64::from(step) * TAU / 64.0)).collect();
        let [left, top, right, bottom] = *rect;
        json!({"id": id, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": [polygon],
            "bbox": [left, top, right - left, bottom - top]})
    };
    let file = json!({
        "images": [{"id": 1, "file_name": "field.jpg", "width": 1200, "height": 900}],
        "annotations": boxes.iter().enumerate().map(annotation).collect::<Vec<_>>(),
        "categories": [{"id": 1, "name": name}],
    });
    fs::create_dir(place.path("coco")).unwrap();
    fs::copy(&image, place.path("coco/field.jpg")).unwrap();
    fs::write(place.path("coco/instances.json"), file.to_string()).unwrap();

    // The same as a label image.
    fs::create_dir_all(place.path("labels/masks").join(name)).unwrap();
    fs::copy(&image, place.path("labels/field.jpg")).unwrap();
    let label =
        |x, y| boxes.iter().position(|rect| is_inside(*rect, x, y)).map_or(0, |place| place as u8 + 1);
    let labels = GrayImage::from_fn(1200, 900, |x, y| Luma([label(x, y)]));
    labels.save(place.path("labels/masks").join(name).join("field.png")).unwrap();

    let figures = |words: &[&str]| -> Value {
        let (json, _) = place.ok(&[&["evaluate"], words, &["--split", "all", "--json"]].concat());
        serde_json::from_str::<Value>(json.trim()).unwrap()["classes"][0].clone()
    };
    let of_boxes = figures(&["smears"]);
    let of_polygons = figures(&["coco", "--out", "report"]);
    let of_labels = figures(&["labels"]);
    assert_eq!(of_polygons["hits"], of_boxes["hits"]);
    assert_eq!(of_polygons["overlap"], of_boxes["overlap"]);
    assert_eq!(of_labels["hits"], of_boxes["hits"]);
    let pixels = |figures: &Value| figures["maps"]["pixel_average_precision"]["value"].as_f64();
    assert_eq!(pixels(&of_boxes), None);
    let (polygons, labels) = (pixels(&of_polygons).unwrap(), pixels(&of_labels).unwrap());
    let boxed: f64 = boxes.iter().map(|[left, top, right, bottom]| (right - left) * (bottom - top)).sum();
    let chance = boxed * TAU / 8.0 / (1200.0 * 900.0);
    assert!(polygons > 4.0 * chance && polygons < 1.0, "{polygons}, by chance {chance}");
    assert!((polygons - labels).abs() < 0.01, "{polygons} by polygons, {labels} by label images");
    assert!(fs::read_to_string(place.path("report/report.html")).unwrap().contains("PxAP"));
}
