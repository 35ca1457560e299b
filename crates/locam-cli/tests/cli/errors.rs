//! What the program says when something is wrong: word for word, with the exit code.

use crate::support::{Workplace, write_patch};

/// Checks a transcript against its snapshot.
macro_rules! snapshot {
    ($name:expr, $text:expr) => {
        insta::with_settings!({ filters => vec![(r"\d+\.\d+ s\b", "[TIME]")] }, {
            insta::assert_snapshot!($name, $text);
        });
    };
}

#[test]
fn data_that_can_not_be_trained_on() {
    let place = Workplace::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    write_patch(&place.path("one/cell/a.png"), [200, 100, 100], 64);
    write_patch(&place.path("one/cell/b.png"), [200, 100, 100], 64);
    for i in 0..6 {
        write_patch(&place.path(&format!("two/cell/{i}.png")), [200, 100, 100], 64);
        std::fs::create_dir_all(place.path("two/glass")).unwrap();
        std::fs::write(place.path(&format!("two/glass/{i}.png")), b"").unwrap();
    }
    for (name, data) in
        [("missing", "nowhere"), ("empty", "empty"), ("single_class", "one"), ("class_unreadable", "two")]
    {
        snapshot!(name, place.transcript(&["train", data, "--out", "run", "--epochs", "1"]));
        assert!(!place.path("run").exists(), "{name}: a failed start leaves no run folder");
    }
}

#[test]
fn settings_that_can_not_be() {
    let place = Workplace::new();
    std::fs::write(place.path("bad.toml"), "epoch = 3\n").unwrap();
    for (name, words) in [
        ("zero_epochs", &["--epochs", "0"][..]),
        ("negative_rate", &["--learning-rate=-1"]),
        ("unknown_arch", &["--arch", "resnet19"]),
        ("unknown_key", &["--config", "bad.toml"]),
        ("warmup_too_long", &["--epochs", "2", "--warmup-epochs", "3"]),
        ("unknown_layout", &["--layout", "imagenet"]),
    ] {
        let all = [&["train", "data", "--out", "run"], words].concat();
        snapshot!(name, place.transcript(&all));
    }
}

#[test]
fn a_model_is_not_written_over_itself() {
    let place = Workplace::new();
    for (class, red) in [("cell", 200), ("none", 60)] {
        for number in 0..4 {
            write_patch(&place.path(&format!("data/{class}/{number}.png")), [red, 100, number * 20], 64);
        }
    }
    let quick = ["--arch", "squeezenet1_1", "--patch-size", "64", "--epochs", "1", "--val-fraction", "0"];
    place.ok(&[&["train", "data", "--out", "run", "--test-fraction", "0"][..], &quick].concat());
    let before = std::fs::read(place.path("run/best/model.safetensors")).unwrap();
    for out in ["run", "run/best", "./run/"] {
        let (code, _, message) = place.run(&["model", "compact", "run", out]);
        assert!(code == 1 && message.contains("name another folder"), "{out}: {message}");
    }
    assert_eq!(std::fs::read(place.path("run/best/model.safetensors")).unwrap(), before);
    place.ok(&["model", "compact", "run", "small"]);
}

#[test]
fn models_that_are_none() {
    let place = Workplace::new();
    write_patch(&place.path("a.png"), [200, 100, 100], 300);
    std::fs::create_dir(place.path("nothing")).unwrap();
    std::fs::create_dir(place.path("damaged")).unwrap();
    std::fs::write(place.path("damaged/model.json"), b"{").unwrap();
    std::fs::write(place.path("damaged/model.safetensors"), b"").unwrap();
    for (name, model) in
        [("no_model_folder", "absent"), ("no_model_inside", "nothing"), ("damaged_model", "damaged")]
    {
        snapshot!(name, place.transcript(&["locate", "--model", model, "a.png", "--out", "found"]));
        assert!(!place.path("found").exists());
    }
}

#[test]
fn images_that_are_not_there() {
    let place = Workplace::new();
    std::fs::create_dir(place.path("folder")).unwrap();
    for (name, image) in
        [("no_file", "absent.png"), ("no_match", "*.png"), ("folder_without_images", "folder")]
    {
        snapshot!(name, place.transcript(&["locate", "--model", "m", image, "--out", "found"]));
    }
}

#[test]
fn results_that_would_go_into_a_file() {
    let place = Workplace::new();
    std::fs::write(place.path("file"), "").unwrap();
    write_patch(&place.path("data/cell/a.png"), [200, 100, 100], 64);
    for words in [
        &["train", "data", "--out", "file"][..],
        &["locate", "data/cell/a.png", "--out", "file"],
        &["evaluate", "data", "--out", "file"],
        &["data", "patches", "data", "--out", "file"],
        &["model", "compact", "model", "file"],
        &["demo", "--out", "file"],
    ] {
        let answer = "error: file is a file, and what is written needs a folder; name another one\n";
        assert_eq!(place.run(words), (1, String::new(), answer.to_owned()), "{words:?}");
    }
    let (code, _, err) = place.run(&["locate", "data/cell/a.png", "--out", "file/found"]);
    let answer = "check that its folder exists, may be read and written, and has room\n";
    assert!(code == 1 && err.contains("file/found/json: ") && err.ends_with(answer), "{err}");
}

