//! The tissue test on real images.

mod common;

use common::shared;
use locam_core::{Rect, Shape, Size};
use locam_data::{Dataset, ImageSource, Label, OpenOptions, TissueMask};

#[test]
fn no_annotated_cell_is_taken_for_glass() {
    let Some(path) = shared("bccd") else { return };
    let data = Dataset::open(&path, &OpenOptions::default()).unwrap();
    let mut seen = 0;
    for item in data.items.iter().step_by(4) {
        let Label::Objects(objects) = &item.label else { panic!("{} has no boxes", item.path.display()) };
        let mask = TissueMask::new(&ImageSource::open(&item.path).unwrap(), 100.0).unwrap();
        for object in objects {
            seen += 1;
            let Shape::Box(rect) = object.shape else { panic!("{} has points", item.path.display()) };
            assert!(mask.any_in(rect), "{}: {rect:?}", item.path.display());
        }
    }
    assert!(seen > 1000, "{seen} cells");
}

#[test]
fn half_of_a_section_is_glass_and_none_of_its_middle() {
    let Some(path) = shared("wsi/CMU-1-Small-Region.svs") else { return };
    let source = ImageSource::open(&path).unwrap();
    assert_eq!(source.size(), Size::new(2220, 2967));
    for (object, least, most) in [(20.0, 0.38, 0.43), (60.0, 0.43, 0.48), (200.0, 0.48, 0.55)] {
        let mask = TissueMask::new(&source, object).unwrap();
        assert!((least..most).contains(&mask.fraction()), "{object}: {}", mask.fraction());
        assert!(mask.any_in(Rect::new(1200.0, 1400.0, 1210.0, 1410.0)));
        // More than the largest cells from the section.
        assert!(!mask.any_in(Rect::new(100.0, 1700.0, 400.0, 2200.0)));
    }
}
