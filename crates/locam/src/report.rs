//! The report of an evaluation: one page for those who decide whether to trust a model.

mod figures;
mod images;
mod leakage;
mod provenance;

pub(crate) use figures::{class_sections, curves, headline, shortcut_section};

use crate::assessing::Assessed;
use crate::{CrossValidation, Error, Evaluation, Locator, PatchEvaluation};
use locam_data::{Dataset, Item, Predictions};
use locam_report::{Block, Page, Section, write_atomically};
use std::path::Path;

/// What an evaluation was of, as the page and the tables name it.
#[derive(Clone, Debug)]
pub struct ReportSubject<'a> {
    /// The model's folder, or the file of predictions.
    pub what: &'a Path,
    /// The data.
    pub data: &'a Dataset,
    /// Which part of them, in words.
    pub part: String,
}

impl ReportSubject<'_> {
    fn title(&self) -> String {
        format!("{} on {}", self.what.display(), name(&self.data.root))
    }

    fn data(&self) -> String {
        format!("{} ({})", self.data.root.display(), self.part)
    }
}

/// The last part of a path.
fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Writes `report.html` for a model on annotated whole images.
///
/// # Errors
/// Images that can no longer be read, files that can't be written.
pub fn write_report(
    subject: &ReportSubject<'_>,
    locator: &Locator,
    assessed: &[Assessed],
    evaluation: &Evaluation,
    out: &Path,
) -> Result<(), Error> {
    let mut sections = class_sections(evaluation);
    sections.push(curves(evaluation)?);
    sections.extend(shortcut_section(&evaluation.shortcuts));
    sections.extend(images::of_maps(locator, assessed)?);
    sections.push(leakage::section(subject.what, &evaluation.seen_before)?);
    sections.push(provenance::section(locator, subject.what)?);
    sections.push(limits(evaluation.images, Some(locator)));
    let page = Page {
        title: subject.title(),
        intro: format!(
            "What a model that was trained on small patches finds on {} whole images of {}, beside what people \
             marked there. Every figure has the interval in which 95 of 100 repetitions on other images of the same kind \
             would lie.",
            evaluation.images,
            subject.data()
        ),
        figures: headline(evaluation),
        sections,
        footer: footer(),
    };
    write_page(&page, out)
}

/// Writes `report.html` for a classifier on labelled patches.
///
/// # Errors
/// Patches that can no longer be read, files that can't be written.
pub fn write_patch_report(
    subject: &ReportSubject<'_>,
    locator: &Locator,
    evaluation: &PatchEvaluation,
    out: &Path,
) -> Result<(), Error> {
    let names: Vec<String> = locator.model().spec.classes.iter().map(|class| class.name.clone()).collect();
    let mut sections = figures::patch_sections(evaluation, &names)?;
    sections.extend(shortcut_section(&evaluation.shortcuts));
    sections.extend(images::of_patches(evaluation, &names)?);
    sections.push(leakage::section(subject.what, &evaluation.seen_before)?);
    sections.push(provenance::section(locator, subject.what)?);
    sections.push(limits(evaluation.patches, Some(locator)));
    let page = Page {
        title: subject.title(),
        intro: format!(
            "How a model classifies {} labelled patches of {}. Every figure has the interval in which 95 of 100 \
             repetitions on other patches of the same kind would lie.",
            evaluation.patches,
            subject.data()
        ),
        figures: figures::patch_headline(evaluation),
        sections,
        footer: footer(),
    };
    write_page(&page, out)
}

/// Writes `report.html` for what another program found on annotated whole images.
///
/// # Errors
/// Images that can't be read, files that can't be written.
pub fn write_prediction_report(
    subject: &ReportSubject<'_>,
    items: &[&Item],
    predictions: &Predictions,
    evaluation: &Evaluation,
    out: &Path,
) -> Result<(), Error> {
    let mut sections = class_sections(evaluation);
    sections.push(curves(evaluation)?);
    sections.extend(images::of_predictions(subject.data, items, predictions, evaluation)?);
    sections.push(limits(evaluation.images, None));
    let page = Page {
        title: subject.title(),
        intro: format!(
            "Predictions that were made elsewhere, on {} whole images of {}, beside what people marked there. Every figure \
             has the interval in which 95 of 100 repetitions on other images of the same kind would lie.",
            evaluation.images,
            subject.data()
        ),
        figures: headline(evaluation),
        sections,
        footer: footer(),
    };
    write_page(&page, out)
}

/// Writes `report.html` for a cross-validation.
///
/// # Errors
/// Patches that can no longer be read, files that can't be written.
pub(crate) fn write_fold_report(
    data: &Dataset,
    found: &CrossValidation,
    names: &[String],
    out: &Path,
) -> Result<(), Error> {
    let mut sections = Vec::new();
    if let Some(located) = &found.located {
        sections.extend(class_sections(located));
        sections.push(curves(located)?);
    }
    sections.extend(figures::patch_sections(&found.pooled, names)?);
    sections.push(figures::fold_section(found));
    sections.extend(images::of_patches(&found.pooled, names)?);
    sections.push(limits(found.pooled.patches, None));
    let page = Page {
        title: format!("Cross-validation on {}", name(&data.root)),
        intro: format!(
            "{} models, each trained on all but one part of the patches of {} and tested on that part: {} answers, each of a model \
             that never saw the patch or its source.{} Every figure has the interval in which 95 of 100 repetitions on \
             other patches of the same kind would lie.",
            found.folds.len(),
            data.root.display(),
            found.pooled.patches,
            found.located.as_ref().map_or_else(String::new, |located| format!(
                " So were {} whole images searched.",
                located.images
            ))
        ),
        figures: found.located.as_ref().map_or_else(|| figures::patch_headline(&found.pooled), headline),
        sections,
        footer: footer(),
    };
    write_page(&page, out)
}

fn write_page(page: &Page, out: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(out).map_err(|source| Error::Io { path: out.to_owned(), source })?;
    let html = page.render()?;
    Ok(write_atomically(&out.join("report.html"), |file| file.write_all(html.as_bytes()))?)
}

fn footer() -> String {
    format!("Made by locam {}. Not a medical device, and not for diagnosis.", env!("CARGO_PKG_VERSION"))
}

/// Fewer images than these make for wide intervals.
const FEW: usize = 30;

/// What the figures do not say.
fn limits(images: usize, locator: Option<&Locator>) -> Section {
    let mut limits = vec![
        "The figures hold for images like these: the same stain, camera and magnification. Other laboratories' images \
         need an evaluation of their own."
            .to_owned(),
        "What people marked is taken for the truth. An object that nobody marked counts as a false alarm when it is \
         found."
            .to_owned(),
        "Intervals tell how much chance there is in the choice of images. They don't tell of errors that all images \
         share."
            .to_owned(),
    ];
    if images < FEW {
        limits.push(format!(
            "There are only {images} images: small differences between models mean nothing here."
        ));
    }
    if let Some(locator) = locator {
        let chosen = &locator.model().spec.provenance.thresholds_from;
        limits.push(if chosen.is_empty() {
            "The model was never calibrated: its threshold is where a class is as likely as not, and its probabilities \
             are the network's own."
                .to_owned()
        } else {
            format!("Thresholds and temperatures were chosen on other images: {chosen}.")
        });
    }
    limits.push("This is no medical device, and nothing here is a diagnosis.".to_owned());
    Section { title: "Limits".to_owned(), blocks: vec![Block::List(limits)] }
}
