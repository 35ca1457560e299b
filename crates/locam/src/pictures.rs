//! The plots of a run, as SVG and PNG: curves, confusion matrix, reliability.

use crate::{ClassFigures, Error, Evaluation as Found, PatchEvaluation};
use locam_locate::ReliabilityBin;
use locam_report::{
    EpochRecord, Plot, ReliabilityOf, confusion_plot, froc_plot, precision_recall_plot, reliability_plot,
    training_curves, write_atomically, write_image,
};
use locam_train::{EpochMetrics, Evaluation, Summary};
use std::path::Path;

/// Loss and accuracy over the epochs.
pub(crate) fn curves(history: &[EpochMetrics]) -> Result<Plot, Error> {
    let epochs: Vec<EpochRecord> = history
        .iter()
        .map(|row| EpochRecord {
            epoch: row.epoch,
            train_loss: row.train_loss,
            val_loss: row.val_loss,
            val_accuracy: row.val_accuracy,
        })
        .collect();
    Ok(training_curves(&epochs)?)
}

/// Counts of true against predicted classes.
pub(crate) fn confusion(evaluation: &Evaluation, class_names: &[String]) -> Result<Plot, Error> {
    Ok(confusion_plot(&evaluation.confusion, class_names)?)
}

/// Draws the curves, and the confusion matrix on the test patches or else on the validation patches.
pub(crate) fn write_training_pictures(
    folder: &Path,
    summary: &Summary,
    class_names: &[String],
) -> Result<(), Error> {
    write_plot(folder, "curves", &curves(&summary.history)?)?;
    if let Some(evaluation) = summary.test.as_ref().or(summary.val.as_ref()) {
        write_plot(folder, "confusion", &confusion(evaluation, class_names)?)?;
    }
    Ok(())
}

/// How often regions of each class are objects, over the probability that is said of them.
pub(crate) fn reliability_curves(found: &Found) -> Result<Plot, Error> {
    let bins = |class: &ClassFigures| (class.class.clone(), class.reliability.clone());
    let classes: Vec<(String, Vec<ReliabilityBin>)> = found.classes.iter().map(bins).collect();
    Ok(reliability_plot(&classes, ReliabilityOf::Regions)?)
}

/// How often patches are what they are taken for, over the probability that is said of them.
pub(crate) fn patch_reliability(found: &PatchEvaluation) -> Result<Plot, Error> {
    let of = ReliabilityOf::Patches { classes: found.classes.len() };
    Ok(reliability_plot(&[("all classes".to_owned(), found.reliability.clone())], of)?)
}

/// Precision over recall.
pub(crate) fn precision_recall(found: &Found) -> Result<Plot, Error> {
    let classes: Vec<_> =
        found.classes.iter().map(|class| (class.class.clone(), class.precision_recall.clone())).collect();
    Ok(precision_recall_plot(&classes)?)
}

/// Objects found over false alarms.
pub(crate) fn froc(found: &Found) -> Result<Plot, Error> {
    let classes: Vec<_> =
        found.classes.iter().map(|class| (class.class.clone(), class.froc.clone())).collect();
    Ok(froc_plot(&classes)?)
}

/// A plot as `NAME.svg` and `NAME.png`.
pub(crate) fn write_plot(folder: &Path, name: &str, plot: &Plot) -> Result<(), Error> {
    write_atomically(&folder.join(format!("{name}.svg")), |file| file.write_all(plot.svg.as_bytes()))?;
    write_image(&folder.join(format!("{name}.png")), &plot.picture)?;
    Ok(())
}
