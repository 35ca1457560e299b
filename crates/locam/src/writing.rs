//! What is found on a run of images, as files: maps, overlays, panels, JSON and one table.

use crate::{Error, Located, Locator};
use image::RgbImage;
use locam_core::{Rect, ScoreMap};
use locam_data::{ImageSource, Problem, Strictness};
use locam_locate::Truth;
use locam_report::{
    DEFAULT_LONGEST_SIDE, ImageRecord, Overlay, Panel, ScoreRange, write_coco, write_coco_results, write_csv,
    write_geojson, write_image, write_json, write_npy, write_yolo, write_yolo_classes,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Something that happened while a run of images is searched.
#[derive(Debug)]
pub enum LocateEvent<'a> {
    /// An image was searched.
    Located {
        /// The file.
        path: &'a Path,
        /// Regions per sought class.
        found: BTreeMap<String, usize>,
        /// Reading, searching, and writing the raw maps.
        seconds: f64,
    },
    /// An image could not be used.
    Failed {
        /// The file.
        path: &'a Path,
    },
}

/// What a run of images gave.
#[derive(Clone, Debug, Default)]
pub struct LocateSummary {
    /// Images searched.
    pub located: usize,
    /// Regions found on all of them.
    pub regions: usize,
    /// Images passed over.
    pub problems: Vec<Problem>,
}

/// One searched image and where it came from.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) path: &'a Path,
    pub(crate) located: &'a Located,
    pub(crate) truths: &'a [Truth],
}

