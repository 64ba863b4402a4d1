//! What a pipeline's threads share under one lock: the schedule, and everything at rest.
//!
//! Whatever is not being worked on lies here; a step takes what it needs out and puts it back. So a buffer
//! set has one owner by construction: this state, a thread, or a device.

use std::sync::Arc;
use std::time::Instant;

use nbuffer_core::measure::{Measures, Nanos, Stage, Tallies};
use nbuffer_core::schedule::{
    ConfigError, Event, LIMIT, Outcome, Retry, Schedule, Sequence, SetState, Sets, Slot, Step, Transit,
};
use nbuffer_core::trace::{Interval, Tracer, What};
use nbuffer_core::tune::Decision;

use super::pace::Pace;
use super::passage::Passages;
use super::step::StageEnd;
use super::worker::Stamps;
use super::{Delivery, HostStages, Kind, Options, Report, SourceEnd};
use crate::device::DeviceError;
use crate::item_error::{ItemError, Step as Where};
use crate::lane::{BlockingLane, Called, DeviceSpan, DeviceSpans, Ended, QueuedLane};

/// The source, where items come from.
pub(super) type Source<H> = Box<dyn Iterator<Item = <H as HostStages>::Item> + Send>;

/// A lane's buffer sets, each while it is at rest.
pub(super) struct Ring<I, O> {
    pub(super) inputs: Vec<Option<I>>,
    pub(super) outputs: Vec<Option<O>>,
}

pub(super) enum LaneKind<I, O> {
    Blocking(Option<Box<dyn BlockingLane<I, O>>>),
    Queued(Option<Box<dyn QueuedLane<I, O>>>),
}

/// A device call that is being made.
pub(super) struct InCall {
    pub(super) since: Nanos,
    pub(super) worker: usize,
    pub(super) item: Option<Sequence>,
}

pub(super) struct LaneState<I, O> {
    pub(super) kind: LaneKind<I, O>,
    pub(super) in_call: Option<InCall>,
}

pub(super) struct State<H: HostStages> {
    pub(super) schedule: Schedule,
    pub(super) rings: Vec<Ring<H::InputSet, H::OutputSet>>,
    pub(super) lanes: Vec<LaneState<H::InputSet, H::OutputSet>>,
    pub(super) source: Option<Source<H>>,
    source_end: SourceEnd,
    /// An item that was taken and has no buffer set yet. In place of one that its source panicked over stands what
    /// the panic said.
    pub(super) held: Option<Result<H::Item, String>>,
    /// Copies of items are kept for the case that their lane is lost.
    pub(super) keeps: bool,
    pub(super) passages: Passages<H>,
    pub(super) pace: Pace,
    epoch: Instant,
    watched: bool,
    sampled: bool,
    measures: Measures,
    /// Keeps what each item does when, if that is wanted.
    pub(super) tracer: Option<Box<Tracer>>,
    last_event: Nanos,
    lost: Vec<(usize, Arc<DeviceError>)>,
    decisions: Vec<Decision>,
    settled_from: Tallies,
}

impl<H: HostStages> State<H> {
    pub(super) fn new(
        schedule: Schedule,
        source: Source<H>,
        rings: Vec<Ring<H::InputSet, H::OutputSet>>,
        options: &Options,
    ) -> Self {
        let n_lanes = rings.len();
        State {
            measures: Measures::new(n_lanes),
            rings,
            lanes: Vec::new(),
            source: Some(source),
            source_end: SourceEnd::Open,
            held: None,
            keeps: options.retry == Retry::OtherLane,
            passages: Passages::new(schedule.window()),
            pace: Pace::new(options),
            tracer: options.trace.map(|journeys| Box::new(Tracer::new(journeys, schedule.window()))),
            schedule,
            epoch: Instant::now(),
            watched: options.watchdog.is_some(),
            sampled: false,
            last_event: 0,
            lost: Vec::new(),
            decisions: Vec::new(),
            settled_from: Measures::new(n_lanes).tallies(),
        }
    }

    pub(super) fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Whether several results wait to be delivered: enough to be worth a consumer's while.
    pub(super) fn has_several(&self) -> bool {
        self.schedule.undelivered() * 2 >= self.schedule.window() as u64
    }

    /// Takes note of when a task ran.
    pub(super) fn took(&mut self, kind: Kind, start: Nanos, end: Nanos) {
        self.last_event = self.last_event.max(end);
        self.pace.took(kind, end - start);
    }

