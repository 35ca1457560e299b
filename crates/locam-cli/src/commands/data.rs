use super::{check_folder, open_data};
use crate::args::{DataCommand, PreviewArgs};
use crate::progress::warn_of;
use crate::settings::{lay_patches_over, parse, train_config};
use anyhow::{Context, Result};
use locam::{
    Size, SmearPlan, StainPreset, TrainConfig, contact_sheet, inspect, patch_plan, prepare, preview_training,
    write_image, write_patches, write_smears, write_voc,
};
use std::process::ExitCode;

/// The seed of the contact sheet's choice; a sheet is looked at, and nothing depends on it.
const SHEET_SEED: u64 = 0;

/// `locam data`
pub(crate) fn run(command: DataCommand) -> Result<ExitCode> {
    match command {
        DataCommand::Inspect { data, sheet, json, data_args } => {
            let dataset = open_data(&data, &data_args)?;
            let inspection = inspect(&dataset);
            if json {
                println!("{}", serde_json::to_string(&inspection)?);
            } else {
                print!("read as {}\n{inspection}", dataset.layout);
            }
            write_image(&sheet, &contact_sheet(&dataset, SHEET_SEED))?;
            eprintln!("contact sheet: {}", sheet.display());
        }
        DataCommand::Patches { data, out, scale, seed, patch_args, data_args } => {
            check_folder(&out)?;
            let dataset = open_data(&data, &data_args)?;
            let mut config = TrainConfig { seed, ..TrainConfig::default() };
            lay_patches_over(&mut config, &patch_args);
            config.validate()?;
            let plan = patch_plan(&dataset, &config)?;
            let side = scaled_side(plan.side, scale)?;
            let written = write_patches(&dataset, &plan, &out, side)?;
            warn_of(&dataset.problems);
            warn_of(&written.problems);
            for (class, count) in &written.counts {
                println!("{class}: {count}");
            }
            eprintln!("patches of {side}x{side} pixels and manifest.csv are in {}", out.display());
        }
        DataCommand::Preview(args) => preview(&args)?,
        DataCommand::Smears { out, fields, patches, size, seed, stains, cell_scales, white_cells, boxes } => {
            let size = Size::new(size.0, size.1);
            let stains = stains_of(&stains)?;
            let plan = SmearPlan { fields, patches, size, seed, stains, cell_scales, white_cells };
            plan.validate()?;
            match boxes {
                None => println!("{}", write_smears(&out, &plan)?),
                Some(part) => {
                    let cells = write_voc(&out, &plan.voc_fields(part.list_name()))?;
                    println!("{fields} fields with {cells} white cells");
                }
            }
            eprintln!("written to {}", out.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `locam data preview`
fn preview(args: &PreviewArgs) -> Result<()> {
    let config = train_config(args.config.as_deref(), &args.settings, &args.patch_args)?;
    let prepared = prepare(&open_data(&args.data, &args.data_args)?, &config)?;
    warn_of(&prepared.problems);
    eprint!("{}", prepared.table());
    write_image(&args.sheet, &preview_training(&prepared, &config)?)?;
    eprintln!("what the network will see: {}", args.sheet.display());
    Ok(())
}

/// Stains by name, or all of them.
fn stains_of(names: &[String]) -> Result<Vec<StainPreset>> {
    match names {
        [all] if all == "all" => Ok(StainPreset::ALL.to_vec()),
        _ => names.iter().map(|name| parse(name)).collect(),
    }
}

/// Side of the patches that are written.
fn scaled_side(window: u32, scale: f64) -> Result<u32> {
    let side = (f64::from(window) * scale).round();
    (scale.is_finite() && (8.0..=4096.0).contains(&side)).then_some(side as u32).with_context(|| {
        format!("a window of {window} pixels scaled by {scale} gives no patch of 8 to 4096 pixels")
    })
}
