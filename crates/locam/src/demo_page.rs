//! The page that the demonstration ends with.

use crate::assessing::entries;
use crate::demo::Shown;
use crate::writing::{Entry, Photograph, overlay, panel, write_entries};
use crate::{Error, pictures as plots, report};
use locam_report::{Block, Drawing, Figure, Page, Picture, Section, Table, write_atomically};
use std::path::PathBuf;

/// Writes the page, and beside it the files that `locam locate` writes.
pub(crate) fn write(shown: &Shown<'_>) -> Result<PathBuf, Error> {
    let entries = entries(shown.assessed);
    write_entries(shown.locator, &entries, &shown.plan.out.join("found"))?;
    let mut sections = vec![training(shown)?];
    sections.extend(report::class_sections(shown.evaluation));
    sections.push(report::curves(shown.evaluation)?);
    sections.extend(report::shortcut_section(&shown.evaluation.shortcuts));
    for entry in &entries {
        sections.push(field(shown, entry)?);
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
    let test = shown.summary.test.as_ref().or(shown.summary.val.as_ref());
    let patches = test.map(|test| Figure {
        label: "unseen patches classified rightly".to_owned(),
        value: format!("{:.1} %", 100.0 * test.accuracy),
        note: String::new(),
    });
    patches.into_iter().chain(report::headline(shown.evaluation)).collect()
}

fn training(shown: &Shown<'_>) -> Result<Section, Error> {
    let drawing = |caption: &str, svg: String| Drawing { caption: caption.to_owned(), svg };
    let mut drawings = vec![drawing("", plots::curves(&shown.summary.history)?.svg)];
    if let Some(test) = shown.summary.test.as_ref().or(shown.summary.val.as_ref()) {
        let caption =
            "Patches that took no part in training: how often each class (rows) was taken for each.";
        drawings.push(drawing(caption, plots::confusion(test, shown.class_names)?.svg));
    }
    let config = shown.config;
    let text = format!(
        "{} patches of {2}x{2} pixels, {1} epochs, {3} from random weights. The epoch with the best validation \
         accuracy, number {4}, was kept.",
        shown.locator.model().spec.provenance.train_patches,
        config.epochs,
        config.patch_size,
        config.arch,
        shown.summary.best_epoch,
    );
    Ok(Section { title: "Training".to_owned(), blocks: vec![Block::Text(text), Block::Drawings(drawings)] })
}

/// A test field: its pictures, and each cell that was found or missed.
fn field(shown: &Shown<'_>, entry: &Entry<'_>) -> Result<Section, Error> {
    let photo = Photograph::open(entry.path)?;
    let size = entry.located.size;
    let mut blocks = Vec::new();
    for (id, class) in shown.locator.model().spec.sought_classes() {
        let name = &class.name;
        blocks.push(Block::Picture(Picture {
            caption: format!(
                "{name}: log-odds at every place, regions above {:.2} in white, the truth in green",
                class.threshold
            ),
            image: overlay(shown.locator, entry, id, &photo),
        }));
        blocks.push(Block::Picture(Picture {
            caption: format!(
                "{name}: the image, the plain mean of the feature maps, their weighted sum for the class, \
                              the negative mean, and the four strongest channels"
            ),
            image: panel(shown.locator, entry, id, &photo),
        }));
    }
    blocks.push(Block::Table(cells_table(shown, entry)));
    Ok(Section { title: format!("Unseen field of {size} pixels"), blocks })
}

fn cells_table(shown: &Shown<'_>, entry: &Entry<'_>) -> Table {
    let spec = &shown.locator.model().spec;
    let nearest = |x: f64, y: f64| {
        let point = locam_core::Point::new(x, y);
        let inside = entry.truths.iter().find(|truth| truth.shape.contains(point, 0.0));
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
