//! Runs with one thing wrong with each of them: it has the largest share.

use expect_test::expect;
use nbuffer_core::downtime::{Cause, Downtime, GAPS_MAX};
use nbuffer_core::measure::{Measures, Nanos};
use nbuffer_core::plan::{Link, Overlap, Plan, Setting, StageCv, StageTimes};
use nbuffer_core::schedule::{Duplex, HostThreads, Sets};
use nbuffer_core::summary::KernelSummary;
use nbuffer_core::trace::{Interval, Journey, Trace, Tracer};
use nbuffer_core::virtual_time::{Fault, Setup, Simulation};

const ITEMS: u64 = 400;

pub(crate) fn traced(setup: &Setup, journeys: usize) -> (Trace, Measures) {
    let mut tracer = Tracer::new(journeys, setup.schedule.window);
    let run = Simulation::watched(setup, &mut tracer).unwrap().run();
    (tracer.trace(setup.topology()), run.measures)
}

/// The downtime of a run that was traced whole. It is what was measured, and everything adds up.
#[track_caller]
pub(crate) fn downtime(setup: &Setup) -> Downtime {
    let (trace, measures) = traced(setup, 2 * setup.source.items as usize);
    let downtime = Downtime::of(&trace);
    let measured: Nanos = measures.units().iter().map(|unit| unit.downtime()).sum();
    let steady: Nanos = measures.units().iter().map(|unit| unit.steady()).sum();
    assert_eq!((downtime.downtime(), downtime.steady), (measured, steady), "{setup:?}");
    assert_eq!(downtime.longest.len() as u64, downtime.n_gaps.min(GAPS_MAX as u64));
    assert!(downtime.longest.is_sorted_by_key(|gap| std::cmp::Reverse(gap.time.length())));
    for gap in &downtime.longest {
        assert_eq!(gap.shares.total(), gap.time.length(), "{gap:?} of {setup:?}");
    }
    downtime
}

/// A run, and what is wrong with it.
struct Planted {
    name: String,
    setup: Setup,
    plan: Option<Plan>,
    causes: &'static [Cause],
    /// The least share of the causes together.
    least: f64,
}

impl Planted {
    fn new(name: String, setting: Setting, causes: &'static [Cause]) -> Self {
        let setup = Setup::from_setting(&setting, ITEMS, 7).unwrap();
        Planted { name, setup, plan: Some(Plan::new(&setting).unwrap()), causes, least: 0.9 }
    }
}

/// Stage times in us.
fn setting(times: [f64; 5], sets: Sets, threads: usize) -> Setting {
    let [preprocess_s, write_s, kernel_s, read_s, postprocess_s] = times.map(|us| us * 1e-6);
    let times = StageTimes { preprocess_s, write_s, kernel_s, read_s, postprocess_s, call_s: 0.0 };
    Setting::new(times, 1, sets, HostThreads::Shared(threads))
}

const JOINT: Sets = Sets::Joint(6);
const SPLIT: Sets = Sets::Split { inputs: 5, outputs: 6 };

