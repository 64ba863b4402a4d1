//! The simulation: carries out the schedule's commands in virtual time.

use super::agenda::{Agenda, Happening};
use super::device::Lane;
use super::feed::Feed;
use super::items::{Item, Items};
use super::server::Server;
use super::threads::{HostStep, Threads};
use super::times::Sampler;
use super::{Delivery, Fault, Setup, SetupError, Watch};
use crate::measure::{Measures, Nanos, Stage};
use crate::schedule::{
    Command, ConfigError, Duplex, Event, HostThreads, Schedule, Sequence, Sets, Step, Totals,
};
use crate::trace::{Interval, Span, Unit};

/// What a simulation came to.
#[derive(Clone, Debug)]
pub struct Run {
    /// Items by how they ended.
    pub totals: Totals,
    /// Stage times, latencies and compute units. Each lane is one compute unit.
    pub measures: Measures,
    /// When the last result was handed out.
    pub end: Nanos,
}

/// A stream in virtual time. See the [module](super) for what is simulated.
#[derive(Clone, Debug)]
pub struct Simulation<W = ()> {
    pub(super) schedule: Schedule,
    pub(super) watch: W,
    pub(super) now: Nanos,
    agenda: Agenda,
    feed: Feed,
    sampler: Sampler,
    asked_at: Nanos,
    pub(super) items: Items,
    pub(super) threads: Threads,
    /// How many host stages and calls may be under way at once.
    seats: Option<usize>,
    pub(super) lanes: Vec<Lane>,
    /// Each lane's compute unit, then the links: into the device, and then out of it where these are two.
    pub(super) servers: Vec<Server>,
    pub(super) duplex: Duplex,
    pub(super) n_links: usize,
    pub(super) launch_overhead: Nanos,
    pub(super) measures: Measures,
    idle_after: Option<Nanos>,
    /// Since when nothing but the source could bring a result out.
    waits_since: Option<Nanos>,
    end: Nanos,
}

impl Simulation {
    /// A simulation at its beginning, with nobody looking on.
    ///
    /// # Errors
    ///
    /// A number out of range, or numbers that do not fit together.
    pub fn new(setup: &Setup) -> Result<Self, SetupError> {
        Simulation::watched(setup, ())
    }
}

impl<W: Watch> Simulation<W> {
    /// A simulation at its beginning, and who looks on.
    ///
    /// # Errors
    ///
    /// A number out of range, or numbers that do not fit together.
    pub fn watched(setup: &Setup, watch: W) -> Result<Self, SetupError> {
        setup.validate()?;
        let n_lanes = setup.devices.len();
        let n_links = if setup.links.shared { 1 } else { n_lanes };
        let n_channels = if setup.links.duplex == Duplex::Full { 2 * n_links } else { n_links };
        let mut agenda = Agenda::default();
        agenda.add(0, Happening::Begin);
        for fault in &setup.faults {
            match *fault {
                Fault::LaneLost { lane, at } => agenda.add(at, Happening::LaneLost(lane as u32)),
                Fault::Cancel { at } => agenda.add(at, Happening::Cancel),
                Fault::Stage(..) | Fault::Stall { .. } => {}
            }
        }
        Ok(Simulation {
            schedule: Schedule::new(setup.schedule.clone())?,
            watch,
            now: 0,
            agenda,
            feed: Feed::new(setup),
            sampler: setup.times.sampler()?,
            asked_at: 0,
            items: Items::new(setup.schedule.window),
            threads: Threads::default(),
            seats: setup.seats,
            lanes: setup.devices.iter().map(|&model| Lane::new(model)).collect(),
            servers: vec![Server::default(); n_lanes + n_channels],
            duplex: setup.links.duplex,
            n_links,
            launch_overhead: setup.launch_overhead,
            measures: Measures::new(n_lanes),
            idle_after: setup.source.idle_after,
            waits_since: None,
            end: 0,
        })
    }

    /// Lets the next thing happen, and begins everything that can begin then. When that was; `None` once the
    /// stream has ended.
    ///
    /// Things that happen at one time happen one after the other, in the order in which they were foreseen.
    pub fn step(&mut self) -> Option<Nanos> {
        if self.schedule.is_ended() {
            return None;
        }
        let (at, what) = self.agenda.next()?;
        self.now = at;
        self.happen(what);
        self.go_on();
        Some(at)
    }

    /// Simulates what is left of the stream.
    ///
    /// # Panics
    ///
    /// If the stream stops before its end: a bug in the schedule.
    pub fn run(mut self) -> Run {
        while self.step().is_some() {}
        assert!(self.schedule.is_ended(), "nothing can happen and the stream has not ended");
        self.into_run()
    }

    /// What the simulation came to so far.
    pub fn into_run(self) -> Run {
        Run { totals: self.schedule.totals(), measures: self.measures, end: self.end }
    }

    /// The time of the last step.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// The schedule it drives.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Who looks on.
    pub fn watch(&mut self) -> &mut W {
        &mut self.watch
    }

    /// What was measured so far.
    pub fn measures(&self) -> &Measures {
        &self.measures
    }

    /// Gives a lane's ring another size, as [`Schedule::resize`] does.
    ///
    /// # Errors
    ///
    /// As [`Schedule::resize`].
    ///
    /// # Panics
    ///
    /// If there is no such lane.
    pub fn resize(&mut self, lane: usize, sets: Sets) -> Result<(), ConfigError> {
        self.schedule.resize(lane, sets)?;
        self.go_on();
        Ok(())
    }

