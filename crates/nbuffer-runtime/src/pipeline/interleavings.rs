//! Who works, who rests and who is woken, under a checker that chooses every interleaving, time-out and
//! duration: each scenario runs thousands of times, and must deliver every result once, in order, and end.
//!
//! A thread that is left asleep is a deadlock to shuttle, and all threads of a scenario must have ended, even
//! those that nobody joins. A failure prints its schedule; `shuttle::replay` repeats it.
//!
//!     RUSTFLAGS="--cfg shuttle" cargo test -p nbuffer-runtime --lib interleavings

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nbuffer_core::plan::{Setting, StageTimes};
use nbuffer_core::tune::Goals;
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{
    PctScheduler, RandomScheduler, Scheduler, UncontrolledNondeterminismCheckScheduler,
};
use shuttle::sync::{Barrier, mpsc};
use shuttle::thread;

use super::sync::Timeouts;
use crate::*;

/// How often a scenario runs under each scheduler; `INTERLEAVINGS` sets another number.
const ITERATIONS: usize = 10_000;

/// Runs a scenario under schedulers that choose at random, and that let one thread run on but for a few changes.
fn explore(timeouts: Timeouts, scenario: fn()) {
    let iterations = std::env::var("INTERLEAVINGS").map_or(ITERATIONS, |n| n.parse().unwrap());
    let run = |scheduler: Box<dyn Scheduler + Send>| {
        let mut config = shuttle::Config::new();
        config.silence_warnings = true;
        config.stack_size = 1 << 18;
        timeouts.set();
        shuttle::Runner::new(scheduler, config).run(scenario);
    };
    // Each schedule twice: what fails can be repeated.
    run(Box::new(UncontrolledNondeterminismCheckScheduler::new(RandomScheduler::new(100))));
    run(Box::new(RandomScheduler::new(iterations)));
    for changes in [1, 3] {
        run(Box::new(PctScheduler::new(changes, iterations)));
    }
}

/// A number in `range`, any of them in some iteration.
fn any(range: std::ops::RangeInclusive<usize>) -> usize {
    thread_rng().gen_range(range)
}

/// An item that is counted while it lives, so that one which is lost or kept is seen.
#[derive(Debug)]
struct Number {
    n: u64,
    alive: Arc<AtomicUsize>,
}

impl Number {
    fn new(n: u64, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Number { n, alive: Arc::clone(alive) }
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A scenario's items: how many there are, and how many live.
struct Items {
    count: u64,
    alive: Arc<AtomicUsize>,
}

impl Items {
    fn up_to(most: usize) -> Self {
        Items { count: any(0..=most) as u64, alive: Arc::default() }
    }

    fn source(&self) -> impl Iterator<Item = Number> + Send + 'static {
        let alive = Arc::clone(&self.alive);
        (0..self.count).map(move |n| Number::new(n, &alive))
    }

    /// Fetches to the end. Items of which `fails` says so come out as errors.
    fn check(&self, mut pipeline: impl Fetch, fails: impl Fn(u64) -> bool) -> Report {
        let mut next = 0;
        while let Some(delivery) = pipeline.fetch() {
            self.check_one(&delivery, next, &fails);
            next += 1;
        }
        assert!(pipeline.fetch().is_none(), "the end is the end");
        let report = pipeline.report();
        self.check_totals(&report, next);
        assert_eq!(next, self.count, "items are missing");
        drop(pipeline);
        assert_eq!(self.alive.load(Ordering::Relaxed), 0, "items live on");
        report
    }

    fn check_one(&self, delivery: &Delivery<Number>, next: u64, fails: impl Fn(u64) -> bool) {
        assert_eq!(delivery.sequence, next, "out of order");
        match &delivery.result {
            Ok(number) => assert_eq!((number.n, fails(next)), (next, false)),
            Err(error) => assert!(fails(next), "{}", error.chain()),
        }
    }

    /// Waits until no item lives, as long as a thread may take to come back from a source it was not waited for in.
    fn let_go(&self) {
        while self.alive.load(Ordering::Relaxed) > 0 {
            thread::yield_now();
        }
    }

    fn check_totals(&self, report: &Report, delivered: u64) {
        let totals = report.totals;
        assert_eq!(totals.taken, delivered);
        assert_eq!(totals.ok + totals.failed + totals.cancelled, totals.taken);
    }
}

/// A pipeline of numbers, whatever its stages are.
trait Fetch {
    fn fetch(&mut self) -> Option<Delivery<Number>>;
    fn report(&self) -> Report;
}

impl<H: HostStages<Output = Number>> Fetch for Pipeline<H> {
    fn fetch(&mut self) -> Option<Delivery<Number>> {
        self.next_delivery()
    }

