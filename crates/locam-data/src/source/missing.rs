use super::Level;
use crate::DataError;
use locam_core::{Rect, Size};
use std::ops::Range;

/// The damaged parts of a level as regions of the full image; neighbours are joined.
pub(super) struct Missing {
    scale: (f64, f64),
    image: Size,
    regions: Vec<Rect>,
    first_fault: Option<DataError>,
}

impl Missing {
    pub(super) fn new(level: Level, image: Size) -> Self {
        let along = |full: u32, scaled: u32| f64::from(full) / f64::from(scaled);
        let scale = (along(image.width, level.size.width), along(image.height, level.size.height));
        Self { scale, image, regions: Vec::new(), first_fault: None }
    }

    /// Adds columns and rows of the level, and why they are missing.
    #[expect(clippy::float_cmp, reason = "the same edge is computed from the same numbers")]
    pub(super) fn add(&mut self, columns: Range<u32>, rows: Range<u32>, fault: DataError) {
        self.first_fault.get_or_insert(fault);
        let (x, y) = self.scale;
        let [left, right] = [columns.start, columns.end].map(|column| f64::from(column) * x);
        let [top, bottom] = [rows.start, rows.end].map(|row| f64::from(row) * y);
        let region = Rect::new(left, top, right, bottom).clamped_to(self.image);
        match self.regions.last_mut() {
            Some(last)
                if last.top == region.top && last.bottom == region.bottom && last.right == region.left =>
            {
                last.right = region.right;
            }
            _ => self.regions.push(region),
        }
        self.join_down();
    }

    /// Joins the last region to one right above it.
    #[expect(clippy::float_cmp, reason = "the same edge is computed from the same numbers")]
    fn join_down(&mut self) {
        let Some(last) = self.regions.last().copied() else { return };
        let above = self.regions.iter().position(|region| {
            region.bottom == last.top && region.left == last.left && region.right == last.right
        });
        if let Some(above) = above {
            self.regions[above].bottom = last.bottom;
            self.regions.pop();
        }
    }

    /// Why the first of the regions is missing.
    pub(super) fn into_first_fault(self) -> Option<DataError> {
        self.first_fault
    }

    pub(super) fn regions(&self) -> &[Rect] {
        &self.regions
    }
}
