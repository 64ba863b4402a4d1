//! The threads of a pipeline: who works, who rests, who is woken.
//!
//! Every thread runs the same loop: report what it finished and ask for the next command, in one lock. The
//! thread that completes a step carries on with the next one, so that an item usually stays with its thread.
//! A thread with nothing to do spins briefly, then parks; another is woken only when one is parked and there
//! is work, and only one at a time. `README.md` beside this file tells the rules and why they cannot lose a
//! wake-up.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nbuffer_core::measure::Nanos;
use nbuffer_core::schedule::{ConfigError, Sets};
use nbuffer_core::trace::{Topology, Trace};

use super::state::{LaneKind, LaneState, State, nanos};
use super::sync::atomic::{AtomicU32, Ordering};
use super::sync::thread::{self, JoinHandle};
use super::sync::{Condvar, Mutex, MutexGuard, Spin};
use super::{Delivery, HostStages, Kind, Options, Report, StartError};
use crate::buffer::Memory;
use crate::device::DeviceError;
use crate::lane::{Called, Calls, Complete, Completions, Lane};

/// How long a thread spins before it parks: about what parking and being woken costs.
const SPIN: Duration = Duration::from_micros(20);

/// How long the one thread that stands by sleeps before it looks by itself whether work is left lying, and
/// how long at most while nothing moves.
const STANDBY: Duration = Duration::from_millis(2);
const STANDBY_MAX: Duration = Duration::from_millis(64);

/// How long the consumer may doze while items are quick: waking it costs two busy cores as much as half an item.
const DOZE: Duration = Duration::from_millis(1);

/// When a step ran, in nanoseconds since the run began; `None` when it was not timed.
pub(super) type Stamps = Option<(Nanos, Nanos)>;

/// A thread panicked under the lock.
pub(super) const BUG: &str = "a thread of this pipeline hit a bug in nbuffer";

/// The most results handed out in one go.
const BATCH: usize = 64;

type Sink<H> = Box<dyn FnMut(&mut Vec<Delivery<<H as HostStages>::Output>>) + Send>;

/// The state and the threads that work on it, under one lock.
pub(super) struct Crew<H: HostStages> {
    pub(super) state: State<H>,
    threads: Vec<Worker>,
    /// How many threads may run a task at once, beside the one that asks the source.
    seats: Seats,
    /// Running a task.
    active: usize,
    /// Waiting to be woken, woken and on their way, and started and on their way.
    parked: usize,
    woken: usize,
    starting: usize,
    spinning: bool,
    standby: bool,
    standby_for: Duration,
    /// Counts finished tasks, so that the thread that stands by sees whether the others move.
    tasks: u64,
    pub(super) in_source: Option<InSource>,
    consumer: Consumer,
    sink: Option<Sink<H>>,
    delivering: bool,
    spare: Vec<Delivery<H::Output>>,
    sink_panic: Option<Box<dyn Any + Send>>,
}

/// Somebody asks the source for an item.
pub(super) struct InSource {
    pub(super) worker: usize,
    /// It has been seen to take long.
    pub(super) stalls: bool,
}

/// What the thread that fetches results is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consumer {
    Away,
    Spinning,
    /// Parked for [`DOZE`] at most: it is woken for several results, since more will be there soon.
    Dozing,
    /// Woken for the next result.
    Parked,
}

#[derive(Default)]
struct Worker {
    handle: Option<JoinHandle<()>>,
    /// It has left its loop.
    gone: bool,
    /// It sits in a device call that was given up, and is not waited for.
    abandoned: bool,
}

/// Where the sets of one lane's ring come from.
type LaneMemory<H> = Box<dyn Memory<<H as HostStages>::InputSet, <H as HostStages>::OutputSet>>;

pub(super) struct Shared<H: HostStages> {
    crew: Mutex<Crew<H>>,
    /// The memory of each lane. Taken before `crew`, never while it is held: to allocate may take its time.
    memory: Mutex<Vec<LaneMemory<H>>>,
    pub(super) stages: H,
    /// Parked workers.
    work: Condvar,
    /// The consumer, and whoever waits for the threads to end.
    delivery: Condvar,
    /// The monitor.
    pub(super) monitor: Condvar,
    /// Changes when a spinning thread should look again.
    hint: Hint,
    cores: usize,
    epoch: Instant,
}

