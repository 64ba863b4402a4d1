//! CUDA as a device of nbuffer: NVIDIA GPUs, N-way buffered over three streams.
//!
//! It builds everywhere and needs neither a toolkit nor a GPU to do so: the driver is loaded when it is first asked for.
//! [`CudaDevice::check`](nbuffer_runtime::Device::check) says what is missing.
//!
//! A lane writes, computes and reads on streams of their own, tied by events, from and to pinned host memory; the spans
//! it tells are the device's own times. Models are kernels with code for CUDA ([`Kernel::Program`]) and
//! [`Kernel::Identity`], which copies on the device.
//!
//! [`Kernel::Program`]: nbuffer_runtime::model::Kernel::Program
//! [`Kernel::Identity`]: nbuffer_runtime::model::Kernel::Identity

mod buffers;
mod clock;
mod device;
mod driver;
mod lane;
mod nvrtc;
mod probe;
mod program;
mod waiters;
mod work;

pub use device::{CudaDevice, NameError};
pub use probe::{Probe, Rates};
