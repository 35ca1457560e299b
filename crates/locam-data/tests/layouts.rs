//! Every layout is recognised by itself and read with the counts that it has, on small trees and on real data.

mod common;

use common::shared;
use locam_core::{ClassId, Point, Rect, Shape};
use locam_data::{
    Background, Dataset, Label, Layout, OpenOptions, PatchPlan, Split, SplitPlan, Strictness, plan_patches,
    write_patches,
};
use std::fs;
use tempfile::TempDir;

/// A folder with these files; names of images get a picture of 40x30 pixels.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if locam_data::is_image_path(&path) {
            image::RgbImage::from_pixel(40, 30, image::Rgb([90, 120, 150])).save(&path).unwrap();
        } else {
            fs::write(&path, content).unwrap();
        }
    }
    folder
}

fn open(folder: &TempDir) -> Dataset {
    Dataset::open(folder.path(), &OpenOptions::default()).unwrap()
}

fn objects(data: &Dataset, item: usize) -> Vec<(usize, Shape)> {
    let Label::Objects(objects) = &data.items[item].label else { panic!("item {item} is a patch") };
    objects.iter().map(|object| (object.class.0, object.shape.clone())).collect()
}

#[test]
fn class_folders_with_and_without_splits() {
    let data =
        open(&tree(&[("cell/a.png", ""), ("cell/deep/b.jpg", ""), ("glass/c.png", ""), ("stray.png", "")]));
    assert_eq!((data.layout, data.items.len(), data.problems.len()), (Layout::ClassFolders, 3, 1));
    assert_eq!(data.classes, ["cell", "glass"]);
    let data = open(&tree(&[("train/cell/a.png", ""), ("valid/glass/c.png", ""), ("test/cell/d.png", "")]));
    let splits: Vec<_> = data.items.iter().map(|item| item.split).collect();
    assert_eq!(splits, [Some(Split::Test), Some(Split::Train), Some(Split::Val)]);
}

#[test]
fn all_idb_in_both_parts() {
    let data = open(&tree(&[("img/Im001_1.tif", ""), ("img/Im131_0.tif", ""), ("img/notes_2.tif", "")]));
    assert_eq!((data.layout, data.items.len(), data.problems.len()), (Layout::AllIdb2, 2, 1));
    assert_eq!(data.items[0].label, Label::Class(ClassId(1)));
    assert_eq!(data.classes, ["healthy", "blast"]);
    let data = open(&tree(&[
        ("im/Im001_1.jpg", ""),
        ("xyc/Im001_1.xyc", "\n10\t20\n 30 5\n\n"),
        ("im/Im034_0.jpg", ""),
        ("xyc/Im034_0.xyc", "\n\n"),
        ("im/Im035_0.jpg", ""),
    ]));
    assert_eq!((data.layout, data.items.len(), data.problems.len()), (Layout::AllIdb1, 2, 1));
    let shapes = [Point::new(10.0, 20.0), Point::new(30.0, 5.0)].map(|point| (0, Shape::Point(point)));
    assert_eq!(objects(&data, 0), shapes);
    assert!(objects(&data, 1).is_empty());
}

const VOC: &str = "<annotation><filename>a.png</filename><size><width>40</width><height>30</height></size>
<object><name>cell</name><bndbox><xmin>1.5</xmin><ymin>1</ymin><xmax>55</xmax><ymax>12.25</ymax></bndbox></object>
<object><name>cell</name><bndbox><xmin>9</xmin><ymin>2</ymin><xmax>9</xmax><ymax>12</ymax></bndbox></object>
<object><name>cell</name></object>
<object><name>cell</name><bndbox><xmin>NaN</xmin><ymin>2</ymin><xmax>9</xmax><ymax>12</ymax></bndbox></object>
</annotation>";

#[test]
fn voc_clamps_boxes_begins_those_of_the_first_pixel_at_the_border_and_names_bad_ones() {
    let data = open(&tree(&[
        ("JPEGImages/a.jpg", ""),
        ("Annotations/a.xml", VOC),
        ("Annotations/b.xml", VOC.replace("a.png", "b.png").as_str()),
        ("Annotations/half.xml", &VOC[..80]),
        ("Annotations/empty.xml", ""),
        ("ImageSets/Main/val.txt", "a\n"),
        ("ImageSets/Main/trainval.txt", "a\n"),
    ]));
    assert_eq!((data.layout, data.items.len()), (Layout::Voc, 1));
    assert_eq!(objects(&data, 0), [(0, Shape::Box(Rect::new(1.5, 0.0, 40.0, 12.25)))]);
    assert_eq!(data.items[0].split, Some(Split::Val));
    // Three bad objects, an image that is not there, half a file, an empty file.
    assert_eq!(data.problems.len(), 6, "{:?}", data.problems);
}

