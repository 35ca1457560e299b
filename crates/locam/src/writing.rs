//! What is found on images, as files: maps, overlays, panels, JSON and tables.

use crate::cutouts::contact_sheet;
use crate::journal::Begin;
use crate::{Error, Located, Locator, Output, Outputs};
use image::RgbImage;
use locam_core::{ClassId, ClassSpec};
use locam_data::ImageSource;
use locam_locate::Truth;
use locam_report::{
    DEFAULT_LONGEST_SIDE, ImageRecord, Overlay, Panel, Records, ScoreRange, delete_leftovers, read_json,
    write_coco, write_coco_results, write_csv, write_geojson, write_image, write_json, write_npy,
    write_png_mask, write_tiff_mask, write_yolo, write_yolo_classes,
};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// One searched image and where it came from.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) path: &'a Path,
    pub(crate) located: &'a Located,
    pub(crate) truths: &'a [Truth],
}

/// The folder that a run writes, and how its files are named.
#[derive(Debug)]
pub(crate) struct OutFolder {
    root: PathBuf,
    class_names: Vec<String>,
    sought: Vec<Sought>,
    outputs: Outputs,
}

/// A class that regions are of.
#[derive(Debug)]
struct Sought {
    id: ClassId,
    name: String,
    /// As it stands in file names.
    file: String,
}

/// The folder of what large images have so far.
const ROWS: &str = "partial";

/// Tables of all images.
const CSV: &str = "regions.csv";
const COCO: &str = "coco.json";
const COCO_RESULTS: &str = "coco-results.json";

impl OutFolder {
    /// Makes the folders that are not there.
    pub(crate) fn create(locator: &Locator, root: &Path, outputs: &Outputs) -> Result<Self, Error> {
        let spec = &locator.model().spec;
        let folder = Self {
            root: root.to_owned(),
            class_names: spec.classes.iter().map(|class| class.name.clone()).collect(),
            sought: sought(locator),
            outputs: outputs.clone(),
        };
        for path in folder.folders() {
            std::fs::create_dir_all(&path).map_err(|source| Error::Io { path, source })?;
        }
        Ok(folder)
    }

