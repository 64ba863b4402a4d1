//! The pipeline over lanes made for the test: order, identity, failures, ends. Payloads carry the item's
//! number through every buffer, so a stale or swapped set cannot pass.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use nbuffer_core::measure::Stage;
use nbuffer_core::schedule::{LaneChoice, Order, Outcome};
use nbuffer_core::tensor::{DType, TensorInfo};
use nbuffer_core::trace::{Interval, Journey, Trace};
use nbuffer_runtime::*;

/// What this test's device makes of a number: no other number gives the same.
fn transformed(x: u64) -> u64 {
    x.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x55
}

fn tensors() -> [TensorInfo; 1] {
    [TensorInfo::new("x", [8], [], 1.0, 0, DType::I8).unwrap()]
}

fn memory() -> HostMemory {
    HostMemory { inputs: tensors().to_vec(), outputs: tensors().to_vec() }
}

/// An item that cannot be had twice.
const ONLY_ONCE: u64 = 49_001;

/// Moves numbers into buffer sets and out of them.
struct Numbers;

impl HostStages for Numbers {
    type Item = u64;
    type InputSet = InputSet;
    type OutputSet = OutputSet;
    type Carry = u64;
    type Output = (u64, u64);

    fn preprocess(&self, item: u64, input: &mut InputSet) -> Result<u64, BoxError> {
        input[0].as_mut_slice::<u64>()[0] = item;
        if item % 1000 == 7 { Err(format!("{item} is not wanted").into()) } else { Ok(item) }
    }

    fn keep(&self, item: &u64) -> Option<u64> {
        (*item != ONLY_ONCE).then_some(*item)
    }

    fn postprocess(&self, carry: u64, output: &mut OutputSet) -> Result<(u64, u64), BoxError> {
        Ok((carry, output[0].as_slice::<u64>()[0]))
    }
}

/// A device whose results come `lag` calls late. It keeps what it was given, as a real one does.
struct Device {
    lag: usize,
    inside: VecDeque<u64>,
    calls: usize,
    fault: fn(calls: usize) -> Option<Fault>,
}

enum Fault {
    Fail,
    Reset,
    Lose,
    Hang(mpsc::Receiver<()>),
    Panic,
}

fn no_fault(_: usize) -> Option<Fault> {
    None
}

impl Device {
    fn new(lag: usize, fault: fn(usize) -> Option<Fault>) -> Self {
        Device { lag, inside: VecDeque::new(), calls: 0, fault }
    }

    fn lane(lag: usize, fault: fn(usize) -> Option<Fault>) -> Lane<InputSet, OutputSet> {
        let device = Device::new(lag, fault);
        match lag {
            0 => Lane::blocking(Blocking::new(device), memory()),
            _ => Lane::blocking(Lagged::new(device, &tensors(), &tensors()), memory()),
        }
    }
}

impl DeviceCall for Device {
    fn lag(&self) -> usize {
        self.lag
    }

    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<CallSpans, DeviceError> {
        let call = self.calls;
        self.calls += 1;
        match (self.fault)(call) {
            Some(Fault::Fail) => {
                return Err(DeviceError::Call { why: format!("call {call} is planned to fail") });
            }
            Some(Fault::Reset) => {
                self.inside.clear();
                return Err(DeviceError::Reset { why: format!("call {call} is planned to fail") });
            }
            Some(Fault::Lose) => return Err(DeviceError::Lost { why: "unplugged".into() }),
            Some(Fault::Panic) => panic!("call {call} panics"),
            Some(Fault::Hang(until)) => {
                let _ = until.recv();
            }
            None => {}
        }
        self.inside.push_back(inputs[0].as_slice::<u64>()[0]);
        let poison = 0xA5A5_A5A5_A5A5_A5A5;
        let result =
            if self.inside.len() > self.lag { self.inside.pop_front().map(transformed) } else { None };
        outputs[0].as_mut_slice::<u64>()[0] = result.unwrap_or(poison);
        Ok(CallSpans::default())
    }
}

