use std::collections::BTreeMap;

/// A tensor's numbers in host memory.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorValue {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// The numbers in row-major order.
    pub data: Vec<f32>,
}

impl TensorValue {
    /// Numbers of a shape; `None` where their count does not fit it.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Option<Self> {
        let count = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent))?;
        (count == data.len()).then_some(Self { shape, data })
    }
}

/// A network's tensors by torchvision's key names.
pub type StateDict = BTreeMap<String, TensorValue>;
