//! A lane of a queued device: submits return at once, and two threads do the rest.
//!
//! The *arithmetic* thread computes values, in the order of the submits, as soon as it can. The *clock*
//! thread waits for device time. An item is told as ended by whichever of the two is done with it last, so
//! a value that takes too long delays its own item and no other.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nbuffer_runtime::{
    Called, Completions, DeviceError, DeviceSpans, Flight, InputSet, OutputSet, QueuedLane,
};

type SimFlight = Flight<InputSet, OutputSet>;
type SimCalled = Called<InputSet, OutputSet>;

use crate::arithmetic::Arithmetic;
use crate::bell::Bell;
use crate::fault::FaultKind;
use crate::lockstep::corrupt;
use crate::program::Prepared;
use crate::timeline::{JobId, Progress};
use crate::times::Shape;

/// One lane's queue. Submits are numbered from 0; the number is the item's key in here.
///
/// Dropping it ends its threads. Items still in flight are then dropped and not told as ended. It must not
/// be dropped under a lock that telling takes.
pub(crate) struct SimQueue {
    shared: Arc<Shared>,
    work: Option<Sender<Work>>,
    threads: Vec<JoinHandle<()>>,
    submits: u64,
}

struct Shared {
    prepared: Arc<Prepared>,
    lane: usize,
    shape: Shape,
    bell: Arc<Bell>,
    completions: OnceLock<Completions<InputSet, OutputSet>>,
    flights: Mutex<Flights>,
}

#[derive(Default)]
struct Flights {
    by_submit: BTreeMap<u64, InFlight>,
    /// Why the lane is lost, once it is.
    lost: Option<String>,
    /// Whether the runtime has been told of the loss.
    loss_told: bool,
    closed: bool,
    /// Until when the clock thread sleeps; `None` when it does not, or waits for a ring alone.
    sleeps_until: Option<Instant>,
}

/// An item between its submit and its end.
struct InFlight {
    device: DeviceState,
    /// What the arithmetic thread has made of it.
    value: Option<Value>,
    late_by: Duration,
}

enum DeviceState {
    /// The device works on it.
    Running(JobId),
    /// The device has worked on it; it is told as ended at this time.
    Due(Instant, DeviceSpans),
    /// Its time has come; only the value is missing.
    Overdue(DeviceSpans),
    /// It never ends. After the limit the lane is lost.
    Hung(Option<Instant>),
    /// The device refused it.
    Refused,
}

struct Value {
    flight: SimFlight,
    result: Result<(), DeviceError>,
}

struct Work {
    submit: u64,
    flight: SimFlight,
    corrupt: bool,
}

impl SimQueue {
    /// A queue whose threads run.
    ///
    /// # Errors
    ///
    /// When the engine cannot set up a session, or the system has no thread left.
    pub(crate) fn new(prepared: &Arc<Prepared>, lane: usize) -> Result<Self, DeviceError> {
        let hardware = &prepared.hardware;
        let shared = Arc::new(Shared {
            prepared: Arc::clone(prepared),
            lane,
            shape: prepared.times.queued_item(&hardware.units),
            bell: hardware.new_bell(),
            completions: OnceLock::new(),
            flights: Mutex::default(),
        });
        let arithmetic = prepared.arithmetic()?;
        let (work, inbox) = channel();
        let mut queue = SimQueue { shared, work: Some(work), threads: Vec::new(), submits: 0 };
        let shared = Arc::clone(&queue.shared);
        queue.spawn("arithmetic", move || shared.compute_all(arithmetic, &inbox))?;
        let shared = Arc::clone(&queue.shared);
        queue.spawn("clock", move || shared.keep_time())?;
        Ok(queue)
    }

    /// The queue, once it knows whom to tell.
    pub(crate) fn open(self, completions: Completions<InputSet, OutputSet>) -> Self {
        // The lane is opened once, and nothing is told before its first submit.
        let _ = self.shared.completions.set(completions);
        self
    }

    fn spawn(&mut self, role: &str, body: impl FnOnce() + Send + 'static) -> Result<(), DeviceError> {
        let name = format!("sim {role} {}", self.shared.lane);
        let thread =
            thread::Builder::new().name(name).spawn(body).map_err(|error| DeviceError::Unavailable {
                device: self.shared.prepared.hardware.name.clone(),
                why: format!("lane {} cannot start a thread: {error}", self.shared.lane),
            })?;
        self.threads.push(thread);
        Ok(())
    }