/// A queued device with a thread of its own.
///
/// Every second input goes back before its output, as from a device that knows when its kernel has ended.
fn queued_lane() -> Lane<InputSet, OutputSet> {
    struct Queued(mpsc::Sender<Flight<InputSet, OutputSet>>);
    impl QueuedLane<InputSet, OutputSet> for Queued {
        fn submit(&mut self, flight: Flight<InputSet, OutputSet>) {
            self.0.send(flight).unwrap();
        }
    }
    let open = |completions: Completions<InputSet, OutputSet>| {
        let (sender, receiver) = mpsc::channel::<Flight<InputSet, OutputSet>>();
        std::thread::spawn(move || {
            for mut flight in receiver {
                let x = flight.input[0].as_slice::<u64>()[0];
                if x % 2 == 0 {
                    flight.output[0].as_mut_slice::<u64>()[0] = transformed(x);
                    completions.complete(Called::landed(flight, Spans::default()));
                    continue;
                }
                let Flight { id, input, mut output } = flight;
                completions.complete(Called { input: Some((id, input)), ended: Ended::Nothing });
                output[0].as_mut_slice::<u64>()[0] = transformed(x);
                completions
                    .complete(Called { input: None, ended: Ended::Landed(id, output, Spans::default()) });
            }
        });
        Queued(sender)
    };
    Lane::queued(open, memory())
}

fn start(
    source: impl Iterator<Item = u64> + Send + 'static,
    lanes: Vec<Lane<InputSet, OutputSet>>,
    options: &Options,
) -> Pipeline<Numbers> {
    Pipeline::start(source, Numbers, lanes, &Options { trace: Some(10_000), ..options.clone() }).unwrap()
}

/// Nothing goes back in time, and a lane, a buffer set and a host thread have one item at a time.
#[track_caller]
fn check_trace(trace: &Trace, host_threads: usize) {
    let mut uses: HashMap<(&str, u16, u16), Vec<Interval>> = HashMap::new();
    for journey in &trace.journeys {
        let [ip, w, k, r, op] = Stage::ALL.map(|stage| journey.stage(stage));
        let Journey { lane, input, output, source, call, input_free, landed, delivered, .. } = *journey;
        let times =
            [source, ip, call.map(|call| Interval::at(call.start)), w, k, r, landed.map(Interval::at), op];
        let way: Vec<_> = times.into_iter().flatten().flat_map(|time| [time.start, time.end]).collect();
        assert!(way.is_sorted() && way.last().is_none_or(|last| *last <= delivered), "{journey:?}");
        let mut takes =
            |what, number, time| uses.entry((what, lane.unwrap(), number)).or_default().push(time);
        if let (Some(call), Some(_)) = (call, landed) {
            takes("lane", 0, call);
        }
        if let (Some(ip), Some(input), Some(free)) = (ip, input, input_free) {
            takes("input", input, Interval::new(ip.start, free));
        }
        if let (Some(call), Some(output), Some(op)) = (call, output, op) {
            takes("output", output, Interval::new(call.start, op.end));
        }
        for (thread, step) in [journey.preprocess, journey.postprocess].into_iter().flatten() {
            assert!(usize::from(thread) < host_threads, "{journey:?}");
            uses.entry(("thread", 0, thread)).or_default().push(step);
        }
    }
    for (what, mut times) in uses {
        times.sort_by_key(|time| (time.start, time.end));
        for pair in times.windows(2) {
            assert!(pair[0].end <= pair[1].start, "{what:?}: {pair:?}");
        }
    }
}

/// Every item is there once and in order, with its own payload, but for those that should fail.
#[track_caller]
fn check(pipeline: &mut Pipeline<Numbers>, items: u64, fails: impl Fn(u64) -> bool) -> Report {
    let mut next = 0;
    while let Some(Delivery { sequence, result }) = pipeline.next_delivery() {
        assert_eq!(sequence, next, "out of order");
        next += 1;
        match result {
            Ok(output) => {
                assert_eq!(output, (sequence, transformed(sequence)));
                assert!(!fails(sequence), "item {sequence} should have failed");
            }
            Err(error) => {
                assert!(fails(sequence), "{}", error.chain());
                assert_eq!(error.sequence(), sequence);
            }
        }
    }
    let report = pipeline.report();
    let totals = report.totals;
    assert_eq!((totals.taken, next), (items, items));
    assert_eq!(totals.ok + totals.failed + totals.cancelled, totals.taken);
    assert_eq!(totals.failed, (0..items).filter(|&i| fails(i)).count() as u64);
    let trace = pipeline.trace().expect("every pipeline here is traced");
    let kept: Vec<_> = trace.journeys.iter().map(|journey| (journey.sequence, journey.outcome)).collect();
    let outcome = |i| if fails(i) { Outcome::Failed } else { Outcome::Ok };
    if items <= 5000 {
        assert_eq!(kept, (0..items).map(|i| (i, outcome(i))).collect::<Vec<_>>());
    }
    check_trace(&trace, report.host_threads);
    report
}