    /// Gives a lane's ring another size, with the sets it needs beyond those it has.
    pub(super) fn resize(
        &mut self,
        lane: usize,
        sets: Sets,
        inputs: Vec<H::InputSet>,
        outputs: Vec<H::OutputSet>,
    ) -> Result<(), ConfigError> {
        let ring = &mut self.rings[lane];
        ring.inputs.extend(inputs.into_iter().map(Some));
        ring.outputs.extend(outputs.into_iter().map(Some));
        self.schedule.resize(lane, sets)?;
        let items: usize = (0..self.rings.len()).map(|lane| self.schedule.sets(lane).items_max()).sum();
        self.schedule.grow_window(items.saturating_mul(2).min(LIMIT))?;
        self.passages.grow(self.schedule.window());
        if let Some(tracer) = &mut self.tracer {
            tracer.grow(self.schedule.window());
        }
        Ok(())
    }

    /// The time, if a watchdog or a trace wants to know it.
    pub(super) fn now_if_watched(&self) -> Nanos {
        if self.watched || self.tracer.is_some() { nanos(self.epoch) } else { 0 }
    }

    /// Notes in the trace what happened beside the items' stages.
    fn note(&mut self, what: impl FnOnce() -> What) {
        if let Some(tracer) = &mut self.tracer {
            tracer.moment(nanos(self.epoch), what());
        }
    }

    /// A lane's call came back.
    pub(super) fn returned(&mut self, lane: usize, kind: LaneKind<H::InputSet, H::OutputSet>) {
        // A call that was given up may return after its pipeline has ended.
        if let Some(state) = self.lanes.get_mut(lane) {
            state.in_call = None;
            state.kind = kind;
        }
    }

    /// A blocking call is over; it submitted this item, or none.
    pub(super) fn call_ended(&mut self, lane: usize, id: Option<Transit>, call: Stamps) {
        if let (Some(tracer), Some((start, end))) = (&mut self.tracer, call) {
            match id {
                Some(id) => tracer.call_ends(id.sequence(), end),
                None => tracer.moment(start, What::Flush { lane, call: Interval { start, end } }),
            }
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
            if let Some(tracer) = &mut self.tracer {
                tracer.taken(self.schedule.totals().taken, Interval { start, end });
            }
        } else {
            self.sampled = true;
        }
        if let Err(message) = &item {
            tracing::error!(panic = %message, "the source panicked");
            self.source_end = SourceEnd::Panicked(message.clone());
        }
        self.held = Some(item);
        self.passages.open(self.schedule.totals().taken).taken_at = stamps.map(|(_, end)| end);
        self.schedule.report(Event::Taken);
    }

    /// The item that is to be preprocessed: the one taken last, or the copy of one that a lost lane held. `None` if
    /// there is no copy.
    pub(super) fn item(&mut self, sequence: Sequence) -> Option<Result<H::Item, String>> {
        let is_last = sequence + 1 == self.schedule.totals().taken;
        if is_last && self.held.is_some() {
            return self.held.take();
        }
        self.passages.of(sequence).kept.take().map(Ok)
    }

    /// An item that was to begin again cannot, since there is no copy of it: it fails with the lane that held it.
    pub(super) fn not_kept(&mut self, slot: Slot) {
        let (lane, error) = self.lost.last().expect("an item begins again after a lane was lost");
        let error = device_error(*lane, slot.sequence(), Arc::clone(error));
        self.put(slot.sequence(), Err(error));
        self.schedule.report(Event::Preprocessed(slot, Step::Failed));
    }

    pub(super) fn preprocessed(
        &mut self,
        slot: Slot,
        input: H::InputSet,
        ended: StageEnd<H::Carry>,
        stamps: Stamps,
    ) {
        self.rings[slot.lane()].inputs[slot.set()] = Some(input);
        let passage = self.passages.of(slot.sequence());
        if let Some((start, end)) = stamps {
            passage.work += end - start;
            self.measures.stage(Stage::Preprocess, start, end);
            if let Some(tracer) = &mut self.tracer {
                tracer.host_ends(slot.sequence(), Stage::Preprocess, Interval { start, end });
            }
        }
        let step = match ended {
            StageEnd::Done(carry) => {
                passage.carry = Some(carry);
                Step::Done
            }
            failed => self.stage_failed(slot.sequence(), Where::Preprocess, failed),
        };
        self.schedule.report(Event::Preprocessed(slot, step));
        if let (Step::Done, Some(error)) = (step, self.lost_error(slot.lane())) {
            self.ends_with_lane(slot.lane(), slot.sequence(), &error);
        }
    }

