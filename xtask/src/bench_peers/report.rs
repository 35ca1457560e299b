//! Tables in Markdown, and whether floors hold.

use super::environment::{Comparison, Prepared};
use super::options::Options;
use super::plan::{self, Floor, Peer, Section};
use super::statistics::Summary;
use std::fmt::Write;

/// What measuring one peer gave.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Our version.
    pub(crate) our_version: String,
    /// The peer's version and its configuration.
    pub(crate) their_version: String,
    /// Speeds and memory.
    pub(crate) summary: Summary,
    /// Whether both sides computed the same.
    pub(crate) differences: Differences,
}

/// How far outputs are from each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Differences {
    /// Theirs from our float32 outputs.
    pub(crate) theirs: Comparison,
    /// Our rounded outputs from our float32 outputs, where the section is rounded.
    pub(crate) ours: Option<Comparison>,
}

impl Differences {
    fn agree(self) -> bool {
        self.theirs.agree && self.ours.is_none_or(|ours| ours.agree)
    }

    /// For people.
    fn shown(self) -> String {
        let theirs = shown_difference(self.theirs);
        self.ours.map_or_else(
            || theirs.clone(),
            |ours| format!("ours {}, theirs {theirs} from float32", shown_difference(ours)),
        )
    }
}

/// A row: a peer, with its figures or the reason why there are none.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The peer.
    pub(crate) peer: &'static Peer,
    /// Its figures.
    pub(crate) outcome: Result<Measured, String>,
}

/// A section's results.
#[derive(Debug)]
pub(crate) struct Table {
    section: &'static Section,
    description: String,
    /// The rows.
    pub(crate) entries: Vec<Entry>,
}

/// Whether a floor holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// For people.
    pub(crate) line: String,
    /// Why the command fails, if it does for this.
    pub(crate) problem: Option<String>,
}

/// The first line: what machine this is.
pub(crate) fn heading(options: &Options) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, name)| name.trim());
    format!("{model}, {cores} cores, {} threads a side, {} pairs\n", options.threads, options.pairs)
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(section: &'static Section, prepared: &Prepared, options: &Options) -> Self {
        let Prepared { batch, width, height, .. } = prepared;
        let description =
            format!("{}: {batch} x {width}x{height}, {} threads", section.title, options.threads);
        Self { section, description, entries: vec![] }
    }

    /// The table for people.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n", self.description);
        let measured = self.entries.iter().find_map(|entry| entry.outcome.as_ref().ok());
        if let Some(measured) = measured {
            let _ = writeln!(text, "Ours: {}. Ratios are speeds, ours over theirs.\n", measured.our_version);
        }
        text.push_str("| peer | version | median ratio | lowest | highest | images/s, ours | theirs ");
        text.push_str(
            "| peak MB, ours | theirs | outputs differ by |\n|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for entry in &self.entries {
            text.push_str(&row(entry));
        }
        text
    }

    /// Peers that failed, and outputs that disagree.
    pub(crate) fn problems(&self) -> Vec<String> {
        let problem = |entry: &Entry| match &entry.outcome {
            Err(error) => {
                Some(format!("{}: {} could not be measured: {error}", self.section.key, entry.peer.title()))
            }
            Ok(measured) if !measured.differences.agree() => Some(format!(
                "{}: outputs disagree with {}'s: {} (at most {:.0e})",
                self.section.key,
                entry.peer.title(),
                measured.differences.shown(),
                entry.peer.limit
            )),
            Ok(_) => None,
        };
        self.entries.iter().filter_map(problem).collect()
    }

    fn summary(&self, system: &str) -> Option<&Summary> {
        let entry = self.entries.iter().find(|entry| entry.peer.system == system)?;
        entry.outcome.as_ref().ok().map(|measured| &measured.summary)
    }
}

fn row(entry: &Entry) -> String {
    let name = entry.peer.title();
    let Ok(Measured { their_version, summary, differences, .. }) = &entry.outcome else {
        return format!("| {name} | could not be measured | | | | | | | | |\n");
    };
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    format!(
        "| {name} | {their_version} | {:.2} | {:.2} | {:.2} | {} | {} | {:.0} | {:.0} | {}{} |\n",
        summary.ratio,
        summary.lowest,
        summary.highest,
        rate(summary.our_rate),
        rate(summary.their_rate),
        megabytes(summary.our_memory),
        megabytes(summary.their_memory),
        differences.shown(),
        if differences.agree() { "" } else { " DISAGREE" },
    )
}

/// Three digits, also of what takes seconds an image.
fn rate(images_per_second: f64) -> String {
    let decimals = match images_per_second {
        ..1.0 => 3,
        1.0..10.0 => 2,
        _ => 1,
    };
    format!("{images_per_second:.decimals$}")
}

fn shown_difference(comparison: Comparison) -> String {
    comparison.difference.map_or_else(|| "no number".to_owned(), |difference| format!("{difference:.1e}"))
}

/// Judges a floor; `None` where not all of its peers were asked for.
pub(crate) fn judge(floor: &Floor, tables: &[Table], options: &Options) -> Option<Verdict> {
    let table = tables.iter().find(|table| table.section.key == floor.section)?;
    let wanted = |system: &&str| table.section.peers.iter().any(|p| p.system == *system && options.wants(p));
    if !floor.against.iter().all(wanted) {
        return None;
    }
    let names: Vec<&str> = floor.against.iter().map(|system| plan::title(system)).collect();
    let best = if names.len() > 1 { "best of " } else { "" };
    let subject = format!("{} vs {best}{}", floor.what, names.join(", "));
    let summaries: Option<Vec<&Summary>> = floor.against.iter().map(|system| table.summary(system)).collect();
    // The best peer is the one against which we are slowest.
    let Some(hardest) = summaries.and_then(|all| all.into_iter().min_by(|a, b| a.ratio.total_cmp(&b.ratio)))
    else {
        // What failed is a problem of the table already.
        return Some(Verdict { line: format!("{subject}: not measured"), problem: None });
    };
    Some(verdict(floor, &subject, hardest))
}

fn verdict(floor: &Floor, subject: &str, summary: &Summary) -> Verdict {
    let mut figures = format!("{subject}: {:.2} (floor {})", summary.ratio, floor.speed);
    let mut holds = summary.ratio >= floor.speed;
    if let Some(most) = floor.memory {
        let _ = write!(figures, ", peak memory {:.2} of theirs (at most {most})", summary.memory_ratio());
        holds = holds && summary.memory_ratio() <= most;
    }
    let problem = (!holds).then(|| format!("missed: {figures}"));
    Verdict { line: format!("{figures} {}", if holds { "ok" } else { "MISSED" }), problem }
}

#[cfg(test)]
mod tests;
