//! An OpenCL device as the runtime sees it.

use std::sync::{Arc, Mutex, PoisonError};

use nbuffer_runtime::{Device, DeviceError, DeviceInfo, Model, Program};

use crate::find::{self, Found};
use crate::hardware::Hardware;
use crate::program::OpenClProgram;

/// A device with an OpenCL driver, or the lack of one.
///
/// One value is one device: programs prepared by it share its context and what is known of its memory.
#[derive(Debug)]
pub struct OpenClDevice {
    name: String,
    /// The device, or why there is none.
    found: Result<Found, String>,
    /// In use from the first model on.
    hardware: Mutex<Option<Arc<Hardware>>>,
}

impl OpenClDevice {
    /// The device that `name` means: `opencl`, `opencl:PLATFORM` or `opencl:PLATFORM:DEVICE`, each told by its index or
    /// by a part of its name in any case. What is left open is the first GPU or accelerator, or else the first device;
    /// its [`info`](Device::info) says which that is.
    ///
    /// A device that is not here is a value, too: its [`check`](Device::check) says why.
    pub fn new(name: &str) -> Self {
        OpenClDevice { name: name.to_owned(), found: find::find(name), hardware: Mutex::default() }
    }

    fn unavailable(&self, why: &str) -> DeviceError {
        DeviceError::Unavailable { device: self.name.clone(), why: why.to_owned() }
    }

    fn found(&self) -> Result<&Found, DeviceError> {
        let found = self.found.as_ref().map_err(|why| self.unavailable(why))?;
        found.refusal().map_or(Ok(found), |why| Err(self.unavailable(&why)))
    }

    fn hardware(&self) -> Result<Arc<Hardware>, DeviceError> {
        let found = self.found()?;
        let mut hardware = self.hardware.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hardware) = &*hardware {
            return Ok(Arc::clone(hardware));
        }
        let opened = Hardware::new(&self.name, found.clone());
        let opened =
            opened.map_err(|error| self.unavailable(&format!("it is here, but does not open: {error}")))?;
        Ok(Arc::clone(hardware.insert(opened)))
    }
}

impl Device for OpenClDevice {
    fn info(&self) -> DeviceInfo {
        let found = self.found.as_ref().ok();
        DeviceInfo {
            name: self.name.clone(),
            description: found.map_or_else(|| "a device with an OpenCL driver".to_owned(), Found::to_string),
            cores: found.map_or(1, |found| found.compute_units.max(1)),
            memory_bytes: found.map(|found| found.memory_bytes),
            double_buffer: false,
            queued: true,
            half_duplex: false,
        }
    }

    fn check(&self) -> Result<(), DeviceError> {
        self.found().map(drop)
    }

    /// A kernel spreads over all compute units by itself, and one lane's queues keep them fed.
    fn cores_by_default(&self) -> usize {
        1
    }

    fn prepare(&self, model: &Arc<Model>, _lanes: usize) -> Result<Arc<dyn Program>, DeviceError> {
        Ok(Arc::new(OpenClProgram::new(&self.hardware()?, model)?))
    }
}
