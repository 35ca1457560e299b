use crate::NetError;
use burn::tensor::Device;
use std::{fmt, str::FromStr};

/// Where tensors live and are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceChoice {
    /// The first of CUDA, wgpu and the CPU that is built in and there.
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU through CUDA.
    Cuda,
    /// A GPU through Vulkan, Metal or DirectX.
    Wgpu,
}

impl DeviceChoice {
    const ALL: [(Self, &str); 4] =
        [(Self::Auto, "auto"), (Self::Cpu, "cpu"), (Self::Cuda, "cuda"), (Self::Wgpu, "wgpu")];
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(choice, _)| choice == self).map_or("", |(_, name)| name);
        f.pad(name)
    }
}

impl FromStr for DeviceChoice {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(choice, _)| *choice).ok_or_else(|| {
            NetError::Device(format!("unknown device `{text}`; the known ones are auto, cpu, cuda, wgpu"))
        })
    }
}

/// What computes.
#[derive(Clone, Debug)]
pub enum Compute {
    /// Our kernels on the CPU.
    Cpu,
    /// Burn on another device, without automatic differentiation.
    Burn(Device),
}

/// What computes on the chosen device, and how to call it in a message.
///
/// # Errors
/// [`NetError::Device`] where the choice is not built into this program, or no such device is there.
pub fn select(choice: DeviceChoice) -> Result<(Compute, String), NetError> {
    match choice {
        DeviceChoice::Cpu => Ok(cpu()),
        DeviceChoice::Cuda => cuda(),
        DeviceChoice::Wgpu => wgpu(),
        DeviceChoice::Auto => Ok(cuda().or_else(|_| wgpu()).unwrap_or_else(|_| cpu())),
    }
}

fn cpu() -> (Compute, String) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    (Compute::Cpu, format!("CPU ({threads} threads)"))
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<(Compute, String), NetError> {
    first(burn::tensor::DeviceType::Cuda, "CUDA")
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<(Compute, String), NetError> {
    Err(not_built_in("cuda"))
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<(Compute, String), NetError> {
    first(burn::tensor::DeviceType::Wgpu, "wgpu")
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Result<(Compute, String), NetError> {
    Err(not_built_in("wgpu"))
}

/// The first device of a kind. A driver that is missing makes the runtime panic while it looks for devices, which
/// means the same as no device.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn first(kind: burn::tensor::DeviceType, name: &str) -> Result<(Compute, String), NetError> {
    let found = std::panic::catch_unwind(|| Device::enumerate(kind).into_iter().next());
    found.ok().flatten().map(|device| (Compute::Burn(device), name.to_owned())).ok_or_else(|| {
        NetError::Device(format!("no {name} device was found; check its driver, or choose another device"))
    })
}

#[cfg(not(all(feature = "cuda", feature = "wgpu")))]
fn not_built_in(feature: &str) -> NetError {
    NetError::Device(format!(
        "device `{feature}` is not built into this program; build it with `cargo build --release --features {feature}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_to_text_and_back() {
        for (choice, name) in DeviceChoice::ALL {
            assert_eq!(choice.to_string(), name);
            assert_eq!(name.parse::<DeviceChoice>().unwrap(), choice);
        }
        let error = "gpu".parse::<DeviceChoice>().unwrap_err().to_string();
        assert_eq!(error, "unknown device `gpu`; the known ones are auto, cpu, cuda, wgpu");
    }

    #[test]
    fn the_processor_is_always_there() {
        let (compute, name) = select(DeviceChoice::Cpu).unwrap();
        assert!(matches!(compute, Compute::Cpu) && name.starts_with("CPU ("));
        select(DeviceChoice::Auto).unwrap();
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn what_is_not_built_in_says_how_to_build_it() {
        let error = select(DeviceChoice::Cuda).unwrap_err().to_string();
        assert!(error.contains("--features cuda"), "{error}");
    }
}
