//! Floors and tables from made-up figures.

use super::*;
use crate::bench_peers::plan::{FLOORS, SECTIONS};

fn options(line: &str) -> Options {
    let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    Options::parse(&arguments).unwrap().unwrap()
}

fn section(key: &str) -> &'static Section {
    SECTIONS.iter().find(|section| section.key == key).unwrap()
}

/// Figures with this ratio, and this peak memory of ours where theirs is 1000 MB.
fn measured(ratio: f64, our_megabytes: u64) -> Measured {
    let summary = Summary {
        ratio,
        lowest: ratio - 0.1,
        highest: ratio + 0.1,
        our_rate: 50.0 * ratio,
        their_rate: 50.0,
        our_memory: our_megabytes * 1_000_000,
        their_memory: 1_000_000_000,
    };
    Measured {
        our_version: "locam 0.1.0".into(),
        their_version: "1.2.3".into(),
        summary,
        differences: Differences { theirs: Comparison { agree: true, difference: Some(1.3e-5) }, ours: None },
    }
}

fn table(key: &str, outcomes: Vec<(&str, Result<Measured, String>)>) -> Table {
    let section = section(key);
    let entry = |(system, outcome): (&str, _)| Entry {
        peer: section.peers.iter().find(|peer| peer.system == system).unwrap(),
        outcome,
    };
    Table { section, description: "Title".into(), entries: outcomes.into_iter().map(entry).collect() }
}

/// The lines of all floors that can be judged.
fn lines(tables: &[Table], line: &str) -> Vec<String> {
    FLOORS
        .iter()
        .filter_map(|floor| judge(floor, tables, &options(line)))
        .map(|verdict| verdict.line)
        .collect()
}

#[test]
fn the_best_peer_counts() {
    let tables = [table(
        "infer",
        vec![
            ("torch-channels-last", Ok(measured(1.9, 100))),
            ("onnxruntime", Ok(measured(1.62, 100))),
            ("openvino", Ok(measured(1.8, 100))),
            ("mnn", Ok(measured(1.2, 100))),
        ],
    )];
    assert_eq!(
        lines(&tables, "--peers torch-channels-last,onnxruntime,openvino,mnn"),
        [
            "inference vs best of PyTorch channels_last, ONNX Runtime, OpenVINO: 1.62 (floor 1.6) ok",
            "inference vs MNN: 1.20 (floor 1.25) MISSED",
        ]
    );
}

#[test]
fn memory_counts_where_it_is_promised() {
    let image =
        |ratio, megabytes| [table("image", vec![("torch-channels-last", Ok(measured(ratio, megabytes)))])];
    let cases = [
        (1.7, 250, "1.70 (floor 1.6), peak memory 0.25 of theirs (at most 0.25) ok"),
        (1.7, 260, "1.70 (floor 1.6), peak memory 0.26 of theirs (at most 0.25) MISSED"),
        (1.5, 100, "1.50 (floor 1.6), peak memory 0.10 of theirs (at most 0.25) MISSED"),
    ];
    for (ratio, megabytes, expected) in cases {
        let lines = lines(&image(ratio, megabytes), "");
        assert_eq!(lines, [format!("image 3000x2000 vs PyTorch channels_last: {expected}")]);
    }
}

#[test]
fn a_ratio_just_under_the_floor_is_missed() {
    let tables = [table("infer-bf16", vec![("openvino", Ok(measured(1.1999, 100)))])];
    let verdicts: Vec<Verdict> =
        FLOORS.iter().filter_map(|floor| judge(floor, &tables, &options(""))).collect();
    assert_eq!(
        verdicts[0].problem.as_deref(),
        Some("missed: bfloat16 inference vs OpenVINO: 1.20 (floor 1.2)")
    );
}

#[test]
fn what_was_not_asked_for_is_not_judged_and_what_failed_is_told() {
    let tables = [table("infer", vec![("mnn", Err("no model".into()))])];
    assert_eq!(lines(&tables, "--peers mnn"), ["inference vs MNN: not measured"]);
    assert_eq!(tables[0].problems(), ["infer: MNN could not be measured: no model"]);
    assert!(tables[0].markdown().ends_with("| MNN | could not be measured | | | | | | | | |\n"));
}

#[test]
fn a_row_shows_figures_and_disagreement() {
    let mut off = measured(1.5, 321);
    off.differences.theirs = Comparison { agree: false, difference: None };
    let table = table("infer", vec![("onnxruntime", Ok(measured(2.0, 321))), ("openvino", Ok(off))]);
    let text = table.markdown();
    assert!(text.starts_with("## Title\n\nOurs: locam 0.1.0. "), "{text}");
    let row = "| ONNX Runtime | 1.2.3 | 2.00 | 1.90 | 2.10 | 100.0 | 50.0 | 321 | 1000 | 1.3e-5 |";
    assert!(text.contains(row), "{text}");
    assert!(text.contains("| no number DISAGREE |"), "{text}");
    assert_eq!(table.problems(), ["infer: outputs disagree with OpenVINO's: no number (at most 1e-3)"]);
}

#[test]
fn rounded_outputs_are_each_held_to_float32() {
    let mut rounded = measured(1.5, 321);
    rounded.differences.ours = Some(Comparison { agree: false, difference: Some(0.06) });
    let table = table("infer-bf16", vec![("openvino", Ok(rounded))]);
    let text = table.markdown();
    assert!(text.contains("| ours 6.0e-2, theirs 1.3e-5 from float32 DISAGREE |"), "{text}");
    let problem = "infer-bf16: outputs disagree with OpenVINO's: ours 6.0e-2, theirs 1.3e-5 from float32 (at most 5e-2)";
    assert_eq!(table.problems(), [problem]);
}

#[test]
fn rates_have_three_digits_or_more() {
    for (value, shown) in [(0.2512, "0.251"), (9.94, "9.94"), (56.04, "56.0")] {
        assert_eq!(rate(value), shown);
    }
}
