//! Lanes: how the runtime and a prepared model instance hand buffer sets to each other.
//!
//! There are two kinds, by what a call does to its caller. A [`BlockingLane`] returns when the device is
//! done; the runtime gives it a thread for that long. A [`QueuedLane`] takes a set and returns at once; the
//! device completes it later through [`Completions`].
//!
//! A device author rarely writes either: a device whose call blocks implements [`DeviceCall`] and is adapted
//! by [`Blocking`](crate::Blocking), or by [`Lagged`](crate::Lagged) when its results come calls late.

mod blocking;
mod lagged;

use std::sync::Arc;
use std::time::Instant;

use nbuffer_core::schedule::Transit;

use crate::buffer::{HostBuffer, Memory};
use crate::device::DeviceError;
pub use blocking::Blocking;
pub use lagged::Lagged;

/// An item's buffer sets on their way through a device.
///
/// Identity travels with the data: whoever returns a set returns it under the item's own id.
#[derive(Debug)]
pub struct Flight<I, O> {
    /// The item and its sets.
    pub id: Transit,
    /// What the device reads.
    pub input: I,
    /// What the device writes.
    pub output: O,
}

/// A stretch of device time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceSpan {
    /// When the stage began.
    pub start: Instant,
    /// When it ended; not before `start`.
    pub end: Instant,
}

/// When the device worked on one item, on the device's own clock (mapped to the host's monotonic one).
///
/// A stage the device does not have, or cannot see, is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceSpans {
    /// Host-to-device copy.
    pub write: Option<DeviceSpan>,
    /// The kernel.
    pub kernel: Option<DeviceSpan>,
    /// Device-to-host copy.
    pub read: Option<DeviceSpan>,
    /// For a blocking lane, all of the call that submitted the item, with what is neither transfer nor
    /// kernel: as long as this, the lane takes no other call.
    pub call: Option<DeviceSpan>,
}

/// [`DeviceSpans`] on their way from a lane to the runtime, kept apart so that a lane without any, whose calls may
/// take nanoseconds, carries nothing.
#[derive(Clone, Debug, Default)]
pub struct Spans(Option<Box<DeviceSpans>>);

impl From<DeviceSpans> for Spans {
    fn from(spans: DeviceSpans) -> Self {
        Spans(Some(Box::new(spans)))
    }
}

impl std::ops::Deref for Spans {
    type Target = DeviceSpans;

    fn deref(&self) -> &DeviceSpans {
        const NONE: &DeviceSpans = &DeviceSpans { write: None, kernel: None, read: None, call: None };
        self.0.as_deref().unwrap_or(NONE)
    }
}

/// What a device gives back: after a call of a [`BlockingLane`], or through [`Completions`].
#[derive(Debug)]
pub struct Called<I, O> {
    /// An input the device no longer reads, with the item it was for. It may come back before the item's output, so
    /// that it can be filled again, and at the latest with it.
    pub input: Option<(Transit, I)>,
    /// How an item ended on the device, if one did.
    pub ended: Ended<O>,
}

/// How an item ended on its device.
#[derive(Debug)]
pub enum Ended<O> {
    /// None did: the call only moved work along (a primer), or gave an input back.
    Nothing,
    /// This item's result is in its outputs.
    Landed(Transit, O, Spans),
    /// This item failed; the lane goes on.
    Failed(Transit, O, Box<DeviceError>),
    /// The device is gone. Every set still inside the lane is lost with it and never reused.
    Lost(Box<DeviceError>),
}

impl<I, O> Called<I, O> {
    /// A call that gave nothing back.
    pub const NOTHING: Self = Called { input: None, ended: Ended::Nothing };

    /// An item that went through the device in one call.
    pub fn landed(flight: Flight<I, O>, spans: Spans) -> Self {
        let Flight { id, input, output } = flight;
        Called { input: Some((id, input)), ended: Ended::Landed(id, output, spans) }
    }

    /// An item whose call failed. Nothing of it is left in the device.
    pub fn failed(flight: Flight<I, O>, error: DeviceError) -> Self {
        let Flight { id, input, output } = flight;
        Called { input: Some((id, input)), ended: Ended::Failed(id, output, error.into()) }
    }

    /// A lane whose device is gone, and its sets with it.
    pub fn lost(error: DeviceError) -> Self {
        Called { input: None, ended: Ended::Lost(error.into()) }
    }
}

/// A lane whose calls return when the device is done.
pub trait BlockingLane<I, O>: Send {
    /// By how many calls results come late: 0, or 2 with double buffering.
    fn lag(&self) -> usize {
        0
    }

