//! Events: how far a queued command is, and when it ran.

use std::ffi::c_void;

use opencl3::event::CL_EVENT_COMMAND_EXECUTION_STATUS;
use opencl3::event::{
    CL_COMPLETE, CL_PROFILING_COMMAND_END, CL_PROFILING_COMMAND_QUEUED, CL_PROFILING_COMMAND_START,
    CL_PROFILING_COMMAND_SUBMIT, get_event_info, get_event_profiling_info, release_event, set_event_callback,
    wait_for_events,
};
use opencl3::types::{cl_event, cl_int};

use super::{ClError, checked};

/// A queued command.
#[derive(Debug)]
pub(crate) struct Event(cl_event);

// SAFETY: a handle that OpenCL's functions take from any thread; see `Context`.
unsafe impl Send for Event {}
// SAFETY: as for `Send`.
unsafe impl Sync for Event {}

/// When a command was queued, handed to the device, begun and ended: nanoseconds on the device's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) queued: u64,
    pub(crate) submitted: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// What is told of the end of a command.
type Then = Box<dyn FnOnce(i32) + Send>;

impl Event {
    /// The event of a command that was just queued.
    pub(super) fn new(event: cl_event) -> Self {
        Event(event)
    }

    pub(super) fn get(&self) -> cl_event {
        self.0
    }

    /// A code below zero if the command failed, how far it is otherwise.
    pub(crate) fn status(&self) -> Result<i32, ClError> {
        let status = get_event_info(self.0, CL_EVENT_COMMAND_EXECUTION_STATUS);
        checked("clGetEventInfo", status).map(cl_int::from)
    }

    /// When the command ran. It must have ended, in a queue that keeps times.
    pub(crate) fn times(&self) -> Result<Times, ClError> {
        let time =
            |what| checked("clGetEventProfilingInfo", get_event_profiling_info(self.0, what)).map(u64::from);
        Ok(Times {
            queued: time(CL_PROFILING_COMMAND_QUEUED)?,
            submitted: time(CL_PROFILING_COMMAND_SUBMIT)?,
            start: time(CL_PROFILING_COMMAND_START)?,
            end: time(CL_PROFILING_COMMAND_END)?,
        })
    }

    /// Has `then` called once when the command has ended, with a code below zero if it failed, on a thread of the
    /// OpenCL runtime, possibly before this returns. It must neither block nor panic nor call OpenCL.
    pub(crate) fn on_end(&self, then: impl FnOnce(i32) + Send + 'static) -> Result<(), ClError> {
        let then: Box<Then> = Box::new(Box::new(then));
        let then = Box::into_raw(then);
        let set = set_event_callback(self.0, CL_COMPLETE, call_once, then.cast());
        checked("clSetEventCallback", set).inspect_err(|_| {
            // SAFETY: `then` came from `into_raw` above, and OpenCL, which refused it, will not call with it.
            drop(unsafe { Box::from_raw(then) });
        })
    }
}

/// What OpenCL calls for [`Event::on_end`].
extern "C" fn call_once(_: cl_event, status: cl_int, then: *mut c_void) {
    // SAFETY: `then` came from `Box::<Then>::into_raw` in `on_end`, and OpenCL calls once for each registration.
    let then: Box<Then> = unsafe { Box::from_raw(then.cast()) };
    then(status);
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: enqueueing gave this reference and nothing else gives it back. A failure leaves nothing to be done.
        let _ = unsafe { release_event(self.0) };
    }
}

/// Waits for each of these commands to end. If one failed, gives its error; those that only waited for it come last.
pub(crate) fn wait_for<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<(), ClError> {
    // One by one: told of several, OpenCL may return when one has failed, and the others still run.
    let wait = |event: &Event| checked("clWaitForEvents", wait_for_events(&[event.0])).err();
    let mut errors: Vec<ClError> = events.into_iter().filter_map(wait).collect();
    errors.sort_by_key(|error| error.is_of_another());
    errors.first().map_or(Ok(()), |error| Err(*error))
}
