//! One image in, maps and regions out.

use crate::input_rows::Input;
use crate::mirrored::{MIRRORED, mirrored_size};
use crate::part_maps::maps_of_parts;
use crate::parts::{Part, parts};
use crate::row_file::RowFile;
use crate::scales::fused;
use crate::scaling::{Approach, Scaling, SmallImages};
use crate::stain_normalization::StainNormalization;
use crate::visible::is_told;
use crate::{Error, Progress};
use locam_arch::{ArchName, Graph};
use locam_core::{ClassId, ClassSpec, Point, Rect, Region, ScoreMap, Size, UsualBox, median};
use locam_data::{ImageSource, TissueMask};
use locam_locate::{RegionConfig, find_regions, margins, suppress_across_classes};
use locam_net::{ChannelChoice, Compute, DeviceChoice, ImageMaps, Model, NetError, Precision, Predictor};
use std::f64::consts::PI;
use std::path::Path;

/// Images of more pixels than this are slides: glass is told from tissue first, and only that is searched. Whoever photographs
/// a field under the microscope has framed it, so that to look for glass there would cost more than it spares.
pub(crate) const SLIDE_PIXELS: u64 = 6_000_000;

/// How a model is laid over images.
#[derive(Clone, Debug)]
pub struct LocateOptions {
    /// By how much images are scaled.
    pub scaling: Scaling,
    /// Microns per pixel of images that don't say it themselves.
    pub microns_per_pixel: Option<f64>,
    /// The image is searched at each of these factors of its scale, and every place has the logits of the one at which the
    /// network is surest.
    pub scales: Vec<f64>,
    /// What happens to images that are too small.
    pub small_images: SmallImages,
    /// Pixels of the network's input from one cell of the class maps to the next, a part of the network's own stride.
    /// Half of it takes about twice the time, a quarter five times.
    pub stride: Option<u32>,
    /// Whether glass and cells of an image ([`ImageSource::appearance`]) are brought to the light and the density that they usually
    /// have on the images that the model learned from, and cells that are much paler are made more colourful.
    pub stain_normalization: bool,
    /// Whether the glass of slides is searched, too.
    pub everything: bool,
    /// A threshold on scores, for every class instead of the model's own.
    pub threshold: Option<f64>,
    /// Which single channels are kept for the panel.
    pub channels: ChannelChoice,
    /// What weights and activations are stored as on the CPU.
    pub precision: Precision,
}

impl Default for LocateOptions {
    fn default() -> Self {
        Self {
            scaling: Scaling::default(),
            microns_per_pixel: None,
            scales: vec![1.0],
            small_images: SmallImages::default(),
            stride: None,
            stain_normalization: false,
            everything: false,
            threshold: None,
            channels: ChannelChoice::None,
            precision: Precision::F32,
        }
    }
}

/// The scores that make regions of a class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Levels {
    /// What a region reaches at its peak.
    pub(crate) threshold: f64,
    /// From where on a place belongs to it; the threshold where this is above it.
    pub(crate) contour: f64,
}

impl Levels {
    /// What the network holds for as likely as not, whatever validation images said.
    pub(crate) fn even(class: &ClassSpec) -> Self {
        let even = class.score(0.0);
        Self { threshold: even, contour: even }
    }

    /// The class's own contour with a threshold.
    pub(crate) fn at(threshold: f64, class: &ClassSpec) -> Self {
        Self { threshold, contour: class.contour.unwrap_or(threshold) }
    }
}

/// What was found on one image.
#[derive(Clone, Debug)]
pub struct Located {
    /// The image as it was given.
    pub size: Size,
    /// Network input pixels per image pixel.
    pub scale: f64,
    /// The part of the image that was searched, in 0..=1: less than 1 where the rest is glass, where no map has numbers.
    pub searched: f64,
    /// Per class the logits with bias.
    pub maps: Vec<ScoreMap>,
    /// Per class the scores: log-odds against all others, less the class's midpoint, over its temperature.
    pub margins: Vec<ScoreMap>,
    /// The plain mean of all feature channels.
    pub mean: ScoreMap,
    /// Single channels, by their number.
    pub channels: Vec<(usize, ScoreMap)>,
    /// What was found of the sought classes, by class and then strongest first.
    pub regions: Vec<Region>,
    /// The parts of the image that are damaged and were searched as white.
    pub missing: Vec<Rect>,
}

