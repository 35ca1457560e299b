use super::{PANEL_CHANNELS, check_folder, model_folder, model_name, open_data, open_locator, strictness};
use crate::args::{CalibrateArgs, CalibrationSplit, EvaluateArgs, EvaluationSplit};
use crate::progress::{Style, bar, warn_of};
use anyhow::Result;
use locam::{
    Assessed, ChannelChoice, Dataset, Estimate, Evaluation, Locator, OpenOptions, PatchEvaluation, Point,
    PredictionOptions, Problem, ReportSubject, SeenBefore, ShortcutFigures, Split, UsualBox, annotated_items,
    assess, check_shortcuts, evaluate_patches, figures, prediction_figures, read_predictions, seen_before,
    split_name, store_calibration, write_assessed, write_figures, write_patch_figures, write_patch_report,
    write_prediction_report, write_report,
};
use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

/// `locam calibrate`
pub(crate) fn calibrate(args: &CalibrateArgs) -> Result<ExitCode> {
    let split = match args.split {
        CalibrationSplit::Train => Split::Train,
        CalibrationSplit::Val => Split::Val,
    };
    let folder = model_folder(&args.truth.locator)?;
    let locator = open_locator(&args.truth.locator, ChannelChoice::None, None)?;
    let data = open_data(&args.truth.data, &args.truth.data_args)?;
    let (assessed, problems, _) = look(&locator, &data, Some(split), Style::choose(false))?;
    warn_of(&problems);
    let chosen = locam::calibrate(&locator, &assessed);
    let Point { x, y } = chosen.displacement;
    println!("maps moved by {x:.1}, {y:.1} pixels of the network's input");
    for class in &chosen.classes {
        println!(
            "{}: threshold {:.2} (F1 {:.3}; {:.3} before), contour {:.2}{}, midpoint {:.2}, temperature {:.2} \
             (calibration error {:.3}; {:.3} before)",
            class.class,
            class.threshold,
            class.f1,
            class.f1_before,
            class.contour,
            class.overlap_f1.map_or_else(String::new, |f1| format!(" (F1 by overlap {f1:.3})")),
            class.midpoint,
            class.temperature,
            class.calibration_error,
            class.calibration_error_before
        );
        if let Some(UsualBox { width, height, weight }) = class.usual_box {
            println!(
                "{}: boxes between regions' extents and {width:.0}x{height:.0} pixels of the network's input, at a weight of \
                 {weight}",
                class.class
            );
        }
        if let Some(least) = class.min_visible {
            println!(
                "{}: what the border cuts is told if it reaches {least:.2} of an object's size into the image",
                class.class
            );
        }
    }
    let source =
        format!("{} images, {} split of {}", assessed.len(), split_name(split), args.truth.data.display());
    store_calibration(folder, &chosen, &source)?;
    eprintln!("stored in {}", folder.display());
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
    args.out.as_deref().map(check_folder).transpose()?;
    let mut data = open_data(&args.truth.data, &args.truth.data_args)?;
    if let Some(predictions) = &args.found.predictions {
        args.found.classes.as_deref().map(|names| data.keep_classes(names)).transpose()?;
        return evaluate_predictions(args, predictions, &data, split);
    }
    let locator = open_locator(&args.truth.locator, ChannelChoice::Strongest(PANEL_CHANNELS), None)?;
    if data.holds_patches() {
        return evaluate_classifier(args, &locator, &data, split);
    }
    let (assessed, problems, unreadable) = look(&locator, &data, split, Style::choose(args.json))?;
    let (shortcuts, more) = check_shortcuts(&locator, &assessed)?;
    warn_of(&[problems, more].concat());
    let seen_before = seen_before(model_name(&args.truth.locator), &annotated_items(&data, split)?)?;
    warn_of_seen(&seen_before);
    let evaluation = Evaluation { shortcuts, seen_before, ..figures(&locator, &assessed, unreadable) };
    if let Some(out) = &args.out {
        write_assessed(&locator, &assessed, out)?;
        write_figures(&evaluation, out)?;
        let subject = subject(model_name(&args.truth.locator), &data, split);
        write_report(&subject, &locator, &assessed, &evaluation, out)?;
        tell_of(out);
    }
    print(args, &serde_json::to_string(&evaluation)?, &table(&evaluation));
    Ok(ExitCode::SUCCESS)
}

/// Labelled patches.
fn evaluate_classifier(
    args: &EvaluateArgs,
    locator: &Locator,
    data: &Dataset,
    split: Option<Split>,
) -> Result<ExitCode> {
    let folder = model_name(&args.truth.locator);
    let (evaluation, problems) = evaluate_patches(locator, folder, data, split)?;
    warn_of(&[data.problems.clone(), problems].concat());
    warn_of_seen(&evaluation.seen_before);
    if let Some(out) = &args.out {
        write_patch_figures(&evaluation, out)?;
        let subject = ReportSubject { what: folder, data, part: evaluation.which.clone() };
        write_patch_report(&subject, locator, &evaluation, out)?;
        tell_of(out);
    }
    print(args, &serde_json::to_string(&evaluation)?, &patch_table(&evaluation));
    Ok(ExitCode::SUCCESS)
}