    pub(super) fn postprocessed(
        &mut self,
        slot: Slot,
        output: H::OutputSet,
        ended: StageEnd<H::Output>,
        stamps: Stamps,
    ) {
        self.rings[slot.lane()].outputs[slot.set()] = Some(output);
        let passage = self.passages.of(slot.sequence());
        if let Some((start, end)) = stamps {
            self.measures.stage(Stage::Postprocess, start, end);
            if let Some(tracer) = &mut self.tracer {
                tracer.host_ends(slot.sequence(), Stage::Postprocess, Interval { start, end });
            }
            self.measures.latency(end - passage.taken_at.unwrap_or(start));
            self.pace.worked(passage.work + (end - start));
        }
        let step = match ended {
            StageEnd::Done(output) => {
                passage.result = Some(Ok(output));
                Step::Done
            }
            failed => self.stage_failed(slot.sequence(), Where::Postprocess, failed),
        };
        self.schedule.report(Event::Postprocessed(slot, step));
    }

    fn stage_failed<T>(&mut self, sequence: Sequence, step: Where, ended: StageEnd<T>) -> Step {
        let error = match ended {
            StageEnd::Done(_) => return Step::Done,
            StageEnd::Failed(source) => ItemError::Stage { step, sequence, source },
            StageEnd::Panicked(message) => {
                let from_source = self.source_end == SourceEnd::Panicked(message.clone());
                let step = if from_source && self.source.is_none() { Where::Source } else { step };
                ItemError::Panicked { step, sequence, message }
            }
        };
        self.put(sequence, Err(error));
        Step::Failed
    }

    /// What a device gave back, from a blocking call or through its completions.
    pub(super) fn called(&mut self, lane: usize, called: Called<H::InputSet, H::OutputSet>, call: Stamps) {
        let Called { input, ended } = called;
        // A blocking call gives back what it gives at its end.
        let at = call.map_or_else(|| self.now_if_watched(), |(_, end)| end);
        if let Some((id, input)) = input
            && self.schedule.inputs(lane)[id.input()] == SetState::InFlight(id.sequence())
        {
            self.rings[lane].inputs[id.input()] = Some(input);
            if let Some(tracer) = &mut self.tracer {
                tracer.input_free(id.sequence(), at);
            }
            let is_its_end = matches!(&ended, Ended::Landed(of, ..) | Ended::Failed(of, ..) if *of == id);
            if !is_its_end {
                self.schedule.report(Event::InputFree(id));
            }
        }
        match ended {
            Ended::Nothing => {}
            Ended::Landed(id, output, spans) => self.landed(id, output, &spans, call, at),
            Ended::Failed(id, output, error) => {
                if self.is_in_flight(id) {
                    self.rings[lane].outputs[id.output()] = Some(output);
                    self.put(id.sequence(), Err(device_error(lane, id.sequence(), Arc::from(error))));
                    self.schedule.report(Event::CallFailed(id));
                }
            }
            Ended::Lost(error) => self.lose(lane, *error),
        }
    }

    fn landed(&mut self, id: Transit, output: H::OutputSet, spans: &DeviceSpans, call: Stamps, at: Nanos) {
        if !self.is_in_flight(id) {
            // The lane was given up for lost and came back: its items have ended.
            return;
        }
        self.rings[id.lane()].outputs[id.output()] = Some(output);
        let passage = self.passages.of(id.sequence());
        passage.kept = None;
        if passage.taken_at.is_some() {
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
            // A thread sat in the call, however much of it the device calls its kernel.
            passage.work += call.map_or(0, |(start, end)| end - start);
            // A lane that knows no spans of its own is its call.
            let call = if write.is_none() && read.is_none() { call } else { None };
            let computed = kernel.or(call);
            if let Some((start, end)) = computed {
                self.measures.kernel(id.lane(), start, end);
                self.last_event = self.last_event.max(end);
            }
            if let Some(tracer) = &mut self.tracer {
                for (stage, time) in [(Stage::Write, write), (Stage::Kernel, computed), (Stage::Read, read)] {
                    if let Some((start, end)) = time {
                        tracer.device_stage(id.sequence(), stage, Interval::new(start, end));
                    }
                }
                tracer.landed(id.sequence(), at);
            }
        }
        self.schedule.report(Event::Landed(id));
    }

