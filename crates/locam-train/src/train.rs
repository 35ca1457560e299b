use crate::average::Average;
use crate::checkpoint::{Checkpoint, Header, Progress};
use crate::learner::Learner;
use crate::objective::Objective;
use crate::predict::{Evaluation, evaluate};
use crate::run_folder::unix_now;
use crate::{
    DataRecord, EpochMetrics, Event, Manifest, Observer, RunFolder, Start, TrainConfig, TrainData,
    TrainError, learning_rate,
};
use locam_core::{ModelSpec, Point, Provenance};
use locam_data::{Order, RESIZE_FILTER, batches};
use locam_net::{Compute, Model, Precision, Predictor, StateDict, initial_state};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time after which a checkpoint is also written in the middle of an epoch.
const CHECKPOINT_INTERVAL: Duration = Duration::from_mins(10);

/// What to train, where, and on what.
pub struct Run<'a> {
    /// The settings.
    pub config: &'a TrainConfig,
    /// The patches.
    pub data: &'a TrainData,
    /// The run folder.
    pub folder: &'a Path,
    /// Whether a run begins or goes on.
    pub start: Start,
    /// What computes.
    pub compute: &'a Compute,
    /// Its name, for the manifest.
    pub device_name: &'a str,
    /// When this becomes true, the run is saved after the current batch and [`train`] returns.
    pub stop: &'a AtomicBool,
}

/// How a call of [`train`] ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All epochs are trained.
    Finished(Summary),
    /// The stop flag was seen and the run is saved.
    Stopped {
        /// Epochs that are complete.
        epochs: usize,
        /// Batches done of the epoch after those.
        batches: usize,
    },
}

/// What a finished run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// One row per epoch.
    pub history: Vec<EpochMetrics>,
    /// The epoch of the best model, counted from 1.
    pub best_epoch: usize,
    /// The best model on the validation patches.
    pub val: Option<Evaluation>,
    /// The best model on the test patches.
    pub test: Option<Evaluation>,
}

/// Trains a classifier, from the beginning or from where the run in the folder stopped.
///
/// The loss is the cross-entropy as PyTorch defines it, with label smoothing and class weights; on validation and test
/// patches it is the plain one. With the same
/// configuration and data on the same machine the numbers are the same bit for bit, whatever the number of
/// workers and threads, and however often the run was stopped or killed and resumed: order and augmentation
/// are drawn from the seed, the epoch and the patch alone, and a checkpoint holds the weights, the batch-norm
/// statistics, the optimiser's state and the place in the epoch.
///
/// # Errors
/// Before any work: [`TrainError::Config`], [`TrainError::Unfit`], [`TrainError::NotEmpty`],
/// [`TrainError::NoRun`], [`TrainError::OtherConfig`], [`TrainError::OtherData`], [`TrainError::Finished`].
/// While training: [`TrainError::NotFinite`], and what reading and writing may bring.
pub fn train(run: &Run<'_>, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    run.config.validate()?;
    run.data.check(run.config)?;
    let mut session = Session::open(run, observer)?;
    while session.progress.epochs < run.config.epochs && !session.is_out_of_patience() {
        if session.epoch()? == Flow::Stop {
            let Progress { epochs, batches, .. } = session.progress;
            return Ok(Outcome::Stopped { epochs, batches });
        }
    }
    session.finish().map(Outcome::Finished)
}

/// Whether an epoch came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Continue,
    Stop,
}

/// A run while it is trained.
struct Session<'a> {
    run: &'a Run<'a>,
    observer: &'a mut dyn Observer,
    folder: RunFolder,
    record: DataRecord,
    manifest: Manifest,
    objective: Objective,
    trained: Trained,
    progress: Progress,
    saved: Instant,
}

/// The network while it is trained, and the average that is kept of it.
pub(crate) struct Trained {
    pub(crate) learner: Learner,
    average: Option<Average>,
}

