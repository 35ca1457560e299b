//! Generated smears: the truth agrees with itself, classes differ as they should, and files are complete.

use image::{GenericImageView, ImageReader};
use locam_core::{Point, Rect, Size};
use locam_data::{
    ALL_IDB2_SIDE, CellKind, CellType, DataError, Dataset, OpenOptions, Smear, SmearConfig, SmearPlan,
    StainPreset, WhiteCell, generate, write_smears, write_voc,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A field that is quick to draw: cells of a fifth of the usual size.
fn small(seed: u64, white_cells: u32) -> SmearConfig {
    SmearConfig { white_cells, cell_scale: 0.2, ..SmearConfig::new(Size::new(220, 160), seed) }
}

/// Centroid, box and area of a label, counted afresh.
fn measured(smear: &Smear, label: u16) -> (Point, Rect, u64) {
    let pixels: Vec<(f64, f64)> = smear
        .labels
        .enumerate_pixels()
        .filter(|(_, _, value)| value.0[0] == label)
        .map(|(column, row, _)| (f64::from(column), f64::from(row)))
        .collect();
    let count = pixels.len() as f64;
    let (xs, ys): (Vec<f64>, Vec<f64>) = pixels.iter().copied().unzip();
    let mean = |values: &[f64]| values.iter().map(|value| value + 0.5).sum::<f64>() / count;
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 1.0;
    let rect = Rect::new(least(&xs), least(&ys), most(&xs), most(&ys));
    (Point::new(mean(&xs), mean(&ys)), rect, pixels.len() as u64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn truth_agrees_with_the_labels(seed: u64, white_cells in 0..20_u32, width in 1..200_u32, height in 1..150_u32) {
        let size = Size::new(width, height);
        let smear = generate(&SmearConfig { size, ..small(seed, white_cells) });
        prop_assert_eq!(smear.image.dimensions(), (width, height));
        prop_assert_eq!(smear.labels.dimensions(), (width, height));
        prop_assert!(smear.cells.len() <= white_cells as usize);
        let greatest = smear.labels.pixels().map(|pixel| pixel.0[0]).max().unwrap_or(0);
        prop_assert_eq!(usize::from(greatest), smear.cells.len());
        for (index, cell) in smear.cells.iter().enumerate() {
            let (centroid, rect, area) = measured(&smear, index as u16 + 1);
            prop_assert!(centroid.distance(cell.centroid) < 1e-6);
            prop_assert_eq!((rect, area), (cell.rect, cell.area));
            prop_assert!(cell.rect.contains(cell.centroid));
            prop_assert_eq!(cell.rect.clamped_to(size), cell.rect);
            prop_assert!(cell.nucleus_area <= cell.area);
            prop_assert_eq!(cell.kind, cell.cell_type.kind());
        }
        let image = Rect::new(0.0, 0.0, width.into(), height.into());
        for point in smear.red_cells.iter().chain(&smear.platelets) {
            prop_assert!(image.contains(*point));
        }
    }
}

#[test]
fn same_seed_gives_the_same_bytes_with_any_number_of_threads() {
    let with_threads = |threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| generate(&small(seed, 4)))
    };
    let (one, three, other) = (with_threads(1, 5), with_threads(3, 5), with_threads(1, 6));
    assert_eq!(one.image, three.image);
    assert_eq!(one.labels, three.labels);
    assert_eq!(one.cells, three.cells);
    assert_ne!(one.image, other.image);
}

#[test]
fn blast_fraction_is_kept_and_one_blast_at_least_is_drawn() {
    let blasts = |fraction| {
        let smear = generate(&SmearConfig { blast_fraction: fraction, ..small(3, 6) });
        assert_eq!(smear.cells.len(), 6);
        smear.cells.iter().filter(|cell| cell.kind == CellKind::Blast).count()
    };
    assert_eq!([0.0, 0.01, 0.5, 1.0, f64::NAN, 7.0].map(blasts), [0, 1, 3, 6, 0, 6]);
}

#[test]
fn no_size_and_no_scale_panics() {
    for size in [Size::new(0, 0), Size::new(0, 9), Size::new(9, 0), Size::new(1, 1)] {
        for cell_scale in [0.0, -1.0, f64::NAN, f64::INFINITY, 1.0] {
            let smear = generate(&SmearConfig { size, cell_scale, ..small(1, 3) });
            assert_eq!(smear.image.dimensions(), (size.width, size.height));
        }
    }
}

