//! Maps of one image at several scales, made one.

use locam_core::{ClassId, Point, ScoreMap, Size};
use locam_locate::margins;
use locam_net::ImageMaps;

/// The maps at the finest of several scales, where every place has the logits of the scale at which some sought class has
/// its largest margin. A network is surest of objects as large as in training, so that this is the scale at which the
/// object fits. The mean and single channels are those of the finest scale.
///
/// # Panics
/// Without any scale.
pub(crate) fn fused(mut scales: Vec<ImageMaps>, sought: &[ClassId]) -> ImageMaps {
    scales.sort_by_key(|maps| std::cmp::Reverse(maps.mean.size().area()));
    let mut scales = scales.into_iter();
    let mut finest = scales.next().expect("an image is searched at one scale at least");
    for coarser in scales {
        let coarser: Vec<ScoreMap> = coarser.maps.iter().map(|map| laid_over(map, &finest.maps[0])).collect();
        let (one, other) = (strongest(&finest.maps, sought), strongest(&coarser, sought));
        let is_better: Vec<bool> =
            one.iter().zip(&other).map(|(one, other)| other > one || one.is_nan()).collect();
        for (map, other) in finest.maps.iter_mut().zip(&coarser) {
            let pairs = map.values().iter().zip(other.values()).zip(&is_better);
            *map = map.with_values(pairs.map(|((&one, &other), &is)| if is { other } else { one }).collect());
        }
    }
    finest
}

/// A map sampled at the cells of another.
fn laid_over(map: &ScoreMap, cells: &ScoreMap) -> ScoreMap {
    let Size { width, height } = cells.size();
    let center = |column: u32, row: u32| {
        cells.transform().image_from_map(Point::new(f64::from(column) + 0.5, f64::from(row) + 0.5))
    };
    let values =
        (0..height).flat_map(|row| (0..width).map(move |column| map.sample(center(column, row)))).collect();
    cells.with_values(values)
}

/// The largest margin of any sought class at every place; not a number where none is.
fn strongest(maps: &[ScoreMap], sought: &[ClassId]) -> Vec<f32> {
    let margins = margins(maps);
    let places = 0..margins.first().map_or(0, |margin| margin.values().len());
    places
        .map(|place| sought.iter().map(|id| margins[id.0].values()[place]).fold(f32::NAN, f32::max))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_core::MapTransform;

    /// Maps of background and one class over 64 by 64 pixels, of which the class has these logits.
    fn maps(side: u32, object: Vec<f32>) -> ImageMaps {
        let stride = 64.0 / f64::from(side);
        let map = |values| {
            ScoreMap::new(Size::new(side, side), values, MapTransform::uniform(stride / 2.0, stride))
        };
        let background = vec![0.0; object.len()];
        let mean = map(vec![side as f32; object.len()]);
        ImageMaps { maps: vec![map(background), map(object)], mean, channels: Vec::new() }
    }

    #[test]
    fn every_place_has_the_logits_of_the_scale_that_is_surest() {
        let fine = maps(4, (0..16).map(|i| if i == 5 { 9.0 } else { -9.0 }).collect());
        let coarse = maps(2, vec![3.0, -20.0, -20.0, f32::NAN]);
        for order in [vec![fine.clone(), coarse.clone()], vec![coarse, fine.clone()]] {
            let found = fused(order, &[ClassId(1)]);
            assert_eq!(found.mean, fine.mean);
            let object = found.maps[1].values();
            assert_eq!((object[0], object[5]), (3.0, 9.0));
            // Far from both, the finer one is surer; where a scale was not searched, the other counts.
            assert_eq!((object[3], object[15]), (-9.0, -9.0));
            assert!(object.iter().all(|value| !value.is_nan()));
        }
    }

    #[test]
    fn one_scale_stays_as_it_is() {
        let only = maps(3, vec![1.0, 2.0, 3.0, f32::NAN, 5.0, 6.0, 7.0, 8.0, 9.0]);
        let found = fused(vec![only.clone()], &[ClassId(1)]);
        assert_eq!(format!("{found:?}"), format!("{only:?}"));
    }
}
