//! The lab from end to end, on a tree in ALL-IDB's two layouts: patches in, hot spots on whole fields out.

use crate::support::{Workplace, write_damaged_tiff, write_float_tiff};
use std::path::Path;

fn files_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn all_idb_trains_and_locates() {
    let place = Workplace::new();
    place.ok(&["data", "smears", "--out", "smears", "--fields", "2", "--patches", "60", "--size", "700x500"]);

    let (report, _) = place.ok(&["data", "inspect", "smears/ALL_IDB2", "--sheet", "sheet.png"]);
    assert!(report.contains("all-idb2") && report.contains("blast"), "{report}");
    assert!(image::open(place.path("sheet.png")).unwrap().width() > 100);

    let train = ["train", "smears/ALL_IDB2", "--out", "run", "--arch", "squeezenet1_1", "--epochs", "2"];
    let small = ["--patch-size", "96", "--batch-size", "8", "--optimizer", "adam"];
    place.ok(&[&train[..], &small[..]].concat());
    for name in [
        "config.toml",
        "metrics.csv",
        "manifest.json",
        "curves.svg",
        "curves.png",
        "confusion.svg",
        "confusion.png",
    ] {
        assert!(place.path("run").join(name).is_file(), "the run folder lacks {name}");
    }

    place.ok(&["locate", "--model", "run", "smears/ALL_IDB1/im", "--out", "found", "--scale", "0.5"]);
    assert_eq!(files_in(&place.path("found/maps")), ["Im001_1.npy", "Im002_0.npy"].map(String::from));
    let csv = std::fs::read_to_string(place.path("found/regions.csv")).unwrap();
    assert!(csv.starts_with("image,number,class,score,"), "{csv}");
    let json = std::fs::read_to_string(place.path("found/json/Im001_1.json")).unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((parsed["size"]["width"].as_u64(), parsed["size"]["height"].as_u64()), (Some(700), Some(500)));
}

#[test]
fn a_model_knows_the_light_and_the_stain_that_it_learned_in() {
    let place = Workplace::new();
    let smears =
        ["data", "smears", "--out", "smears", "--fields", "3", "--size", "640x480", "--boxes", "train"];
    place.ok(&[&smears[..], &["--stains", "wright"]].concat());
    let train = ["train", "smears", "--out", "run", "--arch", "squeezenet1_1", "--epochs", "1"];
    place.ok(&[&train[..], &["--patch-size", "64", "--batch-size", "8"]].concat());
    let (shown, _) = place.ok(&["model", "show", "run"]);
    let stain = shown.lines().find(|line| line.starts_with("learned from glass of ")).unwrap();
    let numbers = stain.split(|c: char| !c.is_ascii_digit() && c != '.').filter_map(|word| word.parse().ok());
    let numbers: Vec<f64> = numbers.collect();
    assert!(numbers[..3].iter().all(|glass| (180.0..255.0).contains(glass)), "{stain}");
    assert!((0.1..0.6).contains(&numbers[3]) && (0.0..0.6).contains(&numbers[4]), "{stain}");

    let locate =
        ["locate", "--model", "run", "smears/JPEGImages", "--stain-normalization", "--write", "none"];
    place.ok(&[&locate[..], &["--out", "found"]].concat());
    let path = place.path("run/best/model.json");
    let mut spec: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    spec.as_object_mut().unwrap().remove("stain").unwrap();
    std::fs::write(&path, spec.to_string()).unwrap();
    let (code, _, message) = place.run(&[&locate[..], &["--out", "again"]].concat());
    assert!(code != 0 && message.contains("does not know the light and the stain"), "{message}");
}

#[test]
fn runs_are_not_overwritten() {
    let place = Workplace::new();
    std::fs::create_dir(place.path("run")).unwrap();
    std::fs::write(place.path("run/thesis.txt"), b"years of work").unwrap();
    place.ok(&["data", "smears", "--out", "smears", "--fields", "1", "--patches", "24", "--size", "640x480"]);
    let (code, _, message) = place.run(&["train", "smears/ALL_IDB2", "--out", "run", "--epochs", "1"]);
    assert!(code != 0 && message.contains("--resume"), "{message}");
    let (code, _, message) = place.run(&["data", "smears", "--out", "run"]);
    assert!(code != 0 && message.contains("run"), "{message}");
    let (code, _, message) = place.run(&["demo", "--out", "run"]);
    assert!(code != 0 && message.contains("--out"), "{message}");
    assert_eq!(std::fs::read(place.path("run/thesis.txt")).unwrap(), b"years of work");
}

#[test]
fn one_bad_image_among_good_ones_warns_and_goes_on() {
    let place = Workplace::new();
    place.ok(&["data", "smears", "--out", "smears", "--fields", "1", "--patches", "16", "--size", "640x480"]);
    let patches = place.path("smears/ALL_IDB2/img");
    std::fs::write(patches.join("Im900_1.tif"), b"not an image").unwrap();
    std::fs::write(patches.join("Im901_0.tif"), b"").unwrap();
    let train =
        ["train", "smears/ALL_IDB2", "--arch", "squeezenet1_1", "--epochs", "1", "--patch-size", "64"];
    let (_, messages) = place.ok(&[&train[..], &["--out", "run"]].concat());
    assert!(messages.contains("Im900_1.tif") && messages.contains("Im901_0.tif"), "{messages}");
    assert!(messages.contains("2 problems were passed over"), "{messages}");
    let (code, _, message) = place.run(&[&train[..], &["--out", "strict", "--strict"]].concat());
    assert!(code != 0 && message.contains("Im900_1.tif"), "{message}");

    std::fs::write(place.path("broken.jpg"), b"\xff\xd8\xff").unwrap();
    let field = "smears/ALL_IDB1/im";
    let locate = ["locate", "--model", "run", field, "broken.jpg", "--scale", "1", "--out", "found"];
    let (_, messages) = place.ok(&locate);
    assert!(messages.contains("broken.jpg") && messages.contains("1 problem was passed over"), "{messages}");

    write_damaged_tiff(&place.path("damaged.tif"), (300, 240), 40);
    write_float_tiff(&place.path("float.tif"), (300, 240), f32::NAN);
    image::RgbImage::new(300, 100).save(place.path("low.png")).unwrap();
    let odd = ["damaged.tif", "float.tif", "low.png"];
    let (_, messages) = place.ok(&[&locate[..4], &odd[..], &locate[5..6], &["1", "--out", "odd"]].concat());
    let said = |words: &str| assert!(messages.contains(words), "{words}: {messages}");
    said("damaged.tif: the file is damaged: columns 0 to 300 of rows 80 to 120 were searched as if white");
    said("NaN");
    said("an image of 300x100 pixels, scaled by 1.000, is below 224 pixels on a side");
    said("3 problems were passed over");
    said("on 2 images");
    assert!(place.path("odd/json/damaged.json").exists());
    let (code, _, message) =
        place.run(&["locate", "--model", "run", "damaged.tif", "--scale", "1", "--strict", "--out", "no"]);
    assert!(code != 0 && message.contains("rows 80 to 120"), "{message}");
}
