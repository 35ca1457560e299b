use super::{PANEL_CHANNELS, check_folder, open_locator, strictness};
use crate::args::LocateArgs;
use crate::progress::{Style, image_bar, telling_pixels, warn_of};
use crate::settings::parse;
use anyhow::{Result, anyhow};
use locam::{ChannelChoice, LocateEvent, Outputs, find_images, locate_all};
use serde_json::json;
use std::process::ExitCode;

/// `locam locate`
pub(crate) fn run(args: &LocateArgs) -> Result<ExitCode> {
    check_folder(&args.out)?;
    let outputs: Outputs = parse(&args.write)?;
    let images = find_images(&args.images)?;
    let channels = match args.channel_seed {
        Some(seed) => ChannelChoice::Random { count: PANEL_CHANNELS, seed },
        None => ChannelChoice::Strongest(PANEL_CHANNELS),
    };
    let locator = open_locator(&args.locator, channels, args.threshold)?;
    let style = Style::choose(args.json);
    let progress = image_bar(style, images.len() as u64);
    let mut tell = |event: LocateEvent<'_>| {
        match event {
            LocateEvent::Located { path, found, searched, seconds } if style == Style::Json => {
                println!(
                    "{}",
                    json!({"image": path, "regions": found, "searched": searched, "seconds": seconds})
                );
            }
            LocateEvent::Kept { path, found } if style == Style::Json => {
                println!("{}", json!({"image": path, "regions": found, "kept": true}));
            }
            LocateEvent::Located { path, found, searched, seconds } => {
                let counts: Vec<_> = found.iter().map(|(class, count)| format!("{count} {class}")).collect();
                let counts = counts.join(", ");
                let glass = if searched < 1.0 {
                    format!("; {:.0} % of it searched, the rest is glass", 100.0 * searched)
                } else {
                    String::new()
                };
                progress.suspend(|| eprintln!("{}: {counts} ({seconds:.1} s{glass})", path.display()));
            }
            LocateEvent::Kept { .. } | LocateEvent::Failed { .. } => {}
        }
        progress.inc(1);
    };
    let summary = telling_pixels((style, &progress), locator.progress(), || {
        locate_all(&locator, &images, &args.out, &outputs, strictness(args.strict), &mut tell)
    })?;
    progress.finish_and_clear();
    warn_of(&summary.problems);
    if summary.located == 0 {
        return Err(anyhow!("none of the {} images could be used", images.len()));
    }
    let peak = locam::peak_memory()
        .map_or_else(String::new, |bytes| format!(", peak memory {} MB", bytes / 1_000_000));
    if summary.kept > 0 {
        eprintln!("{} images had been finished before and were kept", summary.kept);
    }
    eprintln!("{} regions on {} images{peak}; see {}", summary.regions, summary.located, args.out.display());
    Ok(ExitCode::SUCCESS)
}
