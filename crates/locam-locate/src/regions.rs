use crate::grid::{Grid, Lattice, refine};
use crate::islands::{Extent, Islands};
use crate::outline::outline;
use crate::watershed::basins;
use locam_core::{ClassId, Point, Rect, Region, ScoreMap, Size, UsualBox};
use std::cmp::Ordering;
use std::collections::HashMap;

/// What becomes a region. Lengths are in pixels of the image that the map's transform leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegionConfig {
    /// The margin (log-odds) that a region reaches at its peak.
    pub threshold: f64,
    /// The margin from which a place belongs to a region; the threshold where this is above it.
    pub contour: f64,
    /// Two peaks nearer than this are one object: half the size of an object is a good choice, 0 keeps all.
    pub min_distance: f64,
    /// By how much (log-odds) the weaker of two peaks must rise above the saddle between them to be an object of
    /// its own.
    pub min_drop: f64,
    /// Regions of fewer square pixels are dropped.
    pub min_area: f64,
    /// By how much each side of a region's rectangle lies inside its extent, though by no more than a quarter of it:
    /// a map answers a little beyond an object. Sides at the image's border stay there.
    pub box_inset: f64,
    /// The box that objects usually have. It counts along an axis along which a region keeps clear of the image's border.
    pub usual_box: Option<UsualBox>,
}

impl RegionConfig {
    fn contour(&self) -> f64 {
        self.contour.min(self.threshold)
    }
}

/// The regions of `class` in an image, from the map of its margin: strongest first, then from top to bottom and left
/// to right.
///
/// The map is interpolated bilinearly at eighths of its stride over the whole of `image`. Places at or above the
/// contour that touch, corners included, are one region, unless they hold several peaks which `min_distance` and
/// `min_drop` tell apart; then each place goes to the peak that it leads up to (a watershed). Regions whose peak is below the
/// threshold and those smaller than `min_area` are dropped, and after that those whose peak is nearer than `min_distance` to
/// that of a stronger region (non-maximum suppression).
///
/// A region's peak is refined between the map's cells, its centroid is weighted with the margin above the contour,
/// and its area and extent count only what lies inside the image. Only places where the
/// margin can reach the contour are looked at: time and memory grow with what is found, and with the map's cells.
pub fn find_regions(margin: &ScoreMap, class: ClassId, image: Size, config: &RegionConfig) -> Vec<Region> {
    let lattice = Lattice::new(margin, image);
    let islands = Islands::new(margin, config.contour());
    let grid = |(island, extent): (usize, &Extent)| {
        let columns = lattice.columns.points_after(extent.columns.clone());
        let rows = lattice.rows.points_after(extent.rows.clone());
        Grid::new(margin, &lattice, (columns, rows), |x, y| islands.at(x, y) == Some(island))
    };
    let found = islands
        .extents
        .iter()
        .enumerate()
        .map(grid)
        .flat_map(|grid| regions_of(&grid, margin, class, image, config));
    in_order(found.collect(), config.min_distance)
}

/// The regions of one part of the map.
fn regions_of(
    grid: &Grid,
    margin: &ScoreMap,
    class: ClassId,
    image: Size,
    config: &RegionConfig,
) -> Vec<Region> {
    basins(grid, config.contour(), config.min_distance, config.min_drop)
        .iter()
        .filter(|members| f64::from(grid.values()[members[0]]) >= config.threshold)
        .map(|members| region(grid, members, margin, class, image, config))
        .filter(|region| region.area >= config.min_area)
        .collect()
}

/// Strongest first, without those too near to a stronger one.
fn in_order(mut regions: Vec<Region>, min_distance: f64) -> Vec<Region> {
    regions.sort_by(stronger_first);
    let mut kept = Kept::new(min_distance);
    regions.retain(|region| kept.takes(region, |_| min_distance));
    regions
}