/// A model ready to search images.
#[derive(Debug)]
pub struct Locator {
    model: Model,
    predictor: Predictor,
    options: LocateOptions,
    device_name: String,
    progress: Progress,
}

impl Locator {
    /// Loads the model of a run folder or a model folder.
    ///
    /// # Errors
    /// A folder without a sound model, a device that is not there, or options that the model can't follow.
    pub fn open(folder: &Path, device: DeviceChoice, options: LocateOptions) -> Result<Self, Error> {
        let (compute, device_name) = locam_net::select(device)?;
        Self::new(Model::load(folder)?, &compute, device_name, options)
    }

    /// Takes the model that comes with the program.
    ///
    /// # Errors
    /// A device that is not there, or options that the model can't follow.
    pub fn open_ready(device: DeviceChoice, options: LocateOptions) -> Result<Self, Error> {
        let (compute, device_name) = locam_net::select(device)?;
        Self::new(crate::ready_model()?, &compute, device_name, options)
    }

    /// A locator with a model that is in memory.
    ///
    /// # Errors
    /// Options that the model can't follow.
    pub fn new(
        model: Model,
        compute: &Compute,
        device_name: String,
        options: LocateOptions,
    ) -> Result<Self, Error> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        match options.scaling {
            Scaling::ObjectSize(size) if !positive(size) => {
                return Err(Error::Request(format!("an object size of {size} pixels makes no sense")));
            }
            Scaling::ObjectSize(_) | Scaling::RedCells if model.spec.object_size.is_none() => {
                return Err(Error::Request(
                    "the model does not know how large the objects in its training patches were, so images can't \
                     be scaled by object size; give --scale, or train with --patch-object-size"
                        .to_owned(),
                ));
            }
            Scaling::Factor(factor) if !positive(factor) => {
                return Err(Error::Request(format!("a scale of {factor} makes no sense")));
            }
            _ => {}
        }
        if options.stain_normalization && model.spec.stain.is_none() {
            return Err(Error::Request(
                "the model does not know the light and the stain of the images that it learned from, so others can't be \
                 brought to them: it comes from an earlier version, or none of them shows cells on something brighter; train \
                 again, or leave --stain-normalization out"
                    .to_owned(),
            ));
        }
        if let Some(microns) = options.microns_per_pixel.filter(|&microns| !positive(microns)) {
            return Err(Error::Request(format!("{microns} microns per pixel make no sense")));
        }
        if options.scales.is_empty() || !options.scales.iter().all(|&scale| positive(scale)) {
            return Err(Error::Request(format!(
                "scales of {:?} make no sense; give factors above 0, such as 0.7,1,1.4",
                options.scales
            )));
        }
        let arch: ArchName = model.spec.architecture.parse().map_err(NetError::from)?;
        let steps = map_steps(&arch.graph(), options.stride)?;
        let predictor = Predictor::finer(&model, compute, options.precision, steps)?;
        Ok(Self { model, predictor, options, device_name, progress: Progress::default() })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// How the model is laid over images.
    pub(crate) fn options(&self) -> &LocateOptions {
        &self.options
    }

    /// The network.
    pub(crate) fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// The device, in words.
    pub fn device_name(&self) -> &str {
        &self.device_name
    }

    /// How far this locator is with the images that it was given.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// A warning where objects may well have another size here than in training, and nothing is done about it.
    pub fn scale_warning(&self) -> Option<String> {
        let spec = &self.model.spec;
        match (self.options.scaling, spec.object_size, spec.image_scale) {
            (Scaling::AsTrained, Some(size), None) => Some(format!(
                "the training patches had been scaled by different factors, so images are searched as they are: \
                 objects should be about {size:.0} pixels large; give --object-size if they are not"
            )),
            _ => None,
        }
    }

    /// Searches one image, which is read as it is needed: memory follows from its width alone.
    ///
    /// # Errors
    /// An image that is too small, or that can't be decoded.
    pub fn locate(&self, source: &ImageSource) -> Result<Located, Error> {
        self.locate_keeping(source, &RowFile::default())
    }

