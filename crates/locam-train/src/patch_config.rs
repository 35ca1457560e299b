use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Sides that a window may have, in pixels of the images.
pub const WINDOW_SIDES: RangeInclusive<u32> = 8..=65_536;

/// How patches are cut from annotated whole images: the table `[patches]` of `config.toml`. Labelled patches
/// are taken whole, and only `classes`, `object_size` and `microns_per_pixel` matter to them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PatchConfig {
    /// The classes to use; all where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Background patches per image, away from the objects; 0 for no background class. As fits the data where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<usize>,
    /// Side of the square window, in pixels of the images; as fits the objects where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// Largest shift of a window from its object's centre, as a fraction of the window.
    pub jitter: f64,
    /// Size of the objects in labelled patches, in pixels of the patches as they are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_size: Option<f64>,
    /// Microns per pixel of the images or labelled patches as they are given, where they don't say it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microns_per_pixel: Option<f64>,
}
