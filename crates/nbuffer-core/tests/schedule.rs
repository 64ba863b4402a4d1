//! The schedule driven by random and by all orders of events, every promise checked after every step.

use std::collections::{HashMap, HashSet, VecDeque};

use nbuffer_core::schedule::*;
use proptest::prelude::*;

/// What is running and will be reported at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Running {
    Take,
    Preprocess(Slot),
    /// A call that occupies its lane, with what it submitted; a flush call submits nothing.
    Call(usize, Option<Slot>),
    /// A set with a queued device.
    Queued(Slot),
    Postprocess(Slot),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Well,
    Fails,
    LaneDies,
}

/// A driver without time: it decides in which order running work ends, and how.
#[derive(Clone)]
struct Driver {
    config: Config,
    queued: bool,
    schedule: Schedule,
    running: Vec<Running>,
    /// What sits inside each lane with lag, oldest first.
    inside: Vec<VecDeque<Slot>>,
    items_left: u64,
    taken: u64,
    delivered: Vec<(u64, Outcome)>,
    ends: HashMap<u64, Outcome>,
    cancelled: bool,
}

impl Driver {
    fn new(config: Config, queued: bool, items: u64) -> Self {
        Driver {
            schedule: Schedule::new(config.clone()).expect("the configuration is valid"),
            queued,
            running: Vec::new(),
            inside: vec![VecDeque::new(); config.lanes.len()],
            items_left: items,
            taken: 0,
            delivered: Vec::new(),
            ends: HashMap::new(),
            cancelled: false,
            config,
        }
    }

    /// Asks for one command and begins it. False when there was none.
    fn start(&mut self) -> bool {
        let had_work = self.schedule.has_work();
        let Some(command) = self.schedule.next() else {
            assert!(!had_work, "has_work() promised a command and next() gave none");
            return false;
        };
        let running = match command {
            Command::Take => Running::Take,
            Command::Preprocess(slot) => Running::Preprocess(slot),
            Command::Submit(slot) if self.queued => {
                self.schedule.report(Event::CallReturned(slot.lane));
                Running::Queued(slot)
            }
            Command::Submit(slot) => Running::Call(slot.lane, Some(slot)),
            Command::Flush(lane) => {
                assert!(!self.inside[lane].is_empty(), "a flush call on an empty lane");
                Running::Call(lane, None)
            }
            Command::Postprocess(slot) => Running::Postprocess(slot),
        };
        self.running.push(running);
        self.check();
        true
    }

    /// Ends the running work number `i`.
    fn finish(&mut self, i: usize, how: How) {
        let step = if how == How::Fails { Step::Failed } else { Step::Done };
        match self.running.remove(i) {
            Running::Take if self.items_left == 0 => self.schedule.report(Event::SourceEnded),
            Running::Take => {
                self.items_left -= 1;
                self.taken += u64::from(self.schedule.is_asking());
                self.schedule.report(Event::Taken);
            }
            Running::Preprocess(slot) => self.schedule.report(Event::Preprocessed(slot, step)),
            Running::Postprocess(slot) => self.schedule.report(Event::Postprocessed(slot, step)),
            Running::Queued(slot) => match how {
                How::Well => self.schedule.report(Event::Landed(slot)),
                How::Fails => self.schedule.report(Event::CallFailed(slot)),
                How::LaneDies => self.lose(slot.lane),
            },
            Running::Call(lane, submitted) => match (how, submitted) {
                (How::LaneDies, _) => self.lose(lane),
                (How::Fails, Some(slot)) => {
                    self.schedule.report(Event::CallFailed(slot));
                    self.schedule.report(Event::CallReturned(lane));
                }
                (_, submitted) => {
                    self.inside[lane].extend(submitted);
                    // A flush call moves everything one place on. Which flush call brings a result does not
                    // matter to the schedule, so the oldest comes out at once.
                    if submitted.is_none() || self.inside[lane].len() > self.config.lanes[lane].lag {
                        let slot = self.inside[lane].pop_front().expect("something is inside");
                        self.schedule.report(Event::Landed(slot));
                    }
                    self.schedule.report(Event::CallReturned(lane));
                }
            },
        }
        self.check();
    }

    fn lose(&mut self, lane: usize) {
        self.schedule.report(Event::LaneLost(lane));
        self.inside[lane].clear();
        self.running.retain(|running| match running {
            Running::Call(l, _) => *l != lane,
            Running::Queued(slot) => slot.lane != lane,
            _ => true,
        });
    }