/// What is wrong with lanes of one kind. What lanes share gets faster with their number.
fn planted_in(overlap: Overlap, sets: Sets, lanes: usize) -> Vec<Planted> {
    let mut all = Vec::new();
    let layout = if sets == JOINT { "joint" } else { "split" };
    let mut add = |what: &str, setting: Setting, causes| {
        let name = format!("{}, {layout} sets, {lanes} lanes: {what}", overlap.name());
        all.push(Planted::new(name, setting, causes));
    };
    let shared = 1.0 / lanes as f64;
    let with = |times, threads| Setting { overlap, lanes, ..setting(times, sets, threads) };
    add("slow host", with([600.0 * shared, 10.0, 100.0, 10.0, 200.0 * shared], 2), &[Cause::Host]);
    add("one host thread", with([300.0 * shared, 10.0, 100.0, 10.0, 200.0 * shared], 1), &[Cause::Host]);
    let waits = Setting { source_s: 1e-3 * shared, ..with([50.0, 10.0, 100.0, 10.0, 50.0], 4) };
    add("slow source", waits, &[Cause::Source]);
    let few = |n| if sets == JOINT { Sets::Joint(n) } else { Sets::Split { inputs: n, outputs: n } };
    let one = Setting { sets: few(1), ..with([400.0, 20.0, 100.0, 20.0, 400.0], 8) };
    add("one set", one, &[Cause::Buffers]);
    match overlap {
        Overlap::Queued => {
            add("slow writes", with([50.0, 400.0 * shared, 100.0, 50.0, 50.0], 4), &[Cause::Write]);
            add("slow reads", with([50.0, 50.0, 100.0, 400.0 * shared, 50.0], 4), &[Cause::Read]);
            let link = Link { duplex: Duplex::Half, shared: true };
            let half = Setting { link, ..with([50.0, 200.0 * shared, 100.0, 200.0 * shared, 50.0], 4) };
            add("half-duplex link", half, &[Cause::Write, Cause::Read]);
            let launch = Setting { launch_s: 50e-6, ..with([50.0, 50.0, 100.0, 50.0, 50.0], 4) };
            add("launch overhead", launch, &[Cause::Launch]);
        }
        Overlap::None => {
            let transfers = with([20.0, 200.0, 100.0, 100.0, 20.0], 8);
            add("transfers in the call", transfers, &[Cause::Write, Cause::Read]);
        }
        Overlap::InLane => {
            add("slow writes", with([50.0, 400.0, 100.0, 50.0, 50.0], 8), &[Cause::Write]);
            add("slow reads", with([50.0, 50.0, 100.0, 400.0, 50.0], 8), &[Cause::Read]);
            let mut slow_call = with([50.0, 50.0, 100.0, 50.0, 50.0], 8);
            slow_call.times.call_s = 150e-6;
            add("slow calls", slow_call, &[Cause::Launch]);
        }
    }
    if sets == JOINT && overlap != Overlap::None {
        let times = [150.0, 50.0, 200.0, 50.0, 150.0];
        let two = Setting {
            sets: Sets::Joint(2),
            link: Link { shared: false, ..Link::default() },
            ..with(times, 8)
        };
        add("two sets of three", two, &[Cause::Buffers]);
    }
    all
}

fn planted_otherwise() -> Vec<Planted> {
    let jitter =
        |sets, cv| Setting { cv, ..setting([300.0, 100.0, 400.0, 100.0, 200.0], Sets::Joint(sets), 8) };
    let mut narrow = Planted::new(
        "a window of two".to_owned(),
        setting([300.0, 20.0, 100.0, 20.0, 300.0], JOINT, 8),
        &[Cause::Delivery],
    );
    narrow.setup.schedule.window = 2;
    narrow.plan = None;
    let uneven = StageCv { preprocess: 0.6, ..StageCv::default() };
    vec![
        Planted::new(
            "times vary by 0.5, three sets".to_owned(),
            jitter(3, StageCv::all(0.5)),
            &[Cause::Buffers],
        ),
        Planted::new("preprocess varies by 0.6, three sets".to_owned(), jitter(3, uneven), &[Cause::Buffers]),
        narrow,
    ]
}

fn planted() -> impl Iterator<Item = Planted> {
    let overlaps = [Overlap::Queued, Overlap::None, Overlap::InLane];
    let kinds = overlaps.into_iter().flat_map(|overlap| {
        [(JOINT, 1), (SPLIT, 1), (JOINT, 2), (SPLIT, 2)].map(|(sets, lanes)| (overlap, sets, lanes))
    });
    kinds.flat_map(|(overlap, sets, lanes)| planted_in(overlap, sets, lanes)).chain(planted_otherwise())
}

#[test]
fn what_is_planted_is_found() {
    for Planted { name, setup, causes, least, .. } in planted() {
        let downtime = downtime(&setup);
        let share: f64 = causes.iter().map(|&cause| downtime.by_cause.fraction(cause)).sum();
        let found = downtime.by_cause.largest_first();
        assert!(share >= least, "{name}: {share:.3} of {found:?}");
        assert!(causes.contains(&found[0].0), "{name}: {found:?}");
        assert!(downtime.fraction() > 0.02, "{name}: {}", downtime.fraction());
    }
}