#[test]
fn numbers_out_of_range_are_answered_with_those_that_can_be() {
    let place = Workplace::new();
    write_patch(&place.path("a.png"), [200, 100, 100], 300);
    for (flag, value, answer) in [
        ("--scale", "1e9", "give a number from 0.001 to 100"),
        ("--scale", "-1", "give a number from 0.001 to 100"),
        ("--object-size", "0", "give a number from 1 to 100000, or auto"),
        ("--object-size", "1e-9", "give a number from 1 to 100000, or auto"),
        ("--scales", "1,0", "give a number from 0.01 to 100"),
        ("--microns-per-pixel", "nan", "give a number from 0.001 to 100"),
        ("--threshold", "nan", "give a number"),
    ] {
        let (code, out, err) = place.run(&["locate", "a.png", "--out", "found", flag, value]);
        assert!(code == 2 && out.is_empty(), "{flag} {value}: {code}, {out}");
        assert!(err.contains(&format!("for '{flag}")) && err.contains(answer), "{flag} {value}: {err}");
    }
    for (words, answer) in [
        (
            &["train", "data", "--out", "run", "--learning-rate", "-1"][..],
            "learning_rate = -1 is out of range",
        ),
        (
            &["evaluate", "data", "--predictions", "a.csv", "--radius", "0"],
            "give a number from 0.1 to 100000",
        ),
        (&["data", "smears", "--out", "s", "--size", "90x90000"], "give at most 16384 on a side"),
        (&["bench", "--batch", "0"], "give --batch 1 or more"),
        (&["bench", "--threads", "100000"], "give --threads 1 to 1024"),
        (&["train", "data", "--out", "run", "--precision", "bf17"], "choose f32 or bf16"),
    ] {
        let (code, _, err) = place.run(words);
        assert!(code != 0 && err.contains(answer), "{words:?}: {err}");
    }
}

#[test]
fn training_in_bfloat16_is_for_cpus_with_amx() {
    let place = Workplace::new();
    let portable = [("LOCAM_ISA", "portable")];
    let words = ["train", "no-data", "--out", "run", "--precision", "bf16"];
    let (code, _, err) = place.run_with(&portable, &words);
    assert!(code == 1 && err.contains("allowed is f32 on this CPU: only those with AMX"), "{err}");
    let (code, _, err) =
        place.run_with(&portable, &["bench", "--task", "train", "--batch", "1", "--precision", "bf16"]);
    assert!(code == 1 && err.contains("bfloat16 needs a CPU with AVX512-BF16"), "{err}");
}

#[test]
fn what_is_for_a_search_and_what_is_for_predictions_do_not_go_together() {
    let place = Workplace::new();
    for words in [
        &["--model", "m", "--classes", "cell"][..],
        &["--model", "m", "--threshold", "1"],
        &["--device", "cpu", "--radius", "5"],
        &["--predictions", "a.csv", "--model", "m"],
        &["--predictions", "a.csv", "--object-size", "auto"],
        &["--predictions", "a.csv", "--device", "cpu"],
    ] {
        let (code, out, err) = place.run(&[&["evaluate", "data"], words].concat());
        assert!(
            code == 2 && out.is_empty() && err.contains("cannot be used with"),
            "{words:?}: {code}, {out}, {err}"
        );
    }
}

#[test]
fn data_that_can_not_be_used() {
    let place = Workplace::new();
    for i in 0..3 {
        write_patch(&place.path(&format!("fields/test/{i}.png")), [200, 100, 100], 64);
        std::fs::write(place.path(&format!("fields/test/{i}.txt")), "20 20 cell\n").unwrap();
        write_patch(&place.path(&format!("patches/train/cell/{i}.png")), [200, 100, 100], 64);
        write_patch(&place.path(&format!("patches/train/glass/{i}.png")), [90, 90, 90], 64);
    }
    std::fs::write(place.path("table.csv"), "name,size\n").unwrap();
    std::fs::write(place.path("no_picture.png"), "words").unwrap();
    std::fs::write(place.path("nothing.json"), "{}").unwrap();
    for (name, words) in [
        ("file_without_labels", &["data", "inspect", "table.csv"][..]),
        ("no_training_images", &["train", "fields", "--out", "run"]),
        ("no_weights", &["train", "patches", "--out", "run", "--weights", "imagnet", "--val-fraction", "0"]),
        ("empty_split", &["evaluate", "fields", "--predictions", "nothing.json", "--split", "val"]),
        ("patches_for_regions", &["evaluate", "patches", "--predictions", "nothing.json"]),
        ("no_predictions", &["evaluate", "fields", "--predictions", "nothing.json", "--radius", "5"]),
    ] {
        snapshot!(name, place.transcript(words));
    }
    for (words, answer) in [
        (
            &["evaluate", "patches", "--split", "all"][..],
            "error: the model knows WBC, background, but patches shows cell, glass: no class in common; name other data \
             or another model, or give the classes of the data the model's names\n",
        ),
        (
            &["locate", "no_picture.png", "--out", "found"],
            "error: none of the 1 images could be used; the first: no_picture.png is not a JPEG, PNG, TIFF, BMP or WebP \
             image; convert or remove it\n",
        ),
    ] {
        let (code, _, err) = place.run(words);
        assert!(code == 1 && err.ends_with(answer), "{words:?}: {err}");
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let place = Workplace::new();
    let commands: [&[&str]; 12] = [
        &["train"],
        &["locate"],
        &["calibrate"],
        &["evaluate"],
        &["demo"],
        &["data", "inspect"],
        &["data", "patches"],
        &["data", "preview"],
        &["data", "smears"],
        &["model", "show"],
        &["model", "export"],
        &["model", "compact"],
    ];
    for command in commands {
        let (help, _) = place.ok(&[command, &["--help"]].concat());
        let called = format!("  locam {}", command.join(" "));
        assert!(help.contains("Example") && help.contains(&called), "{}:\n{help}", command.join(" "));
    }
}
