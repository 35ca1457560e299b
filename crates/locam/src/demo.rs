//! The whole job on generated smears: no data, no download. Everything goes through the same functions that the
//! commands call, on files that the commands can read again.

use crate::assessing::{Assessed, annotated_items, assess, split_name};
use crate::calibrating::calibrate;
use crate::evaluating::{Evaluation, figures};
use crate::shortcuts::check_shortcuts;
use crate::training::{prepare, train_run};
use crate::{Error, LocateOptions, Locator, demo_page, models};
use locam_core::Size;
use locam_data::{
    Augment, CellNames, Dataset, OpenOptions, SmearConfig, Split, StainPreset, VocFields, write_voc,
};
use locam_net::{ChannelChoice, DeviceChoice};
use locam_train::{Observer, OptimizerName, Outcome, PatchConfig, Schedule, Start, Summary, TrainConfig};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// What the demonstration is told.
#[derive(Clone, Debug)]
pub struct DemoPlan {
    /// The folder to write: a new one, an empty one, or that of an earlier demonstration, which is replaced.
    pub out: PathBuf,
    /// The seed of the smears and of the training.
    pub seed: u64,
}

/// What the demonstration gave.
#[derive(Debug)]
pub struct DemoResult {
    /// Hits and false alarms on the test fields.
    pub evaluation: Evaluation,
    /// The page that shows everything.
    pub page: PathBuf,
}

/// Everything that the page is made of.
pub(crate) struct Shown<'a> {
    pub(crate) plan: &'a DemoPlan,
    pub(crate) config: &'a TrainConfig,
    pub(crate) summary: &'a Summary,
    pub(crate) class_names: &'a [String],
    pub(crate) locator: &'a Locator,
    pub(crate) assessed: &'a [Assessed],
    pub(crate) evaluation: &'a Evaluation,
    pub(crate) seconds: f64,
}

/// Fields to train on and to choose thresholds on.
const FIELD: Size = Size::new(1000, 750);
/// Fields to locate on: the size of a camera's preview, an oblong one, and a whole camera frame.
const TEST_FIELDS: [Size; 3] = [Size::new(640, 480), Size::new(1400, 500), Size::new(3000, 2000)];

/// Twice as crowded as usual, so that few fields give enough cells to learn from.
const PIXELS_PER_WHITE_CELL: u64 = 110_000;

/// Generates smears, trains on patches of some, chooses thresholds on others, locates on the rest, and writes a page.
/// `None` when it was stopped.
///
/// # Errors
/// A folder that is in use, a disk that is full.
pub fn demo(
    plan: &DemoPlan,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(&str),
    observer: &mut dyn Observer,
) -> Result<Option<DemoResult>, Error> {
    let started = Instant::now();
    make_room(&plan.out)?;
    let fields = plan.out.join("fields");
    tell("generating smears");
    for set in field_sets(plan.seed) {
        write_voc(&fields, &set)?;
    }
    let data = Dataset::open(&fields, &OpenOptions::default())?;

    let config = config(plan.seed);
    let prepared = prepare(&data, &config)?;
    tell(prepared.table().trim_end());
    let run = plan.out.join("run");
    let Outcome::Finished(summary) = train_run(&prepared, &config, &run, Start::New, stop, observer)? else {
        return Ok(None);
    };

    tell("choosing thresholds on the validation fields");
    let untuned = open(&run)?;
    let (val, _) = assess(&untuned, &data, &annotated_items(&data, Some(Split::Val))?, &mut |_| {})?;
    let chosen = calibrate(&untuned, &val);
    models::store_calibration(&run, &chosen, &format!("{} generated validation fields", val.len()))?;

    let locator = open(&run)?;
    let items = annotated_items(&data, Some(Split::Test))?;
    tell("locating on the test fields");
    let mut clock = Instant::now();
    let (assessed, _) = assess(&locator, &data, &items, &mut |path: &Path| {
        tell(&format!("  {} in {:.1} s", path.display(), clock.elapsed().as_secs_f64()));
        clock = Instant::now();
    })?;
    let (shortcuts, _) = check_shortcuts(&locator, &assessed)?;
    let evaluation = Evaluation { shortcuts, ..figures(&locator, &assessed, 0) };
    let class_names: Vec<String> = prepared.data.classes.iter().map(|class| class.name.clone()).collect();
    let seconds = started.elapsed().as_secs_f64();
    let page = demo_page::write(&Shown {
        plan,
        config: &config,
        summary: &summary,
        class_names: &class_names,
        locator: &locator,
        assessed: &assessed,
        evaluation: &evaluation,
        seconds,
    })?;
    Ok(Some(DemoResult { evaluation, page }))
}

/// Says that a folder holds nothing but a demonstration, so that the next one may replace it.
const MARK: &str = ".locam-demo";

/// Makes an empty folder, in the place of an earlier demonstration if there is one.
fn make_room(out: &Path) -> Result<(), Error> {
    let io = |source| Error::Io { path: out.to_owned(), source };
    let in_use = out.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if in_use && !out.join(MARK).is_file() {
        return Err(Error::Request(format!(
            "{} has something in it that is no demonstration; name another folder with --out",
            out.display()
        )));
    }
    if in_use {
        std::fs::remove_dir_all(out).map_err(io)?;
    }
    std::fs::create_dir_all(out).and_then(|()| std::fs::write(out.join(MARK), b"")).map_err(io)
}

fn open(run: &Path) -> Result<Locator, Error> {
    let options = LocateOptions { channels: ChannelChoice::Strongest(4), ..LocateOptions::default() };
    Locator::open(run, DeviceChoice::Auto, options)
}

/// The fields by split; every field has a seed of its own, so that no cell occurs twice.
fn field_sets(seed: u64) -> Vec<VocFields> {
    let smear = |index: u64, size: Size| SmearConfig {
        white_cells: (size.area() / PIXELS_PER_WHITE_CELL).max(1) as u32,
        stain: StainPreset::ALL[(index % StainPreset::ALL.len() as u64) as usize],
        ..SmearConfig::new(size, seed.wrapping_mul(1000).wrapping_add(index))
    };
    let set = |split, smears| {
        let name = split_name(split).to_owned();
        VocFields { prefix: name.clone(), list: Some(name), names: CellNames::Kinds, smears }
    };
    let alike = |indices: std::ops::Range<u64>| indices.map(|index| smear(index, FIELD)).collect();
    let test = (200..).zip(TEST_FIELDS).map(|(index, size)| smear(index, size)).collect();
    vec![set(Split::Train, alike(0..30)), set(Split::Val, alike(100..110)), set(Split::Test, test)]
}

/// So many epochs, since this is to be over in minutes on two cores, in so small batches, since it has few steps to learn in.
/// Windows lie well beside their cells, too, since each part of a cell is searched. Chosen on the test fields of other seeds.
fn config(seed: u64) -> TrainConfig {
    TrainConfig {
        epochs: 7,
        batch_size: 8,
        optimizer: OptimizerName::AdamW,
        learning_rate: Some(1e-3),
        schedule: Schedule::Cosine,
        warmup_epochs: 0.5,
        patch_size: 224,
        augment: Augment::NONE,
        flips: Some(true),
        turns: Some(true),
        seed,
        patches: PatchConfig {
            background: Some(2),
            window: Some(160),
            jitter: 0.3,
            ..PatchConfig::default()
        },
        ..TrainConfig::default()
    }
}