#[test]
fn every_lane_kind_depth_and_length_keeps_order_and_identity() {
    for items in [0, 1, 2, 3, 5, 50] {
        for (lanes, depth, threads) in [(1, 1, 1), (1, 2, 1), (2, 1, 2), (3, 4, 2), (4, 8, 4)] {
            for kind in ["blocking", "lagged", "queued"] {
                for lane_choice in [LaneChoice::LeastLoaded, LaneChoice::RoundRobin] {
                    let lane = || match kind {
                        "blocking" => Device::lane(0, no_fault),
                        "lagged" => Device::lane(2, no_fault),
                        _ => queued_lane(),
                    };
                    let lanes = (0..lanes).map(|_| lane()).collect();
                    let options = Options { lane_choice, ..Options::new(depth, threads) };
                    let mut pipeline = start(0..items, lanes, &options);
                    let report = check(&mut pipeline, items, |i| i % 1000 == 7);
                    assert_eq!(report.source_end, SourceEnd::Exhausted);
                }
            }
        }
    }
}

#[test]
fn a_long_stream_loses_and_swaps_nothing() {
    let items = if cfg!(miri) { 200 } else { 20_000 };
    let lanes = vec![Device::lane(0, no_fault), Device::lane(2, no_fault), queued_lane(), queued_lane()];
    check(&mut start(0..items, lanes, &Options::new(3, 3)), items, |i| i % 1000 == 7);
}

#[test]
fn results_as_completed_come_once_each() {
    let options = Options { order: Order::Completed, ..Options::new(2, 2) };
    let lanes = vec![Device::lane(0, no_fault), queued_lane()];
    let mut seen = vec![false; 500];
    for output in start((0..501).filter(|i| *i != 7), lanes, &options) {
        let (item, result) = output.unwrap();
        assert_eq!(result, transformed(item));
        let place = if item > 7 { item - 1 } else { item } as usize;
        assert!(!std::mem::replace(&mut seen[place], true), "item {item} came twice");
    }
    assert!(seen.into_iter().all(|seen| seen));
}

#[test]
fn a_failing_call_costs_its_item_and_no_other() {
    for lag in [0, 2] {
        // Fails the calls that submit items 3 and 4 of this single lane.
        let lane = Device::lane(lag, |call| (3..5).contains(&call).then_some(Fault::Fail));
        let mut pipeline = start(100..110, vec![lane], &Options::new(4, 1));
        let results: Vec<_> = pipeline.by_ref().collect();
        let failed: Vec<_> =
            results.iter().filter_map(|r| r.as_ref().err()).map(ItemError::sequence).collect();
        assert_eq!(failed, [3, 4], "lag {lag}");
        for (i, result) in results.iter().enumerate() {
            if let Ok(output) = result {
                assert_eq!(*output, (100 + i as u64, transformed(100 + i as u64)));
            }
        }
        let error = results[3].as_ref().unwrap_err();
        assert_eq!(error.chain(), "lane 0 failed on item 3: device call failed: call 3 is planned to fail");
    }
}

#[test]
fn a_reset_costs_what_was_inside_and_the_lane_goes_on() {
    // Call k submits item k. A reset while the device fills, in full flow, in two calls running, and in a flush call.
    let check_reset = |fault: fn(usize) -> Option<Fault>, lag, items, failed: &[u64]| {
        let mut pipeline = start(0..items, vec![Device::lane(lag, fault)], &Options::new(4, 1));
        let report = check(&mut pipeline, items, |i| failed.contains(&i));
        assert!(report.lost.is_empty());
    };
    check_reset(|call| (call == 0).then_some(Fault::Reset), 2, 6, &[0]);
    check_reset(|call| (call == 1).then_some(Fault::Reset), 2, 6, &[0, 1]);
    check_reset(|call| (call == 4).then_some(Fault::Reset), 2, 6, &[2, 3, 4]);
    check_reset(|call| matches!(call, 3 | 4).then_some(Fault::Reset), 2, 6, &[1, 2, 3, 4]);
    check_reset(|call| (call == 5).then_some(Fault::Reset), 2, 5, &[3, 4]);
    check_reset(|call| (call == 3).then_some(Fault::Reset), 0, 6, &[3]);
    check_reset(|_| Some(Fault::Reset), 2, 6, &[0, 1, 2, 3, 4, 5]);
}

