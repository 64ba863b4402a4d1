//! The schedule driven by random and by all orders of events, every promise checked after every step.

mod driver;

use std::collections::HashSet;

use driver::{Dice, Driver, How, Running};
use nbuffer_core::schedule::*;
use proptest::prelude::*;

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
    /// Devices tell in one of so many steps that an input is free; 0 is never.
    input_free_one_in: u64,
    /// Rings, host threads or the window change in one of so many steps; 0 is never.
    change_one_in: u64,
}

fn sets() -> impl Strategy<Value = Sets> {
    prop_oneof![
        (1usize..=8).prop_map(Sets::Joint),
        (1usize..=8, 1usize..=8).prop_map(|(inputs, outputs)| Sets::Split { inputs, outputs }),
    ]
}

fn host_threads() -> impl Strategy<Value = HostThreads> {
    prop_oneof![
        (1usize..=8).prop_map(HostThreads::Shared),
        (1usize..=8, 1usize..=8)
            .prop_map(|(preprocess, postprocess)| HostThreads::Split { preprocess, postprocess }),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let lag = prop_oneof![Just(0usize), Just(2)];
    let lanes = (prop::collection::vec(sets(), 1..=4), lag).prop_map(|(sets, lag)| {
        let lanes: Vec<_> = sets.into_iter().map(|sets| LaneConfig { sets, lag }).collect();
        lanes
    });
    let policies = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let rates = (
        prop_oneof![Just(0u64), 1u64..8],
        prop_oneof![3 => Just(0u64), 1 => 10u64..60],
        prop::option::weighted(0.3, 0u64..300),
        1u64..6,
        prop_oneof![Just(0u64), 1u64..8],
        prop_oneof![Just(0u64), 2u64..40],
    );
    (lanes, host_threads(), 1usize..40, 0u64..=50, any::<u64>(), policies, rates).prop_map(
        |(lanes, host_threads, window, items, seed, (in_order, least, at_end, queued, retry), rates)| {
            let queued = queued && lanes[0].lag == 0;
            let mut config = Config::new(lanes, host_threads);
            config.window = window;
            config.order = if in_order { Order::InOrder } else { Order::Completed };
            config.lane_choice = if least { LaneChoice::LeastLoaded } else { LaneChoice::RoundRobin };
            config.flush = if at_end { Flush::AtEnd } else { Flush::AtEndOrIdle };
            config.retry = if retry { Retry::OtherLane } else { Retry::Never };
            let (fail_one_in, die_one_in, cancel_at, deliver_one_in, input_free_one_in, change_one_in) =
                rates;
            Case {
                config,
                queued,
                items,
                seed,
                fail_one_in,
                die_one_in,
                cancel_at,
                deliver_one_in,
                input_free_one_in,
                change_one_in,
            }
        },
    )
}

/// Changes a size at random, as something that watches the run might.
fn change(driver: &mut Driver, dice: &mut Dice) {
    let mut size = || 1 + dice.roll(8) as usize;
    let (a, b, c) = (size(), size(), size());
    match c {
        1 => driver.grow_window(10 * a),
        2 => driver.set_host_threads(HostThreads::Shared(a)),
        3 => driver.set_host_threads(HostThreads::Split { preprocess: a, postprocess: b }),
        _ => {
            let lane = dice.roll(driver.config.lanes.len() as u64) as usize;
            let sets = match driver.config.lanes[lane].sets {
                Sets::Joint(_) => Sets::Joint(a),
                Sets::Split { .. } => Sets::Split { inputs: a, outputs: b },
            };
            driver.resize(lane, sets);
        }
    }
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
        if dice.one_in(case.change_one_in) {
            change(&mut driver, &mut dice);
        }
        if dice.one_in(case.input_free_one_in) {
            let mut holding = driver.in_flight();
            holding.retain(|transit| !driver.input_free.contains(&transit.sequence()));
            if !holding.is_empty() {
                driver.free_input(holding[dice.roll(holding.len() as u64) as usize]);
            }
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

/// Two lanes and a device that dies: every order of events, with retry.
#[test]
fn every_order_of_events_around_a_lost_lane() {
    let mut states = 0;
    for (sets, lag) in [(Sets::Joint(1), 0), (Sets::Split { inputs: 1, outputs: 1 }, 0), (Sets::Joint(1), 2)]
    {
        let mut config = Config::new(vec![LaneConfig { sets, lag }; 2], 1);
        config.window = 2;
        config.retry = Retry::OtherLane;
        let mut seen = HashSet::new();
        every_order(&Driver::new(config, false, 2), true, &mut seen);
        states += seen.len();
    }
    println!("{states} states");
    assert!(states > 1_000, "{states} states are too few to be all");
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
    for transit in driver.in_flight() {
        // Without an input set of its own the event changes nothing.
        let is_split = matches!(driver.config.lanes[transit.lane()].sets, Sets::Split { .. });
        if is_split && !driver.input_free.contains(&transit.sequence()) {
            let mut next = driver.clone();
            next.free_input(transit);
            every_order(&next, faults, seen);
        }
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
    let split = |inputs, outputs| Sets::Split { inputs, outputs };
    let split_threads = HostThreads::Split { preprocess: 1, postprocess: 1 };
    for (lanes, sets, lag, host_threads, items, window, faults) in [
        (1, Sets::Joint(1), 0, HostThreads::Shared(1), 2, 2, true),
        (1, Sets::Joint(2), 0, HostThreads::Shared(1), 2, 2, true),
        (1, Sets::Joint(2), 0, HostThreads::Shared(2), 2, 3, false),
        (2, Sets::Joint(1), 0, HostThreads::Shared(2), 2, 2, false),
        (1, Sets::Joint(3), 0, HostThreads::Shared(2), 3, 3, false),
        (1, Sets::Joint(2), 0, split_threads, 3, 3, false),
        (1, Sets::Joint(1), 2, HostThreads::Shared(1), 2, 2, true),
        (1, Sets::Joint(3), 2, HostThreads::Shared(1), 3, 3, false),
        (2, Sets::Joint(1), 2, HostThreads::Shared(1), 2, 2, false),
        (1, split(1, 1), 0, HostThreads::Shared(1), 2, 2, true),
        (1, split(2, 1), 0, HostThreads::Shared(1), 2, 2, false),
        (1, split(1, 2), 0, split_threads, 3, 3, false),
        (2, split(1, 1), 0, HostThreads::Shared(1), 2, 2, false),
        (1, split(1, 1), 2, HostThreads::Shared(1), 2, 2, true),
        (1, split(2, 1), 2, HostThreads::Shared(1), 3, 3, false),
        (1, split(1, 3), 2, HostThreads::Shared(1), 3, 3, false),
    ] {
        for order in [Order::InOrder, Order::Completed] {
            for queued in [false, true] {
                if queued && lag > 0 {
                    continue;
                }
                let mut config = Config::new(vec![LaneConfig { sets, lag }; lanes], host_threads);
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
    let mut schedule =
        Schedule::new(Config::new(vec![LaneConfig { sets: Sets::Joint(2), lag: 0 }], 1)).unwrap();
    let mut log = String::new();
    // The device is instantaneous, so only the host decides.
    while schedule.totals().ok < 4 {
        match schedule.next().expect("the host never idles") {
            Command::Take => schedule.report(Event::Taken),
            Command::Preprocess(slot) => {
                log += &format!("in{} ", slot.sequence());
                schedule.report(Event::Preprocessed(slot, Step::Done));
            }
            Command::Submit(transit) => {
                schedule.report(Event::Landed(transit));
                schedule.report(Event::CallReturned(transit.lane()));
            }
            Command::Postprocess(slot) => {
                log += &format!("out{} ", slot.sequence());
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
    let mut driver = Driver::new(Config::new(vec![LaneConfig { sets: Sets::Joint(4), lag: 2 }], 1), false, 9);
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
    let lane = LaneConfig { sets: Sets::Joint(1), lag: 0 };
    let says = |config: Config| Schedule::new(config).unwrap_err().to_string();
    assert_eq!(says(Config::new(vec![], 1)), "0 lanes: from 1 to 65536 are possible");
    assert_eq!(says(Config::new(vec![lane], 0)), "0 host threads: from 1 to 65536 are possible");
    let deep = LaneConfig { sets: Sets::Joint(usize::MAX), lag: 0 };
    assert_eq!(
        says(Config::new(vec![deep], 1)),
        format!("{} buffer sets of a lane: from 1 to 65536 are possible", usize::MAX)
    );
    let no_outputs = LaneConfig { sets: Sets::Split { inputs: 1, outputs: 0 }, lag: 0 };
    assert_eq!(
        says(Config::new(vec![no_outputs], 1)),
        "0 output sets of a lane: from 1 to 65536 are possible"
    );
    let no_pre = HostThreads::Split { preprocess: 0, postprocess: 1 };
    assert_eq!(says(Config::new(vec![lane], no_pre)), "0 preprocess threads: from 1 to 65536 are possible");
    let mut no_window = Config::new(vec![lane], 1);
    no_window.window = 0;
    assert_eq!(says(no_window), "0 window places: from 1 to 65536 are possible");
}

#[test]
fn impossible_changes_are_refused_and_change_nothing() {
    let lane = LaneConfig { sets: Sets::Joint(2), lag: 0 };
    let mut schedule = Schedule::new(Config::new(vec![lane], 1)).unwrap();
    assert_eq!(
        schedule.resize(0, Sets::Joint(0)).unwrap_err().to_string(),
        "0 buffer sets of a lane: from 1 to 65536 are possible"
    );
    assert_eq!(
        schedule.resize(0, Sets::Split { inputs: 1, outputs: 1 }).unwrap_err().to_string(),
        "lane 0 cannot change from Joint(2) to Split { inputs: 1, outputs: 1 }: a running ring keeps its layout"
    );
    assert!(schedule.set_host_threads(HostThreads::Shared(0)).is_err());
    assert!(schedule.grow_window(0).is_err());
    assert_eq!((schedule.sets(0), schedule.window()), (Sets::Joint(2), 4));
    schedule.grow_window(1).unwrap();
    assert_eq!(schedule.window(), 4, "a window does not shrink");
}

#[test]
fn a_split_ring_refills_an_input_while_its_item_is_still_computed() {
    let lane = LaneConfig { sets: Sets::Split { inputs: 1, outputs: 1 }, lag: 0 };
    let mut driver = Driver::new(Config::new(vec![lane], 1), true, 3);
    while driver.start() {
        if let Some(i) = driver.running.iter().position(|r| !matches!(r, Running::Queued(_))) {
            driver.finish(i, How::Well);
        }
    }
    let first = driver.in_flight()[0];
    assert_eq!((driver.taken, driver.schedule.inputs(0)), (1, &[SetState::InFlight(0)][..]));
    driver.free_input(first);
    while driver.start() {
        if let Some(i) = driver.running.iter().position(|r| !matches!(r, Running::Queued(_))) {
            driver.finish(i, How::Well);
        }
    }
    // The next item is filled and waits for the only output.
    assert_eq!((driver.taken, driver.schedule.inputs(0)), (2, &[SetState::Ready(1)][..]));
    assert_eq!(driver.schedule.outputs(0), [SetState::InFlight(0)]);
}

#[test]
fn a_smaller_ring_lets_go_of_its_sets_as_they_come_free_and_a_larger_one_takes_them_back() {
    let lane = LaneConfig { sets: Sets::Joint(3), lag: 0 };
    let mut driver = Driver::new(Config::new(vec![lane], 3), true, 9);
    while driver.in_flight().len() < 2 {
        driver.start();
        if let Some(i) = driver.running.iter().position(|r| !matches!(r, Running::Queued(_))) {
            driver.finish(i, How::Well);
        }
    }
    driver.resize(0, Sets::Joint(1));
    assert_eq!(driver.schedule.inputs(0)[2], SetState::Surplus, "a free set goes at once");
    driver.finish(0, How::Fails);
    assert_eq!(driver.schedule.inputs(0)[0], SetState::Surplus, "a busy one when it comes back");
    driver.finish(0, How::Fails);
    assert_eq!(driver.schedule.inputs(0)[1], SetState::Free, "the last one stays");
    driver.resize(0, Sets::Joint(4));
    assert_eq!(driver.schedule.inputs(0), [SetState::Free; 4]);
}

#[test]
fn a_lane_with_lag_that_holds_all_its_inputs_is_flushed_while_others_work() {
    let lane = LaneConfig { sets: Sets::Split { inputs: 1, outputs: 4 }, lag: 2 };
    let mut driver = Driver::new(Config::new(vec![lane; 2], 1), false, 9);
    let is = |driver: &Driver, what: fn(&Running) -> bool| driver.running.iter().position(what);
    while is(&driver, |r| matches!(r, Running::Call(0, Some(_)))).is_none() {
        driver.start();
        if let Some(i) = is(&driver, |r| !matches!(r, Running::Call(..))) {
            driver.finish(i, How::Well);
        }
    }
    while is(&driver, |r| matches!(r, Running::Preprocess(slot) if slot.lane() == 1)).is_none() {
        assert!(driver.start(), "the other lane's item is preprocessed");
        if let Some(i) = is(&driver, |r| *r == Running::Take) {
            driver.finish(i, How::Well);
        }
    }
    let call = is(&driver, |r| matches!(r, Running::Call(0, _))).expect("lane 0 makes a call");
    driver.finish(call, How::Well);
    // Another item could bring the first one out, but the only input it could use is in the lane.
    assert!(driver.start());
    assert_eq!(driver.running.last(), Some(&Running::Call(0, None)));
}
