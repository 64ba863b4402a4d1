//! The N-way buffering schedule: a pure state machine, events in, commands out.
//!
//! A buffer set goes *free → preprocessing → ready → in flight → landed → postprocessing → free*. Whoever
//! drives the schedule, with real threads or in virtual time, asks for the [next command](Schedule::next),
//! carries it out and [reports](Schedule::report) what happened; results are [delivered](Schedule::deliver)
//! in order. No decision is taken anywhere else.
//!
//! Promises, for any order of events that answers its commands:
//!
//! - a buffer set holds at most one item, and a lane never holds more items than it has sets;
//! - every item taken ends exactly once, as ok, failed or cancelled, and is delivered exactly once;
//! - at most [`Config::window`] items lie between take and delivery;
//! - a stream of any length ends, and with it every flush call a lane with lag still needs.
//!
//! It does not say how long anything takes, and it never sees an item's data.
//!
//! # One item through one lane
//!
//! ```
//! use nbuffer_core::schedule::*;
//!
//! let lane = LaneConfig { depth: 1, lag: 0 };
//! let mut schedule = Schedule::new(Config::new(vec![lane], 1))?;
//!
//! assert_eq!(schedule.next(), Some(Command::Take));
//! schedule.report(Event::Taken);
//! let Some(Command::Preprocess(slot)) = schedule.next() else { panic!() };
//! schedule.report(Event::Preprocessed(slot, Step::Done));
//! assert_eq!(schedule.next(), Some(Command::Submit(slot)));
//! schedule.report(Event::Landed(slot));
//! schedule.report(Event::CallReturned(slot.lane));
//! assert_eq!(schedule.next(), Some(Command::Postprocess(slot)));
//! schedule.report(Event::Postprocessed(slot, Step::Done));
//!
//! assert_eq!(schedule.deliver(), Some((0, Outcome::Ok)));
//! assert_eq!(schedule.next(), Some(Command::Take));
//! schedule.report(Event::SourceEnded);
//! assert!(schedule.is_ended());
//! # Ok::<(), ConfigError>(())
//! ```

mod config;
mod ring;
mod window;

use std::collections::VecDeque;

pub use config::{
    Config, ConfigError, Duplex, Flush, HostThreads, LIMIT, LaneChoice, LaneConfig, Order, Sets,
};
use ring::Ring;
pub use ring::SetState;
use window::Window;

/// The number of an item, from 0 in the order the source gave them.
pub type Sequence = u64;

/// Which item occupies which buffer set of which lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The lane.
    pub lane: usize,
    /// The buffer set within the lane's ring.
    pub set: usize,
    /// The item.
    pub sequence: Sequence,
}

/// What is to be done now. Whoever gets a command carries it out and reports its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Ask the source for the next item. Ends with [`Event::Taken`] or [`Event::SourceEnded`].
    Take,
    /// Fill the set's inputs from the item taken last. Ends with [`Event::Preprocessed`].
    Preprocess(Slot),
    /// Hand the set to its lane. Ends with [`Event::CallReturned`].
    Submit(Slot),
    /// Make a call that submits nothing, so that the lane's oldest result comes out. Ends with
    /// [`Event::CallReturned`].
    Flush(usize),
    /// Read the set's outputs. Ends with [`Event::Postprocessed`].
    Postprocess(Slot),
}

/// How a host step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It did what it should.
    Done,
    /// It failed, and the item with it.
    Failed,
}

/// How an item ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Its result is there.
    Ok,
    /// A step, its device call or its lane failed.
    Failed,
    /// The stream was cancelled before it was done.
    Cancelled,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The source gave an item; its number is the count of items taken before.
    Taken,
    /// The source has no more items.
    SourceEnded,
    /// Preprocessing ended.
    Preprocessed(Slot, Step),
    /// A submit or flush call returned, so that the lane takes the next one.
    CallReturned(usize),
    /// The set is back and its outputs are filled. For a blocking lane, reported before the call's return.
    Landed(Slot),
    /// The set is back and its item failed on the device. The lane goes on.
    CallFailed(Slot),
    /// The lane's device is gone: every item in its ring that needs the device fails, and the ring is
    /// retired.
    LaneLost(usize),
    /// Postprocessing ended.
    Postprocessed(Slot, Step),
    /// The source has paused for as long as the driver thinks worth a flush call.
    Idle,
    /// Nothing new starts; what the devices hold is drained. An item the source gives later is not taken.
    Cancel,
}