    fn compute(&self, work: Work) {
        let inbox = self.work.as_ref().expect("the sender lives until the queue is dropped");
        // The thread ends early only when the lane is lost, and the flight with it.
        let _ = inbox.send(work);
    }
}

impl QueuedLane<InputSet, OutputSet> for SimQueue {
    fn submit(&mut self, flight: SimFlight) {
        let submit = self.submits;
        self.submits += 1;
        let Shared { prepared, lane, .. } = &*self.shared;
        let fault = prepared.fault(*lane, submit);
        let mut flights = self.shared.flights();
        if flights.lost.is_some() && flights.loss_told {
            // The loss covers every set inside the lane, and this one came too late to be anything else.
            return;
        }
        let mut in_flight = InFlight { device: DeviceState::Refused, value: None, late_by: Duration::ZERO };
        let value = |flight, result| Some(Value { flight, result });
        match fault {
            Some(FaultKind::Fail) => {
                let why = format!("planned fault in submit {submit} of lane {lane}");
                in_flight.value = value(flight, Err(DeviceError::Call { why }));
            }
            Some(FaultKind::Hang { limit }) => {
                in_flight.device = DeviceState::Hung(limit.map(|limit| Instant::now() + limit));
                in_flight.value = value(flight, Ok(()));
            }
            Some(FaultKind::Disappear { device }) => {
                let why = format!("lane {lane} disappeared in submit {submit}");
                if device {
                    prepared.hardware.disappear(why.clone());
                }
                flights.lost = Some(why);
                in_flight.value = value(flight, Ok(()));
            }
            Some(FaultKind::Late { .. } | FaultKind::Corrupt) | None => {
                if let Some(FaultKind::Late { by }) = fault {
                    in_flight.late_by = by;
                }
                let corrupt = fault == Some(FaultKind::Corrupt);
                in_flight.device =
                    DeviceState::Running(prepared.hardware.submit(self.shared.shape.steps.clone()));
                self.compute(Work { submit, flight, corrupt });
            }
        }
        let wanted = self.shared.settle(&mut in_flight);
        flights.by_submit.insert(submit, in_flight);
        // Mostly the clock thread sleeps until an earlier item ends, and finds this one then.
        let sleeps_on =
            flights.sleeps_until.is_some_and(|until| wanted.is_some_and(|wanted| until <= wanted));
        drop(flights);
        if !sleeps_on {
            self.shared.bell.ring();
        }
    }
}

