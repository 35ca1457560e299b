//! The parts of an image that are searched where the rest of it is glass.
//!
//! Each part is run as an image of its own. It reaches so far beyond the cells that are kept of it that their receptive
//! fields lie inside it, or at the image's own border, and begins at a multiple of the network's stride: so they are the
//! whole image's cells, up to the rounding of sums that are tiled another way.

use locam_arch::Graph;
use locam_core::{Point, Size};
use std::ops::Range;

/// Where so much would be searched after all, the image is searched whole.
const WORTHWHILE: f64 = 0.9;

/// A rectangle of the network's input, and what is kept of its maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The first column of the input.
    pub(crate) left: u32,
    /// Its first row.
    pub(crate) top: u32,
    /// Columns and rows of the input.
    pub(crate) size: Size,
    /// Columns of the whole image's map that are kept.
    pub(crate) columns: Range<u32>,
    /// Its rows that are kept.
    pub(crate) rows: Range<u32>,
}

impl Part {
    /// All of an image.
    pub(crate) fn whole(input: Size, map: Size) -> Self {
        Self { left: 0, top: 0, size: input, columns: 0..map.width, rows: 0..map.height }
    }
}

/// The parts of an input that hold all cells that are wanted, which is asked of a cell's centre in the input. No part has a
/// side below `least` pixels, which the input has too.
pub(crate) fn parts(
    graph: &Graph,
    input: Size,
    map: Size,
    least: u32,
    wanted: impl Fn(Point) -> bool,
) -> Vec<Part> {
    let transform = graph.map_transform();
    let center = |column: u32, row: u32| Point::new(f64::from(column) + 0.5, f64::from(row) + 0.5);
    let centers = (0..map.height).flat_map(|row| (0..map.width).map(move |column| center(column, row)));
    let wanted: Vec<bool> = centers.map(|center| wanted(transform.image_from_map(center))).collect();
    // Cells beside those kept, about, that have to be computed for them.
    let stride = transform.stride.x as u32;
    let halo = (graph.receptive_field() / 2).div_ceil(stride) + 1;
    let cells = Cells { width: map.width as usize, wanted: &wanted, gap: 2 * halo };
    let mut blocks = Vec::new();
    cells.cut((0..map.width, 0..map.height), &mut blocks);
    let part = |(columns, rows): (Range<u32>, Range<u32>)| {
        let seen = |cells, length| at_least(least, graph.seen_by(cells, length), stride, length);
        let (across, down) = (seen(&columns, input.width), seen(&rows, input.height));
        let size = Size::new(across.len() as u32, down.len() as u32);
        Part { left: across.start, top: down.start, size, columns, rows }
    };
    let parts: Vec<Part> = blocks.into_iter().map(part).collect();
    let searched: u64 = parts.iter().map(|part| part.size.area()).sum();
    if searched as f64 > WORTHWHILE * input.area() as f64 { vec![Part::whole(input, map)] } else { parts }
}

/// These pixels of an axis of the input, or as many more that there are `least`; they begin at a multiple of the stride.
fn at_least(least: u32, pixels: Range<u32>, stride: u32, length: u32) -> Range<u32> {
    let end = pixels.end.max(pixels.start + least).min(length);
    pixels.start.min((end - least) / stride * stride)..end
}

/// The cells of a map, of which some are wanted.
struct Cells<'a> {
    width: usize,
    wanted: &'a [bool],
    /// Where more unwanted rows or columns than these lie between wanted ones, two parts are less work than one.
    gap: u32,
}