    /// As [`Locator::locate`], going on from the rows of the maps that are kept of the same search.
    pub(crate) fn locate_keeping(&self, source: &ImageSource, kept: &RowFile) -> Result<Located, Error> {
        let approach = Approach::new(source, &self.model.spec, &self.options)?;
        let usual = self.model.spec.stain.as_ref().filter(|_| self.options.stain_normalization);
        let stain = usual.map(|usual| StainNormalization::of(source, usual)).transpose()?;
        let mut located = self.located_at(source, approach.first, stain.as_ref(), kept)?;
        if approach.is_one_search() {
            return Ok(located);
        }
        let mut found = self.usual_size(&located);
        while let Some(next) = approach.after(located.scale, found) {
            let finer = self.located_at(source, next, stain.as_ref(), kept)?;
            let size = self.usual_size(&finer);
            if found.is_some() && size.is_none() {
                break;
            }
            (located, found) = (finer, size);
        }
        Ok(located)
    }

    /// The usual size over that in training of what was found by the model's own thresholds; regions count as circles of their area.
    fn usual_size(&self, located: &Located) -> Option<f64> {
        let by_its_own = |class: &ClassSpec| class.threshold;
        let of_model =
            self.options.threshold.map(|_| self.regions(&located.margins, located.size, by_its_own));
        let relative = |region: &Region| {
            let class = &self.model.spec.classes[region.class.0];
            let diameter = 2.0 * (region.area / PI).sqrt();
            diameter / self.object_size(class, &located.margins[region.class.0])
        };
        median(of_model.as_ref().unwrap_or(&located.regions).iter().map(relative))
    }

    /// Searches an image at one scale.
    fn located_at(
        &self,
        source: &ImageSource,
        scale: f64,
        stain: Option<&StainNormalization>,
        kept: &RowFile,
    ) -> Result<Located, Error> {
        let size = source.size();
        let (mut found, mut searched, mut missing) = (Vec::new(), 0.0_f64, Vec::new());
        for factor in &self.options.scales {
            let (maps, part, damaged) = self.maps(source, scale * factor, stain, kept)?;
            found.push(maps);
            searched = searched.max(part);
            for part in damaged {
                if !missing.contains(&part) {
                    missing.push(part);
                }
            }
        }
        let sought: Vec<ClassId> = self.model.spec.sought_classes().map(|(id, _)| id).collect();
        let ImageMaps { maps, mean, channels } = fused(found, &sought);
        let margins = self.scores(margins(&maps));
        let threshold = |class: &ClassSpec| self.options.threshold.unwrap_or(class.threshold);
        let regions = self.regions(&margins, size, threshold);
        Ok(Located { size, scale, searched, maps, margins, mean, channels, regions, missing })
    }

    /// The scores of margins: their logistic is a probability, as far as the model was calibrated.
    fn scores(&self, margins: Vec<ScoreMap>) -> Vec<ScoreMap> {
        let scores = |(margin, class): (ScoreMap, &ClassSpec)| {
            let values = margin.values().iter().map(|&value| class.score(f64::from(value)) as f32);
            margin.with_values(values.collect())
        };
        margins.into_iter().zip(&self.model.spec.classes).map(scores).collect()
    }

    /// The regions of every sought class in maps of scores, no two at one place.
    pub(crate) fn regions(
        &self,
        margins: &[ScoreMap],
        size: Size,
        threshold: impl Fn(&ClassSpec) -> f64,
    ) -> Vec<Region> {
        let spec = &self.model.spec;
        let found = spec.sought_classes().flat_map(|(id, class)| {
            let levels = Levels::at(threshold(class), class);
            let config = self.region_config(class, &margins[id.0], levels);
            find_regions(&margins[id.0], id, size, &config)
        });
        let mut regions = suppress_across_classes(found.collect(), |id| {
            self.min_distance(&spec.classes[id.0], &margins[id.0])
        });
        regions.retain(|region| {
            let ClassId(id) = region.class;
            is_told(self, &spec.classes[id], &margins[id], region, size)
        });
        regions
    }

    /// Size of a class's objects in pixels of the image that a class map lies over.
    pub(crate) fn object_size(&self, class: &ClassSpec, map: &ScoreMap) -> f64 {
        self.object_in_input(class) * self.input_pixel(map)
    }