/// Items by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Items the source gave.
    pub taken: u64,
    /// Items whose result is there.
    pub ok: u64,
    /// Items that failed.
    pub failed: u64,
    /// Items cancelled.
    pub cancelled: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Waiting,
    /// A thread is asking it for an item.
    Asked,
    /// A thread is still asking it, and nobody waits for the answer: an item it gives is not taken.
    Left,
    Ended,
}

/// The state machine. See the [module](self) for what it promises.
#[derive(Clone, Debug)]
pub struct Schedule {
    rings: Vec<Ring>,
    lane_choice: LaneChoice,
    flush: Flush,
    source: Source,
    /// The item taken and not yet given a buffer set.
    held: Option<Sequence>,
    window: Window,
    totals: Totals,
    /// Preprocess and postprocess steps running, and how many may.
    host_busy: usize,
    host_threads: usize,
    /// Host requests carry the moment they were made, so that they are served first come, first served:
    /// the arbitration that reaches the bound of the plan with the fewest buffer sets.
    clock: u64,
    /// Landed sets that want postprocessing.
    posts: VecDeque<(u64, Slot)>,
    /// One request per free set that wants an item. Which set it becomes is the lane choice's matter.
    fills: VecDeque<u64>,
    /// Lanes that have a filled set and take calls.
    callable: VecDeque<usize>,
    lanes_alive: usize,
    any_lag: bool,
    /// The source has paused; until its next item, lanes with lag are flushed.
    idle: bool,
    cancelled: bool,
    /// The lane after the one chosen last, for round robin.
    next_lane: usize,
}

impl Schedule {
    /// A schedule at its beginning.
    ///
    /// # Errors
    ///
    /// A count in `config` that is 0 or beyond [`LIMIT`].
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        let rings: Vec<Ring> = config.lanes.iter().map(|&lane| Ring::new(lane)).collect();
        let sets: usize = rings.iter().map(Ring::depth).sum();
        Ok(Schedule {
            lane_choice: config.lane_choice,
            flush: config.flush,
            source: Source::Waiting,
            held: None,
            window: Window::new(config.window, config.order),
            totals: Totals::default(),
            host_busy: 0,
            host_threads: config.host_threads,
            clock: 1,
            posts: VecDeque::with_capacity(sets),
            fills: (0..sets).map(|_| 0).collect(),
            callable: VecDeque::with_capacity(rings.len()),
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
            ring.calling = true;
            ring.in_flight += 1;
            let slot = ring.pop_ready(lane).expect("a callable lane has a filled set");
            self.move_set(slot, SetState::Ready, SetState::InFlight);
            return Some(Command::Submit(slot));
        }
        if self.any_lag
            && let Some(lane) = self.lane_to_flush()
        {
            self.rings[lane].calling = true;
            return Some(Command::Flush(lane));
        }
        if self.host_busy < self.host_threads
            && let Some(command) = self.next_host_step()
        {
            return Some(command);
        }
        if self.any_lag
            && self.is_stuck()
            && let Some(lane) = self.rings.iter().position(|ring| ring.can_call() && ring.in_flight > 0)
        {
            self.rings[lane].calling = true;
            return Some(Command::Flush(lane));
        }
        None
    }

    /// Whether [`next`](Self::next) would give a command. True until something is started or reported.
    pub fn has_work(&self) -> bool {
        let host = || self.host_busy < self.host_threads && (!self.posts.is_empty() || self.fill().is_some());
        !self.callable.is_empty() || host() || self.any_lag && self.lane_to_flush().is_some()
    }

