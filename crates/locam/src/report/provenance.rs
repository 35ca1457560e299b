//! What a model was trained on, as far as its folder tells.

use crate::evaluating::run_folder;
use crate::{Error, Locator, pictures};
use locam_report::{Block, Drawing, Picture, Section, Table};
use locam_train::{Manifest, RunFolder, TrainConfig};
use std::path::Path;

/// The model and, where it lies in a run folder, how training went.
pub(super) fn section(locator: &Locator, model_folder: &Path) -> Result<Section, Error> {
    let mut rows = model_rows(locator);
    let mut blocks = Vec::new();
    if let Some(run) = run_folder(model_folder) {
        // A report on a model whose run folder is damaged is still a report.
        if let Ok(manifest) = run.read_manifest() {
            rows.extend(manifest_rows(&manifest));
        }
        if let Ok(config) = TrainConfig::read(&run.config()) {
            rows.extend(config_rows(&config, locator));
        }
        blocks.extend(run_pictures(&run)?);
    }
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    let columns = ["", ""].map(str::to_owned).to_vec();
    blocks.insert(0, Block::Table(Table { caption: String::new(), columns, rows }));
    Ok(Section { title: "How the model came to be".to_owned(), blocks })
}

type Row = (&'static str, String);

fn model_rows(locator: &Locator) -> Vec<Row> {
    let spec = &locator.model().spec;
    let provenance = &spec.provenance;
    let classes: Vec<String> = spec
        .classes
        .iter()
        .map(
            |class| {
                if class.background { format!("{} (not sought)", class.name) } else { class.name.clone() }
            },
        )
        .collect();
    let known = |text: &str| if text.is_empty() { "nowhere yet".to_owned() } else { text.to_owned() };
    vec![
        ("network", spec.architecture.clone()),
        ("classes", classes.join(", ")),
        ("patches", format!("{} of {1}x{1} pixels", provenance.train_patches, spec.patch_size)),
        ("epochs", provenance.epochs.to_string()),
        (
            "began with",
            match provenance.initial_weights.as_str() {
                "none" => "random weights".to_owned(),
                other => other.to_owned(),
            },
        ),
        ("thresholds chosen on", known(&provenance.thresholds_from)),
        ("seed", provenance.seed.to_string()),
        ("training data", format!("SHA-256 {}", provenance.data_hash)),
        ("weights", format!("SHA-256 {}", spec.weights_sha256)),
        ("trained by", format!("locam {}", provenance.locam_version)),
    ]
}

fn manifest_rows(manifest: &Manifest) -> Vec<Row> {
    let mut rows = vec![("trained on", manifest.device.clone())];
    if let Some(finished) = manifest.finished_unix {
        let minutes = finished.saturating_sub(manifest.started_unix) as f64 / 60.0;
        rows.push(("training took", format!("{minutes:.1} minutes")));
    }
    if let Some(epoch) = manifest.best_epoch {
        rows.push(("kept", format!("epoch {epoch}, the best on the validation patches")));
    }
    if let (Some(accuracy), Some(test)) = (manifest.test_accuracy, &manifest.data.test) {
        let patches = test.patches;
        rows.push(("test patches", format!("{:.1} % of {patches} classified rightly", 100.0 * accuracy)));
    }
    rows
}

fn config_rows(config: &TrainConfig, locator: &Locator) -> Vec<Row> {
    let count = config.patches.background.unwrap_or(0);
    let mut rows = Vec::new();
    if count > 0 && locator.model().spec.classes.iter().any(|class| class.background) {
        let patches = if count == 1 { "patch" } else { "patches" };
        rows.push(("background", format!("up to {count} {patches} of each annotated image")));
    }
    rows.push(("batch", format!("{} patches, {:?}", config.batch_size, config.optimizer)));
    let protocol = protocol(config);
    if !protocol.is_empty() {
        rows.push(("protocol", protocol.join(", ")));
    }
    rows
}

/// What was done besides the usual.
fn protocol(config: &TrainConfig) -> Vec<String> {
    let usual = TrainConfig::default();
    let mut words = Vec::new();
    if config.label_smoothing > 0.0 {
        words.push(format!("label smoothing {}", config.label_smoothing));
    }
    if config.class_weights != usual.class_weights {
        words.push("balanced class weights".to_owned());
    }
    if config.sampling != usual.sampling {
        words.push("balanced sampling".to_owned());
    }
    if config.precision != usual.precision {
        words.push(format!("maps stored in {}", config.precision));
    }
    words.extend(config.ema.map(|decay| format!("average of weights with decay {decay}")));
    words.extend(config.freeze.iter().map(|module| format!("frozen up to {module}")));
    if config.layer_decay < 1.0 {
        words.push(format!("layer decay {}", config.layer_decay));
    }
    words
}

/// The curves of the run, and its confusion matrix.
fn run_pictures(run: &RunFolder) -> Result<Vec<Block>, Error> {
    let mut blocks = Vec::new();
    if let Ok(history) = run.read_metrics() {
        let svg = pictures::curves(&history)?.svg;
        let caption =
            "Training: the loss should fall on both kinds of patches, and the accuracy rise.".to_owned();
        blocks.push(Block::Drawings(vec![Drawing { caption, svg }]));
    }
    if let Ok(image) = locam_data::read_rgb(&run.root().join("confusion.png")) {
        let caption =
            "Patches that took no part in training: how often each class (rows) was taken for each (columns)."
                .to_owned();
        blocks.push(Block::Gallery(vec![Picture { caption, image }]));
    }
    Ok(blocks)
}
