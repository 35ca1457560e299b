//! Runs over many images: killed at any time, changed in between, and with broken files among them.

use crate::support::Workplace;
use std::collections::BTreeMap;
use std::path::Path;

/// A workplace with a model in `run` and six fields in `fields`.
fn with_model() -> Workplace {
    let place = Workplace::new();
    place.ok(&["data", "smears", "--out", "smears", "--fields", "6", "--patches", "16", "--size", "640x480"]);
    std::fs::rename(place.path("smears/ALL_IDB1/im"), place.path("fields")).unwrap();
    let train = ["train", "smears/ALL_IDB2", "--out", "run", "--arch", "squeezenet1_1"];
    place.ok(&[&train[..], &["--epochs", "1", "--patch-size", "64"]].concat());
    place
}

/// Every model finds something from so low a threshold on.
const LOCATE: [&str; 7] = ["locate", "--model", "run", "fields", "--threshold=-1", "--scale", "1"];

fn locate<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&LOCATE[..], more].concat()
}

/// All files below a folder, by their paths in it.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            files.extend(
                tree(&entry.path()).into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes)),
            );
        } else {
            files.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    files
}

fn journal_lines(out: &Path) -> usize {
    std::fs::read_to_string(out.join("run.jsonl")).map_or(0, |text| text.matches('\n').count())
}

/// How many images a command searched and how many it kept, by its output in JSON.
fn searched_and_kept(place: &Workplace, more: &[&str]) -> (usize, usize) {
    searched_and_kept_by(place, &locate(more))
}

fn searched_and_kept_by(place: &Workplace, words: &[&str]) -> (usize, usize) {
    let (out, _) = place.ok(&[words, &["--json"]].concat());
    let kept = out.lines().filter(|line| line.contains("\"kept\":true")).count();
    (out.lines().count() - kept, kept)
}