/// White cells of several fields that the border does not cut, by type.
fn whole_cells() -> BTreeMap<CellType, Vec<WhiteCell>> {
    let mut by_type: BTreeMap<CellType, Vec<WhiteCell>> = BTreeMap::new();
    for seed in 0..12 {
        let size = Size::new(400, 300);
        let smear = generate(&SmearConfig { size, cell_scale: 0.4, ..small(seed, 9) });
        for cell in smear.cells {
            let rect = cell.rect;
            if rect.left > 0.0 && rect.top > 0.0 && rect.right < 400.0 && rect.bottom < 300.0 {
                by_type.entry(cell.cell_type).or_default().push(cell);
            }
        }
    }
    by_type
}

#[test]
fn blasts_are_larger_and_have_more_nucleus_than_lymphocytes() {
    let by_type = whole_cells();
    let mean = |cell_type: CellType, value: fn(&WhiteCell) -> f64| {
        let cells = &by_type[&cell_type];
        cells.iter().map(value).sum::<f64>() / cells.len() as f64
    };
    // At a scale of 0.4 a usual lymphocyte is 40 pixels wide and a blast 56.
    let diameter = |cell: &WhiteCell| f64::midpoint(cell.rect.width(), cell.rect.height());
    let (lymphocyte, blast) = (mean(CellType::Lymphocyte, diameter), mean(CellType::Lymphoblast, diameter));
    assert!((36.0..45.0).contains(&lymphocyte) && (50.0..63.0).contains(&blast), "{lymphocyte} {blast}");
    let share = |cell: &WhiteCell| cell.nucleus_area as f64 / cell.area as f64;
    let [lymphocyte, neutrophil, monocyte, blast] =
        [CellType::Lymphocyte, CellType::Neutrophil, CellType::Monocyte, CellType::Lymphoblast]
            .map(|cell_type| mean(cell_type, share));
    assert!(blast > lymphocyte + 0.08 && blast > 0.7, "blast {blast}, lymphocyte {lymphocyte}");
    assert!(lymphocyte > neutrophil && lymphocyte > monocyte, "{lymphocyte} {neutrophil} {monocyte}");
}

#[test]
fn white_cells_are_darker_than_what_is_around_them_in_every_stain() {
    for stain in StainPreset::ALL {
        let smear = generate(&SmearConfig { stain, ..small(8, 5) });
        let mean_green = |of_cells: bool| {
            let pixels = smear.image.pixels().zip(smear.labels.pixels());
            let values: Vec<f64> = pixels
                .filter(|(_, label)| (label.0[0] > 0) == of_cells)
                .map(|(pixel, _)| f64::from(pixel.0[1]))
                .collect();
            values.iter().sum::<f64>() / values.len() as f64
        };
        let (cells, rest) = (mean_green(true), mean_green(false));
        assert!(cells + 30.0 < rest, "{stain:?}: {cells} and {rest}");
    }
}

/// All files under a folder with their bytes, by path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn plan() -> SmearPlan {
    SmearPlan { fields: 3, patches: 5, size: Size::new(420, 330), seed: 9, ..SmearPlan::default() }
}

#[test]
fn written_tree_is_complete_and_repeats_byte_for_byte() {
    let place = tempfile::tempdir().unwrap();
    let (first, second) = (place.path().join("first"), place.path().join("second"));
    fs::create_dir(&second).unwrap();
    let summary = write_smears(&first, &plan()).unwrap();
    assert_eq!(write_smears(&second, &plan()).unwrap(), summary);
    let written = files(&first);
    assert_eq!(written, files(&second));
    assert_eq!((summary.fields, summary.healthy_patches, summary.blast_patches), (3, 2, 3));
    assert!(summary.healthy_cells > 0 && summary.blast_cells > 0);

    let mut expected: Vec<String> =
        ["1_1", "2_1", "3_1", "4_0", "5_0"].map(|name| format!("ALL_IDB2/img/Im00{name}.tif")).to_vec();
    expected.push("ALL_IDB2/groups.csv".into());
    for name in ["Im001_1", "Im002_0", "Im003_1"] {
        for file in ["im/NAME.jpg", "xyc/NAME.xyc", "truth/NAME.json", "truth/NAME_mask.png"] {
            expected.push(format!("ALL_IDB1/{}", file.replace("NAME", name)));
        }
    }
    expected.sort();
    let mut names: Vec<String> =
        written.keys().map(|path| path.to_string_lossy().replace('\\', "/")).collect();
    names.sort();
    assert_eq!(names, expected);
    // Nothing unfinished stays beside them.
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
}