/// On a cache line of its own: a spinning thread reads it all the time.
#[repr(align(128))]
struct Hint(AtomicU32);

impl Hint {
    /// Relaxed throughout: the hint says when to look, and what is seen then is read under the lock.
    fn set(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Spins until the hint changes or the time is over.
    fn spin(&self, seen: u32) {
        let spin = Spin::new(SPIN);
        while self.0.load(Ordering::Relaxed) == seen && spin.turn() {}
    }

    fn seen(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<H: HostStages> Crew<H> {
    /// Whether results are handed out before anything else is done. While items take microseconds a result
    /// goes out at once; shorter ones go out in batches.
    fn delivers_first(&self) -> bool {
        self.can_deliver() && (!self.state.pace.is_short() || self.state.has_several())
    }

    /// Whether results wait for a sink that is there.
    fn can_deliver(&self) -> bool {
        self.sink.is_some() && self.state.schedule.can_deliver()
    }

    /// Whether no further thread may run a task.
    fn is_full(&self) -> bool {
        self.active >= self.seats.count() + usize::from(self.source_has_extra_seat())
    }

    /// Whether the thread that asks the source counts beside the others, because it may be stuck there. One that is
    /// back in a moment does not: with the extra thread, one of them would have to rest then.
    fn source_has_extra_seat(&self) -> bool {
        let is_back_soon = self.standby && self.state.pace.is_brief(Kind::Take);
        self.in_source.as_ref().is_some_and(|source| source.stalls || !is_back_soon)
    }

    fn has_work(&self) -> bool {
        self.can_deliver() || self.state.schedule.has_work()
    }

    /// No item will be taken and none is under way.
    pub(super) fn is_over(&self) -> bool {
        let schedule = &self.state.schedule;
        !schedule.wants_items() && schedule.is_settled() && !self.delivering && !self.can_deliver()
    }

    /// One of the lanes is lost; a thread that sits in a call of it is not waited for.
    fn abandon(&mut self, lane: usize) {
        if let Some(call) = &self.state.lanes[lane].in_call {
            self.threads[call.worker].abandoned = true;
            self.seats.change(|seats| seats.extra += 1);
            self.active -= 1;
        }
    }
}

/// How many tasks are worth running at once: one per host thread, one per lane that waits for its device, and
/// one per lane that computes as long as there are cores for it.
struct Seats {
    host_threads: usize,
    computing: usize,
    waiting: usize,
    /// Cores for host threads and computing lanes. One that computes on several takes but one seat, so that the others
    /// of its cores are not here.
    cores: usize,
    /// For threads that sit in a call which was given up.
    extra: usize,
    /// As many threads as the system gives.
    most: usize,
    /// What all that comes to; asked for several times an item.
    count: usize,
}

impl Seats {
    fn new<I, O>(lanes: &[Calls<I, O>], host_threads: usize, cores: usize) -> Self {
        let blocking = || {
            lanes.iter().filter_map(|lane| if let Calls::Blocking(lane) = lane { Some(lane) } else { None })
        };
        let computing = blocking().filter(|lane| lane.cores() > 0).count();
        let waiting = blocking().count() - computing;
        let beside: usize = blocking().map(|lane| lane.cores().saturating_sub(1)).sum();
        let cores = cores.saturating_sub(beside).max(1);
        let mut seats =
            Seats { host_threads, computing, waiting, cores, extra: 0, most: usize::MAX, count: 0 };
        seats.change(|_| {});
        seats
    }

    fn count(&self) -> usize {
        self.count
    }

    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        change(self);
        let on_cores = self.host_threads.max(self.cores.min(self.host_threads + self.computing));
        self.count = (on_cores + self.waiting + self.extra).min(self.most);
    }
}

impl<H: HostStages> Shared<H> {
    pub(super) fn start(
        state: State<H>,
        stages: H,
        lanes: Vec<Lane<H::InputSet, H::OutputSet>>,
        options: &Options,
    ) -> Arc<Self> {
        let (lanes, memory): (Vec<_>, Vec<_>) =
            lanes.into_iter().map(|lane| (lane.calls, lane.memory)).unzip();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let seats = Seats::new(&lanes, options.host_threads, cores);
        let epoch = state.epoch();
        let shared = Arc::new(Shared {
            crew: Mutex::new(Crew {
                state,
                threads: Vec::new(),
                seats,
                active: 0,
                parked: 0,
                woken: 0,
                starting: 0,
                spinning: false,
                standby: false,
                standby_for: STANDBY,
                tasks: 0,
                in_source: None,
                consumer: Consumer::Away,
                sink: None,
                delivering: false,
                spare: Vec::new(),
                sink_panic: None,
            }),
            memory: Mutex::new(memory),
            stages,
            work: Condvar::new(),
            delivery: Condvar::new(),
            monitor: Condvar::new(),
            hint: Hint(AtomicU32::new(0)),
            cores,
            epoch,
        });
        let weak = Arc::downgrade(&shared);
        let complete: Complete<H::InputSet, H::OutputSet> = Arc::new(move |called, lane| {
            if let Some(shared) = weak.upgrade() {
                shared.completed(called, lane);
            }
        });
        let opened = lanes.into_iter().enumerate().map(|(index, lane)| {
            tracing::debug!(lane = index, blocks = matches!(lane, Calls::Blocking(_)), "lane opened");
            let kind = match lane {
                Calls::Blocking(lane) => LaneKind::Blocking(Some(lane)),
                Calls::Queued(open) => {
                    LaneKind::Queued(Some(open(Completions::new(index, Arc::clone(&complete)))))
                }
            };
            LaneState { kind, in_call: None }
        });
        // Opened without the lock: a device may complete from another thread at once.
        let opened: Vec<_> = opened.collect();
        super::monitor::start(&shared, options);
        if let Some(goals) = options.tune {
            super::tuning::start(&shared, goals);
        }
        let mut crew = shared.lock();
        crew.state.lanes = opened;
        shared.call_for_help(&mut crew, false);
        drop(crew);
        shared
    }

    /// # Panics
    ///
    /// If a thread panicked under the lock: nbuffer has a bug, and going on could lose items.
    pub(super) fn lock(&self) -> MutexGuard<'_, Crew<H>> {
        self.crew.lock().expect(BUG)
    }

    /// The same for who only looks: `None` if a thread panicked under the lock.
    pub(super) fn look(&self) -> Option<MutexGuard<'_, Crew<H>>> {
        self.crew.lock().ok()
    }

