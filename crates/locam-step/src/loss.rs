/// Cross-entropy as `PyTorch`'s `CrossEntropyLoss` computes it, with class weights and label smoothing (Szegedy et al.,
/// "Rethinking the Inception Architecture for Computer Vision", 2016).
///
/// With t the share of class c in image n, w the class's weight, e the smoothing and K the number of classes:
///
/// ```text
/// loss = sum of w[c] * ((1 - e) * t[n, c] + e / K) * -log softmax(logits[n])[c] over n and c
///        / sum of w[c] * t[n, c] over n and c
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CrossEntropy {
    /// The part of each target that is spread evenly over all classes, from 0 to below 1.
    pub label_smoothing: f64,
    /// How much an image of each class counts. Only their ratios matter to the loss.
    pub class_weights: Vec<f64>,
}

/// What the logits of a batch are compared with: per image, how much each class's negative log-softmax counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Targets {
    classes: usize,
    weights: Vec<f64>,
    total: f64,
}

impl CrossEntropy {
    /// Without smoothing, every class counting the same.
    pub fn plain(classes: usize) -> Self {
        Self { label_smoothing: 0.0, class_weights: vec![1.0; classes] }
    }

    /// The targets of images that each show one class.
    ///
    /// # Panics
    /// If a label is no class.
    pub fn targets_of_labels(&self, labels: &[usize]) -> Targets {
        let classes = self.class_weights.len();
        let mut shares = vec![0.0; labels.len() * classes];
        for (row, &label) in shares.chunks_exact_mut(classes).zip(labels) {
            row[label] = 1.0;
        }
        self.targets(&shares)
    }

    /// The targets of images with the share of each class: [images, classes], rows that sum to 1.
    pub fn targets(&self, shares: &[f64]) -> Targets {
        let classes = self.class_weights.len();
        let kept = 1.0 - self.label_smoothing;
        let spread = self.label_smoothing / classes as f64;
        let rows = || shares.chunks_exact(classes).flat_map(|row| row.iter().zip(&self.class_weights));
        Targets {
            classes,
            weights: rows().map(|(share, weight)| weight * (kept * share + spread)).collect(),
            total: rows().map(|(share, weight)| weight * share).sum(),
        }
    }
}

impl Targets {
    /// How many images these are.
    pub fn images(&self) -> usize {
        self.weights.len() / self.classes
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// What each class's negative log-softmax counts in the batch's loss: [images, classes].
    pub fn coefficients(&self) -> impl Iterator<Item = f64> {
        self.weights.iter().map(|weight| weight / self.total)
    }

    /// The loss of a batch's logits, and its gradient to them: [images, classes].
    pub fn loss(&self, logits: &[Vec<f32>]) -> (f64, Vec<f32>) {
        let (mut loss, mut to_logits) = (0.0, Vec::with_capacity(self.weights.len()));
        for (row, weights) in logits.iter().zip(self.weights.chunks_exact(self.classes)) {
            let highest = row.iter().fold(f64::NEG_INFINITY, |highest, &logit| highest.max(f64::from(logit)));
            let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - highest).exp()).sum();
            let counted: f64 = weights.iter().sum();
            for (&logit, &weight) in row.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
                loss += weight * (highest + sum.ln() - f64::from(logit));
            }
            to_logits.extend(row.iter().zip(weights).map(|(&logit, &weight)| {
                let probability = (f64::from(logit) - highest).exp() / sum;
                ((probability * counted - weight) / self.total) as f32
            }));
        }
        (loss / self.total, to_logits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        label_smoothing: f64,
        class_weights: [f64; 3],
        shares: [f64; 6],
        loss: f64,
    }

    /// Negative log-softmax of the rows below: each row's log of the sum of exponentials, less the logit.
    const LOGITS: [[f32; 3]; 2] = [[2.0, 0.0, 0.0], [0.0, 1.0, -1.0]];

    #[test]
    fn losses_are_those_of_the_formula_by_hand() {
        // -log softmax: 0.239545, 2.239545, 2.239545 and 1.407606, 0.407606, 2.407606.
        let first_and_third = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let cases = [
            // (0.239545 + 2.407606) / 2
            Case {
                label_smoothing: 0.0,
                class_weights: [1.0; 3],
                shares: first_and_third,
                loss: 1.323_575_4,
            },
            // 0.9 of that, and 0.1 of (4.718634 + 4.222818) / 3 / 2
            Case { label_smoothing: 0.1, class_weights: [1.0; 3], shares: first_and_third, loss: 1.340_242 },
            // (1 * 0.239545 + 4 * 2.407606) / (1 + 4)
            Case {
                label_smoothing: 0.0,
                class_weights: [1.0, 2.0, 4.0],
                shares: first_and_third,
                loss: 1.973_993_7,
            },
            // 0.9 of that, and 0.1 / 3 of (1 * 0.239545 + 2 * 2.239545 + 4 * 2.239545, 1 * 1.407606 + 2 * 0.407606
            // + 4 * 2.407606) / 5
            Case {
                label_smoothing: 0.1,
                class_weights: [1.0, 2.0, 4.0],
                shares: first_and_third,
                loss: 1.946_794_7,
            },
            // (0.75 * 0.239545 + 0.25 * 2.239545 + 1.407606) / 2
            Case {
                label_smoothing: 0.0,
                class_weights: [1.0; 3],
                shares: [0.75, 0.25, 0.0, 1.0, 0.0, 0.0],
                loss: 1.073_575_4,
            },
        ];
        for Case { label_smoothing, class_weights, shares, loss } in cases {
            let entropy = CrossEntropy { label_smoothing, class_weights: class_weights.to_vec() };
            let (found, _) = entropy.targets(&shares).loss(&LOGITS.map(Vec::from));
            assert!((found - loss).abs() < 1e-6, "{found} instead of {loss}: {entropy:?}");
        }
    }

    #[test]
    fn gradients_are_finite_differences_of_the_loss() {
        let entropy = CrossEntropy { label_smoothing: 0.2, class_weights: vec![0.5, 1.0, 3.0] };
        let targets = entropy.targets(&[0.25, 0.75, 0.0, 0.0, 0.0, 1.0]);
        let logits = LOGITS.map(Vec::from);
        let (_, gradient) = targets.loss(&logits);
        for place in 0..6 {
            let moved = |by: f32| {
                let mut logits = logits.clone();
                logits[place / 3][place % 3] += by;
                targets.loss(&logits).0
            };
            let slope = (moved(0.0625) - moved(-0.0625)) / 0.125;
            assert!((f64::from(gradient[place]) - slope).abs() < 1e-3, "{place}: {gradient:?}, {slope}");
        }
    }

    #[test]
    fn coefficients_sum_to_one_without_weights() {
        let entropy = CrossEntropy { label_smoothing: 0.3, ..CrossEntropy::plain(4) };
        let targets = entropy.targets_of_labels(&[3, 0, 0]);
        assert_eq!((targets.images(), targets.classes()), (3, 4));
        assert!((targets.coefficients().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
