//! A benchmark's figures in `docs/results.md`: what an evaluation wrote becomes the table of its section, between two
//! markers, so that no number is copied by hand.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::Path;

/// Where the tables are.
const RESULTS: &str = "docs/results.md";

/// What stands in a table of whole images: where an evaluation has it, and its name.
const FIGURES: [(&str, &str); 14] = [
    ("/hits", "hits"),
    ("/false_alarms", "false alarms"),
    ("/misses", "misses"),
    ("/precision", "precision"),
    ("/recall", "recall"),
    ("/f1", "F1"),
    ("/average_precision", "average precision"),
    ("/froc_score", "FROC score"),
    ("/count_error", "count error per image"),
    ("/pointing", "strongest point inside an object"),
    ("/empty/false_alarms_per_image", "false alarms per image without objects"),
    ("/overlap/boxes_overlapped", "box overlap of at least 0.5"),
    ("/overlap/ap_50", "AP at an overlap of 0.5"),
    ("/expected_calibration_error", "calibration error"),
];

/// What stands in a table of labelled patches.
const PATCH_FIGURES: [(&str, &str); 4] = [
    ("/accuracy", "accuracy"),
    ("/balanced_accuracy", "balanced accuracy"),
    ("/area_under_curve", "area under the ROC curve"),
    ("/expected_calibration_error", "calibration error"),
];

/// Replaces a section's table by the figures of an `evaluation.json` or a `cross-validation.json` (of whole images, where it has
/// any), or by a table that a script made (`.md`).
pub(crate) fn record(section: &str, file: &str) -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(path).with_context(|| format!("{path} can't be read"));
    let text = read(file)?;
    let table = if Path::new(file).extension().is_some_and(|extension| extension == "md") {
        text
    } else {
        table(&serde_json::from_str(&text).with_context(|| format!("{file} is no JSON"))?)?
    };
    let updated = replaced(&read(RESULTS)?, section, &table)?;
    let beside = Path::new(RESULTS).with_extension("md.new");
    std::fs::write(&beside, updated).with_context(|| format!("{} can't be written", beside.display()))?;
    std::fs::rename(&beside, RESULTS).with_context(|| format!("{RESULTS} can't be replaced"))
}

/// The text with another table between the section's markers.
fn replaced(text: &str, section: &str, table: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {section}: begin -->\n"), format!("<!-- {section}: end -->"));
    let place = |marker: &str| {
        text.find(marker).with_context(|| format!("{RESULTS} has no line `{}`", marker.trim()))
    };
    let (from, to) = (place(&begin)? + begin.len(), place(&end)?);
    ensure!(from <= to, "{RESULTS}: the section `{section}` ends before it begins");
    Ok(format!("{}{table}{}", &text[..from], &text[to..]))
}

/// The figures of every class, as Markdown. What an evaluation does not define is left out.
fn table(evaluation: &Value) -> Result<String> {
    let located = evaluation.get("located").filter(|located| !located.is_null());
    if let (None, Some(pooled)) = (located, evaluation.get("pooled")) {
        let patches = pooled["patches"].as_u64().context("the evaluation has no count of patches")?;
        return Ok(format!(
            "| {patches} patches | value (95 % interval) |\n|---|---|\n{}",
            rows(pooled, &PATCH_FIGURES)
        ));
    }
    let evaluation = located.unwrap_or(evaluation);
    let Some(classes) = evaluation["classes"].as_array().filter(|classes| !classes.is_empty()) else {
        bail!("the evaluation has no classes");
    };
    let images = evaluation["images"].as_u64().context("the evaluation has no count of images")?;
    let of_class = |class: &Value| {
        let name = class["class"].as_str().context("a class has no name")?;
        let head = format!("| {name}, {images} images | value (95 % interval) |\n|---|---|\n");
        Ok(head + &rows(class, &FIGURES))
    };
    Ok(classes.iter().map(of_class).collect::<Result<Vec<String>>>()?.join("\n"))
}

/// A row for each of the figures that there are.
fn rows(figures: &Value, wanted: &[(&str, &str)]) -> String {
    let row =
        |&(place, name): &(&str, &str)| Some(format!("| {name} | {} |\n", shown(figures.pointer(place)?)?));
    wanted.iter().filter_map(row).collect()
}

/// A count, or an estimate with its interval.
fn shown(figure: &Value) -> Option<String> {
    let number = |key: &str| figure.get(key).and_then(Value::as_f64);
    match figure.as_u64() {
        Some(count) => Some(count.to_string()),
        None => Some(format!("{:.3} ({:.3} to {:.3})", number("value")?, number("low")?, number("high")?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_holds_the_new_table_and_the_rest_stays() {
        let text = "a\n<!-- one: begin -->\nold\n<!-- one: end -->\nb\n";
        let updated = replaced(text, "one", "new\n").unwrap();
        assert_eq!(updated, "a\n<!-- one: begin -->\nnew\n<!-- one: end -->\nb\n");
        assert!(replaced(text, "two", "new\n").unwrap_err().to_string().contains("two: begin"));
    }

    #[test]
    fn folds_of_patches_have_a_table_of_their_own() {
        let certain = serde_json::json!({"value": 1.0, "low": 1.0, "high": 1.0});
        let folds =
            serde_json::json!({"folds": [], "located": null, "pooled": {"patches": 9, "accuracy": certain}});
        let expected =
            "| 9 patches | value (95 % interval) |\n|---|---|\n| accuracy | 1.000 (1.000 to 1.000) |\n";
        assert_eq!(table(&folds).unwrap(), expected);
    }

    #[test]
    fn counts_and_estimates_become_rows_and_what_is_undefined_does_not() {
        let evaluation = serde_json::json!({"images": 3, "classes": [{
            "class": "cell", "hits": 4, "f1": {"value": 0.5, "low": 0.25, "high": 0.75},
            "overlap": {"ap_50": {"value": 1.0, "low": 1.0, "high": 1.0}}, "froc": [1, 2], "recall": null,
        }, {"class": "other", "hits": 0}]});
        assert_eq!(
            table(&evaluation).unwrap(),
            "| cell, 3 images | value (95 % interval) |\n|---|---|\n| hits | 4 |\n\
             | F1 | 0.500 (0.250 to 0.750) |\n| AP at an overlap of 0.5 | 1.000 (1.000 to 1.000) |\n\n\
             | other, 3 images | value (95 % interval) |\n|---|---|\n| hits | 0 |\n"
        );
    }
}
