//! One module per command: each reads its arguments, calls one job of the library, and tells of it.

pub(crate) mod assess;
pub(crate) mod bench;
pub(crate) mod data;
pub(crate) mod demo;
pub(crate) mod locate;
pub(crate) mod model;
pub(crate) mod train;

use crate::args::{DataArgs, LocatorArgs, ObjectSize};
use crate::settings::parse;
use anyhow::{Context, Result, ensure};
use locam::{
    ChannelChoice, Dataset, LocateOptions, Locator, OpenOptions, READY_MODEL, Scaling, SmallImages,
    Strictness,
};
use std::path::Path;

/// Opens a data set as the arguments say.
fn open_data(path: &Path, args: &DataArgs) -> Result<Dataset> {
    let layout = args.layout.as_deref().map(parse).transpose()?;
    Ok(Dataset::open(path, &OpenOptions { layout, strictness: strictness(args.strict) })?)
}

/// Says before the work, and not after it, that nothing can be written into a file.
fn check_folder(out: &Path) -> Result<()> {
    ensure!(
        !out.exists() || out.is_dir(),
        "{} is a file, and what is written needs a folder; name another one",
        out.display()
    );
    Ok(())
}

fn strictness(strict: bool) -> Strictness {
    if strict { Strictness::Strict } else { Strictness::Lenient }
}

/// Single channels on a panel.
const PANEL_CHANNELS: usize = 4;

/// The model that is to be changed, which the ready one can't be.
fn model_folder(args: &LocatorArgs) -> Result<&Path> {
    args.model.as_deref().context(
        "no model is given; name a run folder or a model folder with --model (the ready model is part of the program \
         and stays as it is; to calibrate it, copy models/white-cells)",
    )
}

/// What the model is called: its folder, or the ready one's name.
fn model_name(args: &LocatorArgs) -> &Path {
    args.model.as_deref().unwrap_or(Path::new(READY_MODEL))
}

/// Loads the model, and says on what it runs and at what scale.
fn open_locator(args: &LocatorArgs, channels: ChannelChoice, threshold: Option<f64>) -> Result<Locator> {
    let scaling = match (args.object_size, args.scale) {
        (Some(ObjectSize::Pixels(size)), _) => Scaling::ObjectSize(size),
        (Some(ObjectSize::Auto), _) => Scaling::RedCells,
        (None, Some(factor)) => Scaling::Factor(factor),
        (None, None) if args.model.is_none() => Scaling::RedCells,
        (None, None) => Scaling::AsTrained,
    };
    let small_images = if args.upscale { SmallImages::Enlarge } else { SmallImages::Refuse };
    let precision = parse(&args.precision)?;
    let options = LocateOptions {
        scaling,
        small_images,
        microns_per_pixel: args.microns_per_pixel,
        scales: args.scales.clone(),
        stride: args.stride,
        stain_normalization: args.stain_normalization.unwrap_or(args.model.is_none()),
        everything: args.everything,
        channels,
        threshold,
        precision,
    };
    let device = parse(&args.device)?;
    let locator = if let Some(folder) = &args.model {
        Locator::open(folder, device, options)?
    } else {
        eprintln!("no --model is given: white blood cells are sought with the {READY_MODEL}");
        Locator::open_ready(device, options)?
    };
    eprintln!("{} on {}", locator.model().spec.architecture, locator.device_name());
    if let Some(warning) = locator.scale_warning() {
        eprintln!("warning: {warning}");
    }
    Ok(locator)
}
