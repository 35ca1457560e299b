//! Figures beside those of pycocotools and scikit-learn on small cases; `fixtures/make_metrics.py` writes them.

use locam_core::{ClassId, MapTransform, Mask, Point, Rect, Region, Run, ScoreMap, Shape, Size};
use locam_locate::{
    Classified, ImageVerdicts, MatchRule, PixelCounts, Ranking, RocRanking, Truth, confusion, mean_area,
    pixel_average_precision, top_label_reliability,
};
use serde_json::Value;

fn cases(text: &str) -> Vec<Value> {
    serde_json::from_str::<Value>(text).unwrap().as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn near(found: f64, case: &Value, key: &str) {
    let wanted = case[key].as_f64().unwrap();
    assert!((found - wanted).abs() < 1e-9, "{key}: {found}, not {wanted}");
}

fn rect(coco: &[f64]) -> Rect {
    Rect::new(coco[0], coco[1], coco[0] + coco[2], coco[1] + coco[3])
}

fn region(score: f64, rect: Rect) -> Region {
    let (peak, centroid, area, outline) =
        (rect.center(), rect.center(), rect.area(), rect.corners().to_vec());
    Region { class: ClassId(0), score, peak, centroid, rect, area, outline, at_border: false }
}

/// The ranking of a case by some rule.
fn ranking(case: &Value, points: bool, rule: MatchRule) -> (Ranking, Vec<u32>) {
    let images = case["images"].as_u64().unwrap() as usize;
    let rows = |key: &str| -> Vec<Vec<f64>> { case[key].as_array().unwrap().iter().map(numbers).collect() };
    let of = |image: usize| move |row: &&Vec<f64>| row[0] as usize == image;
    let shape = |row: &Vec<f64>| match rect(&row[1..]) {
        rect if points => Shape::Point(rect.center()),
        rect => Shape::Box(rect),
    };
    let (truths, regions) = (rows("truths"), rows("regions"));
    let verdicts: Vec<ImageVerdicts> = (0..images)
        .map(|image| {
            let truths: Vec<Truth> = truths
                .iter()
                .filter(of(image))
                .map(|row| Truth { class: ClassId(0), shape: shape(row) })
                .collect();
            let regions: Vec<Region> =
                regions.iter().filter(of(image)).map(|row| region(row[1], rect(&row[2..]))).collect();
            ImageVerdicts::new(&regions, &truths, rule)
        })
        .collect();
    (Ranking::new(&verdicts), vec![1; images])
}

#[test]
fn detection_is_as_pycocotools_has_it() {
    for case in cases(include_str!("fixtures/detection.json")) {
        let overlap = |iou: f64| {
            let (ranking, once) = ranking(&case, false, MatchRule::Overlap { iou });
            (ranking.average_precision(&once).unwrap(), ranking.froc_score(&once).unwrap())
        };
        near(overlap(0.5).0, &case, "ap_50");
        near(overlap(0.5).1, &case, "froc_score");
        let many: f64 = (0..10).map(|step| overlap(0.5 + 0.05 * f64::from(step)).0).sum();
        near(many / 10.0, &case, "ap_50_95");
        let radius = case["radius"].as_f64().unwrap();
        let (ranking, once) = ranking(&case, true, MatchRule::Centroid { radius });
        near(ranking.average_precision(&once).unwrap(), &case, "ap_distance");
    }
}

#[test]
fn classification_is_as_scikit_learn_has_it() {
    for case in cases(include_str!("fixtures/classification.json")) {
        let truths = numbers(&case["truths"]);
        let patches: Vec<Classified> = truths
            .iter()
            .zip(case["logits"].as_array().unwrap())
            .map(|(&truth, row)| {
                let logits: Vec<f32> = numbers(row).iter().map(|&logit| logit as f32).collect();
                Classified::from_logits(truth as usize, &logits)
            })
            .collect();
        let (classes, once) = (patches[0].probabilities.len(), vec![1; patches.len()]);
        let matrix = confusion(&patches, classes, &once);
        near(matrix.accuracy(), &case, "accuracy");
        near(matrix.balanced_accuracy().unwrap(), &case, "balanced_accuracy");
        let rankings: Vec<_> = (0..classes).map(|class| RocRanking::new(&patches, class)).collect();
        near(mean_area(&rankings, &once).unwrap(), &case, "area");
        near(top_label_reliability(&patches, 10).expected_calibration_error, &case, "calibration_error");
        let (precision, recall) = (numbers(&case["precision"]), numbers(&case["recall"]));
        for class in 0..classes {
            assert!((matrix.precision(class).unwrap() - precision[class]).abs() < 1e-12);
            assert!((matrix.recall(class).unwrap() - recall[class]).abs() < 1e-12);
            let row = numbers(&case["confusion"][class]);
            (0..classes).for_each(|to| assert_eq!(matrix.count(class, to), row[to] as u64));
        }
    }
}

#[test]
fn pixels_are_as_scikit_learn_has_them() {
    for case in cases(include_str!("fixtures/pixels.json")) {
        let mut counts = PixelCounts::default();
        for (score, object) in numbers(&case["scores"]).iter().zip(case["objects"].as_array().unwrap()) {
            counts.record(*score, object.as_bool().unwrap());
        }
        near(pixel_average_precision(&[counts], &[1]).unwrap(), &case, "pixel_average_precision");
    }
}

/// The mask of rows of letters, `#` inside.
fn mask(rows: &Value) -> Mask {
    let rows = rows.as_array().unwrap().iter().map(|row| row.as_str().unwrap());
    let run = |(row, letters): (u32, &str)| -> Vec<Run> {
        let inside = (0..).zip(letters.bytes()).filter(|(_, letter)| *letter == b'#');
        inside.map(|(column, _)| Run { row, columns: column..column + 1 }).collect()
    };
    Mask::from_runs((0..).zip(rows).flat_map(run).collect()).unwrap()
}

#[test]
fn pixels_of_maps_under_masks_are_as_scikit_learn_has_them() {
    for case in cases(include_str!("fixtures/pixel_maps.json")) {
        let pair = |key: &str| [numbers(&case[key])[0], numbers(&case[key])[1]];
        let size = |key: &str| Size::new(pair(key)[0] as u32, pair(key)[1] as u32);
        let point = |key: &str| Point::new(pair(key)[0], pair(key)[1]);
        let transform = MapTransform { first_center: point("first_center"), stride: point("stride") };
        let scores = case["scores"].as_array().unwrap().iter();
        let scores = scores.map(|score| score.as_f64().map_or(f32::NAN, |score| score as f32)).collect();
        let map = ScoreMap::new(size("cells"), scores, transform);
        let masks: Vec<Mask> = case["masks"].as_array().unwrap().iter().map(mask).collect();
        let masks: Vec<&Mask> = masks.iter().collect();
        let [low, high] = ["low", "high"].map(|key| case[key].as_f64().unwrap());
        let place = |score: f32| (f64::from(score) - low) / (high - low);
        let counts = PixelCounts::of_image(&map, size("image"), &masks, place);
        near(pixel_average_precision(&[counts], &[1]).unwrap(), &case, "pixel_average_precision");
    }
}
