//! Devices by name.

use std::num::NonZero;
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

/// The names [`device`] takes. What is to be filled in is in capitals. `cpu:THREADS` is the CPU with so many threads for
/// each lane; a `cuda` takes a number, and `,graph`.
pub fn known_devices() -> Vec<String> {
    let simulated = nbuffer_sim::built_in().map(|name| format!("sim:{name}"));
    let mut known: Vec<String> = std::iter::once("cpu".to_owned()).chain(simulated).collect();
    known.push("sim:FILE.toml".to_owned());
    #[cfg(feature = "cuda")]
    known.push("cuda".to_owned());
    #[cfg(feature = "metis")]
    known.extend(["metis".to_owned(), "metis:NAME".to_owned()]);
    #[cfg(feature = "opencl")]
    known.extend(["opencl".to_owned(), "opencl:PLATFORM:DEVICE".to_owned()]);
    known
}

/// The device of this name, computing values with `engine`.
///
/// `cpu` has a lane of one thread for each core, which gives the most items a second; `cpu:2` has lanes of two threads,
/// and half as many.
///
/// # Errors
///
/// When there is no such device, or its profile does not load.
pub fn device(name: &str, engine: &Arc<dyn Engine>) -> Result<Box<dyn Device>, OpenError> {
    match name.split_once(':') {
        None if name == "cpu" => Ok(Box::new(CpuDevice::new(Arc::clone(engine), 1))),
        Some(("cpu", threads)) if threads.parse::<NonZero<usize>>().is_ok() => {
            let threads = threads.parse::<NonZero<usize>>().map_or(1, NonZero::get);
            Ok(Box::new(CpuDevice::new(Arc::clone(engine), threads)))
        }
        #[cfg(feature = "metis")]
        None if name == "metis" => Ok(Box::new(nbuffer_axruntime::AxDevice::new(None, None))),
        #[cfg(feature = "metis")]
        Some(("metis", wanted)) if !wanted.is_empty() => {
            Ok(Box::new(nbuffer_axruntime::AxDevice::new(Some(wanted), None)))
        }
        Some(("sim", profile))
            if nbuffer_sim::built_in().any(|known| known == profile)
                || Path::new(profile).extension().is_some_and(|e| e == "toml") =>
        {
            Ok(Box::new(nbuffer_sim::open(profile, Arc::clone(engine))?))
        }
        #[cfg(feature = "opencl")]
        _ if name == "opencl" || name.starts_with("opencl:") => {
            Ok(Box::new(nbuffer_opencl::OpenClDevice::new(name)))
        }
        #[cfg(feature = "cuda")]
        _ if name.starts_with("cuda") => Ok(Box::new(nbuffer_cuda::CudaDevice::new(name)?)),
        _ => Err(OpenError::Unknown { name: name.to_owned() }),
    }
}
