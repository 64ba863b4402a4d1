//! Devices by name.

use std::path::Path;
use std::sync::Arc;

use nbuffer_onnx::CpuDevice;
use nbuffer_runtime::{Device, Engine, EngineError};
use nbuffer_sim::ProfileError;

/// Why a device cannot be opened by this name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no device of this name.
    #[error("there is no device `{name}`; known are {}", known_devices().join(", "))]
    Unknown {
        /// The name.
        name: String,
    },
    /// A simulated device's profile does not load.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A CUDA device is named in another way.
    #[cfg(feature = "cuda")]
    #[error(transparent)]
    Cuda(#[from] nbuffer_cuda::NameError),
    /// The engine is not here.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The names [`device`] takes; one with `FILE` in it is a pattern. A `cuda` takes a number, and `,graph`.
pub fn known_devices() -> Vec<String> {
    let simulated = nbuffer_sim::built_in().map(|name| format!("sim:{name}"));
    let cuda = cfg!(feature = "cuda").then(|| "cuda".to_owned());
    std::iter::once("cpu".to_owned())
        .chain(simulated)
        .chain(["sim:FILE.toml".to_owned()])
        .chain(cuda)
        .collect()
}

/// The device of this name, computing values with `engine`.
///
/// # Errors
///
/// When there is no such device, or its profile does not load.
pub fn device(name: &str, engine: &Arc<dyn Engine>) -> Result<Box<dyn Device>, OpenError> {
    match name.split_once(':') {
        None if name == "cpu" => Ok(Box::new(CpuDevice::new(Arc::clone(engine), 1))),
        Some(("sim", profile))
            if nbuffer_sim::built_in().any(|known| known == profile)
                || Path::new(profile).extension().is_some_and(|e| e == "toml") =>
        {
            Ok(Box::new(nbuffer_sim::open(profile, Arc::clone(engine))?))
        }
        #[cfg(feature = "cuda")]
        _ if name.starts_with("cuda") => Ok(Box::new(nbuffer_cuda::CudaDevice::new(name)?)),
        _ => Err(OpenError::Unknown { name: name.to_owned() }),
    }
}
