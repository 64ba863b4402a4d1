//! The device's own time: a discrete-event model of its units, without threads and without a clock.
//!
//! A *unit* is what one step occupies at a time: a direction of the link, a group of cores, the part of the
//! host that serves one call at a time. A *job* is one call or one submitted item: steps that follow each
//! other, each on its unit for a while. Units serve in the order in which they were asked (FIFO).
//!
//! Time moves only in [`Timeline::advance`]. Whoever calls it late finds every step where it would have been
//! had the call come in time, so a host that oversleeps never slows the device down.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

/// A unit of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnitId(usize);

/// A job within a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct JobId(u64);

/// One step of a job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// What it occupies; `None` is a mere delay, which any number of jobs may pass at once.
    pub(crate) unit: Option<UnitId>,
    /// For how long.
    pub(crate) duration_ns: u64,
    /// The earlier step of the same job it waits for; `None` begins with the job.
    pub(crate) after: Option<usize>,
}

/// When a step ran, in nanoseconds of device time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
}

/// How far a job has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It runs. It will not end before this time; look again then.
    NotBefore(u64),
    /// It has ended: one span per step.
    Ended(Vec<Span>),
}

#[derive(Debug)]
struct Unit {
    /// When each server that is at work becomes free.
    busy_until_ns: Vec<u64>,
    servers: usize,
    waiting: VecDeque<(JobId, usize)>,
}

#[derive(Debug)]
struct Job {
    steps: Vec<Step>,
    /// Known from the moment a step begins.
    spans: Vec<Option<Span>>,
    unfinished: usize,
    abandoned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct StepEnd {
    at_ns: u64,
    /// Steps that end together are taken in the order in which they began.
    order: u64,
    job: JobId,
    step: usize,
}

/// The device's units, its jobs and its present time.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    now_ns: u64,
    units: Vec<Unit>,
    jobs: BTreeMap<JobId, Job>,
    ends: BinaryHeap<Reverse<StepEnd>>,
    next_job: u64,
    next_order: u64,
}

impl Timeline {
    pub(crate) fn new() -> Self {
        Timeline::default()
    }

    /// Adds a unit that serves `servers` steps at a time.
    pub(crate) fn add_unit(&mut self, servers: usize) -> UnitId {
        assert!(servers > 0, "a unit without a server would never serve");
        self.units.push(Unit { busy_until_ns: Vec::new(), servers, waiting: VecDeque::new() });
        UnitId(self.units.len() - 1)
    }

    /// Begins a job at `at_ns`, or now where that has passed.
    pub(crate) fn submit(&mut self, at_ns: u64, steps: Vec<Step>) -> JobId {
        let in_order = steps.iter().enumerate().all(|(step, s)| s.after.is_none_or(|after| after < step));
        assert!(in_order, "a step waits for an earlier one");
        self.advance(at_ns);
        let job = JobId(self.next_job);
        self.next_job += 1;
        let begin: Vec<usize> = (0..steps.len()).filter(|&step| steps[step].after.is_none()).collect();
        let (spans, unfinished) = (vec![None; steps.len()], steps.len());
        self.jobs.insert(job, Job { steps, spans, unfinished, abandoned: false });
        for step in begin {
            self.request(job, step);
        }
        // Steps without duration end at once.
        self.advance(self.now_ns);
        job
    }

    /// Moves time to `to_ns`, through everything that happens until then; never backwards.
    pub(crate) fn advance(&mut self, to_ns: u64) {
        while let Some(&Reverse(end)) = self.ends.peek()
            && end.at_ns <= to_ns
        {
            self.ends.pop();
            self.now_ns = end.at_ns;
            self.end_step(end);
        }
        self.now_ns = self.now_ns.max(to_ns);
    }

    /// How far a job has come by now. Once it has ended the job is forgotten.
    pub(crate) fn progress(&mut self, job: JobId) -> Progress {
        let record = &self.jobs[&job];
        if record.unfinished > 0 {
            return Progress::NotBefore(self.earliest_end(record));
        }
        let record = self.jobs.remove(&job).expect("the job was just looked up");
        Progress::Ended(record.spans.into_iter().map(|span| span.expect("an ended step has begun")).collect())
    }

    /// Forgets a job nobody will ask for. What it has begun or waits for still takes its time.
    pub(crate) fn abandon(&mut self, job: JobId) {
        match self.jobs.get_mut(&job) {
            Some(record) if record.unfinished > 0 => record.abandoned = true,
            _ => drop(self.jobs.remove(&job)),
        }
    }

    /// A time before which the job cannot end, whatever else is submitted meanwhile. It is the end itself
    /// once nothing can come between.
    fn earliest_end(&self, job: &Job) -> u64 {
        let mut ends: Vec<u64> = Vec::with_capacity(job.steps.len());
        for (step, span) in job.steps.iter().zip(&job.spans) {
            ends.push(match span {
                Some(span) => span.end_ns,
                None => {
                    let ready = step.after.map_or(self.now_ns, |after| ends[after]).max(self.now_ns);
                    let free = step.unit.map_or(0, |unit| self.units[unit.0].free_at());
                    ready.max(free) + step.duration_ns
                }
            });
        }
        ends.into_iter().max().unwrap_or(self.now_ns)
    }

    fn request(&mut self, job: JobId, step: usize) {
        match self.jobs[&job].steps[step].unit {
            Some(unit) => {
                self.units[unit.0].waiting.push_back((job, step));
                self.serve(unit);
            }
            None => self.begin_step(job, step),
        }
    }

    /// Lets the unit's free servers take what has waited longest.
    fn serve(&mut self, unit: UnitId) {
        loop {
            let unit = &mut self.units[unit.0];
            if unit.busy_until_ns.len() == unit.servers {
                return;
            }
            let Some((job, step)) = unit.waiting.pop_front() else { return };
            unit.busy_until_ns.push(self.now_ns + self.jobs[&job].steps[step].duration_ns);
            self.begin_step(job, step);
        }
    }

    fn begin_step(&mut self, job: JobId, step: usize) {
        let record = self.jobs.get_mut(&job).expect("a job is kept until its last step ends");
        let at_ns = self.now_ns + record.steps[step].duration_ns;
        record.spans[step] = Some(Span { start_ns: self.now_ns, end_ns: at_ns });
        self.ends.push(Reverse(StepEnd { at_ns, order: self.next_order, job, step }));
        self.next_order += 1;
    }

    fn end_step(&mut self, end: StepEnd) {
        let record = self.jobs.get_mut(&end.job).expect("a job is kept until its last step ends");
        record.unfinished -= 1;
        let unit = record.steps[end.step].unit;
        let followers: Vec<usize> =
            (end.step + 1..record.steps.len()).filter(|&s| record.steps[s].after == Some(end.step)).collect();
        if record.unfinished == 0 && record.abandoned {
            self.jobs.remove(&end.job);
        }
        if let Some(unit) = unit {
            let busy = &mut self.units[unit.0].busy_until_ns;
            let server = busy.iter().position(|&until| until == end.at_ns).expect("the step held a server");
            busy.swap_remove(server);
            self.serve(unit);
        }
        for follower in followers {
            self.request(end.job, follower);
        }
    }
}

impl Unit {
    /// When the next server is free at the earliest; 0 when one is.
    fn free_at(&self) -> u64 {
        if self.busy_until_ns.len() < self.servers {
            return 0;
        }
        self.busy_until_ns.iter().copied().min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