    /// How many cores of this machine a call computes on; 0 when it waits for a device instead. Computing lanes
    /// share the threads of the host stages, so that no more is at work than there are cores.
    fn cores(&self) -> usize {
        0
    }

    /// One device call. `flight` is `None` for a flush call, which submits nothing and only pushes the
    /// oldest result out.
    fn call(&mut self, flight: Option<Flight<I, O>>) -> Called<I, O>;
}

/// A lane that takes a set and returns at once.
pub trait QueuedLane<I, O>: Send {
    /// Hands a filled set to the device. Its end is told through the [`Completions`] given when the lane was
    /// opened, exactly once, from any thread, possibly before `submit` returns.
    fn submit(&mut self, flight: Flight<I, O>);
}

/// Whom a queued device tells what it gives back.
pub(crate) type Complete<I, O> = Arc<dyn Fn(Called<I, O>, usize) + Send + Sync>;

/// How a queued device tells the runtime what it gives back.
pub struct Completions<I, O> {
    complete: Complete<I, O>,
    lane: usize,
}

impl<I, O> Clone for Completions<I, O> {
    fn clone(&self) -> Self {
        Completions { complete: Arc::clone(&self.complete), lane: self.lane }
    }
}

impl<I, O> Completions<I, O> {
    /// Completions of `lane`, told to `complete` as (what came back, lane). The runtime makes these.
    pub fn new(lane: usize, complete: Complete<I, O>) -> Self {
        Completions { complete, lane }
    }

    /// Tells the runtime what came back.
    pub fn complete(&self, called: Called<I, O>) {
        (self.complete)(called, self.lane);
    }
}

/// Opens a queued lane's end, given whom it is to tell.
pub type Open<I, O> = Box<dyn FnOnce(Completions<I, O>) -> Box<dyn QueuedLane<I, O>> + Send>;

/// How a lane takes its calls.
pub enum Calls<I, O> {
    /// They return when the device is done.
    Blocking(Box<dyn BlockingLane<I, O>>),
    /// They return at once. Given its completions, the device opens its end.
    Queued(Open<I, O>),
}

/// One opened lane of either kind, and the memory its buffer sets come from.
pub struct Lane<I, O> {
    /// How it takes its calls.
    pub calls: Calls<I, O>,
    /// Where its buffer sets come from.
    pub memory: Box<dyn Memory<I, O>>,
}

impl<I, O> Lane<I, O> {
    /// A lane whose calls return when the device is done.
    pub fn blocking(lane: impl BlockingLane<I, O> + 'static, memory: impl Memory<I, O> + 'static) -> Self {
        Lane { calls: Calls::Blocking(Box::new(lane)), memory: Box::new(memory) }
    }

    /// A lane whose calls return at once. Given its completions, `open` gives the end that takes submits.
    pub fn queued<Q: QueuedLane<I, O> + 'static>(
        open: impl FnOnce(Completions<I, O>) -> Q + Send + 'static,
        memory: impl Memory<I, O> + 'static,
    ) -> Self {
        let open: Open<I, O> = Box::new(|completions| Box::new(open(completions)));
        Lane { calls: Calls::Queued(open), memory: Box::new(memory) }
    }

    /// By how many calls this lane's results come late.
    pub fn lag(&self) -> usize {
        match &self.calls {
            Calls::Blocking(lane) => lane.lag(),
            Calls::Queued(_) => 0,
        }
    }
}

impl<I, O> std::fmt::Debug for Lane<I, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.calls {
            Calls::Blocking(_) => "Lane::blocking",
            Calls::Queued(_) => "Lane::queued",
        })
    }
}

/// What one call of a device told about its own time.
///
/// In a call with lag the three stages belong to three items: the one just submitted is written, the one
/// before it computed, the one before that read.
pub type CallSpans = DeviceSpans;

/// A device whose call blocks: the least a device author has to write.
pub trait DeviceCall: Send {
    /// By how many calls results come late: call k fills its `outputs` with the result of call k - lag.
    fn lag(&self) -> usize {
        0
    }

    /// How many cores of this machine a call computes on; 0 when it waits for a device instead.
    fn cores(&self) -> usize {
        0
    }

    /// One call. With lag, `outputs` are those of the item whose result this call brings; while a pipelined
    /// device fills up they are scratch, and `inputs` are scratch in a flush call.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Lost`] ends the lane. [`DeviceError::Reset`] costs the item whose `inputs` were given and all
    /// items inside, and promises that the next call is like the first. Any other error costs the item whose
    /// `inputs` were given, and promises that nothing moved: the next call continues as if this one had not been made.
    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<CallSpans, DeviceError>;
}
