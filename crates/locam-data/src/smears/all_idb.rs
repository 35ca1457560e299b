//! Generated smears on disk, laid out as ALL-IDB1 and ALL-IDB2 are (Labati, Piuri, Scotti: ALL-IDB, the acute
//! lymphoblastic leukemia image database, ICIP 2011).

use super::random::{Draw, Purpose};
use super::{CellKind, Smear, SmearConfig, StainPreset, WhiteCell, generate};
use crate::DataError;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageEncoder, ImageError, ImageFormat, RgbImage};
use locam_core::{Point, Rect, Size};
use rayon::prelude::*;
use serde::Serialize;
use std::fmt::{self, Write};
use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

/// Columns and rows of a patch, in pixels.
pub const ALL_IDB2_SIDE: u32 = 257;

/// The fields that patches are cut from, in pixels each way.
const SOURCE_SIDE: u32 = 1285;

/// The most fields generated at a time, which bounds the memory.
const FIELDS_AT_ONCE: usize = 8;

/// Patches that a field usually gives.
const PATCHES_PER_FIELD: usize = 5;

/// What [`write_smears`] is to write.
#[derive(Clone, Debug, PartialEq)]
pub struct SmearPlan {
    /// Whole fields. Every other one, from the first, has blasts.
    pub fields: usize,
    /// White-cell patches: half of them blasts, and the odd one too.
    pub patches: usize,
    /// Columns and rows of a whole field.
    pub size: Size,
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// The laboratories' looks, taken in turn from field to field; none: the usual one.
    pub stains: Vec<StainPreset>,
    /// Magnifications, taken in turn from stain to stain; none: 1.
    pub cell_scales: Vec<f64>,
    /// White cells on each whole field; none: in proportion to its area.
    pub white_cells: Option<u32>,
}

impl Default for SmearPlan {
    fn default() -> Self {
        Self {
            fields: 12,
            patches: 260,
            size: Size::new(1712, 1368),
            seed: 0,
            stains: vec![StainPreset::Wright, StainPreset::Leishman, StainPreset::MayGrunwaldGiemsa],
            cell_scales: vec![1.0],
            white_cells: None,
        }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SmearSummary {
    /// Whole fields.
    pub fields: usize,
    /// Healthy white cells on them.
    pub healthy_cells: usize,
    /// Blasts on them.
    pub blast_cells: usize,
    /// Patches of healthy white cells.
    pub healthy_patches: usize,
    /// Patches of blasts.
    pub blast_patches: usize,
}

impl fmt::Display for SmearSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fields, healthy_cells, blast_cells, healthy_patches, blast_patches } = self;
        write!(
            f,
            "{fields} fields with {healthy_cells} healthy white cells and {blast_cells} blasts; \
             {healthy_patches} patches of healthy white cells and {blast_patches} of blasts"
        )
    }
}

/// Writes whole fields as `out/ALL_IDB1` and patches, cut from other fields, as `out/ALL_IDB2`.
///
/// Everything goes into a folder beside `out` first and takes its name at the end.
///
/// # Errors
/// [`DataError::Exists`] where `out` is there and not an empty folder; [`DataError::Write`].
pub fn write_smears(out: &Path, plan: &SmearPlan) -> Result<SmearSummary, DataError> {
    refuse_existing(out)?;
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = out.with_file_name(format!(".{name}.unfinished"));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(write_error(&unfinished))?;
    }
    let written = write_both(&unfinished, plan).and_then(|summary| {
        if out.exists() {
            // Not every system renames a folder over an empty one.
            fs::remove_dir(out).map_err(write_error(out))?;
        }
        fs::rename(&unfinished, out).map_err(write_error(out))?;
        Ok(summary)
    });
    if written.is_err() {
        // The error that stopped the writing is the one to report.
        let _ = fs::remove_dir_all(&unfinished);
    }
    written
}

fn refuse_existing(out: &Path) -> Result<(), DataError> {
    let is_free = match fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if is_free { Ok(()) } else { Err(DataError::Exists { path: out.to_owned() }) }
}

fn write_both(folder: &Path, plan: &SmearPlan) -> Result<SmearSummary, DataError> {
    let fields = write_all_idb1(&folder.join("ALL_IDB1"), &plan.field_configs())?;
    let patches = write_all_idb2(&folder.join("ALL_IDB2"), plan)?;
    Ok(SmearSummary {
        healthy_patches: patches.healthy_patches,
        blast_patches: patches.blast_patches,
        ..fields
    })
}

/// A square field of so many pixels on a side takes some 6 GB while it is drawn.
const LONGEST_FIELD: u32 = 16_384;

impl SmearPlan {
    /// Checks that the fields and the magnifications can be drawn.
    ///
    /// # Errors
    /// [`DataError::FieldSize`], [`DataError::CellScale`].
    pub fn validate(&self) -> Result<(), DataError> {
        let size = self.size;
        if size.width.max(size.height) > LONGEST_FIELD {
            return Err(DataError::FieldSize { size, most: LONGEST_FIELD });
        }
        match self.cell_scales.iter().find(|scale| !(0.1..=10.0).contains(*scale)) {
            Some(&scale) => Err(DataError::CellScale { scale }),
            None => Ok(()),
        }
    }

