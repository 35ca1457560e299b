//! What is found on images, as files: maps, overlays, panels, JSON and tables.

use crate::journal::Begin;
use crate::{Error, Located, Locator};
use image::RgbImage;
use locam_core::ClassSpec;
use locam_data::ImageSource;
use locam_locate::Truth;
use locam_report::{
    DEFAULT_LONGEST_SIDE, ImageRecord, Overlay, Panel, Records, ScoreRange, delete_leftovers, read_json,
    write_coco, write_coco_results, write_csv, write_geojson, write_image, write_json, write_npy, write_yolo,
    write_yolo_classes,
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
    /// The sought classes as they stand in file names.
    sought: Vec<String>,
}

/// Folders of one file an image, or of one file an image and class.
const FOLDERS: [&str; 6] = ["json", "geojson", "yolo/labels", "maps", "overlays", "panels"];
/// Tables of all images.
const CSV: &str = "regions.csv";
const COCO: &str = "coco.json";
const COCO_RESULTS: &str = "coco-results.json";

impl OutFolder {
    /// Makes the folders that are not there.
    pub(crate) fn create(locator: &Locator, root: &Path) -> Result<Self, Error> {
        for folder in FOLDERS {
            let path = root.join(folder);
            std::fs::create_dir_all(&path).map_err(|source| Error::Io { path, source })?;
        }
        let spec = &locator.model().spec;
        Ok(Self {
            root: root.to_owned(),
            class_names: spec.classes.iter().map(|class| class.name.clone()).collect(),
            sought: class_files(locator),
        })
    }

    /// Deletes what a killed run left half written, and the tables of another run.
    pub(crate) fn clear_up(&self, begin: Begin) -> Result<(), Error> {
        for folder in ["", "yolo"].iter().chain(&FOLDERS) {
            delete_leftovers(&self.root.join(folder));
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

    fn json(&self, name: &str) -> PathBuf {
        self.file("json", name, "json")
    }

    fn file(&self, folder: &str, name: &str, extension: &str) -> PathBuf {
        self.root.join(folder).join(format!("{name}.{extension}"))
    }

    fn picture(&self, folder: &str, name: &str, class: &str) -> PathBuf {
        self.file(folder, &format!("{name}-{class}"), "png")
    }

    /// Whether every file of an image is there.
    pub(crate) fn has_files_of(&self, name: &str) -> bool {
        let tables = [("json", "json"), ("geojson", "geojson"), ("yolo/labels", "txt"), ("maps", "npy")];
        let pictures = |class: &String| {
            ["overlays", "panels"].into_iter().all(|folder| self.picture(folder, name, class).is_file())
        };
        tables.into_iter().all(|(folder, extension)| self.file(folder, name, extension).is_file())
            && self.sought.iter().all(pictures)
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
        write_npy(&self.file("maps", name, "npy"), &located.maps)?;
        write_json(&self.json(name), &record, &self.class_names)?;
        write_geojson(&self.file("geojson", name, "geojson"), &record, &self.class_names)?;
        write_yolo(&self.file("yolo/labels", name, "txt"), &record)?;
        let image = drawn_copy(entry.path)?;
        for (picture, class) in pictures(locator, entry, &image).into_iter().zip(&self.sought) {
            write_image(&self.picture("overlays", name, class), &picture.overlay)?;
            write_image(&self.picture("panels", name, class), &picture.panel)?;
        }
        Ok(())
    }

    /// Writes the tables of all images, from the files of each.
    pub(crate) fn write_tables(&self, names: &[&str]) -> Result<(), Error> {
        let paths = names.iter().map(|name| self.json(name)).collect();
        let records = Records::new(paths, self.class_names.clone());
        write_yolo_classes(&self.root.join("yolo/classes.txt"), &self.class_names)?;
        write_csv(&self.root.join(CSV), &records)?;
        write_coco(&self.root.join(COCO), &records)?;
        write_coco_results(&self.root.join(COCO_RESULTS), &records)?;
        Ok(())
    }
}

/// Writes all files of searched images.
pub(crate) fn write_entries(locator: &Locator, entries: &[Entry<'_>], out: &Path) -> Result<(), Error> {
    let folder = OutFolder::create(locator, out)?;
    let paths: Vec<&Path> = entries.iter().map(|entry| entry.path).collect();
    let names = file_names(&paths);
    for (entry, name) in entries.iter().zip(&names) {
        folder.write(locator, entry, name)?;
    }
    folder.write_tables(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The sought classes as they stand in file names.
fn class_files(locator: &Locator) -> Vec<String> {
    unique(locator.model().spec.sought_classes().map(|(_, class)| safe_name(&class.name)))
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

/// The colour scale of a class's logits: the margin between two opposite ones spans the scale of margins.
fn logit_range(margins: ScoreRange, class: &ClassSpec) -> ScoreRange {
    let high = margins.high * class.temperature / 2.0;
    ScoreRange { low: -high, high }
}

/// An image as small as it is drawn.
pub(crate) fn drawn_copy(path: &Path) -> Result<RgbImage, Error> {
    Ok(ImageSource::open(path)?.reduced(DEFAULT_LONGEST_SIDE)?)
}

/// The two pictures of an image for one class.
pub(crate) struct ClassPictures {
    pub(crate) overlay: RgbImage,
    pub(crate) panel: RgbImage,
}

/// Draws the pictures of every sought class. The mean and the channels know no class and have no unit, so that their scales
/// are those of the image.
pub(crate) fn pictures(locator: &Locator, entry: &Entry<'_>, image: &RgbImage) -> Vec<ClassPictures> {
    let located = entry.located;
    let mean_range = ScoreRange::of([&located.mean]);
    let channel_range = ScoreRange::of(located.channels.iter().map(|(_, map)| map));
    let draw = |(id, class): (locam_core::ClassId, &locam_core::ClassSpec)| {
        let regions: Vec<_> = located.regions.iter().filter(|region| region.class == id).cloned().collect();
        // They are in the order of their classes.
        let first_number = 1 + located.regions.iter().take_while(|region| region.class < id).count();
        let truths: Vec<_> = entry.truths.iter().filter(|truth| truth.class == id).copied().collect();
        let overlay = Overlay {
            image,
            size: located.size,
            map: &located.margins[id.0],
            range: margin_range(locator, class),
            regions: &regions,
            first_number,
            truths: &truths,
            title: &class.name,
            unit: "log-odds",
            longest_side: DEFAULT_LONGEST_SIDE,
        };
        let panel = Panel {
            image,
            size: located.size,
            class_name: &class.name,
            mean: &located.mean,
            weighted: &located.maps[id.0],
            channels: &located.channels,
            mean_range,
            weighted_range: logit_range(margin_range(locator, class), class),
            channel_range,
        };
        ClassPictures { overlay: overlay.draw(), panel: panel.draw() }
    };
    locator.model().spec.sought_classes().map(draw).collect()
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
