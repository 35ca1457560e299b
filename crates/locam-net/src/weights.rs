//! Weights from files, whatever wrote them, and back to safetensors.

use crate::files::{content_error, finish_part, read_error, write_part};
use crate::{NetError, StateDict, TensorValue};
use half::{bf16, f16};
use pytorch_reader::PytorchReader;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

/// What files put in front of a network's own keys: the dictionary it is nested in, and the wrapper that trained it
/// on several devices.
const PREFIXES: [&str; 4] = ["state_dict.", "model_state_dict.", "model.", "module."];

/// Reads weights from a safetensors file or a `PyTorch` checkpoint (zip, legacy or tar container).
///
/// The format is recognised by the content. Weights nested under `state_dict`, `model_state_dict` or `model` are
/// found, the prefix `module.` of parallel training is stripped, and tensors of integers (counters) are passed over.
///
/// # Errors
/// [`NetError::Read`] where the file cannot be read, [`NetError::Content`] where it is neither format, truncated,
/// damaged, or holds no weights.
pub fn read_weights(path: &Path) -> Result<StateDict, NetError> {
    let state = match detect(path)? {
        Format::Safetensors => read_safetensors(path)?,
        Format::Pytorch => read_pytorch(path)?,
    };
    let state = unnested(state);
    if state.is_empty() {
        return Err(content_error(
            path,
            "it holds no tensors of floating-point numbers; give a file of weights",
        ));
    }
    Ok(state)
}

/// Writes weights as safetensors of 32-bit floats, through a temporary file beside it.
///
/// # Errors
/// [`NetError::Write`].
pub fn write_safetensors(path: &Path, state: &StateDict) -> Result<(), NetError> {
    write_part(path, &safetensors_bytes(state, Stored::Full, path)?)?;
    finish_part(path)
}

/// As what weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// 32-bit floats.
    Full,
    /// 16-bit floats (IEEE's, of three digits) for weights of convolutions and heads, which are nearly all of them. Batch
    /// norm's numbers and biases stay at 32 bits, as does a tensor with a number beyond 65504.
    Half,
}

impl Stored {
    /// The type and the bytes of one tensor.
    fn encode(self, value: &TensorValue) -> (Dtype, Vec<u8>) {
        let halves = value.shape.len() > 1 && value.data.iter().all(|&v| f16::from_f32(v).is_finite());
        match self {
            Self::Half if halves => {
                (Dtype::F16, value.data.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect())
            }
            _ => (Dtype::F32, value.data.iter().flat_map(|v| v.to_le_bytes()).collect()),
        }
    }
}