/// The regions that stay where a place holds one object, whatever its class: those whose peak is not nearer to that of a stronger
/// region of another class than the smaller `min_distance` of both classes (class-agnostic non-maximum suppression). Their order
/// stays, too.
pub fn suppress_across_classes(regions: Vec<Region>, min_distance: impl Fn(ClassId) -> f64) -> Vec<Region> {
    let mut order: Vec<usize> = (0..regions.len()).collect();
    order.sort_by(|&a, &b| {
        stronger_first(&regions[a], &regions[b]).then(regions[a].class.cmp(&regions[b].class))
    });
    let mut kept = Kept::new(regions.iter().map(|region| min_distance(region.class)).fold(0.0, f64::max));
    let mut stays = vec![false; regions.len()];
    for place in order {
        let class = regions[place].class;
        let apart = |other: ClassId| {
            if other == class { 0.0 } else { min_distance(other).min(min_distance(class)) }
        };
        stays[place] = kept.takes(&regions[place], apart);
    }
    let mut stays = stays.into_iter();
    regions.into_iter().filter(|_| stays.next() == Some(true)).collect()
}

fn stronger_first(a: &Region, b: &Region) -> Ordering {
    b.score.total_cmp(&a.score).then(a.peak.y.total_cmp(&b.peak.y)).then(a.peak.x.total_cmp(&b.peak.x))
}

/// Measures one set of grid points, of which the first is the strongest.
fn region(
    grid: &Grid,
    members: &[usize],
    margin: &ScoreMap,
    class: ClassId,
    image: Size,
    config: &RegionConfig,
) -> Region {
    let extent = members.iter().map(|&i| grid.cell(i)).fold(grid.cell(members[0]), Rect::union);
    let area = members.iter().map(|&i| grid.cell(i).area()).sum();
    let excess = |i: usize| (f64::from(grid.values()[i]) - config.contour()) * grid.cell(i).area();
    let centroid = weighted_middle(grid, members, excess)
        .or_else(|| weighted_middle(grid, members, |i| grid.cell(i).area()))
        .unwrap_or_else(|| grid.point(members[0]));
    let inside = inset(extent, config.box_inset, image);
    let rect = config.usual_box.map_or(inside, |usual| blended(inside, usual, image));
    let peak = refine(margin, grid.point(members[0]), image);
    let score = f64::from(grid.values()[members[0]]);
    let (right, bottom) = (f64::from(image.width), f64::from(image.height));
    let at_border =
        inside.left <= 0.0 || inside.top <= 0.0 || inside.right >= right || inside.bottom >= bottom;
    let outline = outline(grid, members);
    Region { class, score, peak, centroid, rect, area, outline, at_border }
}

/// How far a region that the image's border cuts reaches into the image, in pixels: the shortest way if borders on several sides cut it,
/// and all of it between opposite ones. `None` for others.
pub fn depth_at_border(region: &Region, image: Size) -> Option<f64> {
    let rect = region.rect;
    let axis = |low: f64, high: f64, length: f64| (low <= 0.0 || high >= length).then_some(high - low);
    let across = axis(rect.left, rect.right, image.width.into());
    let down = axis(rect.top, rect.bottom, image.height.into());
    let depth = across.into_iter().chain(down).reduce(f64::min);
    depth.filter(|_| region.at_border)
}

/// The rectangle whose sides lie inside those of `extent`, save where that reaches the image's border.
fn inset(extent: Rect, by: f64, image: Size) -> Rect {
    let axis = |low: f64, high: f64, length: u32| {
        let by = by.min((high - low) / 4.0);
        let low_side = if low > 0.0 { low + by } else { low };
        (low_side, if high < f64::from(length) { high - by } else { high })
    };
    let (left, right) = axis(extent.left, extent.right, image.width);
    let (top, bottom) = axis(extent.top, extent.bottom, image.height);
    Rect::new(left, top, right, bottom)
}

/// The rectangle around the same middle whose sides lie between its own and the usual ones.
fn blended(rect: Rect, usual: UsualBox, image: Size) -> Rect {
    let axis = |low: f64, high: f64, usual_length: f64, length: u32| {
        let length = f64::from(length);
        if low <= 0.0 || high >= length {
            return (low, high);
        }
        let side = (high - low).powf(1.0 - usual.weight) * usual_length.powf(usual.weight);
        let middle = f64::midpoint(low, high);
        ((middle - side / 2.0).max(0.0), (middle + side / 2.0).min(length))
    };
    let (left, right) = axis(rect.left, rect.right, usual.width, image.width);
    let (top, bottom) = axis(rect.top, rect.bottom, usual.height, image.height);
    Rect::new(left, top, right, bottom)
}

