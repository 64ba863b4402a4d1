//! An event: a point in a stream, with the device's time of it.

use std::ptr;
use std::sync::Arc;

use cudarc::driver::sys::CUevent;

use super::failure::{Failure, NOT_READY};
use super::functions::functions;
use super::{Context, Stream};

const DEFAULT: u32 = 0;
const BLOCKING_SYNC: u32 = 1;
const DISABLE_TIMING: u32 = 2;
const RECORD_EXTERNAL: u32 = 1;

/// A point in a stream. Until it is first recorded it counts as reached.
#[derive(Debug)]
pub(crate) struct Event {
    raw: CUevent,
    context: Arc<Context>,
}

// SAFETY: an event may be used from any thread with its context current.
unsafe impl Send for Event {}
// SAFETY: the driver locks each call on an event.
unsafe impl Sync for Event {}

impl Event {
    /// An event with a time.
    pub(crate) fn timed(context: &Arc<Context>) -> Result<Self, Failure> {
        Event::new(context, DEFAULT)
    }

    /// An event with a time, for which a thread sleeps instead of spinning.
    pub(crate) fn awaited(context: &Arc<Context>) -> Result<Self, Failure> {
        Event::new(context, DEFAULT | BLOCKING_SYNC)
    }

    /// An event that only orders streams.
    pub(crate) fn untimed(context: &Arc<Context>) -> Result<Self, Failure> {
        Event::new(context, DISABLE_TIMING)
    }

    fn new(context: &Arc<Context>, flags: u32) -> Result<Self, Failure> {
        context.bind()?;
        let mut raw = ptr::null_mut();
        // SAFETY: a context is current, and `raw` outlives the call that writes it.
        unsafe { functions().cuEventCreate(&mut raw, flags)? };
        Ok(Event { raw, context: Arc::clone(context) })
    }

    pub(super) fn raw(&self) -> CUevent {
        self.raw
    }

    /// Moves the event to the end of what `stream` has been given so far.
    pub(crate) fn record(&self, stream: &Stream) -> Result<(), Failure> {
        // SAFETY: both exist and are of one context.
        unsafe { functions().cuEventRecord(self.raw, stream.raw()) }
    }

    /// In a capture, makes each launch of the graph record the event, so that its time can be read afterwards.
    pub(crate) fn record_in_graph(&self, stream: &Stream) -> Result<(), Failure> {
        // SAFETY: both exist and are of one context, and the stream is being captured.
        unsafe { functions().cuEventRecordWithFlags(self.raw, stream.raw(), RECORD_EXTERNAL) }
    }

    /// Whether it has been reached.
    pub(crate) fn is_reached(&self) -> Result<bool, Failure> {
        // SAFETY: the event exists.
        match unsafe { functions().cuEventQuery(self.raw) } {
            Ok(()) => Ok(true),
            Err(Failure { code: NOT_READY, .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Waits until it has been reached. An error is one of the work before it, or of any other work in the context.
    pub(crate) fn wait(&self) -> Result<(), Failure> {
        // SAFETY: the event exists.
        unsafe { functions().cuEventSynchronize(self.raw) }
    }

    /// Seconds from `earlier` to this event. Both have been reached and have times.
    pub(crate) fn seconds_since(&self, earlier: &Event) -> Result<f64, Failure> {
        let mut milliseconds = 0.0;
        // SAFETY: both exist, and `milliseconds` outlives the call that writes it.
        unsafe { functions().cuEventElapsedTime(&mut milliseconds, earlier.raw, self.raw)? };
        Ok(f64::from(milliseconds) / 1e3)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if self.context.bind().is_ok() {
            // SAFETY: it was created once. The driver keeps what it needs of an event that was not reached yet.
            let _ = unsafe { functions().cuEventDestroy_v2(self.raw) };
        }
    }
}