#[test]
fn voc_leaves_out_what_no_list_names_where_there_is_a_training_list() {
    let boxed = |name: &str| VOC.replace("a.png", name);
    let files = [boxed("a.png"), boxed("b.png"), boxed("c.png")];
    let all = [
        ("JPEGImages/a.jpg", ""),
        ("JPEGImages/b.jpg", ""),
        ("JPEGImages/c.jpg", ""),
        ("Annotations/a.xml", &files[0]),
        ("Annotations/b.xml", &files[1]),
        ("Annotations/c.xml", &files[2]),
        ("ImageSets/Main/val.txt", "b\n"),
    ];
    let splits = |data: &Dataset| data.items.iter().map(|item| item.split).collect::<Vec<_>>();
    assert_eq!(splits(&open(&tree(&all))), [None, Some(Split::Val), None]);
    let data = open(&tree(&[&all[..], &[("ImageSets/Main/train.txt", "a\n")]].concat()));
    assert_eq!(splits(&data), [Some(Split::Train), Some(Split::Val)]);
    let left_out =
        |problem: &&locam_data::Problem| problem.message.starts_with("1 annotated images are in no list");
    let problem = data.problems.iter().find(left_out).unwrap();
    assert!(problem.path.ends_with("ImageSets/Main/train.txt"), "{problem:?}");
}

#[test]
fn yolo_coco_csv_and_points() {
    let data = open(&tree(&[
        ("images/train/a.png", ""),
        ("labels/train/a.txt", "1 0.5 0.5 0.5 1.0\n"),
        ("images/val/b.png", ""),
        ("labels/val/b.txt", "0 2.5 0.5 0.5 1.0\n"),
        ("data.yaml", "names: [glass, cell]\n"),
    ]));
    assert_eq!((data.layout, data.items.len(), data.problems.len()), (Layout::Yolo, 1, 1));
    assert_eq!(data.classes, ["glass", "cell"]);
    assert_eq!(objects(&data, 0), [(1, Shape::Box(Rect::new(10.0, 0.0, 30.0, 30.0)))]);

    let json = r#"{"images":[{"id":7,"file_name":"a.png","width":40,"height":30},{"id":8,"file_name":"gone.png"}],
        "annotations":[{"image_id":7,"category_id":3,"bbox":[1,2,3,4]},{"image_id":7,"category_id":3}],
        "categories":[{"id":3,"name":"cell"}]}"#;
    let data = open(&tree(&[("instances_val2017.json", json), ("images/a.png", "")]));
    assert_eq!((data.layout, data.items.len(), data.problems.len()), (Layout::Coco, 1, 2));
    assert_eq!(objects(&data, 0), [(0, Shape::Box(Rect::new(1.0, 2.0, 4.0, 6.0)))]);
    assert_eq!(data.items[0].split, Some(Split::Val));

    let drawn = r#"{"images":[{"id":7,"file_name":"a.png"}],"annotations":[
        {"image_id":7,"category_id":3,"bbox":[1,2,3,4],"segmentation":[[1,2,4,2,4,6,1,6]]},
        {"image_id":7,"category_id":3,"segmentation":{"size":[30,40],"counts":[31,2,1167]}},
        {"image_id":7,"category_id":3,"bbox":[1,2,3,4],"segmentation":[]},
        {"image_id":7,"category_id":3,"bbox":[1,2,3,4],"segmentation":[[1,2]]},
        {"image_id":7,"category_id":3,"segmentation":{"size":[3,4],"counts":[12]}}],
        "categories":[{"id":3,"name":"cell"}]}"#;
    let data = open(&tree(&[("drawn.json", drawn), ("a.png", "")]));
    let objects = objects(&data, 0);
    let rects: Vec<_> = objects.iter().map(|(_, shape)| shape.rect().unwrap()).collect();
    let whole = Rect::new(1.0, 2.0, 4.0, 6.0);
    assert_eq!(rects, [whole, Rect::new(1.0, 1.0, 2.0, 3.0), whole, whole]);
    let areas: Vec<_> = objects
        .iter()
        .map(|(_, shape)| if let Shape::Mask(mask) = shape { mask.area() } else { 0 })
        .collect();
    assert_eq!(areas, [12, 2, 0, 0]);
    // The polygon of one corner, and the run lengths of another image.
    assert_eq!(data.problems.len(), 2, "{:?}", data.problems);

    let table = "path,label,split,group\na.png,cell,train,s1\nb.png,glass,,s2\ngone.png,cell,,\n";
    let data = open(&tree(&[("manifest.csv", table), ("a.png", ""), ("b.png", "")]));
    assert_eq!((data.layout, data.items.len(), data.problems.len()), (Layout::Csv, 2, 1));
    assert_eq!(data.items[0].group.as_deref(), Some("s1"));
    // Beside another layout the table is what was meant.
    let table = "path,label,group\nALL_IDB2/img/Im001_1.tif,blast,here\n";
    let data = open(&tree(&[("patches.csv", table), ("ALL_IDB2/img/Im001_1.tif", "")]));
    assert_eq!((data.layout, data.items[0].group.as_deref()), (Layout::Csv, Some("here")));

    let data =
        open(&tree(&[("a.png", ""), ("a.txt", "3 4 11\n5, 6, 2\n"), ("b.png", ""), ("b.txt", "x y z\n")]));
    assert_eq!((data.layout, data.classes.len()), (Layout::Points, 2));
    assert_eq!(data.classes, ["2", "11"]);
    // The unreadable list, and the image that is left without one.
    assert_eq!((data.items.len(), data.problems.len()), (1, 2));
}