/// Searches images and writes into `out`:
///
/// ```text
/// regions.csv                  all regions of all images
/// coco.json                    the same as a COCO data set; coco-results.json for COCO's evaluation
/// json/NAME.json               the regions of one image
/// geojson/NAME.geojson         the same for QuPath, as detections with outlines
/// yolo/labels/NAME.txt         the same as YOLO's boxes, and yolo/classes.txt
/// maps/NAME.npy                its class maps: float32 logits [classes, rows, columns]
/// overlays/NAME-CLASS.png      the margin of a sought class over the image, one colour scale for all images
/// panels/NAME-CLASS.png        the image, the plain mean, the class's map, the negative mean, four channels
/// ```
///
/// # Errors
/// With [`Strictness::Strict`] the first image that can't be used; files that can't be written; no usable image.
pub fn locate_all(
    locator: &Locator,
    images: &[PathBuf],
    out: &Path,
    strictness: Strictness,
    observe: &mut dyn FnMut(LocateEvent<'_>),
) -> Result<LocateSummary, Error> {
    let mut summary = LocateSummary::default();
    let mut found: Vec<(&Path, Located)> = Vec::new();
    for path in images {
        let started = Instant::now();
        match ImageSource::open(path).map_err(Error::from).and_then(|source| locator.locate(&source)) {
            Ok(located) if strictness == Strictness::Strict && !located.missing.is_empty() => {
                return Err(Error::Strict { path: path.clone(), reason: damage(&located.missing) });
            }
            Ok(located) => {
                if !located.missing.is_empty() {
                    let message = damage(&located.missing);
                    summary.problems.push(Problem { path: path.clone(), message });
                }
                let seconds = started.elapsed().as_secs_f64();
                observe(LocateEvent::Located { path, found: counts(locator, &located), seconds });
                summary.regions += located.regions.len();
                found.push((path, located));
            }
            Err(error) if strictness == Strictness::Strict => {
                return Err(Error::Strict { path: path.clone(), reason: error.to_string() });
            }
            Err(error) => {
                observe(LocateEvent::Failed { path });
                summary.problems.push(Problem { path: path.clone(), message: error.to_string() });
            }
        }
    }
    summary.located = found.len();
    if let (true, Some(first)) = (found.is_empty(), summary.problems.first()) {
        return Err(Error::NothingUsable {
            count: images.len(),
            path: first.path.clone(),
            reason: first.message.clone(),
        });
    }
    let entries: Vec<Entry<'_>> =
        found.iter().map(|(path, located)| Entry { path, located, truths: &[] }).collect();
    write_entries(locator, &entries, out)?;
    Ok(summary)
}

/// Says which parts of an image are damaged; of many the first few.
fn damage(missing: &[Rect]) -> String {
    const NAMED: usize = 5;
    let name = |part: &Rect| {
        let Rect { left, top, right, bottom } = part;
        format!("columns {left:.0} to {right:.0} of rows {top:.0} to {bottom:.0}")
    };
    let mut named: Vec<String> = missing.iter().take(NAMED).map(name).collect();
    if missing.len() > NAMED {
        named.push(format!("{} more parts", missing.len() - NAMED));
    }
    format!("the file is damaged: {} were searched as if white; copy it again", named.join(", "))
}

/// Regions per sought class.
fn counts(locator: &Locator, located: &Located) -> BTreeMap<String, usize> {
    let sought = locator.model().spec.sought_classes();
    sought
        .map(|(id, class)| {
            let count = located.regions.iter().filter(|region| region.class == id).count();
            (class.name.clone(), count)
        })
        .collect()
}

/// Writes all files of a run of searched images. Pictures come last, since their colour scale needs all maps.
pub(crate) fn write_entries(locator: &Locator, entries: &[Entry<'_>], out: &Path) -> Result<(), Error> {
    let spec = &locator.model().spec;
    for folder in ["json", "geojson", "yolo/labels", "maps", "overlays", "panels"] {
        let path = out.join(folder);
        std::fs::create_dir_all(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
    }
    let class_names: Vec<String> = spec.classes.iter().map(|class| class.name.clone()).collect();
    let records: Vec<ImageRecord> = entries
        .iter()
        .map(|entry| ImageRecord {
            image: entry.path.display().to_string(),
            size: entry.located.size,
            regions: entry.located.regions.clone(),
        })
        .collect();
    let names = file_names(entries);
    for ((entry, record), name) in entries.iter().zip(&records).zip(&names) {
        write_npy(&out.join("maps").join(format!("{name}.npy")), &entry.located.maps)?;
        write_json(&out.join("json").join(format!("{name}.json")), record, &class_names)?;
        write_geojson(&out.join("geojson").join(format!("{name}.geojson")), record, &class_names)?;
        write_yolo(&out.join("yolo/labels").join(format!("{name}.txt")), record)?;
    }
    write_yolo_classes(&out.join("yolo").join("classes.txt"), &class_names)?;
    write_csv(&out.join("regions.csv"), &records, &class_names)?;
    write_coco(&out.join("coco.json"), &records, &class_names)?;
    write_coco_results(&out.join("coco-results.json"), &records)?;
    let scales = Scales::of(locator, entries);
    for (entry, name) in entries.iter().zip(&names) {
        let image = drawn_copy(entry.path)?;
        for picture in pictures(locator, &scales, entry, &image) {
            write_image(
                &out.join("overlays").join(format!("{name}-{}.png", picture.file)),
                &picture.overlay,
            )?;
            write_image(&out.join("panels").join(format!("{name}-{}.png", picture.file)), &picture.panel)?;
        }
    }
    Ok(())
}

/// The colour scales of a run, shared by all its images.
#[derive(Debug)]
pub(crate) struct Scales {
    margins: ScoreRange,
    maps: ScoreRange,
    mean: ScoreRange,
    channels: ScoreRange,
}

impl Scales {
    pub(crate) fn of(locator: &Locator, entries: &[Entry<'_>]) -> Self {
        let sought: Vec<usize> = locator.model().spec.sought_classes().map(|(id, _)| id.0).collect();
        let range = |maps: fn(&Located) -> &[ScoreMap]| {
            ScoreRange::of(
                entries.iter().flat_map(|one| sought.iter().map(|&class| &maps(one.located)[class])),
            )
        };
        Self {
            // What is less likely than not stays clear of colour.
            margins: ScoreRange { low: 0.0, high: range(|one| &one.margins).high.max(1.0) },
            maps: range(|one| &one.maps),
            mean: ScoreRange::of(entries.iter().map(|one| &one.located.mean)),
            channels: ScoreRange::of(
                entries.iter().flat_map(|one| one.located.channels.iter().map(|(_, map)| map)),
            ),
        }
    }
}

/// An image as small as it is drawn.
pub(crate) fn drawn_copy(path: &Path) -> Result<RgbImage, Error> {
    Ok(ImageSource::open(path)?.reduced(DEFAULT_LONGEST_SIDE)?)
}

/// The two pictures of an image for one class.
pub(crate) struct ClassPictures {
    /// The class as it stands in file names.
    pub(crate) file: String,
    pub(crate) overlay: RgbImage,
    pub(crate) panel: RgbImage,
}

/// Draws the pictures of every sought class on the image, which may be reduced.
pub(crate) fn pictures(
    locator: &Locator,
    scales: &Scales,
    entry: &Entry<'_>,
    image: &RgbImage,
) -> Vec<ClassPictures> {
    let located = entry.located;
    let draw = |(id, class): (locam_core::ClassId, &locam_core::ClassSpec)| {
        let regions: Vec<_> = located.regions.iter().filter(|region| region.class == id).cloned().collect();
        // They are in the order of their classes.
        let first_number = 1 + located.regions.iter().take_while(|region| region.class < id).count();
        let truths: Vec<_> = entry.truths.iter().filter(|truth| truth.class == id).copied().collect();
        let overlay = Overlay {
            image,
            size: located.size,
            map: &located.margins[id.0],
            range: scales.margins,
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
            mean_range: scales.mean,
            weighted_range: scales.maps,
            channel_range: scales.channels,
        };
        ClassPictures { file: safe_name(&class.name), overlay: overlay.draw(), panel: panel.draw() }
    };
    locator.model().spec.sought_classes().map(draw).collect()
}

/// A file name for each image: its own, with a number where two images of a run share it.
fn file_names(entries: &[Entry<'_>]) -> Vec<String> {
    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    entries
        .iter()
        .map(|entry| {
            let stem = entry
                .path
                .file_stem()
                .map_or_else(|| "image".into(), |stem| stem.to_string_lossy().into_owned());
            let count = used.entry(stem.clone()).and_modify(|count| *count += 1).or_insert(1);
            if *count == 1 { stem } else { format!("{stem}-{count}") }
        })
        .collect()
}

/// A name without what file systems or shells make trouble of.
fn safe_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect()
}