/// Virtual time has no slow consumer, so this run is written down: whoever takes the results needs 1 ms for each, and the
/// window holds four items.
#[test]
fn a_slow_consumer_makes_results_wait() {
    const WINDOW: usize = 4;
    let setup = Setup::from_setting(&setting([50.0, 10.0, 100.0, 10.0, 50.0], JOINT, 4), 1, 0).unwrap();
    let mut journeys: Vec<Journey> = Vec::new();
    for k in 0..200usize {
        let room = k.checked_sub(WINDOW).map_or(0, |out| journeys[out].delivered);
        let asked = journeys.last().map_or(0, |last: &Journey| last.source.unwrap().end).max(room);
        let lasts = |start: Nanos, us: Nanos| Interval::new(start, start + 1_000 * us);
        let filled = lasts(asked, 50);
        let written = lasts(filled.end, 10);
        let idle_from = journeys.last().map_or(0, |last| last.kernel.unwrap().end);
        let computed = lasts(written.end.max(idle_from), 100);
        let read = lasts(computed.end, 10);
        let done = lasts(read.end, 50);
        let taken = journeys.last().map_or(0, |last| last.delivered + 1_000_000);
        journeys.push(Journey {
            lane: Some(0),
            input: Some((k % 6) as u16),
            output: Some((k % 6) as u16),
            source: Some(Interval::at(asked)),
            preprocess: Some(((k % 4) as u16, filled)),
            call: Some(Interval::at(filled.end)),
            write: Some(written),
            kernel: Some(computed),
            read: Some(read),
            input_free: Some(read.end),
            landed: Some(read.end),
            postprocess: Some(((k % 4) as u16, done)),
            delivered: done.end.max(taken),
            ..Journey::of(k as u64)
        });
    }
    let (trace, _) = traced(&setup, 2);
    let trace = Trace { head: journeys.len(), journeys, left_out: 0, ..trace };
    let downtime = Downtime::of(&trace);
    assert!(downtime.fraction() > 0.8, "{downtime:?}");
    assert!(downtime.by_cause.fraction(Cause::Delivery) > 0.95, "{:?}", downtime.by_cause);
}

/// A call that prepares for 300 us, writes for 5, computes for 100 and reads for 5: only the transfers are theirs.
#[test]
fn what_a_call_takes_before_its_write_is_the_calls_own() {
    let setting = Setting { overlap: Overlap::None, ..setting([10.0, 5.0, 100.0, 5.0, 10.0], SPLIT, 4) };
    let setup = Setup::from_setting(&setting, 1, 0).unwrap();
    let journey = |k: u64| {
        let from = |us: Nanos, to: Nanos| Interval::new(1_000 * (410 * k + us), 1_000 * (410 * k + to));
        Journey {
            lane: Some(0),
            input: Some((k % 5) as u16),
            output: Some((k % 6) as u16),
            source: Some(Interval::at(1_000 * 410 * k.saturating_sub(1))),
            preprocess: Some((0, Interval::at(1_000 * 410 * k.saturating_sub(1)))),
            call: Some(from(0, 410)),
            write: Some(from(300, 305)),
            kernel: Some(from(305, 405)),
            read: Some(from(405, 410)),
            input_free: Some(from(0, 410).end),
            landed: Some(from(0, 410).end),
            postprocess: Some((1, from(410, 420))),
            delivered: from(0, 420).end,
            ..Journey::of(k)
        }
    };
    let journeys: Vec<Journey> = (0..100).map(journey).collect();
    let (trace, _) = traced(&setup, 2);
    let downtime = Downtime::of(&Trace { head: journeys.len(), journeys, left_out: 0, ..trace });
    let of = |cause| downtime.by_cause.fraction(cause);
    let [launch, write, read] = [Cause::Launch, Cause::Write, Cause::Read].map(of);
    assert_eq!((launch, write, read), (300.0 / 310.0, 5.0 / 310.0, 5.0 / 310.0));
}

/// One set of each kind on a queue, as a real run has it: a source that takes 40 us to read a file, and some time between
/// everything. The source is asked late because there is no set, and so the set is what was waited for.
#[test]
fn a_source_that_is_asked_late_is_not_late() {
    let sets = Sets::Split { inputs: 1, outputs: 1 };
    let setup = Setup::from_setting(&setting([300.0, 500.0, 2000.0, 500.0, 25.0], sets, 1), 1, 0).unwrap();
    let journey = |k: u64| {
        let from = |us: Nanos, to: Nanos| Interval::new(1_000 * (3_680 * k + us), 1_000 * (3_680 * k + to));
        Journey {
            lane: Some(0),
            input: Some(0),
            output: Some(0),
            source: Some(from(0, 40)),
            preprocess: Some((0, from(50, 350))),
            call: Some(Interval::at(from(0, 440).end)),
            write: Some(from(550, 1_050)),
            kernel: Some(from(1_050, 3_050)),
            read: Some(from(3_050, 3_550)),
            input_free: Some(from(0, 3_675).end),
            landed: Some(from(0, 3_675).end),
            // After the next item's preprocess, on the same thread.
            postprocess: Some((0, from(3_680 + 360, 3_680 + 385))),
            delivered: from(0, 3_680 + 430).end,
            ..Journey::of(k)
        }
    };
    let journeys: Vec<Journey> = (0..100).map(journey).collect();
    let (trace, _) = traced(&setup, 2);
    let downtime = Downtime::of(&Trace { head: journeys.len(), journeys, left_out: 0, ..trace });
    assert!(downtime.by_cause.fraction(Cause::Buffers) > 0.7, "{:?}", downtime.by_cause);
    assert!(downtime.by_cause.fraction(Cause::Source) < 0.05, "{:?}", downtime.by_cause);
}

