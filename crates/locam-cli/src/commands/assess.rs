use super::{PANEL_CHANNELS, open_data, open_locator};
use crate::args::{CalibrateArgs, CalibrationSplit, EvaluateArgs, EvaluationSplit, TruthArgs};
use crate::progress::{Style, bar, warn_of};
use anyhow::Result;
use locam::{
    Assessed, ChannelChoice, ClassFigures, Evaluation, Locator, Point, Problem, Split, annotated_items,
    assess, figures, split_name, store_calibration, write_assessed,
};
use std::process::ExitCode;

/// `locam calibrate`
pub(crate) fn calibrate(args: &CalibrateArgs) -> Result<ExitCode> {
    let split = match args.split {
        CalibrationSplit::Train => Split::Train,
        CalibrationSplit::Val => Split::Val,
    };
    let locator = open_locator(&args.truth.locator, ChannelChoice::None, None)?;
    let (assessed, problems, _) = look(&locator, &args.truth, Some(split), Style::choose(false))?;
    warn_of(&problems);
    let chosen = locam::calibrate(&locator, &assessed);
    let Point { x, y } = chosen.displacement;
    println!("maps moved by {x:.1}, {y:.1} pixels of the network's input");
    for class in &chosen.classes {
        println!(
            "{}: threshold {:.2} (F1 {:.3}; {:.3} before), temperature {:.2} (calibration error {:.3}; {:.3} before)",
            class.class,
            class.threshold,
            class.f1,
            class.f1_before,
            class.temperature,
            class.calibration_error,
            class.calibration_error_before
        );
    }
    let source =
        format!("{} images, {} split of {}", assessed.len(), split_name(split), args.truth.data.display());
    store_calibration(&args.truth.locator.model, &chosen, &source)?;
    eprintln!("stored in {}", args.truth.locator.model.display());
    Ok(ExitCode::SUCCESS)
}

/// `locam evaluate`
pub(crate) fn evaluate(args: &EvaluateArgs) -> Result<ExitCode> {
    let split = match args.split {
        EvaluationSplit::Train => Some(Split::Train),
        EvaluationSplit::Val => Some(Split::Val),
        EvaluationSplit::Test => Some(Split::Test),
        EvaluationSplit::All => None,
    };
    let locator = open_locator(&args.truth.locator, ChannelChoice::Strongest(PANEL_CHANNELS), None)?;
    let style = Style::choose(args.json);
    let (assessed, problems, unreadable) = look(&locator, &args.truth, split, style)?;
    warn_of(&problems);
    let evaluation = figures(&locator, &assessed, unreadable);
    if let Some(out) = &args.out {
        write_assessed(&locator, &assessed, &evaluation, out)?;
        eprintln!("pictures and tables are in {}", out.display());
    }
    if args.json {
        println!("{}", serde_json::to_string(&evaluation)?);
    } else {
        print!("{}", table(&evaluation));
    }
    Ok(ExitCode::SUCCESS)
}

/// Locates on one part of the annotated images; also gives all problems, and how many of the images were lost.
fn look(
    locator: &Locator,
    args: &TruthArgs,
    split: Option<Split>,
    style: Style,
) -> Result<(Vec<Assessed>, Vec<Problem>, usize)> {
    let data = open_data(&args.data, &args.data_args)?;
    let items = annotated_items(&data, split)?;
    let progress = bar(style, items.len() as u64, "images");
    let (assessed, mut problems) = assess(locator, &data, &items, &mut |_| progress.inc(1))?;
    progress.finish_and_clear();
    let unreadable = items.len() - assessed.len();
    problems.splice(0..0, data.problems.iter().cloned());
    Ok((assessed, problems, unreadable))
}

/// The figures as a plain table.
pub(crate) fn table(evaluation: &Evaluation) -> String {
    let mut text = format!("{} images\n", evaluation.images);
    for class in &evaluation.classes {
        text += &class_lines(class);
    }
    text
}

fn class_lines(class: &ClassFigures) -> String {
    let objects = class.hits + class.misses;
    let overlap = class.boxes_overlapped.map_or_else(String::new, |boxes| {
        format!(
            "  box overlap >= 0.5      {boxes} of {objects} ({:.3})\n",
            boxes as f64 / objects.max(1) as f64
        )
    });
    format!(
        "{} (threshold {:.2})\n  hits                    {} of {objects}\n  false alarms            {}\n  \
         precision               {:.3}\n  recall                  {:.3}\n  F1                      {:.3}\n  \
         strongest point inside  {} of {} images with such objects\n{overlap}  count error per image   {:.3}\n  \
         calibration error       {:.3}\n",
        class.class,
        class.threshold,
        class.hits,
        class.false_alarms,
        class.precision,
        class.recall,
        class.f1,
        class.pointing_hits,
        class.pointing_images,
        class.count_error,
        class.expected_calibration_error,
    )
}