    fn report(&self) -> Report {
        Pipeline::report(self)
    }
}

type NumberLane = Lane<Option<Number>, Option<Number>>;
type Set = Option<Number>;

/// Room for one number.
struct Room;

impl Memory<Set, Set> for Room {
    fn input(&mut self) -> Result<Set, DeviceError> {
        Ok(None)
    }

    fn output(&mut self) -> Result<Set, DeviceError> {
        Ok(None)
    }
}

/// A lane that waits for its device, whose results come `lag` calls late.
struct Late {
    lag: usize,
    inside: VecDeque<Option<Flight<(), Set>>>,
}

impl Late {
    fn lane(lag: usize) -> NumberLane {
        Lane::blocking(Late { lag, inside: VecDeque::new() }, Room)
    }
}

impl BlockingLane<Set, Set> for Late {
    fn lag(&self) -> usize {
        self.lag
    }

    fn call(&mut self, flight: Option<Flight<Set, Set>>) -> Called<Set, Set> {
        thread::yield_now();
        let input = flight.as_ref().map(|flight| (flight.id, None));
        self.inside.push_back(flight.map(|Flight { id, input, .. }| Flight { id, input: (), output: input }));
        let landing = if self.inside.len() > self.lag { self.inside.pop_front().flatten() } else { None };
        let ended = match landing {
            Some(Flight { id, output, .. }) => Ended::Landed(id, output, Spans::default()),
            None => Ended::Nothing,
        };
        Called { input, ended }
    }
}

/// A device with a queue and a thread of its own, which tells what ended in one piece or in two.
struct Queued {
    queue: Option<mpsc::Sender<Flight<Set, Set>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Queued {
    fn lane() -> NumberLane {
        let open = |completions: Completions<Set, Set>| {
            let (sender, receiver) = mpsc::channel();
            let thread = thread::spawn(move || {
                for flight in receiver {
                    Queued::end(flight, &completions);
                }
            });
            Queued { queue: Some(sender), thread: Some(thread) }
        };
        Lane::queued(open, Room)
    }

    fn end(mut flight: Flight<Set, Set>, completions: &Completions<Set, Set>) {
        flight.output = flight.input.take();
        if flight.id.sequence().is_multiple_of(2) {
            return completions.complete(Called::landed(flight, Spans::default()));
        }
        let Flight { id, input, output } = flight;
        completions.complete(Called { input: Some((id, input)), ended: Ended::Nothing });
        completions.complete(Called { input: None, ended: Ended::Landed(id, output, Spans::default()) });
    }
}

impl QueuedLane<Set, Set> for Queued {
    fn submit(&mut self, flight: Flight<Set, Set>) {
        self.queue.as_ref().unwrap().send(flight).unwrap();
    }
}

impl Drop for Queued {
    /// As a driver does that closes its queue: it waits for its thread.
    fn drop(&mut self) {
        self.queue = None;
        self.thread.take().unwrap().join().unwrap();
    }
}

/// One or two lanes, each of any kind.
fn any_lanes() -> Vec<NumberLane> {
    let lane = |_| match any(0..=3) {
        0 => Lane::closure(|number| number),
        1 => Late::lane(0),
        2 => Late::lane(2),
        _ => Queued::lane(),
    };
    (0..any(1..=2)).map(lane).collect()
}

/// Any small number of everything, and sometimes a monitor and a tuner that have nothing to do but to leave.
fn any_options() -> Options {
    let sets = Sets::Split { inputs: any(1..=2), outputs: any(1..=2) };
    let host_threads = any(1..=2);
    let setting = Setting::new(StageTimes::default(), 1, sets, host_threads.into());
    Options {
        sets,
        window: [None, Some(1), Some(2)][any(0..=2)],
        idle_flush: None,
        watchdog: [None, Some(Duration::from_secs(3600))][any(0..=1)],
        tune: [None, Some(Goals { setting, sets: true, host_threads_max: None })][any(0..=1)],
        ..Options::new(1, host_threads)
    }
}

type Stages = Around<Number, Number, Number, fn(Number) -> Number, fn(Number) -> Number>;

fn stages() -> Stages {
    Around::new(|number| number, |number| number)
}

fn start(source: impl Iterator<Item = Number> + Send + 'static, options: &Options) -> Pipeline<Stages> {
    Pipeline::start(source, stages(), any_lanes(), options).unwrap()
}

#[test]
fn results_come_once_and_in_order() {
    explore(Timeouts::Unreliable, || {
        let items = Items::up_to(4);
        items.check(start(items.source(), &any_options()), |_| false);
    });
}

#[test]
fn a_sink_gets_every_result_in_order() {
    explore(Timeouts::Unreliable, || {
        let items = Arc::new(Items::up_to(4));
        let pipeline = start(items.source(), &any_options());
        let (mut next, sink) = (0, Arc::clone(&items));
        let (_, report) = pipeline.run_into(move |delivery| {
            sink.check_one(&delivery, next, |_| false);
            next += 1;
        });
        items.check_totals(&report, items.count);
        items.let_go();
    });
}

#[test]
fn a_panic_in_the_sink_ends_the_stream() {
    explore(Timeouts::Unreliable, || {
        let items = Items { count: 4, alive: Arc::default() };
        let pipeline = start(items.source(), &any_options());
        let at = any(0..=3) as u64;
        let ended = catch_unwind(AssertUnwindSafe(|| {
            pipeline.run_into(move |delivery| {
                if delivery.sequence == at {
                    resume_unwind(Box::new("too many"));
                }
            })
        }));
        let Err(panic) = ended else { unreachable!("the panic goes on in the caller") };
        assert_eq!(*panic.downcast::<&str>().unwrap(), "too many");
        items.let_go();
    });
}

#[test]
fn dropping_half_way_leaves_nothing_behind() {
    explore(Timeouts::Unreliable, || {
        let items = Items::up_to(4);
        let mut pipeline = start(items.source(), &any_options());
        for next in 0..any(0..=2) as u64 {
            match pipeline.next_delivery() {
                Some(delivery) => items.check_one(&delivery, next, |_| false),
                None => {
                    assert_eq!(next, items.count);
                    break;
                }
            }
        }
        drop(pipeline);
        items.let_go();
    });
}

#[test]
fn cancelling_from_another_thread_ends_every_item() {
    explore(Timeouts::Unreliable, || {
        let items = Items { count: u64::MAX, alive: Arc::default() };
        let mut pipeline = start(items.source(), &any_options());
        let canceller = pipeline.canceller();
        let cancelling = thread::spawn(move || {
            for _ in 0..any(0..=20) {
                thread::yield_now();
            }
            canceller.cancel();
        });
        let mut next = 0;
        while let Some(Delivery { sequence, result }) = pipeline.next_delivery() {
            assert_eq!(sequence, next);
            next += 1;
            match result {
                Ok(number) => assert_eq!(number.n, sequence),
                Err(error) => assert!(matches!(error, ItemError::Cancelled { .. }), "{}", error.chain()),
            }
        }
        let report = pipeline.report();
        assert_eq!(report.totals.taken, next);
        assert_eq!(report.source_end, SourceEnd::Cancelled);
        cancelling.join().unwrap();
        drop(pipeline);
        items.let_go();
    });
}

#[test]
fn rings_and_host_threads_change_while_the_stream_runs() {
    explore(Timeouts::Unreliable, || {
        let items = Items { count: 4, alive: Arc::default() };
        let mut pipeline = start(items.source(), &any_options());
        for next in 0..items.count {
            let sets = Sets::Split { inputs: any(1..=3), outputs: any(1..=3) };
            pipeline.resize(sets).unwrap();
            pipeline.set_host_threads(any(1..=3)).unwrap();
            items.check_one(&pipeline.next_delivery().unwrap(), next, |_| false);
        }
        assert!(pipeline.next_delivery().is_none());
        items.check_totals(&pipeline.report(), items.count);
    });
}

/// Host stages of which one fails or panics for item 1.
struct Unwilling {
    stage: usize,
}

impl Unwilling {
    fn refuse(&self, stage: usize, number: &Number) -> Result<(), BoxError> {
        match (number.n, self.stage.checked_sub(stage)) {
            (1, Some(0)) => Err("refused".into()),
            // The same as a panic, without a message on the terminal.
            (1, Some(1)) => resume_unwind(Box::new("refused")),
            _ => Ok(()),
        }
    }
}

impl HostStages for Unwilling {
    type Item = Number;
    type InputSet = Set;
    type OutputSet = Set;
    type Carry = ();
    type Output = Number;

