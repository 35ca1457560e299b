/// How often each true class was taken for each class: one row per true class, one column per predicted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// An empty matrix for so many classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// The matrix of (truth, prediction) pairs.
    ///
    /// # Panics
    /// If a class is not below `classes`.
    pub fn from_pairs(classes: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut matrix = Self::new(classes);
        for (truth, predicted) in pairs {
            matrix.record(truth, predicted);
        }
        matrix
    }

    /// Counts one prediction.
    ///
    /// # Panics
    /// If a class is not one of the matrix's.
    pub fn record(&mut self, truth: usize, predicted: usize) {
        let place = self.place(truth, predicted);
        self.counts[place] += 1;
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How often `truth` was taken for `predicted`.
    ///
    /// # Panics
    /// If a class is not one of the matrix's.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[self.place(truth, predicted)]
    }

    /// The share of predictions that are right; 0 where there are none.
    pub fn accuracy(&self) -> f64 {
        let right = (0..self.classes).map(|class| self.count(class, class)).sum();
        share(right, self.counts.iter().sum()).unwrap_or(0.0)
    }

    /// The mean over classes of the share of their examples that are right, those without examples left out: chance is
    /// one over the number of classes, however the examples are shared out. `None` without examples.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        let recalls: Vec<f64> = (0..self.classes).filter_map(|class| self.recall(class)).collect();
        (!recalls.is_empty()).then(|| recalls.iter().sum::<f64>() / recalls.len() as f64)
    }

    /// Of what was taken for `class`, the share that is of it; `None` where nothing was.
    pub fn precision(&self, class: usize) -> Option<f64> {
        share(self.count(class, class), (0..self.classes).map(|truth| self.count(truth, class)).sum())
    }

    /// Of what is of `class`, the share that was taken for it; `None` where nothing is.
    pub fn recall(&self, class: usize) -> Option<f64> {
        share(self.count(class, class), self.row_total(class))
    }

    /// How many examples are of class `truth`.
    pub fn row_total(&self, truth: usize) -> u64 {
        (0..self.classes).map(|predicted| self.count(truth, predicted)).sum()
    }

    fn place(&self, truth: usize, predicted: usize) -> usize {
        let classes = self.classes;
        assert!(truth < classes && predicted < classes, "({truth}, {predicted}) is not of {classes} classes");
        truth * classes + predicted
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;

    #[test]
    fn rows_are_truths_and_columns_predictions() {
        let matrix = ConfusionMatrix::from_pairs(3, [(0, 0), (0, 1), (1, 1), (1, 1)]);
        assert_eq!((matrix.count(0, 1), matrix.count(1, 0)), (1, 0));
        assert!(matrix.accuracy() == 0.75);
        assert_eq!((matrix.recall(0), matrix.balanced_accuracy()), (Some(0.5), Some(0.75)));
        assert_eq!(matrix.precision(1), Some(2.0 / 3.0));
        assert_eq!((matrix.recall(2), matrix.precision(2)), (None, None));
    }

    #[test]
    fn nothing_seen_is_nothing_right() {
        assert!(ConfusionMatrix::new(2).accuracy() == 0.0);
    }
}
