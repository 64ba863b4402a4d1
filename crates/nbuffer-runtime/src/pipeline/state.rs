//! What a pipeline's threads share under one lock: the schedule, and everything at rest.
//!
//! Whatever is not being worked on lies here; a step takes what it needs out and puts it back. So a buffer
//! set has one owner by construction: this state, a thread, or a device.

use std::sync::Arc;
use std::time::Instant;

use nbuffer_core::measure::{Measures, Nanos, Stage};
use nbuffer_core::schedule::{Event, Outcome, Schedule, Sequence, SetState, Slot, Step};

use super::step::Ended;
use super::worker::Stamps;
use super::{Delivery, HostStages, Kind, Options, Report, SourceEnd, Timing};
use crate::device::DeviceError;
use crate::item_error::{ItemError, Step as Where};
use crate::lane::{BlockingLane, Called, DeviceSpan, DeviceSpans, Flight, QueuedLane};

/// Work that takes less than this is not worth waking a thread for: a wake-up costs more.
const SHORT_NS: f64 = 3_000.0;

/// Results of items with less work than this are handed to a consumer a few at a time.
const QUICK_NS: f64 = 100_000.0;

/// The source, where items come from.
pub(super) type Source<H> = Box<dyn Iterator<Item = <H as HostStages>::Item> + Send>;

/// One place of a ring: the buffer set when it is at rest, and what goes with the item in it.
pub(super) struct Place<H: HostStages> {
    pub(super) set: Option<H::Set>,
    pub(super) carry: Option<H::Carry>,
    /// When the item was taken; `None` when it is not timed.
    pub(super) taken_at: Option<Nanos>,
    /// Host time spent on the item so far.
    pub(super) work: Nanos,
    /// When the set was handed to its device; kept for the watchdog.
    pub(super) submitted_at: Nanos,
}

/// An item that was taken and has no buffer set yet, with when it was taken. In place of one that its
/// source panicked over stands what the panic said.
type Held<T> = (Result<T, String>, Option<Nanos>);

pub(super) enum LaneKind<S> {
    Blocking(Option<Box<dyn BlockingLane<S>>>),
    Queued(Option<Box<dyn QueuedLane<S>>>),
}

/// A device call that is being made.
pub(super) struct InCall {
    pub(super) since: Nanos,
    pub(super) worker: usize,
    pub(super) item: Option<Sequence>,
}

pub(super) struct LaneState<S> {
    pub(super) kind: LaneKind<S>,
    pub(super) in_call: Option<InCall>,
}

pub(super) struct State<H: HostStages> {
    pub(super) schedule: Schedule,
    rings: Vec<Vec<Place<H>>>,
    pub(super) lanes: Vec<LaneState<H::Set>>,
    pub(super) source: Option<Source<H>>,
    source_end: SourceEnd,
    pub(super) held: Option<Held<H::Item>>,
    /// Results that wait for their turn; item `sequence` at `sequence & mask`.
    results: Vec<Option<Result<H::Output, ItemError>>>,
    mask: u64,
    /// Items that ended and were not delivered.
    pub(super) undelivered: usize,
    pub(super) window: usize,
    epoch: Instant,
    timing: Timing,
    watched: bool,
    sampled: bool,
    timed_items: u64,
    mean_work: f64,
    /// Running mean of how long each kind of task takes, in nanoseconds.
    means: [f64; 5],
    measures: Measures,
    last_event: Nanos,
    lost: Vec<(usize, Arc<DeviceError>)>,
}