    pub(super) fn epoch(&self) -> Instant {
        self.epoch
    }

    /// All that a worker does, with what the stages want around it.
    fn live(self: &Arc<Self>, me: usize) {
        let mut has_worked = false;
        let mut work = || {
            if !std::mem::replace(&mut has_worked, true) {
                self.work(me);
            }
        };
        let around = catch_unwind(AssertUnwindSafe(|| self.stages.around_thread(&mut work)));
        // The schedule counts on this thread, whatever became of what is around it.
        work();
        if let Err(panic) = around {
            resume_unwind(panic);
        }
    }

    fn work(self: &Arc<Self>, me: usize) {
        let mut crew = self.lock();
        crew.starting -= 1;
        // Set when standing by showed that nobody else moves.
        let mut must_act = false;
        while !crew.is_over() {
            // Short items are handed out faster by one thread than by two that fight for the lock.
            let crowded = !must_act && (crew.active > 0 && crew.state.pace.is_short() || crew.is_full());
            must_act = false;
            if crowded {
                (crew, must_act) = self.rest(crew);
                continue;
            }
            let first = crew.delivers_first();
            let command = if first { None } else { crew.state.schedule.next() };
            if command.is_none() && !first && !crew.can_deliver() {
                (crew, must_act) = self.rest(crew);
                continue;
            }
            crew.active += 1;
            crew = match command {
                Some(command) => self.carry_out(command, crew, me),
                None => self.deliver(crew),
            };
            if crew.threads[me].abandoned {
                break;
            }
            crew.active -= 1;
            crew.tasks += 1;
            self.announce(&mut crew);
        }
        crew.threads[me].gone = true;
        self.work.notify_all();
        self.delivery.notify_all();
        self.monitor.notify_all();
    }

