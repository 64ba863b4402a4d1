//! NVIDIA GPUs as devices.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use nbuffer_runtime::model::Model;
use nbuffer_runtime::{Device, DeviceError, DeviceInfo, Program};

use crate::driver::{Attribute, Context, Failure, Gpu, driver, gpu, gpus};
use crate::program::{CudaProgram, Prepared};
use crate::work::Work;

/// Compute mode in which no context can be made.
const PROHIBITED: u32 = 2;

/// A name that is no CUDA device.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is no CUDA device: it is `cuda`, or `cuda:N` with the number of a GPU, and `,graph` after either"
)]
pub struct NameError {
    /// The name given.
    pub name: String,
}

/// A GPU by its number, which may or may not be here.
///
/// Programs prepared by one value share the GPU's context, and so does everything else in the process that uses its primary
/// context. An error that spoils the context, such as a kernel's access to memory that is not its own, spoils it for all.
#[derive(Debug)]
pub struct CudaDevice {
    name: String,
    ordinal: u16,
    graphs: bool,
    found: OnceLock<Found>,
    context: Mutex<Option<Arc<Context>>>,
}

/// A GPU that is here.
#[derive(Clone, Debug)]
struct Found {
    gpu: Gpu,
    name: String,
    memory_bytes: u64,
    capability: (u32, u32),
    copy_engines: u32,
    /// CUDA version of the driver: 12040 is 12.4.
    driver: i32,
}

impl CudaDevice {
    /// The device called `cuda` (GPU 0), `cuda:N`, or either with `,graph` behind it: then each item is launched with one
    /// call, as a CUDA graph that was captured when its pair of buffer sets first came up.
    ///
    /// Nothing is looked for: see [`check`](Device::check).
    ///
    /// # Errors
    ///
    /// When the name is none of these.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let unknown = || NameError { name: name.to_owned() };
        let rest = name.strip_prefix("cuda").ok_or_else(unknown)?;
        let (number, graphs) = rest.strip_suffix(",graph").map_or((rest, false), |number| (number, true));
        let ordinal = match number.strip_prefix(':') {
            None if number.is_empty() => 0,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| unknown())?
            }
            _ => return Err(unknown()),
        };
        let (name, found, context) = (name.to_owned(), OnceLock::new(), Mutex::default());
        Ok(CudaDevice { name, ordinal, graphs, found, context })
    }

    fn unavailable(&self, why: impl Into<String>) -> DeviceError {
        DeviceError::Unavailable { device: self.name.clone(), why: why.into() }
    }

    fn find(&self) -> Result<&Found, DeviceError> {
        if let Some(found) = self.found.get() {
            return Ok(found);
        }
        let driver = driver().map_err(|why| self.unavailable(why))?;
        let failed = |failure: Failure| self.unavailable(failure.with_advice());
        let count = gpus().map_err(failed)?;
        if usize::from(self.ordinal) >= count {
            let there = match count {
                0 => "no NVIDIA GPU is visible; see `nvidia-smi`, and whether CUDA_VISIBLE_DEVICES hides it"
                    .into(),
                1 => "there is one GPU, number 0".into(),
                count => format!("there are {count} GPUs, 0 to {}", count - 1),
            };
            return Err(self.unavailable(there));
        }
        let found = look_at(self.ordinal, driver.version).map_err(failed)?;
        Ok(self.found.get_or_init(|| found))
    }

    fn context(&self) -> Result<Arc<Context>, DeviceError> {
        let gpu = self.find()?.gpu;
        let mut context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = &*context {
            return Ok(Arc::clone(context));
        }
        let made = Context::new(gpu).map_err(|failure| self.unavailable(failure.with_advice()))?;
        Ok(Arc::clone(context.insert(made)))
    }
}

impl CudaDevice {
    /// Loads what a model computes.
    pub(crate) fn load(&self, model: &Model) -> Result<(Arc<Context>, Work), DeviceError> {
        self.check()?;
        // A model put together by hand has not been through `Model::open`.
        model.check_kernel()?;
        let context = self.context()?;
        let work = Work::of(model, &self.name, &context)?;
        Ok((context, work))
    }
}

fn look_at(ordinal: u16, driver: i32) -> Result<Found, Failure> {
    let gpu = gpu(ordinal)?;
    Ok(Found {
        gpu,
        name: gpu.name()?,
        memory_bytes: gpu.memory_bytes()?,
        capability: (
            gpu.attribute(Attribute::COMPUTE_CAPABILITY_MAJOR)?,
            gpu.attribute(Attribute::COMPUTE_CAPABILITY_MINOR)?,
        ),
        copy_engines: gpu.attribute(Attribute::ASYNC_ENGINES)?,
        driver,
    })
}

impl Found {
    /// `NVIDIA H100 PCIe, compute capability 9.0, 3 copy engines, driver for CUDA 12.4`.
    fn describe(&self) -> String {
        let (major, minor) = self.capability;
        let plural = if self.copy_engines == 1 { "" } else { "s" };
        format!(
            "{}, compute capability {major}.{minor}, {} copy engine{plural}, driver for CUDA {}.{}",
            self.name,
            self.copy_engines,
            self.driver / 1000,
            self.driver % 1000 / 10
        )
    }
}

impl Device for CudaDevice {
    /// Of a GPU that has been [checked](Device::check), what it is; before that, what can be said of any.
    fn info(&self) -> DeviceInfo {
        let found = self.found.get();
        DeviceInfo {
            name: self.name.clone(),
            description: found.map_or_else(|| format!("NVIDIA GPU {}", self.ordinal), Found::describe),
            // One lane has the GPU's copy engines and its multiprocessors; a second would share them.
            cores: 1,
            memory_bytes: found.map(|found| found.memory_bytes),
            double_buffer: false,
            queued: true,
            // With one copy engine the directions take turns.
            half_duplex: found.is_some_and(|found| found.copy_engines < 2),
        }
    }

    fn check(&self) -> Result<(), DeviceError> {
        let found = self.find()?;
        // It can be changed while the machine runs.
        match found.gpu.attribute(Attribute::COMPUTE_MODE) {
            Ok(PROHIBITED) => Err(self.unavailable(
                "the GPU's compute mode is `prohibited`; `nvidia-smi -c DEFAULT` allows computing on it",
            )),
            Ok(_) => Ok(()),
            Err(failure) => Err(self.unavailable(failure.with_advice())),
        }
    }

    fn prepare(&self, model: &Arc<Model>, lanes: usize) -> Result<Arc<dyn Program>, DeviceError> {
        // Lanes share the GPU; there is no limit to how many.
        let _ = lanes;
        let (context, work) = self.load(model)?;
        let prepared = Prepared { device: self.name.clone(), context, work, graphs: self.graphs };
        let how = if self.graphs { "each item launched as a CUDA graph" } else { "three streams" };
        let remark = format!("{}: {}; {how}", self.name, self.find()?.describe());
        Ok(Arc::new(CudaProgram::new(prepared, model, remark)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |name: &str, expected: Option<(u16, bool)>| {
            let device = CudaDevice::new(name).ok().map(|device| (device.ordinal, device.graphs));
            assert_eq!(device, expected, "{name}");
        };
        check("cuda", Some((0, false)));
        check("cuda:0", Some((0, false)));
        check("cuda:3,graph", Some((3, true)));
        check("cuda,graph", Some((0, true)));
        for name in
            ["cud", "cuda:", "cuda:x", "cuda:-1", "cuda:+1", "cuda:99999", "cuda0", "cuda:0,graphs", "cuda,"]
        {
            check(name, None);
        }
    }
}
