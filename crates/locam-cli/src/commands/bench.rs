use crate::args::{BenchArgs, BenchTaskArg};
use crate::settings::parse;
use anyhow::{Result, ensure};
use locam::{BenchPlan, BenchResult, BenchTask, Size, bench};
use std::fmt::Write as _;
use std::process::ExitCode;

/// `locam bench`
pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let task = match args.task {
        BenchTaskArg::Infer => BenchTask::Infer,
        BenchTaskArg::Train => BenchTask::Train,
        BenchTaskArg::Image => BenchTask::Image,
    };
    ensure!(
        !(args.layers && task == BenchTask::Train),
        "the layers of a training step are not timed; leave --layers out, or measure --task infer or image"
    );
    let (width, height) = args.size.unwrap_or(task.usual_size());
    let result = bench(&BenchPlan {
        task,
        arch: parse(&args.arch)?,
        batch: args.batch,
        size: Size::new(width, height),
        threads: args.threads,
        precision: parse(&args.precision)?,
    })?;
    print!("{}", text(&result));
    if args.layers {
        print!("{}", layers(&result));
    }
    if args.json {
        println!("{}", serde_json::to_string(&result)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn text(result: &BenchResult) -> String {
    let memory = result
        .peak_memory_bytes
        .map_or_else(|| "unknown on this system".to_owned(), |bytes| format!("{:.0} MB", bytes as f64 / 1e6));
    format!(
        "{} of {} at {}, batch {}, {} threads, {} on {}\n\
         {:.1} images/s\n\
         {:.0} GFLOP/s, counted as direct convolutions: {:.0} % of the {:.0} that this CPU multiplies and adds\n\
         peak memory {memory}\n",
        result.task,
        result.arch,
        result.size,
        result.batch,
        result.threads,
        result.precision,
        result.isa,
        result.images_per_second,
        result.gflop_per_second,
        result.peak_share * 100.0,
        result.gflop_per_second / result.peak_share,
    )
}

fn layers(result: &BenchResult) -> String {
    let peak = result.gflop_per_second / result.peak_share;
    let mut text = "\nlayer                                   ms    GFLOP/s  share of peak\n".to_owned();
    for layer in &result.layers {
        let gflop = 2e-9 * layer.multiply_adds as f64 / layer.seconds;
        let (name, time, share) = (&layer.name, layer.seconds * 1e3, gflop / peak * 100.0);
        let _ = writeln!(text, "{name:<32}{time:>10.2}{gflop:>11.0}{share:>13.0} %");
    }
    text
}