    fn next_host_step(&mut self) -> Option<Command> {
        let post_at = self.posts.front().map(|&(at, _)| at);
        let fill = self.fill();
        let fill_first = match (post_at, fill) {
            (None, None) => return None,
            (Some(_), None) => false,
            (None, Some(_)) => true,
            (Some(post_at), Some(_)) => self.fills[0] < post_at,
        };
        if !fill_first {
            let (_, slot) = self.posts.pop_front().expect("a postprocess request is there");
            self.move_set(slot, SetState::Landed, SetState::Postprocessing);
            self.host_busy += 1;
            return Some(Command::Postprocess(slot));
        }
        let lane = fill.expect("a fill is possible");
        let Some(sequence) = self.held.take() else {
            self.source = Source::Asked;
            return Some(Command::Take);
        };
        self.fills.pop_front();
        let ring = &mut self.rings[lane];
        let set = ring.free.pop().expect("a lane was chosen that has a free set");
        ring.states[set] = SetState::Preprocessing(sequence);
        ring.preprocessing += 1;
        ring.chosen_at = self.totals.taken;
        self.next_lane = (lane + 1) % self.rings.len();
        self.host_busy += 1;
        Some(Command::Preprocess(Slot { lane, set, sequence }))
    }

    /// The lane the next item would go to, if one can be taken or is held, and has somewhere to go.
    fn fill(&self) -> Option<usize> {
        let wanted = self.held.is_some() || self.source == Source::Waiting && self.window.has_room();
        if !wanted || self.fills.is_empty() {
            return None;
        }
        match self.lane_choice {
            LaneChoice::LeastLoaded => {
                let open = self.rings.iter().enumerate().filter(|(_, ring)| !ring.free.is_empty());
                open.min_by_key(|(_, ring)| (ring.occupied(), ring.chosen_at)).map(|(lane, _)| lane)
            }
            LaneChoice::RoundRobin => {
                let n = self.rings.len();
                let turn = (0..n).map(|i| (self.next_lane + i) % n).find(|&lane| !self.rings[lane].lost)?;
                (!self.rings[turn].free.is_empty()).then_some(turn)
            }
        }
    }

    /// A lane whose results will not come out unless a flush call pushes them.
    fn lane_to_flush(&self) -> Option<usize> {
        let no_more = !self.wants_items() && self.held.is_none();
        self.rings.iter().position(|ring| {
            let nothing_comes = ring.preprocessing == 0 && ring.ready.is_empty();
            // With a ring no deeper than the lag, no result would ever make room for the next call.
            let full = ring.in_flight == ring.depth();
            ring.lag > 0
                && ring.in_flight > 0
                && ring.can_call()
                && nothing_comes
                && (no_more || full || self.idle && self.flush == Flush::AtEndOrIdle)
        })
    }

    /// Nothing runs that could bring anything about, and nobody can fetch a result: the window or the lane
    /// choice waits for an item that sits in a lane with lag.
    fn is_stuck(&self) -> bool {
        self.host_busy == 0
            && self.source != Source::Asked
            && !self.window.can_deliver()
            && self
                .rings
                .iter()
                .all(|ring| !ring.calling && (ring.lag > 0 || ring.in_flight == 0) && ring.ready.is_empty())
    }