#[test]
fn the_longest_gap_is_where_the_source_stalled() {
    let setting = setting([50.0, 10.0, 100.0, 10.0, 50.0], JOINT, 4);
    let mut setup = Setup::from_setting(&setting, ITEMS, 0).unwrap();
    setup.faults = vec![Fault::Stall { before: 200, lasts: 50_000_000 }];
    let downtime = downtime(&setup);
    let longest = downtime.longest[0];
    assert_eq!((longest.after, longest.before, longest.shares.main()), (199, 200, Some(Cause::Source)));
    assert!(
        longest.time.length() > 29_000_000 && longest.shares.fraction(Cause::Source) > 0.99,
        "{longest:?}"
    );
}

#[test]
fn nothing_is_known_between_two_stretches() {
    let setting = setting([600.0, 10.0, 100.0, 10.0, 200.0], JOINT, 2);
    let (trace, _) = traced(&Setup::from_setting(&setting, ITEMS, 0).unwrap(), 100);
    assert_eq!((trace.stretches().count(), trace.left_out), (2, 300));
    let downtime = Downtime::of(&trace);
    // Fifty kernels each, and forty-nine times between two of them.
    assert!(downtime.n_gaps <= 98, "{}", downtime.n_gaps);
    assert!(downtime.longest.iter().all(|gap| (gap.after < 50) == (gap.before < 50)), "{downtime:?}");
    assert!(downtime.by_cause.fraction(Cause::Host) > 0.9, "{:?}", downtime.by_cause);
    assert!(downtime.steady < 100 * 400_000, "{}", downtime.steady);
}

#[test]
fn a_summary_has_the_causes_in_seconds() {
    let setting = setting([600.0, 10.0, 100.0, 10.0, 200.0], JOINT, 2);
    let (trace, measures) = traced(&Setup::from_setting(&setting, ITEMS, 0).unwrap(), 1000);
    let kernel = KernelSummary::of(&measures, trace.end).unwrap().with_causes(&Downtime::of(&trace), None);
    let causes: f64 = kernel.causes_s.values().sum();
    assert!((causes - kernel.downtime_s).abs() < 1e-9, "{kernel:?}");
    assert!(kernel.causes_s["host_late"] > 0.9 * causes, "{kernel:?}");
}

#[test]
fn a_trace_without_kernels_has_no_downtime() {
    let setting = setting([50.0, 10.0, 100.0, 10.0, 50.0], JOINT, 4);
    let setup = Setup::from_setting(&setting, 0, 0).unwrap();
    let downtime = Downtime::of(&traced(&setup, 10).0);
    assert_eq!((&downtime, downtime.main_cause()), (&Downtime::default(), None));
    assert_eq!(downtime.sentence(None), "idle 0.0 % of its steady time: no downtime to speak of");
}

#[test]
fn the_sentence_names_what_is_planted() {
    for Planted { name, setup, plan, causes, .. } in planted() {
        let sentence = downtime(&setup).sentence(plan.as_ref());
        let words = |cause| match cause {
            Cause::Source => "the source had not given",
            Cause::Host => "still with the host threads",
            Cause::Write => "still on its way to the device",
            Cause::Read => "on their way from the device",
            Cause::Buffers => "no free buffer set",
            Cause::Launch => "a launch or a call takes",
            Cause::Delivery => "the reorder window was full",
            Cause::Unknown => "does not tell",
        };
        assert!(causes.iter().any(|&cause| sentence.contains(words(cause))), "{name}: {sentence}");
    }
}