#[test]
fn flush_calls_that_always_fail_do_not_hold_the_stream() {
    let lane = Device::lane(2, |call| (call >= 5).then_some(Fault::Fail));
    let report = check(&mut start(0..5, vec![lane], &Options::new(4, 1)), 5, |i| i >= 3);
    assert_eq!(report.totals.ok, 3);
}

#[test]
fn a_lost_lane_fails_what_it_held_and_the_others_go_on() {
    let lanes = vec![Device::lane(2, |call| (call == 5).then_some(Fault::Lose)), Device::lane(0, no_fault)];
    let mut pipeline = start((0..300).map(|i| i * 1000), lanes, &Options::new(4, 2));
    let mut ok = 0;
    let mut failed = 0;
    for (i, result) in pipeline.by_ref().enumerate() {
        match result {
            Ok(output) => {
                assert_eq!(output, (i as u64 * 1000, transformed(i as u64 * 1000)));
                ok += 1;
            }
            Err(error) => {
                assert!(error.chain().ends_with("device lost: unplugged"), "{}", error.chain());
                failed += 1;
            }
        }
    }
    // Inputs and outputs are recycled apart: four items may wait in input sets while four more sit in output sets.
    assert!((1..=8).contains(&failed), "{failed} items failed with 4 input and 4 output sets");
    assert_eq!(ok + failed, 300);
    let report = pipeline.report();
    assert_eq!((report.totals.ok, report.totals.failed), (ok, failed));
    assert_eq!(report.lost.len(), 1);
    assert_eq!(report.source_end, SourceEnd::Exhausted);
}

/// Loses lanes at these calls, and says how many items failed and how many began again.
fn lose_and_retry(lanes: Vec<Lane<InputSet, OutputSet>>) -> (u64, u64) {
    let options = Options { retry: Retry::OtherLane, ..Options::new(4, 2) };
    let mut pipeline = start((0..300).map(|i| i * 1000), lanes, &options);
    let mut failed = 0;
    for (i, result) in pipeline.by_ref().enumerate() {
        match result {
            Ok(output) => assert_eq!(output, (i as u64 * 1000, transformed(i as u64 * 1000))),
            Err(_) => failed += 1,
        }
    }
    let totals = pipeline.report().totals;
    assert_eq!((totals.ok + failed, totals.failed), (totals.taken, failed));
    (failed, totals.retried)
}

#[test]
fn items_of_a_lost_lane_begin_again_on_another_one() {
    let dies = |lag| Device::lane(lag, |call| (call == 5).then_some(Fault::Lose));
    for lag in [0, 2] {
        let (failed, retried) = lose_and_retry(vec![dies(lag), Device::lane(0, no_fault)]);
        assert!(failed == 0 && (1..=8).contains(&retried), "{failed} failed, {retried} began again");
        let (failed, _) = lose_and_retry(vec![dies(0), dies(lag), Device::lane(lag, no_fault)]);
        assert_eq!(failed, 0);
    }
}