    /// The whole fields: magnification varies a little, as between microscopes.
    pub fn field_configs(&self) -> Vec<SmearConfig> {
        let config = |index| {
            let usual = self.config(index, 0, self.size);
            SmearConfig {
                blast_fraction: if index % 2 == 0 { 0.6 } else { 0.0 },
                white_cells: self.white_cells.unwrap_or(usual.white_cells),
                ..usual
            }
        };
        (0..self.fields).map(config).collect()
    }

    /// The fields that patches are cut from, as many as one asks for.
    fn source_config(&self, index: usize) -> SmearConfig {
        let size = Size::new(SOURCE_SIDE, SOURCE_SIDE);
        SmearConfig { white_cells: 18, ..self.config(index, 1, size) }
    }

    fn config(&self, index: usize, series: usize, size: Size) -> SmearConfig {
        let draw = &mut Draw::new(self.seed, Purpose::Plan, (series << 40) | index);
        let stain = if self.stains.is_empty() {
            StainPreset::default()
        } else {
            // Blast and healthy fields alternate, so the stain changes after each pair: else it would tell the class.
            self.stains[index / 2 % self.stains.len()]
        };
        let usual = SmearConfig::new(size, draw.wide_seed());
        let turn = index / 2 / self.stains.len().max(1);
        let scale = self.cell_scales.get(turn % self.cell_scales.len().max(1)).copied().unwrap_or(1.0);
        // Larger cells leave room for fewer.
        let count = f64::from(usual.white_cells) / (scale * scale).max(0.01);
        SmearConfig {
            white_cells: (count as f32 * draw.between(0.7, 1.4)).round().clamp(2.0, 400.0) as u32,
            cell_scale: scale * f64::from(draw.between(0.95, 1.05)),
            stain,
            ..usual
        }
    }
}

/// Writes one field for each of `fields` in ALL-IDB1's layout: `im/Im001_1.jpg` (the digit says whether there is any
/// blast), `xyc/Im001_1.xyc` (the blasts' centroids); and beside it the whole truth: `truth/Im001_1.json` and the
/// labels as 16-bit `truth/Im001_1_mask.png`.
///
/// # Errors
/// [`DataError::Write`].
pub fn write_all_idb1(folder: &Path, fields: &[SmearConfig]) -> Result<SmearSummary, DataError> {
    for name in ["im", "xyc", "truth"] {
        create_folder(&folder.join(name))?;
    }
    let counts: Result<Vec<(usize, usize)>, DataError> = fields
        .par_iter()
        .enumerate()
        .with_max_len(1)
        .map(|(index, config)| write_field(folder, index, config))
        .collect();
    let counts = counts?;
    Ok(SmearSummary {
        fields: fields.len(),
        healthy_cells: counts.iter().map(|(healthy, _)| healthy).sum(),
        blast_cells: counts.iter().map(|(_, blasts)| blasts).sum(),
        ..SmearSummary::default()
    })
}

/// Returns the counts of healthy cells and blasts.
fn write_field(folder: &Path, index: usize, config: &SmearConfig) -> Result<(usize, usize), DataError> {
    let smear = generate(config);
    let blasts: Vec<&WhiteCell> = smear.cells.iter().filter(|cell| cell.kind == CellKind::Blast).collect();
    let name = format!("Im{:03}_{}", index + 1, u8::from(!blasts.is_empty()));
    write_jpeg(&folder.join("im").join(format!("{name}.jpg")), &smear.image, config.seed)?;
    write_file(&folder.join("xyc").join(format!("{name}.xyc")), centroid_list(&blasts).as_bytes())?;
    let truth = folder.join("truth");
    let labels = encode(&truth.join(format!("{name}_mask.png")), |bytes| {
        smear.labels.write_to(bytes, ImageFormat::Png)
    });
    labels?;
    write_truth(&truth.join(format!("{name}.json")), &format!("{name}.jpg"), config, &smear)?;
    Ok((smear.cells.len() - blasts.len(), blasts.len()))
}

/// The real set's form: column and row of the pixel, with a blank line before and after.
fn centroid_list(cells: &[&WhiteCell]) -> String {
    let mut lines = String::from("\n");
    for cell in cells {
        let pixel = [cell.centroid.x, cell.centroid.y].map(|value| value.floor() as u32);
        // Writing to a string can't fail.
        let _ = writeln!(lines, "{}\t{}", pixel[0], pixel[1]);
    }
    lines.push('\n');
    lines
}

/// What `truth/*.json` holds.
#[derive(Serialize)]
struct FieldTruth<'a> {
    image: &'a str,
    size: Size,
    stain: StainPreset,
    cells: &'a [WhiteCell],
    red_cells: &'a [Point],
    platelets: &'a [Point],
}

fn write_truth(path: &Path, image: &str, config: &SmearConfig, smear: &Smear) -> Result<(), DataError> {
    let truth = FieldTruth {
        image,
        size: config.size,
        stain: config.stain,
        cells: &smear.cells,
        red_cells: &smear.red_cells,
        platelets: &smear.platelets,
    };
    let mut text = serde_json::to_vec_pretty(&truth).map_err(|error| write_error(path)(error.into()))?;
    text.push(b'\n');
    write_file(path, &text)
}

