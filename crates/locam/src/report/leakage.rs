//! Whether the images of an evaluation are new to the model.

use crate::Error;
use crate::evaluating::run_folder;
use crate::leakage::{Leak, RunImages, SeenBefore};
use locam_report::{Block, Section};
use std::path::Path;

/// So many copies are named; the rest is counted.
const NAMED: usize = 20;

/// What is known of images that the model may have seen before.
pub(super) fn section(model_folder: &Path, seen: &SeenBefore) -> Result<Section, Error> {
    let run = run_folder(model_folder).map(|run| RunImages::read(run.root())).transpose()?.flatten();
    let mut blocks: Vec<Block> =
        seen.warnings().into_iter().map(|text| Block::Warning(sentence(&text))).collect();
    match run {
        None => blocks.push(Block::Text(
            "Nothing tells which images the model was trained on, so that it can't be said whether some of these are \
             among them."
                .to_owned(),
        )),
        Some(run) => {
            if blocks.is_empty() {
                blocks.push(Block::Text(format!(
                    "None of these images is among those that the model was trained or chosen on. They were compared pixel by \
                     pixel with the {} images of the model's run.",
                    run.images.len()
                )));
            }
            blocks.extend(within_run(&run));
        }
    }
    Ok(Section { title: "Whether the images are new to the model".to_owned(), blocks })
}

/// Copies among the images of the model's run.
fn within_run(run: &RunImages) -> Vec<Block> {
    let mut blocks = Vec::new();
    if run.kept_together > 0 {
        blocks.push(Block::Text(format!(
            "{} of the run's images are copies or near copies of others, which were kept in one part.",
            run.kept_together
        )));
    }
    if !run.leaks.is_empty() {
        blocks.push(Block::Warning(format!(
            "The data name {} images as part of one split that show the same as an image of another: the run's own figures \
             are too good.",
            run.leaks.len()
        )));
        let mut named: Vec<String> = run.leaks.iter().take(NAMED).map(Leak::message).collect();
        if run.leaks.len() > NAMED {
            named.push(format!("and {} more", run.leaks.len() - NAMED));
        }
        blocks.push(Block::List(named));
    }
    blocks
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).chain(['.']).collect())
}
