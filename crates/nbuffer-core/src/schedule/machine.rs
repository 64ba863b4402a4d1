//! The state machine itself: which command comes next, and what each event changes.

use std::collections::{BTreeSet, VecDeque};

use super::host::Host;
use super::ring::Ring;
use super::window::Window;
use super::{
    Command, Config, ConfigError, Event, Flush, LaneChoice, Outcome, Retry, Sequence, SetState, Slot, Step,
    Totals, Transit,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Waiting,
    /// A thread is asking it for an item.
    Asked,
    /// A thread is still asking it, and nobody waits for the answer: an item it gives is not taken.
    Left,
    Ended,
}

/// The state machine. See the [module](super) for what it promises.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub(super) rings: Vec<Ring>,
    lane_choice: LaneChoice,
    pub(super) flush: Flush,
    pub(super) source: Source,
    /// The item taken and not yet given a buffer set.
    pub(super) held: Option<Sequence>,
    retry: Retry,
    /// Items to be begun again, since their lane was lost.
    pub(super) again: BTreeSet<Sequence>,
    pub(super) window: Window,
    pub(super) totals: Totals,
    pub(super) delivered: u64,
    pub(super) host: Host,
    /// Host requests carry the moment they were made, so that they are served first come, first served:
    /// the arbitration that reaches the bound of the plan with the fewest buffer sets.
    clock: u64,
    /// Landed sets that want postprocessing.
    posts: VecDeque<(u64, Slot)>,
    /// One request per free input set, which wants an item. Which set it becomes is the lane choice's matter.
    pub(super) fills: VecDeque<u64>,
    /// Lanes that can submit.
    pub(super) callable: VecDeque<usize>,
    /// Lanes that make a call.
    pub(super) calls: usize,
    pub(super) lanes_alive: usize,
    pub(super) any_lag: bool,
    /// The source has paused; until its next item, lanes with lag are flushed.
    pub(super) idle: bool,
    cancelled: bool,
    /// The lane after the one chosen last, for round robin.
    next_lane: usize,
}