impl<'a> Session<'a> {
    fn open(run: &'a Run<'a>, observer: &'a mut dyn Observer) -> Result<Self, TrainError> {
        let folder = RunFolder::new(run.folder);
        folder.open(run.start)?;
        let record = run.data.record();
        let (trained, progress, manifest) = match Checkpoint::read_if_there(&folder.checkpoint())? {
            Some(checkpoint) => resume(run, &folder, &record, &checkpoint)?,
            // A run that died before its first checkpoint begins again.
            None => (begin(run, observer)?, Progress::default(), new_manifest(run, &record)),
        };
        let saved = Instant::now();
        let objective = Objective::new(run.config, run.data);
        let mut session =
            Self { run, observer, folder, record, manifest, objective, trained, progress, saved };
        session.folder.write_manifest(&session.manifest)?;
        session.folder.write_config(run.config)?;
        session.announce();
        Ok(session)
    }

    fn announce(&mut self) {
        self.observer.observe(&Event::Started {
            epochs: self.run.config.epochs,
            epoch: self.progress.epochs + 1,
            batch: self.progress.batches + 1,
            train_images: self.run.data.train.len(),
            device: self.run.device_name.to_owned(),
        });
    }

    /// Trains what is left of the current epoch, validates, and saves.
    fn epoch(&mut self) -> Result<Flow, TrainError> {
        let config = self.run.config;
        let total = self.run.data.train.len().div_ceil(config.batch_size);
        let epoch = self.progress.epochs + 1;
        self.observer.observe(&Event::EpochStarted { epoch, batches: total });
        let mut clock = Clock::start(self.progress.seconds);
        let order = Order::Shuffled { epoch: self.progress.epochs };
        for batch in batches(&self.run.data.train, &config.loader(), order, self.progress.batches) {
            let batch = batch?;
            let images = batch.labels.len();
            let steps = self.progress.epochs * total + self.progress.batches;
            let rate = learning_rate(config, steps, total);
            let result = self.trained.learner.step(&batch, &self.objective.targets(&batch), rate)?;
            let number = self.progress.batches + 1;
            check_finite("train", result.loss, epoch, number, rate)?;
            if let Some(average) = &mut self.trained.average {
                average.update(&self.trained.learner.state_dict(), steps + 1);
            }
            self.progress.batches = number;
            self.progress.sums.add(result.loss, result.correct, images);
            self.observer.observe(&Event::BatchDone {
                epoch,
                batch: number,
                batches: total,
                images,
                loss: result.loss,
                learning_rate: rate,
                images_per_second: clock.rate(images),
            });
            let stop = self.run.stop.load(Ordering::Relaxed);
            if stop || self.saved.elapsed() > CHECKPOINT_INTERVAL {
                self.progress.seconds = clock.seconds();
                self.save_checkpoint()?;
            }
            if stop {
                return Ok(Flow::Stop);
            }
        }
        self.end_epoch(total, &clock)?;
        Ok(Flow::Continue)
    }

    /// Whether so many epochs were no better than the best that no more are wanted.
    fn is_out_of_patience(&self) -> bool {
        let since_best = self.progress.best.map_or(0, |place| self.progress.epochs - (place + 1));
        self.run.config.patience.is_some_and(|patience| since_best >= patience)
    }

    fn end_epoch(&mut self, batches: usize, clock: &Clock) -> Result<(), TrainError> {
        let config = self.run.config;
        let epoch = self.progress.epochs + 1;
        let rate = learning_rate(config, epoch * batches - 1, batches);
        let val = match &self.run.data.val {
            Some(store) => {
                let predictor = Predictor::new(&self.model(), self.run.compute, Precision::F32)?;
                let found = evaluate(&predictor, store, &config.loader())?;
                check_finite("val", found.loss, epoch, batches, rate)?;
                Some(found)
            }
            None => None,
        };
        let metrics = EpochMetrics {
            epoch,
            learning_rate: rate,
            train_loss: self.progress.sums.mean_loss(),
            train_accuracy: self.progress.sums.accuracy(),
            val_loss: val.as_ref().map(|found| found.loss),
            val_accuracy: val.as_ref().map(|found| found.accuracy),
            seconds: clock.seconds(),
        };
        self.save_epoch(metrics)?;
        self.observer.observe(&Event::EpochDone(metrics));
        Ok(())
    }

