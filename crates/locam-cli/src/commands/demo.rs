use super::check_folder;
use super::train::{STOPPED, stop_flag};
use crate::args::DemoArgs;
use crate::commands::assess::table;
use crate::progress::{Style, TrainingProgress};
use anyhow::Result;
use locam::{DemoPlan, demo};
use std::process::ExitCode;

/// `locam demo`
pub(crate) fn run(args: &DemoArgs) -> Result<ExitCode> {
    check_folder(&args.out)?;
    let plan = DemoPlan { out: args.out.clone(), seed: args.seed };
    let mut progress = TrainingProgress::new(Style::choose(false));
    let stop = stop_flag()?;
    let tell = &mut |line: &str| eprintln!("{line}");
    let Some(done) = demo(&plan, &stop, tell, &mut progress)? else {
        eprintln!("stopped; start again, the demonstration does not carry on");
        return Ok(ExitCode::from(STOPPED));
    };
    print!("{}", table(&done.evaluation));
    println!("page: {}", done.page.display());
    Ok(ExitCode::SUCCESS)
}
