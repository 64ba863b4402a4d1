//! The devices' side of a simulation: what a call sets going, and how it comes back.

use super::agenda::Happening;
use super::server::Job;
use super::{DeviceModel, Simulation, Watch};
use crate::measure::{Nanos, Stage};
use crate::schedule::{Duplex, Event, Transit};
use crate::trace::{Interval, Unit};

#[derive(Clone, Debug)]
pub(super) struct Lane {
    model: DeviceModel,
    lost: bool,
    /// When the call being made began, and whether one is.
    call_since: Nanos,
    in_call: bool,
    /// What a lockstep call submitted, and how many of the call's stages are not over.
    submitted: Option<Transit>,
    stages_left: usize,
    /// What a lockstep device holds between two calls: the item written last, and the one computed last.
    written: Option<Transit>,
    computed: Option<Transit>,
}

impl Lane {
    pub(super) fn new(model: DeviceModel) -> Self {
        Lane {
            model,
            lost: false,
            call_since: 0,
            in_call: false,
            submitted: None,
            stages_left: 0,
            written: None,
            computed: None,
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// What a device with lag holds, and whether it may still read each one's input.
    pub(super) fn inside(&self) -> impl Iterator<Item = (Transit, bool)> {
        let inputs_read = [(self.submitted, true), (self.written, false), (self.computed, false)];
        inputs_read.into_iter().filter_map(|(transit, reads_input)| Some((transit?, reads_input)))
    }

    /// Whether a call that blocks is being made.
    pub(super) fn is_in_call(&self) -> bool {
        self.in_call
    }

    pub(super) fn is_lockstep(&self) -> bool {
        matches!(self.model, DeviceModel::Lockstep { .. })
    }

    /// Whether an input is free again as soon as its kernel has ended; if not, when the call returns.
    pub(super) fn is_queued(&self) -> bool {
        self.model == DeviceModel::Queued
    }

    pub(super) fn lose(&mut self) {
        *self = Lane { lost: true, ..Lane::new(self.model) };
    }
}

impl<W: Watch> Simulation<W> {
    pub(super) fn submit(&mut self, transit: Transit) {
        let lane = transit.lane();
        if self.lanes[lane].is_lockstep() {
            return self.begin_lockstep_call(lane, Some(transit));
        }
        self.lanes[lane].call_since = self.now;
        self.lanes[lane].in_call = self.lanes[lane].model == DeviceModel::Blocking;
        self.watch.call_begins(transit, self.now);
        self.request(Job { transit, stage: Stage::Write });
        if self.lanes[lane].model == DeviceModel::Queued {
            self.schedule.report(Event::CallReturned(lane));
        }
    }

    /// Asks for the server of the job's stage.
    fn request(&mut self, job: Job) {
        let server = self.server_of(job);
        if self.servers[server].request(job) {
            self.serve(server, job);
        }
    }

    fn serve(&mut self, server: usize, job: Job) {
        let overhead = if job.stage == Stage::Kernel { self.launch_overhead } else { 0 };
        let item = &mut self.items[job.transit.sequence()];
        item.start = self.now + overhead;
        let lasts = overhead + item.times[job.stage as usize];
        self.foresee(lasts, Happening::Served(server as u32));
    }

    /// A server's job is done. The next one begins before this one's item asks for anything else, so that an item
    /// never overtakes one that asked before it.
    pub(super) fn served(&mut self, server: usize) {
        let lanes = &self.lanes;
        let counts = |job: &Job| !lanes[job.transit.lane()].lost;
        let (done, next) = self.servers[server].done(counts);
        let done = done.filter(counts);
        if let Some(next) = next {
            self.serve(server, next);
        }
        if let Some(done) = done {
            self.stage_over(done);
        }
    }

    fn stage_over(&mut self, Job { transit, stage }: Job) {
        let lane = transit.lane();
        let item = self.items[transit.sequence()];
        self.record(transit, stage, item.start);
        if self.lanes[lane].is_lockstep() {
            self.lanes[lane].stages_left -= 1;
            return self.end_lockstep_call(lane);
        }
        let ended = match stage {
            Stage::Kernel if item.fails.kernel => Event::CallFailed(transit),
            Stage::Kernel => {
                // A call that has not returned still holds its input.
                if self.lanes[lane].is_queued() {
                    self.input_free(transit);
                }
                return self.request(Job { transit, stage: Stage::Read });
            }
            Stage::Read => {
                self.watch.input_free(transit, self.now);
                self.watch.landed(transit, self.now);
                Event::Landed(transit)
            }
            _ => return self.request(Job { transit, stage: Stage::Kernel }),
        };
        self.schedule.report(ended);
        if self.lanes[lane].model == DeviceModel::Blocking {
            self.call_over(lane, Some(transit));
        }
    }

    fn call_over(&mut self, lane: usize, submitted: Option<Transit>) {
        self.lanes[lane].in_call = false;
        let call = Interval::new(self.lanes[lane].call_since, self.now);
        self.measures.call(call.start, call.end);
        self.watch.call_ends(lane, submitted, call);
        self.schedule.report(Event::CallReturned(lane));
    }

    /// The device has read an input for the last time.
    fn input_free(&mut self, transit: Transit) {
        self.watch.input_free(transit, self.now);
        self.schedule.report(Event::InputFree(transit));
    }

    /// A call whose stages go side by side, each for another item, as far as links let them.
    pub(super) fn begin_lockstep_call(&mut self, lane: usize, submitted: Option<Transit>) {
        let fails = submitted.is_some_and(|transit| self.items[transit.sequence()].fails.kernel);
        let state = &mut self.lanes[lane];
        state.call_since = self.now;
        state.in_call = true;
        state.submitted = submitted;
        if let Some(transit) = submitted {
            self.watch.call_begins(transit, self.now);
        }
        // A call that fails moves nothing but its own input.
        let (written, computed) = if fails { (None, None) } else { (state.written, state.computed) };
        let stages = [(computed, Stage::Read), (written, Stage::Kernel), (submitted, Stage::Write)];
        state.stages_left = stages.iter().filter(|(transit, _)| transit.is_some()).count();
        for (transit, stage) in stages {
            if let Some(transit) = transit {
                self.request(Job { transit, stage });
            }
        }
        self.end_lockstep_call(lane);
    }

    /// Ends the call if all its stages are over.
    fn end_lockstep_call(&mut self, lane: usize) {
        let state = &self.lanes[lane];
        if state.stages_left == 0
            && let DeviceModel::Lockstep { call_cost } = state.model
        {
            self.foresee(call_cost, Happening::CallOver(lane as u32));
        }
    }

    pub(super) fn lockstep_call_over(&mut self, lane: usize) {
        let state = &mut self.lanes[lane];
        if state.lost {
            return;
        }
        let submitted = state.submitted.take();
        if let Some(transit) = submitted
            && self.items[transit.sequence()].fails.kernel
        {
            self.schedule.report(Event::CallFailed(transit));
            return self.call_over(lane, submitted);
        }
        let written = std::mem::replace(&mut state.written, submitted);
        let computed = std::mem::replace(&mut state.computed, written);
        // The call captured its input.
        if let Some(transit) = submitted {
            self.input_free(transit);
        }
        if let Some(transit) = computed {
            self.watch.landed(transit, self.now);
            self.schedule.report(Event::Landed(transit));
        }
        self.call_over(lane, submitted);
    }

    /// Measures and tells a stage a device is done with.
    fn record(&mut self, transit: Transit, stage: Stage, start: Nanos) {
        let (lane, end) = (transit.lane(), self.now);
        let link = if self.n_links == 1 { 0 } else { lane };
        if stage == Stage::Kernel {
            self.measures.kernel(lane, start, end);
        } else {
            self.measures.stage(stage, start, end);
        }
        let unit = match (stage, self.duplex) {
            (Stage::Kernel, _) => Unit::Kernel(lane),
            (_, Duplex::Half) => Unit::Link(link),
            (Stage::Write, Duplex::Full) => Unit::LinkIn(link),
            (_, Duplex::Full) => Unit::LinkOut(link),
        };
        self.tell(unit, stage, lane, transit.sequence(), start, end);
    }

    /// The compute unit of the job's lane, or the channel of its link.
    fn server_of(&self, job: Job) -> usize {
        let lane = job.transit.lane();
        let link = if self.n_links == 1 { 0 } else { lane };
        let links = self.lanes.len();
        match (job.stage, self.duplex) {
            (Stage::Kernel, _) => lane,
            (Stage::Read, Duplex::Full) => links + self.n_links + link,
            _ => links + link,
        }
    }
}
