//! A run over many images: what is found on each is written as soon as it was searched, and a run that was stopped goes on.

use crate::in_order::{Share, in_order};
use crate::journal::{Finished, Journal};
use crate::locating::SLIDE_PIXELS;
use crate::memory::images_at_once;
use crate::row_file::RowFile;
use crate::writing::{Entry, OutFolder, file_names};
use crate::{Error, Located, Locator, Outputs};
use locam_core::Rect;
use locam_data::{ImageSource, Problem, Strictness};
use locam_report::ImageRecord;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Something that happened while a run of images is searched.
#[derive(Debug)]
pub enum LocateEvent<'a> {
    /// An image was searched, and its files are written.
    Located {
        /// The file.
        path: &'a Path,
        /// Regions per sought class.
        found: BTreeMap<String, usize>,
        /// The part of it that was searched, in 0..=1; the rest is glass.
        searched: f64,
        /// Reading and searching.
        seconds: f64,
    },
    /// An image was finished when the command ran before.
    Kept {
        /// The file.
        path: &'a Path,
        /// Regions per sought class.
        found: BTreeMap<String, usize>,
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
    /// Images searched, those of earlier runs included.
    pub located: usize,
    /// Those of them that were finished before.
    pub kept: usize,
    /// Regions found on all of them.
    pub regions: usize,
    /// Images passed over.
    pub problems: Vec<Problem>,
}

/// Version of what a run writes: files of another one are written again.
const FORMAT: u32 = 3;

/// Searches images and writes into `out`, of these what is asked for and each image's files as soon as it was searched:
///
/// ```text
/// json/NAME.json               the regions of one image
/// geojson/NAME.geojson         the same for QuPath, as detections with outlines
/// yolo/labels/NAME.txt         the same as YOLO's boxes, and yolo/classes.txt
/// maps/NAME.npy                its class maps: float32 logits [classes, rows, columns]
/// sheets/NAME.png              a contact sheet of its regions
/// masks/NAME.png               the number of the region at each pixel; tiff-masks/NAME.tif the same
/// overlays/NAME-CLASS.png      the margin of a sought class over the image, one colour scale for all images
/// panels/NAME-CLASS.png        the image, the plain mean, the class's map, the negative mean, four channels
/// regions.csv                  all regions of all images
/// coco.json                    the same as a COCO data set; coco-results.json for COCO's evaluation
/// run.jsonl                    the model, the options, and which images are finished
/// partial/NAME.rows            what a slide's maps have so far, until its files are written
/// ```
///
/// As many images are at work as there are threads, as far as there is memory; slides are searched alone. Nothing of what is
/// written or observed, nor its order, depends on how many there are.
///
/// Images that are finished, unchanged since then and searched with the same model and options are not searched again; a slide
/// that was not finished is searched from the rows on that its maps have, unless a part of it is damaged. The
/// tables of all images are made last, from the files of each, so that they are the same however often the run was stopped.
///
/// # Errors
/// With [`Strictness::Strict`] the first image that can't be used; files that can't be written, upon which what was finished
/// stays; another run at work in `out`; no usable image.
pub fn locate_all(
    locator: &Locator,
    images: &[PathBuf],
    out: &Path,
    outputs: &Outputs,
    strictness: Strictness,
    observe: &mut dyn FnMut(LocateEvent<'_>),
) -> Result<LocateSummary, Error> {
    let paths: Vec<&Path> = images.iter().map(PathBuf::as_path).collect();
    let names = file_names(&paths);
    let folder = OutFolder::create(locator, out, outputs)?;
    let plan = plan(locator)?;
    let (journal, begin) = Journal::open(out, &plan)?;
    folder.clear_up(begin)?;
    let run = Run { locator, folder: &folder, plan: &plan, journal: &journal, strictness };
    let mut summary = LocateSummary::default();
    let mut finished = Vec::new();
    let work = |image: usize| run.image(paths[image], &names[image]);
    let share = |image: usize| share_of(paths[image]);
    in_order(images.len(), images_at_once(), share, work, |image, outcome| {
        if !matches!(outcome, Outcome::Failed { .. }) {
            finished.push(names[image].as_str());
        }
        run.note(paths[image], outcome, &mut summary, observe)?;
        folder.forget_rows(&names[image]);
        Ok(())
    })?;
    if let (true, Some(first)) = (finished.is_empty(), summary.problems.first()) {
        return Err(Error::NothingUsable {
            count: images.len(),
            path: first.path.clone(),
            reason: first.message.clone(),
        });
    }
    folder.write_tables(&finished)?;
    Ok(summary)
}

/// Everything beside an image that its files follow from, as one line.
fn plan(locator: &Locator) -> Result<String, Error> {
    let plan = json!({
        "format": FORMAT,
        "locam": env!("CARGO_PKG_VERSION"),
        "device": locator.device_name(),
        "options": format!("{:?}", locator.options()),
        "model": locator.model().spec,
    });
    serde_json::to_string(&plan)
        .map_err(|error| Error::Request(format!("the run can't be described: {error}")))
}

/// Slides take the memory of many fields, and work for all threads by themselves. What can't be read will say so.
fn share_of(path: &Path) -> Share {
    match locam_data::read_size(path) {
        Ok(size) if size.area() > SLIDE_PIXELS => Share::Whole,
        _ => Share::Place,
    }
}

/// Why an image is not finished.
enum Failure {
    /// The image can't be used; others may.
    Image(Error),
    /// Nothing can be written any more.
    Stop(Error),
}

/// What became of an image.
enum Outcome {
    /// It was finished before.
    Kept { found: BTreeMap<String, usize>, regions: usize },
    /// It was searched, and its files are written.
    Located {
        state: Finished,
        found: BTreeMap<String, usize>,
        regions: usize,
        searched: f64,
        seconds: f64,
        damage: Option<String>,
    },
    /// It can't be used.
    Failed { reason: String },
}

struct Run<'a> {
    locator: &'a Locator,
    folder: &'a OutFolder,
    plan: &'a str,
    journal: &'a Journal,
    strictness: Strictness,
}

