//! Our engine beside the systems that users would pick instead, on the same inputs, weights and threads.
//!
//! Absolute speeds drift from machine to machine and from minute to minute, so only ratios taken in one run count:
//! ours and theirs measure in turn, and the median of the pairwise ratios is what is reported. Every system, ours too,
//! is a child process that speaks one line protocol ([`runner`]) and measures itself, so that none has an advantage
//! from where the clock stands. A figure counts only if both sides computed the same: outputs are compared before
//! anything is timed, rounded ones each with our float32 outputs.

mod environment;
mod options;
mod plan;
mod report;
mod runner;
mod statistics;

use anyhow::{Context, Result, bail, ensure};
use environment::{Prepared, Workplace};
use options::Options;
use plan::{Agreement, Peer, Section};
use report::{Differences, Entry, Measured, Table};
use runner::{Job, Runner};
use statistics::Pair;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// Between turns, so that threads of the side that has just measured are asleep before the other begins.
const PAUSE: Duration = Duration::from_millis(300);

/// Runs the command with what follows its name.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let Some(options) = Options::parse(arguments)? else {
        print!("{}", options::HELP);
        return Ok(());
    };
    let sections = options.sections();
    let mut workplace = Workplace::new(&options)?;
    println!("{}", report::heading(&options));
    let mut tables = Vec::new();
    for section in sections {
        let table = measure_section(section, &options, &mut workplace)?;
        println!("{}", table.markdown());
        tables.push(table);
    }
    let mut problems: Vec<String> = tables.iter().flat_map(Table::problems).collect();
    if options.scale.is_full() {
        for floor in plan::FLOORS {
            if let Some(verdict) = report::judge(floor, &tables, &options) {
                println!("{}", verdict.line);
                problems.extend(verdict.problem);
            }
        }
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

/// Every asked-for peer of a section, one after the other. A peer that fails takes nothing from the others.
fn measure_section(section: &'static Section, options: &Options, workplace: &mut Workplace) -> Result<Table> {
    let prepared = workplace.prepare(section, options)?;
    let mut table = Table::new(section, &prepared, options);
    for peer in section.peers.iter().filter(|peer| options.wants(peer)) {
        eprintln!("==> {}: {}", section.key, peer.system);
        let outcome = measure_peer(section, peer, options, workplace, &prepared);
        table.entries.push(Entry { peer, outcome: outcome.map_err(|error| format!("{error:#}")) });
    }
    Ok(table)
}

/// Starts both sides, compares their outputs, and lets them measure in turn.
fn measure_peer(
    section: &Section,
    peer: &Peer,
    options: &Options,
    workplace: &Workplace,
    prepared: &Prepared,
) -> Result<Measured> {
    let job = |system, precision| Job {
        system,
        task: section.task,
        precision,
        isa: section.isa,
        threads: options.threads,
        prepared,
        scale: options.scale,
    };
    let their_program = if peer.is_ours() { &workplace.ours } else { &workplace.peers };
    let (mut ours, our_start) = Runner::start(&workplace.ours, &job(plan::OURS, section.precision))?;
    let (mut theirs, their_start) = Runner::start(their_program, &job(peer.system, peer.precision))?;
    let agreement = Agreement { rule: section.rule, limit: peer.limit };
    let compare = |output: &Path, with: &Path| workplace.compare(output, with, agreement);
    let differences = if section.is_rounded() {
        let (_, exact) = Runner::start(&workplace.ours, &job(plan::OURS, plan::EXACT))?;
        Differences {
            theirs: compare(&their_start.output, &exact.output)?,
            ours: Some(compare(&our_start.output, &exact.output)?),
        }
    } else {
        Differences { theirs: compare(&our_start.output, &their_start.output)?, ours: None }
    };
    let pairs = measure_pairs(&mut ours, &mut theirs, options.pairs)?;
    let summary = statistics::summary(&pairs, prepared.batch).context("no pair was measured")?;
    Ok(Measured { our_version: our_start.version, their_version: their_start.version, summary, differences })
}

/// Ours, theirs, ours, theirs; the first pair warms both up again after the other's start, and isn't kept.
fn measure_pairs(ours: &mut Runner, theirs: &mut Runner, count: usize) -> Result<Vec<Pair>> {
    let mut pairs = Vec::with_capacity(count + 1);
    for _ in 0..=count {
        sleep(PAUSE);
        let our_turn = ours.measure()?;
        sleep(PAUSE);
        let their_turn = theirs.measure()?;
        if our_turn.seconds_per_iteration <= 0.0 || their_turn.seconds_per_iteration <= 0.0 {
            bail!("an iteration took no time at all");
        }
        pairs.push(Pair { ours: our_turn, theirs: their_turn });
    }
    pairs.remove(0);
    Ok(pairs)
}
