//! A stream: work the device does in order.

use std::ptr;
use std::sync::Arc;

use cudarc::driver::sys::CUstream;

use super::event::Event;
use super::failure::Failure;
use super::functions::functions;
use super::memory::{DeviceMemory, PinnedMemory};
use super::{Context, Graph};

const NON_BLOCKING: u32 = 1;
const CAPTURE_THREAD_LOCAL: u32 = 1;

/// A stream that waits for nothing but what it is told to.
#[derive(Debug)]
pub(crate) struct Stream {
    raw: CUstream,
    context: Arc<Context>,
}

// SAFETY: a stream may be used from any thread with its context current.
unsafe impl Send for Stream {}
// SAFETY: the driver locks each call on a stream.
unsafe impl Sync for Stream {}

impl Stream {
    /// A new stream. Like every call here, it leaves the context current to the calling thread.
    pub(crate) fn new(context: &Arc<Context>) -> Result<Self, Failure> {
        context.bind()?;
        let mut raw = ptr::null_mut();
        // SAFETY: a context is current, and `raw` outlives the call that writes it.
        unsafe { functions().cuStreamCreate(&mut raw, NON_BLOCKING)? };
        Ok(Stream { raw, context: Arc::clone(context) })
    }

    pub(super) fn raw(&self) -> CUstream {
        self.raw
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// What is given to this stream from now on waits for what `event` has recorded by now, for nothing if that is nothing.
    pub(crate) fn wait(&self, event: &Event) -> Result<(), Failure> {
        // SAFETY: both exist, and the driver keeps what it needs of an event that is destroyed before it is over.
        unsafe { functions().cuStreamWaitEvent(self.raw, event.raw(), 0) }
    }

    /// Copies all of `from` to the device.
    ///
    /// # Safety
    ///
    /// Until the copy is over, both must exist, nobody may write `from`, and no other work may use `to`.
    pub(crate) unsafe fn write(&self, to: &DeviceMemory, from: &PinnedMemory) -> Result<(), Failure> {
        assert_eq!(to.len(), from.len(), "both are memory of one tensor");
        // SAFETY: both have this length, and the caller keeps them until the copy is over.
        unsafe {
            functions().cuMemcpyHtoDAsync_v2(
                to.address(),
                from.pointer().cast_const().cast(),
                from.len(),
                self.raw,
            )
        }
    }

    /// Copies all of `from` to the host.
    ///
    /// # Safety
    ///
    /// Until the copy is over, both must exist, nobody may touch `to`, and no other work may write `from`.
    pub(crate) unsafe fn read(&self, to: &PinnedMemory, from: &DeviceMemory) -> Result<(), Failure> {
        assert_eq!(to.len(), from.len(), "both are memory of one tensor");
        // SAFETY: both have this length, and the caller keeps them until the copy is over. The pointer is from an
        // allocation that is written through it alone.
        unsafe { functions().cuMemcpyDtoHAsync_v2(to.pointer().cast(), from.address(), to.len(), self.raw) }
    }

    /// Copies all of `from` within the device.
    ///
    /// # Safety
    ///
    /// Until the copy is over, both must exist, and no other work may use `to` or write `from`.
    pub(crate) unsafe fn copy(&self, to: &DeviceMemory, from: &DeviceMemory) -> Result<(), Failure> {
        assert_eq!(to.len(), from.len(), "a copy keeps its size");
        // SAFETY: both have this length, and the caller keeps them until the copy is over.
        unsafe { functions().cuMemcpyDtoDAsync_v2(to.address(), from.address(), to.len(), self.raw) }
    }

    /// Waits until all that was given to this stream is over.
    pub(crate) fn synchronise(&self) -> Result<(), Failure> {
        // SAFETY: the stream exists.
        unsafe { functions().cuStreamSynchronize(self.raw) }
    }

    /// Makes a graph of what `issue` gives to this stream, which does none of it.
    pub(crate) fn capture(&self, issue: impl FnOnce() -> Result<(), Failure>) -> Result<Graph, Failure> {
        // SAFETY: the stream is not being captured: captures begin and end here, on a stream only this thread uses.
        unsafe { functions().cuStreamBeginCapture_v2(self.raw, CAPTURE_THREAD_LOCAL)? };
        let issued = issue();
        let mut graph = ptr::null_mut();
        // SAFETY: this thread began the capture. After a call in it that failed this one fails too, and ends it.
        let ended = unsafe { functions().cuStreamEndCapture(self.raw, &mut graph) };
        let graph = if graph.is_null() { None } else { Some(Graph::definition(graph, &self.context)) };
        issued?;
        ended?;
        graph.expect("a capture that ended well has a graph").instantiate()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.context.bind().is_ok() {
            // SAFETY: it was created once. Work still in it goes on; the driver frees the stream after it.
            let _ = unsafe { functions().cuStreamDestroy_v2(self.raw) };
        }
    }
}