    /// Lets more items lie between take and delivery, as [`Schedule::grow_window`] does.
    ///
    /// # Errors
    ///
    /// As [`Schedule::grow_window`].
    pub fn grow_window(&mut self, places: usize) -> Result<(), ConfigError> {
        self.schedule.grow_window(places)?;
        self.items.grow(places, self.schedule.totals().taken);
        self.watch.window_grows(places);
        self.go_on();
        Ok(())
    }

    /// Changes the host threads, as [`Schedule::set_host_threads`] does.
    ///
    /// # Errors
    ///
    /// As [`Schedule::set_host_threads`].
    pub fn set_host_threads(&mut self, threads: HostThreads) -> Result<(), ConfigError> {
        self.schedule.set_host_threads(threads)?;
        self.go_on();
        Ok(())
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Begin => {}
            Happening::Arrived => self.arrived(),
            Happening::Idle => {
                if self.waits_since.is_some_and(|since| Some(self.now - since) == self.idle_after) {
                    self.schedule.report(Event::Idle);
                }
            }
            Happening::HostStepOver(thread) => self.host_step_over(thread),
            Happening::Served(server) => self.served(server as usize),
            Happening::CallOver(lane) => self.lockstep_call_over(lane as usize),
            Happening::LaneLost(lane) => {
                self.lanes[lane as usize].lose();
                self.watch.lane_lost(lane as usize, self.now);
                self.schedule.report(Event::LaneLost(lane as usize));
            }
            Happening::Cancel => {
                self.watch.cancelled(self.now);
                self.schedule.report(Event::Cancel);
            }
        }
    }

    /// Hands out and begins all there is.
    fn go_on(&mut self) {
        loop {
            while let Some((sequence, outcome)) = self.schedule.deliver() {
                self.end = self.now;
                self.watch.delivered(Delivery { sequence, outcome, at: self.now });
            }
            // With no core left nobody asks what comes next.
            let command = if self.has_seat() { self.schedule.next() } else { None };
            match command {
                Some(command) => self.begin(command),
                None => break,
            }
        }
        if let Some(idle_after) = self.idle_after {
            if !self.schedule.waits_for_source() {
                self.waits_since = None;
            } else if self.waits_since.is_none() {
                self.waits_since = Some(self.now);
                self.foresee(idle_after, Happening::Idle);
            }
        }
    }

    /// Whether a core is left for whoever would carry out what comes next.
    fn has_seat(&self) -> bool {
        self.seats.is_none_or(|seats| {
            let calls = self.lanes.iter().filter(|lane| lane.is_in_call()).count();
            self.threads.count() + calls < seats
        })
    }

    fn begin(&mut self, command: Command) {
        match command {
            Command::Take => self.ask_source(),
            Command::Preprocess(slot) => self.begin_host_step(HostStep { slot, stage: Stage::Preprocess }),
            Command::Submit(transit) => self.submit(transit),
            Command::Flush(lane) => self.begin_lockstep_call(lane, None),
            Command::Postprocess(slot) => self.begin_host_step(HostStep { slot, stage: Stage::Postprocess }),
        }
    }

    fn ask_source(&mut self) {
        self.asked_at = self.now;
        match self.feed.ready_at() {
            None => self.schedule.report(Event::SourceEnded),
            Some(at) if at <= self.now => self.arrived(),
            Some(at) => self.agenda.add(at, Happening::Arrived),
        }
    }

    fn arrived(&mut self) {
        if self.schedule.is_asking() {
            let sequence = self.schedule.totals().taken;
            let (times, fails) = (self.sampler.next(sequence), self.feed.give());
            self.measures.source(self.asked_at, self.now);
            self.watch.taken(sequence, Interval::new(self.asked_at, self.now));
            self.items[sequence] = Item { times, fails, taken_at: self.now, ..Item::default() };
        }
        // An item that nobody waits for any more is not taken; the schedule knows.
        self.schedule.report(Event::Taken);
    }

    fn begin_host_step(&mut self, step: HostStep) {
        self.watch.host_begins(step.slot, step.stage);
        let item = &mut self.items[step.slot.sequence()];
        item.start = self.now;
        let lasts = item.times[step.stage as usize];
        let thread = self.threads.begin(step);
        self.foresee(lasts, Happening::HostStepOver(thread));
    }

    fn host_step_over(&mut self, thread: u16) {
        let HostStep { slot, stage } = self.threads.end(thread);
        let Item { start, fails, taken_at, .. } = self.items[slot.sequence()];
        self.measures.stage(stage, start, self.now);
        self.tell(Unit::Host(thread.into()), stage, slot.lane(), slot.sequence(), start, self.now);
        if stage == Stage::Preprocess {
            return self.schedule.report(Event::Preprocessed(slot, ended(fails.preprocess)));
        }
        self.measures.latency(self.now - taken_at);
        self.schedule.report(Event::Postprocessed(slot, ended(fails.postprocess)));
    }

    pub(super) fn foresee(&mut self, after: Nanos, what: Happening) {
        self.agenda.add(self.now.saturating_add(after), what);
    }

    pub(super) fn tell(
        &mut self,
        unit: Unit,
        stage: Stage,
        lane: usize,
        sequence: Sequence,
        start: Nanos,
        end: Nanos,
    ) {
        self.watch.span(Span { unit, stage, lane, sequence, start, end });
    }
}

fn ended(fails: bool) -> Step {
    if fails { Step::Failed } else { Step::Done }
}