#[test]
fn what_is_no_data_set_is_an_error_that_says_what_was_looked_for() {
    let error = |folder: &TempDir, options: OpenOptions| {
        Dataset::open(folder.path(), &options).unwrap_err().to_string()
    };
    let message = error(&tree(&[("notes.md", "")]), OpenOptions::default());
    assert!(message.contains("all-idb2") && message.contains("x y class"), "{message}");
    let wrong = OpenOptions { layout: Some(Layout::Voc), ..OpenOptions::default() };
    assert!(error(&tree(&[("cell/a.png", "")]), wrong).contains("voc"));
    let strict = OpenOptions { strictness: Strictness::Strict, ..OpenOptions::default() };
    assert!(error(&tree(&[("cell/a.png", ""), ("stray.png", "")]), strict).contains("stray.png"));
    let split = tree(&[("m.csv", "path,label,split\na.png,cell,holdout\n"), ("a.png", "")]);
    assert!(error(&split, OpenOptions::default()).contains("line 2: `holdout`"));
    assert!("imagenet".parse::<Layout>().unwrap_err().to_string().contains("folders"));
}

fn plan(side: u32, classes: &[&str]) -> PatchPlan {
    PatchPlan {
        classes: Some(classes.iter().map(|&name| name.to_owned()).collect()),
        background: Background::PerImage(1),
        side,
        jitter: 0.0,
        margin: 0.0,
        splits: SplitPlan { val_fraction: 0.15, test_fraction: 0.2, seed: 0 },
    }
}