/// The table that the project shows: what is planted, and what is found.
#[test]
fn planted_and_found() {
    let overlaps = [Overlap::Queued, Overlap::None, Overlap::InLane];
    let shown = overlaps.into_iter().flat_map(|overlap| planted_in(overlap, JOINT, 1));
    let mut table = String::new();
    let mut sentences = String::new();
    for Planted { name, setup, plan, .. } in shown.chain(planted_otherwise()) {
        let downtime = downtime(&setup);
        let name = name.replace(", joint sets, 1 lanes", "");
        let idle = 100.0 * downtime.fraction();
        let shares = downtime.by_cause.largest_first().into_iter();
        let shares = shares.map(|(cause, _)| (cause, 100.0 * downtime.by_cause.fraction(cause)));
        let shares = shares.filter(|(_, share)| *share >= 0.05);
        let shares: Vec<String> = shares.map(|(cause, share)| format!("{cause} {share:.1} %")).collect();
        table += &format!("{name:38} idle {idle:4.1} %: {}\n", shares.join(", "));
        sentences += &format!("{name}\n    {}\n", downtime.sentence(plan.as_ref()));
    }
    expect![[r#"
        queued: slow host                      idle 74.9 %: host late 100.0 %
        queued: one host thread                idle 79.9 %: host late 100.0 %
        queued: slow source                    idle 90.0 %: source late 100.0 %
        queued: one set                        idle 89.3 %: no free set 100.0 %
        queued: slow writes                    idle 75.0 %: write late 100.0 %
        queued: slow reads                     idle 74.7 %: read late 98.2 %, no free set 1.8 %
        queued: half-duplex link               idle 74.9 %: read late 66.5 %, write late 33.5 %
        queued: launch overhead                idle 33.3 %: launch 100.0 %
        queued: two sets of three              idle 33.2 %: no free set 100.0 %
        blocking: slow host                    idle 74.9 %: host late 93.3 %, write late 3.3 %, read late 3.3 %
        blocking: one host thread              idle 79.9 %: host late 95.0 %, write late 2.5 %, read late 2.5 %
        blocking: slow source                  idle 90.0 %: source late 97.8 %, write late 1.1 %, read late 1.1 %
        blocking: one set                      idle 89.3 %: no free set 95.2 %, write late 2.4 %, read late 2.4 %
        blocking: transfers in the call        idle 75.0 %: write late 66.7 %, read late 33.3 %
        double_buffered: slow host             idle 74.9 %: host late 100.0 %
        double_buffered: one host thread       idle 79.9 %: host late 100.0 %
        double_buffered: slow source           idle 90.0 %: source late 100.0 %
        double_buffered: one set               idle 89.3 %: no free set 100.0 %
        double_buffered: slow writes           idle 75.0 %: write late 100.0 %
        double_buffered: slow reads            idle 74.9 %: read late 100.0 %
        double_buffered: slow calls            idle 33.3 %: launch 100.0 %
        double_buffered: two sets of three     idle 61.8 %: no free set 100.0 %
        times vary by 0.5, three sets          idle 12.4 %: no free set 100.0 %
        preprocess varies by 0.6, three sets   idle  5.4 %: no free set 100.0 %
        a window of two                        idle 72.9 %: results wait 100.0 %
    "#]].assert_eq(&table);
    expect![[r#"
        queued: slow host
            idle 74.9 % of its steady time, all of it because the next item was still with the host threads; host-bound: 8 host threads instead of 2 give 2.61x (then the buffer sets are the limit); more buffer sets give nothing
        queued: one host thread
            idle 79.9 % of its steady time, all of it because the next item was still with the host threads; host-bound: 5 host threads instead of 1 give 4.84x (then the buffer sets are the limit); more buffer sets give nothing
        queued: slow source
            idle 90.0 % of its steady time, all of it because the source had not given the next item yet; source-bound: an item comes every 1.00 ms; a faster source gives up to 10.00x (then the device is the limit); anything else gives nothing
        queued: one set
            idle 89.3 % of its steady time, all of it because there was no free buffer set for the next item; buffer-bound: 10 buffer sets a lane instead of 1 give 9.40x (then the device is the limit); more host threads give nothing
        queued: slow writes
            idle 75.0 % of its steady time, all of it because the next item was still on its way to the device; link-bound: half the bytes to the device give 2.00x; more buffer sets, host threads or lanes give nothing
        queued: slow reads
            idle 74.7 % of its steady time, nearly all of it (98 %) because results were still on their way from the device; link-bound: half the bytes from the device give 2.00x; more buffer sets, host threads or lanes give nothing
        queued: half-duplex link
            idle 74.9 % of its steady time, most of it (66 %) because results were still on their way from the device; link-bound: a full-duplex link gives 2.00x (then the link to the device is the limit); more buffer sets, host threads or lanes give nothing
        queued: launch overhead
            idle 33.3 % of its steady time, all of it because of what a launch or a call takes beside its stages; device-bound: 2 lanes instead of 1, each with a compute unit, give 2.00x; more buffer sets or host threads give nothing
        queued: two sets of three
            idle 33.2 % of its steady time, all of it because there was no free buffer set for the next item; buffer-bound: 3 buffer sets a lane instead of 2 give 1.50x (then the device is the limit); more host threads give nothing
        blocking: slow host
            idle 74.9 % of its steady time, nearly all of it (93 %) because the next item was still with the host threads; host-bound: 7 host threads instead of 2 give 2.61x (then the buffer sets are the limit); more buffer sets give nothing
        blocking: one host thread
            idle 79.9 % of its steady time, nearly all of it (95 %) because the next item was still with the host threads; host-bound: 5 host threads instead of 1 give 4.17x (then the device is the limit); more buffer sets give nothing
        blocking: slow source
            idle 90.0 % of its steady time, nearly all of it (98 %) because the source had not given the next item yet; source-bound: an item comes every 1.00 ms; a faster source gives up to 8.33x (then the device is the limit); anything else gives nothing
        blocking: one set
            idle 89.3 % of its steady time, nearly all of it (95 %) because there was no free buffer set for the next item; buffer-bound: 7 buffer sets a lane instead of 1 give 6.71x (then the device is the limit); more host threads give nothing
        blocking: transfers in the call
            idle 75.0 % of its steady time, most of it (67 %) because the next item was still on its way to the device; device-bound: 2 lanes instead of 1, each with a compute unit, give 2.00x; double buffering gives 2.00x; more buffer sets or host threads give nothing
        double_buffered: slow host
            idle 74.9 % of its steady time, all of it because the next item was still with the host threads; host-bound: 8 host threads instead of 2 give 1.78x (then the buffer sets are the limit); more buffer sets give nothing
        double_buffered: one host thread
            idle 79.9 % of its steady time, all of it because the next item was still with the host threads; host-bound: 5 host threads instead of 1 give 3.33x (then the buffer sets are the limit); more buffer sets give nothing
        double_buffered: slow source
            idle 90.0 % of its steady time, all of it because the source had not given the next item yet; source-bound: an item comes every 1.00 ms; a faster source gives up to 10.00x (then the device is the limit); anything else gives nothing
        double_buffered: one set
            idle 89.3 % of its steady time, all of it because there was no free buffer set for the next item; buffer-bound: 11 buffer sets a lane instead of 1 give 11.00x (then the device is the limit); more host threads give nothing
        double_buffered: slow writes
            idle 75.0 % of its steady time, all of it because the next item was still on its way to the device; device-bound: 2 lanes instead of 1, each with a compute unit, give nothing (then the link to the device is the limit); more buffer sets or host threads give nothing
        double_buffered: slow reads
            idle 74.9 % of its steady time, all of it because results were still on their way from the device; device-bound: 2 lanes instead of 1, each with a compute unit, give nothing (then the link from the device is the limit); more buffer sets or host threads give nothing
        double_buffered: slow calls
            idle 33.3 % of its steady time, all of it because of what a launch or a call takes beside its stages; device-bound: 2 lanes instead of 1, each with a compute unit, give 2.00x; more buffer sets or host threads give nothing
        double_buffered: two sets of three
            idle 61.8 % of its steady time, all of it because there was no free buffer set for the next item; buffer-bound: 5 buffer sets a lane instead of 2 give 3.00x (then the device is the limit); more host threads give nothing
        times vary by 0.5, three sets
            idle 12.4 % of its steady time, all of it because there was no free buffer set for the next item; stage times vary, those of kernel the most (by 50 %): 5 buffer sets a lane are advised against it
        preprocess varies by 0.6, three sets
            idle 5.4 % of its steady time, all of it because there was no free buffer set for the next item; stage times vary, those of preprocess the most (by 60 %): 4 buffer sets a lane are advised against it
        a window of two
            idle 72.9 % of its steady time, all of it because the reorder window was full of results
    "#]].assert_eq(&sentences);
}
