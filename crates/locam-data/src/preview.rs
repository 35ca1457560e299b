//! What a network will see of its training patches.

use crate::augment::seeded;
use crate::contact_sheet::{PER_CLASS, THUMBNAIL, draw_rows};
use crate::{DataError, LoaderConfig, PatchStore, resize};
use image::RgbImage;
use locam_core::Size;
use rand::seq::SliceRandom;

/// Epochs whose changes are shown.
const EPOCHS: u64 = 3;

/// Draws up to eight training patches of each class, and under each how the first three epochs will show it to the
/// network: the very pixels that the loader gives, with its seed, before a batch's patches are blended with each other.
///
/// # Errors
/// Those of [`PatchStore::view`].
pub fn preview(
    store: &PatchStore,
    class_names: &[String],
    config: &LoaderConfig,
) -> Result<RgbImage, DataError> {
    let mut rows = Vec::new();
    for (class, name) in class_names.iter().enumerate() {
        let mut places: Vec<usize> = (0..store.len()).filter(|&i| store.class_of(i).0 == class).collect();
        let count = places.len();
        places.shuffle(&mut seeded([config.seed, class as u64, 0]));
        places.truncate(PER_CLASS);
        let cut = places.iter().map(|&place| thumbnail(store, store.pixels(place)?.into_owned()));
        rows.push((format!("{name}: {count}, as cut"), cut.collect::<Result<_, _>>()?));
        for epoch in 0..EPOCHS {
            let seen = places.iter().map(|&place| thumbnail(store, changed(store, place, epoch, config)?));
            rows.push((format!("in epoch {}", epoch + 1), seen.collect::<Result<_, _>>()?));
        }
    }
    Ok(draw_rows(&rows, &format!("{0}x{0} pixels each; changes: {1}", store.side(), config.augment)))
}

/// One patch as the loader gives it: rows, columns, RGB.
fn changed(
    store: &PatchStore,
    place: usize,
    epoch: u64,
    config: &LoaderConfig,
) -> Result<Vec<u8>, DataError> {
    let mut pixels = Vec::new();
    let key = [config.seed, epoch, place as u64];
    store.append(&mut pixels, place, config.augment, key)?;
    Ok(pixels)
}

fn thumbnail(store: &PatchStore, pixels: Vec<u8>) -> Result<RgbImage, DataError> {
    let side = store.side();
    let image = RgbImage::from_raw(side, side, pixels).unwrap_or_else(|| RgbImage::new(side, side));
    resize(&image, Size::new(THUMBNAIL, THUMBNAIL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LoaderConfig, Order, Patch, Sampling, Split, batches};
    use image::imageops::{FilterType, crop_imm, resize as enlarge};
    use locam_core::ClassId;
    use std::sync::Arc;

    #[test]
    fn the_sheet_shows_what_the_loader_gives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("patch.png");
        let small = RgbImage::from_fn(6, 6, |x, y| image::Rgb([(x * 40) as u8, (y * 40) as u8, 90]));
        enlarge(&small, THUMBNAIL, THUMBNAIL, FilterType::Nearest).save(&path).unwrap();
        let patch = Patch { path, crop: None, class: ClassId(0), split: Split::Train, margin: 0 };
        let (store, problems) = PatchStore::open(vec![patch], THUMBNAIL, 1 << 20);
        assert!(problems.is_empty());
        let augment = "turns,colour".parse().unwrap();
        let config =
            LoaderConfig { batch_size: 1, workers: 1, seed: 5, augment, sampling: Sampling::Shuffled };
        let sheet = preview(&store, &["cell".to_owned()], &config).unwrap();
        let store = Arc::new(store);
        for epoch in 0..EPOCHS as usize {
            let batch = batches(&store, &config, Order::Shuffled { epoch }, 0).next().unwrap().unwrap();
            let seen = RgbImage::from_raw(THUMBNAIL, THUMBNAIL, batch.pixels).unwrap();
            let found = (0..sheet.height() - THUMBNAIL)
                .any(|top| *crop_imm(&sheet, 4, top, THUMBNAIL, THUMBNAIL).to_image() == *seen);
            assert!(found, "epoch {epoch} is not on the sheet");
        }
    }
}
