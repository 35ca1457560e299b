//! The pixels of COCO's objects: polygons, and run lengths as numbers or as pycocotools packs them into text.

use locam_core::{Mask, Point, Run, Size};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// What stands under `segmentation`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Segmentation {
    /// `[[x1, y1, x2, y2, ...], ...]`, together the object.
    Polygons(Vec<Vec<f64>>),
    /// Lengths of runs outside and inside by turns, down the columns of an image of `[height, width]`.
    RunLengths { size: [u32; 2], counts: Counts },
    /// Anything else.
    Unknown(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Counts {
    Plain(Vec<u32>),
    Packed(String),
}

impl Segmentation {
    /// The mask in an image of that size; none where nothing is drawn, or not one pixel's centre lies inside.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn mask(&self, image: Option<Size>) -> Result<Option<Mask>, String> {
        match self {
            Self::Polygons(polygons) if polygons.iter().all(Vec::is_empty) => Ok(None),
            Self::Polygons(polygons) => {
                let size = image.ok_or("the size of its image is not known")?;
                let corners =
                    polygons.iter().map(|numbers| corners(numbers)).collect::<Result<Vec<_>, _>>()?;
                Ok(Mask::from_polygons(&corners, size))
            }
            Self::RunLengths { size: [height, width], counts } => {
                let size = Size::new(*width, *height);
                if let Some(image) = image.filter(|image| *image != size) {
                    return Err(format!("it is of {size} pixels, its image of {image}"));
                }
                match counts {
                    Counts::Plain(lengths) => of_run_lengths(lengths, size),
                    Counts::Packed(text) => of_run_lengths(&unpacked(text)?, size),
                }
            }
            Self::Unknown(_) => Err("it is neither polygons nor run lengths".to_owned()),
        }
    }
}