impl Run<'_> {
    /// Searches an image and writes its files, unless that was done before; fails where nothing more is to be done.
    fn image(&self, path: &Path, name: &str) -> Result<Outcome, Error> {
        match self.try_image(path, name) {
            Ok(outcome) => Ok(outcome),
            Err(Failure::Image(error)) if self.strictness == Strictness::Strict => {
                Err(Error::Strict { path: path.to_path_buf(), reason: error.to_string() })
            }
            Err(Failure::Image(error)) => Ok(Outcome::Failed { reason: error.to_string() }),
            Err(Failure::Stop(error)) => Err(error),
        }
    }

    fn try_image(&self, path: &Path, name: &str) -> Result<Outcome, Failure> {
        let started = Instant::now();
        let state = Finished::of(path, name)
            .map_err(|source| Failure::Image(Error::Io { path: path.to_owned(), source }))?;
        if let Some(record) = self.finished_before(&state, name) {
            let regions = record.regions();
            return Ok(Outcome::Kept { found: counts(self.locator, regions), regions: regions.len() });
        }
        let located = self.search(&state, path, name).map_err(Failure::Image)?;
        let damage = (!located.missing.is_empty()).then(|| damage(&located.missing));
        if let (Strictness::Strict, Some(message)) = (self.strictness, &damage) {
            return Err(Failure::Image(Error::Request(message.clone())));
        }
        let seconds = started.elapsed().as_secs_f64();
        let entry = Entry { path, located: &located, truths: &[] };
        self.folder.write(self.locator, &entry, name).map_err(|error| match error {
            // The image is read again for its pictures.
            Error::Data(_) => Failure::Image(error),
            _ => Failure::Stop(error),
        })?;
        let found = counts(self.locator, &located.regions);
        let (regions, searched) = (located.regions.len(), located.searched);
        Ok(Outcome::Located { state, found, regions, searched, seconds, damage })
    }

    /// Searches an image; a slide from the rows on that an earlier run has left.
    fn search(&self, state: &Finished, path: &Path, name: &str) -> Result<Located, Error> {
        let source = ImageSource::open(path)?;
        if source.size().area() <= SLIDE_PIXELS {
            return self.locator.locate(&source);
        }
        let subject = format!("{}\n{state:?}", self.plan);
        self.locator.locate_keeping(&source, &RowFile::open(&self.folder.rows(name), &subject))
    }

    /// What was found on an image that was finished, unless one of its files is gone or damaged.
    fn finished_before(&self, state: &Finished, name: &str) -> Option<ImageRecord> {
        let is_whole = self.journal.holds(state) && self.folder.has_files_of(name);
        is_whole.then(|| self.folder.record(name).ok()).flatten()
    }

    /// Takes down what became of an image.
    fn note(
        &self,
        path: &Path,
        outcome: Outcome,
        summary: &mut LocateSummary,
        observe: &mut dyn FnMut(LocateEvent<'_>),
    ) -> Result<(), Error> {
        let problem = |message| Problem { path: path.to_owned(), message };
        match outcome {
            Outcome::Kept { found, regions } => {
                summary.kept += 1;
                summary.located += 1;
                summary.regions += regions;
                observe(LocateEvent::Kept { path, found });
            }
            Outcome::Located { state, found, regions, searched, seconds, damage } => {
                match damage {
                    // What is damaged is searched again, so that it is named again.
                    Some(damage) => summary.problems.push(problem(damage)),
                    None => self.journal.add(&state)?,
                }
                summary.located += 1;
                summary.regions += regions;
                observe(LocateEvent::Located { path, found, searched, seconds });
            }
            Outcome::Failed { reason } => {
                summary.problems.push(problem(reason));
                observe(LocateEvent::Failed { path });
            }
        }
        Ok(())
    }
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
fn counts(locator: &Locator, regions: &[locam_core::Region]) -> BTreeMap<String, usize> {
    let sought = locator.model().spec.sought_classes();
    sought
        .map(|(id, class)| {
            let count = regions.iter().filter(|region| region.class == id).count();
            (class.name.clone(), count)
        })
        .collect()
}
