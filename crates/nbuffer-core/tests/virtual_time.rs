//! Virtual time against the analytic model of N-way buffering: exact where the model is exact, and every fault
//! accounted for.

use std::collections::HashMap;

use nbuffer_core::measure::{Nanos, Stage};
use nbuffer_core::schedule::*;
use nbuffer_core::trace::Unit;
use nbuffer_core::virtual_time::*;
use proptest::prelude::*;

const JOINT_4: LaneConfig = LaneConfig { sets: Sets::Joint(4), lag: 0 };
const LOCKSTEP: DeviceModel = DeviceModel::Lockstep { call_cost: 0 };

fn queued(lane: LaneConfig, host_threads: usize, times: StageTimes, items: u64) -> Setup {
    Setup::new(Config::new(vec![lane], host_threads), DeviceModel::Queued, Times::Fixed(times), items)
}

/// Runs it whole, and checks what holds of every run: each item ends once, no unit does two things at once, and an
/// item's stages come one after the other.
fn record(setup: &Setup) -> (Run, Recording) {
    let mut recording = Recording::default();
    let run = Simulation::watched(setup, &mut recording).expect("the set-up is valid").run();
    assert_eq!(run.totals.ended(), run.totals.taken);
    assert_eq!(recording.deliveries.len() as u64, run.totals.taken);
    assert_eq!(run.end, recording.deliveries.last().map_or(0, |delivery| delivery.at));
    let mut busy_until: HashMap<Unit, Nanos> = HashMap::new();
    let mut by_start = recording.spans.clone();
    by_start.sort_by_key(|span| (span.start, span.end));
    for span in &by_start {
        let until = busy_until.insert(span.unit, span.end).unwrap_or(0);
        assert!(until <= span.start && span.start <= span.end, "{span:?} while busy until {until}");
    }
    by_start.sort_by_key(|span| (span.sequence, span.stage as usize));
    for pair in by_start.windows(2).filter(|pair| pair[0].sequence == pair[1].sequence) {
        assert!(pair[0].stage != pair[1].stage && pair[0].end <= pair[1].start, "{pair:?}");
    }
    (run, recording)
}

fn kernel_starts(recording: &Recording) -> Vec<Nanos> {
    let kernels = recording.spans.iter().filter(|span| span.stage == Stage::Kernel);
    let mut starts: Vec<Nanos> = kernels.map(|span| span.start).collect();
    starts.sort_unstable();
    starts
}

/// A multiple of everything the bounds of up to 8 sets or threads are divided by.
const CYCLE: u64 = 840;

/// The bounds with one server group for each stage, times [`CYCLE`], so that they are whole.
fn bound(sets: Sets, preprocess: u64, postprocess: u64, [ip, w, k, r, op]: StageTimes) -> u64 {
    let host = (CYCLE * ip / preprocess).max(CYCLE * op / postprocess);
    let rings = match sets {
        Sets::Joint(n) => CYCLE * (ip + w + k + r + op) / n as u64,
        // An output is taken when its item is handed to the device.
        Sets::Split { inputs, outputs } => {
            (CYCLE * (ip + w + k) / inputs as u64).max(CYCLE * (w + k + r + op) / outputs as u64)
        }
    };
    host.max(rings).max(CYCLE * w.max(k).max(r))
}

