use super::*;
use image::RgbImage;
use locam_core::{ClassId, Size};
use locam_data::{Layout, SmearConfig, generate};

/// Patches of two classes with these contents and splits, in a folder.
fn data(folder: &Path, patches: &[(&str, &RgbImage, usize, Option<Split>)]) -> Dataset {
    let item = |&(name, image, class, split): &(&str, &RgbImage, usize, Option<Split>)| {
        let path = folder.join(name);
        image.save(&path).unwrap();
        Item { path, label: Label::Class(ClassId(class)), split, group: None }
    };
    Dataset {
        root: folder.to_owned(),
        layout: Layout::ClassFolders,
        classes: vec!["healthy".into(), "blast".into()],
        items: patches.iter().map(item).collect(),
        problems: Vec::new(),
    }
}

fn cell(seed: u64) -> RgbImage {
    generate(&SmearConfig::new(Size::new(90, 90), seed)).image
}

fn brighter(image: &RgbImage) -> RgbImage {
    let mut image = image.clone();
    for value in image.pixels_mut().flat_map(|pixel| &mut pixel.0) {
        *value = value.saturating_add(5);
    }
    image
}

#[test]
fn the_same_patch_with_two_labels_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (cell(1), cell(2));
    let patches = [("a.png", &one, 0, None), ("b.bmp", &one, 1, None), ("c.png", &other, 1, None)];
    let data = data(folder.path(), &patches);
    let config = TrainConfig::default();
    let error = Checked::new(&data, &config).err().unwrap().to_string();
    for words in ["a.png (healthy)", "b.bmp (blast)", "correct the labels"] {
        assert!(error.contains(words), "{words} in {error}");
    }
    assert!(!error.contains("c.png"), "{error}");
    let mut blasts = TrainConfig::default();
    blasts.patches.classes = Some(vec!["blast".into()]);
    assert!(Checked::new(&data, &blasts).is_ok());
}

#[test]
fn copies_across_given_splits_are_named_and_others_kept_together() {
    let folder = tempfile::tempdir().unwrap();
    let cells: Vec<RgbImage> = (0..4).map(cell).collect();
    let near = brighter(&cells[1]);
    let (train, test) = (Some(Split::Train), Some(Split::Test));
    let data = data(
        folder.path(),
        &[
            ("0.png", &cells[0], 0, train),
            ("0b.png", &cells[0], 0, test),
            ("1.png", &cells[1], 1, test),
            ("1b.png", &near, 1, train),
            ("2.png", &cells[2], 0, train),
            ("2b.png", &cells[2], 0, train),
            ("3.png", &cells[3], 1, train),
        ],
    );
    let checked = Checked::new(&data, &TrainConfig::default()).unwrap();
    let splits: Vec<Split> = data.items.iter().map(|item| item.split.unwrap()).collect();
    let images = checked.images(&splits);
    let messages: Vec<String> = images.leaks.iter().map(Leak::message).collect();
    assert_eq!(
        messages,
        ["0b.png (test) is the same image as 0.png (train)", "1.png (test) shows the same as 1b.png (train)"]
    );
    assert_eq!((images.kept_together, images.images.len()), (2, 7));
    images.write(folder.path()).unwrap();
    assert_eq!(RunImages::read(folder.path()).unwrap(), Some(images));
}

#[test]
fn a_run_knows_its_images_in_any_file_format() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other, new) = (cell(1), cell(2), cell(3));
    let patches = [("a.png", &one, 0, Some(Split::Train)), ("b.png", &other, 1, Some(Split::Val))];
    let data = data(folder.path(), &patches);
    let checked = Checked::new(&data, &TrainConfig::default()).unwrap();
    let run = folder.path().join("run");
    std::fs::create_dir_all(run.join("best")).unwrap();
    std::fs::write(run.join("manifest.json"), "{}").unwrap();
    checked.images(&[Split::Train, Split::Val]).write(&run).unwrap();

    let elsewhere = tempfile::tempdir().unwrap();
    let patches = [("x.bmp", &one, 0, None), ("y.bmp", &other, 1, None), ("z.bmp", &new, 1, None)];
    let again = super::tests::data(elsewhere.path(), &patches);
    let items: Vec<&Item> = again.items.iter().collect();
    let parts = parts_in_run(&run.join("best"), &items).unwrap().unwrap();
    assert_eq!(parts, [Some(Split::Train), Some(Split::Val), None]);
    let seen = seen_before(&run, &items).unwrap();
    assert_eq!((seen.trained_on.len(), seen.chosen_on.len(), seen.warnings().len()), (1, 1, 2));
    assert!(seen.warnings()[0].contains("x.bmp"), "{seen:?}");
    assert_eq!(seen_before(elsewhere.path(), &items).unwrap(), SeenBefore::default());
}