    /// Runs one step of a stage, the source, a lane or the sink without the lock, so that others go on meanwhile.
    /// Gives what the step gave, or its panic, and when it ran.
    pub(super) fn unlocked<'a, T>(
        self: &'a Arc<Self>,
        mut crew: MutexGuard<'a, Crew<H>>,
        kind: Kind,
        timed: bool,
        step: impl FnOnce() -> T,
    ) -> (MutexGuard<'a, Crew<H>>, thread::Result<T>, Stamps) {
        let brief = crew.state.pace.is_brief(kind);
        self.call_for_help(&mut crew, brief);
        drop(crew);
        let start = timed.then(|| nanos(self.epoch));
        let ended = catch_unwind(AssertUnwindSafe(step));
        let stamps = start.map(|start| (start, nanos(self.epoch)));
        let mut crew = self.lock();
        if let Some((start, end)) = stamps {
            crew.state.took(kind, start, end);
        }
        (crew, ended, stamps)
    }

    /// Hands out what has ended.
    fn deliver<'a>(self: &'a Arc<Self>, mut crew: MutexGuard<'a, Crew<H>>) -> MutexGuard<'a, Crew<H>> {
        let mut sink = crew.sink.take().expect("there is a sink to deliver to");
        let mut batch = std::mem::take(&mut crew.spare);
        while batch.len() < BATCH
            && let Some(delivery) = crew.state.deliver()
        {
            batch.push(delivery);
        }
        crew.delivering = true;
        let timed = batch.first().is_some_and(|first| crew.state.pace.times(first.sequence));
        let (mut crew, ended, _) = self.unlocked(crew, Kind::Deliver, timed, || sink(&mut batch));
        batch.clear();
        crew.delivering = false;
        crew.spare = batch;
        match ended {
            Ok(()) => crew.sink = Some(sink),
            Err(panic) => {
                crew.sink_panic = Some(panic);
                crew.state.cancel();
            }
        }
        crew
    }

    /// Spins, then parks, until there may be work. True when nobody else moved meanwhile.
    fn rest<'a>(&'a self, mut crew: MutexGuard<'a, Crew<H>>) -> (MutexGuard<'a, Crew<H>>, bool) {
        let short = crew.state.pace.is_short();
        if !crew.spinning && crew.active < self.cores && self.cores > 1 && !(short && crew.active > 0) {
            crew.spinning = true;
            let seen = self.hint.seen();
            drop(crew);
            self.hint.spin(seen);
            crew = self.lock();
            crew.spinning = false;
            if crew.has_work() || crew.is_over() {
                return (crew, false);
            }
        }
        crew.parked += 1;
        let stands_by = !crew.standby && crew.active > 0;
        let tasks = crew.tasks;
        if stands_by {
            crew.standby = true;
            let time = crew.standby_for;
            let asked = crew.in_source.is_some().then(|| crew.state.schedule.totals().taken);
            (crew, _) = self.work.wait_timeout(crew, time).expect(BUG);
            crew.standby = false;
            let taken = crew.state.schedule.totals().taken;
            if let Some(source) = &mut crew.in_source
                && asked == Some(taken)
            {
                source.stalls = true;
            }
            crew.standby_for = if crew.tasks == tasks { (time * 2).min(STANDBY_MAX) } else { STANDBY };
        } else {
            crew = self.work.wait(crew).expect(BUG);
        }
        // Whoever woke this thread moved one from parked to woken; after a time-out nobody did.
        if crew.woken > 0 {
            crew.woken -= 1;
        } else {
            crew.parked -= 1;
        }
        let nobody_moved = stands_by && crew.tasks == tasks;
        (crew, nobody_moved)
    }

    /// Sees to it that somebody does the work that is left, if there is any. `back_soon` says that the caller
    /// is about to return for it sooner than anybody could be woken.
    pub(super) fn call_for_help(self: &Arc<Self>, crew: &mut Crew<H>, back_soon: bool) {
        // Should the caller be held up after all, the one that stands by finds the work by itself.
        let can_wait = back_soon && crew.standby && !crew.spinning;
        if crew.woken + crew.starting > 0 || can_wait || crew.is_full() || !crew.has_work() {
            return;
        }
        if crew.spinning {
            return self.hint.set();
        }
        if crew.parked > 0 {
            crew.parked -= 1;
            crew.woken += 1;
            self.work.notify_one();
        } else if crew.threads.iter().filter(|worker| !worker.gone).count() <= crew.seats.count() {
            // All may have left already, and a sink come only then for the results they left behind.
            crew.starting += 1;
            let me = crew.threads.len();
            let shared = Arc::clone(self);
            let name = format!("nbuffer-{me}");
            let spawned = thread::Builder::new().name(name).spawn(move || shared.live(me));
            match spawned {
                Ok(handle) => crew.threads.push(Worker { handle: Some(handle), ..Worker::default() }),
                Err(error) => {
                    crew.starting -= 1;
                    // Fewer threads are slower and not wrong; none at all cannot work.
                    let most = crew.threads.len();
                    crew.seats.change(|seats| seats.most = most);
                    assert!(crew.seats.most > 0, "no thread can be started: {error}");
                }
            }
        }
    }

    /// Tells the consumer when it should look.
    fn announce(&self, crew: &mut Crew<H>) {
        let schedule = &crew.state.schedule;
        let over = !schedule.wants_items() && crew.is_over();
        if over {
            // Everybody leaves.
            self.work.notify_all();
            self.delivery.notify_all();
            self.monitor.notify_all();
            return self.hint.set();
        }
        if crew.consumer == Consumer::Away || !schedule.can_deliver() {
            return;
        }
        let several = crew.state.has_several();
        match crew.consumer {
            Consumer::Away => {}
            Consumer::Spinning if several || !crew.state.pace.is_short() => self.hint.set(),
            Consumer::Dozing if !several => {}
            Consumer::Spinning => {}
            Consumer::Dozing | Consumer::Parked => {
                crew.consumer = Consumer::Away;
                self.delivery.notify_all();
            }
        }
    }

    /// A queued device tells what ended.
    fn completed(self: &Arc<Self>, called: Called<H::InputSet, H::OutputSet>, lane: usize) {
        let mut crew = self.lock();
        crew.state.called(lane, called, None);
        crew.tasks += 1;
        self.announce(&mut crew);
        self.call_for_help(&mut crew, false);
    }

    /// A lane did not answer in time.
    pub(super) fn lose(self: &Arc<Self>, crew: &mut Crew<H>, lane: usize, error: DeviceError) {
        crew.abandon(lane);
        crew.state.lose(lane, error);
        self.announce(crew);
        self.call_for_help(crew, false);
    }

    /// Fetches results for the consumer; leaves `out` empty when the stream has ended. False when the deadline passed
    /// before either.
    pub(super) fn fetch(
        self: &Arc<Self>,
        out: &mut VecDeque<Delivery<H::Output>>,
        deadline: Option<Instant>,
    ) -> bool {
        let mut crew = self.lock();
        let mut rests = [Consumer::Spinning, Consumer::Dozing].into_iter();
        loop {
            while out.len() < BATCH
                && let Some(delivery) = crew.state.deliver()
            {
                out.push_back(delivery);
            }
            if !out.is_empty() || crew.state.schedule.is_ended() {
                // What was fetched made room in the reorder window.
                self.call_for_help(&mut crew, false);
                return true;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            let worthwhile = |rest: &Consumer| match rest {
                Consumer::Spinning => crew.active < self.cores && self.cores > 1,
                _ => crew.state.pace.is_quick(),
            };
            crew.consumer = rests.find(worthwhile).unwrap_or(Consumer::Parked);
            crew = match crew.consumer {
                Consumer::Spinning => {
                    let seen = self.hint.seen();
                    drop(crew);
                    self.hint.spin(seen);
                    self.lock()
                }
                Consumer::Dozing => self.delivery.wait_timeout(crew, DOZE).expect(BUG).0,
                _ => match left {
                    Some(left) => self.delivery.wait_timeout(crew, left).expect(BUG).0,
                    None => self.delivery.wait(crew).expect(BUG),
                },
            };
            crew.consumer = Consumer::Away;
        }
    }

    /// Lets the workers hand every result to `each`, and waits for the end.
    pub(super) fn run_into<F>(self: &Arc<Self>, each: F) -> F
    where
        F: FnMut(Delivery<H::Output>) + Send + 'static,
    {
        // Never contended, so no part of what the threads agree on.
        let kept = Arc::new(std::sync::Mutex::new(each));
        let sink = Arc::clone(&kept);
        let mut crew = self.lock();
        crew.sink = Some(Box::new(move |batch| {
            // Poisoned by a panic of its own, which also cancels the stream: never locked again.
            let mut each = sink.lock().expect("one thread delivers at a time");
            batch.drain(..).for_each(&mut *each);
        }));
        self.call_for_help(&mut crew, false);
        while !crew.is_over() {
            crew = self.delivery.wait(crew).expect(BUG);
        }
        crew.sink = None;
        let panic = crew.sink_panic.take();
        drop(crew);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        let kept = Arc::into_inner(kept).expect("the sink was dropped with the crew's");
        kept.into_inner().expect("the sink did not panic")
    }

    /// Cancels the stream because it cannot be run as asked.
    pub(super) fn refuse(self: &Arc<Self>, why: &str) {
        self.lock().state.refuse(why);
        self.cancel();
    }

    pub(super) fn cancel(self: &Arc<Self>) {
        let mut crew = self.lock();
        crew.state.cancel();
        self.announce(&mut crew);
        self.call_for_help(&mut crew, false);
    }

    /// Gives every lane's ring another size while the stream runs.
    pub(super) fn resize(self: &Arc<Self>, sets: Sets) -> Result<(), StartError> {
        let mut memory = self.memory.lock().expect(BUG);
        let mut crew = self.lock();
        for (lane, memory) in memory.iter_mut().enumerate() {
            let ring = &crew.state.rings[lane];
            let (inputs, outputs) = (ring.inputs.len(), ring.outputs.len());
            drop(crew);
            let inputs = (inputs..sets.inputs()).map(|_| memory.input()).collect::<Result<Vec<_>, _>>()?;
            let outputs =
                (outputs..sets.outputs()).map(|_| memory.output()).collect::<Result<Vec<_>, _>>()?;
            crew = self.lock();
            crew.state.resize(lane, sets, inputs, outputs)?;
        }
        self.call_for_help(&mut crew, false);
        Ok(())
    }

    /// Changes how many host steps may run at once while the stream runs.
    pub(super) fn set_host_threads(self: &Arc<Self>, threads: usize) -> Result<(), ConfigError> {
        let mut crew = self.lock();
        crew.state.schedule.set_host_threads(threads.into())?;
        crew.seats.change(|seats| seats.host_threads = threads);
        self.call_for_help(&mut crew, false);
        Ok(())
    }

    pub(super) fn report(&self) -> Report {
        self.lock().state.make_report()
    }

    pub(super) fn trace(&self, topology: &Topology) -> Option<Trace> {
        self.lock().state.tracer.as_ref().map(|tracer| tracer.trace(topology.clone()))
    }

    /// Cancels, waits until nothing runs that can be waited for, and joins the threads.
    pub(super) fn shut_down(self: &Arc<Self>) {
        // A bug has ended the threads already; there is nothing to wait for and no way to say so from a drop.
        let Ok(mut crew) = self.crew.lock() else {
            return;
        };
        crew.sink = None;
        crew.state.cancel();
        self.announce(&mut crew);
        self.call_for_help(&mut crew, false);
        self.work.notify_all();
        loop {
            let in_source = crew.in_source.as_ref().map(|source| source.worker);
            let waits_for =
                |(me, worker): (usize, &Worker)| !worker.gone && !worker.abandoned && in_source != Some(me);
            if crew.is_over() && !crew.threads.iter().enumerate().any(waits_for) {
                break;
            }
            let Ok(guard) = self.delivery.wait(crew) else {
                return;
            };
            crew = guard;
        }
        let gone = crew.threads.iter_mut().filter(|worker| worker.gone);
        let handles: Vec<_> = gone.filter_map(|worker| worker.handle.take()).collect();
        // Queued lanes end with their pipeline, without the lock: they may wait for threads of their own.
        let lanes = std::mem::take(&mut crew.state.lanes);
        drop(crew);
        self.monitor.notify_all();
        drop(lanes);
        for handle in handles {
            // A thread that panicked poisoned the lock, which was seen above.
            let _ = handle.join();
        }
    }
}