/// The content of a safetensors file; `path` is where it will go, for the error.
pub(crate) fn safetensors_bytes(state: &StateDict, stored: Stored, path: &Path) -> Result<Vec<u8>, NetError> {
    let tensors: Vec<(&String, (Dtype, Vec<u8>))> =
        state.iter().map(|(key, value)| (key, stored.encode(value))).collect();
    let views = tensors.iter().map(|(key, (kind, bytes))| {
        let view = TensorView::new(*kind, state[*key].shape.clone(), bytes)?;
        Ok((key.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    // No metadata: it would be written in the order of a hash.
    views.and_then(|views| safetensors::serialize(views, None)).map_err(|error| {
        content_error(path, format!("the tensors cannot be written as safetensors: {error}"))
    })
}

enum Format {
    Safetensors,
    Pytorch,
}

fn detect(path: &Path) -> Result<Format, NetError> {
    let mut head = Vec::with_capacity(512);
    let file = File::open(path).map_err(|source| read_error(path, source))?;
    file.take(512).read_to_end(&mut head).map_err(|source| read_error(path, source))?;
    let is_tar = head.get(257..262) == Some(b"ustar".as_slice());
    if head.is_empty() {
        return Err(content_error(path, "it is empty; fetch it again"));
    }
    // Safetensors starts with the length of its header in eight bytes, then the header, a JSON object.
    if head.get(8) == Some(&b'{') {
        Ok(Format::Safetensors)
    } else if head.starts_with(b"PK\x03\x04") || head[0] == 0x80 || is_tar {
        Ok(Format::Pytorch)
    } else {
        Err(content_error(path, "it is neither safetensors nor a PyTorch checkpoint; give a file of weights"))
    }
}

fn read_safetensors(path: &Path) -> Result<StateDict, NetError> {
    decode_safetensors(&fs::read(path).map_err(|source| read_error(path, source))?, path)
}

/// The weights in the content of a safetensors file; `path` is where it came from, for the error.
pub(crate) fn decode_safetensors(bytes: &[u8], path: &Path) -> Result<StateDict, NetError> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| {
        content_error(
            path,
            format!("it is a damaged or truncated safetensors file ({error}); fetch it again"),
        )
    })?;
    let mut state = StateDict::new();
    for (key, view) in file.iter() {
        let kind = match view.dtype() {
            Dtype::F64 => Float::F64,
            Dtype::F32 => Float::F32,
            Dtype::F16 => Float::F16,
            Dtype::BF16 => Float::Bf16,
            _ => continue,
        };
        insert(&mut state, path, key, view.shape(), kind.decode(view.data(), ByteOrder::Little))?;
    }
    Ok(state)
}

fn read_pytorch(path: &Path) -> Result<StateDict, NetError> {
    let damaged = |error: &dyn std::fmt::Display| {
        content_error(path, format!("it is no PyTorch checkpoint that can be read ({error}); fetch it again"))
    };
    let length = fs::metadata(path).map_err(|source| read_error(path, source))?.len();
    let reader = PytorchReader::new(path).map_err(|error| damaged(&error))?;
    let mut state = StateDict::new();
    for (key, tensor) in reader.tensors() {
        let kind = match tensor.dtype() {
            pytorch_reader::DType::F64 => Float::F64,
            pytorch_reader::DType::F32 => Float::F32,
            pytorch_reader::DType::F16 => Float::F16,
            pytorch_reader::DType::BF16 => Float::Bf16,
            _ => continue,
        };
        // Weights are stored whole; a view that repeats a few numbers could claim any amount of memory.
        let count = tensor.shape().iter().try_fold(kind.size(), |bytes, &extent| bytes.checked_mul(extent));
        if count.is_none_or(|bytes| bytes as u64 > length) {
            return Err(damaged(&format!(
                "tensor {key} of shape {:?} is larger than the file",
                tensor.shape()
            )));
        }
        let bytes = tensor.read().map_err(|error| damaged(&error))?;
        insert(&mut state, path, key, tensor.shape(), kind.decode(&bytes, ByteOrder::Native))?;
    }
    Ok(state)
}

fn insert(
    state: &mut StateDict,
    path: &Path,
    key: &str,
    shape: &[usize],
    data: Vec<f32>,
) -> Result<(), NetError> {
    let count = data.len();
    let value = TensorValue::new(shape.to_vec(), data).ok_or_else(|| {
        content_error(path, format!("tensor {key} has {count} numbers for shape {shape:?}; fetch it again"))
    })?;
    state.insert(key.to_owned(), value);
    Ok(())
}

#[derive(Clone, Copy)]
enum Float {
    F64,
    F32,
    F16,
    Bf16,
}

#[derive(Clone, Copy)]
enum ByteOrder {
    Little,
    Native,
}

impl Float {
    fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    fn decode(self, bytes: &[u8], order: ByteOrder) -> Vec<f32> {
        match self {
            Self::F64 => numbers(bytes, order, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => numbers(bytes, order, f32::from_le_bytes),
            Self::F16 => numbers(bytes, order, |b| f16::from_le_bytes(b).to_f32()),
            Self::Bf16 => numbers(bytes, order, |b| bf16::from_le_bytes(b).to_f32()),
        }
    }
}

/// Numbers of `N` bytes each.
fn numbers<const N: usize>(bytes: &[u8], order: ByteOrder, from: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let swap = cfg!(target_endian = "big") && matches!(order, ByteOrder::Native);
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks
        .iter()
        .map(|&chunk| {
            let mut chunk = chunk;
            if swap {
                chunk.reverse();
            }
            from(chunk)
        })
        .collect()
}

/// Takes prefixes off as long as some key has one; what lies beside a nested dictionary (an optimiser's state) goes.
fn unnested(mut state: StateDict) -> StateDict {
    while let Some(prefix) = PREFIXES.iter().find(|prefix| state.keys().any(|key| key.starts_with(**prefix)))
    {
        let inside =
            |(key, value): (String, TensorValue)| Some((key.strip_prefix(prefix)?.to_owned(), value));
        state = state.into_iter().filter_map(inside).collect();
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::PathBuf;

    fn value(data: &[f32]) -> TensorValue {
        TensorValue { shape: vec![data.len()], data: data.to_vec() }
    }

    fn example() -> StateDict {
        let mut state = StateDict::new();
        state.insert("a.weight".into(), TensorValue { shape: vec![2, 3], data: vec![0.5; 6] });
        state.insert("b".into(), value(&[1.0, -2.5, f32::MIN_POSITIVE]));
        state
    }

    fn written(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn message(bytes: &[u8]) -> String {
        let (_folder, path) = written(bytes);
        read_weights(&path).unwrap_err().to_string()
    }

    #[test]
    fn safetensors_go_there_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        write_safetensors(&path, &example()).unwrap();
        assert_eq!(read_weights(&path).unwrap(), example());
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert_eq!(names, ["w.safetensors"]);
        write_safetensors(&folder.path().join("again"), &example()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), fs::read(folder.path().join("again")).unwrap());
    }

    #[test]
    fn half_precision_is_widened_and_integers_are_passed_over() {
        let halves: Vec<u8> = [1.5f32, -0.25].iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
        let brains: Vec<u8> = [3.0f32, -8.0].iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
        let count = 7i64.to_le_bytes();
        let views = [
            ("h", TensorView::new(Dtype::F16, vec![2], &halves).unwrap()),
            ("b", TensorView::new(Dtype::BF16, vec![2], &brains).unwrap()),
            ("bn.num_batches_tracked", TensorView::new(Dtype::I64, vec![], &count).unwrap()),
        ];
        let (_folder, path) = written(&safetensors::serialize(views, None).unwrap());
        let state = read_weights(&path).unwrap();
        assert_eq!(state["h"], value(&[1.5, -0.25]));
        assert_eq!(state["b"], value(&[3.0, -8.0]));
        assert_eq!(state.len(), 2);
    }

    #[test]
    fn matrices_are_stored_in_halves_unless_too_large_and_vectors_are_not() {
        let matrix = |data: [f32; 2]| TensorValue { shape: vec![1, 2], data: data.to_vec() };
        let state: StateDict = [
            ("large", matrix([70_000.0, 1.0 / 3.0])),
            ("small", matrix([1.0 / 3.0, -2.0])),
            ("vector", value(&[1.0 / 3.0])),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        let (_folder, path) = written(&safetensors_bytes(&state, Stored::Half, Path::new("x")).unwrap());
        let read = read_weights(&path).unwrap();
        assert_eq!((&read["large"], &read["vector"]), (&state["large"], &state["vector"]));
        assert_eq!(read["small"], matrix([f16::from_f32(1.0 / 3.0).to_f32(), -2.0]));
    }

    #[test]
    fn nested_and_wrapped_keys_are_found() {
        let nested: StateDict = [
            ("state_dict.module.conv1.weight", value(&[1.0])),
            ("state_dict.module.fc.bias", value(&[2.0])),
            ("optimizer.state.0.exp_avg", value(&[3.0])),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        let keys: Vec<String> = unnested(nested).into_keys().collect();
        assert_eq!(keys, ["conv1.weight", "fc.bias"]);
    }

    #[test]
    fn files_that_are_no_weights_are_told_apart() {
        assert!(message(b"").contains("it is empty"));
        assert!(
            message(b"hello, this is not a network").contains("neither safetensors nor a PyTorch checkpoint")
        );
        assert!(message(b"PK\x03\x04 and no more").contains("no PyTorch checkpoint that can be read"));
        // A pickled dictionary {'a': 1}.
        assert!(message(b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s.").contains("no tensors"));
        let oversized = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
        assert!(message(&oversized).contains("damaged or truncated safetensors"));
        let missing = read_weights(Path::new("/no/such/file")).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read /no/such/file"), "{missing}");
    }

    proptest! {
        #[test]
        fn truncated_safetensors_are_errors(share in 0.0f64..1.0) {
            let bytes = safetensors_bytes(&example(), Stored::Full, Path::new("x")).unwrap();
            let cut = (bytes.len() as f64 * share) as usize;
            let (_folder, path) = written(&bytes[..cut]);
            prop_assert!(read_weights(&path).is_err());
        }

        #[test]
        fn changed_bytes_never_panic(place in 0usize..200, byte: u8) {
            let mut bytes = safetensors_bytes(&example(), Stored::Full, Path::new("x")).unwrap();
            let place = place % bytes.len();
            bytes[place] = byte;
            let (_folder, path) = written(&bytes);
            let _ = read_weights(&path);
        }
    }
}
