//! In-order command queues that keep times.

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use opencl3::command_queue::{
    CL_QUEUE_PROFILING_ENABLE, create_command_queue, enqueue_map_buffer, enqueue_nd_range_kernel,
    enqueue_read_buffer, enqueue_unmap_mem_object, enqueue_write_buffer, flush, release_command_queue,
};
use opencl3::memory::{CL_MAP_READ, CL_MAP_WRITE};
use opencl3::types::{CL_BLOCKING, CL_NON_BLOCKING, cl_command_queue, cl_event, cl_uint};

use super::{Buffer, ClError, Context, Event, Kernel, checked};

/// An in-order queue of one device. Its commands wait for each other, and for the events they are given.
#[derive(Debug)]
pub(crate) struct Queue(cl_command_queue);

// SAFETY: a handle that OpenCL's functions take from any thread; see `Context`.
unsafe impl Send for Queue {}
// SAFETY: as for `Send`.
unsafe impl Sync for Queue {}

impl Queue {
    pub(crate) fn new(context: &Context) -> Result<Self, ClError> {
        // The form that OpenCL 1.2 has too, for devices that know no later one.
        // SAFETY: the device is the context's own.
        let queue =
            unsafe { create_command_queue(context.get(), context.device().id(), CL_QUEUE_PROFILING_ENABLE) };
        checked("clCreateCommandQueue", queue).map(Queue)
    }

    /// Queues a copy from `source` to all of `target`.
    ///
    /// # Safety
    ///
    /// `source` must stay readable for as many bytes as `target` has, and nobody write them, until the command has
    /// ended. No other command may use `target` meanwhile.
    pub(crate) unsafe fn write(&self, target: &Buffer, source: *const u8) -> Result<Event, ClError> {
        let source: *const c_void = source.cast();
        // SAFETY: both handles live, and the memory as the caller promises.
        let event = unsafe {
            enqueue_write_buffer(
                self.0,
                target.get(),
                CL_NON_BLOCKING,
                0,
                target.len(),
                source,
                0,
                ptr::null(),
            )
        };
        checked("clEnqueueWriteBuffer", event).map(Event::new)
    }

    /// Queues a copy of all of `source` to `target`, once `after` has ended.
    ///
    /// # Safety
    ///
    /// `target` must stay writable for as many bytes as `source` has, and nobody else read or write them, until the
    /// command has ended. No other command may write `source` meanwhile.
    pub(crate) unsafe fn read(
        &self,
        source: &Buffer,
        target: *mut u8,
        after: &Event,
    ) -> Result<Event, ClError> {
        let (after, target): (cl_event, *mut c_void) = (after.get(), target.cast());
        // SAFETY: the handles live, one event is in the list, and the memory as the caller promises.
        let event = unsafe {
            enqueue_read_buffer(
                self.0,
                source.get(),
                CL_NON_BLOCKING,
                0,
                source.len(),
                target,
                1,
                &raw const after,
            )
        };
        checked("clEnqueueReadBuffer", event).map(Event::new)
    }

    /// Queues a run of `kernel` over `global` work items, in groups of `local` where they are given, once `after` has
    /// ended.
    ///
    /// # Safety
    ///
    /// The kernel's arguments must be set, to buffers that no other command uses until this one has ended. What the
    /// kernel does with them is its author's to answer for.
    pub(crate) unsafe fn launch(
        &self,
        kernel: &Kernel,
        global: &[usize],
        local: Option<&[usize]>,
        after: Option<&Event>,
    ) -> Result<Event, ClError> {
        let after: Vec<cl_event> = after.into_iter().map(Event::get).collect();
        let list = if after.is_empty() { ptr::null() } else { after.as_ptr() };
        let local = local.map_or(ptr::null(), |local| {
            assert_eq!(local.len(), global.len(), "work groups have as many dimensions as work items");
            local.as_ptr()
        });
        // SAFETY: the handles live, the sizes have as many dimensions as is said, the list as many events.
        let event = unsafe {
            enqueue_nd_range_kernel(
                self.0,
                kernel.get(),
                global.len() as cl_uint,
                ptr::null(),
                global.as_ptr(),
                local,
                after.len() as cl_uint,
                list,
            )
        };
        checked("clEnqueueNDRangeKernel", event).map(Event::new)
    }

    /// Maps all of `buffer` for reading and writing, and waits for it.
    ///
    /// The memory stays readable and writable until it is unmapped; its contents are undefined.
    pub(crate) fn map(&self, buffer: &Buffer) -> Result<NonNull<u8>, ClError> {
        let mut address: *mut c_void = ptr::null_mut();
        let flags = CL_MAP_READ | CL_MAP_WRITE;
        // SAFETY: both handles live and the range is the whole buffer.
        let event = unsafe {
            enqueue_map_buffer(
                self.0,
                buffer.get(),
                CL_BLOCKING,
                flags,
                0,
                buffer.len(),
                &mut address,
                0,
                ptr::null(),
            )
        };
        checked("clEnqueueMapBuffer", event).map(Event::new)?;
        Ok(NonNull::new(address.cast()).expect("a map that succeeded has an address"))
    }

    /// Queues the end of a mapping.
    ///
    /// # Safety
    ///
    /// `address` must come from [`map`](Queue::map) of the same buffer, and not be used from now on.
    pub(crate) unsafe fn unmap(&self, buffer: &Buffer, address: NonNull<u8>) -> Result<(), ClError> {
        // SAFETY: both handles live, and the address is as the caller promises.
        let event = unsafe {
            enqueue_unmap_mem_object(self.0, buffer.get(), address.as_ptr().cast(), 0, ptr::null())
        };
        // Not waited for: a device that hangs would hold up who drops its memory. The command keeps the object.
        checked("clEnqueueUnmapMemObject", event).map(Event::new)?;
        self.flush()
    }

    /// Hands everything queued so far to the device.
    pub(crate) fn flush(&self) -> Result<(), ClError> {
        checked("clFlush", flush(self.0))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: `new` got this reference and nothing else gives it back. Commands in it go on without it. A failure
        // leaves nothing to be done.
        let _ = unsafe { release_command_queue(self.0) };
    }
}
