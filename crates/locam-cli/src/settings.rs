//! Flags laid over a configuration file: what a flag says wins, what neither says has its default.

use crate::args::{PatchArgs, SettingArgs};
use anyhow::{Result, anyhow, bail};
use locam::{ClassWeights, Normalization, OptimizerName, Sampling, Schedule, TrainConfig, Weights};
use std::path::Path;
use std::str::FromStr;

/// The configuration of a run: the file's, or the defaults, with the flags laid over.
pub(crate) fn train_config(
    file: Option<&Path>,
    settings: &SettingArgs,
    patches: &PatchArgs,
) -> Result<TrainConfig> {
    let mut config = match file {
        Some(path) => TrainConfig::read(path)?,
        None => TrainConfig::default(),
    };
    lay_settings_over(&mut config, settings)?;
    lay_patches_over(&mut config, patches);
    config.validate()?;
    Ok(config)
}

fn lay_settings_over(config: &mut TrainConfig, flags: &SettingArgs) -> Result<()> {
    set(&mut config.arch, flags.arch.as_deref().map(FromStr::from_str).transpose()?);
    set(&mut config.weights, flags.weights.clone().map(Weights::from));
    set(&mut config.epochs, flags.epochs);
    set(&mut config.batch_size, flags.batch_size);
    set(&mut config.patch_size, flags.patch_size);
    set(&mut config.optimizer, named(flags.optimizer.as_deref(), "optimizer", &OPTIMIZERS)?);
    config.learning_rate = flags.learning_rate.or(config.learning_rate);
    set(&mut config.momentum, flags.momentum);
    set(&mut config.weight_decay, flags.weight_decay);
    set(&mut config.schedule, named(flags.schedule.as_deref(), "schedule", &SCHEDULES)?);
    set(&mut config.step_every, flags.step_every);
    set(&mut config.step_factor, flags.step_factor);
    set(&mut config.warmup_epochs, flags.warmup_epochs);
    set(&mut config.label_smoothing, flags.label_smoothing);
    set(&mut config.class_weights, named(flags.class_weights.as_deref(), "class weights", &CLASS_WEIGHTS)?);
    set(&mut config.sampling, named(flags.sampling.as_deref(), "sampling", &SAMPLINGS)?);
    config.ema = flags.ema.or(config.ema);
    config.freeze = flags.freeze.clone().or(config.freeze.take());
    set(&mut config.layer_decay, flags.layer_decay);
    config.patience = flags.patience.or(config.patience);
    set(&mut config.normalization, named(flags.normalization.as_deref(), "normalization", &NORMALIZATIONS)?);
    set(&mut config.augment, flags.augment.as_deref().map(FromStr::from_str).transpose()?);
    config.flips = flags.flips.or(config.flips);
    config.turns = flags.turns.or(config.turns);
    set(&mut config.seed, flags.seed);
    set(&mut config.workers, flags.workers);
    set(&mut config.device, flags.device.clone());
    set(&mut config.precision, flags.precision.as_deref().map(parse).transpose()?);
    set(&mut config.val_fraction, flags.val_fraction);
    set(&mut config.test_fraction, flags.test_fraction);
    Ok(())
}

/// Lays the flags that say how patches are cut over a configuration.
pub(crate) fn lay_patches_over(config: &mut TrainConfig, flags: &PatchArgs) {
    let patches = &mut config.patches;
    patches.classes = flags.classes.clone().or(patches.classes.take());
    patches.background = flags.background.or(patches.background);
    patches.window = flags.window.or(patches.window);
    set(&mut patches.jitter, flags.jitter);
    patches.object_size = flags.patch_object_size.or(patches.object_size);
    patches.microns_per_pixel = flags.microns_per_pixel.or(patches.microns_per_pixel);
}

const OPTIMIZERS: [(&str, OptimizerName); 3] =
    [("sgd", OptimizerName::Sgd), ("adam", OptimizerName::Adam), ("adamw", OptimizerName::AdamW)];
const SCHEDULES: [(&str, Schedule); 3] =
    [("constant", Schedule::Constant), ("step", Schedule::Step), ("cosine", Schedule::Cosine)];