    /// The folders that hold an image's files.
    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        let chosen = self.outputs.iter().map(|output| output.place().0);
        std::iter::once("json").chain(chosen).map(|folder| self.root.join(folder))
    }

    /// Deletes what a killed run left half written, and the tables of another run.
    pub(crate) fn clear_up(&self, begin: Begin) -> Result<(), Error> {
        let others = [self.root.clone(), self.root.join("yolo")];
        self.folders().chain(others).for_each(|folder| delete_leftovers(&folder));
        if begin == Begin::Anew {
            // What stays counts for nothing all the same.
            let _ = std::fs::remove_dir_all(self.root.join(ROWS));
        }
        let tables = if begin == Begin::Anew { &[CSV, COCO, COCO_RESULTS][..] } else { &[] };
        for path in tables.iter().map(|table| self.root.join(table)) {
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != ErrorKind::NotFound => {
                    return Err(Error::Io { path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The file of the rows of an image's maps that are made so far.
    pub(crate) fn rows(&self, name: &str) -> PathBuf {
        self.root.join(ROWS).join(format!("{name}.rows"))
    }

    /// Deletes the rows of an image that is finished.
    pub(crate) fn forget_rows(&self, name: &str) {
        // Most images have none; a file that can't be deleted harms nobody.
        if std::fs::remove_file(self.rows(name)).is_ok() {
            let _ = std::fs::remove_dir(self.root.join(ROWS));
        }
    }

    fn json(&self, name: &str) -> PathBuf {
        self.root.join("json").join(format!("{name}.json"))
    }

    /// The file of an image, or of an image and class.
    fn file(&self, output: Output, name: &str) -> PathBuf {
        let (folder, extension) = output.place();
        self.root.join(folder).join(format!("{name}.{extension}"))
    }

    fn picture(&self, output: Output, name: &str, class: &Sought) -> PathBuf {
        self.file(output, &format!("{name}-{}", class.file))
    }

    /// Whether every file of an image is there.
    pub(crate) fn has_files_of(&self, name: &str) -> bool {
        let is_there = |output: Output| {
            if output.is_per_class() {
                self.sought.iter().all(|class| self.picture(output, name, class).is_file())
            } else {
                self.file(output, name).is_file()
            }
        };
        self.json(name).is_file() && self.outputs.iter().all(is_there)
    }

    /// What was found on an image, from its file.
    pub(crate) fn record(&self, name: &str) -> Result<ImageRecord, Error> {
        Ok(read_json(&self.json(name), &self.class_names)?)
    }

    /// Writes all files of a searched image.
    pub(crate) fn write(&self, locator: &Locator, entry: &Entry<'_>, name: &str) -> Result<(), Error> {
        let located = entry.located;
        let record =
            ImageRecord::new(entry.path.display().to_string(), located.size, located.regions.clone());
        write_json(&self.json(name), &record, &self.class_names)?;
        for output in self.outputs.iter() {
            let path = self.file(output, name);
            match output {
                Output::Geojson => write_geojson(&path, &record, &self.class_names)?,
                Output::Yolo => write_yolo(&path, &record)?,
                Output::Maps => write_npy(&path, &located.maps)?,
                Output::Masks => write_png_mask(&path, &record)?,
                Output::TiffMasks => write_tiff_mask(&path, &record)?,
                Output::Sheets | Output::Overlays | Output::Panels => {}
            }
        }
        self.write_pictures(locator, entry, &record, name)
    }

    /// Writes what needs the image's pixels.
    fn write_pictures(
        &self,
        locator: &Locator,
        entry: &Entry<'_>,
        record: &ImageRecord,
        name: &str,
    ) -> Result<(), Error> {
        let [sheets, overlays, panels] =
            [Output::Sheets, Output::Overlays, Output::Panels].map(|output| self.outputs.has(output));
        if !(sheets || overlays || panels) {
            return Ok(());
        }
        let source = ImageSource::open(entry.path)?;
        if sheets {
            let classes: Vec<_> = self.sought.iter().map(|class| (class.id, class.name.as_str())).collect();
            write_image(&self.file(Output::Sheets, name), &contact_sheet(&source, record, &classes)?)?;
        }
        let image = Photograph::of(&source)?;
        for class in &self.sought {
            if overlays {
                let overlay = overlay(locator, entry, class.id, &image);
                write_image(&self.picture(Output::Overlays, name, class), &overlay)?;
            }
            if panels {
                let panel = panel(locator, entry, class.id, &image);
                write_image(&self.picture(Output::Panels, name, class), &panel)?;
            }
        }
        Ok(())
    }

    /// Writes the tables of all images, from the files of each.
    pub(crate) fn write_tables(&self, names: &[&str]) -> Result<(), Error> {
        let paths = names.iter().map(|name| self.json(name)).collect();
        let records = Records::new(paths, self.class_names.clone());
        if self.outputs.has(Output::Yolo) {
            write_yolo_classes(&self.root.join("yolo/classes.txt"), &self.class_names)?;
        }
        write_csv(&self.root.join(CSV), &records)?;
        write_coco(&self.root.join(COCO), &records)?;
        write_coco_results(&self.root.join(COCO_RESULTS), &records)?;
        Ok(())
    }
}

/// Writes all files of searched images.
pub(crate) fn write_entries(locator: &Locator, entries: &[Entry<'_>], out: &Path) -> Result<(), Error> {
    let folder = OutFolder::create(locator, out, &Outputs::default())?;
    let paths: Vec<&Path> = entries.iter().map(|entry| entry.path).collect();
    let names = file_names(&paths);
    for (entry, name) in entries.iter().zip(&names) {
        folder.write(locator, entry, name)?;
    }
    folder.write_tables(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn sought(locator: &Locator) -> Vec<Sought> {
    let classes: Vec<_> = locator.model().spec.sought_classes().collect();
    let files = unique(classes.iter().map(|(_, class)| safe_name(&class.name)));
    let sought =
        |((id, class), file): ((ClassId, &ClassSpec), String)| Sought { id, name: class.name.clone(), file };
    classes.into_iter().zip(files).map(sought).collect()
}

/// The log-odds of what is as good as certain (999 in 1000), where the model was calibrated.
const CERTAIN: f64 = 6.9;
/// What networks that were not calibrated commonly say of objects.
const UNCALIBRATED: f64 = 30.0;

/// The colour scale of a class's margins, which follows from the model alone: so pictures compare across images and
/// runs, and each can be drawn before the next image is searched. What is less likely than not stays clear of colour.
fn margin_range(locator: &Locator, class: &ClassSpec) -> ScoreRange {
    let is_calibrated = !locator.model().spec.provenance.thresholds_from.is_empty();
    let high = if is_calibrated { CERTAIN } else { UNCALIBRATED };
    ScoreRange { low: 0.0, high: high.max(2.0 * class.threshold) }
}

/// The colour scale of a class's logits. It ends where the margin against an opposite logit does; what is surely something else
/// need not be told apart as finely, so half as much below zero is enough.
fn logit_range(margins: ScoreRange, class: &ClassSpec) -> ScoreRange {
    let high = class.margin(margins.high) / 2.0;
    ScoreRange { low: -high / 2.0, high }
}

/// An image as small as it is drawn.
pub(crate) struct Photograph {
    image: RgbImage,
    microns_per_pixel: Option<f64>,
}

impl Photograph {
    /// From a file.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::of(&ImageSource::open(path)?)
    }

    fn of(source: &ImageSource) -> Result<Self, Error> {
        let microns_per_pixel = source.microns_per_pixel();
        Ok(Self { image: source.reduced(DEFAULT_LONGEST_SIDE)?, microns_per_pixel })
    }
}

/// The margin of a class over the image.
pub(crate) fn overlay(locator: &Locator, entry: &Entry<'_>, id: ClassId, photo: &Photograph) -> RgbImage {
    let (located, class) = (entry.located, &locator.model().spec.classes[id.0]);
    let regions: Vec<_> = located.regions.iter().filter(|region| region.class == id).cloned().collect();
    let truths: Vec<_> = entry.truths.iter().filter(|truth| truth.class == id).cloned().collect();
    let overlay = Overlay {
        image: &photo.image,
        size: located.size,
        map: &located.margins[id.0],
        range: margin_range(locator, class),
        regions: &regions,
        // They are in the order of their classes.
        first_number: 1 + located.regions.iter().take_while(|region| region.class < id).count(),
        truths: &truths,
        title: &class.name,
        unit: "log-odds",
        microns_per_pixel: photo.microns_per_pixel,
        longest_side: DEFAULT_LONGEST_SIDE,
    };
    overlay.draw()
}

/// The image beside the maps that were made of it. The mean and the channels know no class and have no unit, so that
/// their scales are those of the image.
pub(crate) fn panel(locator: &Locator, entry: &Entry<'_>, id: ClassId, photo: &Photograph) -> RgbImage {
    let (located, class) = (entry.located, &locator.model().spec.classes[id.0]);
    let panel = Panel {
        image: &photo.image,
        size: located.size,
        class_name: &class.name,
        mean: &located.mean,
        weighted: &located.maps[id.0],
        channels: &located.channels,
        mean_range: ScoreRange::of([&located.mean]),
        weighted_range: logit_range(margin_range(locator, class), class),
        channel_range: ScoreRange::of(located.channels.iter().map(|(_, map)| map)),
    };
    panel.draw()
}

/// A file name for each image: its own, with a number where an earlier one has it.
pub(crate) fn file_names(images: &[&Path]) -> Vec<String> {
    let stem =
        |path: &&Path| path.file_stem().map_or_else(|| "image".into(), OsStr::to_string_lossy).into_owned();
    unique(images.iter().map(stem))
}

/// Names with numbers behind those that are taken, also where a file system doesn't tell capitals from small letters.
fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let free = |name: String| {
        let key = name.to_lowercase();
        if taken.insert(key.clone()) {
            return name;
        }
        let number = numbers.entry(key.clone()).or_insert(1);
        loop {
            *number += 1;
            if taken.insert(format!("{key}-{number}")) {
                return format!("{name}-{number}");
            }
        }
    };
    names.map(free).collect()
}

/// A name without what file systems or shells make trouble of.
fn safe_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_images_and_each_is_there_once() {
        let images = ["x/a.png", "y/a.png", "a-2.png", "A.jpg", "b.c.tif", ""].map(Path::new);
        assert_eq!(file_names(&images), ["a", "a-2", "a-2-2", "A-3", "b.c", "image"]);
    }
}