#[test]
fn a_run_that_is_killed_goes_on_and_ends_with_the_same_bytes() {
    let place = with_model();
    place.ok(&locate(&["--out", "whole"]));
    let whole = tree(&place.path("whole"));
    assert!(String::from_utf8_lossy(&whole["regions.csv"]).lines().count() > 6);
    let out = place.path("broken");
    for lines in [1, 2, 4] {
        let killed = place.killed(&locate(&["--out", "broken"]), || journal_lines(&out) > lines);
        assert!(killed && !out.join("regions.csv").exists(), "killed after {lines} lines: {killed}");
    }
    let finished = journal_lines(&out) - 1;
    assert!(finished >= 4, "{finished}");
    assert_eq!(searched_and_kept(&place, &["--out", "broken"]), (6 - finished, finished));
    let broken = tree(&out);
    assert_eq!(broken.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
    for (path, bytes) in &whole {
        assert!(broken[path] == *bytes, "{path} differs");
    }
}

#[test]
fn a_slide_goes_on_inside_where_its_search_was_killed() {
    let place = with_model();
    let field = image::open(place.path("fields/Im001_1.jpg")).unwrap().to_rgb8();
    let slide = image::RgbImage::from_fn(2048, 3000, |x, y| *field.get_pixel(x % 640, y % 480));
    slide.save(place.path("slide.png")).unwrap();
    let words = |out| {
        let what =
            ["locate", "--model", "run", "slide.png", "--threshold=-1", "--scale", "1", "--everything"];
        [&what[..], &["--scales", "0.5,1", "--channel-seed", "1", "--out", out]].concat()
    };
    place.ok(&words("whole"));
    let whole = tree(&place.path("whole"));
    assert!(!whole.keys().any(|path| path.contains("rows")), "{:?}", whole.keys());
    let rows = place.path("broken/partial/slide.rows");
    let length = || std::fs::metadata(&rows).map_or(0, |file| file.len());
    // The first scale takes 170 kB, both together 840.
    for least in [60_000, 300_000, 600_000] {
        let before = length();
        let killed = place.killed(&words("broken"), || length() > least);
        assert!(killed && before < least && length() > least, "{killed}: {before} to {} bytes", length());
    }
    place.ok(&words("broken"));
    let broken = tree(&place.path("broken"));
    assert_eq!(broken.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
    for (path, bytes) in &whole {
        assert!(broken[path] == *bytes, "{path} differs");
    }
}

/// Lines in JSON without the seconds, which are their last field.
fn without_seconds(out: &str) -> Vec<&str> {
    out.lines().map(|line| line.split_once("\"seconds\"").map_or(line, |(before, _)| before)).collect()
}

#[test]
fn how_many_images_are_at_work_changes_nothing() {
    let place = with_model();
    std::fs::write(place.path("fields/Im002_2.jpg"), b"not an image").unwrap();
    // Slides are searched alone; this one is all glass.
    image::RgbImage::from_pixel(3001, 2000, image::Rgb([255; 3]))
        .save(place.path("fields/Im003_3.png"))
        .unwrap();
    let on = |threads: u32| {
        let out = format!("on-{threads}");
        let (code, told, warnings) =
            place.run_on(threads, &locate(&["--out", &out, "--write", "all", "--json"]));
        assert_eq!(code, 0, "{warnings}");
        let warnings: Vec<String> =
            warnings.lines().filter(|line| line.starts_with("warning")).map(str::to_owned).collect();
        let told: Vec<String> = without_seconds(&told).into_iter().map(str::to_owned).collect();
        (tree(&place.path(&out)), told, warnings)
    };
    let (alone, told, warnings) = on(1);
    assert_eq!((told.len(), warnings.len()), (7, 1), "{told:?} {warnings:?}");
    for threads in [2, 5] {
        let (files, same, named) = on(threads);
        assert_eq!((&same, &named), (&told, &warnings), "{threads} threads");
        assert_eq!(files.keys().collect::<Vec<_>>(), alone.keys().collect::<Vec<_>>());
        for (path, bytes) in &alone {
            assert!(files[path] == *bytes, "{path} differs with {threads} threads");
        }
    }
}

#[test]
fn three_broken_files_among_a_thousand_are_named_and_the_rest_is_searched_in_order() {
    let place = with_model();
    std::fs::create_dir(place.path("many")).unwrap();
    let file = |number: u32| place.path(&format!("many/{number:04}.png"));
    for number in 0..1000 {
        if number < 10 {
            let pixel = |x: u32, y: u32| image::Rgb([(x * number) as u8, (x ^ y) as u8, (y + number) as u8]);
            image::RgbImage::from_fn(224, 224, pixel).save(file(number)).unwrap();
        } else {
            std::fs::copy(file(number % 10), file(number)).unwrap();
        }
    }
    let whole = std::fs::read(file(17)).unwrap();
    std::fs::write(file(17), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(file(500), b"").unwrap();
    std::fs::write(file(999), b"not an image").unwrap();
    let words = ["locate", "--model", "run", "many", "--threshold=-1", "--scale", "1", "--write", "none"];
    let (code, told, messages) = place.run_on(4, &[&words[..], &["--out", "found", "--json"]].concat());
    assert_eq!(code, 0, "{messages}");
    let warnings: Vec<&str> = messages.lines().filter(|line| line.starts_with("warning")).collect();
    assert_eq!(warnings.len(), 3, "{messages}");
    let names = ["0017.png", "0500.png", "0999.png"];
    assert!(warnings.iter().zip(names).all(|(warning, name)| warning.contains(name)), "{messages}");
    let expected = (0..1000).filter(|number| ![17, 500, 999].contains(number));
    for (line, number) in told.lines().zip(expected.clone()) {
        assert!(line.contains(&format!("{number:04}.png")), "{line}");
    }
    assert_eq!(told.lines().count(), expected.clone().count());
    let table = std::fs::read_to_string(place.path("found/coco.json")).unwrap();
    assert_eq!(table.matches(".png").count(), 997);
    assert_eq!(searched_and_kept_by(&place, &[&words[..], &["--out", "found"]].concat()), (0, 997));
}

#[test]
fn only_what_changed_is_searched_again() {
    let place = with_model();
    assert_eq!(searched_and_kept(&place, &["--out", "found"]), (6, 0));
    let before = tree(&place.path("found"));
    assert_eq!(searched_and_kept(&place, &["--out", "found"]), (0, 6));
    assert_eq!(tree(&place.path("found")), before);

    let mut fields: Vec<_> =
        std::fs::read_dir(place.path("fields")).unwrap().map(|e| e.unwrap().path()).collect();
    fields.sort();
    std::fs::copy(&fields[0], &fields[1]).unwrap();
    let gone = before.keys().find(|path| path.starts_with("overlays/Im003")).unwrap();
    std::fs::remove_file(place.path("found").join(gone)).unwrap();
    assert_eq!(searched_and_kept(&place, &["--out", "found"]), (2, 4));
    assert_eq!(tree(&place.path("found"))[gone], before[gone]);

    assert_eq!(searched_and_kept(&place, &["--out", "found", "--write", "default,masks"]), (6, 0));
    assert_eq!(searched_and_kept(&place, &["--out", "found", "--write", "none"]), (0, 6));
    assert_eq!(searched_and_kept(&place, &["--out", "found", "--stride", "16"]), (6, 0));
}

#[test]
fn broken_files_are_each_named_and_the_rest_is_searched() {
    let place = with_model();
    let broken = ["fields/empty.png", "fields/text.jpg", "fields/cut.jpg"];
    std::fs::write(place.path(broken[0]), b"").unwrap();
    std::fs::write(place.path(broken[1]), b"not an image").unwrap();
    let field = std::fs::read(place.path("fields/Im001_1.jpg")).unwrap();
    std::fs::write(place.path(broken[2]), &field[..200]).unwrap();
    let (code, _, messages) = place.run(&locate(&["--out", "found"]));
    assert_eq!(code, 0, "{messages}");
    for name in broken {
        assert!(messages.contains(name), "{name}: {messages}");
    }
    assert!(messages.contains("3 problems were passed over"), "{messages}");
    let table = std::fs::read_to_string(place.path("found/regions.csv")).unwrap();
    assert!((1..=6).all(|field| table.contains(&format!("Im00{field}_"))), "{table}");
    let (code, _, messages) = place.run(&locate(&["--out", "strict", "--strict"]));
    assert!(code == 1 && broken.iter().any(|name| messages.contains(name)), "{messages}");
}

/// Where files may be no longer than so many bytes, in blocks of 1024, as on a disk that is all but full.
#[cfg(unix)]
fn with_file_limit(place: &Workplace, blocks: u32, words: &[&str]) -> (bool, String) {
    let locam = assert_cmd::cargo::cargo_bin("locam");
    // The signal that comes with the limit is ignored, so that writing fails as it does on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let output = std::process::Command::new("bash")
        .arg("-c")
        .arg(script)
        .arg(locam)
        .args(words)
        .current_dir(place.root())
        .output()
        .expect("bash runs");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_loses_nothing_that_was_finished() {
    let place = with_model();
    place.ok(&locate(&["--out", "whole"]));
    place.ok(&[
        "locate",
        "--model",
        "run",
        "fields/Im001_1.jpg",
        "--threshold=-1",
        "--scale",
        "1",
        "--out",
        "found",
    ]);
    let first = tree(&place.path("found"));
    // Pictures are longer than 8 KiB.
    let (success, message) = with_file_limit(&place, 8, &locate(&["--out", "found"]));
    assert!(!success && message.contains("has room"), "{message}");
    let after = tree(&place.path("found"));
    assert!(!after.keys().any(|path| path.contains(".locam-")), "{:?}", after.keys());
    let of_first = first.iter().filter(|(path, _)| path.contains("Im001"));
    assert!(of_first.into_iter().all(|(path, bytes)| after[path] == *bytes));
    place.ok(&locate(&["--out", "found"]));
    assert_eq!(tree(&place.path("found")), tree(&place.path("whole")));
}

#[cfg(unix)]
#[test]
fn a_folder_that_can_not_be_written_to_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let place = with_model();
    std::fs::write(place.path("file"), b"mine").unwrap();
    let (code, _, message) = place.run(&locate(&["--out", "file"]));
    assert!(code == 1 && message.contains("file"), "{message}");
    assert_eq!(std::fs::read(place.path("file")).unwrap(), b"mine");
    std::fs::create_dir(place.path("closed")).unwrap();
    std::fs::set_permissions(place.path("closed"), std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(place.path("closed/probe"), b"").is_ok() {
        eprintln!("the part with a read-only folder is skipped: this user may write everywhere");
        return;
    }
    let (code, _, message) = place.run(&locate(&["--out", "closed"]));
    assert!(code == 1 && message.contains("closed"), "{message}");
}