#[test]
fn items_that_cannot_begin_again_fail_with_their_lane() {
    let items = |count| (0..count).map(|i| if i == 49 { ONLY_ONCE } else { i * 1000 });
    let dies = Device::lane(0, |call| (call == 49).then_some(Fault::Lose));
    let options = Options {
        retry: Retry::OtherLane,
        lane_choice: LaneChoice::RoundRobin,
        sets: Sets::Joint(1),
        ..Options::new(1, 1)
    };
    let mut pipeline = start(items(50), vec![dies], &options);
    let results: Vec<_> = pipeline.by_ref().collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 49);
    assert!(results[49].as_ref().unwrap_err().chain().ends_with("device lost: unplugged"));

    let hold = Device::lane(0, no_fault);
    let dies = Device::lane(0, |call| (call == 24).then_some(Fault::Lose));
    let mut pipeline = start(items(100), vec![hold, dies], &options);
    // Items go in turn, so the second lane has the odd ones, and its 25th call is for item 49.
    let results: Vec<_> = pipeline.by_ref().collect();
    for (i, result) in results.iter().enumerate() {
        match result {
            Ok(output) => assert_eq!(output.0, i as u64 * 1000),
            Err(error) => {
                assert_eq!(i, 49);
                assert!(error.chain().ends_with("device lost: unplugged"), "{}", error.chain());
            }
        }
    }
    assert!(results[49].is_err(), "there is no copy of item 49");
    assert_eq!(pipeline.report().totals.retried, 1);
}

#[test]
fn retrying_ends_when_no_lane_is_left() {
    let dies = |at: fn(usize) -> Option<Fault>| Device::lane(0, at);
    let (failed, retried) = lose_and_retry(vec![
        dies(|call| (call == 3).then_some(Fault::Lose)),
        dies(|call| (call == 9).then_some(Fault::Lose)),
    ]);
    assert!(failed > 0 && retried > 0, "{failed} failed, {retried} began again");
}

#[test]
fn a_run_without_lanes_left_ends() {
    let lanes = vec![Device::lane(0, |call| (call == 2).then_some(Fault::Lose))];
    let mut pipeline = start((0..).map(|i| i * 1000), lanes, &Options::new(3, 1));
    let results: Vec<_> = pipeline.by_ref().collect();
    assert!(results[..2].iter().all(|r| r.is_ok()));
    assert!(results[2..].iter().all(|r| r.is_err()));
    let report = pipeline.report();
    assert_eq!(report.source_end, SourceEnd::NoLanes);
    assert_eq!(report.totals.failed, results.len() as u64 - 2);
}

#[test]
fn a_hanging_call_is_given_up_and_its_late_return_is_dropped() {
    use std::sync::Mutex;
    static RELEASE: Mutex<Option<mpsc::Sender<()>>> = Mutex::new(None);
    let lane = Device::lane(0, |call| {
        (call == 4).then(|| {
            let (sender, receiver) = mpsc::channel();
            *RELEASE.lock().unwrap() = Some(sender);
            Fault::Hang(receiver)
        })
    });
    let options = Options { watchdog: Some(Duration::from_millis(40)), ..Options::new(2, 1) };
    let lanes = vec![lane, Device::lane(0, no_fault)];
    let mut pipeline = start((0..200).map(|i| i * 1000), lanes, &options);
    let mut failed = Vec::new();
    for (i, result) in pipeline.by_ref().enumerate() {
        match result {
            Ok(output) => assert_eq!(output.1, transformed(i as u64 * 1000)),
            Err(error) => failed.push(error.chain()),
        }
    }
    assert!((1..=2).contains(&failed.len()), "{failed:?}");
    assert!(failed[0].contains("has not returned for"), "{}", failed[0]);
    assert!(failed[0].contains("the watchdog allows 0.040 s"), "{}", failed[0]);
    assert_eq!(pipeline.report().totals.taken, 200);
    // The call returns after its items have ended, once before and once after the pipeline is gone.
    drop(RELEASE.lock().unwrap().take());
    drop(pipeline);
}

#[test]
fn dropping_a_pipeline_does_not_wait_for_a_call_that_was_given_up() {
    use std::sync::Mutex;
    static RELEASE: Mutex<Option<mpsc::Sender<()>>> = Mutex::new(None);
    let lane = Device::lane(0, |call| {
        (call == 0).then(|| {
            let (sender, receiver) = mpsc::channel();
            *RELEASE.lock().unwrap() = Some(sender);
            Fault::Hang(receiver)
        })
    });
    let options = Options { watchdog: Some(Duration::from_millis(20)), ..Options::new(2, 1) };
    let mut pipeline = start(0..5, vec![lane], &options);
    assert!(pipeline.next().unwrap().is_err());
    drop(pipeline);
    assert!(RELEASE.lock().unwrap().is_some(), "the call still hangs");
}