    /// Pixels of the image to one of the network's input, at the scale that other factors refer to.
    fn input_pixel(&self, map: &ScoreMap) -> f64 {
        let stride = map.transform().stride;
        self.finest() * stride.x.min(stride.y) / self.predictor.graph().map_transform().stride.x
    }

    /// The factor of the finest scale, whose cells the maps have.
    fn finest(&self) -> f64 {
        self.options.scales.iter().copied().fold(0.0, f64::max)
    }

    /// Size of a class's objects in pixels of the network's input; that of all objects where it has none of its own.
    pub(crate) fn object_in_input(&self, class: &ClassSpec) -> f64 {
        class.object_size.unwrap_or(self.usual_object_in_input())
    }

    /// Size of objects of whatever class in pixels of the network's input. Where the model doesn't know it, half a training
    /// patch stands for it, which is what the network was shown as one thing.
    fn usual_object_in_input(&self) -> f64 {
        let spec = &self.model.spec;
        spec.object_size.unwrap_or(f64::from(spec.patch_size) / 2.0)
    }

    /// Size of the smallest objects of a class: of several scales these count, or those that touch would be taken for one.
    pub(crate) fn smallest_object(&self, class: &ClassSpec, margin: &ScoreMap) -> f64 {
        self.object_size(class, margin) / self.finest()
    }

    /// Peaks nearer than this are one object.
    fn min_distance(&self, class: &ClassSpec, margin: &ScoreMap) -> f64 {
        0.75 * self.smallest_object(class, margin)
    }

    /// How regions of a class are told apart: peaks nearer than three quarters of an object are one region, and one
    /// that covers less than a ninth of the object's square is debris or an edge, not an object. A map answers about a
    /// twentieth of an object beyond it. All three were chosen on training and validation images. What the regions are does
    /// not depend on the temperature.
    pub(crate) fn region_config(&self, class: &ClassSpec, margin: &ScoreMap, levels: Levels) -> RegionConfig {
        let object = self.smallest_object(class, margin);
        let input_pixel = self.input_pixel(margin);
        let in_image = |UsualBox { width, height, weight }: UsualBox| UsualBox {
            width: width * input_pixel,
            height: height * input_pixel,
            weight,
        };
        RegionConfig {
            threshold: levels.threshold,
            contour: levels.contour,
            min_distance: self.min_distance(class, margin),
            min_drop: 1.0 / class.temperature,
            min_area: (object / 3.0).powi(2),
            box_inset: object / 20.0,
            usual_box: class.usual_box.map(in_image),
        }
    }

    /// What is to be searched of a slide: where an object's width around a cell holds tissue. Of other images all. With it comes
    /// what of the image is damaged, among that which was looked at for this.
    fn parts(&self, input: Input<'_>) -> Result<(Vec<Part>, Vec<Rect>), Error> {
        let Input { source, scaled, .. } = input;
        let (graph, size, whole) = (self.predictor.graph(), source.size(), mirrored_size(scaled));
        let map = graph.output_size(whole).map_err(NetError::from)?;
        if self.options.everything || size.area() <= SLIDE_PIXELS {
            return Ok((vec![Part::whole(whole, map)], Vec::new()));
        }
        let scale = pixels_per_pixel(scaled, size);
        let object = self.usual_object_in_input() / scale.x.min(scale.y);
        let tissue = TissueMask::new(source, object)?;
        let Point { x, y } = self.model.spec.displacement;
        let reach = 2.0 * (object + graph.map_transform().stride.x / scale.x.min(scale.y));
        let wanted = |in_input: Point| {
            let beyond = f64::from(MIRRORED);
            let place = Point::new((in_input.x - beyond + x) / scale.x, (in_input.y - beyond + y) / scale.y);
            tissue.any_in(Rect::around(place, reach, reach))
        };
        Ok((parts(graph, whole, map, self.model.spec.min_input_side(), wanted), tissue.missing().to_vec()))
    }

