use super::{number, parse_score};
use clap::Args;
use std::path::PathBuf;

/// How large objects are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ObjectSize {
    /// As the red cells on each image tell.
    Auto,
    /// In pixels of the images.
    Pixels(f64),
}

/// A model and how it is laid over images.
#[derive(Debug, Args)]
pub(crate) struct LocatorArgs {
    /// A run folder or a model folder [default: the ready model, which finds white blood cells; `calibrate` needs one]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) model: Option<PathBuf>,
    /// Usual size of the objects in these images, of all classes together, in pixels: images are scaled so that objects come out
    /// as in training. For white cells on stained smears also `auto`: twice the size of the red cells, measured on each
    /// image, and where these are few the size of what is found [default: auto with the ready model]
    #[arg(long, value_name = "PIXELS|auto", conflicts_with = "scale", value_parser = parse_object_size)]
    pub(crate) object_size: Option<ObjectSize>,
    /// Scale images by this factor [default: as the training patches were]
    #[arg(long, value_name = "FACTOR", value_parser = number(0.001, 100.0))]
    pub(crate) scale: Option<f64>,
    /// Microns per pixel of images that don't say it themselves; where the model knows its own, images are scaled to it
    #[arg(
        long,
        value_name = "MICRONS",
        conflicts_with_all = ["scale", "object_size"],
        value_parser = number(0.001, 100.0)
    )]
    pub(crate) microns_per_pixel: Option<f64>,
    /// For objects of several sizes: search at each of these factors of the scale, and take at every place the one at which
    /// the network is surest; takes as long as all of them together [default: 1]
    #[arg(
        long,
        value_name = "FACTORS",
        value_delimiter = ',',
        value_parser = number(0.01, 100.0),
        default_value = "1",
        hide_default_value = true
    )]
    pub(crate) scales: Vec<f64>,
    /// Enlarge images that are below 224 pixels on a side, or come out smaller than a training patch, instead of refusing them
    #[arg(long)]
    pub(crate) upscale: bool,
    /// Pixels from one cell of the class maps to the next, for objects that touch: half the network's own (16) takes
    /// about twice as long, a quarter (8) five times [default: the network's own]
    #[arg(long, value_name = "PIXELS")]
    pub(crate) stride: Option<u32>,
    /// Bring the glass of each smear, which is its brightest twentieth in each channel, and most of its cells to the light and the
    /// density that they usually have on the images that the model learned from, and make cells more colourful that are much
    /// paler [default: with the ready model]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) stain_normalization: Option<bool>,
    /// Search glass, too: of images above 6 megapixels only what lies near tissue is searched, which is whatever takes 9 % of
    /// the light
    #[arg(long)]
    pub(crate) everything: bool,
    /// auto, cpu, cuda or wgpu
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    /// f32, or bf16: faster on CPUs with AVX512-BF16, with two to three digits
    #[arg(long, default_value = "f32")]
    pub(crate) precision: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  locam locate smear.jpg --out found
  locam locate --model runs/cells smear.jpg --out found
  locam locate --model runs/cells 'slides/*.tif' --object-size 90 --out found")]
pub(crate) struct LocateArgs {
    /// Images, folders of images, or patterns such as 'slides/*.tif'
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// The folder to write
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) locator: LocatorArgs,
    /// Margin (log-odds) from which a place belongs to a region [default: the model's, per class]
    #[arg(long, allow_hyphen_values = true, value_parser = parse_score)]
    pub(crate) threshold: Option<f64>,
    /// What to write besides JSON and tables, separated by commas: geojson, yolo, maps, sheets, masks, tiff-masks,
    /// overlays, panels; `default` is all but masks, `all` and `none` are what they say
    #[arg(long, default_value = "default", value_name = "WHAT")]
    pub(crate) write: String,
    /// Channels in the panel: the four strongest, or four drawn with a seed
    #[arg(long, value_name = "SEED")]
    pub(crate) channel_seed: Option<u64>,
    /// Stop at the first bad image instead of warning and going on
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print one JSON object an image instead of progress
    #[arg(long)]
    pub(crate) json: bool,
}

/// A size in pixels, or `auto`.
fn parse_object_size(text: &str) -> Result<ObjectSize, String> {
    match text {
        "auto" => Ok(ObjectSize::Auto),
        _ => number(1.0, 100_000.0)(text)
            .map(ObjectSize::Pixels)
            .map_err(|wanted| format!("{wanted}, or auto")),
    }
}