    /// Takes note of what happened.
    ///
    /// # Panics
    ///
    /// If the event answers no command that was given: the driver has a bug.
    pub fn report(&mut self, event: Event) {
        match event {
            Event::Taken => self.taken(),
            Event::SourceEnded => {
                assert!(self.is_asked(), "the source ended without being asked");
                self.source = Source::Ended;
            }
            Event::Preprocessed(slot, step) => self.preprocessed(slot, step),
            Event::CallReturned(lane) => {
                assert!(self.rings[lane].calling || self.rings[lane].lost, "lane {lane} made no call");
                self.rings[lane].calling = false;
                self.list_callable(lane);
            }
            // A lane that was given up for hung may still come back: its items have ended, its sets are
            // retired, and what it brings is dropped.
            Event::Landed(slot) if self.is_retired(slot) => {}
            Event::Landed(slot) => self.landed(slot),
            Event::CallFailed(slot) if self.is_retired(slot) => {}
            Event::CallFailed(slot) => {
                self.leave_device(slot);
                self.release(slot);
                self.end(slot.sequence, Outcome::Failed);
            }
            Event::LaneLost(lane) => self.lane_lost(lane),
            Event::Postprocessed(slot, step) => {
                self.host_busy -= 1;
                self.move_set(slot, SetState::Postprocessing, SetState::Landed);
                self.release(slot);
                self.end(slot.sequence, outcome(step));
            }
            Event::Idle => self.idle = true,
            Event::Cancel => self.cancel(),
        }
    }

    /// The next result to hand out, with its item's number and how it ended.
    pub fn deliver(&mut self) -> Option<(Sequence, Outcome)> {
        self.window.deliver()
    }

    /// Whether every item has ended and been delivered, and none will come.
    ///
    /// Once true it stays true.
    pub fn is_ended(&self) -> bool {
        !self.wants_items() && self.is_settled() && self.window.len() == 0
    }

    /// Whether every item taken has ended, whether delivered or not, and no step runs that could add one.
    pub fn is_settled(&self) -> bool {
        let t = self.totals;
        t.taken == t.ok + t.failed + t.cancelled
            && self.host_busy == 0
            && self.source != Source::Asked
            && self.rings.iter().all(|ring| !ring.calling)
    }

    /// Whether items are still taken from the source.
    pub fn wants_items(&self) -> bool {
        matches!(self.source, Source::Waiting | Source::Asked)
    }

    /// Whether [`deliver`](Self::deliver) would give a result.
    pub fn can_deliver(&self) -> bool {
        self.window.can_deliver()
    }

    /// Whether the source is being asked for an item at this moment, and the item will be taken.
    pub fn is_asking(&self) -> bool {
        self.source == Source::Asked
    }

    /// Whether lanes with lag hold results that only a flush call or a further item brings out, while
    /// nothing but the source could bring one: the moment to start the idle time.
    pub fn waits_for_source(&self) -> bool {
        self.any_lag
            && !self.idle
            && self.wants_items()
            && self.host_busy == 0
            && self.rings.iter().any(|ring| ring.lag > 0 && ring.in_flight > 0)
            && self.rings.iter().all(|ring| !ring.calling && ring.ready.is_empty())
    }

    /// Items by how they ended so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether any lane's results come calls late.
    pub fn has_lag(&self) -> bool {
        self.any_lag
    }

    /// Lanes that are not lost.
    pub fn lanes_alive(&self) -> usize {
        self.lanes_alive
    }

    /// State of every buffer set of a lane, by its number.
    pub fn sets(&self, lane: usize) -> &[SetState] {
        &self.rings[lane].states
    }

