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

use nbuffer_core::schedule::Slot;

use crate::buffer::HostBuffer;
use crate::device::DeviceError;
pub use blocking::Blocking;
pub use lagged::Lagged;

/// A buffer set on its way through a device, with the item it carries.
///
/// Identity travels with the data: whoever returns a flight returns it under its own id.
#[derive(Debug)]
pub struct Flight<S> {
    /// The item and the set.
    pub id: Slot,
    /// The buffers.
    pub set: S,
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

/// What a call of a [`BlockingLane`] brought back.
#[derive(Debug)]
pub enum Called<S> {
    /// Nothing landed: the call only moved work along (a primer).
    Nothing,
    /// This set's result is in its output buffers.
    Landed(Flight<S>, Spans),
    /// This item failed; the lane goes on.
    Failed(Flight<S>, Box<DeviceError>),
    /// The device is gone. Every set still inside the lane is lost with it and never reused.
    Lost(Box<DeviceError>),
}

/// A lane whose calls return when the device is done.
pub trait BlockingLane<S>: Send {
    /// By how many calls results come late: 0, or 2 with double buffering.
    fn lag(&self) -> usize {
        0
    }

    /// Whether a call computes on a core of this machine instead of waiting for a device. Such lanes share the
    /// threads of the host stages, as far as there are cores.
    fn computes(&self) -> bool {
        false
    }

    /// One device call. `flight` is `None` for a flush call, which submits nothing and only pushes the
    /// oldest result out.
    fn call(&mut self, flight: Option<Flight<S>>) -> Called<S>;
}

/// A lane that takes a set and returns at once.
pub trait QueuedLane<S>: Send {
    /// Hands a filled set to the device. Its end is told through the [`Completions`] given when the lane was
    /// opened, exactly once, from any thread, possibly before `submit` returns.
    fn submit(&mut self, flight: Flight<S>);
}

/// How a queued device tells the runtime that a set has ended.
pub struct Completions<S> {
    complete: Arc<dyn Fn(Called<S>, usize) + Send + Sync>,
    lane: usize,
}

impl<S> Clone for Completions<S> {
    fn clone(&self) -> Self {
        Completions { complete: Arc::clone(&self.complete), lane: self.lane }
    }
}

impl<S> Completions<S> {
    /// Completions of `lane`, told to `complete` as (what ended, lane). The runtime makes these.
    pub fn new(lane: usize, complete: Arc<dyn Fn(Called<S>, usize) + Send + Sync>) -> Self {
        Completions { complete, lane }
    }

    /// Tells the runtime what ended.
    pub fn complete(&self, called: Called<S>) {
        (self.complete)(called, self.lane);
    }
}

/// One opened lane of either kind.
pub enum Lane<S> {
    /// Calls return when the device is done.
    Blocking(Box<dyn BlockingLane<S>>),
    /// Calls return at once. Given its completions, the device opens its end.
    Queued(Box<dyn FnOnce(Completions<S>) -> Box<dyn QueuedLane<S>> + Send>),
}

impl<S> Lane<S> {
    /// By how many calls this lane's results come late.
    pub fn lag(&self) -> usize {
        match self {
            Lane::Blocking(lane) => lane.lag(),
            Lane::Queued(_) => 0,
        }
    }
}

impl<S> std::fmt::Debug for Lane<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Lane::Blocking(_) => "Lane::Blocking",
            Lane::Queued(_) => "Lane::Queued",
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

    /// Whether a call computes on a core of this machine instead of waiting for a device.
    fn computes(&self) -> bool {
        false
    }

    /// One call. With lag, `outputs` are those of the item whose result this call brings; while a pipelined
    /// device fills up they are scratch, and `inputs` are scratch in a flush call.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Lost`] ends the lane. Any other error costs the item whose `inputs` were given, and
    /// promises that nothing moved: the next call continues as if this one had not been made.
    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<CallSpans, DeviceError>;
}
