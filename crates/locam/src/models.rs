//! Looking into, exporting and adjusting models.

use crate::locating::Levels;
use crate::{Calibrated, Error};
use locam_arch::ArchName;
use locam_core::{Size, Stain, UsualBox};
use locam_net::{Model, Stored, write_safetensors};
use locam_train::RunFolder;
use std::fmt::Write as _;
use std::path::Path;

/// The layers of an architecture (by name) or of a trained model (by folder), for an input of `size`, as text.
///
/// # Errors
/// Neither an architecture nor a model, or an input too small to leave anything of the last maps.
pub fn show_model(model: &str, size: Size) -> Result<String, Error> {
    let (arch, classes, about) = match model.parse::<ArchName>() {
        Ok(arch) => (arch, 1000, String::new()),
        Err(unknown) if !Path::new(model).exists() => {
            return Err(Error::Request(format!("there is no model folder {model}, and {unknown}")));
        }
        Err(_) => describe(&Model::load(Path::new(model))?)?,
    };
    let graph = arch.graph();
    let mut text = format!(
        "{about}{arch}, input {size}, {classes} classes: {} parameters, {:.2} G multiply-adds\n\n{}",
        graph.parameter_count(classes),
        graph.multiply_adds(size, classes)? as f64 / 1e9,
        "layer                          kind             output        parameters  field  stride\n",
    );
    for row in graph.layer_table(size, classes)? {
        let _ = writeln!(
            text,
            "{:<30} {:<16} {:<14}{:>10}{:>7}{:>8}",
            row.name,
            row.kind,
            row.output.to_string(),
            row.parameters,
            row.field.size,
            row.field.stride
        );
    }
    Ok(text)
}

/// The architecture, the number of classes, and a few lines about a trained model.
fn describe(model: &Model) -> Result<(ArchName, usize, String), Error> {
    let spec = &model.spec;
    let mut text = String::new();
    for class in &spec.classes {
        let role = if class.background {
            "background".to_owned()
        } else {
            let contour = Levels::at(class.threshold, class).contour;
            let usual = class.usual_box.map_or_else(String::new, |UsualBox { width, height, weight }| {
                format!(", boxes of {width:.0}x{height:.0} at a weight of {weight}")
            });
            let visible = class
                .min_visible
                .map_or_else(String::new, |least| format!(", at the border from {least:.2} of an object on"));
            let size = class.object_size.map_or_else(String::new, |size| format!(", objects of {size:.0}"));
            format!(
                "threshold {:.2}, contour {contour:.2}, midpoint {:.2}, temperature {:.2}{size}{usual}{visible}",
                class.threshold, class.midpoint, class.temperature
            )
        };
        let _ = writeln!(text, "class {} ({role})", class.name);
    }
    let known =
        |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.3}"));
    let _ = writeln!(
        text,
        "patches of {0}x{0}, object size {1}, image scale {2}, microns per pixel {3}\n{4}trained for {5} epochs on \
         {6} patches, seed {7}, weights from {8}\n",
        spec.patch_size,
        known(spec.object_size),
        known(spec.image_scale),
        known(spec.microns_per_pixel),
        spec.stain.map_or_else(String::new, stain_line),
        spec.provenance.epochs,
        spec.provenance.train_patches,
        spec.provenance.seed,
        spec.provenance.initial_weights,
    );
    Ok((spec.architecture.parse()?, spec.classes.len(), text))
}

fn stain_line(Stain { glass: [red, green, blue], density, chroma }: Stain) -> String {
    format!(
        "learned from glass of {red:.0}, {green:.0}, {blue:.0}, cells of density {density:.2} and chroma {chroma:.2}\n"
    )
}

/// Writes a model's weights as safetensors with torchvision's key names.
///
/// # Errors
/// A folder without a sound model, a file that can't be written.
pub fn export_weights(folder: &Path, out: &Path) -> Result<(), Error> {
    Ok(write_safetensors(out, &Model::load(folder)?.weights)?)
}

/// Writes a model again with its weights rounded to 16 bits, which halves its size. Returns the bytes that the weights
/// take.
///
/// # Errors
/// A folder without a sound model, one that is to be written over, files that can't be written.
pub fn compact_model(folder: &Path, out: &Path) -> Result<u64, Error> {
    let place = |path: &Path| path.canonicalize().ok();
    if place(out)
        .is_some_and(|out| [place(folder), place(&RunFolder::new(folder).best())].contains(&Some(out)))
    {
        return Err(Error::Request(format!(
            "{} holds the model itself, which would lose digits; name another folder to write to",
            out.display()
        )));
    }
    Model::load(folder)?.save_as(out, Stored::Half)?;
    Ok(Model::weights_bytes(out)?)
}

/// Puts what was chosen by [`crate::calibrate`] into the model's description.
///
/// # Errors
/// A folder without a sound model, a file that can't be written.
pub fn store_calibration(folder: &Path, chosen: &Calibrated, source: &str) -> Result<(), Error> {
    let mut model = Model::load(folder)?;
    chosen.store_in(&mut model.spec, source);
    Ok(model.save_spec(folder)?)
}
