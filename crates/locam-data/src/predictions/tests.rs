use super::*;
use crate::{Item, Label, Layout};
use std::path::PathBuf;

fn data(root: &Path, files: &[&str], classes: &[&str]) -> Dataset {
    let item = |file: &&str| Item {
        path: root.join(file),
        label: Label::Objects(Vec::new()),
        split: None,
        group: None,
    };
    Dataset {
        root: root.to_owned(),
        layout: Layout::Points,
        classes: classes.iter().map(|&class| class.to_owned()).collect(),
        items: files.iter().map(item).collect(),
        problems: Vec::new(),
    }
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, name: &str, text: &str, strictness: Strictness) -> Result<Predictions, DataError> {
        let data = data(self.folder.path(), &["a.png", "b/c.png", "d/c.png"], &["cell", "debris"]);
        let options = OpenOptions { layout: None, strictness };
        read_predictions(&self.write(name, text), &data, &options)
    }

    fn lenient(&self, name: &str, text: &str) -> Predictions {
        self.read(name, text, Strictness::Lenient).unwrap()
    }
}

#[test]
fn tables_name_images_by_file_stem_or_as_much_of_the_path_as_is_needed() {
    let found = Place::new().lenient(
        "p.csv",
        "image,class,score,left,top,right,bottom\na.png,cell,0.5,0,0,4,2\na,debris,0.25,1,1,3,3\nd/c.png,cell,1,0,0,1,1\n",
    );
    assert_eq!(found.by_item.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0, 1]);
    let first = &found.by_item[0][0];
    assert_eq!((first.class, first.centroid, first.area), (ClassId(0), Point::new(2.0, 1.0), 8.0));
    assert!(found.problems.is_empty() && found.are_probabilities());
}

#[test]
fn points_have_no_area_and_centroids_beside_boxes_are_kept() {
    let place = Place::new();
    let points = place.lenient("p.csv", "image,class,score,x,y\na.png,cell,7,3,4\n");
    assert_eq!((points.by_item[0][0].centroid, points.by_item[0][0].area), (Point::new(3.0, 4.0), 0.0));
    assert!(!points.are_probabilities());
    let ours = "image,class,score,probability,centroid_x,centroid_y,left,top,right,bottom\na.png,cell,9.1,0.9,1,1,0,0,4,4\n";
    let both = &place.lenient("q.csv", ours).by_item[0][0];
    assert_eq!((both.centroid, both.score), (Point::new(1.0, 1.0), 0.9));
}

#[test]
fn faults_are_counted_by_kind_and_name_the_first() {
    let text = "image,class,score,left,top,right,bottom\na.png,cell,NaN,0,0,4,2\nz.png,cell,1,0,0,4,2\ny.png,cell,1,0,0,4,2\n\
                c.png,cell,1,0,0,4,2\na.png,blast,1,0,0,4,2\na.png,cell,1,3,0,3,2\na.png,cell,1,0,0,inf,2\na.png,cell,1,0,0,4,2\n";
    let found = Place::new().lenient("p.csv", text);
    assert_eq!(found.by_item[0].len(), 1);
    let messages: Vec<_> = found.problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "predictions that have a box without area: 1; the first: line 7",
            "predictions that have a class that is not compared: 1; the first: `blast`, line 6",
            "predictions that have a score that is no number: 1; the first: line 2",
            "predictions that have coordinates that are no numbers: 1; the first: line 8",
            "predictions that name an image of which the data have several (give more of its path): 1; the first: \
             `c.png`, line 5",
            "predictions that name an image that is not in the data: 2; the first: `z.png`, line 3",
        ]
    );
}

#[test]
fn nothing_usable_and_strictness_are_errors_and_no_prediction_is_none() {
    let place = Place::new();
    let unknown = "image,class,score,x,y\nz.png,cell,1,3,4\n";
    let error = place.read("p.csv", unknown, Strictness::Lenient).unwrap_err().to_string();
    assert!(error.contains("none of its 1 predictions") && error.contains("`z.png`, line 2"), "{error}");
    let half = "image,class,score,x,y\na.png,cell,1,3,4\nz.png,cell,1,3,4\n";
    let error = place.read("p.csv", half, Strictness::Strict).unwrap_err().to_string();
    assert!(error.contains("--strict") && error.contains("z.png"), "{error}");
    let none = place.lenient("p.csv", "image,class,score,x,y\n");
    assert!(none.by_item.iter().all(Vec::is_empty) && none.problems.is_empty());
}

