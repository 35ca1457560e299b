//! From score maps to regions, and from regions to figures: margins between classes, regions with their peaks,
//! matching with the truth, and the figures that tell how good they are, with intervals.
//!
//! Everything here is a pure function of its arguments: no files, no network, no state. What a map means is thus
//! decided in one place, and that place can be tested by properties instead of by examples alone.
//!
//! A region is grown on the *margin*, the log-odds of a class against all others together. It is 0 where the class
//! is as likely as not, so one threshold means the same thing for two classes and for twenty.

mod calibration;
mod classification;
mod components;
mod confusion;
mod detection;
mod grid;
mod islands;
mod localization;
mod margin;
mod matching;
mod outline;
mod pixels;
mod regions;
mod resampling;
mod threshold;
mod watershed;

pub use calibration::{Reliability, ReliabilityBin, Scaling, Verdict, fit_scaling, logistic, reliability};
pub use classification::{Classified, RocRanking, confusion, mean_area, top_label_reliability};
pub use confusion::ConfusionMatrix;
pub use detection::{FROC_RATES, FrocPoint, ImageVerdicts, PrecisionRecall, Ranking};
pub use grid::strongest_point;
pub use localization::{
    BOX_OVERLAPS, BoxOverlaps, is_correctly_localized, max_box_accuracy, max_box_accuracy_v2,
};
pub use margin::margins;
pub use matching::{Counts, MatchRule, Matches, Truth, match_regions, strongest_point_in_truth};
pub use pixels::{PixelCounts, pixel_average_precision};
pub use regions::{RegionConfig, depth_at_border, find_regions, suppress_across_classes};
pub use resampling::{Estimate, Resamples};
pub use threshold::{PLATEAU_TOLERANCE, middle_of_plateau};