/// Writes `plan.patches` patches in ALL-IDB2's layout: `img/Im001_1.tif` (1: blast, 0: healthy), blasts first, each
/// of [`ALL_IDB2_SIDE`] pixels each way and centred on a white cell with no other one's centre on it; and beside it
/// `groups.csv`, which names the field that each was cut from.
///
/// # Errors
/// [`DataError::Write`].
pub fn write_all_idb2(folder: &Path, plan: &SmearPlan) -> Result<SmearSummary, DataError> {
    create_folder(&folder.join("img"))?;
    let wanted = [plan.patches / 2, plan.patches.div_ceil(2)];
    let [healthy, blasts] = collect_patches(plan, wanted);
    let mut groups = String::from("path,group\n");
    let labelled = blasts.iter().map(|patch| (patch, 1)).chain(healthy.iter().map(|patch| (patch, 0)));
    for (index, ((image, group), digit)) in labelled.enumerate() {
        let path = format!("img/Im{:03}_{digit}.tif", index + 1);
        encode(&folder.join(&path), |bytes| image.write_to(bytes, ImageFormat::Tiff))?;
        // Writing to a string can't fail.
        let _ = writeln!(groups, "{path},field{group:03}");
    }
    write_file(&folder.join("groups.csv"), groups.as_bytes())?;
    Ok(SmearSummary {
        healthy_patches: healthy.len(),
        blast_patches: blasts.len(),
        ..SmearSummary::default()
    })
}

/// Cuts patches from field after field until there are as many healthy ones and blasts as `wanted`. Each comes with
/// its field's number from 1.
fn collect_patches(plan: &SmearPlan, wanted: [usize; 2]) -> [Vec<(RgbImage, usize)>; 2] {
    let mut patches = [Vec::new(), Vec::new()];
    let mut next = 0;
    loop {
        let missing: usize = patches.iter().zip(wanted).map(|(patches, wanted)| wanted - patches.len()).sum();
        if missing == 0 {
            return patches;
        }
        let end = next + missing.div_ceil(PATCHES_PER_FIELD).min(FIELDS_AT_ONCE);
        // In parallel, but taken in the fields' order.
        let fields: Vec<Vec<(CellKind, RgbImage)>> = (next..end)
            .into_par_iter()
            .with_max_len(1)
            .map(|index| centred_patches(&generate(&plan.source_config(index))))
            .collect();
        for (offset, field) in fields.into_iter().enumerate() {
            for (kind, patch) in field {
                let class = usize::from(kind == CellKind::Blast);
                if patches[class].len() < wanted[class] {
                    patches[class].push((patch, next + offset + 1));
                }
            }
        }
        next = end;
    }
}

/// A patch around each white cell that is alone in it and far enough from the border.
fn centred_patches(smear: &Smear) -> Vec<(CellKind, RgbImage)> {
    let (width, height) = smear.image.dimensions();
    let image = Rect::new(0.0, 0.0, width.into(), height.into());
    let mut patches = Vec::new();
    for cell in &smear.cells {
        let side = f64::from(ALL_IDB2_SIDE);
        let corner = |value: f64| (value - side / 2.0).round();
        let window = Rect::new(corner(cell.centroid.x), corner(cell.centroid.y), 0.0, 0.0);
        let window = Rect::new(window.left, window.top, window.left + side, window.top + side);
        let others = smear.cells.iter().filter(|other| window.contains(other.centroid)).count();
        if window.intersection(image) == window && others == 1 {
            let (left, top) = (window.left as u32, window.top as u32);
            let view = image::imageops::crop_imm(&smear.image, left, top, ALL_IDB2_SIDE, ALL_IDB2_SIDE);
            patches.push((cell.kind, view.to_image()));
        }
    }
    patches
}

/// Quality varies from file to file, as between cameras.
fn write_jpeg(path: &Path, image: &RgbImage, seed: u64) -> Result<(), DataError> {
    let quality = Draw::new(seed, Purpose::Plan, 1 << 44).count(85, 92) as u8;
    let (width, height) = image.dimensions();
    encode(path, |bytes| {
        JpegEncoder::new_with_quality(bytes, quality).write_image(
            image,
            width,
            height,
            image::ExtendedColorType::Rgb8,
        )
    })
}

fn encode(
    path: &Path,
    encoder: impl FnOnce(&mut Cursor<Vec<u8>>) -> Result<(), ImageError>,
) -> Result<(), DataError> {
    let mut bytes = Cursor::new(Vec::new());
    encoder(&mut bytes).map_err(|error| write_error(path)(io::Error::other(error)))?;
    write_file(path, bytes.get_ref())
}

fn create_folder(path: &Path) -> Result<(), DataError> {
    fs::create_dir_all(path).map_err(write_error(path))
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    fs::write(path, bytes).map_err(write_error(path))
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> DataError {
    let path: PathBuf = path.to_owned();
    move |source| DataError::Write { path, source }
}