fn corners(numbers: &[f64]) -> Result<Vec<Point>, String> {
    let (corners, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() || corners.len() < 3 || numbers.iter().any(|number| !number.is_finite()) {
        return Err(format!("a polygon of {} numbers has no three corners x, y", numbers.len()));
    }
    Ok(corners.iter().map(|&[x, y]| Point::new(x, y)).collect())
}

/// The pixels inside, from lengths of runs outside and inside by turns that go down one column after the other.
fn of_run_lengths(lengths: &[u32], size: Size) -> Result<Option<Mask>, String> {
    let total: u64 = lengths.iter().map(|&length| u64::from(length)).sum();
    if total != size.area() {
        return Err(format!("its runs have {total} pixels, an image of {size} has {}", size.area()));
    }
    let (mut runs, mut at) = (Vec::new(), 0);
    for (number, &length) in lengths.iter().enumerate() {
        let end = at + u64::from(length);
        if number % 2 == 1 {
            let place =
                |at: u64| ((at / u64::from(size.height)) as u32, (at % u64::from(size.height)) as u32);
            runs.extend((at..end).map(place).map(|(column, row)| Run { row, columns: column..column + 1 }));
        }
        at = end;
    }
    Ok(Mask::from_runs(runs))
}

/// Lengths from pycocotools' text: each is the difference to the one before the last (from the fourth on), in groups of five
/// bits from the lowest, a letter each from `0` on, of which the sixth bit says that more follow.
fn unpacked(text: &str) -> Result<Vec<u32>, String> {
    const MORE: u8 = 0x20;
    const NEGATIVE: u8 = 0x10;
    let wrong = || "its packed run lengths make no sense".to_owned();
    let mut lengths: Vec<u32> = Vec::new();
    let mut letters = text.bytes();
    while let Some(mut letter) = letters.next() {
        let (mut value, mut shift) = (0_i64, 0);
        loop {
            let bits = letter.checked_sub(b'0').filter(|bits| *bits < 64 && shift < 40).ok_or_else(wrong)?;
            value |= i64::from(bits & 0x1F) << shift;
            shift += 5;
            if bits & MORE == 0 {
                if bits & NEGATIVE != 0 {
                    value |= -1 << shift;
                }
                break;
            }
            letter = letters.next().ok_or_else(wrong)?;
        }
        if let [.., before, _] = lengths[..]
            && lengths.len() > 2
        {
            value += i64::from(before);
        }
        lengths.push(u32::try_from(value).map_err(|_| wrong())?);
    }
    Ok(lengths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use locam_core::Rect;

    /// What `tests/fixtures/make_masks.py` wrote: the same objects as pycocotools has them.
    const CASES: &str = include_str!("../../../tests/fixtures/masks.json");

    #[derive(Deserialize)]
    struct Case {
        size: [u32; 2],
        polygons: Segmentation,
        plain: Segmentation,
        packed: Segmentation,
        /// What is inside, row by row.
        rows: Vec<String>,
    }

    fn is_inside(mask: &Mask, column: usize, row: usize) -> bool {
        mask.contains(Point::new(column as f64 + 0.5, row as f64 + 0.5))
    }

    #[test]
    fn run_lengths_are_as_pycocotools_has_them() {
        for case in serde_json::from_str::<Vec<Case>>(CASES).unwrap() {
            let size = Size::new(case.size[1], case.size[0]);
            let plain = case.plain.mask(Some(size)).unwrap().unwrap();
            assert_eq!(case.packed.mask(Some(size)).unwrap().as_ref(), Some(&plain));
            for (row, letters) in case.rows.iter().enumerate() {
                for (column, letter) in letters.bytes().enumerate() {
                    assert_eq!(is_inside(&plain, column, row), letter == b'#', "column {column}, row {row}");
                }
            }
        }
    }

    /// pycocotools draws polygons with five times the resolution and rounds; pixels of the edge may differ.
    #[test]
    fn polygons_are_as_pycocotools_has_them_but_for_their_edges() {
        for case in serde_json::from_str::<Vec<Case>>(CASES).unwrap() {
            let mask = case.polygons.mask(Some(Size::new(case.size[1], case.size[0]))).unwrap().unwrap();
            let near = |row: usize| case.rows[row.saturating_sub(1)..(row + 2).min(case.rows.len())].iter();
            for (row, letters) in case.rows.iter().enumerate() {
                for (column, &letter) in letters.as_bytes().iter().enumerate() {
                    let columns = column.saturating_sub(1)..(column + 2).min(letters.len());
                    let is_edge = near(row)
                        .any(|letters| letters.as_bytes()[columns.clone()].iter().any(|l| *l != letter));
                    let agrees = is_inside(&mask, column, row) == (letter == b'#');
                    assert!(agrees || is_edge, "column {column}, row {row}");
                }
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let fault = |json: &str, image| {
            let found: Segmentation = serde_json::from_str(json).unwrap();
            found.mask(image).unwrap_err()
        };
        let image = Some(Size::new(4, 3));
        for (json, words) in [
            ("[[1, 2, 3, 4]]", "4 numbers"),
            ("[[1, 2, 3, 4, 5, 6, 7]]", "7 numbers"),
            (r#"{"size": [3, 4], "counts": [5, 5]}"#, "have 10 pixels"),
            (r#"{"size": [4, 3], "counts": [12]}"#, "of 3x4 pixels"),
            (r#"{"size": [3, 4], "counts": "Z"}"#, "packed"),
            (r#"{"size": [3, 4], "counts": "o"}"#, "packed"),
            (r#"{"size": [3, 4], "counts": "pppppppppp"}"#, "packed"),
            (r#"{"size": [3, 4]}"#, "neither"),
            ("7", "neither"),
        ] {
            assert!(fault(json, image).contains(words), "{json}: {}", fault(json, image));
        }
        assert!(fault("[[0, 0, 3, 0, 3, 3]]", None).contains("size"));
    }

    #[test]
    fn nothing_drawn_is_no_mask_and_no_fault() {
        for json in ["[]", "[[]]", "[[0.1, 0.1, 0.2, 0.1, 0.2, 0.2]]", r#"{"size": [3, 4], "counts": [12]}"#]
        {
            let found: Segmentation = serde_json::from_str(json).unwrap();
            assert_eq!(found.mask(Some(Size::new(4, 3))), Ok(None), "{json}");
        }
        let drawn: Segmentation = serde_json::from_str("[[1, 1, 3, 1, 3, 2.6, 1, 2.6]]").unwrap();
        let mask = drawn.mask(Some(Size::new(4, 3))).unwrap().unwrap();
        assert_eq!((mask.rect(), mask.area()), (Rect::new(1.0, 1.0, 3.0, 2.6), 4));
    }
}