impl<H: HostStages> State<H> {
    pub(super) fn new(
        schedule: Schedule,
        source: Source<H>,
        rings: Vec<Vec<H::Set>>,
        window: usize,
        options: &Options,
    ) -> Self {
        let places = window.next_power_of_two();
        let place = |set| Place { set: Some(set), carry: None, taken_at: None, work: 0, submitted_at: 0 };
        State {
            schedule,
            measures: Measures::new(rings.len()),
            rings: rings.into_iter().map(|ring| ring.into_iter().map(place).collect()).collect(),
            lanes: Vec::new(),
            source: Some(source),
            source_end: SourceEnd::Open,
            held: None,
            results: (0..places).map(|_| None).collect(),
            mask: places as u64 - 1,
            undelivered: 0,
            window,
            epoch: Instant::now(),
            timing: options.timing,
            watched: options.watchdog.is_some(),
            sampled: false,
            timed_items: 0,
            mean_work: f64::INFINITY,
            means: [f64::INFINITY; 5],
            last_event: 0,
            lost: Vec::new(),
        }
    }

    pub(super) fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Whether the work of an item is too short to be worth a wake-up.
    pub(super) fn is_short(&self) -> bool {
        self.mean_work < SHORT_NS
    }

    /// Whether items follow each other so quickly that a result may wait for the next few.
    pub(super) fn is_quick(&self) -> bool {
        self.mean_work < QUICK_NS
    }

    /// Whether a task of this kind is usually over before anybody could be woken.
    pub(super) fn is_brief(&self, kind: Kind) -> bool {
        self.means[kind as usize] < SHORT_NS
    }

    /// Takes note of when a task ran.
    pub(super) fn took(&mut self, kind: Kind, start: Nanos, end: Nanos) {
        self.last_event = self.last_event.max(end);
        let ns = (end - start) as f64;
        let mean = &mut self.means[kind as usize];
        *mean = if mean.is_finite() { *mean + (ns - *mean) / 8.0 } else { ns };
    }

    /// Whether the next item will be timed.
    pub(super) fn times_next(&self) -> bool {
        self.timing == Timing::Every || !self.is_short() || self.schedule.totals().taken.is_multiple_of(64)
    }

    pub(super) fn place(&mut self, slot: Slot) -> &mut Place<H> {
        &mut self.rings[slot.lane][slot.set]
    }

    /// The time, if a watchdog wants to know it.
    pub(super) fn now_if_watched(&self) -> Nanos {
        if self.watched { nanos(self.epoch) } else { 0 }
    }

    /// A lane's call came back.
    pub(super) fn returned(&mut self, lane: usize, kind: LaneKind<H::Set>) {
        // A call that was given up may return after its pipeline has ended.
        if let Some(state) = self.lanes.get_mut(lane) {
            state.in_call = None;
            state.kind = kind;
        }
    }

    pub(super) fn source_ended(&mut self) {
        if self.source_end == SourceEnd::Open {
            self.source_end = SourceEnd::Exhausted;
        }
        self.schedule.report(Event::SourceEnded);
    }

    pub(super) fn taken(&mut self, item: Result<H::Item, String>, stamps: Stamps) {
        if !self.schedule.is_asking() {
            // Cancelled meanwhile, or every lane is lost: the item is not taken.
            return self.schedule.report(Event::Taken);
        }
        if let Some((start, end)) = stamps {
            self.measures.source(start, end);
        } else {
            self.sampled = true;
        }
        if let Err(message) = &item {
            self.source_end = SourceEnd::Panicked(message.clone());
        }
        self.held = Some((item, stamps.map(|(_, end)| end)));
        self.schedule.report(Event::Taken);
    }

    pub(super) fn preprocessed(&mut self, slot: Slot, set: H::Set, ended: Ended<H::Carry>, stamps: Stamps) {
        let place = &mut self.rings[slot.lane][slot.set];
        place.set = Some(set);
        if let Some((start, end)) = stamps {
            place.work += end - start;
            self.measures.stage(Stage::Preprocess, start, end);
        }
        let step = match ended {
            Ended::Done(carry) => {
                place.carry = Some(carry);
                Step::Done
            }
            failed => self.stage_failed(slot, Where::Preprocess, failed),
        };
        if let (Step::Done, Some(error)) = (step, self.lost_error(slot.lane)) {
            self.put(slot.sequence, Err(device_error(slot, error)));
        }
        self.report(Event::Preprocessed(slot, step));
    }

