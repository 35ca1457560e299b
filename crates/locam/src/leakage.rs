//! Images that would make a score too good: copies of training images among those that a model is tested on.

use crate::Error;
use crate::assessing::split_name;
use crate::evaluating::run_folder;
use locam_data::{Copies, Dataset, Fingerprint, Item, Label, Split, fingerprints};
use locam_report::write_atomically;
use locam_train::TrainConfig;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Groups that an error names; the rest is counted.
const NAMED: usize = 5;

/// How alike two images are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Likeness {
    /// The same pixels.
    Identical,
    /// Compressed again, resized, brightened, mirrored or turned.
    Near,
}

/// Two images that show the same, in two parts of the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// How alike they are.
    pub likeness: Likeness,
    /// The image that is looked at later.
    pub file: PathBuf,
    /// The part that it is in.
    pub part: Split,
    /// The image that is looked at before.
    pub like: PathBuf,
    /// The part that that one is in.
    pub like_part: Split,
}

impl Leak {
    /// The leak in words.
    pub fn message(&self) -> String {
        let how = match self.likeness {
            Likeness::Identical => "is the same image as",
            Likeness::Near => "shows the same as",
        };
        format!(
            "{} ({}) {how} {} ({})",
            self.file.display(),
            split_name(self.part),
            self.like.display(),
            split_name(self.like_part)
        )
    }
}

/// An image of a run's data, as `images.json` in the run folder records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunImage {
    /// Its path inside the data set.
    pub file: PathBuf,
    /// The part that it was in.
    pub part: Split,
    /// SHA-256 of its size and pixels.
    pub pixels_sha256: String,
}

/// The images of a run, and which of them are copies of each other across parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunImages {
    /// Copies in different parts. They are only there where the data give the parts: those that are drawn keep copies together.
    pub leaks: Vec<Leak>,
    /// Images that were kept in one part because they are copies of others there.
    pub kept_together: usize,
    /// All readable images.
    pub images: Vec<RunImage>,
}

impl RunImages {
    const FILE: &str = "images.json";

