//! Figures, curves and findings as parts of a page.

use crate::evaluating::{ClassFigures, Evaluation, PatchEvaluation};
use crate::shortcuts::{ShortcutFigures, ShortcutFinding};
use crate::{CrossValidation, Error, pictures};
use locam_locate::Estimate;
use locam_report::{Block, Drawing, Figure, Section, Table};

/// The figures that matter most: F1 and what it is made of.
pub(crate) fn headline(evaluation: &Evaluation) -> Vec<Figure> {
    let mut figures = Vec::new();
    for class in &evaluation.classes {
        let name = &class.class;
        if class.objects() > 0 {
            figures.push(Figure {
                label: format!("{name} found"),
                value: format!("{} of {}", class.hits, class.objects()),
                note: interval("recall", class.recall),
            });
        }
        figures.push(Figure {
            label: format!("false alarms, {name}"),
            value: class.false_alarms.to_string(),
            note: interval("precision", class.precision),
        });
        if let Some(f1) = class.f1 {
            figures.push(Figure {
                label: format!("F1, {name}"),
                value: format!("{:.3}", f1.value),
                note: format!("{:.3} to {:.3}", f1.low, f1.high),
            });
        }
    }
    figures
}

fn interval(what: &str, estimate: Option<Estimate>) -> String {
    estimate.map_or_else(String::new, |estimate| format!("{what} {estimate}"))
}

/// A section with a table for each class.
pub(crate) fn class_sections(evaluation: &Evaluation) -> Vec<Section> {
    evaluation.classes.iter().map(class_section).collect()
}

fn class_section(class: &ClassFigures) -> Section {
    let rows = class.rows();
    let table = Table {
        caption: "Figures with their 95 % intervals, from 1000 resamples of whole images".to_owned(),
        columns: ["figure", "value", "meaning"].map(str::to_owned).to_vec(),
        rows: rows
            .into_iter()
            .map(|row| vec![row.name.to_owned(), row.value, row.meaning.to_owned()])
            .collect(),
    };
    let threshold = class
        .threshold
        .map_or_else(String::new, |threshold| format!(" A region counts from a score of {threshold:.2}."));
    let text = format!(
        "{} objects are marked; {} regions were found.{threshold}",
        class.objects(),
        class.hits + class.false_alarms
    );
    Section { title: class.class.clone(), blocks: vec![Block::Text(text), Block::Table(table)] }
}

/// Precision over recall, the free-response curve and the reliability curve.
pub(crate) fn curves(evaluation: &Evaluation) -> Result<Section, Error> {
    let drawing = |caption: &str, svg: String| Drawing { caption: caption.to_owned(), svg };
    let mut drawings = vec![
        drawing(
            "At lower and lower thresholds more is found (to the right), and less of it is right (down).",
            pictures::precision_recall(evaluation)?.svg,
        ),
        drawing(
            "How many objects are found for how many false alarms on each image (FROC).",
            pictures::froc(evaluation)?.svg,
        ),
    ];
    if evaluation.classes.iter().any(|class| !class.reliability.is_empty()) {
        drawings.push(drawing(
            "Whether probabilities can be believed: on the grey line, 80 of 100 regions of which 80 % is said are objects. \
             Below it the model is too sure.",
            pictures::reliability_curves(evaluation)?.svg,
        ));
    }
    Ok(Section { title: "Curves".to_owned(), blocks: vec![Block::Drawings(drawings)] })
}

