//! The page that the demonstration ends with.

use crate::assessing::entries;
use crate::demo::Shown;
use crate::writing::{Entry, Scales, pictures, write_entries};
use crate::{Error, pictures as plots};
use locam_locate::TruthShape;
use locam_report::{Figure, Page, Picture, Section, Table, write_atomically};
use std::path::PathBuf;

/// Writes the page, and beside it the files that `locam locate` writes.
pub(crate) fn write(shown: &Shown<'_>) -> Result<PathBuf, Error> {
    let entries = entries(shown.assessed);
    write_entries(shown.locator, &entries, &shown.plan.out.join("found"))?;
    let mut sections = vec![training(shown)?];
    let scales = Scales::of(shown.locator, &entries);
    for entry in &entries {
        sections.push(field(shown, &scales, entry)?);
    }
    let page = Page {
        title: "Finding white blood cells without drawing a box".to_owned(),
        intro: "Everything here was made by this program a moment ago: blood smears were generated, a ResNet-18 was \
                trained from random weights on small patches cut from some of them, thresholds were chosen on others, \
                and cells were located on fields that it had never seen. Generated cells are easier than real \
                ones; the figures say that the program works, not how well it would do in a clinic."
            .to_owned(),
        figures: headline(shown),
        sections,
        footer: format!("locam {}, seed {}, {:.0} s in all", env!("CARGO_PKG_VERSION"), shown.plan.seed, shown.seconds),
    };
    let path = shown.plan.out.join("index.html");
    let html = page.render()?;
    write_atomically(&path, |file| file.write_all(html.as_bytes()))?;
    Ok(path)
}

fn headline(shown: &Shown<'_>) -> Vec<Figure> {
    let figure = |label: String, value: String| Figure { label, value };
    let mut figures = Vec::new();
    if let Some(test) = shown.summary.test.as_ref().or(shown.summary.val.as_ref()) {
        figures.push(figure(
            "unseen patches classified rightly".to_owned(),
            format!("{:.1} %", 100.0 * test.accuracy),
        ));
    }
    for class in &shown.evaluation.classes {
        let objects = class.hits + class.misses;
        figures.push(figure(format!("{} found", class.class), format!("{} of {objects}", class.hits)));
        figures.push(figure(format!("false alarms, {}", class.class), class.false_alarms.to_string()));
    }
    figures
}

fn training(shown: &Shown<'_>) -> Result<Section, Error> {
    let mut drawings = vec![plots::curves(&shown.summary.history)?.svg];
    if let Some(test) = shown.summary.test.as_ref().or(shown.summary.val.as_ref()) {
        drawings.push(plots::confusion(test, shown.class_names)?.svg);
    }
    drawings.push(plots::reliability_curves(shown.evaluation)?.svg);
    let config = shown.config;
    Ok(Section {
        title: "Training".to_owned(),
        text: format!(
            "{} patches of {2}x{2} pixels, {1} epochs, {3} from random weights. The epoch with the best validation \
             accuracy, number {4}, was kept. The confusion matrix is on patches, \
             and the curve of how often regions are cells, over the probability that is said of them, on fields, that \
             took no part in any choice.",
            shown.locator.model().spec.provenance.train_patches,
            config.epochs,
            config.patch_size,
            config.arch,
            shown.summary.best_epoch,
        ),
        drawings,
        pictures: Vec::new(),
        table: Some(figures_table(shown)),
    })
}

fn figures_table(shown: &Shown<'_>) -> Table {
    let columns = [
        "class",
        "threshold",
        "found",
        "missed",
        "false alarms",
        "precision",
        "recall",
        "F1",
        "calibration error",
    ];
    let rows = shown.evaluation.classes.iter().map(|class| {
        vec![
            class.class.clone(),
            format!("{:.2}", class.threshold),
            class.hits.to_string(),
            class.misses.to_string(),
            class.false_alarms.to_string(),
            format!("{:.3}", class.precision),
            format!("{:.3}", class.recall),
            format!("{:.3}", class.f1),
            format!("{:.3}", class.expected_calibration_error),
        ]
    });
    Table {
        caption: "White cells on the test fields: found where a region's centroid lies in the cell's box"
            .to_owned(),
        columns: columns.map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

/// A test field: its pictures, and each cell that was found or missed.
fn field(shown: &Shown<'_>, scales: &Scales, entry: &Entry<'_>) -> Result<Section, Error> {
    let image = locam_data::read_rgb(entry.path)?;
    let size = entry.located.size;
    let mut shown_pictures = Vec::new();
    for (picture, (_, class)) in pictures(shown.locator, scales, entry, &image)
        .into_iter()
        .zip(shown.locator.model().spec.sought_classes())
    {
        let name = &class.name;
        shown_pictures.push(Picture {
            caption: format!(
                "{name}: log-odds at every place, regions above {:.2} in white, the truth in green",
                class.threshold
            ),
            image: picture.overlay,
        });
        shown_pictures.push(Picture {
            caption: format!(
                "{name}: the image, the plain mean of the feature maps, their weighted sum for the class, \
                              the negative mean, and the four strongest channels"
            ),
            image: picture.panel,
        });
    }
    Ok(Section {
        title: format!("Unseen field of {size} pixels"),
        text: String::new(),
        drawings: Vec::new(),
        pictures: shown_pictures,
        table: Some(cells_table(shown, entry)),
    })
}

fn cells_table(shown: &Shown<'_>, entry: &Entry<'_>) -> Table {
    let spec = &shown.locator.model().spec;
    let nearest = |x: f64, y: f64| {
        let point = locam_core::Point::new(x, y);
        let inside = entry.truths.iter().find(|truth| match truth.shape {
            TruthShape::Box(rect) => rect.contains(point),
            TruthShape::Point(_) => false,
        });
        inside.map_or_else(|| "no white cell".to_owned(), |truth| spec.classes[truth.class.0].name.clone())
    };
    let rows = entry.located.regions.iter().map(|region| {
        vec![
            spec.classes[region.class.0].name.clone(),
            format!("{:.2}", region.score),
            format!("{:.0}", region.centroid.x),
            format!("{:.0}", region.centroid.y),
            nearest(region.centroid.x, region.centroid.y),
        ]
    });
    Table {
        caption: format!(
            "{} regions; {} white cells are there",
            entry.located.regions.len(),
            entry.truths.len()
        ),
        columns: ["found as", "log-odds", "x", "y", "what is there"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}
