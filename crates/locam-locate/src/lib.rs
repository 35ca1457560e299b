//! From score maps to regions, and from regions to figures: margins between classes, regions with their peaks,
//! matching with the truth, precision and recall.
//!
//! Everything here is a pure function of its arguments: no files, no network, no state. What a map means is thus
//! decided in one place, and that place can be tested by properties instead of by examples alone.
//!
//! A region is grown on the *margin*, the log-odds of a class against all others together. It is 0 where the class
//! is as likely as not, so one threshold means the same thing for two classes and for twenty.

mod calibration;
mod confusion;
mod grid;
mod islands;
mod margin;
mod matching;
mod outline;
mod regions;
mod threshold;
mod watershed;

pub use calibration::{Reliability, ReliabilityBin, Verdict, fit_temperature, logistic, reliability};
pub use confusion::ConfusionMatrix;
pub use grid::strongest_point;
pub use margin::margins;
pub use matching::{Counts, MatchRule, Matches, Truth, TruthShape, match_regions, strongest_point_in_truth};
pub use regions::{RegionConfig, find_regions};
pub use threshold::{PLATEAU_TOLERANCE, middle_of_plateau};
