//! Whole images of a cross-validation, each searched by the model that never saw it.

use crate::assessing::{annotated_items, assess, items_of};
use crate::evaluating::{ClassImage, Evaluation, class_images, pooled_figures, units};
use crate::{Error, LocateOptions, Locator, Prepared, calibrate};
use locam_data::{Dataset, Problem, Split};
use locam_net::Model;
use locam_train::{RunFolder, TrainConfig};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the models of all folds found.
#[derive(Default)]
pub(crate) struct Searched {
    classes: BTreeMap<String, Vec<ClassImage>>,
    /// One per image, for each class in the same order.
    paths: Vec<PathBuf>,
    problems: Vec<Problem>,
}

impl Searched {
    /// Searches the test images of a fold, at the levels that are best on its validation images. The model in the run's folder
    /// stays as it was trained, so that a run that is carried on finds the same.
    pub(crate) fn add_fold(
        &mut self,
        run: &Path,
        config: &TrainConfig,
        fold: &Dataset,
        prepared: &Prepared,
    ) -> Result<(), Error> {
        let (compute, device) = locam_net::select(config.device.parse()?)?;
        let mut model = Model::load(&RunFolder::new(run).best())?;
        let val = items_of(fold, prepared.data.val.as_ref());
        if !val.is_empty() {
            let locator = Locator::new(model.clone(), &compute, device.clone(), LocateOptions::default())?;
            let (seen, _) = assess(&locator, fold, &val, &mut |_| ())?;
            let source = format!("{} validation images of the fold", seen.len());
            calibrate(&locator, &seen).store_in(&mut model.spec, &source);
        }
        let locator = Locator::new(model, &compute, device, LocateOptions::default())?;
        let items = annotated_items(fold, Some(Split::Test))?;
        let (assessed, problems) = assess(&locator, fold, &items, &mut |_| ())?;
        for (class, images) in class_images(&locator, &assessed) {
            self.classes.entry(class).or_default().extend(images);
        }
        self.paths.extend(assessed.iter().map(|one| one.path.clone()));
        self.problems.extend(problems);
        Ok(())
    }

    /// The figures of all folds together, and the images that could not be searched.
    pub(crate) fn figures(self, groups: &BTreeMap<&Path, &str>) -> (Evaluation, Vec<Problem>) {
        let units = units(self.paths.iter().map(PathBuf::as_path), groups);
        (pooled_figures(&self.classes, &units, self.problems.len()), self.problems)
    }
}
