//! Figures as the rows of a table, in one order for the terminal and the report.

use super::ClassFigures;
use locam_locate::Estimate;

/// A figure, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FigureRow {
    /// What it is.
    pub name: &'static str,
    /// Its value, with its interval.
    pub value: String,
    /// What it says, in a sentence for those who don't know the name.
    pub meaning: &'static str,
}

impl ClassFigures {
    /// Objects of the class on all images.
    pub fn objects(&self) -> usize {
        self.hits + self.misses
    }

    /// All figures that are defined.
    pub fn rows(&self) -> Vec<FigureRow> {
        let mut rows = self.counts();
        rows.extend(self.empty_row());
        let estimates = self.estimates().into_iter().filter_map(|(name, estimate, meaning)| {
            Some(FigureRow { name, value: estimate?.to_string(), meaning })
        });
        rows.extend(estimates);
        rows
    }

    fn counts(&self) -> Vec<FigureRow> {
        let of = |part: usize| format!("{part} of {}", self.objects());
        let row = |name, value, meaning| FigureRow { name, value, meaning };
        vec![
            row("hits", of(self.hits), "objects with a region whose centre lies on them"),
            row(
                "false alarms",
                self.false_alarms.to_string(),
                "regions that are no object, or one found already",
            ),
        ]
    }

    fn empty_row(&self) -> Option<FigureRow> {
        let empty = self.empty?;
        Some(FigureRow {
            name: "false alarms per empty image",
            value: format!("{} on {} images", empty.false_alarms_per_image, empty.images),
            meaning: "regions on images where no such object is",
        })
    }

    fn estimates(&self) -> Vec<(&'static str, Option<Estimate>, &'static str)> {
        let (overlap, maps) = (self.overlap.as_ref(), self.maps.as_ref());
        vec![
            ("precision", self.precision, "of what was found, the share that is right"),
            ("recall", self.recall, "of what is there, the share that was found"),
            ("F1", self.f1, "both in one figure (their harmonic mean)"),
            ("count error per image", self.count_error, "by how much the count is off, up or down"),
            ("average precision", self.average_precision, "precision over all thresholds; 1 is best"),
            ("FROC score", self.froc_score, "mean recall at 1/4 to 8 false alarms per image"),
            (
                "strongest point inside",
                self.pointing,
                "images whose highest place lies on an object (pointing game)",
            ),
            (
                "F1, overlap >= 0.5",
                overlap.and_then(|o| o.f1),
                "as F1, with boxes that agree by a half at least",
            ),
            (
                "box overlap >= 0.5",
                overlap.and_then(|o| o.boxes_overlapped),
                "objects with a box that fits by a half at least",
            ),
            (
                "AP, overlap >= 0.5",
                overlap.and_then(|o| o.ap_50),
                "COCO's average precision for boxes that fit by a half",
            ),
            (
                "AP, overlap 0.5 to 0.95",
                overlap.and_then(|o| o.ap_50_95),
                "COCO's average precision, stricter and stricter",
            ),
            ("CorLoc", overlap.and_then(|o| o.corloc), "images whose strongest box fits by a half at least"),
            (
                "MaxBoxAcc",
                maps.and_then(|m| m.max_box_accuracy),
                "images whose largest box fits, at the best threshold for all",
            ),
            (
                "MaxBoxAccV2",
                maps.and_then(|m| m.max_box_accuracy_v2),
                "the same for any box and three overlaps",
            ),
            (
                "PxAP",
                maps.and_then(|m| m.pixel_average_precision),
                "precision of pixels over all thresholds; 1 is best",
            ),
            (
                "calibration error",
                self.expected_calibration_error,
                "how far probabilities are off, on average",
            ),
        ]
    }
}