    fn preprocess(&self, item: Number, input: &mut Set) -> Result<(), BoxError> {
        self.refuse(0, &item)?;
        *input = Some(item);
        Ok(())
    }

    fn postprocess(&self, (): (), output: &mut Set) -> Result<Number, BoxError> {
        let number = output.take().unwrap();
        self.refuse(2, &number)?;
        Ok(number)
    }
}

#[test]
fn a_stage_that_fails_or_panics_costs_one_item() {
    explore(Timeouts::Unreliable, || {
        let items = Items::up_to(3);
        let stages = Unwilling { stage: any(0..=3) };
        let pipeline = Pipeline::start(items.source(), stages, any_lanes(), &any_options()).unwrap();
        items.check(pipeline, |n| n == 1);
    });
}

/// A source that gives the next item only after the result of the last was fetched, and never ends.
fn stalling(items: &Items, allowed: mpsc::Receiver<()>) -> impl Iterator<Item = Number> + Send + 'static {
    items.source().inspect(move |_| {
        let _ = allowed.recv();
    })
}

/// Here a time-out is what finds the work that a thread left lying when it was held up, brings results out of
/// lanes with lag, and wakes a consumer that dozes.
#[test]
fn a_source_that_waits_for_results_gets_them() {
    explore(Timeouts::Reliable, || {
        let items = Items { count: 3, alive: Arc::default() };
        let (allow, allowed) = mpsc::channel();
        let options = Options { idle_flush: Some(Duration::ZERO), ..any_options() };
        let mut pipeline = start(stalling(&items, allowed), &options);
        for next in 0..items.count {
            allow.send(()).unwrap();
            items.check_one(&pipeline.next_delivery().unwrap(), next, |_| false);
        }
        assert!(pipeline.next_delivery().is_none());
    });
}

#[test]
fn dropping_does_not_wait_for_the_source() {
    explore(Timeouts::Reliable, || {
        let items = Items { count: 3, alive: Arc::default() };
        let (allow, allowed) = mpsc::channel();
        let options = Options { idle_flush: Some(Duration::ZERO), ..any_options() };
        let mut pipeline = start(stalling(&items, allowed), &options);
        allow.send(()).unwrap();
        items.check_one(&pipeline.next_delivery().unwrap(), 0, |_| false);
        drop(pipeline);
        // Only now may its thread end.
        drop(allow);
    });
}

#[test]
fn steps_and_calls_that_wait_for_each_other_run_side_by_side() {
    explore(Timeouts::Reliable, || {
        let items = Items { count: 4, alive: Arc::default() };
        let meet = || {
            let barrier = Arc::new(Barrier::new(2));
            move |number| {
                barrier.wait();
                number
            }
        };
        let calls = meet();
        let lanes = (0..2).map(|_| Lane::closure(calls.clone())).collect();
        let stages = Around::new(meet(), |number| number);
        let pipeline = Pipeline::start(items.source(), stages, lanes, &Options::new(1, 2)).unwrap();
        items.check(pipeline, |_| false);
    });
}

/// A lane whose first call returns only when it is told to.
struct Hanging(Option<mpsc::Receiver<()>>);

impl BlockingLane<Set, Set> for Hanging {
    fn call(&mut self, flight: Option<Flight<Set, Set>>) -> Called<Set, Set> {
        if let Some(until) = self.0.take() {
            let _ = until.recv();
        }
        let mut flight = flight.unwrap();
        flight.output = flight.input.take();
        Called::landed(flight, Spans::default())
    }
}

#[test]
fn a_call_that_was_given_up_may_return_at_any_time() {
    explore(Timeouts::Reliable, || {
        let items = Items { count: 3, alive: Arc::default() };
        let (release, until) = mpsc::channel::<()>();
        let lanes = vec![Lane::blocking(Hanging(Some(until)), Room), Late::lane(0)];
        // Whatever call the monitor sees is overdue.
        let options = Options { watchdog: Some(Duration::ZERO), ..any_options() };
        let mut pipeline = Pipeline::start(items.source(), stages(), lanes, &options).unwrap();
        let mut release = Some(release);
        let early = any(0..=3) as u64;
        let mut next = 0;
        loop {
            if next == early {
                release = None;
            }
            let Some(Delivery { sequence, result }) = pipeline.next_delivery() else { break };
            assert_eq!(sequence, next);
            assert!(result.is_ok_and(|number| number.n == next) || !pipeline.report().lost.is_empty());
            next += 1;
        }
        items.check_totals(&pipeline.report(), next);
        drop(pipeline);
        drop(release);
    });
}
