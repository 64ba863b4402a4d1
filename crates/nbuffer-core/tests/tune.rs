//! Auto N and auto host threads over a stream in virtual time: the real tuner, the real schedule, a look every 5 ms.

use nbuffer_core::measure::{Nanos, Stage};
use nbuffer_core::plan::{Limits, Link, Overlap, Plan, SetBytes, Setting, SettingError};
use nbuffer_core::schedule::*;
use nbuffer_core::tune::{Decision, Goals, Tuner};
use nbuffer_core::virtual_time::*;

const US: Nanos = 1_000;
const MS: Nanos = 1_000_000;
const LOOK_EVERY: Nanos = 5 * MS;

/// A stream, and what may be chosen for it. It starts with two sets, or two of each kind, and one host thread.
#[derive(Clone, Debug)]
struct Case {
    times: Times,
    items: u64,
    overlap: Overlap,
    duplex: Duplex,
    start: Sets,
    lanes: usize,
    host_threads: HostThreads,
    host_threads_max: Option<usize>,
    limits: Limits,
}

impl Case {
    fn new(times: Times, items: u64) -> Self {
        Case {
            times,
            items,
            overlap: Overlap::Queued,
            duplex: Duplex::Full,
            start: Sets::Joint(2),
            lanes: 1,
            host_threads: HostThreads::Shared(1),
            host_threads_max: Some(8),
            limits: Limits::default(),
        }
    }

    fn goals(&self) -> Goals {
        let setting = Setting {
            overlap: self.overlap,
            link: Link { duplex: self.duplex, shared: false },
            limits: self.limits,
            set_bytes: SetBytes { input: 3_000, output: 1_000 },
            ..Setting::new(Default::default(), self.lanes, self.start, self.host_threads)
        };
        Goals { setting, sets: true, host_threads_max: self.host_threads_max }
    }

    fn setup(&self) -> Setup {
        let device = match self.overlap {
            Overlap::None => DeviceModel::Blocking,
            Overlap::InLane => DeviceModel::Lockstep { call_cost: 0 },
            Overlap::Queued => DeviceModel::Queued,
        };
        let lane = LaneConfig { sets: self.start, lag: device.lag() };
        let config = Config::new(vec![lane; self.lanes], self.host_threads);
        Setup {
            links: Links { duplex: self.duplex, shared: false },
            ..Setup::new(config, device, self.times.clone(), self.items)
        }
    }

    /// The plan for these times, as if they never varied, with as many sets and threads as were chosen in the end.
    fn plan(&self, times: StageTimes, tuned: &Tuned) -> Plan {
        let [preprocess_s, write_s, kernel_s, read_s, postprocess_s] = times.map(|ns| ns as f64 / 1e9);
        let times = nbuffer_core::plan::StageTimes {
            preprocess_s,
            write_s,
            kernel_s,
            read_s,
            postprocess_s,
            call_s: 0.0,
        };
        let host_threads = HostThreads::Shared(tuned.last().host_threads);
        Plan::new(&Setting { times, host_threads, sets: tuned.last().sets, ..self.goals().setting }).unwrap()
    }
}

/// What became of a stream.
struct Tuned {
    decisions: Vec<Decision>,
    /// Start of preprocess, start and end of the kernel, and end of postprocess of each item.
    items: Vec<[Nanos; 4]>,
}

/// Runs a case to its end. Every item ends well, and results come in order.
fn tune(case: &Case) -> Result<Tuned, SettingError> {
    let mut tuner = Tuner::new(case.goals());
    let mut recording = Recording::default();
    let mut simulation = Simulation::watched(&case.setup(), &mut recording).expect("the set-up is valid");
    let (mut decisions, mut next_look) = (Vec::new(), LOOK_EVERY);
    while let Some(now) = simulation.step() {
        if now < next_look {
            continue;
        }
        next_look = now + LOOK_EVERY;
        let Some(decision) = tuner.look(now, &simulation.measures().tallies())? else {
            continue;
        };
        simulation.grow_window(2 * case.lanes * decision.sets.items_max()).unwrap();
        for lane in 0..case.lanes {
            simulation.resize(lane, decision.sets).unwrap();
        }
        simulation.set_host_threads(HostThreads::Shared(decision.host_threads)).unwrap();
        decisions.push(decision);
    }
    let run = simulation.into_run();
    assert_eq!(run.totals, Totals { taken: case.items, ok: case.items, ..Totals::default() });
    assert!(recording.deliveries.iter().map(|delivery| delivery.sequence).eq(0..case.items));
    let mut items = vec![[0; 4]; case.items as usize];
    for span in &recording.spans {
        let item = &mut items[span.sequence as usize];
        match span.stage {
            Stage::Preprocess => item[0] = span.start,
            Stage::Kernel => [item[1], item[2]] = [span.start, span.end],
            Stage::Postprocess => item[3] = span.end,
            Stage::Write | Stage::Read => {}
        }
    }
    Ok(Tuned { decisions, items })
}