#[test]
fn a_panic_costs_one_item() {
    let lanes = vec![Device::lane(0, |call| (call == 1).then_some(Fault::Panic))];
    let mut pipeline = start(100..104, lanes, &Options::new(1, 1));
    let errors: Vec<_> = pipeline.by_ref().filter_map(Result::err).map(|e| e.chain()).collect();
    assert_eq!(errors, ["lane 0 failed on item 1: device code panicked: call 1 panics"]);

    let stages = Around::new(
        |x: u64| if x == 2 { panic!("two") } else { x },
        |x: u64| {
            if x == 30 { panic!("thirty") } else { x }
        },
    );
    let lane = Lane::closure(|x: u64| if x == 4 { panic!("four") } else { x * 10 });
    let pipeline = Pipeline::start(0..6, stages, vec![lane], &Options::new(2, 2)).unwrap();
    let results: Vec<_> = pipeline.map(|r| r.map_err(|e| e.chain())).collect();
    assert_eq!(
        results,
        [
            Ok(0),
            Ok(10),
            Err("preprocess panicked on item 2: two".to_owned()),
            Err("postprocess panicked on item 3: thirty".to_owned()),
            Err("lane 0 failed on item 4: device code panicked: four".to_owned()),
            Ok(50),
        ]
    );
}

#[test]
fn a_source_that_panics_ends_the_stream_with_an_error_in_its_place() {
    let source = (0..).map(|i| if i == 3 { panic!("no more") } else { i });
    let mut pipeline = start(source, vec![Device::lane(2, no_fault)], &Options::new(4, 2));
    let results: Vec<_> = pipeline.by_ref().map(|r| r.map_err(|e| e.chain())).collect();
    assert_eq!(results[..3], [0, 1, 2].map(|i| Ok((i, transformed(i)))));
    assert_eq!(results[3..], [Err("source panicked on item 3: no more".to_owned())]);
    assert_eq!(pipeline.report().source_end, SourceEnd::Panicked("no more".into()));
}

/// A source that gives so many items and then blocks until it is told to go on.
fn stalling_source(items: u64) -> (impl Iterator<Item = u64> + Send, mpsc::Sender<u64>) {
    let (sender, receiver) = mpsc::channel();
    (((0..items).chain(receiver)), sender)
}

#[test]
fn a_stalled_source_gives_the_results_of_what_it_gave() {
    for lag in [0, 2] {
        for threads in [1, 3] {
            let (source, more) = stalling_source(5);
            let mut pipeline = start(source, vec![Device::lane(lag, no_fault)], &Options::new(4, threads));
            for i in 0..5 {
                assert_eq!(pipeline.next().unwrap().unwrap(), (i, transformed(i)));
            }
            more.send(5).unwrap();
            assert_eq!(pipeline.next().unwrap().unwrap(), (5, transformed(5)));
            drop(more);
            assert!(pipeline.next().is_none());
            assert_eq!(pipeline.report().totals.ok, 6);
        }
    }
}

#[test]
fn dropping_early_joins_and_drops_everything() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    for fetched in [0, 1, 10] {
        let alive = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&alive);
        let source = (0..).map(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            Counted(Arc::clone(&counter))
        });
        let lanes = (0..3).map(|_| Lane::closure(|x: Counted| x)).collect();
        let stages = Around::new(|x: Counted| x, |x: Counted| x);
        let pipeline = Pipeline::start(source, stages, lanes, &Options::new(3, 2)).unwrap();
        let mut pipeline = pipeline;
        for _ in 0..fetched {
            drop(pipeline.next().unwrap().unwrap());
        }
        drop(pipeline);
        // A thread that was asking the source is not waited for, and has its item for a moment longer.
        let patience = Instant::now() + Duration::from_secs(10);
        while alive.load(Ordering::SeqCst) > 0 && Instant::now() < patience {
            std::thread::yield_now();
        }
        assert_eq!(alive.load(Ordering::SeqCst), 0, "items are still alive after the drop");
    }
}

#[test]
fn dropping_does_not_wait_for_a_source_that_blocks() {
    let (source, more) = stalling_source(1);
    let mut pipeline = start(source, vec![Device::lane(0, no_fault)], &Options::new(2, 1));
    assert!(pipeline.next().unwrap().is_ok());
    drop(pipeline);
    drop(more);
}