impl Drop for SimQueue {
    fn drop(&mut self) {
        self.shared.flights().closed = true;
        self.shared.bell.ring();
        self.work = None;
        for thread in self.threads.drain(..) {
            // A completion may be what drops the lane, on one of its own threads.
            if thread.thread().id() != thread::current().id() {
                // Both threads catch what may panic; a panic in a completion is the runtime's to report.
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, called: SimCalled) {
        if let Some(completions) = self.completions.get() {
            completions.complete(called);
        }
    }

    /// The arithmetic thread.
    fn compute_all(&self, mut arithmetic: Arithmetic, inbox: &Receiver<Work>) {
        for Work { submit, mut flight, corrupt: corrupted } in inbox {
            {
                let flights = self.flights();
                if flights.closed || flights.lost.is_some() {
                    return;
                }
            }
            let result = arithmetic.run(&flight.input, &mut flight.output);
            if corrupted {
                corrupt(self.lane, submit, &mut flight.output);
            }
            let value = Value { flight, result };
            let overdue = {
                let mut flights = self.flights();
                let Some(in_flight) = flights.by_submit.get_mut(&submit) else { return };
                match in_flight.device {
                    DeviceState::Overdue(spans) => {
                        flights.by_submit.remove(&submit);
                        Some((value, spans))
                    }
                    _ => {
                        in_flight.value = Some(value);
                        None
                    }
                }
            };
            if let Some((value, spans)) = overdue {
                self.tell(value.called(spans));
            }
        }
    }

    /// The clock thread.
    fn keep_time(&self) {
        loop {
            let mut ended = Vec::new();
            let next = {
                let mut flights = self.flights();
                if flights.closed {
                    return self.abandon_all(&mut flights);
                }
                let next = self.advance(&mut flights, &mut ended);
                flights.sleeps_until = next.filter(|_| ended.is_empty());
                next
            };
            if ended.is_empty() {
                self.bell.wait_until(next);
            }
            // A clock that woke up late still tells in the order of device time.
            ended.sort_by_key(|&(at, _)| at);
            ended.into_iter().for_each(|(_, called)| self.tell(called));
        }
    }

    /// Moves every flight to its state of now, takes out what has ended, and says when to look again.
    fn advance(&self, flights: &mut Flights, ended: &mut Vec<(Instant, SimCalled)>) -> Option<Instant> {
        if flights.lost.is_none() {
            // An idle lane tells of the loss when it is next asked for something.
            let gone = self.prepared.hardware.gone().filter(|_| !flights.by_submit.is_empty());
            flights.lost = gone.map(str::to_owned);
        }
        let mut next: Option<Instant> = None;
        if flights.lost.is_none() {
            let submits: Vec<u64> = flights.by_submit.keys().copied().collect();
            for submit in submits {
                let at = self.advance_one(flights, submit, ended);
                next = at.into_iter().chain(next).min();
            }
        }
        if let Some(why) = flights.lost.clone().filter(|_| !flights.loss_told) {
            flights.loss_told = true;
            self.abandon_all(flights);
            ended.push((Instant::now(), Called::lost(DeviceError::Lost { why })));
        }
        next
    }

    fn advance_one(
        &self,
        flights: &mut Flights,
        submit: u64,
        ended: &mut Vec<(Instant, SimCalled)>,
    ) -> Option<Instant> {
        let in_flight = flights.by_submit.get_mut(&submit)?;
        let look_at = self.settle(in_flight);
        let (at, spans) = match in_flight.device {
            DeviceState::Running(_) | DeviceState::Overdue(_) => return look_at,
            DeviceState::Due(due, _) if Instant::now() < due => return look_at,
            DeviceState::Due(due, spans) => (due, spans),
            DeviceState::Hung(limit) => {
                if limit.is_some_and(|limit| Instant::now() >= limit) {
                    flights.lost =
                        Some(format!("submit {submit} of lane {} hung beyond its limit", self.lane));
                } else if self.prepared.is_closed() {
                    let lane = self.lane;
                    flights.lost =
                        Some(format!("submit {submit} of lane {lane} hung until the program was dropped"));
                }
                return look_at;
            }
            DeviceState::Refused => (Instant::now(), DeviceSpans::default()),
        };
        match in_flight.value.take() {
            Some(value) => {
                flights.by_submit.remove(&submit);
                ended.push((at, value.called(spans)));
            }
            None => in_flight.device = DeviceState::Overdue(spans),
        }
        None
    }

    /// Takes in what the device has done for an item by now, and says when to look at it again.
    fn settle(&self, in_flight: &mut InFlight) -> Option<Instant> {
        let hardware = &self.prepared.hardware;
        if let DeviceState::Running(job) = in_flight.device {
            match hardware.progress(job) {
                Progress::NotBefore(ns) => return Some(hardware.instant(ns)),
                Progress::Ended(spans) => {
                    let end_ns = spans.iter().map(|span| span.end_ns).max().unwrap_or(0);
                    let due = hardware.instant(end_ns) + in_flight.late_by;
                    in_flight.device = DeviceState::Due(due, self.shape.device_spans(&spans, hardware.epoch));
                }
            }
        }
        match in_flight.device {
            DeviceState::Due(due, _) => Some(due),
            DeviceState::Hung(limit) => limit,
            DeviceState::Running(_) | DeviceState::Overdue(_) | DeviceState::Refused => None,
        }
    }

    fn abandon_all(&self, flights: &mut Flights) {
        for in_flight in std::mem::take(&mut flights.by_submit).into_values() {
            if let DeviceState::Running(job) = in_flight.device {
                self.prepared.hardware.abandon(job);
            }
        }
    }
}

impl Value {
    fn called(self, spans: DeviceSpans) -> SimCalled {
        match self.result {
            Ok(()) => Called::landed(self.flight, spans.into()),
            Err(error) => Called::failed(self.flight, error),
        }
    }
}

#[cfg(test)]
mod tests;