impl Tuned {
    fn last(&self) -> &Decision {
        self.decisions.last().expect("a tuner decides once at least")
    }

    /// Seconds from one kernel to the next, on average between two items.
    fn period_s(&self, from: usize, to: usize) -> f64 {
        (self.items[to][1] - self.items[from][1]) as f64 / (to - from) as f64 / 1e9
    }

    /// The fraction of time in which the only kernel ran, between two items.
    fn kernel_busy(&self, from: usize, to: usize) -> f64 {
        let busy: Nanos = self.items[from..to].iter().map(|item| item[2] - item[1]).sum();
        busy as f64 / (self.items[to][1] - self.items[from][1]) as f64
    }

    /// Seconds items stay, on average between two items.
    fn residence_s(&self, from: usize, to: usize) -> f64 {
        let stays: Nanos = self.items[from..to].iter().map(|item| item[3] - item[0]).sum();
        stays as f64 / (to - from) as f64 / 1e9
    }

    /// The item from which on nothing was decided any more.
    fn settled(&self) -> usize {
        self.last().items as usize
    }

    #[track_caller]
    fn check_whys(&self) {
        for Decision { why, .. } in &self.decisions {
            assert!(why.len() <= 150 && why.contains("-bound at ") && why.contains("N* = "), "{why}");
        }
    }
}

const DEVICE_BOUND: StageTimes = [1_500 * US, 500 * US, 2 * MS, 500 * US, 1_000 * US];

#[test]
fn a_device_bound_stream_reaches_its_plan_within_a_few_looks_and_stays_there() {
    for (overlap, start, duplex) in [
        (Overlap::Queued, Sets::Joint(2), Duplex::Full),
        (Overlap::Queued, Sets::Split { inputs: 2, outputs: 2 }, Duplex::Full),
        (Overlap::Queued, Sets::Joint(2), Duplex::Half),
        (Overlap::None, Sets::Joint(2), Duplex::Full),
        (Overlap::InLane, Sets::Joint(3), Duplex::Full),
        (Overlap::InLane, Sets::Split { inputs: 2, outputs: 3 }, Duplex::Full),
    ] {
        let case = Case { overlap, start, duplex, ..Case::new(Times::Fixed(DEVICE_BOUND), 5_000) };
        let tuned = tune(&case).unwrap();
        let plan = case.plan(DEVICE_BOUND, &tuned);
        assert!(tuned.settled() <= 150, "{:?}", tuned.decisions);
        assert!(tuned.decisions.len() <= 4, "{:?}", tuned.decisions);
        let period_s = tuned.period_s(tuned.settled() + 30, 4_900);
        assert!((period_s / plan.resource_period_s - 1.0).abs() < 1e-3, "{period_s}: {:?}", tuned.decisions);
        tuned.check_whys();
    }
}

#[test]
fn jitter_neither_starves_the_device_nor_keeps_the_tuner_busy() {
    for seed in 0..12 {
        for start in [Sets::Joint(2), Sets::Split { inputs: 2, outputs: 2 }] {
            let times = Times::Drawn { mean: DEVICE_BOUND, cv: [0.3; 5], seed };
            let case = Case { start, ..Case::new(times, 10_000) };
            let tuned = tune(&case).unwrap();
            let plan = case.plan(DEVICE_BOUND, &tuned);
            assert!(tuned.decisions.len() <= 6, "seed {seed}: {:?}", tuned.decisions);
            let used = tuned.kernel_busy(500, 9_900);
            assert!(used >= 0.98, "seed {seed}: {used} of the kernel: {:?}", tuned.decisions);
            let (sets, advised) = (tuned.last().sets, plan.buffers.enough);
            assert!(sets.inputs() <= advised.inputs() + 4, "seed {seed}: {sets:?} for {advised:?}");
            tuned.check_whys();
        }
    }
}