    /// Host steps running now.
    pub fn host_busy(&self) -> usize {
        self.host_busy
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

    fn is_asked(&self) -> bool {
        matches!(self.source, Source::Asked | Source::Left)
    }

    /// Asks the source no more, and does not wait for an answer it may still owe.
    fn leave_source(&mut self) {
        self.source = if self.is_asked() { Source::Left } else { Source::Ended };
    }

    fn preprocessed(&mut self, slot: Slot, step: Step) {
        self.host_busy -= 1;
        let ring = &mut self.rings[slot.lane];
        ring.preprocessing -= 1;
        if ring.lost {
            self.move_set(slot, SetState::Preprocessing, |_| SetState::Retired);
            return self.end(slot.sequence, Outcome::Failed);
        }
        if step == Step::Done && !self.cancelled {
            self.move_set(slot, SetState::Preprocessing, SetState::Ready);
            self.rings[slot.lane].ready.push_back((slot.set, slot.sequence));
            return self.list_callable(slot.lane);
        }
        self.move_set(slot, SetState::Preprocessing, SetState::Landed);
        self.release(slot);
        self.end(slot.sequence, if step == Step::Failed { Outcome::Failed } else { Outcome::Cancelled });
    }

    fn landed(&mut self, slot: Slot) {
        self.leave_device(slot);
        if self.cancelled {
            self.release(slot);
            return self.end(slot.sequence, Outcome::Cancelled);
        }
        let at = self.stamp();
        self.posts.push_back((at, slot));
    }

    fn lane_lost(&mut self, lane: usize) {
        if self.rings[lane].lost {
            return;
        }
        self.lanes_alive -= 1;
        let ring = &mut self.rings[lane];
        ring.lost = true;
        // Whoever makes the call may never come back; nothing waits for it any more.
        ring.calling = false;
        ring.in_flight = 0;
        ring.ready.clear();
        let free = ring.free.len();
        ring.free.clear();
        let mut failed = Vec::new();
        for state in &mut ring.states {
            match *state {
                SetState::InFlight(sequence) | SetState::Ready(sequence) => {
                    failed.push(sequence);
                    *state = SetState::Retired;
                }
                SetState::Free => *state = SetState::Retired,
                // With a host thread, or safely back: these end by themselves.
                SetState::Preprocessing(_)
                | SetState::Landed(_)
                | SetState::Postprocessing(_)
                | SetState::Retired => {}
            }
        }
        self.fills.truncate(self.fills.len() - free);
        self.callable.retain(|&callable| callable != lane);
        if self.lanes_alive == 0 {
            failed.extend(self.held.take());
            self.leave_source();
        }
        for sequence in failed {
            self.end(sequence, Outcome::Failed);
        }
    }

    fn cancel(&mut self) {
        if self.cancelled {
            return;
        }
        self.cancelled = true;
        self.leave_source();
        if let Some(sequence) = self.held.take() {
            self.end(sequence, Outcome::Cancelled);
        }
        self.callable.clear();
        for lane in 0..self.rings.len() {
            self.rings[lane].listed = false;
            while let Some(slot) = self.rings[lane].pop_ready(lane) {
                self.move_set(slot, SetState::Ready, SetState::Landed);
                self.release(slot);
                self.end(slot.sequence, Outcome::Cancelled);
            }
        }
        while let Some((_, slot)) = self.posts.pop_front() {
            self.release(slot);
            self.end(slot.sequence, Outcome::Cancelled);
        }
    }

    fn is_retired(&self, slot: Slot) -> bool {
        self.rings[slot.lane].states[slot.set] == SetState::Retired
    }

    /// A set comes back from its device.
    fn leave_device(&mut self, slot: Slot) {
        self.move_set(slot, SetState::InFlight, SetState::Landed);
        self.rings[slot.lane].in_flight -= 1;
    }

    /// A landed set's contents are no longer needed: it goes back to its ring and asks for the next item.
    fn release(&mut self, slot: Slot) {
        if self.rings[slot.lane].lost {
            return self.move_set(slot, SetState::Landed, |_| SetState::Retired);
        }
        self.move_set(slot, SetState::Landed, |_| SetState::Free);
        self.rings[slot.lane].free.push(slot.set);
        let at = self.stamp();
        self.fills.push_back(at);
    }

    fn move_set(
        &mut self,
        slot: Slot,
        from: impl FnOnce(Sequence) -> SetState,
        to: impl FnOnce(Sequence) -> SetState,
    ) {
        let state = &mut self.rings[slot.lane].states[slot.set];
        let from = from(slot.sequence);
        assert_eq!(*state, from, "buffer set {} of lane {}", slot.set, slot.lane);
        *state = to(slot.sequence);
    }

    fn list_callable(&mut self, lane: usize) {
        let ring = &mut self.rings[lane];
        if ring.can_call() && !ring.ready.is_empty() && !ring.listed {
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
