//! Background windows where a model was wrong.

use super::{clear_margin, is_clear_of, window};
use crate::{Item, Label, Object, Patch, PatchPlan, Split};
use locam_core::{ClassId, Point, Size};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The background patch for training around a place of an annotated image where a model saw an object that isn't there.
///
/// `wanted` are the data's classes that are sought. `None` where the window would show more of such an object than
/// background windows may.
pub fn mined_patch(
    item: &Item,
    size: Size,
    place_in_image: Point,
    plan: &PatchPlan,
    wanted: &[ClassId],
    class: ClassId,
) -> Option<Patch> {
    let Label::Objects(objects) = &item.label else { return None };
    let sought: Vec<(ClassId, &Object)> = objects
        .iter()
        .filter(|object| wanted.contains(&object.class))
        .map(|object| (object.class, object))
        .collect();
    let centred = PatchPlan { jitter: 0.0, ..plan.clone() };
    // Without jitter nothing is drawn.
    let crop = window(place_in_image, size, &centred, &mut ChaCha8Rng::seed_from_u64(0));
    let most = (plan.margin * f64::from(plan.side)).round() as u32;
    sought.iter().all(|(_, object)| is_clear_of(crop, &object.shape)).then(|| Patch {
        path: item.path.clone(),
        crop: Some(crop),
        class,
        split: Split::Train,
        margin: clear_margin(crop, &sought, most),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Background, Crop, SplitPlan};
    use locam_core::{Rect, Shape};

    #[test]
    fn windows_lie_around_the_place_inside_the_image_and_off_the_objects() {
        let object = Object { class: ClassId(1), shape: Shape::Box(Rect::new(100.0, 100.0, 160.0, 160.0)) };
        let item =
            Item { path: "field.png".into(), label: Label::Objects(vec![object]), split: None, group: None };
        let plan = PatchPlan {
            classes: None,
            background: Background::PerImage(1),
            side: 64,
            jitter: 0.3,
            margin: 0.25,
            splits: SplitPlan { val_fraction: 0.1, test_fraction: 0.1, seed: 0 },
        };
        let size = Size::new(400, 300);
        let cut =
            |x, y, wanted: &[ClassId]| mined_patch(&item, size, Point::new(x, y), &plan, wanted, ClassId(7));
        let far = cut(300.0, 200.0, &[ClassId(1)]).unwrap();
        assert_eq!(far.crop, Some(Crop { left: 268, top: 168, side: 64 }));
        assert_eq!((far.class, far.split, far.margin), (ClassId(7), Split::Train, 16));
        let corner = cut(2.0, 299.0, &[ClassId(1)]).unwrap();
        assert_eq!(corner.crop, Some(Crop { left: 0, top: 236, side: 64 }));
        assert_eq!(cut(130.0, 120.0, &[ClassId(1)]), None);
        assert!(
            cut(130.0, 120.0, &[ClassId(0)]).is_some(),
            "objects of classes that are not sought are background"
        );
    }
}