#[test]
fn a_host_bound_stream_is_said_to_be_and_gets_no_sets_that_cannot_help() {
    let times = [5 * MS, 500 * US, 2 * MS, 500 * US, 3 * MS];
    for start in [Sets::Joint(2), Sets::Split { inputs: 2, outputs: 2 }] {
        let case = Case { start, host_threads_max: Some(2), ..Case::new(Times::Fixed(times), 3_000) };
        let tuned = tune(&case).unwrap();
        let plan = case.plan(times, &tuned);
        assert_eq!(tuned.last().host_threads, 2);
        assert!(tuned.last().why.starts_with("host-bound at 4.00 ms an item"), "{}", tuned.last().why);
        let enough = plan.buffers.enough;
        for decision in &tuned.decisions {
            let Decision { sets, .. } = decision;
            assert!(
                sets.inputs() <= enough.inputs() + 2 && sets.outputs() <= enough.outputs() + 2,
                "{decision:?}"
            );
        }
        let period_s = tuned.period_s(tuned.settled() + 50, 2_900);
        assert!((period_s / 0.004 - 1.0).abs() < 0.001, "{period_s}: {:?}", tuned.decisions);
        tuned.check_whys();
    }
}

#[test]
fn host_threads_are_added_as_long_as_they_help_and_no_further() {
    // 9 ms of host work and a kernel of 2 ms.
    let times = [6 * MS, 500 * US, 2 * MS, 500 * US, 3 * MS];
    for (most, chosen) in [(1, 1), (3, 3), (5, 5), (8, 5)] {
        let case = Case { host_threads_max: Some(most), ..Case::new(Times::Fixed(times), 2_000) };
        let tuned = tune(&case).unwrap();
        assert_eq!(tuned.last().host_threads, chosen, "{:?}", tuned.decisions);
    }
    let case = Case {
        host_threads_max: None,
        host_threads: HostThreads::Shared(2),
        ..Case::new(Times::Fixed(times), 2_000)
    };
    assert!(tune(&case).unwrap().decisions.iter().all(|decision| decision.host_threads == 2));
}

#[test]
fn host_work_that_triples_half_way_is_followed() {
    for (cv, start) in
        [(0.0, Sets::Joint(2)), (0.0, Sets::Split { inputs: 2, outputs: 2 }), (0.2, Sets::Joint(2))]
    {
        let drawn = Times::Drawn { mean: DEVICE_BOUND, cv: [cv; 5], seed: 3 };
        let times = Times::Drifting { of: Box::new(drawn), from: 3_000, factor: [3.0, 1.0, 1.0, 1.0, 3.0] };
        let case = Case { start, ..Case::new(times, 6_000) };
        let tuned = tune(&case).unwrap();
        let mut tripled = DEVICE_BOUND;
        tripled[0] *= 3;
        tripled[4] *= 3;
        let plan = case.plan(tripled, &tuned);
        // Before: 2.5 ms of host work, two threads at least. After: 7.5 ms, four.
        let first = tuned.decisions.iter().find(|decision| decision.items > 2_990).expect("it follows");
        assert!(first.items <= 3_150, "{first:?}");
        assert!(tuned.last().host_threads >= 4, "{:?}", tuned.decisions);
        let period_s = tuned.period_s(3_300, 5_900);
        assert!(period_s <= plan.resource_period_s * 1.02, "{period_s}: {:?}", tuned.decisions);
        assert!(tuned.decisions.len() <= 8, "{:?}", tuned.decisions);
        tuned.check_whys();
    }
}

#[test]
fn a_latency_limit_is_kept_with_the_fastest_sets_within_it() {
    // L = 5.5 ms: three sets would keep the kernel busy, and items would stay 6 ms.
    for (limit_s, most) in [(0.0057, 2), (0.0062, 3), (0.1, 9)] {
        let limits = Limits { latency_s: Some(limit_s), ..Limits::default() };
        let case = Case { limits, ..Case::new(Times::Fixed(DEVICE_BOUND), 3_000) };
        let tuned = tune(&case).unwrap();
        let sets = tuned.last().sets;
        assert!(sets.inputs() <= most, "{limit_s} s: {:?}", tuned.decisions);
        let stays_s = tuned.residence_s(tuned.settled() + 30, 2_900);
        assert!(stays_s <= limit_s, "{stays_s} s of {limit_s} s: {:?}", tuned.decisions);
        let plan = case.plan(DEVICE_BOUND, &tuned);
        assert!((tuned.period_s(tuned.settled() + 30, 2_900) / plan.period_s() - 1.0).abs() < 0.01);
        tuned.check_whys();
    }
}

#[test]
fn a_latency_limit_takes_sets_away_when_times_grow() {
    let limits = Limits { latency_s: Some(0.0100), ..Limits::default() };
    let times = Times::Drifting {
        of: Box::new(Times::Fixed(DEVICE_BOUND)),
        from: 1_000,
        factor: [1.0, 1.0, 2.0, 1.0, 1.0],
    };
    let case = Case { limits, start: Sets::Joint(5), ..Case::new(times, 3_000) };
    let tuned = tune(&case).unwrap();
    assert_eq!(tuned.last().sets, Sets::Joint(2), "{:?}", tuned.decisions);
    let stays_s = tuned.residence_s(1_200, 2_900);
    assert!(stays_s <= 0.010, "{stays_s}: {:?}", tuned.decisions);
    assert!(tuned.last().why.contains("latency limit"), "{}", tuned.last().why);
}

