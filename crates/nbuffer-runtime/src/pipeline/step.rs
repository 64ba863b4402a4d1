//! The steps: each takes what it needs out of the shared state, runs without the lock, and puts back what it
//! leaves.

use std::sync::Arc;

use nbuffer_core::measure::Stage;
use nbuffer_core::schedule::{Command, Event, Slot, Transit};

use super::state::{InCall, LaneKind};
use super::sync::{MutexGuard, thread};
use super::worker::{Crew, InSource, Shared};
use super::{HostStages, Kind};
use crate::device::DeviceError;
use crate::item_error::{BoxError, panic_message};
use crate::lane::{Called, Flight};

/// The state under its lock, as it goes from hand to hand.
type Guard<'a, H> = MutexGuard<'a, Crew<H>>;

/// What a user's stage left: its value, its error, or what its panic said.
pub(super) enum StageEnd<T> {
    Done(T),
    Failed(BoxError),
    Panicked(String),
}

impl<T> From<thread::Result<Result<T, BoxError>>> for StageEnd<T> {
    fn from(result: thread::Result<Result<T, BoxError>>) -> Self {
        match result {
            Ok(Ok(value)) => StageEnd::Done(value),
            Ok(Err(error)) => StageEnd::Failed(error),
            Err(panic) => StageEnd::Panicked(panic_message(&*panic)),
        }
    }
}

impl<H: HostStages> Shared<H> {
    /// Carries out what the schedule said.
    pub(super) fn carry_out<'a>(
        self: &'a Arc<Self>,
        command: Command,
        crew: Guard<'a, H>,
        me: usize,
    ) -> Guard<'a, H> {
        match command {
            Command::Take => self.take(crew, me),
            Command::Preprocess(slot) => self.preprocess(crew, slot),
            Command::Submit(id) => self.call(crew, id.lane(), Some(id), me),
            Command::Flush(lane) => {
                tracing::debug!(lane, "flush call");
                self.call(crew, lane, None, me)
            }
            Command::Postprocess(slot) => self.postprocess(crew, slot),
        }
    }

    fn take<'a>(self: &'a Arc<Self>, mut crew: Guard<'a, H>, me: usize) -> Guard<'a, H> {
        let state = &mut crew.state;
        let timed = state.pace.times(state.schedule.totals().taken);
        let Some(mut source) = state.source.take() else {
            // It panicked when it was asked last.
            state.schedule.report(Event::SourceEnded);
            return crew;
        };
        crew.in_source = Some(InSource { worker: me, stalls: false });
        // An iterator that has ended or panicked is not asked again; it is dropped here, without the lock.
        let step = move || source.next().map(|item| (item, source));
        let (mut crew, item, stamps) = self.unlocked(crew, Kind::Take, timed, step);
        crew.in_source = None;
        match item {
            Ok(Some((item, source))) => {
                crew.state.source = Some(source);
                crew.state.taken(Ok(item), stamps);
            }
            Ok(None) => crew.state.source_ended(),
            Err(panic) => crew.state.taken(Err(panic_message(&*panic)), stamps),
        }
        crew
    }

    fn preprocess<'a>(self: &'a Arc<Self>, mut crew: Guard<'a, H>, slot: Slot) -> Guard<'a, H> {
        let state = &mut crew.state;
        let Some(item) = state.item(slot.sequence()) else {
            state.not_kept(slot);
            return crew;
        };
        let timed = state.passages.of(slot.sequence()).taken_at.is_some();
        let input = &mut state.rings[slot.lane()].inputs[slot.set()];
        let mut input = input.take().expect("a free set is in its ring");
        let item = match item {
            Ok(item) => item,
            Err(panic) => {
                state.preprocessed(slot, input, StageEnd::Panicked(panic), None);
                return crew;
            }
        };
        let keeps = state.keeps;
        if let Some(tracer) = &mut state.tracer {
            tracer.host_begins(slot, Stage::Preprocess);
        }
        let mut kept = None;
        let step = || {
            if keeps {
                kept = self.stages.keep(&item);
            }
            self.stages.preprocess(item, &mut input)
        };
        let (mut crew, ended, stamps) = self.unlocked(crew, Kind::Preprocess, timed, step);
        if keeps {
            crew.state.passages.of(slot.sequence()).kept = kept;
        }
        crew.state.preprocessed(slot, input, ended.into(), stamps);
        crew
    }

    fn postprocess<'a>(self: &'a Arc<Self>, mut crew: Guard<'a, H>, slot: Slot) -> Guard<'a, H> {
        let state = &mut crew.state;
        let passage = state.passages.of(slot.sequence());
        let timed = passage.taken_at.is_some();
        let carry = passage.carry.take().expect("preprocess left a carry");
        let output = &mut state.rings[slot.lane()].outputs[slot.set()];
        let mut output = output.take().expect("a landed set is in its ring");
        if let Some(tracer) = &mut state.tracer {
            tracer.host_begins(slot, Stage::Postprocess);
        }
        let step = || self.stages.postprocess(carry, &mut output);
        let (mut crew, ended, stamps) = self.unlocked(crew, Kind::Postprocess, timed, step);
        crew.state.postprocessed(slot, output, ended.into(), stamps);
        crew
    }

    /// One call of a lane: with a set, or to push its oldest result out.
    fn call<'a>(
        self: &'a Arc<Self>,
        mut crew: Guard<'a, H>,
        index: usize,
        id: Option<Transit>,
        worker: usize,
    ) -> Guard<'a, H> {
        let state = &mut crew.state;
        let since = state.now_if_watched();
        let mut timed = true;
        let flight = id.map(|id| {
            let passage = state.passages.of(id.sequence());
            passage.submitted_at = since;
            timed = passage.taken_at.is_some();
            let ring = &mut state.rings[index];
            let input = ring.inputs[id.input()].take().expect("a filled set is in its ring");
            let output = ring.outputs[id.output()].take().expect("a free set is in its ring");
            if let Some(tracer) = &mut state.tracer {
                tracer.call_begins(id, since);
            }
            Flight { id, input, output }
        });
        let lane = &mut state.lanes[index];
        lane.in_call = Some(InCall { since, worker, item: id.map(Transit::sequence) });
        // A lane that panics took its set down with it, and is in an unknown state: it is lost.
        let lost = |panic: Box<dyn std::any::Any + Send>| {
            Called::lost(DeviceError::Panicked { message: panic_message(&*panic) })
        };
        match &mut lane.kind {
            LaneKind::Blocking(lane) => {
                let mut lane = lane.take().expect("one call at a time");
                let (mut crew, called, stamps) = self.unlocked(crew, Kind::Call, timed, || lane.call(flight));
                let called = called.unwrap_or_else(lost);
                crew.state.call_ended(index, id, stamps);
                crew.state.returned(index, LaneKind::Blocking(Some(lane)));
                crew.state.called(index, called, stamps);
                crew.state.schedule.report(Event::CallReturned(index));
                crew
            }
            LaneKind::Queued(lane) => {
                let mut lane = lane.take().expect("one call at a time");
                let flight = flight.expect("a queued lane has no lag and needs no flush call");
                let (mut crew, called, stamps) =
                    self.unlocked(crew, Kind::Call, timed, || lane.submit(flight));
                crew.state.returned(index, LaneKind::Queued(Some(lane)));
                if let Err(panic) = called {
                    crew.state.called(index, lost(panic), stamps);
                }
                crew.state.schedule.report(Event::CallReturned(index));
                crew
            }
        }
    }
}
