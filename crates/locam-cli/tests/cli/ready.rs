//! The model that comes with the program, and learning from false alarms.

use crate::support::Workplace;
use image::imageops::FilterType;
use std::path::Path;

#[test]
fn white_cells_are_found_without_a_model_at_whatever_magnification() {
    let place = Workplace::new();
    let smears =
        ["data", "smears", "--out", "smears", "--fields", "2", "--size", "1400x1100", "--boxes", "all"];
    place.ok(&[&smears[..], &["--cell-scales", "0.8,1.6", "--seed", "3"]].concat());
    let (_, told) = place.ok(&["locate", "smears/JPEGImages", "--out", "found"]);
    assert!(told.contains("sought with the ready model white-cells"), "{told}");
    let (json, _) = place.ok(&["evaluate", "smears", "--split", "all", "--json"]);
    let figures: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    let f1 = figures["classes"][0]["f1"]["value"].as_f64().unwrap();
    assert!(f1 > 0.8, "{json}");
}

#[test]
fn no_image_is_refused_for_the_size_of_its_cells() {
    let place = Workplace::new();
    // The second field's cells would be as large as in training where it has fewer rows than the network needs.
    let smears = ["data", "smears", "--out", "smears", "--fields", "2", "--boxes", "test"];
    place.ok(&[&smears[..], &["--stains", "leishman", "--cell-scales", "4.8", "--seed", "51"]].concat());
    let (_, told) = place.ok(&["locate", "smears/JPEGImages", "--out", "found", "--write", "none"]);
    assert!(!told.contains("passed over"), "{told}");
}

#[test]
fn a_cell_that_is_cut_out_comes_out_whole_at_its_size_and_enlarged() {
    let place = Workplace::new();
    place.ok(&["data", "smears", "--out", "smears", "--fields", "1", "--patches", "12", "--seed", "4"]);
    std::fs::create_dir(place.path("enlarged")).unwrap();
    for file in std::fs::read_dir(place.path("smears/ALL_IDB2/img")).unwrap() {
        let file = file.unwrap().path();
        let cell = image::open(&file).unwrap().resize(771, 771, FilterType::CatmullRom);
        let name = Path::new(file.file_stem().unwrap()).with_extension("png");
        cell.save(place.path("enlarged").join(name)).unwrap();
    }
    for (images, side) in [("smears/ALL_IDB2/img", 257.0), ("enlarged", 771.0)] {
        let (_, told) = place.ok(&["locate", images, "--out", "found", "--write", "none"]);
        let table = std::fs::read_to_string(place.path("found/regions.csv")).unwrap();
        // What lies at the border is other cells, of which the patch shows a part.
        let in_the_middle = table.lines().skip(1).filter_map(|line| {
            let values: Vec<&str> = line.split(',').collect();
            let centroid = [values[7], values[8]].map(|value| value.parse::<f64>().unwrap() / side);
            centroid.iter().all(|place| (0.25..0.75).contains(place)).then_some(values[0])
        });
        let images: Vec<&str> = in_the_middle.collect();
        let whole = images.chunk_by(|one, next| one == next).filter(|regions| regions.len() == 1).count();
        assert!(whole >= 11 && !told.contains("passed over"), "{whole} of 12: {table}{told}");
        std::fs::remove_dir_all(place.path("found")).unwrap();
    }
}

#[test]
fn what_is_found_where_nothing_is_counts_as_false_alarms() {
    let place = Workplace::new();
    let smears = ["data", "smears", "--out", "smears", "--fields", "2", "--size", "900x700"];
    place.ok(&[&smears[..], &["--boxes", "test", "--white-cells", "0"]].concat());
    let (json, _) = place.ok(&["evaluate", "smears", "--json"]);
    let figures: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    let class = &figures["classes"][0];
    assert_eq!((&class["empty"]["images"], &class["misses"]), (&2.into(), &0.into()), "{json}");
    assert!(class["recall"].is_null(), "{json}");
    place.ok(&["evaluate", "smears", "--out", "report"]);
    let (code, _, message) = place.run(&["train", "smears", "--out", "run"]);
    assert!(code != 0 && message.contains("class"), "{message}");
}

#[test]
fn predictions_are_compared_class_by_class_even_where_no_object_is() {
    let place = Workplace::new();
    let smears = ["data", "smears", "--out", "empty", "--fields", "2", "--size", "900x700"];
    place.ok(&[&smears[..], &["--boxes", "test", "--white-cells", "0"]].concat());
    let field =
        std::fs::read_dir(place.path("empty/JPEGImages")).unwrap().next().unwrap().unwrap().file_name();
    let rows = ["WBC", "debris"].map(|class| format!("{},{class},0.9,40,40,80,80\n", field.display()));
    let header = "image,class,score,left,top,right,bottom\n";
    std::fs::write(place.path("found.csv"), [header, &rows[0], &rows[1]].concat()).unwrap();
    std::fs::write(place.path("nothing.csv"), header).unwrap();

    let compared = |file: &str| {
        let words = ["evaluate", "empty", "--predictions", file, "--classes", "WBC", "--json"];
        let (json, told) = place.ok(&words);
        let figures: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
        assert_eq!(figures["classes"].as_array().unwrap().len(), 1, "{json}");
        let class = &figures["classes"][0];
        (class["false_alarms"].clone(), class["empty"]["images"].clone(), told)
    };
    let (false_alarms, images, told) = compared("found.csv");
    assert_eq!((false_alarms, images), (1.into(), 2.into()));
    assert!(told.contains("predictions that have a class that is not compared: 1; the first: `debris`"));
    let (false_alarms, images, told) = compared("nothing.csv");
    assert_eq!((false_alarms, images, told.as_str()), (0.into(), 2.into(), ""));

    let smears =
        ["data", "smears", "--out", "cells", "--fields", "1", "--size", "900x700", "--boxes", "test"];
    place.ok(&smears);
    let words = ["evaluate", "cells", "--predictions", "nothing.csv", "--classes", "wbc"];
    let (code, _, message) = place.run(&words);
    assert!(code == 1 && message.contains("no class `wbc`; its classes are WBC"), "{message}");
}

#[test]
fn the_ready_model_can_not_be_calibrated() {
    let place = Workplace::new();
    let (code, _, message) = place.run(&["calibrate", "nowhere"]);
    assert!(code != 0 && message.contains("--model"), "{message}");
}

#[test]
fn mining_asks_for_whole_images_and_a_background_class_before_training() {
    let place = Workplace::new();
    place.ok(&["data", "smears", "--out", "smears", "--fields", "1", "--patches", "24", "--size", "640x480"]);
    let (code, _, message) =
        place.run(&["train", "smears/ALL_IDB2", "--out", "run", "--epochs", "1", "--mine", "9"]);
    assert!(code != 0 && message.contains("--mine") && !place.path("run").exists(), "{message}");
    place
        .ok(&["data", "smears", "--out", "fields", "--fields", "2", "--size", "640x480", "--boxes", "train"]);
    let words = ["train", "fields", "--out", "run", "--epochs", "1", "--mine", "9", "--background", "0"];
    let (code, _, message) = place.run(&words);
    assert!(code != 0 && message.contains("background"), "{message}");
}
