//! Plans beside an independent simulation, Intel's published table, and the cases a person would try.

use nbuffer_core::plan::*;
use nbuffer_core::schedule::{Duplex, HostThreads, LIMIT, Sets};
use proptest::prelude::*;

/// Stage times in whole seconds, so that the simulation is exact: Ip, W, K, R, Op.
type Times = [u32; 5];

/// A pipeline of dedicated servers, simulated by its recurrence: item after item, each step starts when the
/// item is there, its server is free and its buffer set is back.
#[derive(Clone, Copy, Debug)]
struct Pipeline {
    times: Times,
    lanes: usize,
    sets: Sets,
    preprocess_threads: usize,
    postprocess_threads: usize,
    overlap: Overlap,
}

/// When an item's steps were.
#[derive(Clone, Copy, Debug, Default)]
struct Item {
    preprocess_start: u64,
    preprocess_end: u64,
    write_end: u64,
    kernel_end: u64,
    read_end: u64,
    postprocess_end: u64,
}

/// Items of which the last ones are in steady state, and how many those are: a multiple of the length of every
/// loop the properties below can make.
const ITEMS: usize = 5_880;
const WINDOW: usize = 2_520;

impl Pipeline {
    fn setting(&self) -> Setting {
        let [preprocess_s, write_s, kernel_s, read_s, postprocess_s] = self.times.map(f64::from);
        let times = StageTimes { preprocess_s, write_s, kernel_s, read_s, postprocess_s, call_s: 0.0 };
        let threads =
            HostThreads::Split { preprocess: self.preprocess_threads, postprocess: self.postprocess_threads };
        let link = Link { duplex: Duplex::Full, shared: self.overlap == Overlap::Queued };
        Setting { overlap: self.overlap, link, ..Setting::new(times, self.lanes, self.sets, threads) }
    }

    fn run(&self, n: usize) -> Vec<Item> {
        match self.overlap {
            Overlap::InLane => self.run_double_buffered(n),
            Overlap::Queued | Overlap::None => self.run_in_order(n),
        }
    }

    /// How far back the item is that gives its input, and the one that gives its output, to an item.
    fn tokens(&self) -> (usize, usize) {
        match self.sets {
            Sets::Joint(n) => (n * self.lanes, n * self.lanes),
            Sets::Split { inputs, outputs } => (inputs * self.lanes, outputs * self.lanes),
        }
    }

    fn run_in_order(&self, n: usize) -> Vec<Item> {
        let [ip, w, k, r, op] = self.times.map(u64::from);
        let (inputs, outputs) = self.tokens();
        let joint = matches!(self.sets, Sets::Joint(_));
        let blocking = self.overlap == Overlap::None;
        let mut items: Vec<Item> = Vec::with_capacity(n);
        for i in 0..n {
            let back = |by: usize| if by > i { Item::default() } else { items[i - by] };
            let input_free = match (joint, blocking) {
                (true, _) => back(inputs).postprocess_end,
                (false, false) => back(inputs).kernel_end,
                (false, true) => back(inputs).read_end,
            };
            let preprocess_start = input_free.max(back(self.preprocess_threads).preprocess_end);
            let preprocess_end = preprocess_start + ip;
            let output_free = if joint { 0 } else { back(outputs).postprocess_end };
            let submitted = preprocess_end.max(output_free);
            let (write_end, kernel_end, read_end);
            if blocking {
                write_end = submitted.max(back(self.lanes).read_end) + w;
                kernel_end = write_end + k;
                read_end = kernel_end + r;
            } else {
                write_end = submitted.max(back(1).write_end) + w;
                kernel_end = write_end.max(back(self.lanes).kernel_end) + k;
                read_end = kernel_end.max(back(1).read_end) + r;
            }
            let postprocess_end = read_end.max(back(self.postprocess_threads).postprocess_end) + op;
            items.push(Item {
                preprocess_start,
                preprocess_end,
                write_end,
                kernel_end,
                read_end,
                postprocess_end,
            });
        }
        items
    }

