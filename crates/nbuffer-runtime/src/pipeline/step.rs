//! One step, carried out without the lock: what it needs, what it leaves.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use nbuffer_core::measure::Nanos;
use nbuffer_core::schedule::Slot;

use super::HostStages;
use crate::device::DeviceError;
use crate::item_error::{BoxError, panic_message};
use crate::lane::{BlockingLane, Called, Flight, QueuedLane};

/// The source, where items come from.
pub(super) type Source<H> = Box<dyn Iterator<Item = <H as HostStages>::Item> + Send>;

/// What a user's stage left: its value, its error, or what its panic said.
pub(super) enum Ended<T> {
    Done(T),
    Failed(BoxError),
    Panicked(String),
}

fn guard<T>(stage: impl FnOnce() -> Result<T, BoxError>) -> Ended<T> {
    match catch_unwind(AssertUnwindSafe(stage)) {
        Ok(Ok(value)) => Ended::Done(value),
        Ok(Err(error)) => Ended::Failed(error),
        Err(panic) => Ended::Panicked(panic_message(&*panic)),
    }
}

/// A command with everything that carrying it out needs, moved out of the shared state.
pub(super) enum Job<H: HostStages> {
    Take(Source<H>),
    /// An item that is there in name only: its source panicked when it was asked for it.
    Preprocess(Slot, Result<H::Item, String>, H::Set),
    Call(usize, Box<dyn BlockingLane<H::Set>>, Option<Flight<H::Set>>),
    Submit(Box<dyn QueuedLane<H::Set>>, Flight<H::Set>),
    Postprocess(Slot, H::Carry, H::Set),
}

/// What a thread may be busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Take,
    Preprocess,
    Call,
    Postprocess,
    Deliver,
}

/// What a job left, to be put back into the shared state.
pub(super) enum Done<H: HostStages> {
    Take(Option<Source<H>>, Option<Result<H::Item, String>>),
    Preprocess(Slot, H::Set, Ended<H::Carry>),
    Call(usize, Box<dyn BlockingLane<H::Set>>, Called<H::Set>),
    Submit(usize, Box<dyn QueuedLane<H::Set>>, Option<Called<H::Set>>),
    Postprocess(Slot, H::Set, Ended<H::Output>),
}

impl<H: HostStages> Done<H> {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Done::Take(..) => Kind::Take,
            Done::Preprocess(..) => Kind::Preprocess,
            Done::Call(..) | Done::Submit(..) => Kind::Call,
            Done::Postprocess(..) => Kind::Postprocess,
        }
    }
}

fn lost_to_panic<S>(panic: Box<dyn Any + Send>) -> Called<S> {
    Called::Lost(DeviceError::Panicked { message: panic_message(&*panic) }.into())
}

/// When a job ran, in nanoseconds since the run began; `None` when it was not timed.
pub(super) type Stamps = Option<(Nanos, Nanos)>;

impl<H: HostStages> Job<H> {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Job::Take(_) => Kind::Take,
            Job::Preprocess(..) => Kind::Preprocess,
            Job::Call(..) | Job::Submit(..) => Kind::Call,
            Job::Postprocess(..) => Kind::Postprocess,
        }
    }

    /// Carries the job out. No lock is held, so stages of other items run meanwhile.
    pub(super) fn run(self, stages: &H, epoch: Instant, timed: bool) -> (Done<H>, Stamps) {
        let start = timed.then(|| nanos(epoch));
        let done = match self {
            Job::Take(mut source) => match catch_unwind(AssertUnwindSafe(|| source.next())) {
                Ok(Some(item)) => Done::Take(Some(source), Some(Ok(item))),
                // An iterator that has ended is not asked again.
                Ok(None) => Done::Take(None, None),
                Err(panic) => Done::Take(None, Some(Err(panic_message(&*panic)))),
            },
            Job::Preprocess(slot, item, mut set) => {
                let ended = match item {
                    Ok(item) => guard(|| stages.preprocess(item, &mut set)),
                    Err(panic) => Ended::Panicked(panic),
                };
                Done::Preprocess(slot, set, ended)
            }
            // A lane that panics took its set down with it, and is in an unknown state: it is lost.
            Job::Call(index, mut lane, flight) => {
                let called =
                    catch_unwind(AssertUnwindSafe(|| lane.call(flight))).unwrap_or_else(lost_to_panic);
                Done::Call(index, lane, called)
            }
            Job::Submit(mut lane, flight) => {
                let index = flight.id.lane;
                let submitted = catch_unwind(AssertUnwindSafe(|| lane.submit(flight)));
                Done::Submit(index, lane, submitted.err().map(lost_to_panic))
            }
            Job::Postprocess(slot, carry, mut set) => {
                let ended = guard(|| stages.postprocess(carry, &mut set));
                Done::Postprocess(slot, set, ended)
            }
        };
        (done, start.map(|start| (start, nanos(epoch))))
    }
}

/// Nanoseconds since `epoch`.
pub(super) fn nanos(epoch: Instant) -> Nanos {
    epoch.elapsed().as_nanos() as Nanos
}
