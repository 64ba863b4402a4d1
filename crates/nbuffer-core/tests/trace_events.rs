//! What trace files show: in the order of time, with what began ended, and the buffer sets the schedule has.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use expect_test::{Expect, expect};
use nbuffer_core::measure::{Nanos, Stage};
use nbuffer_core::schedule::{Config, Duplex, LaneConfig, Order, Schedule, SetState, Sets};
use nbuffer_core::trace::events::{Arg, Event, Flow, Kind, Place, Track, TrackId};
use nbuffer_core::trace::{Trace, Tracer, What};
use nbuffer_core::virtual_time::{DeviceModel, Fault, Links, Setup, Simulation, Times};
use proptest::prelude::*;

const MICRO: Nanos = 1_000;

/// Of each pool, how many sets are in which state.
type Pools = Vec<Vec<u64>>;

/// A stream and how it is traced.
#[derive(Clone, Debug)]
struct Case {
    setup: Setup,
    /// Journeys the tracer has room for.
    journeys: usize,
    /// After so many steps lanes get these sets.
    resizes: Vec<(u64, Sets)>,
}

impl Case {
    fn new(device: DeviceModel, sets: Sets, items: u64) -> Self {
        let lanes = vec![LaneConfig { sets, lag: device.lag() }];
        let times = Times::Fixed([2, 1, 3, 1, 2].map(|micros| micros * MICRO));
        let setup = Setup::new(Config::new(lanes, 1), device, times, items);
        Case { setup, journeys: 1000, resizes: Vec::new() }
    }

    /// The trace, and how many sets were in which state after all that happened at one time.
    fn run(&self) -> (Trace, Vec<(Nanos, Pools)>) {
        let mut tracer = Tracer::new(self.journeys, self.setup.schedule.window);
        let mut simulation = Simulation::watched(&self.setup, &mut tracer).unwrap();
        let (mut states, mut steps): (Vec<(Nanos, _)>, u64) = (Vec::new(), 0);
        while let Some(now) = simulation.step() {
            for (_, sets) in self.resizes.iter().filter(|(step, _)| *step == steps) {
                let why = "asked for".to_owned();
                simulation.watch().moment(now, What::Chosen { sets: *sets, host_threads: 1, why });
                for lane in 0..self.setup.devices.len() {
                    simulation.resize(lane, *sets).unwrap();
                }
            }
            states.pop_if(|(at, _)| *at == now);
            states.push((now, in_states(simulation.schedule(), self.setup.devices.len())));
            steps += 1;
        }
        drop(simulation);
        (tracer.trace(self.setup.topology()), states)
    }
}

/// How many sets of each pool the schedule has in each state, states in the order in which counters have them.
fn in_states(schedule: &Schedule, lanes: usize) -> Pools {
    let mut pools = Vec::new();
    for lane in 0..lanes {
        let count = |sets: &[SetState], places: &[usize]| {
            let place = |state: &SetState| match state {
                SetState::Free => Some(0),
                SetState::Preprocessing(_) => Some(1),
                SetState::Ready(_) => Some(2),
                SetState::InFlight(_) => Some(3),
                SetState::Landed(_) => Some(4),
                SetState::Postprocessing(_) => Some(5),
                SetState::Surplus | SetState::Retired => None,
            };
            let of = |wanted: usize| sets.iter().filter(|state| place(state) == Some(wanted)).count() as u64;
            places.iter().map(|&place| of(place)).collect()
        };
        match schedule.sets(lane) {
            Sets::Joint(_) => pools.push(count(schedule.inputs(lane), &[0, 1, 2, 3, 4, 5])),
            Sets::Split { .. } => {
                pools.push(count(schedule.inputs(lane), &[0, 1, 2, 3]));
                pools.push(count(schedule.outputs(lane), &[0, 3, 4, 5]));
            }
        }
    }
    pools
}