    /// One lane, whose results come two calls late. A ring all of whose sets are in the lane is flushed, and so
    /// are the last items.
    fn run_double_buffered(&self, n: usize) -> Vec<Item> {
        let [ip, w, k, r, op] = self.times.map(u64::from);
        let call = w.max(k).max(r);
        let (inputs, outputs) = self.tokens();
        let joint = matches!(self.sets, Sets::Joint(_));
        let mut items: Vec<Item> = Vec::with_capacity(n);
        let mut lane_free = 0;
        // The calls since; each tells which item it submitted, if any.
        let mut calls: [Option<usize>; 2] = [None, None];
        let mut in_lane = 0;
        while items.len() < n || in_lane > 0 {
            let i = items.len();
            let submits = i < n && in_lane < outputs;
            if submits {
                let back = |by: usize| if by > i { Item::default() } else { items[i - by] };
                let input_free = if joint { back(inputs).postprocess_end } else { back(inputs).kernel_end };
                let preprocess_start = input_free.max(back(self.preprocess_threads).preprocess_end);
                let preprocess_end = preprocess_start + ip;
                let output_free = if joint { 0 } else { back(outputs).postprocess_end };
                lane_free = lane_free.max(preprocess_end).max(output_free);
                items.push(Item { preprocess_start, preprocess_end, ..Item::default() });
                in_lane += 1;
            }
            lane_free += call;
            if submits {
                items[i].kernel_end = lane_free;
            }
            let [landed, last] = calls;
            calls = [last, submits.then_some(i)];
            if let Some(landed) = landed {
                in_lane -= 1;
                let thread = landed.checked_sub(self.postprocess_threads);
                let thread_free = thread.map_or(0, |other| items[other].postprocess_end);
                items[landed].read_end = lane_free;
                items[landed].postprocess_end = lane_free.max(thread_free) + op;
            }
        }
        items
    }

    /// The last `WINDOW` items in steady state, and the one before. (The very last ones are flushed.)
    fn steady(&self) -> Vec<Item> {
        self.run(ITEMS)[ITEMS - WINDOW - 3..ITEMS - 2].to_vec()
    }

    /// The time of `WINDOW` items.
    fn window(&self) -> u64 {
        let items = self.steady();
        items[WINDOW].postprocess_end - items[0].postprocess_end
    }

    /// Flush calls for want of output sets get in the way of inputs: the one case of a lower bound only.
    fn is_exact(&self) -> bool {
        !matches!((self.overlap, self.sets), (Overlap::InLane, Sets::Split { outputs: 1 | 2, .. }))
    }

    #[track_caller]
    fn plan(&self) -> Plan {
        Plan::new(&self.setting()).expect("the setting is in range")
    }
}