    fn deliver(&mut self) -> bool {
        let Some((sequence, outcome)) = self.schedule.deliver() else {
            return false;
        };
        if self.config.order == Order::InOrder {
            assert_eq!(sequence, self.delivered.len() as u64, "out of order");
        }
        assert!(self.ends.insert(sequence, outcome).is_none(), "item {sequence} was delivered twice");
        self.delivered.push((sequence, outcome));
        self.check();
        true
    }

    /// Everything that must hold between any two events.
    fn check(&self) {
        let totals = self.schedule.totals();
        assert_eq!(totals.taken, self.taken);
        assert!(totals.ok + totals.failed + totals.cancelled <= totals.taken);
        let between = totals.taken - self.delivered.len() as u64;
        assert!(between <= self.config.window as u64, "{between} items are in the window");

        let runs = |what: &dyn Fn(&Running) -> bool| self.running.iter().filter(|r| what(r)).count();
        let host = runs(&|r| matches!(r, Running::Preprocess(_) | Running::Postprocess(_)));
        assert_eq!(host, self.schedule.host_busy());
        assert!(host <= self.config.host_threads, "{host} host steps at once");
        assert!(runs(&|r| *r == Running::Take) <= 1, "two takes at once");

        // One owner per set: what runs on a set agrees with its state, and no item sits in two sets.
        let mut seen = HashSet::new();
        for lane in 0..self.config.lanes.len() {
            let sets = self.schedule.sets(lane);
            assert_eq!(sets.len(), self.config.lanes[lane].depth);
            assert!(runs(&|r| matches!(r, Running::Call(l, _) if *l == lane)) <= 1, "two calls at once");
            for (set, state) in sets.iter().enumerate() {
                let slot = |sequence| Slot { lane, set, sequence };
                let (sequence, owners) = match *state {
                    SetState::Free | SetState::Retired => continue,
                    SetState::Preprocessing(s) => (s, runs(&|r| *r == Running::Preprocess(slot(s)))),
                    SetState::Postprocessing(s) => (s, runs(&|r| *r == Running::Postprocess(slot(s)))),
                    SetState::InFlight(s) => {
                        let calls = runs(&|r| {
                            *r == Running::Queued(slot(s)) || *r == Running::Call(lane, Some(slot(s)))
                        });
                        (s, calls + usize::from(self.inside[lane].contains(&slot(s))))
                    }
                    // In the ring, with nobody else.
                    SetState::Ready(s) | SetState::Landed(s) => (
                        s,
                        1 + runs(&|r| {
                            *r == Running::Preprocess(slot(s)) || *r == Running::Postprocess(slot(s))
                        }),
                    ),
                };
                assert_eq!(owners, 1, "set {set} of lane {lane} is {state:?} and has {owners} owners");
                assert!(seen.insert(sequence), "item {sequence} sits in two buffer sets");
                assert!(!self.ends.contains_key(&sequence), "item {sequence} ended and still holds a set");
            }
        }
    }

    /// At the end: nothing runs, nothing is left over, and each item taken was delivered once.
    fn check_end(&self) {
        assert!(self.schedule.is_ended(), "nothing can go on, not ended: {:#?}", self.schedule);
        let totals = self.schedule.totals();
        assert_eq!(totals.ok + totals.failed + totals.cancelled, totals.taken);
        assert_eq!(self.delivered.len() as u64, self.taken);
        let count = |outcome| self.delivered.iter().filter(|(_, o)| *o == outcome).count() as u64;
        assert_eq!(count(Outcome::Ok), totals.ok);
        assert_eq!(count(Outcome::Failed), totals.failed);
        assert_eq!(count(Outcome::Cancelled), totals.cancelled);
        if !self.cancelled && self.schedule.lanes_alive() > 0 {
            assert_eq!(self.items_left, 0, "items were left in the source");
            assert_eq!(totals.cancelled, 0);
        }
    }
}

/// A small generator (SplitMix64), so that one printed number repeats a run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    /// True once in `n` times on average; never for 0.
    fn one_in(&mut self, n: u64) -> bool {
        n > 0 && self.roll(n) == 0
    }
}

