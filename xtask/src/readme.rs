//! README is part of the program: its commands are run, and its pictures must exist.

use anyhow::{Context, Result, ensure};
use std::path::Path;

/// The command that README gives for passing the tests.
pub(crate) const TEST_COMMAND: &str = "cargo xtask ci";

/// The commands in README's first `sh` block, comments left out.
pub(crate) fn commands() -> Result<Vec<String>> {
    let text = std::fs::read_to_string("README.md").context("README.md can't be read")?;
    let block = text
        .split_once("```sh\n")
        .and_then(|(_, rest)| rest.split_once("```"))
        .map(|(block, _)| block)
        .context("README.md has no ```sh block with its two commands")?;
    Ok(block
        .lines()
        .map(|line| line.split_once(" #").map_or(line, |(command, _)| command).trim())
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Checks the commands, and that what README links to and shows is there.
pub(crate) fn check() -> Result<()> {
    let commands = commands()?;
    ensure!(commands.len() == 2, "README's first block should hold two commands, not {}", commands.len());
    ensure!(
        commands.iter().any(|command| command == TEST_COMMAND),
        "README should give `{TEST_COMMAND}` as its test command"
    );
    let text = std::fs::read_to_string("README.md")?;
    for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target)) {
        if target.starts_with("http") {
            continue;
        }
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let path = if path.is_empty() { "README.md" } else { path };
        ensure!(Path::new(path).exists(), "README links to {target}, which does not exist");
        if !heading.is_empty() {
            let text = std::fs::read_to_string(path).with_context(|| format!("{path} can't be read"))?;
            ensure!(
                text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading),
                "README links to {target}, but {path} has no such heading"
            );
        }
    }
    Ok(())
}

/// The name under which GitHub links to a heading: its words in small letters, joined by hyphens.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}