impl Schedule {
    /// A schedule at its beginning.
    ///
    /// # Errors
    ///
    /// A count in `config` that is 0 or beyond [`LIMIT`](super::LIMIT).
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        let rings: Vec<Ring> = config.lanes.iter().map(|&lane| Ring::new(lane)).collect();
        let inputs: usize = rings.iter().map(|ring| ring.inputs().n_free()).sum();
        Ok(Schedule {
            lane_choice: config.lane_choice,
            flush: config.flush,
            source: Source::Waiting,
            held: None,
            retry: config.retry,
            again: BTreeSet::new(),
            window: Window::new(config.window, config.order),
            totals: Totals::default(),
            delivered: 0,
            host: Host::new(config.host_threads),
            clock: 1,
            posts: VecDeque::with_capacity(rings.iter().map(|ring| ring.outputs().n_free()).sum()),
            fills: (0..inputs).map(|_| 0).collect(),
            callable: VecDeque::with_capacity(rings.len()),
            calls: 0,
            lanes_alive: rings.len(),
            any_lag: rings.iter().any(|ring| ring.lag > 0),
            idle: false,
            cancelled: false,
            next_lane: 0,
            rings,
        })
    }

    /// What to do now, or `None` when everything that can be started has been.
    ///
    /// Device calls come first, since they keep the device busy; then host steps, first come, first served.
    #[expect(clippy::should_implement_trait, reason = "a schedule gives None and later commands again")]
    pub fn next(&mut self) -> Option<Command> {
        if let Some(lane) = self.callable.pop_front() {
            let ring = &mut self.rings[lane];
            ring.listed = false;
            self.calls += 1;
            return Some(Command::Submit(ring.begin_flight()));
        }
        if self.any_lag
            && let Some(lane) = self.lane_to_flush()
        {
            return Some(self.begin_flush(lane));
        }
        if let Some(command) = self.next_host_step() {
            return Some(command);
        }
        if self.any_lag
            && let Some(lane) = self.lane_to_unstick()
        {
            return Some(self.begin_flush(lane));
        }
        None
    }

    /// Whether [`next`](Self::next) would give a command. True until something is started or reported.
    ///
    /// Takes the same time however many sets there are; with lag, the lanes are looked at one by one.
    pub fn has_work(&self) -> bool {
        !self.callable.is_empty()
            || self.host.can_postprocess() && !self.posts.is_empty()
            || self.lane_to_fill().is_some()
            || self.any_lag && (self.lane_to_flush().is_some() || self.lane_to_unstick().is_some())
    }

    fn begin_flush(&mut self, lane: usize) -> Command {
        self.rings[lane].calling = true;
        self.calls += 1;
        Command::Flush(lane)
    }

    fn next_host_step(&mut self) -> Option<Command> {
        let post = if self.host.can_postprocess() { self.posts.front().copied() } else { None };
        let lane = self.lane_to_fill();
        if let Some((asked_at, slot)) = post
            && (lane.is_none() || asked_at < self.fills[0])
        {
            self.posts.pop_front();
            self.host.begin_postprocess();
            self.rings[slot.lane()].begin_postprocess(slot);
            return Some(Command::Postprocess(slot));
        }
        let lane = lane?;
        let Some(sequence) = self.again.pop_first().or_else(|| self.held.take()) else {
            self.source = Source::Asked;
            return Some(Command::Take);
        };
        self.fills.pop_front();
        self.host.begin_preprocess();
        let ring = &mut self.rings[lane];
        ring.chosen_at = self.totals.taken;
        let set = ring.begin_preprocess(sequence);
        self.next_lane = if lane + 1 == self.rings.len() { 0 } else { lane + 1 };
        Some(Command::Preprocess(Slot::new(lane, set, sequence)))
    }

    /// The lane the next item would go to, if one can be taken or is held, and has somewhere to go.
    fn lane_to_fill(&self) -> Option<usize> {
        let is_wanted = self.has_item() || self.source == Source::Waiting && self.window.has_room();
        if !is_wanted || self.fills.is_empty() || !self.host.can_preprocess() {
            return None;
        }
        match self.lane_choice {
            // A request is there, so it is this lane's.
            _ if self.rings.len() == 1 => Some(0),
            LaneChoice::LeastLoaded => {
                let open = self.rings.iter().enumerate().filter(|(_, ring)| ring.inputs().has_free());
                open.min_by_key(|(_, ring)| (ring.items, ring.chosen_at)).map(|(lane, _)| lane)
            }
            LaneChoice::RoundRobin => {
                let n = self.rings.len();
                let turn = (0..n).map(|i| (self.next_lane + i) % n).find(|&lane| !self.rings[lane].lost)?;
                self.rings[turn].inputs().has_free().then_some(turn)
            }
        }
    }

    /// Whether there is an item that wants a buffer set.
    pub(super) fn has_item(&self) -> bool {
        self.held.is_some() || !self.again.is_empty()
    }

    /// Takes note of what happened.
    ///
    /// # Panics
    ///
    /// If the event answers no command that was given: the driver has a bug.
    // Inlined, because a caller nearly always knows which event it reports.
    #[inline]
    pub fn report(&mut self, event: Event) {
        match event {
            Event::Taken => self.taken(),
            Event::SourceEnded => self.source_ended(),
            Event::Preprocessed(slot, step) => self.preprocessed(slot, step),
            Event::CallReturned(lane) => self.call_returned(lane),
            // A lane that was given up for hung may still come back: its items have ended, its sets are
            // retired, and what it brings is dropped.
            Event::InputFree(transit) | Event::Landed(transit) | Event::CallFailed(transit)
                if self.rings[transit.lane()].lost => {}
            Event::InputFree(transit) => self.free_input(transit),
            Event::Landed(transit) => self.landed(transit),
            Event::CallFailed(transit) => self.call_failed(transit),
            Event::LaneLost(lane) => self.lane_lost(lane),
            Event::Postprocessed(slot, step) => self.postprocessed(slot, step),
            Event::Idle => self.idle = true,
            Event::Cancel => self.cancel(),
        }
    }

    /// The next result to hand out, with its item's number and how it ended.
    pub fn deliver(&mut self) -> Option<(Sequence, Outcome)> {
        let delivered = self.window.deliver()?;
        self.delivered += 1;
        Some(delivered)
    }

    fn taken(&mut self) {
        assert!(self.is_asked(), "an item came without being asked for");
        if self.source == Source::Left {
            self.source = Source::Ended;
            return;
        }
        self.totals.taken += 1;
        self.idle = false;
        self.source = Source::Waiting;
        self.held = Some(self.window.take());
    }

    fn source_ended(&mut self) {
        assert!(self.is_asked(), "the source ended without being asked");
        self.source = Source::Ended;
    }

    fn is_asked(&self) -> bool {
        matches!(self.source, Source::Asked | Source::Left)
    }

    /// Asks the source no more, and does not wait for an answer it may still owe.
    fn leave_source(&mut self) {
        self.source = if self.is_asked() { Source::Left } else { Source::Ended };
    }

    fn preprocessed(&mut self, slot: Slot, step: Step) {
        self.host.end_preprocess();
        let retries = self.retries();
        let ring = &mut self.rings[slot.lane()];
        ring.preprocessing -= 1;
        let outcome = match step {
            Step::Done if ring.lost && retries => {
                ring.leave_from_input(slot, SetState::Preprocessing(slot.sequence()));
                return self.begin_again(slot.sequence());
            }
            _ if ring.lost => Outcome::Failed,
            Step::Failed => Outcome::Failed,
            Step::Done if self.cancelled => Outcome::Cancelled,
            Step::Done => {
                ring.make_ready(slot);
                return self.list_callable(slot.lane());
            }
        };
        self.end_input(slot, SetState::Preprocessing(slot.sequence()), outcome);
    }

    fn call_returned(&mut self, lane: usize) {
        let ring = &mut self.rings[lane];
        if ring.lost {
            return;
        }
        assert!(ring.calling, "lane {lane} made no call");
        ring.calling = false;
        self.calls -= 1;
        self.list_callable(lane);
    }

    fn landed(&mut self, transit: Transit) {
        self.leave_device(transit);
        let slot = transit.output_slot();
        if self.cancelled {
            return self.end_landed(slot, Outcome::Cancelled);
        }
        let at = self.stamp();
        self.posts.push_back((at, slot));
    }

    fn call_failed(&mut self, transit: Transit) {
        self.leave_device(transit);
        self.end_landed(transit.output_slot(), Outcome::Failed);
    }

    fn postprocessed(&mut self, slot: Slot, step: Step) {
        self.host.end_postprocess();
        self.end_output(slot, SetState::Postprocessing(slot.sequence()), outcome(step));
    }

    /// An item comes back from its device, with its output and with an input it still held.
    fn leave_device(&mut self, transit: Transit) {
        let ring = &mut self.rings[transit.lane()];
        ring.land(transit);
        if ring.holds_input(transit) {
            self.free_input(transit);
        }
    }

    fn free_input(&mut self, transit: Transit) {
        if self.rings[transit.lane()].free_input(transit) {
            self.request_fill();
        }
    }

    fn lane_lost(&mut self, lane: usize) {
        let ring = &mut self.rings[lane];
        if ring.lost {
            return;
        }
        self.lanes_alive -= 1;
        self.calls -= usize::from(ring.calling);
        self.fills.truncate(self.fills.len() - ring.inputs().n_free());
        let mut failed = ring.lose();
        self.callable.retain(|&callable| callable != lane);
        if self.retries() {
            return failed.into_iter().for_each(|sequence| self.begin_again(sequence));
        }
        if self.lanes_alive == 0 {
            failed.extend(std::mem::take(&mut self.again));
            failed.extend(self.held.take());
            self.leave_source();
        }
        for sequence in failed {
            self.end(sequence, Outcome::Failed);
        }
    }

    /// Whether an item whose lane is lost goes to another one.
    fn retries(&self) -> bool {
        self.retry == Retry::OtherLane && self.lanes_alive > 0 && !self.cancelled
    }

    fn begin_again(&mut self, sequence: Sequence) {
        self.totals.retried += 1;
        self.again.insert(sequence);
    }

    fn cancel(&mut self) {
        if self.cancelled {
            return;
        }
        self.cancelled = true;
        self.leave_source();
        for sequence in std::mem::take(&mut self.again).into_iter().chain(self.held.take()) {
            self.end(sequence, Outcome::Cancelled);
        }
        self.callable.clear();
        for lane in 0..self.rings.len() {
            self.rings[lane].listed = false;
            while let Some(slot) = self.rings[lane].ready.pop_front() {
                self.end_input(slot, SetState::Ready(slot.sequence()), Outcome::Cancelled);
            }
        }
        while let Some((_, slot)) = self.posts.pop_front() {
            self.end_landed(slot, Outcome::Cancelled);
        }
    }

    /// An item ends that has only an input set, or none but the one it would have gone on with.
    fn end_input(&mut self, slot: Slot, from: SetState, outcome: Outcome) {
        if self.rings[slot.lane()].leave_from_input(slot, from) {
            self.request_fill();
        }
        self.end(slot.sequence(), outcome);
    }

    fn end_landed(&mut self, slot: Slot, outcome: Outcome) {
        self.end_output(slot, SetState::Landed(slot.sequence()), outcome);
    }

    /// An item ends whose output set is back from the device.
    fn end_output(&mut self, slot: Slot, from: SetState, outcome: Outcome) {
        if self.rings[slot.lane()].leave_from_output(slot, from) {
            self.request_fill();
        }
        self.list_callable(slot.lane());
        self.end(slot.sequence(), outcome);
    }

    /// A free input set asks for an item.
    pub(super) fn request_fill(&mut self) {
        let at = self.stamp();
        self.fills.push_back(at);
    }

    pub(super) fn list_callable(&mut self, lane: usize) {
        let ring = &mut self.rings[lane];
        if !ring.listed && ring.can_submit() {
            ring.listed = true;
            self.callable.push_back(lane);
        }
    }

    fn end(&mut self, sequence: Sequence, outcome: Outcome) {
        self.window.end(sequence, outcome);
        match outcome {
            Outcome::Ok => self.totals.ok += 1,
            Outcome::Failed => self.totals.failed += 1,
            Outcome::Cancelled => self.totals.cancelled += 1,
        }
    }

    fn stamp(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

fn outcome(step: Step) -> Outcome {
    match step {
        Step::Done => Outcome::Ok,
        Step::Failed => Outcome::Failed,
    }
}
