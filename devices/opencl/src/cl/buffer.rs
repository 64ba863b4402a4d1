//! Memory objects.

use std::ptr;

use opencl3::memory::{CL_MEM_ALLOC_HOST_PTR, CL_MEM_READ_WRITE, create_buffer, release_mem_object};
use opencl3::types::{cl_mem, cl_mem_flags};

use super::{ClError, Context, checked};

/// A memory object.
#[derive(Debug)]
pub(crate) struct Buffer {
    mem: cl_mem,
    len_bytes: usize,
}

// SAFETY: a handle that OpenCL's functions take from any thread; see `Context`.
unsafe impl Send for Buffer {}
// SAFETY: as for `Send`. Who may touch the contents when is said by the queues' unsafe functions.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Memory of the device, `len_bytes` of it, at least 1. Its contents are undefined.
    pub(crate) fn on_device(context: &Context, len_bytes: usize) -> Result<Self, ClError> {
        Buffer::new(context, CL_MEM_READ_WRITE, len_bytes)
    }

    /// Memory for the host to map, pinned where there is such a thing; `len_bytes` of it, at least 1. Its contents are
    /// undefined.
    pub(crate) fn on_host(context: &Context, len_bytes: usize) -> Result<Self, ClError> {
        Buffer::new(context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, len_bytes)
    }

    fn new(context: &Context, flags: cl_mem_flags, len_bytes: usize) -> Result<Self, ClError> {
        // SAFETY: the context lives, and without a flag that uses it the host pointer must be null, which it is.
        let mem = unsafe { create_buffer(context.get(), flags, len_bytes, ptr::null_mut()) };
        Ok(Buffer { mem: checked("clCreateBuffer", mem)?, len_bytes })
    }

    pub(crate) fn len(&self) -> usize {
        self.len_bytes
    }

    pub(super) fn get(&self) -> cl_mem {
        self.mem
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: `new` got this reference and nothing else gives it back. Commands that are queued keep the object
        // until they have finished. A failure leaves nothing to be done.
        let _ = unsafe { release_mem_object(self.mem) };
    }
}
