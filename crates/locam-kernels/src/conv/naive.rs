use crate::{ConvParams, Extent};

/// A convolution by its definition, in `f64`.
///
/// `input` is channels-last; `weight` is output channels, input channels per group, rows, columns. The result is
/// channels-last.
///
/// # Panics
/// If the parameters make no sense or a slice has the wrong length.
pub fn naive_convolution(params: ConvParams, extent: Extent, input: &[f32], weight: &[f32]) -> Vec<f64> {
    let output = params.output(extent).expect("parameters that make sense");
    let mut sums = vec![0f64; output.pixels() * params.channels_out];
    for_each_product(params, extent, |out, inp, w| {
        sums[out] += f64::from(input[inp]) * f64::from(weight[w]);
    });
    sums
}

/// The gradients of a convolution by its definition, in `f64`: to the input and to the weight, shaped as these.
///
/// # Panics
/// If the parameters make no sense or a slice has the wrong length.
pub fn naive_convolution_gradients(
    params: ConvParams,
    extent: Extent,
    input: &[f32],
    weight: &[f32],
    gradient: &[f32],
) -> (Vec<f64>, Vec<f64>) {
    let (mut to_input, mut to_weight) = (vec![0f64; input.len()], vec![0f64; weight.len()]);
    for_each_product(params, extent, |out, inp, w| {
        to_input[inp] += f64::from(gradient[out]) * f64::from(weight[w]);
        to_weight[w] += f64::from(gradient[out]) * f64::from(input[inp]);
    });
    (to_input, to_weight)
}

/// Calls `visit` with the places in output, input and weight of every product that a convolution sums.
fn for_each_product(params: ConvParams, extent: Extent, mut visit: impl FnMut(usize, usize, usize)) {
    let output = params.output(extent).expect("parameters that make sense");
    let ConvParams { channels_in, channels_out, kernel, stride, padding, groups } = params;
    let (ins, outs) = (channels_in / groups, channels_out / groups);
    for pixel in 0..output.pixels() {
        let (row, x) = (pixel / output.width, pixel % output.width);
        let (image, y) = (row / output.height, row % output.height);
        for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
            let (iy, ix) = (y * stride + ky, x * stride + kx);
            let inside = |at: usize, length: usize| at >= padding && at - padding < length;
            if !inside(iy, extent.height) || !inside(ix, extent.width) {
                continue;
            }
            let source = (image * extent.height + iy - padding) * extent.width + ix - padding;
            for k in 0..channels_out {
                for c in 0..ins {
                    let weight = ((k * ins + c) * kernel + ky) * kernel + kx;
                    visit(pixel * channels_out + k, source * channels_in + k / outs * ins + c, weight);
                }
            }
        }
    }
}