fn pipelines() -> impl Strategy<Value = Pipeline> {
    let sets = |most: usize| {
        prop_oneof![
            (1..=most).prop_map(Sets::Joint),
            (1..=most, 1..=most).prop_map(|(inputs, outputs)| Sets::Split { inputs, outputs }),
        ]
    };
    // The product of lanes and sets divides `WINDOW`.
    let shape = prop_oneof![
        3 => (Just(1), sets(8)),
        1 => (Just(2), sets(5)),
        1 => (Just(3), sets(4)),
    ];
    let overlap =
        prop_oneof![4 => Just(Overlap::Queued), 1 => Just(Overlap::None), 2 => Just(Overlap::InLane)];
    let times =
        prop::array::uniform5(0_u32..=9).prop_filter("something takes time", |t| t.iter().any(|&t| t > 0));
    (times, shape, 1..=3_usize, 1..=3_usize, overlap).prop_map(
        |(times, (lanes, sets), pre, post, overlap)| {
            let lanes = if overlap == Overlap::InLane { 1 } else { lanes };
            Pipeline { times, lanes, sets, preprocess_threads: pre, postprocess_threads: post, overlap }
        },
    )
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn the_period_of_dedicated_servers_is_exact(pipeline in pipelines()) {
        let window_s = pipeline.plan().period_s() * WINDOW as f64;
        let simulated = pipeline.window() as f64;
        let exact = close(simulated, window_s) || simulated > window_s && !pipeline.is_exact();
        prop_assert!(exact, "{simulated} simulated, {window_s} planned");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn n_star_reaches_the_best_period_and_one_less_does_not(pipeline in pipelines()) {
        let plan = pipeline.plan();
        let best_s = plan.resource_period_s * WINDOW as f64;
        let enough = plan.buffers.enough;
        let with = |sets| Pipeline { sets, ..pipeline };
        prop_assert!(close(with(enough).window() as f64, best_s), "with {enough:?}");
        let fewer = match enough {
            Sets::Joint(n) => vec![Sets::Joint(n - 1)],
            Sets::Split { inputs, outputs } => vec![
                Sets::Split { inputs: inputs - 1, outputs },
                Sets::Split { inputs, outputs: outputs - 1 },
            ],
        };
        for sets in fewer {
            if !matches!(sets, Sets::Joint(0) | Sets::Split { inputs: 0, .. } | Sets::Split { outputs: 0, .. }) {
                let window = with(sets).window() as f64;
                prop_assert!(window > best_s + 0.5, "{sets:?} also give {window} for {best_s}");
            }
        }
    }

    #[test]
    fn no_stream_takes_longer_than_planned(pipeline in pipelines(), items in 1_usize..200) {
        prop_assume!(pipeline.is_exact());
        let simulated = pipeline.run(items)[items - 1].postprocess_end as f64;
        // The flush calls at the end bring two results back with the last one.
        let bunched = if pipeline.overlap == Overlap::InLane { 2.0 * f64::from(pipeline.times[4]) } else { 0.0 };
        let planned_s = pipeline.plan().time_for_s(items as u64) + bunched;
        prop_assert!(simulated <= planned_s + 1e-6, "{items} items: {simulated} simulated, {planned_s} planned");
    }

    #[test]
    fn no_item_stays_longer_on_average_than_planned(pipeline in pipelines()) {
        prop_assume!(pipeline.is_exact());
        let items = pipeline.steady();
        let stays: u64 = items[1..].iter().map(|item| item.postprocess_end - item.preprocess_start).sum();
        let mean_s = stays as f64 / WINDOW as f64;
        let plan = pipeline.plan();
        prop_assert!(mean_s <= plan.residence_s + 1e-6, "{mean_s} simulated, {} planned", plan.residence_s);
        // Joint sets that wait for nothing before preprocess are all in use.
        let waits = plan.slack(Resource::PreprocessThreads).unwrap() == 0.0;
        if matches!(pipeline.sets, Sets::Joint(_)) && !waits {
            prop_assert!(close(mean_s, plan.residence_s), "{mean_s} simulated, {} planned", plan.residence_s);
        }
    }
}

/// 4, 0.5, 2, 0.5 and 1 ms on one queued lane.
fn example(n: usize, threads: usize) -> Setting {
    let times = StageTimes {
        preprocess_s: 0.004,
        write_s: 0.0005,
        kernel_s: 0.002,
        read_s: 0.0005,
        postprocess_s: 0.001,
        call_s: 0.0,
    };
    Setting::new(times, 1, Sets::Joint(n), HostThreads::Shared(threads))
}

#[track_caller]
fn planned(setting: &Setting) -> Plan {
    Plan::new(setting).expect("the setting is in range")
}

#[track_caller]
fn check(setting: Setting, binding: Resource, period_s: f64, buffers: usize, threads: usize) {
    let plan = planned(&setting);
    assert_eq!(plan.binding().resource, binding, "{:?}", plan.bounds);
    assert!((plan.period_s() - period_s).abs() < 1e-12, "{} s", plan.period_s());
    assert_eq!(plan.buffers.enough, Sets::Joint(buffers));
    assert_eq!(plan.host_threads_enough, HostThreads::Shared(threads));
}

#[test]
fn too_few_host_threads_bind_and_more_buffers_give_nothing() {
    check(example(8, 2), Resource::Host, 0.0025, 4, 3);
    check(example(80, 2), Resource::Host, 0.0025, 4, 3);
}

#[test]
fn too_few_buffers_bind() {
    check(example(2, 3), Resource::Buffers, 0.004, 4, 3);
}

#[test]
fn a_device_that_does_one_thing_at_a_time_takes_their_sum() {
    check(Setting { overlap: Overlap::None, ..example(4, 4) }, Resource::Device, 0.003, 3, 2);
}

#[test]
fn double_buffering_takes_the_longest_of_the_three() {
    let mut half = Setting { overlap: Overlap::InLane, ..example(9, 9) };
    half.link.duplex = Duplex::Half;
    half.times.write_s = 0.002;
    check(half, Resource::Device, 0.0025, 5, 2);
    // 5 ms of host work and a call of 2 ms every 2 ms, and the two sets that wait in the lane.
    check(Setting { overlap: Overlap::InLane, ..example(6, 4) }, Resource::Device, 0.002, 6, 3);
    check(Setting { overlap: Overlap::InLane, ..example(5, 4) }, Resource::Buffers, 0.007 / 3.0, 6, 3);
}

#[test]
fn a_double_buffered_ring_of_up_to_three_sets_makes_three_calls_for_them() {
    for (n, period_s) in [(1, 0.011), (2, 0.008), (3, 0.007), (4, 0.0035)] {
        check(Setting { overlap: Overlap::InLane, ..example(n, 9) }, Resource::Buffers, period_s, 6, 3);
    }
}

#[test]
fn what_a_call_costs_beside_its_stages_counts() {
    let mut setting = Setting { overlap: Overlap::InLane, ..example(6, 4) };
    setting.times.call_s = 0.0025;
    check(setting, Resource::Device, 0.0025, 5, 2);
}

#[test]
fn a_launch_that_no_queue_hides_is_the_kernels() {
    check(Setting { launch_s: 0.0005, ..example(9, 9) }, Resource::Device, 0.0025, 4, 2);
}

#[test]
fn both_directions_of_a_half_duplex_link_add_up() {
    let mut setting = example(9, 9);
    setting.link.duplex = Duplex::Half;
    setting.times.write_s = 0.0015;
    setting.times.read_s = 0.0015;
    check(setting, Resource::Link, 0.003, 4, 2);
    setting.link.duplex = Duplex::Full;
    check(setting, Resource::Device, 0.002, 5, 3);
}

#[test]
fn lanes_share_a_link_or_have_one_each() {
    let mut setting = Setting { lanes: 8, ..example(9, 99) };
    check(setting, Resource::Write, 0.0005, 2, 10);
    setting.link.shared = false;
    check(setting, Resource::Device, 0.00025, 4, 20);
    // Lanes that block share it too, each in its own calls.
    let blocking = Setting { overlap: Overlap::None, link: Link::default(), ..setting };
    check(blocking, Resource::Write, 0.0005, 2, 10);
}

/// Lanes that compute on the cores of the host threads: together they cannot do more than the cores can.
#[test]
fn lanes_that_compute_on_the_hosts_cores_share_them() {
    let cpu = |lanes, n, threads, cores| Setting {
        lanes,
        cores: Some(cores),
        overlap: Overlap::None,
        ..example(n, threads)
    };
    // Ip 4, a call of 3 and Op 1 ms.
    check(cpu(2, 1, 2, 2), Resource::Cores, 0.004, 1, 2);
    let plan = planned(&cpu(2, 4, 2, 2));
    assert_eq!((plan.buffers.advised, plan.buffers.spare.shared), (Sets::Joint(1), 0));
    assert!(plan.buffers.why.ends_with("every core has something to do"), "{}", plan.buffers.why);
    let advice = plan.advice();
    assert_eq!(
        advice[0],
        "core-bound: 3 cores instead of 2 give 1.50x; a device that computes as fast with cores of its own gives 1.60x \
         (then the host threads are the limit); more buffer sets, host threads or lanes give nothing"
    );
    // One lane of two cores: the other core prepares, and has too much to do.
    check(cpu(1, 4, 2, 2), Resource::Cores, 0.004, 2, 2);
    assert_eq!(planned(&cpu(1, 4, 2, 2)).buffers.spare.shared, 2);
    // More cores than there is work for.
    check(cpu(1, 4, 4, 4), Resource::Device, 0.003, 3, 4);
    // A thread more than there are cores is taken at its word.
    check(cpu(2, 4, 4, 2), Resource::Cores, 0.002, 2, 2);
}

#[test]
fn a_slow_source_asks_for_fewer_buffers() {
    let setting = Setting { source_s: 0.01, ..example(4, 4) };
    check(setting, Resource::Source, 0.01, 1, 1);
    assert_eq!(planned(&setting).residence_s, 0.008);
}

#[test]
fn threads_for_one_stage_are_counted_apart() {
    let threads = HostThreads::Split { preprocess: 1, postprocess: 1 };
    let plan = planned(&Setting { host_threads: threads, ..example(8, 1) });
    assert_eq!((plan.binding().resource, plan.period_s()), (Resource::PreprocessThreads, 0.004));
    assert_eq!(plan.host_threads_enough, HostThreads::Split { preprocess: 2, postprocess: 1 });
}

#[test]
fn every_other_bound_has_its_slack() {
    let plan = planned(&example(4, 2));
    let slack = |resource| plan.slack(resource).map(|slack| (slack * 1e6).round() / 1e6);
    assert_eq!(slack(Resource::Host), Some(0.0));
    assert_eq!(slack(Resource::Device), Some(0.2));
    assert_eq!(slack(Resource::Write), Some(0.8));
    assert_eq!(slack(Resource::Buffers), Some(0.2));
    assert_eq!(slack(Resource::Source), None);
    assert_eq!(slack(Resource::Inputs), None);
}

#[test]
fn the_device_is_named_where_others_bind_as_much() {
    let mut setting = example(4, 2);
    setting.times.kernel_s = 0.0025;
    assert_eq!(planned(&setting).binding().resource, Resource::Device);
}

#[test]
fn quantities_of_a_plan() {
    let mut setting = example(8, 3);
    setting.set_bytes = SetBytes { input: 1000, output: 10 };
    let plan = planned(&setting);
    assert!(close(plan.latency_s, 0.008) && close(plan.residence_s, 0.016));
    assert!(close(plan.cores_busy(), 2.5) && close(plan.device_busy(), 1.0));
    assert_eq!(plan.memory_bytes(), 8 * 1010);
    assert_eq!(plan.time_for_s(0), 0.0);
    assert!(close(plan.time_for_s(1), 0.008) && close(plan.time_for_s(101), 0.208));
    setting.sets = Sets::Split { inputs: 4, outputs: 2 };
    setting.lanes = 2;
    assert_eq!(planned(&setting).memory_bytes(), 2 * 4020);
}

#[test]
fn spare_sets_for_shared_servers() {
    let spare = |setting: Setting| planned(&setting).buffers.spare.shared;
    // As many threads as sets; threads of each stage's own.
    assert_eq!(spare(example(3, 4)), 0);
    let own = HostThreads::Split { preprocess: 2, postprocess: 1 };
    assert_eq!(spare(Setting { host_threads: own, ..example(9, 1) }), 0);
    // Shared, beside a device that binds; shared and binding.
    assert_eq!(spare(example(9, 3)), 1);
    assert_eq!(spare(example(9, 2)), 2);
    let mut half = Setting { host_threads: own, ..example(9, 1) };
    half.link.duplex = Duplex::Half;
    assert_eq!(spare(half), 1);
    half.times.write_s = 0.0019;
    assert_eq!(spare(half), 2);
    // A call has the link to itself unless other lanes share it.
    half.overlap = Overlap::None;
    assert_eq!(spare(half), 0);
    half.lanes = 2;
    assert_eq!(spare(half), 2);
    let plan = planned(&example(9, 2));
    assert_eq!((plan.buffers.enough, plan.buffers.advised), (Sets::Joint(4), Sets::Joint(6)));
    assert!(plan.buffers.why.contains("+2 for stages that share the host threads (the limit itself)"));
}

#[test]
fn spare_sets_for_jitter() {
    let spare = |cv: StageCv| {
        let plan = planned(&Setting { cv, ..example(4, 4) });
        (plan.buffers.spare.jitter, plan.buffers.spare.jitter_covered)
    };
    let hosts = |cv| StageCv { kernel: 0.0, ..StageCv::all(cv) };
    for (cv, expected) in [(0.0, 0), (0.1, 0), (0.11, 1), (0.5, 1), (0.6, 4), (1.0, 4)] {
        assert_eq!(spare(hosts(cv)), (expected, true), "cv {cv} without the kernel");
    }
    for (cv, expected) in
        [(0.05, (0, true)), (0.06, (1, true)), (0.3, (1, true)), (0.5, (2, true)), (0.51, (4, false))]
    {
        assert_eq!(spare(StageCv::all(cv)), expected, "cv {cv} with the kernel");
    }
    assert_eq!(spare(hosts(1.01)), (4, false));
    let why = planned(&Setting { cv: StageCv::all(1.0), ..example(3, 3) }).buffers.why;
    assert!(why.contains("+4 for times that vary (no small number makes up for so much)"), "{why}");
    // Measured times of stages that take next to nothing vary wildly, and it does not matter.
    let mut setting = Setting { cv: hosts(5.0), ..example(3, 3) };
    setting.times = StageTimes { kernel_s: 0.002, postprocess_s: 1e-6, ..StageTimes::default() };
    assert_eq!(planned(&setting).buffers.spare.jitter, 0);
    // A stage that takes no time cannot vary.
    let mut setting = Setting { cv: StageCv { write: 2.0, ..StageCv::default() }, ..example(3, 3) };
    setting.times.write_s = 0.0;
    assert_eq!(planned(&setting).buffers.spare.jitter, 0);
}

#[test]
fn limits_of_memory_and_latency_cap_the_advice() {
    let limited =
        |limits| Setting { limits, set_bytes: SetBytes { input: 700, output: 300 }, ..example(9, 3) };
    let host = planned(&limited(Limits { host_bytes: Some(4_999), ..Limits::default() }));
    assert_eq!(host.buffers.cap, Some(Cap { sets: 4, limit: "host memory" }));
    assert_eq!((host.buffers.enough, host.buffers.advised), (Sets::Joint(4), Sets::Joint(4)));
    assert!(host.buffers.why.ends_with("; the host memory limit allows 4"), "{}", host.buffers.why);
    assert!(host.advice().iter().any(|a| a.contains("9 buffer sets a lane exceed the host memory limit")));
    let device = Limits { host_bytes: Some(6_000), device_bytes: Some(2_000), latency_s: Some(1.0) };
    assert_eq!(planned(&limited(device)).buffers.cap, Some(Cap { sets: 2, limit: "device memory" }));
    // Six sets keep an item for 12 ms.
    let latency = planned(&limited(Limits { latency_s: Some(0.0121), ..Limits::default() }));
    assert_eq!(latency.buffers.cap, Some(Cap { sets: 6, limit: "latency" }));
    assert!(
        latency.advice().iter().any(|a| a
            == "an item stays 18.00 ms, longer than the limit of 12.10 ms: at most 6 buffer sets a lane"),
        "{:?}",
        latency.advice()
    );
    // N = 1 is as fast as an item can be.
    let least = planned(&limited(Limits { latency_s: Some(0.0081), ..Limits::default() }));
    assert_eq!(least.buffers.cap, Some(Cap { sets: 4, limit: "latency" }));
    let error = Plan::new(&limited(Limits { latency_s: Some(0.0079), ..Limits::default() })).unwrap_err();
    assert_eq!(error, SettingError::Latency { limit_s: 0.0079, least_s: 0.008 });
}

#[test]
fn a_latency_limit_within_double_buffering_where_a_short_ring_is_slower() {
    // Three sets keep an item 3 (h + c), four 2 (h + c).
    let mut setting = Setting { overlap: Overlap::InLane, ..example(4, 9) };
    let residence = |n| planned(&Setting { overlap: Overlap::InLane, ..example(n, 9) }).residence_s;
    assert!(residence(4) < residence(3), "{} and {}", residence(4), residence(3));
    setting.limits.latency_s = Some(residence(4));
    let cap = planned(&setting).buffers.cap.unwrap();
    assert!(cap.sets >= 4 && residence(cap.sets) <= residence(4) + 1e-12);
}

#[test]
fn what_is_out_of_range_is_named() {
    let field = |change: fn(&mut Setting)| {
        let mut setting = example(4, 4);
        change(&mut setting);
        let error = Plan::new(&setting).unwrap_err();
        assert!(!error.to_string().is_empty());
        error.field()
    };
    use nbuffer_core::measure::Stage;
    assert_eq!(field(|s| s.times.kernel_s = -1.0), Field::Time(Stage::Kernel));
    assert_eq!(field(|s| s.times.write_s = f64::NAN), Field::Time(Stage::Write));
    assert_eq!(field(|s| s.times.read_s = f64::INFINITY), Field::Time(Stage::Read));
    assert_eq!(field(|s| s.times.preprocess_s = 3601.0), Field::Time(Stage::Preprocess));
    assert_eq!(field(|s| s.times.call_s = -0.1), Field::Call);
    assert_eq!(field(|s| s.times = StageTimes::default()), Field::Times);
    assert_eq!(field(|s| s.cv.postprocess = -0.1), Field::Cv(Stage::Postprocess));
    assert_eq!(field(|s| s.cv.kernel = 11.0), Field::Cv(Stage::Kernel));
    assert_eq!(field(|s| s.launch_s = f64::NAN), Field::LaunchOverhead);
    assert_eq!(field(|s| s.source_s = -1.0), Field::SourceInterval);
    assert_eq!(field(|s| s.lanes = 0), Field::Lanes);
    assert_eq!(field(|s| s.sets = Sets::Joint(LIMIT + 1)), Field::Buffers);
    assert_eq!(field(|s| s.sets = Sets::Split { inputs: 1, outputs: 0 }), Field::Buffers);
    assert_eq!(field(|s| s.host_threads = HostThreads::Shared(0)), Field::HostThreads);
    assert_eq!(field(|s| s.limits.latency_s = Some(0.0)), Field::Latency);
    assert_eq!(field(|s| s.limits.latency_s = Some(f64::NAN)), Field::Latency);
    assert_eq!(field(|s| s.limits.host_bytes = Some(1)), Field::HostMemory);
    let below = |s: &mut Setting| {
        s.set_bytes = SetBytes { input: 60, output: 40 };
        s.lanes = 2;
        s.limits.device_bytes = Some(199);
    };
    assert_eq!(field(below), Field::DeviceMemory);
    let mut setting = example(4, 4);
    below(&mut setting);
    let words = "device memory limit is 199 B: one buffer set for each lane (2) takes 200 B";
    assert_eq!(Plan::new(&setting).unwrap_err().to_string(), words);
}

#[test]
fn nothing_overflows_at_the_ends_of_the_ranges() {
    let times = StageTimes { preprocess_s: LONGEST_S, kernel_s: 1e-12, ..StageTimes::default() };
    let bytes = SetBytes { input: u64::MAX, output: u64::MAX };
    for sets in [Sets::Joint(LIMIT), Sets::Split { inputs: LIMIT, outputs: LIMIT }] {
        for overlap in [Overlap::Queued, Overlap::None, Overlap::InLane] {
            for threads in [1, LIMIT] {
                let threads = HostThreads::Shared(threads);
                let setting = Setting::new(times, LIMIT, sets, threads);
                let plan = planned(&Setting { set_bytes: bytes, overlap, ..setting });
                assert_eq!(plan.memory_bytes(), u64::MAX);
                assert!(plan.period_s().is_finite() && !plan.advice().is_empty());
                plan.intel_rule();
            }
        }
    }
}

#[test]
fn advice_says_what_binds_and_what_a_change_gives() {
    let first = |setting: Setting| planned(&setting).advice().remove(0);
    let host = first(example(8, 2));
    assert_eq!(
        host,
        "host-bound: 3 host threads instead of 2 give 1.25x (then the device is the limit); more buffer sets give nothing"
    );
    let few = first(example(3, 1));
    assert_eq!(
        few,
        "host-bound: 3 host threads instead of 1 give 1.88x (then the buffer sets are the limit); more buffer sets give nothing"
    );
    let buffers = first(example(2, 3));
    assert_eq!(
        buffers,
        "buffer-bound: 4 buffer sets a lane instead of 2 give 2.00x (then the device is the limit); more host threads give nothing"
    );
    let device = first(example(4, 3));
    assert_eq!(
        device,
        "device-bound: 2 lanes instead of 1, each with a compute unit, give 1.20x (then the host threads are the limit); more buffer sets or host threads give nothing"
    );
    let blocking = first(Setting { overlap: Overlap::None, ..example(8, 8) });
    assert!(blocking.contains("double buffering gives 1.50x;"), "{blocking}");
    // What a call costs beside its stages stays: 4 ms of which 1 ms is overlapped.
    let mut blocking = Setting { overlap: Overlap::None, ..example(8, 8) };
    blocking.times.call_s = 0.004;
    assert!(first(blocking).contains("double buffering gives 1.33x;"), "{}", first(blocking));
    let source = first(Setting { source_s: 0.004, ..example(8, 8) });
    assert!(
        source.starts_with("source-bound: an item comes every 4.00 ms; a faster source gives up to 2.00x")
    );
    let mut link = example(9, 9);
    link.times.read_s = 0.004;
    assert!(
        first(link).starts_with("link-bound: half the bytes from the device give 2.00x"),
        "{}",
        first(link)
    );
    link.link.duplex = Duplex::Half;
    assert!(first(link).starts_with("link-bound: a full-duplex link gives 1.12x"), "{}", first(link));
}

#[test]
fn advice_says_what_is_too_much() {
    let advice = planned(&example(9, 6)).advice();
    assert_eq!(advice[1], "4 buffer sets a lane are enough; the others make each item 10.00 ms later");
    assert_eq!(advice[2], "3 host threads are enough");
    assert_eq!(planned(&example(4, 3)).advice().len(), 1);
}

/// Intel's n_way_buffering sample, its README's tables for 100 launches: overall milliseconds with one host
/// thread, with threads, at N = 2 and at N = 5, and the kernels' milliseconds. SmartNIC N6001-PL: the current
/// README; PAC Arria 10 GX: the README until September 2023.
const PUBLISHED: [(&str, [f64; 4], f64); 2] = [
    ("Arria 10", [64401.0, 53540.0, 27281.0, 16284.0], 15187.0),
    ("N6001", [14257.0, 14001.0, 13401.0, 13182.0], 13008.0),
];

/// Kernel and host times come from the two one-way rows alone, where nothing overlaps but the two host sides:
/// what the threads save is the shorter one. Which side is the longer one makes no difference.
#[test]
fn intels_published_table_is_reproduced_from_its_one_way_rows() {
    for (board, [one_thread, threads, two_way, five_way], kernels) in PUBLISHED {
        let (launches, ms) = (100.0, 1e-3);
        let kernel_s = kernels / launches * ms;
        let long_s = threads / launches * ms - kernel_s;
        let short_s = (one_thread - threads) / launches * ms;
        let times =
            StageTimes { preprocess_s: long_s, kernel_s, postprocess_s: short_s, ..StageTimes::default() };
        for (n, measured) in [(2, two_way), (5, five_way)] {
            let threads = HostThreads::Split { preprocess: n, postprocess: n };
            let sets = Sets::Split { inputs: n, outputs: n };
            let predicted_s = planned(&Setting::new(times, 1, sets, threads)).time_for_s(100);
            let error = predicted_s / (measured * ms) - 1.0;
            println!(
                "{board}, {n}-way: {:.0} ms predicted, {measured} ms measured, {:+.1} %",
                predicted_s / ms,
                100.0 * error
            );
            assert!(error.abs() <= 0.04, "{board}, {n}-way: off by {:.1} %", 100.0 * error);
        }
    }
}

#[test]
fn intels_rule_beside_the_plan() {
    let times = |preprocess_s, write_s, kernel_s, read_s, postprocess_s| StageTimes {
        preprocess_s,
        write_s,
        kernel_s,
        read_s,
        postprocess_s,
        call_s: 0.0,
    };
    let own = HostThreads::Split { preprocess: 9, postprocess: 9 };
    let joint = |t| Setting::new(t, 1, Sets::Joint(9), own);
    let split = |t| Setting::new(t, 1, Sets::Split { inputs: 9, outputs: 9 }, own);
    let check = |setting: Setting, buffers, cores, verdict, cores_verdict| {
        let rule = planned(&setting).intel_rule();
        assert_eq!((rule.buffers, rule.cores), (buffers, cores), "{rule:?}");
        assert_eq!((rule.verdict, rule.cores_verdict), (verdict, cores_verdict), "{rule:?}");
        assert!(!rule.why.is_empty());
    };
    use Verdict::*;
    // One set for both sides needs up to twice as many.
    let both = times(3.0, 1.0, 2.0, 1.0, 3.0);
    check(joint(both), Some(3), Some(4), Hopeful, Agrees);
    // Split sets without a write: the same bound.
    check(split(times(4.0, 0.0, 2.0, 0.0, 4.0)), Some(3), Some(4), Agrees, Agrees);
    check(split(times(1.0, 0.0, 2.0, 0.0, 1.0)), Some(2), Some(2), Agrees, Agrees);
    check(split(times(1.0, 1.5, 2.0, 0.0, 3.0)), Some(3), Some(4), Hopeful, Careful);
    check(joint(times(1.0, 0.0, 2.0, 0.0, 0.5)), Some(2), Some(2), Agrees, Agrees);
    // Full duplex takes transfers that the rule refuses; half duplex does not.
    let transfers = times(1.0, 1.5, 2.0, 1.5, 1.0);
    check(joint(transfers), None, None, Careful, Silent);
    let link = Link { duplex: Duplex::Half, shared: true };
    check(Setting { link, ..joint(transfers) }, None, None, Agrees, Silent);
    // It knows no calls that block, no results that come late, no launch overhead, no slow source.
    check(Setting { overlap: Overlap::None, ..joint(both) }, Some(3), Some(4), Hopeful, Careful);
    check(Setting { overlap: Overlap::InLane, ..joint(both) }, Some(3), Some(4), Hopeful, Agrees);
    check(Setting { launch_s: 0.5, ..joint(both) }, Some(3), Some(4), Hopeful, Agrees);
    check(Setting { source_s: 9.0, ..joint(both) }, Some(3), Some(4), Careful, Careful);
    check(joint(times(1.0, 1.0, 0.0, 1.0, 1.0)), None, None, Silent, Silent);
    let silent_on = |setting: Setting| planned(&setting).intel_rule().silent_on;
    assert!(silent_on(joint(both)).is_empty());
    let all = Setting { lanes: 2, launch_s: 0.1, source_s: 0.1, link, cv: StageCv::all(0.5), ..joint(both) };
    let words = ["several lanes", "launch overhead", "the source", "stages that share a server", "jitter"];
    assert_eq!(silent_on(all), words);
    // Too few threads of the setting's own are not what it is judged by.
    let few = HostThreads::Split { preprocess: 1, postprocess: 1 };
    check(
        Setting { host_threads: few, ..split(times(4.0, 0.0, 2.0, 0.0, 4.0)) },
        Some(3),
        Some(4),
        Agrees,
        Agrees,
    );
}