    /// Reads the record in a run folder; `None` where there is none.
    ///
    /// # Errors
    /// A file that can't be read or understood.
    pub fn read(run: &Path) -> Result<Option<Self>, Error> {
        let path = run.join(Self::FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = std::fs::read(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        let understood = serde_json::from_slice(&bytes);
        understood
            .map(Some)
            .map_err(|e| Error::Request(format!("{} can't be understood: {e}", path.display())))
    }

    pub(crate) fn write(&self, run: &Path) -> Result<(), Error> {
        let json = serde_json::to_vec_pretty(self).map_err(|e| Error::Request(e.to_string()))?;
        Ok(write_atomically(&run.join(Self::FILE), |file| file.write_all(&json))?)
    }

    /// The part of each known image, by the hash of its pixels. Of identical images in two parts the earlier one counts: what
    /// was trained on is not new.
    fn parts(&self) -> BTreeMap<&str, Split> {
        let mut parts = BTreeMap::new();
        for image in &self.images {
            let part = parts.entry(image.pixels_sha256.as_str()).or_insert(image.part);
            *part = image.part.min(*part);
        }
        parts
    }
}

/// A data set that was looked at before anything is trained on it.
pub(crate) struct Checked {
    /// The data, with copies in one group, so that none lies in two parts that are drawn.
    pub(crate) data: Dataset,
    copies: Copies,
    pixel_hashes: Vec<Option<String>>,
}

impl Checked {
    /// Looks at all images of a data set.
    ///
    /// # Errors
    /// Identical patches with different labels.
    pub(crate) fn new(data: &Dataset, config: &TrainConfig) -> Result<Self, Error> {
        let prints = fingerprints(data);
        let copies = Copies::among(&prints);
        refuse_contradictions(data, &copies, config)?;
        let pixel_hashes = prints.iter().map(|print| Some(print.as_ref()?.pixel_hash())).collect();
        Ok(Self { data: copies.kept_together(data), copies, pixel_hashes })
    }

    /// The record of the images, in the parts that they were given.
    pub(crate) fn images(&self, splits: &[Split]) -> RunImages {
        let data = &self.data;
        let all = data.items.iter().zip(&self.pixel_hashes).zip(splits);
        let images = all.filter_map(|((item, hash), &part)| {
            Some(RunImage { file: inside(data, item), part, pixels_sha256: hash.clone()? })
        });
        let astride = |group: &Vec<usize>| group.iter().any(|&i| splits[i] != splits[group[0]]);
        let together = self.copies.groups(splits.len()).into_iter().filter(|group| !astride(group));
        RunImages {
            leaks: leaks(data, &self.copies, splits),
            kept_together: together.map(|group| group.len()).sum(),
            images: images.collect(),
        }
    }
}

fn inside(data: &Dataset, item: &Item) -> PathBuf {
    item.path.strip_prefix(&data.root).unwrap_or(&item.path).to_owned()
}

fn refuse_contradictions(data: &Dataset, copies: &Copies, config: &TrainConfig) -> Result<(), Error> {
    let class_of = |i: usize| match data.items[i].label {
        Label::Class(class) => Some(&data.classes[class.0]),
        Label::Objects(_) => None,
    };
    let wanted = |name: &String| config.patches.classes.as_ref().is_none_or(|names| names.contains(name));
    let contradictions: Vec<String> = copies
        .contradictions(data)
        .iter()
        .filter_map(|group| {
            let named: Vec<(&PathBuf, &String)> = group
                .iter()
                .filter_map(|&i| Some((&data.items[i].path, class_of(i)?)))
                .filter(|(_, class)| wanted(class))
                .collect();
            let contradict = named.iter().any(|(_, class)| *class != named[0].1);
            let words = named.iter().map(|(path, class)| format!("{} ({class})", path.display()));
            contradict.then(|| words.collect::<Vec<_>>().join(" = "))
        })
        .collect();
    if contradictions.is_empty() {
        return Ok(());
    }
    let more = match contradictions.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Err(Error::Request(format!(
        "the same image is labelled with different classes: {}{more}; correct the labels or remove the copies",
        contradictions[..contradictions.len().min(NAMED)].join("; ")
    )))
}

/// For each image that shows the same as one in an earlier part, the first such.
fn leaks(data: &Dataset, copies: &Copies, splits: &[Split]) -> Vec<Leak> {
    let identical = copies.identical.iter().flat_map(|group| {
        let first = group.iter().copied().min_by_key(|&i| splits[i]).unwrap_or(group[0]);
        group.iter().map(move |&i| (Likeness::Identical, first, i))
    });
    let near = copies.near.iter().map(|&(a, b)| {
        let (first, second) = if splits[a] <= splits[b] { (a, b) } else { (b, a) };
        (Likeness::Near, first, second)
    });
    let mut leaks: Vec<Leak> = identical
        .chain(near)
        .filter(|&(_, a, b)| splits[a] != splits[b])
        .map(|(likeness, a, b)| Leak {
            likeness,
            file: inside(data, &data.items[b]),
            part: splits[b],
            like: inside(data, &data.items[a]),
            like_part: splits[a],
        })
        .collect();
    leaks.sort_by(|a, b| (&a.file, &a.like).cmp(&(&b.file, &b.like)));
    leaks.dedup_by(|a, b| a.file == b.file);
    leaks
}

/// For each image the part that an identical one had in the model's run, `None` for images that are new to it. Nothing
/// where the run has no record of its images.
pub(crate) fn parts_in_run(
    model_folder: &Path,
    items: &[&Item],
) -> Result<Option<Vec<Option<Split>>>, Error> {
    let Some(run) = run_folder(model_folder) else { return Ok(None) };
    let Some(known) = RunImages::read(run.root())? else { return Ok(None) };
    let parts = known.parts();
    let part_of = |item: &&Item| {
        let print = Fingerprint::read(&item.path).ok()?;
        parts.get(print.pixel_hash().as_str()).copied()
    };
    Ok(Some(items.par_iter().map(part_of).collect()))
}

/// Images of an evaluation that the model's run had seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SeenBefore {
    /// Those that its weights were fitted on.
    pub trained_on: Vec<PathBuf>,
    /// Those that its best epoch was chosen on.
    pub chosen_on: Vec<PathBuf>,
}

impl SeenBefore {
    /// What follows for the figures, in a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let sentence = |files: &[PathBuf], what: &str| {
            let first = files.first()?.display();
            Some(format!("the model was {what} on {} of these images ({first} and so on)", files.len()))
        };
        let trained = sentence(&self.trained_on, "trained").map(|text| text + ": the figures are too good");
        let chosen = sentence(&self.chosen_on, "chosen").map(|text| text + ": the figures may be too good");
        trained.into_iter().chain(chosen).collect()
    }
}

/// Which of some images the model's run had seen, as far as its folder tells.
///
/// # Errors
/// A record of the run that can't be read.
pub fn seen_before(model_folder: &Path, items: &[&Item]) -> Result<SeenBefore, Error> {
    let parts = parts_in_run(model_folder, items)?.unwrap_or_default();
    let of = |part: Split| {
        let pairs = items.iter().zip(&parts).filter(|(_, known)| **known == Some(part));
        pairs.map(|(item, _)| item.path.clone()).collect()
    };
    Ok(SeenBefore { trained_on: of(Split::Train), chosen_on: of(Split::Val) })
}

#[cfg(test)]
mod tests;
