//! The simulated device as the runtime sees it.

use std::sync::Arc;

use nbuffer_runtime::{Device, DeviceError, DeviceInfo, Engine, Model, Program};

use crate::hardware::Hardware;
use crate::profile::{Class, Profile, ProfileError};
use crate::program::SimProgram;

/// A device that exists only as a [`Profile`]: values are real, time is simulated.
///
/// One value is one device: programs prepared by it share its link, cores and memory.
#[derive(Debug)]
pub struct SimDevice {
    hardware: Arc<Hardware>,
    engine: Arc<dyn Engine>,
}

/// Switches on the device called `name`: `metis`, `fpga`, `gpu`, or a profile at a path that ends in `.toml`.
/// Its values come from `engine`.
///
/// # Errors
///
/// See [`ProfileError`]; each variant names the file and the key.
pub fn open(name: &str, engine: Arc<dyn Engine>) -> Result<SimDevice, ProfileError> {
    Ok(SimDevice::new(name, Profile::load(name)?, engine))
}

impl SimDevice {
    /// A device with this profile, called `sim:` and `name`.
    pub fn new(name: &str, profile: Profile, engine: Arc<dyn Engine>) -> Self {
        SimDevice { hardware: Hardware::new(format!("sim:{name}"), profile), engine }
    }

    /// What it is like.
    pub fn profile(&self) -> &Profile {
        &self.hardware.profile
    }
}

impl Device for SimDevice {
    fn info(&self) -> DeviceInfo {
        let profile = &self.hardware.profile;
        DeviceInfo {
            name: self.hardware.name.clone(),
            description: profile.description.clone(),
            cores: profile.cores,
            memory_bytes: profile.memory_bytes,
            double_buffer: matches!(profile.class, Class::Lockstep { double_buffer: true, .. }),
            queued: matches!(profile.class, Class::Queued { .. }),
            half_duplex: profile.link.half_duplex,
        }
    }

    /// An instance takes as many cores as its batch has items. On a queued device a lane is a queue: one per
    /// kernel instance keeps all of them fed.
    fn lanes(&self, model: &Model, cores: usize) -> usize {
        match self.hardware.profile.class {
            Class::Lockstep { .. } => cores / model.batch.max(1),
            Class::Queued { .. } => cores,
        }
    }

    /// Always here, unless a planned fault has made it disappear.
    fn check(&self) -> Result<(), DeviceError> {
        match self.hardware.gone() {
            Some(why) => {
                Err(DeviceError::Unavailable { device: self.hardware.name.clone(), why: why.to_owned() })
            }
            None => Ok(()),
        }
    }

    fn prepare(&self, model: &Arc<Model>, lanes: usize) -> Result<Arc<dyn Program>, DeviceError> {
        self.check()?;
        Ok(Arc::new(SimProgram::new(&self.hardware, &self.engine, model, lanes)?))
    }
}

#[cfg(test)]
mod tests;