/// What another program found.
fn evaluate_predictions(
    args: &EvaluateArgs,
    path: &Path,
    data: &Dataset,
    split: Option<Split>,
) -> Result<ExitCode> {
    let items = annotated_items(data, split)?;
    let options = OpenOptions { layout: None, strictness: strictness(args.truth.data_args.strict) };
    let predictions = read_predictions(path, data, &options)?;
    warn_of(&[data.problems.clone(), predictions.problems.clone()].concat());
    let options = PredictionOptions { threshold: args.found.threshold, radius: args.found.radius };
    let evaluation = prediction_figures(data, &items, &predictions, options)?;
    if let Some(out) = &args.out {
        write_figures(&evaluation, out)?;
        write_prediction_report(&subject(path, data, split), &items, &predictions, &evaluation, out)?;
        tell_of(out);
    }
    print(args, &serde_json::to_string(&evaluation)?, &table(&evaluation));
    Ok(ExitCode::SUCCESS)
}

fn subject<'a>(what: &'a Path, data: &'a Dataset, split: Option<Split>) -> ReportSubject<'a> {
    let part =
        split.map_or_else(|| "all of them".to_owned(), |split| format!("its {} split", split_name(split)));
    ReportSubject { what, data, part }
}

/// Says what it means that the model had seen some of the images.
fn warn_of_seen(seen: &SeenBefore) {
    for warning in seen.warnings() {
        eprintln!("warning: {warning}");
    }
}

fn tell_of(out: &Path) {
    eprintln!("report: {}", out.join("report.html").display());
}

/// Figures as JSON, or as a table.
fn print(args: &EvaluateArgs, json: &str, table: &str) {
    if args.json {
        println!("{json}");
    } else {
        print!("{table}");
    }
}

/// Locates on one part of the annotated images; also gives all problems, and how many of the images were lost.
fn look(
    locator: &Locator,
    data: &Dataset,
    split: Option<Split>,
    style: Style,
) -> Result<(Vec<Assessed>, Vec<Problem>, usize)> {
    let items = annotated_items(data, split)?;
    let progress = bar(style, items.len() as u64, "images");
    let (assessed, mut problems) = assess(locator, data, &items, &mut |_| progress.inc(1))?;
    progress.finish_and_clear();
    let unreadable = items.len() - assessed.len();
    problems.splice(0..0, data.problems.iter().cloned());
    Ok((assessed, problems, unreadable))
}

/// The figures as a plain table.
pub(crate) fn table(evaluation: &Evaluation) -> String {
    let mut text = format!("{} images; figures with their 95 % intervals\n", evaluation.images);
    for class in &evaluation.classes {
        let threshold = class.threshold.map(|threshold| format!(" (threshold {threshold:.2})"));
        text += &heading(&class.class, &threshold.unwrap_or_default());
        for row in class.rows() {
            text += &line(row.name, &row.value);
        }
    }
    text + &shortcut_table(&evaluation.shortcuts)
}

/// The figures of a classifier as a plain table.
pub(crate) fn patch_table(evaluation: &PatchEvaluation) -> String {
    let mut text =
        format!("{} patches ({}); figures with their 95 % intervals\n", evaluation.patches, evaluation.which);
    let value = |estimate: Option<Estimate>| estimate.map_or_else(|| "-".to_owned(), |e| e.to_string());
    for (name, estimate) in [
        ("accuracy", evaluation.accuracy),
        ("balanced accuracy", evaluation.balanced_accuracy),
        ("area under the ROC curve", evaluation.area_under_curve),
        ("calibration error", evaluation.expected_calibration_error),
    ] {
        text += &line(name, &value(estimate));
    }
    for class in &evaluation.classes {
        text += &heading(&class.class, &format!(" ({} patches)", class.patches));
        text += &line("precision", &value(class.precision));
        text += &line("recall", &value(class.recall));
    }
    text += "confusion (rows: truth, columns: taken for)\n";
    for (class, row) in evaluation.classes.iter().zip(&evaluation.confusion) {
        let counts: Vec<String> = row.iter().map(|count| format!("{count:>5}")).collect();
        text += &line(&class.class, &counts.join(" "));
    }
    text + &shortcut_table(&evaluation.shortcuts)
}

/// What the classifier looks at; nothing where that was not checked.
fn shortcut_table(shortcuts: &[ShortcutFigures]) -> String {
    let mut text = String::new();
    for class in shortcuts {
        text += &heading(&class.class, &format!(": patches taken for it (of {} objects)", class.objects));
        text += &line("as they are", &class.as_they_are);
        text += &line("with the object hidden", &class.object_hidden);
        text += &line("with all else hidden", &class.surroundings_hidden);
        text += &line("finding", &class.finding.words());
    }
    text
}

fn heading(class: &str, about: &str) -> String {
    format!("{class}{about}\n")
}

/// A row below a heading.
fn line(name: &str, value: &dyn Display) -> String {
    format!("  {name:<28}  {value}\n")
}