fn sets() -> impl Strategy<Value = Sets> {
    prop_oneof![
        (1usize..=8).prop_map(Sets::Joint),
        (1usize..=8, 1usize..=8).prop_map(|(inputs, outputs)| Sets::Split { inputs, outputs }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Deterministic times, each server group serving one stage: the bound is exact, whatever sets it.
    #[test]
    fn dedicated_servers_reach_the_bound_exactly(
        sets in sets(),
        preprocess in 1usize..=8,
        postprocess in 1usize..=8,
        times in prop::array::uniform5(1u64..60),
    ) {
        let threads = HostThreads::Split { preprocess, postprocess };
        let config = Config::new(vec![LaneConfig { sets, lag: 0 }], threads);
        let items = 3 * CYCLE;
        let setup = Setup::new(config, DeviceModel::Queued, Times::Fixed(times), items);
        let (run, recording) = record(&setup);
        let starts = kernel_starts(&recording);
        let bound = bound(sets, preprocess as u64, postprocess as u64, times);
        // One whole cycle after the warm-up.
        let measured = starts[2 * CYCLE as usize + 100] - starts[CYCLE as usize + 100];
        prop_assert_eq!(measured, bound);
        // A finite stream takes no longer than its first item and a period for each other one.
        let latency: u64 = times.iter().sum();
        for delivery in &recording.deliveries {
            prop_assert!(CYCLE * delivery.at <= CYCLE * latency + delivery.sequence * bound, "{:?}", delivery);
        }
        prop_assert_eq!(run.totals.ok, items);
        prop_assert_eq!(run.measures.units()[0].busy(), items * times[2]);
    }

    /// Drawn times and shared threads: a set-up always gives the same run, and never beats the bound.
    #[test]
    fn a_setup_always_gives_the_same_run(seed in any::<u64>(), sets in sets(), threads in 1usize..4) {
        let times = Times::Drawn { mean: [1_000, 500, 2_000, 500, 1_000], cv: [0.5; 5], seed };
        let mut config = Config::new(vec![LaneConfig { sets, lag: 0 }; 2], threads);
        config.order = Order::Completed;
        let mut setup = Setup::new(config, DeviceModel::Queued, times, 60);
        setup.links = Links { duplex: Duplex::Half, shared: true };
        let (a, b) = (record(&setup), record(&setup));
        prop_assert_eq!(a.1.spans, b.1.spans);
        prop_assert_eq!(a.1.deliveries, b.1.deliveries);
        let link: Nanos = [Stage::Write, Stage::Read].iter().map(|s| a.0.measures.of(*s).sum() as Nanos).sum();
        prop_assert!(a.0.end >= link);
    }
}

fn check_period(setup: &Setup, period: f64) {
    let (run, recording) = record(setup);
    assert_eq!(run.totals.ok, setup.source.items);
    let starts = kernel_starts(&recording);
    let (from, to) = (starts.len() / 2, starts.len() - 20);
    assert_eq!((starts[to] - starts[from]) as f64 / (to - from) as f64, period, "{setup:?}");
}

#[test]
fn double_buffering_in_lockstep_hides_both_transfers() {
    let times = [100_000, 500_000, 2_000_000, 500_000, 100_000];
    let lane = LaneConfig { lag: 2, ..JOINT_4 };
    let mut setup = queued(lane, 2, times, 200);
    setup.devices = vec![LOCKSTEP];
    check_period(&setup, 2_000_000.0);
    setup.devices = vec![DeviceModel::Lockstep { call_cost: 50_000 }];
    check_period(&setup, 2_050_000.0);
    // A blocking device does one after the other.
    check_period(
        &Setup { devices: vec![DeviceModel::Blocking], ..queued(JOINT_4, 2, times, 200) },
        3_000_000.0,
    );
    check_period(&queued(JOINT_4, 2, times, 200), 2_000_000.0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// As many lanes and host threads as cores: no more is ever under way than there are cores, and with a single set a lane
    /// they are never idle while there is an item left, however times vary.
    #[test]
    fn a_set_for_each_core_keeps_all_cores_busy(
        cores in 1_usize..5,
        more_lanes in 0_usize..3,
        cv in 0.0..1.5,
        seed: u64,
    ) {
        let lane = LaneConfig { sets: Sets::Split { inputs: 1, outputs: 1 }, lag: 0 };
        let mut config = Config::new(vec![lane; cores + more_lanes], cores);
        // An early result that waits for a late one before it holds nothing up.
        config.window = 400;
        let times = Times::Drawn { mean: [9_000, 0, 12_000, 0, 500], cv: [cv; 5], seed };
        let setup = Setup { seats: Some(cores), ..Setup::new(config, DeviceModel::Blocking, times, 200) };
        let (run, recording) = record(&setup);
        let mut changes: Vec<(Nanos, i64)> =
            recording.spans.iter().flat_map(|span| [(span.start, 1), (span.end, -1)]).collect();
        changes.sort_unstable();
        let mut at_work = 0;
        for (at, change) in changes {
            at_work += change;
            prop_assert!(at_work <= cores as i64, "{} at work at {}", at_work, at);
        }
        let work: Nanos = recording.spans.iter().map(|span| span.end - span.start).sum();
        let of_item = |k| recording.spans.iter().filter(|s| s.sequence == k).map(|s| s.end - s.start).sum::<Nanos>();
        let longest = (0..200).map(of_item).max().unwrap();
        // The end, when fewer items are left than cores, takes no longer than an item.
        prop_assert!(run.end <= work / cores as u64 + longest, "{} for {} on {} cores", run.end, work, cores);
    }
}

#[test]
fn a_shared_link_is_shared() {
    let lanes = |n| Config::new(vec![LaneConfig { sets: Sets::Joint(6), lag: 0 }; n], 12);
    let times = [10, 400, 100, 200, 10];
    let mut setup = Setup::new(lanes(2), DeviceModel::Queued, Times::Fixed(times), 400);
    // Two links: each lane is bound by its own writes.
    check_period(&setup, 200.0);
    setup.links.shared = true;
    check_period(&setup, 400.0);
    setup.links.duplex = Duplex::Half;
    check_period(&setup, 600.0);
    setup.links.shared = false;
    check_period(&setup, 300.0);
}

#[test]
fn launch_overhead_is_downtime_of_the_compute_unit() {
    let mut setup = queued(JOINT_4, 2, [100, 200, 1_000, 200, 100], 100);
    setup.launch_overhead = 50;
    check_period(&setup, 1_050.0);
    let (run, _) = record(&setup);
    let unit = run.measures.units()[0];
    assert_eq!((unit.busy(), unit.downtime()), (100_000, 99 * 50));
}

#[test]
fn a_slow_source_sets_the_period_and_a_stall_moves_the_rest() {
    let mut setup = queued(JOINT_4, 1, [10, 20, 30, 20, 10], 50);
    setup.source.interval = 100;
    setup.faults = vec![Fault::Stall { before: 20, lasts: 1_000 }, Fault::Stall { before: 0, lasts: 7 }];
    let (run, recording) = record(&setup);
    for delivery in recording.deliveries {
        let late = 7 + if delivery.sequence < 20 { 0 } else { 1_000 };
        assert_eq!(delivery.at, 100 * delivery.sequence + late + 90, "{delivery:?}");
    }
    // The source is asked again when the one host thread is done with the item before.
    assert_eq!(run.measures.sources().max(), 1_100 - 10);
}

#[test]
fn an_idle_source_does_not_hold_back_what_a_lockstep_lane_holds() {
    let mut setup = queued(LaneConfig { lag: 2, ..JOINT_4 }, 1, [10, 20, 30, 20, 10], 3);
    setup.devices = vec![LOCKSTEP];
    setup.faults = vec![Fault::Stall { before: 2, lasts: 100_000 }];
    let second_at = |setup: &Setup| record(setup).1.deliveries[1].at;
    assert!(second_at(&setup) > 100_000, "only the third item brings the second out");
    setup.source.idle_after = Some(500);
    assert!(second_at(&setup) < 1_000, "{}", second_at(&setup));
}

#[test]
fn times_that_change_change_the_period() {
    let fixed = Box::new(Times::Fixed([10, 20, 100, 20, 10]));
    let mut setup = queued(JOINT_4, 2, [0; 5], 400);
    setup.times = Times::Drifting { of: fixed, from: 200, factor: [1.0, 1.0, 2.5, 1.0, 1.0] };
    let starts = kernel_starts(&record(&setup).1);
    assert_eq!((starts[190] - starts[100], starts[390] - starts[300]), (90 * 100, 90 * 250));
}

#[test]
fn replayed_times_are_each_items_own() {
    let mut setup = queued(JOINT_4, 2, [0; 5], 5);
    let times = vec![[1, 2, 3, 4, 5], [10, 20, 30, 40, 50]];
    setup.times = Times::Replayed(times.clone());
    for span in record(&setup).1.spans {
        let expected = times[span.sequence as usize % 2][span.stage as usize];
        assert_eq!(span.end - span.start, expected, "{span:?}");
    }
}

#[test]
fn a_failing_stage_costs_its_item() {
    for (lane, device) in [
        (JOINT_4, DeviceModel::Queued),
        (JOINT_4, DeviceModel::Blocking),
        (LaneConfig { lag: 2, ..JOINT_4 }, LOCKSTEP),
        (LaneConfig { sets: Sets::Split { inputs: 2, outputs: 3 }, lag: 0 }, DeviceModel::Queued),
    ] {
        let mut setup = queued(lane, 2, [10, 20, 30, 20, 10], 40);
        setup.devices = vec![device];
        let failing = [3, 11, 12, 38];
        setup.faults = vec![
            Fault::Stage(Stage::Preprocess, 38),
            Fault::Stage(Stage::Kernel, 3),
            Fault::Stage(Stage::Postprocess, 12),
            Fault::Stage(Stage::Kernel, 11),
            // Beyond the stream: never met.
            Fault::Stage(Stage::Kernel, 40),
        ];
        let (run, recording) = record(&setup);
        assert_eq!(run.totals, Totals { taken: 40, ok: 36, failed: 4, ..Totals::default() });
        for delivery in recording.deliveries {
            let fails = failing.contains(&delivery.sequence);
            assert_eq!(delivery.outcome, if fails { Outcome::Failed } else { Outcome::Ok }, "{delivery:?}");
        }
    }
}

#[test]
fn a_lost_lane_costs_what_it_held_and_a_cancel_ends_the_stream() {
    let config = Config::new(vec![JOINT_4; 2], 2);
    let times = Times::Fixed([10, 20, 100, 20, 10]);
    let mut setup = Setup::new(config, DeviceModel::Queued, times, 100);
    setup.links.shared = true;
    setup.faults = vec![Fault::LaneLost { lane: 1, at: 1_005 }];
    let (run, recording) = record(&setup);
    assert_eq!(run.totals.taken, 100);
    assert!((1..=4).contains(&run.totals.failed), "{:?}", run.totals);
    assert!(recording.spans.iter().all(|span| span.lane == 0 || span.end <= 1_005 + 10));

    setup.faults.push(Fault::Cancel { at: 2_000 });
    let (run, _) = record(&setup);
    assert!(run.totals.taken < 100 && run.totals.cancelled > 0, "{:?}", run.totals);
    // What the device holds is drained: four items at most.
    assert!((2_000..=2_000 + 20 + 4 * 100 + 20).contains(&run.end), "{}", run.end);

    setup.faults.push(Fault::LaneLost { lane: 0, at: 1_500 });
    let (run, _) = record(&setup);
    assert_eq!(run.totals.cancelled, 0, "the stream had ended with its last lane");
}

#[test]
fn a_ring_and_threads_that_grow_during_the_run_speed_it_up() {
    let setup = queued(LaneConfig { sets: Sets::Joint(1), lag: 0 }, 1, [100, 100, 200, 100, 100], 300);
    let mut recording = Recording::default();
    let mut simulation = Simulation::watched(&setup, &mut recording).unwrap();
    while simulation.schedule().ended() < 100 {
        simulation.step().expect("the stream goes on");
    }
    simulation.resize(0, Sets::Joint(4)).unwrap();
    simulation.grow_window(50).unwrap();
    simulation.set_host_threads(HostThreads::Shared(2)).unwrap();
    let run = simulation.run();
    assert_eq!(run.totals.ok, 300);
    let starts = kernel_starts(&recording);
    assert_eq!((starts[90] - starts[10], starts[290] - starts[150]), (80 * 600, 140 * 200));
}

#[test]
fn streams_of_any_length_end() {
    for items in 0..5 {
        for (lag, device) in [(0, DeviceModel::Queued), (2, LOCKSTEP)] {
            for times in [[0; 5], [1, 2, 3, 4, 5]] {
                let mut setup = queued(LaneConfig { lag, ..JOINT_4 }, 1, times, items);
                setup.devices = vec![device];
                assert_eq!(record(&setup).0.totals.ok, items);
            }
        }
    }
}

#[test]
fn impossible_setups_are_refused() {
    let says = |change: fn(&mut Setup)| {
        let mut setup = queued(JOINT_4, 1, [1; 5], 1);
        change(&mut setup);
        Simulation::new(&setup).unwrap_err().to_string()
    };
    assert_eq!(says(|s| s.schedule.window = 0), "0 window places: from 1 to 65536 are possible");
    assert_eq!(says(|s| s.devices.clear()), "0 device models for 1 lanes: give one for each");
    assert_eq!(
        says(|s| s.devices = vec![LOCKSTEP]),
        "lane 0 is configured with lag 0, and its device has lag 2"
    );
    assert_eq!(
        says(|s| s.faults = vec![Fault::Stage(Stage::Read, 3)]),
        "read cannot fail apart: preprocess, kernel and postprocess can"
    );
    assert_eq!(
        says(|s| s.faults = vec![Fault::LaneLost { lane: 1, at: 3 }]),
        "lane 1 is to be lost, and there are 1 lanes, numbered from 0"
    );
    assert_eq!(
        says(|s| s.source.interval = u64::MAX),
        format!("source interval: {} ns: a set-up takes at most 3600000000000 ns (one hour)", u64::MAX)
    );
}

#[test]
fn chaos_breaks_no_promise() {
    let chaos = chaos(1, 200_000).unwrap_or_else(|violation| panic!("{violation}"));
    assert!(chaos.items >= 200_000 && chaos.steps > chaos.items, "{chaos:?}");
}

#[test]
fn a_chaos_stream_can_be_repeated() {
    assert_eq!(chaos_stream(7, 3).unwrap(), chaos_stream(7, 3).unwrap());
}

#[test]
fn no_item_allocates() {
    let allocations = |items| {
        let setup = queued(JOINT_4, 2, [1_000, 2_000, 4_000, 2_000, 1_000], items);
        let run = || assert_eq!(Simulation::new(&setup).unwrap().run().totals.ok, items);
        allocation_counter::measure(run).count_total
    };
    assert_eq!(allocations(1_000), allocations(20_000));
}