#[test]
fn written_truth_agrees_with_the_written_images() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("smears");
    let summary = write_smears(&out, &plan()).unwrap();
    let mut blasts = 0;
    for name in ["Im001_1", "Im002_0", "Im003_1"] {
        let fields = out.join("ALL_IDB1");
        let read = |path: String| ImageReader::open(fields.join(path)).unwrap().decode().unwrap();
        let mask = read(format!("truth/{name}_mask.png")).into_luma16();
        assert_eq!(read(format!("im/{name}.jpg")).dimensions(), (420, 330));
        let text = fs::read_to_string(fields.join(format!("truth/{name}.json"))).unwrap();
        let truth: serde_json::Value = serde_json::from_str(&text).unwrap();
        let cells = truth["cells"].as_array().unwrap();
        assert_eq!(usize::from(mask.pixels().map(|pixel| pixel.0[0]).max().unwrap()), cells.len());
        let of_blasts = cells.iter().filter(|cell| cell["kind"] == "blast").map(|cell| {
            ["x", "y"].map(|axis| cell["centroid"][axis].as_f64().unwrap().floor().to_string()).join("\t")
        });
        let of_blasts: Vec<String> = of_blasts.collect();
        blasts += of_blasts.len();
        let listed = fs::read_to_string(fields.join(format!("xyc/{name}.xyc"))).unwrap();
        assert!(listed.starts_with('\n') && listed.ends_with("\n\n") || of_blasts.is_empty(), "{listed:?}");
        assert_eq!(
            listed.split_terminator('\n').filter(|line| !line.is_empty()).collect::<Vec<_>>(),
            of_blasts
        );
        assert_eq!(name.ends_with('1'), !of_blasts.is_empty());
    }
    assert_eq!(blasts, summary.blast_cells);

    let groups = fs::read_to_string(out.join("ALL_IDB2/groups.csv")).unwrap();
    let rows: Vec<&str> = groups.lines().collect();
    assert_eq!((rows[0], rows.len()), ("path,group", 6));
    for row in &rows[1..] {
        let path = out.join("ALL_IDB2").join(row.split(',').next().unwrap());
        let patch = ImageReader::open(path).unwrap().decode().unwrap();
        assert_eq!(patch.dimensions(), (ALL_IDB2_SIDE, ALL_IDB2_SIDE));
        assert_eq!(patch.color(), image::ColorType::Rgb8);
    }
}

#[test]
fn written_layouts_are_recognised_and_nothing_beside_the_images_disturbs() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("smears");
    write_smears(&out, &plan()).unwrap();
    for (folder, items) in [("ALL_IDB1", 3), ("ALL_IDB2", 5)] {
        let dataset = Dataset::open(&out.join(folder), &OpenOptions::default()).unwrap();
        assert_eq!(
            (dataset.items.len(), dataset.problems.len()),
            (items, 0),
            "{folder}: {:?}",
            dataset.problems
        );
    }
}

#[test]
fn existing_work_is_not_overwritten() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("thesis.txt"), b"years of work").unwrap();
    for taken in [place.path().to_owned(), place.path().join("thesis.txt")] {
        let error = write_smears(&taken, &plan()).unwrap_err();
        assert!(matches!(&error, DataError::Exists { path } if *path == taken), "{error}");
    }
    assert_eq!(fs::read(place.path().join("thesis.txt")).unwrap(), b"years of work");
}

#[test]
fn an_impossible_size_is_an_error_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("smears");
    let error = write_smears(&out, &SmearPlan { size: Size::new(0, 10), ..plan() }).unwrap_err();
    assert!(matches!(error, DataError::Write { .. }), "{error}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn fields_have_as_many_white_cells_as_asked_for() {
    let place = tempfile::tempdir().unwrap();
    for count in [0, 1] {
        let plan = SmearPlan { white_cells: Some(count), patches: 0, ..plan() };
        let summary = write_smears(&place.path().join(count.to_string()), &plan).unwrap();
        assert_eq!(summary.healthy_cells + summary.blast_cells, 3 * count as usize);
    }
}

#[test]
fn fields_of_other_seeds_stay_in_a_list() {
    let place = tempfile::tempdir().unwrap();
    let write = |seed: u64, fields: usize| {
        let plan = SmearPlan { seed, fields, white_cells: Some(1), ..plan() };
        write_voc(place.path(), &plan.voc_fields(Some("train"))).unwrap();
        fs::read_to_string(place.path().join("ImageSets/Main/train.txt")).unwrap()
    };
    write(1, 2);
    assert_eq!(write(12, 1), "smear-1-001\nsmear-1-002\nsmear-12-001\n");
    assert_eq!(write(1, 1), "smear-12-001\nsmear-1-001\n", "the same seed's are replaced");
}
