//! OpenCL devices: models that are kernels, run on whatever has an OpenCL driver.
//!
//! An [`OpenClDevice`] is found by name: `opencl`, or `opencl:PLATFORM:DEVICE` by index or a part of the name. The
//! OpenCL library is loaded at run time; without one, without a driver and without a device everything still builds,
//! and [`Device::check`](nbuffer_runtime::Device::check) says what is missing and how to get it.
//!
//! A lane has three in-order queues, for write, kernel and read, tied by events, so that the copies of one item
//! overlap the kernel of another where the device can do that. Its buffer sets lie in memory that OpenCL allocated and
//! mapped. An input set is free again as soon as it has been written. Spans are the device's own times, on the host's
//! clock.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use nbuffer_opencl::OpenClDevice;
//! use nbuffer_runtime::{Device, LaneOptions, Model};
//!
//! let device = OpenClDevice::new("opencl");
//! if let Err(error) = device.check() {
//!     println!("{error}"); // device `opencl` is not available: there is no OpenCL library ...: install ...
//!     return Ok(());
//! }
//! let model = Arc::new(Model::open("../../models/power")?);
//! let program = device.prepare(&model, 1)?;
//! let mut lane = program.open_lane(LaneOptions { lane: 0, double_buffer: false })?;
//! let input = lane.memory.input()?; // mapped memory, to be filled
//! assert_eq!(input[0].len(), model.inputs[0].size());
//! # Ok(())
//! # }
//! ```
//!
//! What it does not promise: a kernel is native code with this process' rights, and one that writes beyond its
//! buffers may damage anything. Run models you trust. Nor does a device overlap anything because it has three queues:
//! PoCL, which computes on the CPU, uses the same threads for all.

mod cl;
mod clock;
mod device;
mod find;
mod hardware;
mod memory;
mod program;
mod queued;
#[cfg(test)]
mod testing;

pub use device::OpenClDevice;
pub use find::{Listed, list};