impl Cells<'_> {
    /// Divides a block at its wide empty rows and columns, and the parts again, until none is left (a recursive X-Y
    /// cut); empty borders are cut off.
    fn cut(&self, (columns, rows): (Range<u32>, Range<u32>), blocks: &mut Vec<(Range<u32>, Range<u32>)>) {
        let is_wanted = |column: u32, row: u32| self.wanted[row as usize * self.width + column as usize];
        let bands = self.runs(rows.clone(), |row| columns.clone().any(|column| is_wanted(column, row)));
        for rows in &bands {
            let strips = self.runs(columns.clone(), |column| rows.clone().any(|row| is_wanted(column, row)));
            for strip in &strips {
                if bands.len() == 1 && strips.len() == 1 {
                    blocks.push((strip.clone(), rows.clone()));
                } else {
                    self.cut((strip.clone(), rows.clone()), blocks);
                }
            }
        }
    }

    /// The runs of wanted places, of which those with no more than a gap between them are one.
    fn runs(&self, places: Range<u32>, is_wanted: impl Fn(u32) -> bool) -> Vec<Range<u32>> {
        let mut runs: Vec<Range<u32>> = Vec::new();
        for place in places.filter(|&place| is_wanted(place)) {
            match runs.last_mut() {
                Some(run) if place - run.end <= self.gap => run.end = place + 1,
                _ => runs.push(place..place + 1),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_arch::ArchName;
    use proptest::prelude::*;

    fn any_cells() -> impl Strategy<Value = (u32, Vec<bool>)> {
        (1_u32..60, 1_u32..60, 0_u32..12).prop_flat_map(|(width, height, blots)| {
            let blot = (0..width, 0..height, 1_u32..9, 1_u32..9);
            prop::collection::vec(blot, 0..=blots as usize).prop_map(move |blots| {
                let is_in = |x: u32, y: u32| {
                    blots.iter().any(|&(left, top, across, down)| {
                        (left..left + across).contains(&x) && (top..top + down).contains(&y)
                    })
                };
                (width, (0..width * height).map(|i| is_in(i % width, i / width)).collect())
            })
        })
    }

    proptest! {
        #[test]
        fn every_wanted_cell_is_in_one_block_whose_borders_are_wanted((width, wanted) in any_cells(), gap in 0_u32..9) {
            let height = wanted.len() as u32 / width;
            let cells = Cells { width: width as usize, wanted: &wanted, gap };
            let mut blocks = Vec::new();
            cells.cut((0..width, 0..height), &mut blocks);
            for (index, &is_wanted) in wanted.iter().enumerate() {
                let (x, y) = (index as u32 % width, index as u32 / width);
                let holding =
                    blocks.iter().filter(|(columns, rows)| columns.contains(&x) && rows.contains(&y)).count();
                prop_assert!(holding <= 1 && (holding == 1 || !is_wanted));
            }
            for (columns, rows) in &blocks {
                let any = |mut columns: Range<u32>, rows: Range<u32>| {
                    columns.any(|x| rows.clone().any(|y| wanted[(y * width + x) as usize]))
                };
                prop_assert!(any(columns.start..columns.start + 1, rows.clone()));
                prop_assert!(any(columns.end - 1..columns.end, rows.clone()));
                prop_assert!(any(columns.clone(), rows.start..rows.start + 1));
                prop_assert!(any(columns.clone(), rows.end - 1..rows.end));
            }
        }

        #[test]
        fn parts_lie_in_the_image_and_hold_what_their_cells_see(
            arch in prop::sample::select(ArchName::all().collect::<Vec<_>>()), (width, height) in (300_u32..5000, 300_u32..5000),
            places in prop::collection::vec((0.0..1.0, 0.0..1.0), 1..5)
        ) {
            let graph = arch.graph();
            let input = Size::new(width, height);
            let map = graph.output_size(input).unwrap();
            let places = places.iter().map(|&(x, y): &(f64, f64)| (x * f64::from(width), y * f64::from(height)));
            let places: Vec<_> = places.map(|(x, y)| Point::new(x, y)).collect();
            let near = |center: Point| places.iter().any(|place| place.distance(center) < 100.0);
            let (stride, radius) = (graph.map_transform().stride.x as u32, f64::from(graph.receptive_field()) / 2.0);
            for part in parts(&graph, input, map, 255, near) {
                prop_assert!(part.left % stride == 0 && part.top % stride == 0);
                prop_assert!(part.left + part.size.width <= width && part.top + part.size.height <= height);
                prop_assert!(part.size.width >= 255 && part.size.height >= 255);
                let first = graph.map_transform().first_center.x;
                let seen = |cell: u32| {
                    let center = first + f64::from(cell) * f64::from(stride);
                    (center - radius, center + radius)
                };
                for (cells, from, to, length) in [
                    (&part.columns, part.left, part.left + part.size.width, width),
                    (&part.rows, part.top, part.top + part.size.height, height),
                ] {
                    prop_assert!(from == 0 || f64::from(from) <= seen(cells.start).0);
                    prop_assert!(to == length || f64::from(to) >= seen(cells.end - 1).1 + f64::from(stride) - 1.0);
                }
            }
        }
    }

    #[test]
    fn glass_alone_has_no_parts_and_little_glass_is_searched() {
        let graph = ArchName::Resnet18.graph();
        let input = Size::new(4096, 4096);
        let map = graph.output_size(input).unwrap();
        assert_eq!(parts(&graph, input, map, 224, |_| false), []);
        let all_but_a_corner = |center: Point| center.x + center.y > 500.0;
        assert_eq!(parts(&graph, input, map, 224, all_but_a_corner), [Part::whole(input, map)]);
    }
}