#[test]
fn an_impossible_latency_limit_is_refused_with_the_least_possible() {
    let limits = Limits { latency_s: Some(0.005), ..Limits::default() };
    let case = Case { limits, ..Case::new(Times::Fixed(DEVICE_BOUND), 3_000) };
    match tune(&case).map(|tuned| tuned.decisions) {
        Err(SettingError::Latency { limit_s, least_s }) => {
            assert_eq!(limit_s, 0.005);
            assert!((least_s - 0.0055).abs() < 1e-9, "{least_s}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn memory_limits_are_never_exceeded() {
    let times = [20 * MS, 500 * US, 2 * MS, 500 * US, 10 * MS];
    for (start, lanes) in
        [(Sets::Joint(1), 1), (Sets::Joint(2), 2), (Sets::Split { inputs: 1, outputs: 1 }, 1)]
    {
        // 4,000 bytes a set, so four or five sets of all lanes.
        let limits = Limits { host_bytes: Some(19_999), ..Limits::default() };
        let case = Case {
            limits,
            start,
            lanes,
            ..Case::new(Times::Drawn { mean: times, cv: [0.5; 5], seed: 1 }, 2_000)
        };
        let tuned = tune(&case).unwrap();
        for decision in &tuned.decisions {
            let Decision { sets, .. } = decision;
            let bytes = lanes * (3_000 * sets.inputs() + 1_000 * sets.outputs());
            assert!(bytes <= 19_999, "{decision:?}");
        }
        assert_eq!(tuned.last().sets.inputs(), 4 / lanes, "{:?}", tuned.decisions);
        assert!(tuned.last().why.contains("; the host memory limit allows"), "{}", tuned.last().why);
        tuned.check_whys();
    }
}

#[test]
fn a_double_buffered_lane_gets_the_outputs_that_come_back_late() {
    let start = Sets::Split { inputs: 2, outputs: 2 };
    let times = [1_500 * US, 500 * US, 2 * MS, 500 * US, 3 * MS];
    let case = Case { overlap: Overlap::InLane, start, ..Case::new(Times::Fixed(times), 3_000) };
    let tuned = tune(&case).unwrap();
    assert!(tuned.last().sets.outputs() >= 5, "{:?}", tuned.decisions);
    let period_s = tuned.period_s(tuned.settled() + 30, 2_900);
    assert!((period_s / 0.002 - 1.0).abs() < 1e-3, "{period_s}: {:?}", tuned.decisions);
}

/// Host work that shrinks leaves sets that nobody needs, and each makes every item a period later.
#[test]
fn superfluous_sets_are_taken_away() {
    let mut long = DEVICE_BOUND;
    long[0] *= 4;
    for start in [Sets::Joint(2), Sets::Split { inputs: 2, outputs: 2 }] {
        let times = Times::Drifting {
            of: Box::new(Times::Fixed(long)),
            from: 1_000,
            factor: [0.25, 1.0, 1.0, 1.0, 1.0],
        };
        let case = Case { start, ..Case::new(times, 3_000) };
        let tuned = tune(&case).unwrap();
        let before = tuned.decisions.iter().rfind(|decision| decision.items <= 1_000).unwrap();
        let after = tuned.last();
        assert!(after.sets.inputs() < before.sets.inputs(), "{:?}", tuned.decisions);
        assert!(after.items < 1_000 + 500, "{:?}", tuned.decisions);
        assert!(tuned.residence_s(2_000, 2_900) < tuned.residence_s(500, 900) - 0.002);
        let used = tuned.kernel_busy(tuned.settled() + 30, 2_900);
        assert!(used > 0.999, "{used} of the kernel: {:?}", tuned.decisions);
    }
}

#[test]
fn lanes_are_counted() {
    for overlap in [Overlap::Queued, Overlap::None, Overlap::InLane] {
        let case =
            Case { lanes: 3, overlap, start: Sets::Joint(2), ..Case::new(Times::Fixed(DEVICE_BOUND), 3_000) };
        let tuned = tune(&case).unwrap();
        let plan = case.plan(DEVICE_BOUND, &tuned);
        let period_s = tuned.period_s(tuned.settled() + 90, 2_900);
        assert!((period_s / plan.resource_period_s - 1.0).abs() < 0.01, "{period_s}: {:?}", tuned.decisions);
        assert!(tuned.settled() <= 450, "{:?}", tuned.decisions);
    }
}