/// All that is shown, in words.
#[track_caller]
fn check(case: &Case, expected: Expect) {
    let (trace, _) = case.run();
    let (mut text, mut names) = (String::new(), Vec::new());
    let micros = |at: Nanos| at as f64 / 1e3;
    for event in trace.events() {
        match event {
            Event::Track(Track { parent, name, rank, kind, .. }) => {
                let parent = parent.map_or("", |parent: TrackId| names[parent.0 as usize]);
                let kind = match kind {
                    Kind::Group => "group".to_owned(),
                    Kind::Row => "row".to_owned(),
                    Kind::Counters(series) => series.join(", "),
                };
                writeln!(text, "{parent}/{name} {rank}: {kind}").unwrap();
                names.push(String::leak(name.into_owned()) as &str);
            }
            Event::Begin { track, at, slice } => {
                let flow = slice.flow.map_or(String::new(), |Flow { id, place }| match place {
                    Place::First => format!(" {id}>"),
                    Place::Between => format!(" >{id}>"),
                    Place::Last => format!(" >{id}"),
                });
                let args: Vec<_> = slice.args.iter().map(said).collect();
                let (row, name, args) = (names[track.0 as usize], slice.name, args.join(", "));
                writeln!(text, "{:>4} {row}: {name} ({args}){flow}", micros(at)).unwrap();
            }
            Event::End { track, at } => {
                writeln!(text, "{:>4} {}: end", micros(at), names[track.0 as usize]).unwrap();
            }
            Event::Instant { track, at, name, args } => {
                let args: Vec<_> = args.iter().map(said).collect();
                let (row, args) = (names[track.0 as usize], args.join(", "));
                writeln!(text, "{:>4} {row}! {name} ({args})", micros(at)).unwrap();
            }
            Event::Counters { track, at, values } => {
                writeln!(text, "{:>4} {} = {values:?}", micros(at), names[track.0 as usize]).unwrap();
            }
        }
    }
    expected.assert_eq(&text);
}

