//! What the user sees while something runs: bars on a terminal, plain lines otherwise, JSON for machines.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use locam::{EpochMetrics, Event, Observer, Problem, Progress};
use std::io::IsTerminal;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long nothing is said where nobody watches a bar.
const SILENCE: Duration = Duration::from_secs(30);

/// How progress is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// A bar that moves.
    Bar,
    /// A line for what matters.
    Lines,
    /// One JSON object a line on standard output.
    Json,
}

impl Style {
    /// JSON where it is asked for, a bar where somebody watches, lines in a file or pipe.
    pub(crate) fn choose(json: bool) -> Self {
        if json {
            Self::Json
        } else if std::io::stderr().is_terminal() {
            Self::Bar
        } else {
            Self::Lines
        }
    }
}

/// A bar that counts `total` things, hidden unless the style is a bar.
pub(crate) fn bar(style: Style, total: u64, unit: &str) -> ProgressBar {
    let template =
        format!("{{prefix}} [{{bar:30}}] {{pos}}/{{len}} {unit}  {{msg}}  {{elapsed}} elapsed, {{eta}} left");
    with_template(style, total, &template)
}

/// A bar that counts images and tells of their pixels: see [`telling_pixels`].
pub(crate) fn image_bar(style: Style, total: u64) -> ProgressBar {
    with_template(style, total, "[{bar:30}] {pos}/{len} images  {msg}  {elapsed} elapsed")
}

fn with_template(style: Style, total: u64, template: &str) -> ProgressBar {
    let target = match style {
        Style::Bar => ProgressDrawTarget::stderr(),
        Style::Lines | Style::Json => ProgressDrawTarget::hidden(),
    };
    let shape = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), target).with_style(shape.progress_chars("=> "))
}

/// Tells, while `search` runs, how many megapixels are searched, how fast, and how long the rest of the images that were
/// begun still takes.
pub(crate) fn telling_pixels<T>(
    (style, bar): (Style, &ProgressBar),
    progress: &Progress,
    search: impl FnOnce() -> T,
) -> T {
    let (running, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let start = Instant::now();
            let mut last_line = start;
            let tick = Duration::from_millis(250);
            while ended.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                let text = pixels(progress.searched(), progress.begun(), start.elapsed());
                bar.set_message(text.clone());
                if style == Style::Lines && last_line.elapsed() > SILENCE {
                    last_line = Instant::now();
                    eprintln!("  {text}");
                }
            }
        });
        let result = search();
        drop(running);
        result
    })
}

fn pixels(searched: u64, begun: u64, elapsed: Duration) -> String {
    let mega = |pixels: u64| pixels as f64 / 1e6;
    let rate = mega(searched) / elapsed.as_secs_f64();
    let left = if rate > 0.0 { mega(begun.saturating_sub(searched)) / rate } else { 0.0 };
    let (searched, begun) = (mega(searched), mega(begun));
    format!("{searched:.0} of {begun:.0} megapixels, {rate:.1} a second, {left:.0} s left of these")
}

/// Names everything that was passed over, the first few in full, with a count at the end.
pub(crate) fn warn_of(problems: &[Problem]) {
    const SHOWN: usize = 20;
    for problem in problems.iter().take(SHOWN) {
        eprintln!("warning: {problem}");
    }
    if problems.len() > SHOWN {
        eprintln!("warning: ... and {} more", problems.len() - SHOWN);
    }
    match problems.len() {
        0 => {}
        1 => eprintln!("1 problem was passed over"),
        count => eprintln!("{count} problems were passed over"),
    }
}

/// Tells of a training run.
pub(crate) struct TrainingProgress {
    style: Style,
    bar: ProgressBar,
    epochs: usize,
    last_line: Instant,
}

impl TrainingProgress {
    /// Progress in the given style.
    pub(crate) fn new(style: Style) -> Self {
        Self { style, bar: ProgressBar::hidden(), epochs: 0, last_line: Instant::now() }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, text: &str) {
        if self.style == Style::Bar {
            self.bar.suspend(|| eprintln!("{text}"));
        } else {
            eprintln!("{text}");
        }
    }

    fn epoch_done(&self, row: &EpochMetrics) {
        let percent = |part: f64| format!("{:.1} %", 100.0 * part);
        let validation = match (row.val_loss, row.val_accuracy) {
            (Some(loss), Some(accuracy)) => {
                format!(", validation loss {loss:.4}, accuracy {}", percent(accuracy))
            }
            _ => String::new(),
        };
        self.bar.finish_and_clear();
        self.line(&format!(
            "epoch {:>3}/{}: loss {:.4}, accuracy {}{validation} ({:.0} s)",
            row.epoch,
            self.epochs,
            row.train_loss,
            percent(row.train_accuracy),
            row.seconds
        ));
    }

    fn batch_done(&mut self, event: &Event) {
        let Event::BatchDone { epoch, batch, batches, loss, images_per_second, .. } = event else { return };
        self.bar.set_position(*batch as u64);
        self.bar.set_message(format!("loss {loss:.4}  {images_per_second:.1} images/s"));
        // Without a terminal an epoch of many minutes would look like a hang.
        if self.style == Style::Lines && self.last_line.elapsed() > SILENCE {
            self.last_line = Instant::now();
            self.line(&format!(
                "  epoch {epoch}, batch {batch}/{batches}: loss {loss:.4}, {images_per_second:.1} images/s"
            ));
        }
    }
}

impl Observer for TrainingProgress {
    fn observe(&mut self, event: &Event) {
        if self.style == Style::Json {
            match serde_json::to_string(event) {
                Ok(line) => println!("{line}"),
                Err(error) => eprintln!("warning: an event could not be written as JSON: {error}"),
            }
            return;
        }
        match event {
            Event::Download { done, total } => {
                if self.bar.length() != *total || self.bar.is_hidden() {
                    self.bar = bar(self.style, total.unwrap_or(0), "bytes").with_prefix("weights");
                }
                self.bar.set_position(*done);
            }
            Event::WeightsLoaded { source, loaded, unexpected, dropped } => {
                self.bar.finish_and_clear();
                self.line(&format!("{loaded} tensors from {source}"));
                for (what, keys) in [("unexpected", unexpected), ("dropped", dropped)] {
                    if !keys.is_empty() {
                        self.line(&format!("  {what}: {}", keys.join(", ")));
                    }
                }
            }
            Event::Started { epochs, epoch, batch, train_images, device } => {
                self.epochs = *epochs;
                let from = if (*epoch, *batch) == (1, 1) {
                    String::new()
                } else {
                    format!(", going on at epoch {epoch}, batch {batch}")
                };
                self.line(&format!("training on {train_images} patches on {device}{from}"));
            }
            Event::EpochStarted { epoch, batches } => {
                self.bar = bar(self.style, *batches as u64, "batches")
                    .with_prefix(format!("epoch {epoch}/{}", self.epochs));
            }
            Event::BatchDone { .. } => self.batch_done(event),
            Event::EpochDone(row) => self.epoch_done(row),
            Event::Saved { .. } => {}
            Event::Evaluated { split, loss, accuracy, images } => self.line(&format!(
                "best model on {images} {split} patches: loss {loss:.4}, accuracy {:.1} %",
                100.0 * accuracy
            )),
        }
    }
}