const CLASS_WEIGHTS: [(&str, ClassWeights); 2] =
    [("none", ClassWeights::None), ("balanced", ClassWeights::Balanced)];
const SAMPLINGS: [(&str, Sampling); 2] = [("shuffled", Sampling::Shuffled), ("balanced", Sampling::Balanced)];
const NORMALIZATIONS: [(&str, Normalization); 2] =
    [("unit", Normalization::Unit), ("imagenet", Normalization::Imagenet)];

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn named<T: Copy>(text: Option<&str>, what: &str, known: &[(&str, T)]) -> Result<Option<T>> {
    let Some(text) = text else { return Ok(None) };
    let Some((_, value)) = known.iter().find(|(name, _)| *name == text) else {
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        bail!("no {what} is called `{text}`; there are {}", names.join(", "));
    };
    Ok(Some(*value))
}

/// Parses a word that the library knows, with its own message.
pub(crate) fn parse<T>(text: &str) -> Result<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error: T::Err| anyhow!(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn config(file: &str, flags: &[&str]) -> Result<TrainConfig> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, file).unwrap();
        let words = ["locam", "train", "data", "--out", "run"].iter().chain(flags);
        let Command::Train(args) = Cli::try_parse_from(words).unwrap().command else { unreachable!() };
        train_config(Some(&path), &args.settings, &args.patch_args)
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let config = config("epochs = 3\nseed = 7\n", &["--epochs", "5", "--flips"]).unwrap();
        assert_eq!((config.epochs, config.seed, config.batch_size, config.flips), (5, 7, 32, Some(true)));
    }

    #[test]
    fn unknown_words_are_answered_with_the_known_ones() {
        for (flags, known) in [
            (["--schedule", "linear"], "constant, step, cosine"),
            (["--optimizer", "lamb"], "sgd, adam, adamw"),
            (["--normalization", "z"], "unit, imagenet"),
            (["--arch", "resnet19"], "resnet18"),
            (["--augment", "cells"], "microscopy, photo, characters, none"),
            (["--augment", "mixups"], "mixup, cutmix"),
            (["--class-weights", "rare"], "none, balanced"),
            (["--sampling", "weighted"], "shuffled, balanced"),
            (["--freeze", "layer5"], "conv1, layer1, layer2, layer3, layer4"),
        ] {
            let message = format!("{:#}", config("", &flags).unwrap_err());
            assert!(message.contains(known), "{message}");
        }
    }

    #[test]
    fn unknown_keys_and_impossible_values_are_errors() {
        assert!(format!("{:#}", config("epoch = 3\n", &[]).unwrap_err()).contains("epoch"));
        assert!(format!("{:#}", config("epochs = 0\n", &[]).unwrap_err()).contains("epochs"));
        let flags = [
            (&["--label-smoothing", "1"][..], "label_smoothing = 1"),
            (&["--class-weights", "balanced", "--sampling", "balanced"], "class_weights = balanced"),
            (&["--ema", "1.5"], "ema = 1.5"),
            (&["--freeze", "layer1"], "freeze = layer1"),
            (&["--layer-decay", "0"], "layer_decay = 0"),
        ];
        for (flags, named) in flags {
            let message = format!("{:#}", config("", flags).unwrap_err());
            assert!(message.contains(named), "{message}");
        }
    }

    #[test]
    fn every_flag_of_the_protocol_reaches_the_configuration() {
        let flags = "--label-smoothing 0.1 --class-weights balanced --ema 0.99 --freeze layer2 --layer-decay 0.5 \
                     --weights imagenet --augment mixup,cutmix";
        let flags: Vec<&str> = flags.split_whitespace().collect();
        let found = config("sampling = \"shuffled\"\n", &flags).unwrap();
        let expected = TrainConfig {
            label_smoothing: 0.1,
            class_weights: ClassWeights::Balanced,
            ema: Some(0.99),
            freeze: Some("layer2".to_owned()),
            layer_decay: 0.5,
            weights: Weights::Imagenet,
            augment: parse("mixup,cutmix").unwrap(),
            ..TrainConfig::default()
        };
        assert_eq!(found, expected);
        assert_eq!(config("", &["--sampling", "balanced"]).unwrap().sampling, Sampling::Balanced);
    }
}
