//! The asynchronous call of an instance as a queued lane.
//!
//! One thread a lane makes the submits, so that no more are inside than the instance has places for, and so that a submit
//! which finds no place can be made again. The library calls back from threads of its own. What it is told to hand back
//! is a number: who calls back twice, or for something else, finds nothing under it.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nbuffer_runtime::{
    Called, Completions, DeviceError, DeviceSpan, DeviceSpans, Flight, InputSet, OutputSet, QueuedLane,
};

use crate::failure::Failure;
use crate::instance::{Instance, input, output};
use crate::sys::{Argument, ResultCode, SUCCESS};

/// `max_inflight` and `max_pending`, as the vendor's own software sets them.
pub(crate) const PLACES: (usize, usize) = (4, 8);

/// How long a submit that finds no place is made again, and how long a lane that is closed waits for what is inside.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two tries: a place becomes free a moment after its callback.
const RETRY: Duration = Duration::from_millis(1);

type AxFlight = Flight<InputSet, OutputSet>;

/// A lane's queue.
///
/// Dropping it waits for the calls inside. If they do not end, what they use is never freed: neither their buffer sets nor
/// the instance.
pub(crate) struct AxQueue {
    shared: Arc<Shared>,
    inbox: Option<Sender<AxFlight>>,
}

struct Shared {
    lane: usize,
    completions: OnceLock<Completions<InputSet, OutputSet>>,
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    /// Calls that have begun and not ended.
    inside: usize,
    is_lost: bool,
    is_closed: bool,
    /// The thread has ended, and the instance with it.
    is_over: bool,
    last_end: Option<Instant>,
}

/// A call that has begun: all that the library may still use.
struct Ticket {
    shared: Arc<Shared>,
    flight: AxFlight,
    _arguments: Arguments,
    begun: Instant,
}