    /// Gives a lane up: its items fail with this error, and the lane gets no more.
    pub(super) fn lose(&mut self, lane: usize, error: DeviceError) {
        if self.lost_error(lane).is_some() {
            return;
        }
        tracing::error!(lane, %error, "lane lost");
        let error = Arc::new(error);
        self.lost.push((lane, Arc::clone(&error)));
        self.note(|| What::LaneLost { lane, why: error.to_string() });
        let ready = self.schedule.inputs(lane).iter().filter_map(|state| match *state {
            SetState::Ready(sequence) => Some(sequence),
            _ => None,
        });
        let in_flight = self.schedule.outputs(lane).iter().filter_map(|state| match *state {
            SetState::InFlight(sequence) => Some(sequence),
            _ => None,
        });
        let held: Vec<Sequence> = ready.chain(in_flight).collect();
        self.schedule.report(Event::LaneLost(lane));
        for sequence in held {
            self.ends_with_lane(lane, sequence, &error);
        }
        if self.schedule.lanes_alive() == 0 {
            self.held = None;
            if self.source_end == SourceEnd::Open {
                self.source_end = SourceEnd::NoLanes;
            }
        }
    }

    /// A lost lane held this item: it fails, unless the schedule begins it again.
    fn ends_with_lane(&mut self, lane: usize, sequence: Sequence, error: &Arc<DeviceError>) {
        if self.schedule.is_under_way(sequence) {
            self.passages.of(sequence).carry = None;
        } else {
            self.put(sequence, Err(device_error(lane, sequence, Arc::clone(error))));
        }
    }

    pub(super) fn lost_error(&self, lane: usize) -> Option<Arc<DeviceError>> {
        self.lost.iter().find(|(l, _)| *l == lane).map(|(_, error)| Arc::clone(error))
    }

    fn is_in_flight(&self, id: Transit) -> bool {
        self.schedule.outputs(id.lane())[id.output()] == SetState::InFlight(id.sequence())
    }

    /// What was measured so far.
    pub(super) fn measures(&self) -> &Measures {
        &self.measures
    }

    /// Counts and sums of what was measured so far.
    pub(super) fn tallies(&self) -> Tallies {
        self.measures.tallies()
    }

    /// Notes what a tuner chose.
    pub(super) fn decided(&mut self, decision: Decision) {
        self.settled_from = self.measures.tallies();
        let Decision { sets, host_threads, .. } = decision;
        self.note(|| What::Chosen { sets, host_threads, why: decision.why.clone() });
        self.decisions.push(decision);
    }

    /// Notes that the stream cannot be run as asked.
    pub(super) fn refuse(&mut self, why: &str) {
        if self.source_end == SourceEnd::Open {
            self.source_end = SourceEnd::Refused(why.to_owned());
        }
    }

    /// Cancels what has not started.
    pub(super) fn cancel(&mut self) {
        if matches!(self.source_end, SourceEnd::Open) {
            self.source_end = SourceEnd::Cancelled;
            self.note(|| What::Cancelled);
        }
        self.held = None;
        self.schedule.report(Event::Cancel);
    }

    /// The next result on its way out.
    pub(super) fn deliver(&mut self) -> Option<Delivery<H::Output>> {
        let (sequence, outcome) = self.schedule.deliver()?;
        if let Some(tracer) = &mut self.tracer {
            tracer.delivered(sequence, outcome, nanos(self.epoch));
        }
        let passage = self.passages.of(sequence);
        // An item that ended before its postprocess has left them.
        passage.carry = None;
        passage.kept = None;
        let kept = passage.result.take();
        let result = match (outcome, kept) {
            (Outcome::Cancelled, _) => Err(ItemError::Cancelled { sequence }),
            (Outcome::Failed, None) => Err(ItemError::NoLane { sequence }),
            (_, kept) => kept.expect("an item that ended has left its result"),
        };
        Some(Delivery { sequence, result })
    }

    fn put(&mut self, sequence: Sequence, result: Result<H::Output, ItemError>) {
        if let Err(error) = &result {
            tracing::debug!(sequence, error = error.cause(), "item failed");
            self.note(|| What::Failed { sequence, why: error.chain() });
        }
        self.passages.of(sequence).result = Some(result);
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
                for set in self.schedule.outputs(lane) {
                    if let SetState::InFlight(sequence) = *set {
                        let submitted_at = self.passages.submitted_at(sequence);
                        if now.saturating_sub(submitted_at) > limit {
                            return Some((lane, Some(sequence), now - submitted_at));
                        }
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
            sets: self.schedule.sets(0),
            host_threads: self.schedule.host_threads().total(),
            settled_from: self.settled_from.clone(),
            decisions: self.decisions.clone(),
        }
    }
}

fn device_error(lane: usize, sequence: Sequence, source: Arc<DeviceError>) -> ItemError {
    ItemError::Device { sequence, lane, source }
}

/// Nanoseconds since `epoch`.
pub(super) fn nanos(epoch: Instant) -> Nanos {
    epoch.elapsed().as_nanos() as Nanos
}