#[derive(Clone, Debug)]
struct Case {
    config: Config,
    queued: bool,
    items: u64,
    seed: u64,
    /// One in so many steps fails; 0 is never.
    fail_one_in: u64,
    die_one_in: u64,
    cancel_at: Option<u64>,
    /// The consumer fetches a result in one of so many steps.
    deliver_one_in: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let depths = prop::collection::vec(1usize..=8, 1..=4);
    let lag = prop_oneof![Just(0usize), Just(2)];
    let policies = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let rates = (
        prop_oneof![Just(0u64), 1u64..8],
        prop_oneof![3 => Just(0u64), 1 => 10u64..60],
        prop::option::weighted(0.3, 0u64..300),
        1u64..6,
    );
    (depths, 1usize..=8, lag, 1usize..40, 0u64..=50, any::<u64>(), policies, rates).prop_map(
        |(depths, host_threads, lag, window, items, seed, (in_order, least, at_end, queued), rates)| {
            let lanes = depths.into_iter().map(|depth| LaneConfig { depth, lag }).collect();
            let mut config = Config::new(lanes, host_threads);
            config.window = window;
            config.order = if in_order { Order::InOrder } else { Order::Completed };
            config.lane_choice = if least { LaneChoice::LeastLoaded } else { LaneChoice::RoundRobin };
            config.flush = if at_end { Flush::AtEnd } else { Flush::AtEndOrIdle };
            let (fail_one_in, die_one_in, cancel_at, deliver_one_in) = rates;
            let queued = queued && lag == 0;
            Case { config, queued, items, seed, fail_one_in, die_one_in, cancel_at, deliver_one_in }
        },
    )
}

fn run(case: &Case) -> Driver {
    let mut dice = Dice(case.seed);
    let mut driver = Driver::new(case.config.clone(), case.queued, case.items);
    // Each item takes a bounded number of steps, so a run beyond this bound goes in circles.
    let bound = 2_000 + case.items * 400;
    for step in 0.. {
        assert!(step < bound, "the stream does not end: {:#?}", driver.schedule);
        if case.cancel_at == Some(step) {
            driver.schedule.report(Event::Cancel);
            driver.cancelled = true;
            driver.check();
        }
        if driver.schedule.waits_for_source() && dice.one_in(4) {
            driver.schedule.report(Event::Idle);
        }
        let mut moved = dice.one_in(case.deliver_one_in) && driver.deliver();
        if dice.one_in(2) {
            moved |= driver.start();
        } else if !driver.running.is_empty() {
            let i = dice.roll(driver.running.len() as u64) as usize;
            let how = if dice.one_in(case.die_one_in) {
                How::LaneDies
            } else if dice.one_in(case.fail_one_in) {
                How::Fails
            } else {
                How::Well
            };
            driver.finish(i, how);
            moved = true;
        }
        if !moved && driver.running.is_empty() && !driver.start() && !driver.deliver() {
            break;
        }
    }
    driver.check_end();
    driver
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    /// Every promise holds after every step, and the stream ends.
    #[test]
    fn any_order_of_events_keeps_every_promise(case in case()) {
        run(&case);
    }

    /// Without faults and cancels, every item is ok.
    #[test]
    fn nothing_is_lost_when_nothing_goes_wrong(mut case in case()) {
        case.fail_one_in = 0;
        case.die_one_in = 0;
        case.cancel_at = None;
        let driver = run(&case);
        prop_assert_eq!(driver.schedule.totals().ok, case.items);
    }
}

/// Walks through every order in which commands can be asked for and can end.
fn every_order(driver: &Driver, faults: bool, seen: &mut HashSet<String>) {
    // Request stamps grow without end, so two states that differ in nothing else are told apart; that only
    // makes the walk longer.
    let key = format!("{:?}{:?}{:?}{}", driver.schedule, driver.running, driver.inside, driver.items_left);
    if !seen.insert(key) {
        return;
    }
    let mut moved = false;
    let mut step = |act: &dyn Fn(&mut Driver) -> bool| {
        let mut next = driver.clone();
        if act(&mut next) {
            moved = true;
            every_order(&next, faults, seen);
        }
    };
    step(&|d| d.start());
    step(&|d| d.deliver());
    for (i, running) in driver.running.iter().enumerate() {
        let hows: &[How] = match running {
            Running::Take => &[How::Well],
            _ if faults => &[How::Well, How::Fails, How::LaneDies],
            _ => &[How::Well],
        };
        for &how in hows {
            step(&|d| {
                d.finish(i, how);
                true
            });
        }
    }
    if !moved {
        driver.check_end();
    }
    if faults && !driver.cancelled {
        let mut next = driver.clone();
        next.schedule.report(Event::Cancel);
        next.cancelled = true;
        next.check();
        every_order(&next, faults, seen);
    }
}