/// Inputs, then outputs. The library may look at them until it calls back.
struct Arguments(#[expect(dead_code, reason = "it is the library that reads them")] Vec<Argument>);

// SAFETY: they point to the buffers of the flight beside them, which may be sent, and are used by the library alone.
unsafe impl Send for Arguments {}

impl AxQueue {
    /// A queue whose thread runs.
    ///
    /// # Errors
    ///
    /// When the system has no thread left.
    pub(crate) fn new(instance: Instance, device: &str, lane: usize) -> Result<Self, DeviceError> {
        let shared = Arc::new(Shared {
            lane,
            completions: OnceLock::new(),
            state: Mutex::default(),
            news: Condvar::new(),
        });
        let (inbox, flights) = channel();
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new().name(format!("metis submits {lane}"));
        thread.spawn(move || of_thread.submit_all(instance, &flights)).map_err(|error| {
            let why = format!("lane {lane} cannot start a thread: {error}");
            DeviceError::Unavailable { device: device.to_owned(), why }
        })?;
        Ok(AxQueue { shared, inbox: Some(inbox) })
    }

    /// The queue, once it knows whom to tell.
    pub(crate) fn open(self, completions: Completions<InputSet, OutputSet>) -> Self {
        // The lane is opened once, and nothing is told before its first submit.
        let _ = self.shared.completions.set(completions);
        self
    }
}

impl QueuedLane<InputSet, OutputSet> for AxQueue {
    fn submit(&mut self, flight: AxFlight) {
        let inbox = self.inbox.as_ref().expect("the sender lives until the queue is dropped");
        // The thread ends early only when the lane is lost, and the flight with it.
        let _ = inbox.send(flight);
    }
}

impl Drop for AxQueue {
    fn drop(&mut self) {
        self.shared.state().is_closed = true;
        self.shared.news.notify_all();
        self.inbox = None;
        // The thread gives up by itself; a submit that hangs is not waited for.
        let over = |state: &mut State| !state.is_over;
        let state = self.shared.state();
        let waited = self.shared.news.wait_timeout_while(state, 2 * PATIENCE, over);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, called: Called<InputSet, OutputSet>) {
        if let Some(completions) = self.completions.get() {
            completions.complete(called);
        }
    }

    /// The lane's thread.
    fn submit_all(self: Arc<Self>, mut instance: Instance, flights: &Receiver<AxFlight>) {
        for flight in flights {
            if !self.wait_for_place() {
                // Nobody waits for it: it was not given to the device, and is freed here.
                break;
            }
            self.submit(&mut instance, flight);
        }
        let has_inside = |state: &mut State| state.inside > 0;
        let waited = self.news.wait_timeout_while(self.state(), PATIENCE, has_inside);
        let inside = waited.unwrap_or_else(PoisonError::into_inner).0.inside;
        if inside == 0 {
            drop(instance);
        } else {
            tracing::warn!(lane = self.lane, inside, "calls did not end; their instance is left as it is");
            std::mem::forget(instance);
        }
        self.state().is_over = true;
        self.news.notify_all();
    }

    /// Waits until the instance has a place; `false` when nobody wants anything of the lane any more.
    fn wait_for_place(&self) -> bool {
        let is_full = |state: &mut State| state.inside >= PLACES.1 && !state.is_lost && !state.is_closed;
        let state = self.news.wait_while(self.state(), is_full).unwrap_or_else(PoisonError::into_inner);
        !state.is_lost && !state.is_closed
    }

    /// Begins one call, and tries again while the instance says it has no place.
    fn submit(self: &Arc<Self>, instance: &mut Instance, mut flight: AxFlight) {
        let n_inputs = flight.input.len();
        let inputs = flight.input.iter().map(input);
        let mut arguments: Vec<Argument> = inputs.chain(flight.output.iter_mut().map(output)).collect();
        // The list moves into the ticket, and what is in it stays where it is on the heap.
        let (first, n_outputs) = (arguments.as_mut_ptr(), arguments.len() - n_inputs);
        let begun = Instant::now();
        let mut ticket = Ticket { shared: Arc::clone(self), flight, _arguments: Arguments(arguments), begun };
        self.state().inside += 1;
        loop {
            let number = Tickets::put(ticket);
            // SAFETY: the arguments are `n_inputs + n_outputs` in one allocation, which the ticket keeps until the call
            // has ended, with the buffers they point to. Nothing else refers to them.
            let arguments = unsafe { std::slice::from_raw_parts_mut(first, n_inputs + n_outputs) };
            let (ins, outs) = arguments.split_at_mut(n_inputs);
            let arg = ptr::without_provenance_mut(number);
            // SAFETY: the ticket keeps arguments and buffers in their place until `called_back` takes it out, which may
            // be called from any thread, with any number.
            let Err(failure) = (unsafe { instance.begin(ins, outs, called_back, arg) }) else { return };
            // The call has not begun, so the library does not call back for it. If it did all the same, it has ended the
            // call; if it will, it finds nothing under this number.
            let Some(refused) = Tickets::take(number) else { return };
            if !failure.is_queue_full() || begun.elapsed() >= PATIENCE || self.state().is_closed {
                return refused.end(Err(failure));
            }
            let waited = self.news.wait_timeout(self.state(), RETRY);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            ticket = refused;
        }
    }
}

impl Ticket {
    /// Tells what became of the call, then makes room for the next.
    fn end(self, outcome: Result<(), Failure>) {
        let Ticket { shared, flight, begun, .. } = self;
        let _room = Room(Arc::clone(&shared));
        let called = {
            let mut state = shared.state();
            if state.is_lost {
                return;
            }
            let end = Instant::now();
            match outcome {
                Ok(()) => {
                    // The library does not tell its stages: the device was at this item since it ended the one before.
                    let start = state.last_end.replace(end).map_or(begun, |last| last.max(begun));
                    let kernel = Some(DeviceSpan { start, end });
                    Called::landed(flight, DeviceSpans { kernel, ..DeviceSpans::default() }.into())
                }
                Err(failure) if failure.is_loss() => {
                    state.is_lost = true;
                    // A device that is gone may still reach this memory: it is never freed.
                    std::mem::forget(flight);
                    Called::lost(failure.in_run())
                }
                Err(failure) => Called::failed(flight, failure.in_run()),
            }
        };
        shared.tell(called);
    }
}

/// A place in the instance, free when this is dropped.
struct Room(Arc<Shared>);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.state().inside -= 1;
        self.0.news.notify_all();
    }
}

/// What the library calls from a thread of its own when a call has ended.
///
/// It touches no memory of the library and none through `arg`, which is a ticket's number.
unsafe extern "C" fn called_back(arg: *mut c_void, result: ResultCode) {
    let end = || {
        let Some(ticket) = Tickets::take(arg.addr()) else {
            tracing::error!(number = arg.addr(), "the library called back for a call that is not inside");
            return;
        };
        let call = "axr_run_async_model_instance";
        ticket.end(if result == SUCCESS { Ok(()) } else { Err(Failure::of_code_alone(call, result)) });
    };
    // A panic must not reach the library's frames.
    if catch_unwind(AssertUnwindSafe(end)).is_err() {
        tracing::error!("telling that a call has ended panicked");
    }
}

/// All calls inside any instance, by number. A ticket whose call never ends stays, with its memory.
struct Tickets {
    by_number: BTreeMap<usize, Ticket>,
    last: usize,
}

impl Tickets {
    fn all() -> MutexGuard<'static, Tickets> {
        static ALL: Mutex<Tickets> = Mutex::new(Tickets { by_number: BTreeMap::new(), last: 0 });
        ALL.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(ticket: Ticket) -> usize {
        let mut all = Tickets::all();
        all.last += 1;
        let number = all.last;
        all.by_number.insert(number, ticket);
        number
    }

    fn take(number: usize) -> Option<Ticket> {
        Tickets::all().by_number.remove(&number)
    }
}
