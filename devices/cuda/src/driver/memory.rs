//! Memory of the device, and memory of the host that the device reaches by itself.

use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;

use cudarc::driver::sys::{CU_MEMHOSTALLOC_PORTABLE, CU_MEMHOSTALLOC_WRITECOMBINED, CUdeviceptr};

use super::failure::Failure;
use super::functions::functions;
use super::{Context, Stream};

/// Zeroed memory on the device.
#[derive(Debug)]
pub(crate) struct DeviceMemory {
    address: CUdeviceptr,
    len: usize,
    context: Arc<Context>,
}

impl DeviceMemory {
    /// `len` zero bytes, written on `stream`, which is idle.
    pub(crate) fn zeroed(stream: &Stream, len: usize) -> Result<Self, Failure> {
        let context = stream.context();
        context.bind()?;
        let mut address = 0;
        // SAFETY: a context is current, and `address` outlives the call that writes it. No bytes at all are refused.
        unsafe { functions().cuMemAlloc_v2(&mut address, len.max(1))? };
        let memory = DeviceMemory { address, len, context: Arc::clone(context) };
        if len > 0 {
            // SAFETY: the memory has this length, is nobody else's yet, and is kept until the stream is idle again.
            unsafe { functions().cuMemsetD8Async(address, 0, len, stream.raw())? };
            stream.synchronise()?;
        }
        Ok(memory)
    }

    pub(crate) fn address(&self) -> CUdeviceptr {
        self.address
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        if self.context.bind().is_ok() {
            // SAFETY: it was allocated once, and who gave it to the device has kept it until that was over.
            let _ = unsafe { functions().cuMemFree_v2(self.address) };
        }
    }
}

/// What the host does with pinned memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Fills it: write-combined, which leaves the caches to others and transfers faster, and is very slow to read.
    Fill,
    /// Reads it: cached like all memory.
    Read,
}

/// Zeroed memory of the host, locked in place so that the device copies by itself.
#[derive(Debug)]
pub(crate) struct PinnedMemory {
    pointer: NonNull<u8>,
    len: usize,
    context: Arc<Context>,
}

// SAFETY: it owns its memory; all access to the bytes is through references to `self`, or by the device under the rules of
// `Stream::write` and `Stream::read`.
unsafe impl Send for PinnedMemory {}
// SAFETY: as above; `&self` only reads.
unsafe impl Sync for PinnedMemory {}

impl PinnedMemory {
    /// `len` zero bytes.
    pub(crate) fn zeroed(context: &Arc<Context>, len: usize, used: Use) -> Result<Self, Failure> {
        context.bind()?;
        let flags = match used {
            Use::Fill => CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_WRITECOMBINED,
            Use::Read => CU_MEMHOSTALLOC_PORTABLE,
        };
        let mut pointer = ptr::null_mut();
        // SAFETY: a context is current, and `pointer` outlives the call that writes it. No bytes at all are refused.
        unsafe { functions().cuMemHostAlloc(&mut pointer, len.max(1), flags)? };
        let pointer = NonNull::new(pointer.cast::<u8>()).expect("the driver allocated it");
        // SAFETY: the driver allocated at least this length, and nobody else has it.
        unsafe { pointer.as_ptr().write_bytes(0, len) };
        Ok(PinnedMemory { pointer, len, context: Arc::clone(context) })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn pointer(&self) -> *mut u8 {
        self.pointer.as_ptr()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes are initialised since `zeroed`, and who gives the memory to the device keeps everybody away
        // from this value until that is over.
        unsafe { slice::from_raw_parts(self.pointer.as_ptr(), self.len) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` keeps all others away.
        unsafe { slice::from_raw_parts_mut(self.pointer.as_ptr(), self.len) }
    }
}

impl Drop for PinnedMemory {
    fn drop(&mut self) {
        if self.context.bind().is_ok() {
            // SAFETY: it was allocated once, and who gave it to the device has kept it until that was over.
            let _ = unsafe { functions().cuMemFreeHost(self.pointer.as_ptr().cast()) };
        }
    }
}