#[test]
fn every_order_of_events_for_tiny_streams() {
    let mut states = 0;
    for (lanes, depth, lag, host_threads, items, window, faults) in [
        (1, 1, 0, 1, 2, 2, true),
        (1, 2, 0, 1, 2, 2, true),
        (1, 2, 0, 2, 2, 3, false),
        (2, 1, 0, 2, 2, 2, false),
        (1, 3, 0, 2, 3, 3, false),
        (1, 1, 2, 1, 2, 2, true),
        (1, 3, 2, 1, 3, 3, false),
        (2, 1, 2, 1, 2, 2, false),
    ] {
        for order in [Order::InOrder, Order::Completed] {
            for queued in [false, true] {
                if queued && lag > 0 {
                    continue;
                }
                let mut config = Config::new(vec![LaneConfig { depth, lag }; lanes], host_threads);
                config.window = window;
                config.order = order;
                for n in 0..=items {
                    let mut seen = HashSet::new();
                    every_order(&Driver::new(config.clone(), queued, n), faults, &mut seen);
                    states += seen.len();
                }
            }
        }
    }
    eprintln!("{states} states");
    assert!(states > 10_000, "the walk saw only {states} states");
}

#[test]
fn host_steps_are_served_first_come_first_served() {
    let mut schedule = Schedule::new(Config::new(vec![LaneConfig { depth: 2, lag: 0 }], 1)).unwrap();
    let mut log = String::new();
    // The device is instantaneous, so only the host decides.
    while schedule.totals().ok < 4 {
        match schedule.next().expect("the host never idles") {
            Command::Take => schedule.report(Event::Taken),
            Command::Preprocess(slot) => {
                log += &format!("in{} ", slot.sequence);
                schedule.report(Event::Preprocessed(slot, Step::Done));
            }
            Command::Submit(slot) => {
                schedule.report(Event::Landed(slot));
                schedule.report(Event::CallReturned(slot.lane));
            }
            Command::Postprocess(slot) => {
                log += &format!("out{} ", slot.sequence);
                schedule.report(Event::Postprocessed(slot, Step::Done));
            }
            Command::Flush(_) => unreachable!("no lag"),
        }
        schedule.deliver();
    }
    // Both sets asked for an item before any result asked for the host; after that they alternate.
    assert_eq!(log, "in0 in1 out0 out1 in2 in3 out2 out3 ");
}

#[test]
fn an_idle_source_brings_out_what_a_lane_with_lag_holds() {
    let mut driver = Driver::new(Config::new(vec![LaneConfig { depth: 4, lag: 2 }], 1), false, 9);
    let finish_all_but_a_third_take = |driver: &mut Driver| {
        while let Some(i) = driver.running.iter().position(|r| *r != Running::Take || driver.taken < 2) {
            driver.finish(i, How::Well);
        }
    };
    while driver.start() {
        finish_all_but_a_third_take(&mut driver);
    }
    assert_eq!(driver.running, [Running::Take]);
    assert_eq!(driver.delivered, []);
    assert!(driver.schedule.waits_for_source(), "two items sit in the lane and the source pauses");
    driver.schedule.report(Event::Idle);
    while driver.start() {
        finish_all_but_a_third_take(&mut driver);
        driver.deliver();
    }
    assert_eq!(driver.delivered, [(0, Outcome::Ok), (1, Outcome::Ok)]);
    assert!(driver.schedule.wants_items(), "the stream goes on when the source does");
}

#[test]
fn impossible_counts_are_refused() {
    let lane = LaneConfig { depth: 1, lag: 0 };
    let says = |config: Config| Schedule::new(config).unwrap_err().to_string();
    assert_eq!(says(Config::new(vec![], 1)), "0 lanes: from 1 to 65536 are possible");
    assert_eq!(says(Config::new(vec![lane], 0)), "0 host threads: from 1 to 65536 are possible");
    let deep = LaneConfig { depth: usize::MAX, lag: 0 };
    assert_eq!(
        says(Config::new(vec![deep], 1)),
        format!("{} buffer sets of a lane: from 1 to 65536 are possible", usize::MAX)
    );
    let mut no_window = Config::new(vec![lane], 1);
    no_window.window = 0;
    assert_eq!(says(no_window), "0 window places: from 1 to 65536 are possible");
}