    /// Writes the models, then the checkpoint, then the metrics: whatever is lost to a crash in between is
    /// made again from the checkpoint.
    fn save_epoch(&mut self, metrics: EpochMetrics) -> Result<(), TrainError> {
        let best = self.progress.best.and_then(|place| self.progress.history.get(place));
        let is_best = best.is_none_or(|best| metrics.is_better_than(best));
        let mut progress = Progress { epochs: metrics.epoch, ..Progress::default() };
        progress.history = std::mem::take(&mut self.progress.history);
        progress.history.push(metrics);
        progress.best = if is_best { Some(metrics.epoch - 1) } else { self.progress.best };
        self.progress = progress;
        let model = self.model();
        if is_best {
            RunFolder::write_model(&self.folder.best(), &model)?;
            self.observer.observe(&Event::Saved { path: self.folder.best() });
        }
        RunFolder::write_model(&self.folder.last(), &model)?;
        self.save_checkpoint()?;
        self.folder.write_metrics(&self.progress.history)
    }

    fn save_checkpoint(&mut self) -> Result<(), TrainError> {
        let path = self.folder.checkpoint();
        let header = Header {
            format: Header::FORMAT,
            config: self.run.config.clone(),
            data: self.record.clone(),
            progress: self.progress.clone(),
        };
        Checkpoint::of(header, &self.trained.learner, self.trained.average.as_ref())?.write(&path)?;
        self.saved = Instant::now();
        self.observer.observe(&Event::Saved { path });
        Ok(())
    }

    /// The network as it is now, or its average, with everything needed to use it.
    fn model(&self) -> Model {
        let (config, data) = (self.run.config, self.run.data);
        let spec = ModelSpec {
            format: ModelSpec::FORMAT,
            architecture: config.arch.to_string(),
            classes: data.classes.clone(),
            patch_size: config.patch_size,
            object_size: data.object_size,
            image_scale: data.image_scale,
            microns_per_pixel: data.microns_per_pixel,
            stain: data.stain,
            displacement: Point::default(),
            normalization: config.normalization,
            resize_filter: RESIZE_FILTER.to_owned(),
            weights_sha256: String::new(),
            provenance: Provenance {
                locam_version: self.manifest.locam_version.clone(),
                initial_weights: config.weights.to_string(),
                seed: config.seed,
                epochs: self.progress.epochs,
                train_patches: data.train.len(),
                data_hash: data.train.data_hash(),
                thresholds_from: String::new(),
            },
        };
        let weights = match &self.trained.average {
            Some(average) => average.state().clone(),
            None => self.trained.learner.state_dict(),
        };
        Model { spec, weights }
    }

    /// Tries the best model on the validation and test patches and closes the manifest.
    fn finish(mut self) -> Result<Summary, TrainError> {
        self.folder.write_metrics(&self.progress.history)?;
        let best = Model::load(&self.folder.best())?;
        let best = Predictor::new(&best, self.run.compute, Precision::F32)?;
        let val = self.try_best(&best, "val")?;
        let test = self.try_best(&best, "test")?;
        let best_epoch = self.progress.best.map_or(self.progress.epochs, |place| place + 1);
        self.manifest.finished_unix = Some(unix_now());
        self.manifest.best_epoch = Some(best_epoch);
        self.manifest.test_accuracy = test.as_ref().map(|found| found.accuracy);
        self.folder.write_manifest(&self.manifest)?;
        Ok(Summary { history: self.progress.history, best_epoch, val, test })
    }