#[test]
fn patches_are_written_and_read_back_with_their_sources() {
    let names: Vec<String> = (0..6).map(|i| format!("f{i}")).collect();
    let mut files = Vec::new();
    for name in &names {
        let xml = VOC.replace("a.png", &format!("{name}.png"));
        files.push((format!("{name}.png"), String::new()));
        files.push((format!("{name}.xml"), xml));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let folder = tree(&files);
    let out = folder.path().join("patches");
    let written = write_patches(&open(&folder), &plan(12, &["cell"]), &out, 24).unwrap();
    assert_eq!(written.counts["cell"], 6);
    let again = Dataset::open(&out, &OpenOptions::default()).unwrap();
    assert_eq!((again.layout, again.items.len()), (Layout::Csv, written.counts.values().sum::<usize>()));
    assert!(again.items.iter().all(|item| item.group.is_some()));
    assert_eq!(image::image_dimensions(&again.items[0].path).unwrap(), (24, 24));
    let refused = write_patches(&open(&folder), &plan(12, &["cell"]), &out, 24).unwrap_err();
    assert!(refused.to_string().contains("already exists"), "{refused}");
}

#[test]
fn small_objects_are_those_of_other_classes_on_training_images() {
    let object = |name: &str, left: u32, side: u32| {
        let (right, bottom) = (left + side, 2 + side);
        format!(
            "<object><name>{name}</name><bndbox><xmin>{left}</xmin><ymin>2</ymin><xmax>{right}</xmax>\
             <ymax>{bottom}</ymax></bndbox></object>"
        )
    };
    let file = |name: &str| {
        let objects = [
            object("cell", 2, 12),
            object("cell", 20, 3),
            object("dust", 24, 7),
            object("dust", 30, 9),
            object("dust", 13, 5),
        ];
        format!("<annotation><filename>{name}.png</filename>{}</annotation>", objects.concat())
    };
    let folder = tree(&[
        ("JPEGImages/a.png", ""),
        ("JPEGImages/b.png", ""),
        ("Annotations/a.xml", &file("a")),
        ("Annotations/b.xml", &file("b")),
        ("ImageSets/Main/train.txt", "a\n"),
        ("ImageSets/Main/val.txt", "b\n"),
    ]);
    let data = open(&folder);
    let set = plan_patches(&data, &plan(12, &["cell"])).unwrap();
    let found: Vec<_> = set
        .small_objects
        .iter()
        .map(|(path, class, rect)| (path.file_name().unwrap(), class.0, *rect))
        .collect();
    assert_eq!(found, [("a.png".as_ref(), 1, Rect::new(24.0, 2.0, 31.0, 9.0))]);
    let sought: Vec<_> = set.sought_objects.iter().map(|(_, rect)| *rect).collect();
    assert_eq!(sought, [Rect::new(2.0, 2.0, 14.0, 14.0), Rect::new(20.0, 2.0, 23.0, 5.0)]);
    assert_eq!(plan_patches(&data, &plan(12, &["cell", "dust"])).unwrap().small_objects, []);
}

#[test]
fn bccd_has_its_known_counts() {
    let Some(path) = shared("bccd") else { return };
    let data = Dataset::open(&path, &OpenOptions::default()).unwrap();
    assert_eq!((data.layout, data.items.len()), (Layout::Voc, 364));
    let count = |name: &str| {
        let id = data.classes.iter().position(|class| class == name).unwrap();
        (0..data.items.len()).flat_map(|i| objects(&data, i)).filter(|(class, _)| *class == id).count()
    };
    // Two red-cell boxes are empty and named as problems.
    assert_eq!((count("WBC"), count("RBC") + data.problems.len(), count("Platelets")), (372, 4155, 361));
    let split = |split| data.items.iter().filter(|item| item.split == Some(split)).count();
    assert_eq!((split(Split::Train), split(Split::Val), split(Split::Test)), (205, 87, 72));
    let set = plan_patches(&data, &plan(224, &["WBC"])).unwrap();
    let train = set.patches.iter().filter(|patch| patch.split == Split::Train).count();
    assert!((400..=430).contains(&train), "{train} training patches");
    let small = |class: usize| set.small_objects.iter().filter(|one| one.1 == ClassId(class)).count();
    let (platelets, red_cells) = (small(0), small(1));
    assert!((150..=220).contains(&platelets) && (1500..2200).contains(&red_cells), "{platelets} {red_cells}");
    let set = plan_patches(&data, &plan(224, &["Platelets", "RBC", "WBC"])).unwrap();
    let sizes: Vec<f64> = set.classes.iter().filter_map(|class| Some(class.object_size?.round())).collect();
    assert_eq!((sizes, set.object_size.unwrap().round()), (vec![39.0, 102.0, 189.0], 102.0));
    let error = plan_patches(&data, &plan(224, &["blast"])).unwrap_err().to_string();
    assert!(error.contains("Platelets, RBC, WBC"), "{error}");
}

#[test]
fn plates_and_red_cells_have_their_known_counts() {
    if let Some(path) = shared("plates") {
        let data = Dataset::open(&path, &OpenOptions::default()).unwrap();
        let split = |split| data.items.iter().filter(|item| item.split == Some(split)).count();
        assert_eq!((data.layout, split(Split::Train), split(Split::Val)), (Layout::Voc, 60, 30));
    }
    if let Some(path) = shared("chula-rbc") {
        let data = Dataset::open(&path, &OpenOptions::default()).unwrap();
        assert_eq!((data.layout, data.items.len()), (Layout::Points, 104));
    }
}
