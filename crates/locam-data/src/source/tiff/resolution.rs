//! How large pixels are, by any of the ways in which microscopes write it.

use super::super::COARSEST;
use super::ifd_file::IfdFile;
use tiff::decoder::Decoder;
use tiff::decoder::ifd::Value;
use tiff::tags::Tag;

/// Descriptions are read up to this many bytes.
const MAX_DESCRIPTION: u64 = 16 << 20;

/// Micrometres per pixel of the first image, by Aperio's description, OME's, or the resolution tags.
pub(super) fn microns_per_pixel(decoder: &mut Decoder<IfdFile>) -> Option<f64> {
    let description = description(decoder).unwrap_or_default();
    let microns = of_aperio(&description)
        .or_else(|| of_ome(&description))
        .or_else(|| of_tags(decoder, &description))?;
    (microns > 0.0 && microns <= COARSEST).then_some(microns)
}

/// The text that the first image has.
pub(super) fn description(decoder: &mut Decoder<IfdFile>) -> Option<String> {
    let mut ifd = decoder.image_ifd();
    let length = ifd.find_entry(Tag::ImageDescription)?.count();
    if length > MAX_DESCRIPTION {
        return None;
    }
    ifd.find_tag(Tag::ImageDescription).ok()??.into_string().ok()
}

/// `…|MPP = 0.4990|…`
fn of_aperio(description: &str) -> Option<f64> {
    let value = description.split('|').find_map(|field| field.trim().strip_prefix("MPP"))?;
    value.trim().strip_prefix('=')?.trim().parse().ok()
}

/// `<Pixels PhysicalSizeX="0.25" PhysicalSizeXUnit="µm" …>`; micrometres where no unit is named.
fn of_ome(description: &str) -> Option<f64> {
    let document = roxmltree::Document::parse(description).ok()?;
    let pixels = document.descendants().find(|node| node.tag_name().name() == "Pixels")?;
    let size: f64 = pixels.attribute("PhysicalSizeX")?.parse().ok()?;
    let unit = match pixels.attribute("PhysicalSizeXUnit") {
        None | Some("µm" | "μm" | "um") => 1.0,
        Some("nm") => 1e-3,
        Some("mm") => 1e3,
        Some(_) => return None,
    };
    Some(size * unit)
}

/// Pixels per centimetre or inch, or per micrometre as `ImageJ` writes it.
fn of_tags(decoder: &mut Decoder<IfdFile>, description: &str) -> Option<f64> {
    const INCH: u16 = 2;
    const CENTIMETRE: u16 = 3;
    let per_unit = match decoder.find_tag(Tag::XResolution).ok()?? {
        Value::Rational(count, unit) => f64::from(count) / f64::from(unit),
        _ => return None,
    };
    let unit = decoder.find_tag_unsigned::<u16>(Tag::ResolutionUnit).ok()?.unwrap_or(INCH);
    let image_j = description.starts_with("ImageJ=");
    let microns = match unit {
        INCH => 25_400.0,
        CENTIMETRE => 10_000.0,
        _ if image_j && is_in_microns(description) => 1.0,
        _ => return None,
    };
    Some(microns / per_unit)
}

fn is_in_microns(description: &str) -> bool {
    let units = ["micron", "microns", "um", "µm", "\\u00B5m"];
    description.lines().any(|line| line.strip_prefix("unit=").is_some_and(|unit| units.contains(&unit)))
}