    pub(super) fn postprocessed(&mut self, slot: Slot, set: H::Set, ended: Ended<H::Output>, stamps: Stamps) {
        let place = &mut self.rings[slot.lane][slot.set];
        place.set = Some(set);
        if let Some((start, end)) = stamps {
            place.work += end - start;
            let (work, taken_at) = (place.work as f64, place.taken_at);
            self.measures.stage(Stage::Postprocess, start, end);
            self.measures.latency(end - taken_at.unwrap_or(start));
            self.timed_items += 1;
            if self.timed_items < 16 {
                // Cold caches say nothing yet.
            } else if self.mean_work.is_finite() {
                self.mean_work += (work - self.mean_work) / 16.0;
            } else {
                self.mean_work = work;
            }
        }
        let step = match ended {
            Ended::Done(output) => {
                self.put(slot.sequence, Ok(output));
                Step::Done
            }
            failed => self.stage_failed(slot, Where::Postprocess, failed),
        };
        self.report(Event::Postprocessed(slot, step));
    }

    fn stage_failed<T>(&mut self, slot: Slot, step: Where, ended: Ended<T>) -> Step {
        let sequence = slot.sequence;
        let error = match ended {
            Ended::Done(_) => return Step::Done,
            Ended::Failed(source) => ItemError::Stage { step, sequence, source },
            Ended::Panicked(message) => {
                let from_source = self.source_end == SourceEnd::Panicked(message.clone());
                let step = if from_source && self.source.is_none() { Where::Source } else { step };
                ItemError::Panicked { step, sequence, message }
            }
        };
        self.put(sequence, Err(error));
        Step::Failed
    }

    /// What a device brought back, from a blocking call or through its completions.
    pub(super) fn called(&mut self, lane: usize, called: Called<H::Set>, call: Stamps) {
        match called {
            Called::Nothing => {}
            Called::Landed(flight, spans) => self.landed(flight, &spans, call),
            Called::Failed(flight, error) => {
                let slot = flight.id;
                if self.is_in_flight(slot) {
                    self.rings[slot.lane][slot.set].set = Some(flight.set);
                    self.put(slot.sequence, Err(device_error(slot, Arc::from(error))));
                    self.report(Event::CallFailed(slot));
                }
            }
            Called::Lost(error) => self.lose(lane, *error),
        }
    }

    fn landed(&mut self, flight: Flight<H::Set>, spans: &DeviceSpans, call: Stamps) {
        let Flight { id: slot, set } = flight;
        if !self.is_in_flight(slot) {
            // The lane was given up for lost and came back: its items have ended.
            return;
        }
        let place = &mut self.rings[slot.lane][slot.set];
        place.set = Some(set);
        if place.taken_at.is_some() {
            let since_epoch = |DeviceSpan { start, end }: DeviceSpan| {
                let nanos = |t: Instant| t.saturating_duration_since(self.epoch).as_nanos() as Nanos;
                (nanos(start), nanos(end))
            };
            let [write, kernel, read] = [spans.write, spans.kernel, spans.read].map(|s| s.map(since_epoch));
            if let Some((start, end)) = write {
                self.measures.stage(Stage::Write, start, end);
            }
            if let Some((start, end)) = read {
                self.measures.stage(Stage::Read, start, end);
                self.last_event = self.last_event.max(end);
            }
            if let Some((start, end)) = spans.call.map(since_epoch) {
                self.measures.call(start, end);
            }
            // A lane that knows no spans of its own is its call.
            let call = if write.is_none() && read.is_none() { call } else { None };
            if let Some((start, end)) = kernel.or(call) {
                if kernel.is_none() {
                    place.work += end - start;
                }
                self.measures.kernel(slot.lane, start, end);
                self.last_event = self.last_event.max(end);
            }
        }
        self.report(Event::Landed(slot));
    }