fn said((name, arg): &(&str, Arg<'_>)) -> String {
    match arg {
        Arg::Number(number) => format!("{name} {number}"),
        Arg::Text(text) => format!("{name} \"{text}\""),
    }
}

#[test]
fn an_item_goes_from_row_to_row() {
    check(
        &Case::new(DeviceModel::Queued, Sets::Joint(1), 1),
        expect![[r#"
            /host 0: group
            host/source 1: row
            host/delivery 1048576: row
            host/run 0: row
            host/host 0 2: row
            /virtual device 1: group
            virtual device/link in 0 1: row
            virtual device/kernel 0 2: row
            virtual device/link out 0 3: row
            virtual device/buffer sets, lane 0 4: free, preprocessing, ready, in flight, landed, postprocessing
            virtual device/number of buffer sets, lane 0 5: N
               0 source: source (item 0) 1>
               0 source: end
               0 host 0: preprocess (item 0, lane 0, input set 0) >1>
               0 buffer sets, lane 0 = [0, 1, 0, 0, 0, 0]
               0 number of buffer sets, lane 0 = [1]
               2 host 0: end
               2 link in 0: write (item 0, lane 0, input set 0) >1>
               2 buffer sets, lane 0 = [0, 0, 0, 1, 0, 0]
               3 link in 0: end
               3 kernel 0: kernel (item 0, lane 0, input set 0, output set 0) >1>
               6 kernel 0: end
               6 link out 0: read (item 0, lane 0, output set 0) >1>
               7 link out 0: end
               7 host 0: postprocess (item 0, lane 0, output set 0) >1>
               7 buffer sets, lane 0 = [0, 0, 0, 0, 0, 1]
               9 host 0: end
               9 delivery: delivered (item 0) >1
               9 delivery: end
               9 buffer sets, lane 0 = [1, 0, 0, 0, 0, 0]
        "#]],
    );
}

#[test]
fn calls_that_last_are_shown_and_sets_apart_are_counted_apart() {
    let mut case =
        Case::new(DeviceModel::Lockstep { call_cost: 0 }, Sets::Split { inputs: 1, outputs: 3 }, 1);
    case.setup.faults = vec![Fault::Stage(Stage::Postprocess, 0)];
    check(
        &case,
        expect![[r#"
            /host 0: group
            host/source 1: row
            host/delivery 1048576: row
            host/run 0: row
            host/host 0 2: row
            /virtual device 1: group
            virtual device/link in 0 1: row
            virtual device/kernel 0 2: row
            virtual device/link out 0 3: row
            virtual device/calls, lane 0 4: row
            virtual device/input sets, lane 0 5: free, preprocessing, ready, in flight
            virtual device/number of input sets, lane 0 6: N
            virtual device/output sets, lane 0 7: free, in flight, landed, postprocessing
            virtual device/number of output sets, lane 0 8: N
               0 source: source (item 0) 1>
               0 source: end
               0 host 0: preprocess (item 0, lane 0, input set 0) >1>
               0 input sets, lane 0 = [0, 1, 0, 0]
               0 number of input sets, lane 0 = [1]
               0 output sets, lane 0 = [3, 0, 0, 0]
               0 number of output sets, lane 0 = [3]
               2 host 0: end
               2 link in 0: write (item 0, lane 0, input set 0) >1>
               2 calls, lane 0: call (item 0)
               2 input sets, lane 0 = [0, 0, 0, 1]
               2 output sets, lane 0 = [2, 1, 0, 0]
               3 link in 0: end
               3 calls, lane 0: end
               3 kernel 0: kernel (item 0, lane 0, input set 0, output set 0) >1>
               3 calls, lane 0: flush call ()
               3 run! flush call (lane 0)
               3 input sets, lane 0 = [1, 0, 0, 0]
               6 kernel 0: end
               6 calls, lane 0: end
               6 link out 0: read (item 0, lane 0, output set 0) >1>
               6 calls, lane 0: flush call ()
               6 run! flush call (lane 0)
               7 link out 0: end
               7 calls, lane 0: end
               7 host 0: postprocess (item 0, lane 0, output set 0) >1>
               7 output sets, lane 0 = [2, 0, 0, 1]
               9 host 0: end
               9 delivery: failed (item 0) >1
               9 delivery: end
               9 run! item failed (item 0, why "planned")
               9 output sets, lane 0 = [3, 0, 0, 0]
        "#]],
    );
}

#[test]
fn what_was_left_out_is_a_slice_and_counters_are_0_that_long() {
    let mut case = Case::new(DeviceModel::Queued, Sets::Joint(2), 20);
    case.journeys = 2;
    let (trace, _) = case.run();
    let rows: Vec<_> = trace.events().collect();
    let left_out = rows.iter().find_map(|event| match event {
        Event::Begin { at, slice, .. } if slice.name == "left out" => Some((*at, slice.args.clone())),
        _ => None,
    });
    let (from, args) = left_out.unwrap();
    assert_eq!(args, [("items", Arg::Number(18))]);
    let [first, last] = &trace.journeys[..] else { panic!("{trace:?}") };
    assert_eq!((first.sequence, last.sequence), (0, 19));
    assert_eq!(from, first.source.unwrap().end);
    let counted: Vec<_> = rows
        .iter()
        .filter_map(|event| match event {
            Event::Counters { at, values, .. } if values.len() > 1 => Some((*at, values.iter().sum::<u64>())),
            _ => None,
        })
        .collect();
    assert_eq!(counted, [(0, 0), (last.delivered, 2)], "{rows:#?}");
}

/// Checks what holds of all events.
fn check_events(case: &Case) {
    let (trace, states) = case.run();
    let mut tracks: Vec<Track<'_>> = Vec::new();
    let mut open: HashMap<TrackId, Nanos> = HashMap::new();
    let mut flows: HashMap<u64, bool> = HashMap::new();
    let mut now = 0;
    let mut slices = 0;
    let mut counters: BTreeMap<TrackId, Vec<(Nanos, Vec<u64>)>> = BTreeMap::new();
    for event in trace.events() {
        let (track, at) = match &event {
            Event::Track(track) => (track.id, now),
            Event::Begin { track, at, .. } | Event::End { track, at } | Event::Instant { track, at, .. } => {
                assert_eq!(tracks[track.0 as usize].kind, Kind::Row);
                (*track, *at)
            }
            Event::Counters { track, at, .. } => (*track, *at),
        };
        assert!(at >= now, "{event:?} after {now}");
        now = at;
        match event {
            Event::Track(new) => {
                assert_eq!(new.id.0 as usize, tracks.len());
                assert_eq!(new.parent.is_none(), new.kind == Kind::Group);
                assert!(new.parent.is_none_or(|parent| tracks[parent.0 as usize].kind == Kind::Group));
                let twin = tracks.iter().find(|track| (track.parent, &track.name) == (new.parent, &new.name));
                assert_eq!(twin, None);
                tracks.push(new);
            }
            Event::Begin { slice, .. } => {
                slices += usize::from(slice.flow.is_some());
                assert_eq!(open.insert(track, at), None, "{slice:?} on a busy row");
                if let Some(Flow { id, place }) = slice.flow {
                    let before = flows.insert(id, place == Place::Last);
                    let expected = if place == Place::First { None } else { Some(false) };
                    assert_eq!(before, expected, "{slice:?}");
                }
            }
            Event::End { .. } => assert!(open.remove(&track).is_some_and(|start| start <= at)),
            Event::Instant { .. } => {}
            Event::Counters { values, .. } => {
                let Kind::Counters(series) = tracks[track.0 as usize].kind else { panic!("{track:?}") };
                assert_eq!(values.len(), series.len());
                counters.entry(track).or_default().push((at, values));
            }
        }
    }
    assert!(open.is_empty(), "{open:?} never end");
    assert!(flows.values().all(|ended| *ended), "flows without an end");
    let spans = trace.journeys.iter().map(|journey| journey.spans(&trace.topology).count() + 2);
    assert_eq!(slices, spans.sum::<usize>());

    // Pool by pool, the counters and how many sets there are to be.
    let pools: Vec<_> = counters.values().collect();
    assert_eq!(pools.len(), 2 * states[0].1.len());
    let lost = case.setup.faults.iter().any(|fault| matches!(fault, Fault::LaneLost { .. }));
    let value = |pool: &[(Nanos, Vec<u64>)], time: Nanos| {
        pool.iter().take_while(|(at, _)| *at <= time).last().map(|(_, values)| values.clone()).unwrap()
    };
    for (pool, counted) in pools.chunks(2).enumerate() {
        for (at, values) in counted[0] {
            let (sum, number) = (values.iter().sum::<u64>(), value(counted[1], *at)[0]);
            assert!(sum == number || sum > number && values[0] == 0, "{values:?} of {number} at {at}");
        }
        // Of sets of lost lanes and of items that were left out not all is known.
        if !lost && trace.left_out == 0 {
            for (at, states) in &states {
                assert_eq!(value(counted[0], *at), states[pool], "pool {pool} at {at}");
            }
        }
    }
}

fn sets() -> impl Strategy<Value = Vec<Sets>> {
    prop_oneof![
        prop::collection::vec((1..6_usize).prop_map(Sets::Joint), 4),
        prop::collection::vec(
            (1..5_usize, 1..6_usize).prop_map(|(inputs, outputs)| Sets::Split { inputs, outputs }),
            4
        ),
    ]
}

fn device() -> impl Strategy<Value = DeviceModel> {
    prop_oneof![
        Just(DeviceModel::Queued),
        Just(DeviceModel::Blocking),
        (0..3_u64).prop_map(|call_cost| DeviceModel::Lockstep { call_cost: call_cost * MICRO }),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    let stage = prop_oneof![Just(Stage::Preprocess), Just(Stage::Kernel), Just(Stage::Postprocess)];
    prop_oneof![
        (stage, 0..60_u64).prop_map(|(stage, item)| Fault::Stage(stage, item)),
        (0..60_u64, 0..90_u64).prop_map(|(before, lasts)| Fault::Stall { before, lasts: lasts * MICRO }),
        (0..200_u64).prop_map(|at| Fault::Cancel { at: at * MICRO }),
        (0..2_usize, 0..200_u64).prop_map(|(lane, at)| Fault::LaneLost { lane, at: at * MICRO }),
    ]
}

prop_compose! {
    fn cases()(
        sets in sets(), device in device(), lanes in 1..3_usize, threads in 1..4_usize, items in 0..80_u64,
        times in prop::array::uniform5(0..4_u64), faults in prop::collection::vec(fault(), 0..4),
        half_duplex in any::<bool>(), shared in any::<bool>(), in_order in any::<bool>(),
        journeys in prop_oneof![Just(1000_usize), 2..40_usize],
        steps in prop::collection::vec(0..300_u64, 0..4),
    ) -> Case {
        let lane = LaneConfig { sets: sets[0], lag: device.lag() };
        let mut config = Config::new(vec![lane; lanes], threads);
        // Room for the largest rings, so that the window need not grow.
        config.window = 64;
        config.order = if in_order { Order::InOrder } else { Order::Completed };
        let times = Times::Fixed(times.map(|micros| micros * MICRO));
        let mut setup = Setup::new(config, device, times, items);
        let duplex = if half_duplex { Duplex::Half } else { Duplex::Full };
        setup.links = Links { duplex, shared };
        let is_there = |fault: &Fault| !matches!(fault, Fault::LaneLost { lane, .. } if *lane >= lanes);
        setup.faults = faults.into_iter().filter(is_there).collect();
        Case { setup, journeys, resizes: steps.into_iter().zip(sets.into_iter().skip(1)).collect() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 512 }))]

    #[test]
    fn what_is_shown_is_what_happened(case in cases()) {
        check_events(&case);
    }
}