#[test]
fn tables_without_the_columns_or_with_words_for_numbers_say_so() {
    let place = Place::new();
    for (text, wanted) in [
        ("image,label\na.png,cell\n", "left, top, right, bottom or x, y"),
        ("image,class,score,x,y\na.png,cell,high,3,4\n", "line 2: `high` is no number"),
        ("image,class,score,x,y\na.png,cell\n", "line"),
    ] {
        let error = place.read("p.csv", text, Strictness::Lenient).unwrap_err().to_string();
        assert!(error.contains("p.csv") && error.contains(wanted), "{error}");
    }
    let error = place.read("p.txt", "", Strictness::Lenient).unwrap_err().to_string();
    assert!(error.contains(".geojson"), "{error}");
}

const RESULTS: &str = r#"[{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}]"#;

#[test]
fn coco_results_are_looked_up_beside_them_or_in_the_data() {
    let place = Place::new();
    let error = place.read("p.json", RESULTS, Strictness::Lenient).unwrap_err().to_string();
    assert!(error.contains("known by numbers alone"), "{error}");
    let key = r#"{"images": [{"id": 7, "file_name": "a.png"}], "categories": [{"id": 3, "name": "debris"}], "annotations": []}"#;
    place.write("truth.json", key);
    let found = place.lenient("p.json", RESULTS);
    assert_eq!(found.by_item[0][0].rect, Rect::new(1.0, 2.0, 4.0, 6.0));
    assert_eq!(found.by_item[0][0].class, ClassId(1));
    place.write("other.json", &key.replace("a.png", "b/c.png"));
    let error = place.read("p.json", RESULTS, Strictness::Lenient).unwrap_err().to_string();
    assert!(error.contains("image 7 is") && error.contains("coco.json"), "{error}");
    place.write("coco.json", &key.replace("a.png", "d/c.png"));
    assert_eq!(place.lenient("p.json", RESULTS).by_item[2].len(), 1);
}

#[test]
fn coco_data_sets_say_their_own_names_and_other_json_is_refused() {
    let place = Place::new();
    let whole = format!(
        r#"{{"images": [{{"id": 7, "file_name": "a.png"}}], "categories": [{{"id": 3, "name": "cell"}}], "annotations": {RESULTS}}}"#
    );
    assert_eq!(place.lenient("p.json", &whole).by_item[0].len(), 1);
    for text in ["{", "{\"images\": 3}", "[{\"image_id\": 1}]"] {
        let error = place.read("q.json", text, Strictness::Lenient).unwrap_err().to_string();
        assert!(error.contains("q.json") && error.contains("COCO"), "{error}");
    }
}

#[test]
fn geojson_is_read_as_qupath_writes_it() {
    let place = Place::new();
    let square = "[[[0,0],[4,0],[4,4],[0,4],[0,0]]]";
    let feature = |geometry: &str, measurements: &str| {
        format!(
            r#"{{"type":"Feature","geometry":{geometry},"properties":{{"classification":{{"name":"cell"}},"measurements":{measurements}}}}}"#
        )
    };
    let polygon = format!(r#"{{"type":"Polygon","coordinates":{square}}}"#);
    let several = format!(r#"{{"type":"MultiPolygon","coordinates":[[[[9,9],[10,9],[10,10]]],{square}]}}"#);
    let point = r#"{"type":"Point","coordinates":[5,6]}"#;
    let features = [
        feature(&polygon, r#"{"score": 3.0, "Probability": 0.75}"#),
        feature(&several, r#"[{"name": "Detection probability", "value": 0.5}]"#),
        feature(point, "null"),
    ]
    .join(",");
    let text = format!(r#"{{"type":"FeatureCollection","features":[{features}]}}"#);
    let found = place.lenient("a.geojson", &text);
    let regions = &found.by_item[0];
    assert_eq!(regions.iter().map(|region| region.score).collect::<Vec<_>>(), [0.75, 0.5, 1.0]);
    assert_eq!(
        (regions[0].centroid, regions[0].area, regions[0].outline.len()),
        (Point::new(2.0, 2.0), 16.0, 4)
    );
    assert_eq!(regions[1].rect, regions[0].rect);
    assert!(found.problems[0].message.contains("have no score"), "{:?}", found.problems);
    let list = place.lenient("a.geojson", &format!("[{features}]"));
    assert_eq!(list, found);
    let line = r#"[{"geometry":{"type":"LineString","coordinates":[[0,0],[1,1]]},"properties":{}}]"#;
    let error = place.read("a.geojson", line, Strictness::Lenient).unwrap_err().to_string();
    assert!(error.contains("feature 1"), "{error}");
}
