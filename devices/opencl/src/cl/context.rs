//! A context: what the objects of one device belong to.

use std::ptr;

use opencl3::context::context::{create_context, release_context};
use opencl3::device::Device;
use opencl3::types::cl_context;

use super::{ClError, checked};

/// A context of one device.
#[derive(Debug)]
pub(crate) struct Context {
    context: cl_context,
    device: Device,
}

// SAFETY: the handle is no pointer into this process' memory to us, and OpenCL's functions may be called with a context
// from any thread at any time (its chapter on multiple host threads excepts only `clSetKernelArg`).
unsafe impl Send for Context {}
// SAFETY: as for `Send`.
unsafe impl Sync for Context {}

impl Context {
    pub(crate) fn new(device: Device) -> Result<Self, ClError> {
        let context = create_context(&[device.id()], ptr::null(), None, ptr::null_mut());
        Ok(Context { context: checked("clCreateContext", context)?, device })
    }

    pub(crate) fn device(&self) -> Device {
        self.device
    }

    pub(super) fn get(&self) -> cl_context {
        self.context
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: `new` got this reference and nothing else gives it back. Objects of the context hold references of
        // their own. A failure leaves nothing to be done.
        let _ = unsafe { release_context(self.context) };
    }
}
