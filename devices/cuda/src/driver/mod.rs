//! The CUDA driver: found and loaded at run time, its calls checked, its objects owned.
//!
//! Three floors: [`functions`] is the driver's C API with codes turned into [`Failure`]s, the files beside it own one kind
//! of object each, and what is above this folder deals in those alone. Calls that only touch objects whose lifetime
//! Rust keeps are safe; those that make the device touch memory later are `unsafe`, with what their caller must keep alive.

mod context;
mod event;
mod failure;
mod functions;
mod graph;
mod memory;
mod module;
mod stream;

use std::sync::OnceLock;

use cudarc::driver::sys;

pub(crate) use context::{Attribute, Context, Gpu, gpu, gpus};
pub(crate) use event::Event;
pub(crate) use failure::Failure;
pub(crate) use graph::Graph;
pub(crate) use memory::{DeviceMemory, PinnedMemory, Use};
pub(crate) use module::{Dim3, Function, Module};
pub(crate) use stream::Stream;

/// The driver of this machine, initialised.
#[derive(Debug)]
pub(crate) struct Driver {
    /// The CUDA version it implements: 12040 is 12.4.
    pub(crate) version: i32,
}

/// The driver, or why it cannot be used. What is found first stays: a driver installed later needs a new process.
pub(crate) fn driver() -> Result<&'static Driver, &'static str> {
    static DRIVER: OnceLock<Result<Driver, String>> = OnceLock::new();
    DRIVER.get_or_init(start).as_ref().map_err(String::as_str)
}

fn start() -> Result<Driver, String> {
    // SAFETY: it opens shared libraries by the driver's names, which runs their initialisers and nothing of ours.
    if !unsafe { sys::is_culib_present() } {
        return Err(
            "there is no CUDA driver (libcuda.so.1): install NVIDIA's driver, or add the folder it is in to \
                    LD_LIBRARY_PATH"
                .into(),
        );
    }
    let functions = functions::load()?;
    let mut version = 0;
    // SAFETY: 0 is the only flag there is, and `version` outlives the call that writes it.
    let ready = unsafe { functions.cuInit(0).and_then(|()| functions.cuDriverGetVersion(&mut version)) };
    ready.map_err(|failure| format!("the CUDA driver does not start: {}", failure.with_advice()))?;
    Ok(Driver { version })
}
