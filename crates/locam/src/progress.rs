//! How far a search is, for whoever waits for it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Pixels of the images that a [`Locator`](crate::Locator) has begun to search. It may be read from any thread.
#[derive(Debug, Default)]
pub struct Progress {
    begun: AtomicU64,
    searched: AtomicU64,
}

impl Progress {
    /// Pixels of all images that were begun, those that are done among them.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// How many of these were searched.
    pub fn searched(&self) -> u64 {
        self.searched.load(Ordering::Relaxed)
    }

    /// Begins an image of so many pixels.
    pub(crate) fn begin(&self, pixels: u64) -> ImageProgress<'_> {
        self.begun.fetch_add(pixels, Ordering::Relaxed);
        ImageProgress { all: self, pixels, searched: AtomicU64::new(0) }
    }
}

/// That of one image. An image that is done counts whole, whether it could be searched to its end or not.
pub(crate) struct ImageProgress<'a> {
    all: &'a Progress,
    pixels: u64,
    searched: AtomicU64,
}

impl ImageProgress<'_> {
    /// Adds a part of the image. All together they may be more than 1, as strips of an image overlap.
    pub(crate) fn add(&self, part: f64) {
        let before = self.searched.load(Ordering::Relaxed);
        let now = before.saturating_add((part * self.pixels as f64) as u64).min(self.pixels);
        self.searched.store(now, Ordering::Relaxed);
        self.all.searched.fetch_add(now - before, Ordering::Relaxed);
    }
}

impl Drop for ImageProgress<'_> {
    fn drop(&mut self) {
        self.add(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_image_and_never_to_more() {
        let progress = Progress::default();
        let image = progress.begin(1000);
        image.add(0.25);
        assert_eq!((progress.searched(), progress.begun()), (250, 1000));
        let other = progress.begin(50);
        image.add(0.9);
        assert_eq!((progress.searched(), progress.begun()), (1000, 1050));
        drop(other);
        drop(image);
        assert_eq!((progress.searched(), progress.begun()), (1050, 1050));
    }
}
