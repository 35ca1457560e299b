//! The Gaussian blur of generated and of augmented pictures, with the edge pixels repeated outside.

/// Weights that sum to 1, out to three standard deviations each way.
pub(crate) fn gaussian(sigma: f32) -> Vec<f32> {
    let radius = (3.0 * sigma).ceil() as i32;
    let weights: Vec<f32> = (-radius..=radius).map(|i| (-0.5 * (i as f32 / sigma).powi(2)).exp()).collect();
    let sum: f32 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// Adds one row of a picture, blurred along itself, to `out`.
pub(crate) fn add_blurred_row(out: &mut [[f32; 3]], row: &[[f32; 3]], kernel: &[f32]) {
    let radius = kernel.len() / 2;
    let mut padded = vec![row[0]; radius];
    padded.extend_from_slice(row);
    padded.resize(row.len() + 2 * radius, row[row.len() - 1]);
    for (step, &weight) in kernel.iter().enumerate() {
        add_weighted(out, &padded[step..step + row.len()], weight);
    }
}

/// Adds row `row` of a picture as wide as `out`, blurred along the columns, to `out`.
pub(crate) fn add_blurred_columns(out: &mut [[f32; 3]], picture: &[[f32; 3]], row: usize, kernel: &[f32]) {
    let width = out.len();
    let height = picture.len() / width;
    for (step, &weight) in kernel.iter().enumerate() {
        let source = (row + step).saturating_sub(kernel.len() / 2).min(height - 1);
        add_weighted(out, &picture[source * width..][..width], weight);
    }
}

/// A whole picture blurred both ways.
pub(crate) fn blurred(picture: &[[f32; 3]], width: usize, sigma: f32) -> Vec<[f32; 3]> {
    let kernel = gaussian(sigma);
    let mut across = vec![[0.0; 3]; picture.len()];
    for (out, row) in across.chunks_exact_mut(width).zip(picture.chunks_exact(width)) {
        add_blurred_row(out, row, &kernel);
    }
    let mut both = vec![[0.0; 3]; picture.len()];
    for (row, out) in both.chunks_exact_mut(width).enumerate() {
        add_blurred_columns(out, &across, row, &kernel);
    }
    both
}

fn add_weighted(sums: &mut [[f32; 3]], row: &[[f32; 3]], weight: f32) {
    for (sum, value) in sums.as_flattened_mut().iter_mut().zip(row.as_flattened()) {
        *sum += weight * value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_pictures_stay_and_a_dot_is_spread_by_its_sigma() {
        let flat = vec![[7.0, 8.0, 9.0]; 12];
        for pixel in blurred(&flat, 4, 1.3) {
            assert!((pixel[0] - 7.0).abs() < 1e-4 && (pixel[2] - 9.0).abs() < 1e-4);
        }
        let mut dot = vec![[0.0; 3]; 31 * 21];
        dot[10 * 31 + 15] = [1.0; 3];
        let spread = blurred(&dot, 31, 2.0);
        for middle_and_place in [|i: usize| (15.0, i % 31), |i: usize| (10.0, i / 31)] {
            let moment = |(i, pixel): (usize, &[f32; 3])| {
                let (middle, place) = middle_and_place(i);
                pixel[1] * (place as f32 - middle).powi(2)
            };
            let variance: f32 = spread.iter().enumerate().map(moment).sum();
            assert!((variance - 4.0).abs() < 0.2, "{variance}");
        }
    }
}