    fn try_best(&mut self, best: &Predictor, split: &str) -> Result<Option<Evaluation>, TrainError> {
        let store = if split == "val" { &self.run.data.val } else { &self.run.data.test };
        let Some(store) = store else { return Ok(None) };
        let found = evaluate(best, store, &self.run.config.loader())?;
        self.observer.observe(&Event::Evaluated {
            split: split.to_owned(),
            loss: found.loss,
            accuracy: found.accuracy,
            images: store.len(),
        });
        Ok(Some(found))
    }
}

/// A network with initial weights.
pub(crate) fn begin(run: &Run<'_>, observer: &mut dyn Observer) -> Result<Trained, TrainError> {
    let classes = run.data.classes.len();
    let state = initial_state(&run.config.arch.graph(), classes, run.config.seed);
    let state = crate::weights::load_initial(state, classes, run.config, observer)?;
    let learner = Learner::new(&state, classes, run.config, run.compute)?;
    let average = run.config.ema.map(|decay| Average::new(decay, learner.state_dict()));
    Ok(Trained { learner, average })
}

/// A network as a checkpoint left it.
fn resume(
    run: &Run<'_>,
    folder: &RunFolder,
    record: &DataRecord,
    checkpoint: &Checkpoint,
) -> Result<(Trained, Progress, Manifest), TrainError> {
    let path = folder.root().to_owned();
    let Header { config, data, progress, .. } = checkpoint.header.clone();
    let manifest = folder.read_manifest()?;
    if manifest.finished_unix.is_some() {
        return Err(TrainError::Finished { path, epochs: progress.epochs });
    }
    if let Some(key) = config.first_difference(run.config) {
        return Err(TrainError::OtherConfig { path, key });
    }
    if let Some(what) = data.first_difference(record) {
        return Err(TrainError::OtherData { path, what });
    }
    let mut learner = Learner::new(&checkpoint.network, run.data.classes.len(), run.config, run.compute)?;
    learner.load_optimizer(&checkpoint.optimizer, &folder.checkpoint())?;
    let average = match run.config.ema {
        None => None,
        Some(decay) => Some(Average::new(decay, average_of(checkpoint, folder)?)),
    };
    Ok((Trained { learner, average }, progress, manifest))
}

/// The average that a checkpoint holds, with the network's very tensors.
fn average_of(checkpoint: &Checkpoint, folder: &RunFolder) -> Result<StateDict, TrainError> {
    let average = checkpoint.average.as_ref();
    let fitting = average.filter(|average| shapes(average).eq(shapes(&checkpoint.network)));
    fitting.cloned().ok_or_else(|| TrainError::Damaged {
        path: folder.checkpoint(),
        reason: "it has no average of the network's weights; start a new run".to_owned(),
    })
}

fn shapes(state: &StateDict) -> impl Iterator<Item = (&str, &[usize])> {
    state.iter().map(|(name, tensor)| (name.as_str(), tensor.shape.as_slice()))
}

fn new_manifest(run: &Run<'_>, record: &DataRecord) -> Manifest {
    Manifest {
        locam_version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: run.config.seed,
        device: run.device_name.to_owned(),
        data: record.clone(),
        started_unix: unix_now(),
        finished_unix: None,
        best_epoch: None,
        test_accuracy: None,
    }
}

fn check_finite(
    split: &'static str,
    loss: f64,
    epoch: usize,
    batch: usize,
    learning_rate: f64,
) -> Result<(), TrainError> {
    if loss.is_finite() {
        Ok(())
    } else {
        Err(TrainError::NotFinite { split, loss, epoch, batch, learning_rate })
    }
}

/// Measures an epoch that may have begun in another process.
pub(crate) struct Clock {
    before: f64,
    started: Instant,
    images: usize,
}

impl Clock {
    pub(crate) fn start(before: f64) -> Self {
        Self { before, started: Instant::now(), images: 0 }
    }

    fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    /// Patches a second, with these `images` more.
    pub(crate) fn rate(&mut self, images: usize) -> f64 {
        self.images += images;
        self.images as f64 / self.started.elapsed().as_secs_f64().max(1e-9)
    }
}