/// What the classifier looks at; `None` where that was not checked.
pub(crate) fn shortcut_section(shortcuts: &[ShortcutFigures]) -> Option<Section> {
    if shortcuts.is_empty() {
        return None;
    }
    let text = "A model may learn a shortcut: what tends to be around an object instead of the object. Here the patch around \
                each object was classified again with the object painted over in the colours around it, and with all \
                else painted over. A sound model no longer finds its class in the first, and still does in the \
                second."
        .to_owned();
    let rows = shortcuts.iter().map(|class| {
        vec![
            class.class.clone(),
            class.objects.to_string(),
            class.as_they_are.to_string(),
            class.object_hidden.to_string(),
            class.surroundings_hidden.to_string(),
            class.finding.words().to_owned(),
        ]
    });
    let table = Table {
        caption: "The share of patches that are taken for their class".to_owned(),
        columns: ["class", "objects", "as they are", "object hidden", "surroundings hidden", "finding"]
            .map(str::to_owned)
            .to_vec(),
        rows: rows.collect(),
    };
    let mut blocks = vec![Block::Text(text), Block::Table(table)];
    let suspicious = |class: &&ShortcutFigures| class.finding != ShortcutFinding::Object;
    blocks.extend(
        shortcuts
            .iter()
            .filter(suspicious)
            .map(|class| Block::Warning(format!("{}: {}.", class.class, class.finding.words()))),
    );
    Some(Section { title: "What the model looks at".to_owned(), blocks })
}

/// The figures that matter most of a classifier.
pub(super) fn patch_headline(evaluation: &PatchEvaluation) -> Vec<Figure> {
    let named = [
        ("classified rightly", evaluation.accuracy),
        ("balanced accuracy", evaluation.balanced_accuracy),
        ("area under the ROC curve", evaluation.area_under_curve),
        ("calibration error", evaluation.expected_calibration_error),
    ];
    named
        .into_iter()
        .filter_map(|(label, estimate)| {
            let estimate = estimate?;
            Some(Figure {
                label: label.to_owned(),
                value: format!("{:.3}", estimate.value),
                note: format!("{:.3} to {:.3}", estimate.low, estimate.high),
            })
        })
        .collect()
}

/// What every fold of a cross-validation gave.
pub(super) fn fold_section(found: &CrossValidation) -> Section {
    let rows = found.folds.iter().map(|fold| {
        vec![
            fold.name.clone(),
            fold.train.to_string(),
            fold.val.to_string(),
            fold.test.to_string(),
            format!("{:.3}", fold.accuracy),
        ]
    });
    let text = format!(
        "Each fold is a run folder of this name. The mean of their accuracies is {:.3}, with a standard deviation of {:.3} from \
         fold to fold.",
        found.mean_accuracy, found.deviation
    );
    let table = Table {
        caption: "Patches of each fold, and the share of its test patches that is classified rightly"
            .to_owned(),
        columns: ["fold", "training", "validation", "test", "accuracy"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    };
    Section { title: "Folds".to_owned(), blocks: vec![Block::Text(text), Block::Table(table)] }
}

/// Per class, and which class was taken for which.
pub(super) fn patch_sections(evaluation: &PatchEvaluation, names: &[String]) -> Result<Vec<Section>, Error> {
    let share =
        |estimate: Option<Estimate>| estimate.map_or_else(|| "\u{2013}".to_owned(), |e| e.to_string());
    let rows = evaluation.classes.iter().map(|class| {
        vec![class.class.clone(), class.patches.to_string(), share(class.precision), share(class.recall)]
    });
    let table = Table {
        caption: "Precision: of what was taken for the class, the share that is. Recall: of what is of the class, the \
                  share that was taken for it."
            .to_owned(),
        columns: ["class", "patches", "precision", "recall"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    };
    let drawings = vec![
        Drawing {
            caption: "How often each class (rows) was taken for each (columns).".to_owned(),
            svg: locam_report::confusion_plot(&evaluation.matrix(), names)?.svg,
        },
        Drawing {
            caption: "Whether probabilities can be believed: on the grey line they can; below it the model is too sure."
                .to_owned(),
            svg: pictures::patch_reliability(evaluation)?.svg,
        },
    ];
    Ok(vec![
        Section { title: "Classes".to_owned(), blocks: vec![Block::Table(table)] },
        Section { title: "Errors and certainty".to_owned(), blocks: vec![Block::Drawings(drawings)] },
    ])
}
