//! Which files are written of each image.

use crate::Error;
use std::collections::BTreeSet;
use std::str::FromStr;

/// A kind of file. The regions as JSON and the tables of all images are always written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// Outlines for `QuPath`.
    Geojson,
    /// Boxes as YOLO's labels.
    Yolo,
    /// Class maps for NumPy.
    Maps,
    /// A contact sheet of what was found.
    Sheets,
    /// A PNG of the regions' numbers.
    Masks,
    /// A TIFF of the regions' numbers.
    TiffMasks,
    /// The image under the margin, for each class.
    Overlays,
    /// The image beside its maps, for each class.
    Panels,
}

impl Output {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Geojson,
        Self::Yolo,
        Self::Maps,
        Self::Sheets,
        Self::Masks,
        Self::TiffMasks,
        Self::Overlays,
        Self::Panels,
    ];

    /// The name by which it is asked for.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Geojson => "geojson",
            Self::Yolo => "yolo",
            Self::Maps => "maps",
            Self::Sheets => "sheets",
            Self::Masks => "masks",
            Self::TiffMasks => "tiff-masks",
            Self::Overlays => "overlays",
            Self::Panels => "panels",
        }
    }

    /// Whether there is one file for each class of an image.
    pub(crate) const fn is_per_class(self) -> bool {
        matches!(self, Self::Overlays | Self::Panels)
    }

    /// The folder of its files and their extension.
    pub(crate) const fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Geojson => ("geojson", "geojson"),
            Self::Yolo => ("yolo/labels", "txt"),
            Self::Maps => ("maps", "npy"),
            Self::Sheets => ("sheets", "png"),
            Self::Masks => ("masks", "png"),
            Self::TiffMasks => ("tiff-masks", "tif"),
            Self::Overlays => ("overlays", "png"),
            Self::Panels => ("panels", "png"),
        }
    }
}

/// The kinds of files that a run writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outputs(BTreeSet<Output>);

impl Outputs {
    /// Whether this kind is written.
    pub fn has(&self, output: Output) -> bool {
        self.0.contains(&output)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Output> {
        self.0.iter().copied()
    }
}

impl Default for Outputs {
    /// All but masks, which are as large as the images.
    fn default() -> Self {
        let is_small = |output: &Output| !matches!(output, Output::Masks | Output::TiffMasks);
        Self(Output::ALL.into_iter().filter(is_small).collect())
    }
}

impl FromStr for Outputs {
    type Err = Error;

    /// Names separated by commas; `default` and `all` stand for several, `none` for none.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut chosen = BTreeSet::new();
        for name in text.split(',').map(str::trim) {
            match (name, Output::ALL.into_iter().find(|output| output.name() == name)) {
                (_, Some(output)) => drop(chosen.insert(output)),
                ("all", None) => chosen.extend(Output::ALL),
                ("default", None) => chosen.extend(Self::default().0),
                ("none", None) => {}
                _ => {
                    let known = Output::ALL.map(Output::name).join(", ");
                    return Err(Error::Request(format!(
                        "`{name}` is nothing that can be written; choose from {known}, default, all and none"
                    )));
                }
            }
        }
        Ok(Self(chosen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_chosen_by_name() {
        let chosen = |text: &str| text.parse::<Outputs>().unwrap().iter().collect::<Vec<_>>();
        assert_eq!(chosen("masks, yolo"), [Output::Yolo, Output::Masks]);
        assert_eq!(chosen("all"), Output::ALL);
        assert_eq!(chosen("none"), []);
        assert_eq!(chosen("default,masks").len(), Output::ALL.len() - 1);
        let message = "mask".parse::<Outputs>().unwrap_err().to_string();
        assert!(message.contains("`mask`") && message.contains("tiff-masks"), "{message}");
    }
}
