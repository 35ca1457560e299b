//! An [`Inspection`] as plain text.

use super::{ClassSummary, FileNote, Inspection, NEAR_EMPTY, SplitCounts, Spread};
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

/// Entries of a list that are written out; the rest is counted.
const LISTED: usize = 20;

impl Display for Inspection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} images, {} classes",
            self.root.display(),
            self.images.total(),
            self.classes.len()
        )?;
        if let (Some(width), Some(height)) = (self.width, self.height) {
            writeln!(f, "width {width}, height {height} pixels (smallest, median, largest)")?;
        }
        writeln!(f)?;
        self.write_counts(f)?;
        write_notes(f, "passed over", &self.passed_over)?;
        write_notes(f, "unreadable", &self.unreadable)?;
        write_notes(f, "wrong extension", &self.wrong_extensions)?;
        write_groups(f, "identical images in different splits", &self.duplicates_across_splits)?;
        write_groups(f, "near copies in different splits", &self.near_duplicates_across_splits)?;
        write_groups(f, "identical images of different classes", &self.duplicates_across_classes)
    }
}

impl Inspection {
    fn write_counts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let longest = self.classes.iter().map(|class| class.name.chars().count()).max().unwrap_or(0);
        let first = longest.max("all images".len());
        writeln!(
            f,
            "{:first$} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "images of", "train", "val", "test", "no split", "objects"
        )?;
        for class in &self.classes {
            write_row(f, &class.name, first, class.images)?;
            writeln!(f, " {:>8}{}", class.objects.total(), remarks(class))?;
        }
        let mut objects = SplitCounts::default();
        for class in &self.classes {
            objects += class.objects;
        }
        write_row(f, "all images", first, self.images)?;
        writeln!(f, " {:>8}", objects.total())
    }
}

impl Display for Spread {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {} / {}", self.min, self.median, self.max)
    }
}

fn write_row(f: &mut Formatter<'_>, name: &str, first: usize, counts: SplitCounts) -> fmt::Result {
    let SplitCounts { train, val, test, unassigned } = counts;
    write!(f, "{name:first$} {train:>8} {val:>8} {test:>8} {unassigned:>8}")
}

fn remarks(class: &ClassSummary) -> String {
    let near_empty = class.near_empty.then(|| format!("  near-empty: fewer than {NEAR_EMPTY}"));
    let copies = (class.copies > 0).then(|| format!("  {} identical to others of the class", class.copies));
    near_empty.into_iter().chain(copies).collect()
}

fn write_notes(f: &mut Formatter<'_>, title: &str, notes: &[FileNote]) -> fmt::Result {
    write_list(f, title, notes, |note| {
        let path = note.path.display().to_string();
        if note.message.contains(&path) { note.message.clone() } else { format!("{path}: {}", note.message) }
    })
}

fn write_groups(f: &mut Formatter<'_>, title: &str, groups: &[impl AsRef<[PathBuf]>]) -> fmt::Result {
    write_list(f, title, groups, |group| {
        group.as_ref().iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" = ")
    })
}

fn write_list<T>(f: &mut Formatter<'_>, title: &str, list: &[T], line: impl Fn(&T) -> String) -> fmt::Result {
    if list.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}: {}", list.len())?;
    for entry in list.iter().take(LISTED) {
        writeln!(f, "  {}", line(entry))?;
    }
    match list.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => writeln!(f, "  and {more} more"),
    }
}