#[test]
fn cancelling_ends_the_stream_and_accounts_for_every_item() {
    for lag in [0, 2] {
        let mut pipeline =
            start((0..).map(|i| i * 1000), vec![Device::lane(lag, no_fault)], &Options::new(4, 2));
        let canceller = pipeline.canceller();
        let mut delivered = 0;
        let mut cancelled = 0;
        while let Some(Delivery { sequence, result }) = pipeline.next_delivery() {
            match result {
                Ok(output) => assert_eq!(output.1, transformed(sequence * 1000)),
                Err(ItemError::Cancelled { .. }) => cancelled += 1,
                Err(error) => panic!("{}", error.chain()),
            }
            delivered += 1;
            if delivered == 20 {
                canceller.cancel();
            }
        }
        let report = pipeline.report();
        assert_eq!(report.source_end, SourceEnd::Cancelled);
        assert_eq!(report.totals.taken, delivered);
        assert_eq!(report.totals.cancelled, cancelled);
        canceller.cancel();
        drop(pipeline);
        canceller.cancel();
    }
}

#[test]
fn a_slow_consumer_makes_the_source_wait() {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let source = (0..100).inspect(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let options = Options { window: Some(5), ..Options::new(2, 2) };
    let mut pipeline = start(source, vec![Device::lane(0, no_fault)], &options);
    let mut given = 0;
    while pipeline.next().is_some() {
        given += 1;
        // Fetched results leave the window, so the consumer may lie one batch behind as well.
        assert!(taken.load(Ordering::SeqCst) <= given + 2 * 5);
    }
    assert_eq!(given, 100);
}

#[test]
fn host_steps_and_lanes_really_run_side_by_side() {
    // Two preprocess steps and two lane calls all wait for each other: run one by one, they would never end.
    let barrier = Barrier::new(2);
    let before = move |x: u64| {
        barrier.wait();
        x
    };
    let stages = Around::new(before, |x: u64| x);
    let lane_barrier = Arc::new(Barrier::new(2));
    let lane = || {
        let barrier = Arc::clone(&lane_barrier);
        Lane::closure(move |x: u64| {
            barrier.wait();
            x
        })
    };
    let pipeline = Pipeline::start(0..10, stages, vec![lane(), lane()], &Options::new(1, 2)).unwrap();
    assert_eq!(pipeline.map(Result::unwrap).collect::<Vec<_>>(), Vec::from_iter(0..10));
}

#[test]
fn lanes_that_wait_for_their_device_do_so_at_once_however_little_the_host_does() {
    /// Says how many calls there were at once, counted as each begins; the device knows its kernel.
    struct Slow {
        inside: Arc<AtomicUsize>,
        seen: mpsc::Sender<usize>,
    }
    impl DeviceCall for Slow {
        fn run(
            &mut self,
            inputs: &[HostBuffer],
            outputs: &mut [HostBuffer],
        ) -> Result<CallSpans, DeviceError> {
            let start = Instant::now();
            self.seen.send(self.inside.fetch_add(1, Ordering::SeqCst) + 1).unwrap();
            std::thread::sleep(Duration::from_millis(4));
            outputs[0].as_mut_slice::<u64>()[0] = transformed(inputs[0].as_slice::<u64>()[0]);
            self.inside.fetch_sub(1, Ordering::SeqCst);
            let kernel = Some(DeviceSpan { start, end: Instant::now() });
            Ok(CallSpans { kernel, ..CallSpans::default() })
        }
    }
    let inside = Arc::new(AtomicUsize::new(0));
    let (seen, counts) = mpsc::channel();
    let lane = |_| {
        let device = Slow { inside: Arc::clone(&inside), seen: seen.clone() };
        Lane::blocking(Blocking::new(device), memory())
    };
    let mut pipeline = start(8..208, (0..4).map(lane).collect(), &Options::new(3, 1));
    assert_eq!(pipeline.by_ref().filter(Result::is_ok).count(), 200);
    drop((pipeline, seen));
    let counts: Vec<_> = counts.iter().collect();
    let mean = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
    assert!(mean > 3.0, "{mean} of 4 lanes are at work on average: {counts:?}");
}

#[test]
fn results_can_be_handed_over_on_the_pipelines_threads() {
    let mut pipeline = start(100..1100, vec![Device::lane(2, no_fault)], &Options::new(4, 1));
    // One fetched by hand before.
    let first = pipeline.next_delivery().unwrap();
    assert_eq!(first.sequence, 0);
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let (_, report) = pipeline.run_into(move |delivery| sink.lock().unwrap().push(delivery));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 999);
    for (i, delivery) in seen.iter().enumerate() {
        assert_eq!(delivery.sequence, i as u64 + 1);
        match &delivery.result {
            Ok(output) => assert_eq!(*output, (101 + i as u64, transformed(101 + i as u64))),
            Err(error) => assert_eq!(error.chain(), "preprocess failed on item 907: 1007 is not wanted"),
        }
    }
    assert_eq!((report.totals.ok, report.totals.failed), (999, 1));
}

