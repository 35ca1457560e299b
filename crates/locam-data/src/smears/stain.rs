//! How a laboratory's stain colours what it binds to.

use super::random::{Draw, Purpose};
use crate::DataError;
use serde::Serialize;
use std::str::FromStr;

/// The look of one laboratory's slides; every field varies a little around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StainPreset {
    /// Salmon red cells, blue-violet nuclei, neutral grey background.
    #[default]
    Wright,
    /// Greyish pink red cells, dark purple nuclei, yellowish background of a warm lamp.
    Leishman,
    /// Lilac red cells, reddish purple nuclei, cool background.
    MayGrunwaldGiemsa,
    /// Buffer too acid: bright pink red cells, pale nuclei.
    Acid,
    /// Buffer too alkaline: grey-green red cells, blue nuclei.
    Alkaline,
    /// An old slide: everything pale and brownish.
    Faded,
}

impl StainPreset {
    /// Every preset.
    pub const ALL: [Self; 6] =
        [Self::Wright, Self::Leishman, Self::MayGrunwaldGiemsa, Self::Acid, Self::Alkaline, Self::Faded];

    /// Its name, as in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wright => "wright",
            Self::Leishman => "leishman",
            Self::MayGrunwaldGiemsa => "may-grunwald-giemsa",
            Self::Acid => "acid",
            Self::Alkaline => "alkaline",
            Self::Faded => "faded",
        }
    }

    /// Colours as seen through one layer over the background, of 255: background, red cell, chromatin,
    /// basophilic cytoplasm, acidophilic cytoplasm.
    fn colours(self) -> [[u8; 3]; 5] {
        match self {
            Self::Wright => {
                [[211, 214, 208], [184, 148, 140], [92, 56, 166], [124, 134, 190], [196, 168, 200]]
            }
            Self::Leishman => {
                [[213, 207, 184], [188, 158, 146], [84, 48, 112], [124, 124, 160], [190, 168, 168]]
            }
            Self::MayGrunwaldGiemsa => {
                [[222, 220, 226], [192, 158, 170], [104, 44, 128], [126, 132, 190], [206, 172, 200]]
            }
            Self::Acid => {
                [[224, 214, 210], [212, 150, 142], [122, 70, 156], [158, 160, 204], [214, 166, 182]]
            }
            Self::Alkaline => {
                [[204, 212, 208], [158, 154, 150], [50, 50, 132], [104, 132, 186], [160, 166, 190]]
            }
            Self::Faded => {
                [[214, 206, 188], [192, 170, 150], [130, 100, 146], [160, 158, 172], [196, 178, 172]]
            }
        }
    }
}

impl FromStr for StainPreset {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        Self::ALL.into_iter().find(|stain| stain.name() == text).ok_or_else(|| DataError::UnknownStain {
            name: text.to_owned(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}

/// Optical density per channel (red, green, blue) of one layer of each substance, and the background's colour.
#[derive(Clone, Debug)]
pub(super) struct Stain {
    /// Transmitted light without a cell, of 255.
    pub(super) background: [f32; 3],
    /// A red cell's rim.
    pub(super) haemoglobin: [f32; 3],
    /// A nucleus of usual density.
    pub(super) chromatin: [f32; 3],
    /// Cytoplasm full of ribosomes: blue.
    pub(super) basophilic: [f32; 3],
    /// Cytoplasm and granules that take eosin: pink.
    pub(super) acidophilic: [f32; 3],
}

impl Stain {
    /// The stain of one field: `preset` with the strength and hue of this slide.
    pub(super) fn of_field(preset: StainPreset, seed: u64) -> Self {
        let draw = &mut Draw::new(seed, Purpose::Stain, 0);
        let [background, red, chromatin, basophilic, acidophilic] =
            preset.colours().map(|colour| colour.map(f32::from));
        let mut density = |colour: [f32; 3]| {
            let strength = draw.between(0.86, 1.12);
            let mut channel = 0;
            colour.map(|value| {
                let through = value / background[channel];
                channel += 1;
                -through.min(0.97).ln() * strength * draw.between(0.95, 1.05)
            })
        };
        let densities = [red, chromatin, basophilic, acidophilic].map(&mut density);
        let brightness = draw.between(0.95, 1.06);
        let background = background.map(|value| (value * brightness * draw.between(0.985, 1.015)).min(244.0));
        let [haemoglobin, chromatin, basophilic, acidophilic] = densities;
        Self { background, haemoglobin, chromatin, basophilic, acidophilic }
    }
}