    /// The maps of an image at a scale, the part of it that was searched, and what of it is damaged.
    fn maps(
        &self,
        source: &ImageSource,
        scale: f64,
        stain: Option<&StainNormalization>,
        kept: &RowFile,
    ) -> Result<(ImageMaps, f64, Vec<Rect>), Error> {
        let size = source.size();
        let side =
            |pixels: u32| ((f64::from(pixels) * scale).round() as u32).max(self.model.spec.min_input_side());
        let scaled = Size::new(side(size.width), side(size.height));
        let progress = self.progress.begin(size.area());
        let input = Input { source, scaled, stain, progress: &progress, kept };
        let (parts, mut missing) = self.parts(input)?;
        let pixels: u64 = parts.iter().map(|part| part.size.area()).sum();
        let searched = (pixels as f64 / mirrored_size(scaled).area() as f64).min(1.0);
        let (found, damaged) = maps_of_parts(&self.predictor, input, &parts, self.options.channels)?;
        missing.extend(damaged);
        let scale = pixels_per_pixel(scaled, size);
        let Point { x, y } = self.model.spec.displacement;
        let displacement = Point::new(x / scale.x, y / scale.y);
        let beyond = Point::new(-f64::from(MIRRORED), -f64::from(MIRRORED));
        let cells = MIRRORED / self.predictor.graph().map_transform().stride.x as u32;
        let place = |map: ScoreMap| {
            let in_input = map.without_border(cells).moved(beyond);
            in_input.for_scaled_input(scale.x, scale.y).moved(displacement)
        };
        let maps = ImageMaps {
            maps: found.maps.into_iter().map(place).collect(),
            mean: place(found.mean),
            channels: found.channels.into_iter().map(|(channel, map)| (channel, place(map))).collect(),
        };
        Ok((maps, searched, missing))
    }
}

/// Cells along an axis that maps at `stride` have per stride of the network.
///
/// # Errors
/// A stride that is not the network's own, its half or its quarter.
fn map_steps(graph: &Graph, stride: Option<u32>) -> Result<usize, Error> {
    let own = graph.map_transform().stride.x as u32;
    let Some(stride) = stride else { return Ok(1) };
    let steps = [1, 2, 4].into_iter().find(|steps| own / steps == stride);
    steps.map(|steps| steps as usize).ok_or_else(|| {
        let (half, quarter) = (own / 2, own / 4);
        Error::Request(format!(
            "a stride of {stride} can't be had from this network; give {own}, {half} or {quarter}"
        ))
    })
}

/// Pixels of the network's input per pixel of the image, along x and y.
fn pixels_per_pixel(input: Size, image: Size) -> Point {
    Point::new(
        f64::from(input.width) / f64::from(image.width),
        f64::from(input.height) / f64::from(image.height),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_classes_at_a_place_the_stronger_is_told_where_their_objects_are_too_large_for_both() {
        let mut model = crate::testing::model(ArchName::Squeezenet1_1);
        model.spec.classes[0].background = false;
        let image = Size::new(320, 320);
        let cone = |x: f64, height: f64| {
            let (size, transform) = (Size::new(20, 20), locam_core::MapTransform::uniform(8.0, 16.0));
            let margin = (0..size.area()).map(|i| {
                let cell = Point::new((i % 20) as f64 + 0.5, (i / 20) as f64 + 0.5);
                (height - 0.25 * transform.image_from_map(cell).distance(Point::new(x, 168.0))) as f32
            });
            ScoreMap::new(size, margin.collect(), transform)
        };
        // Peaks are 16 pixels apart: less than three quarters of 40 pixels, more than those of 20.
        let margins = [cone(168.0, 5.0), cone(184.0, 4.0)];
        let mut found = |size: Option<f64>| {
            model.spec.classes[1].object_size = size;
            let options = LocateOptions::default();
            let locator = Locator::new(model.clone(), &Compute::Cpu, "CPU".to_owned(), options).unwrap();
            let regions = locator.regions(&margins, image, |class| class.threshold);
            regions.iter().map(|region| region.class.0).collect::<Vec<_>>()
        };
        assert_eq!(found(None), [0]);
        assert_eq!(found(Some(20.0)), [0, 1]);
    }

    #[test]
    fn strides_that_do_not_divide_the_networks_are_refused() {
        let graph = ArchName::Resnet18.graph();
        assert_eq!(map_steps(&graph, Some(8)).unwrap(), 4);
        for stride in [0, 7, 64, u32::MAX] {
            let message = map_steps(&graph, Some(stride)).unwrap_err().to_string();
            assert!(message.contains("32, 16 or 8"), "{message}");
        }
    }
}