    /// Gives a lane up: its items fail with this error, and the lane gets no more.
    pub(super) fn lose(&mut self, lane: usize, error: DeviceError) {
        if self.lost_error(lane).is_some() {
            return;
        }
        let error = Arc::new(error);
        self.lost.push((lane, Arc::clone(&error)));
        for set in 0..self.rings[lane].len() {
            if let SetState::InFlight(sequence) | SetState::Ready(sequence) = self.schedule.sets(lane)[set] {
                let slot = Slot { lane, set, sequence };
                self.put(sequence, Err(device_error(slot, Arc::clone(&error))));
            }
        }
        self.report(Event::LaneLost(lane));
        if self.schedule.lanes_alive() == 0 {
            self.held = None;
            if self.source_end == SourceEnd::Open {
                self.source_end = SourceEnd::NoLanes;
            }
        }
    }

    pub(super) fn lost_error(&self, lane: usize) -> Option<Arc<DeviceError>> {
        self.lost.iter().find(|(l, _)| *l == lane).map(|(_, error)| Arc::clone(error))
    }

    fn is_in_flight(&self, slot: Slot) -> bool {
        self.schedule.sets(slot.lane)[slot.set] == SetState::InFlight(slot.sequence)
    }

    /// Cancels what has not started.
    pub(super) fn cancel(&mut self) {
        if matches!(self.source_end, SourceEnd::Open) {
            self.source_end = SourceEnd::Cancelled;
        }
        self.held = None;
        self.report(Event::Cancel);
    }

    /// Tells the schedule, and counts the items that ended with it.
    pub(super) fn report(&mut self, event: Event) {
        let before = self.ended();
        self.schedule.report(event);
        self.undelivered += (self.ended() - before) as usize;
    }

    fn ended(&self) -> u64 {
        let t = self.schedule.totals();
        t.ok + t.failed + t.cancelled
    }

    /// The next result on its way out.
    pub(super) fn deliver(&mut self) -> Option<Delivery<H::Output>> {
        let (sequence, outcome) = self.schedule.deliver()?;
        self.undelivered -= 1;
        let kept = self.results[(sequence & self.mask) as usize].take();
        let result = match (outcome, kept) {
            (Outcome::Cancelled, _) => Err(ItemError::Cancelled { sequence }),
            (Outcome::Failed, None) => Err(ItemError::NoLane { sequence }),
            (_, kept) => kept.expect("an item that ended has left its result"),
        };
        Some(Delivery { sequence, result })
    }

    fn put(&mut self, sequence: Sequence, result: Result<H::Output, ItemError>) {
        self.results[(sequence & self.mask) as usize] = Some(result);
    }

    /// The longest-running device call or flight that began before `limit`.
    pub(super) fn overdue(&self, now: Nanos, limit: Nanos) -> Option<(usize, Option<Sequence>, Nanos)> {
        for (lane, state) in self.lanes.iter().enumerate() {
            if self.lost_error(lane).is_some() {
                continue;
            }
            if let Some(call) = &state.in_call
                && now.saturating_sub(call.since) > limit
            {
                return Some((lane, call.item, now - call.since));
            }
            if let LaneKind::Queued(_) = state.kind {
                for (place, set) in self.rings[lane].iter().zip(self.schedule.sets(lane)) {
                    if let SetState::InFlight(sequence) = *set
                        && now.saturating_sub(place.submitted_at) > limit
                    {
                        return Some((lane, Some(sequence), now - place.submitted_at));
                    }
                }
            }
        }
        None
    }

    pub(super) fn make_report(&self) -> Report {
        Report {
            totals: self.schedule.totals(),
            source_end: self.source_end.clone(),
            measures: self.measures.clone(),
            sampled: self.sampled,
            wall: if self.schedule.is_settled() && !self.schedule.wants_items() {
                self.last_event
            } else {
                nanos(self.epoch)
            },
            lost: self.lost.clone(),
        }
    }
}

fn device_error(slot: Slot, source: Arc<DeviceError>) -> ItemError {
    ItemError::Device { sequence: slot.sequence, lane: slot.lane, source }
}

/// Nanoseconds since `epoch`.
pub(super) fn nanos(epoch: Instant) -> Nanos {
    epoch.elapsed().as_nanos() as Nanos
}