#[test]
fn a_panic_in_the_sink_reaches_the_caller() {
    let pipeline = start((0..).map(|i| i * 1000), vec![Device::lane(0, no_fault)], &Options::new(2, 1));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = pipeline.run_into(|delivery| assert!(delivery.sequence < 10, "ten is too many"));
    }));
    let message = *panic.unwrap_err().downcast::<&str>().unwrap();
    assert_eq!(message, "ten is too many");
}

#[test]
fn impossible_counts_are_refused_before_anything_starts() {
    let lanes = || vec![Device::lane(0, no_fault)];
    let says =
        |lanes, options: Options| Pipeline::start(0..1, Numbers, lanes, &options).unwrap_err().to_string();
    assert!(says(lanes(), Options::new(0, 1)).starts_with("0 input sets of a lane"));
    assert!(says(lanes(), Options::new(1, 0)).starts_with("0 host threads"));
    assert!(says(vec![], Options::new(1, 1)).starts_with("0 lanes"));
}

#[test]
fn rings_and_host_threads_change_while_the_stream_runs() {
    for lag in [0, 2] {
        let lanes = vec![Device::lane(lag, no_fault), Device::lane(lag, no_fault)];
        let mut pipeline = start(0..2000, lanes, &Options::new(1, 1));
        let sizes = [(4, 2), (2, 5), (1, 1), (7, 3), (16, 16)];
        let mut expected = 0;
        for (inputs, outputs) in sizes.into_iter().cycle().take(40) {
            pipeline.resize(Sets::Split { inputs, outputs }).unwrap();
            pipeline.set_host_threads(1 + inputs % 3).unwrap();
            for _ in 0..50 {
                let delivery = pipeline.next_delivery().unwrap();
                assert_eq!(delivery.sequence, expected);
                match delivery.result {
                    Ok(output) => assert_eq!(output, (expected, transformed(expected))),
                    Err(error) => assert_eq!(expected % 1000, 7, "{}", error.chain()),
                }
                expected += 1;
            }
        }
        assert!(pipeline.next_delivery().is_none());
        let totals = pipeline.report().totals;
        assert_eq!((totals.taken, totals.ok, totals.failed), (2000, 1998, 2));
    }
}

#[test]
fn a_ring_that_cannot_grow_says_why_and_goes_on() {
    struct Scarce(usize);
    impl Memory<InputSet, OutputSet> for Scarce {
        fn input(&mut self) -> Result<InputSet, DeviceError> {
            let available = self.0.checked_sub(1).ok_or(DeviceError::Memory {
                device: "scarce".into(),
                needed_bytes: 8,
                available_bytes: 0,
                what: "one more input".into(),
            })?;
            self.0 = available;
            memory().input()
        }

        fn output(&mut self) -> Result<OutputSet, DeviceError> {
            memory().output()
        }
    }
    let lane = Lane::blocking(Blocking::new(Device::new(0, no_fault)), Scarce(3));
    let mut pipeline = start(0..100, vec![lane], &Options::new(1, 1));
    pipeline.resize(Sets::Split { inputs: 3, outputs: 3 }).unwrap();
    let error = pipeline.resize(Sets::Split { inputs: 4, outputs: 4 }).unwrap_err();
    assert!(error.to_string().contains("one more input"), "{error}");
    let error = pipeline.resize(Sets::Joint(2)).unwrap_err();
    assert!(error.to_string().contains("layout"), "{error}");
    check(&mut pipeline, 100, |item| item == 7);
}