/// The mean of the members' middles; `None` where the weights do not sum to a positive number, as those of a plateau
/// at the threshold.
fn weighted_middle(grid: &Grid, members: &[usize], weight: impl Fn(usize) -> f64) -> Option<Point> {
    let (mut total, mut x, mut y) = (0.0, 0.0, 0.0);
    for &member in members {
        let (weight, middle) = (weight(member), grid.cell(member).center());
        total += weight;
        x += weight * middle.x;
        y += weight * middle.y;
    }
    (total > 0.0 && total.is_finite()).then(|| Point::new(x / total, y / total))
}

/// Regions that were kept so far, filed by squares as wide as any two may be required to be apart, so that only those nearby are
/// looked at.
struct Kept {
    side: f64,
    peaks: HashMap<(i64, i64), Vec<(Point, ClassId)>>,
}

impl Kept {
    fn new(side: f64) -> Self {
        Self { side, peaks: HashMap::new() }
    }

    /// Keeps a region unless a kept one has its peak nearer than it has to be `apart`, by that one's class.
    fn takes(&mut self, region: &Region, apart: impl Fn(ClassId) -> f64) -> bool {
        if self.side.is_nan() || self.side <= 0.0 {
            return true;
        }
        let square = |length: f64| (length / self.side).floor() as i64;
        let (column, row) = (square(region.peak.x), square(region.peak.y));
        let mut nearby = (row - 1..=row + 1).flat_map(|y| (column - 1..=column + 1).map(move |x| (x, y)));
        let is_crowded = nearby.any(|place| {
            let there = self.peaks.get(&place).map_or(&[][..], Vec::as_slice);
            there.iter().any(|&(peak, class)| peak.distance(region.peak) < apart(class))
        });
        if !is_crowded {
            self.peaks.entry((column, row)).or_default().push((region.peak, region.class));
        }
        !is_crowded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_core::MapTransform;
    use proptest::prelude::*;

    const STRIDE: f64 = 32.0;

    fn config(threshold: f64) -> RegionConfig {
        RegionConfig {
            threshold,
            contour: f64::INFINITY,
            min_distance: 0.0,
            min_drop: 1.0,
            min_area: 0.0,
            box_inset: 0.0,
            usual_box: None,
        }
    }

    /// Cones of height 6 that reach 0 at `radius` pixels, on a ground of -4.
    fn cones(image: Size, centers: &[(f64, f64)], radius: f64) -> ScoreMap {
        let transform = MapTransform::uniform(0.5, STRIDE);
        let size = Size::new(image.width.div_ceil(32), image.height.div_ceil(32));
        let values = (0..size.area()).map(|i| {
            let cell = Point::new(
                (i % u64::from(size.width)) as f64 + 0.5,
                (i / u64::from(size.width)) as f64 + 0.5,
            );
            let place = transform.image_from_map(cell);
            let height = |&(x, y): &(f64, f64)| 6.0 * (1.0 - place.distance(Point::new(x, y)) / radius);
            centers.iter().map(height).fold(-4.0, f64::max) as f32
        });
        ScoreMap::new(size, values.collect(), transform)
    }

    #[test]
    fn one_object_on_an_oblong_image_is_where_it_was_put() {
        let image = Size::new(640, 320);
        let found = find_regions(&cones(image, &[(480.5, 128.5)], 90.0), ClassId(1), image, &config(0.0));
        assert_eq!(found.len(), 1);
        let region = &found[0];
        assert!(region.class == ClassId(1) && (region.score - 6.0).abs() < 1e-6);
        assert!(region.peak.distance(Point::new(480.5, 128.5)) < 1e-6, "{region:?}");
        assert!(region.centroid.distance(region.peak) < 1.0, "{region:?}");
        assert!((region.rect.width() - 180.0).abs() < 24.0 && (region.rect.height() - 180.0).abs() < 24.0);
    }

    #[test]
    fn touching_objects_are_divided_where_the_saddle_is_deep_and_the_peaks_are_apart() {
        let image = Size::new(640, 320);
        let map = cones(image, &[(160.5, 160.5), (352.5, 160.5)], 120.0);
        let count = |min_distance, min_drop| {
            let config = RegionConfig { min_distance, min_drop, ..config(0.0) };
            find_regions(&map, ClassId(0), image, &config).len()
        };
        assert_eq!(count(100.0, 1.0), 2);
        assert_eq!(count(200.0, 1.0), 1);
        assert_eq!(count(100.0, 5.5), 1);
        let divided = find_regions(&map, ClassId(0), image, &config(0.0));
        assert!((divided[0].rect.right - 256.0).abs() <= 4.0, "{divided:?}");
        assert!((divided[0].area - divided[1].area).abs() < 0.02 * divided[0].area);
    }

    #[test]
    fn a_weak_neighbour_of_a_stronger_region_is_suppressed() {
        let image = Size::new(640, 320);
        let mut map = cones(image, &[(160.5, 160.5), (256.5, 160.5)], 40.0);
        let weaker = map.values().iter().map(|v| if (*v - 6.0).abs() < 1e-6 { 5.0 } else { *v }).collect();
        map = map.with_values(weaker);
        let count = |min_distance| {
            find_regions(&map, ClassId(0), image, &RegionConfig { min_distance, ..config(0.0) }).len()
        };
        assert_eq!((count(90.0), count(100.0)), (2, 1));
    }

    #[test]
    fn of_two_classes_at_a_place_the_stronger_stays() {
        let image = Size::new(640, 320);
        let of = |class: usize, x: f64, lower: f32| {
            let map = cones(image, &[(x, 160.5)], 60.0);
            let map = map.with_values(map.values().iter().map(|v| v - lower).collect());
            find_regions(&map, ClassId(class), image, &config(0.0)).remove(0)
        };
        let weak = [of(0, 96.5, 1.0), of(0, 352.5, 1.0), of(0, 448.5, 1.0)];
        let strong = [of(1, 160.5, 0.0), of(1, 480.5, 0.0)];
        let all = || [&weak[..], &strong[..]].concat();
        let with = |first: f64, second: f64| {
            suppress_across_classes(all(), |class| if class == ClassId(0) { first } else { second })
        };
        // 64 and 32 pixels lie between a weak region and a strong one; the weak ones are 96 pixels apart.
        assert_eq!(with(60.0, 200.0), [&weak[..2], &strong[..]].concat());
        assert_eq!(with(200.0, 60.0), with(60.0, 200.0));
        assert_eq!(with(200.0, 70.0), [&weak[1..2], &strong[..]].concat());
        assert_eq!(with(0.0, 200.0), all());
    }

    #[test]
    fn small_regions_are_dropped_and_boxes_lie_inside_but_reach_the_border() {
        let image = Size::new(320, 320);
        let map = cones(image, &[(32.5, 160.5)], 60.0);
        let with = |min_area, box_inset| {
            find_regions(&map, ClassId(0), image, &RegionConfig { min_area, box_inset, ..config(0.0) })
        };
        assert!(with(1e5, 0.0).is_empty());
        let (extent, inside, least) =
            (with(0.0, 0.0)[0].rect, with(0.0, 6.0)[0].rect, with(0.0, 1e9)[0].rect);
        assert_eq!((inside.left, inside.right), (0.0, extent.right - 6.0));
        assert_eq!((inside.top, inside.bottom), (extent.top + 6.0, extent.bottom - 6.0));
        assert!((least.height() - extent.height() / 2.0).abs() < 1e-9, "{least:?}");
        assert!(with(0.0, 6.0)[0].at_border);
    }

    #[test]
    fn what_the_border_cuts_has_a_depth() {
        let image = Size::new(320, 320);
        let depth = |x: f64, y: f64| {
            let map = cones(image, &[(x, y)], 60.0);
            depth_at_border(&find_regions(&map, ClassId(0), image, &config(0.0))[0], image)
        };
        let is_about = |found: Option<f64>, expected: f64| {
            assert!((found.expect("a border cuts it") - expected).abs() < 4.0, "{found:?}, not {expected}");
        };
        is_about(depth(32.5, 160.5), 92.5);
        is_about(depth(160.5, 320.5), 60.0);
        // In a corner the shorter way counts.
        is_about(depth(32.5, 0.5), 60.0);
        assert_eq!(depth(160.5, 160.5), None);
    }

    #[test]
    fn boxes_lie_between_their_regions_and_the_usual_one_away_from_the_border() {
        let image = Size::new(640, 320);
        let map = cones(image, &[(20.5, 160.5), (320.5, 160.5)], 60.0);
        let with = |weight| {
            let usual = UsualBox { width: 400.0, height: 10.0, weight };
            let mut found = find_regions(
                &map,
                ClassId(0),
                image,
                &RegionConfig { usual_box: Some(usual), ..config(0.0) },
            );
            found.sort_by(|a, b| a.centroid.x.total_cmp(&b.centroid.x));
            [found[0].rect, found[1].rect]
        };
        let ([cut, extent], [still_cut, usual], [_, between]) = (with(0.0), with(1.0), with(0.5));
        assert_eq!((cut.left, still_cut.left, still_cut.right), (0.0, 0.0, cut.right));
        assert!((still_cut.height() - 10.0).abs() < 1e-9, "{still_cut:?}");
        assert!((usual.width() - 400.0).abs() < 1e-9 && (usual.height() - 10.0).abs() < 1e-9, "{usual:?}");
        assert!(usual.center().distance(extent.center()) < 1e-9);
        assert!((between.width() - (400.0 * extent.width()).sqrt()).abs() < 1e-9, "{between:?}");
    }

    #[test]
    fn a_higher_threshold_leaves_the_regions_that_reach_it_as_they_are() {
        let image = Size::new(640, 320);
        let mut map = cones(image, &[(160.5, 160.5), (480.5, 160.5)], 90.0);
        let weaker = map.values().iter().enumerate().map(|(i, &v)| if i % 20 < 10 { v.min(5.0) } else { v });
        map = map.with_values(weaker.collect());
        let low = find_regions(&map, ClassId(0), image, &config(0.0));
        let with = |threshold| {
            find_regions(&map, ClassId(0), image, &RegionConfig { contour: 0.0, ..config(threshold) })
        };
        assert_eq!((low.len(), with(4.9)), (2, low.clone()));
        assert_eq!(with(5.1), low[..1]);
        assert_eq!(with(-1.0), find_regions(&map, ClassId(0), image, &config(-1.0)));
    }

    #[test]
    fn everything_above_the_threshold_is_the_whole_image() {
        let image = Size::new(97, 211);
        let map = ScoreMap::new(Size::new(4, 7), vec![2.0; 28], MapTransform::uniform(0.5, STRIDE));
        for threshold in [2.0, f64::NEG_INFINITY] {
            let found = find_regions(&map, ClassId(0), image, &config(threshold));
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].rect, Rect::new(0.0, 0.0, 97.0, 211.0));
            assert!((found[0].area - 97.0 * 211.0).abs() < 1e-6);
            assert!(found[0].centroid.distance(found[0].rect.center()) < 1e-6);
        }
        assert!(find_regions(&map, ClassId(0), image, &config(f64::NAN)).is_empty());
    }

    fn any_map() -> impl Strategy<Value = (ScoreMap, Size)> {
        (1_u32..12, 1_u32..12).prop_flat_map(|(columns, rows)| {
            let values = prop::collection::vec(-9.0_f32..9.0, (columns * rows) as usize);
            (values, 1_u32..33, 1_u32..33).prop_map(move |(values, dx, dy)| {
                let map = ScoreMap::new(Size::new(columns, rows), values, MapTransform::uniform(0.5, STRIDE));
                (map, Size::new(columns * 32 - 32 + dx, rows * 32 - 32 + dy))
            })
        })
    }

    proptest! {
        #[test]
        fn regions_are_inside_ordered_and_never_overlap_in_area(
            (map, image) in any_map(), threshold in -5.0_f64..5.0, min_distance in 0.0_f64..120.0
        ) {
            let config = RegionConfig { min_distance, ..config(threshold) };
            let found = find_regions(&map, ClassId(0), image, &config);
            let whole = Rect::new(0.0, 0.0, f64::from(image.width), f64::from(image.height));
            for region in &found {
                prop_assert!(region.score >= threshold);
                prop_assert!(region.rect.intersection(whole) == region.rect);
                prop_assert!(region.rect.contains(region.centroid) && whole.contains(region.peak));
                prop_assert!(region.area <= region.rect.area() + 1e-6 && region.area > 0.0);
            }
            prop_assert!(found.iter().map(|r| r.area).sum::<f64>() <= whole.area() + 1e-6);
            prop_assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
            for (i, a) in found.iter().enumerate() {
                prop_assert!(found[..i].iter().all(|b| a.peak.distance(b.peak) >= min_distance));
            }
        }

        #[test]
        fn across_classes_what_stays_is_what_no_stronger_one_that_stays_is_too_near_to(
            (maps, image) in any_map().prop_flat_map(|(map, image)| {
                let other = prop::collection::vec(-9.0_f32..9.0, map.values().len());
                (other.prop_map(move |values| [map.clone(), map.with_values(values)]), Just(image))
            }),
            distances in [0.0_f64..120.0, 0.0_f64..120.0]
        ) {
            let config = RegionConfig { min_distance: 40.0, ..config(0.0) };
            let find = |class: usize| find_regions(&maps[class], ClassId(class), image, &config);
            let all = [find(0), find(1)].concat();
            let found = suppress_across_classes(all.clone(), |class| distances[class.0]);
            let apart = distances[0].min(distances[1]);
            // The naive twin: the strongest goes on, and takes those of the other class that are too near with it.
            let (mut left, mut stay) = (all.clone(), Vec::new());
            left.sort_by(|a, b| stronger_first(a, b).then(a.class.cmp(&b.class)));
            while !left.is_empty() {
                let first = left.remove(0);
                left.retain(|one| one.class == first.class || one.peak.distance(first.peak) >= apart);
                stay.push(first);
            }
            let expected: Vec<Region> = all.into_iter().filter(|one| stay.contains(one)).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn parts_of_the_map_give_what_the_whole_gives(
            (map, image) in any_map(), threshold in -5.0_f64..9.0, min_distance in 0.0_f64..120.0
        ) {
            let config = RegionConfig { min_distance, ..config(threshold) };
            let whole = regions_of(&Grid::whole(&map, image), &map, ClassId(0), image, &config);
            let found = find_regions(&map, ClassId(0), image, &config);
            prop_assert_eq!(found, in_order(whole, min_distance));
        }

        #[test]
        fn turning_the_map_turns_the_regions((map, _) in any_map(), steps in -1280_i32..1280) {
            // Binary fractions, so that interpolating along x or along y first gives the same bits.
            let threshold = f64::from(steps) / 256.0 + 1.0 / 65536.0;
            let map = map.with_values(map.values().iter().map(|v| (v * 256.0).round() / 256.0).collect());
            let Size { width, height } = map.size();
            let image = Size::new(width * 32, height * 32);
            let map = ScoreMap::new(map.size(), map.values().to_vec(), MapTransform::uniform(16.0, STRIDE));
            let transposed = (0..width).flat_map(|x| (0..height).map(move |y| (x, y)));
            let turned = ScoreMap::new(
                Size::new(height, width),
                transposed.map(|(x, y)| map.at(x, y)).collect(),
                map.transform(),
            );
            let config = RegionConfig { min_drop: f64::INFINITY, ..config(threshold) };
            let found = find_regions(&map, ClassId(0), image, &config);
            let other = find_regions(&turned, ClassId(0), Size::new(image.height, image.width), &config);
            prop_assert_eq!(found.len(), other.len());
            let sum = |regions: &[Region], of: fn(&Region) -> f64| regions.iter().map(of).sum::<f64>();
            prop_assert!((sum(&found, |r| r.area) - sum(&other, |r| r.area)).abs() < 1e-6);
            prop_assert!((sum(&found, |r| r.centroid.x) - sum(&other, |r| r.centroid.y)).abs() < 1e-6);
            prop_assert!((sum(&found, |r| r.rect.top) - sum(&other, |r| r.rect.left)).abs() < 1e-6);
        }

        #[test]
        fn raising_the_threshold_never_grows_the_area((map, image) in any_map(), low in -5.0_f64..4.0) {
            let area = |threshold| -> f64 {
                find_regions(&map, ClassId(0), image, &config(threshold)).iter().map(|r| r.area).sum()
            };
            prop_assert!(area(low + 0.7) <= area(low) + 1e-6);
        }
    }
}
