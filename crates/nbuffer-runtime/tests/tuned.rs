//! Runs that choose their own buffer sets and host threads, in real time. The stage times are what is tested, and
//! stages sleep for them instead of working, so a busy machine makes them a little longer and nothing else. No order
//! depends on them.

use std::time::Duration;

use nbuffer_core::plan::{Overlap, Setting, StageTimes};
use nbuffer_core::schedule::HostThreads;
use nbuffer_core::tensor::{DType, TensorInfo};
use nbuffer_core::tune::Goals;
use nbuffer_runtime::*;

const KERNEL: Duration = Duration::from_millis(2);

struct Sleeper;

impl DeviceCall for Sleeper {
    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<CallSpans, DeviceError> {
        std::thread::sleep(KERNEL);
        outputs[0].bytes_mut().copy_from_slice(inputs[0].bytes());
        Ok(CallSpans::default())
    }
}

/// Host work that becomes longer at some item.
struct Drifting {
    before: Duration,
    after: Duration,
    at: u64,
}

impl HostStages for Drifting {
    type Item = u64;
    type InputSet = InputSet;
    type OutputSet = OutputSet;
    type Carry = u64;
    type Output = (u64, u64);

    fn preprocess(&self, item: u64, input: &mut InputSet) -> Result<u64, BoxError> {
        std::thread::sleep(if item < self.at { self.before } else { self.after });
        input[0].as_mut_slice::<u64>()[0] = item;
        Ok(item)
    }

    fn postprocess(&self, carry: u64, output: &mut OutputSet) -> Result<(u64, u64), BoxError> {
        Ok((carry, output[0].as_slice::<u64>()[0]))
    }
}

fn start(stages: Drifting, items: u64, latency_s: Option<f64>) -> Pipeline<Drifting> {
    let tensor = vec![TensorInfo::new("number", [8], [], 1.0, 0, DType::I8).unwrap()];
    let memory = HostMemory { inputs: tensor.clone(), outputs: tensor };
    let sets = Sets::Split { inputs: 1, outputs: 1 };
    let mut setting = Setting::new(StageTimes::default(), 1, sets, HostThreads::Shared(1));
    setting.overlap = Overlap::None;
    setting.limits.latency_s = latency_s;
    let goals = Goals { setting, sets: true, host_threads_max: Some(4) };
    let options = Options { sets, tune: Some(goals), ..Options::new(1, 1) };
    let lane = Lane::blocking(Blocking::new(Sleeper), memory);
    Pipeline::start(0..items, stages, vec![lane], &options).unwrap()
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn host_work_that_becomes_five_times_as_long_is_followed() {
    let stages = Drifting { before: ms(1), after: ms(5), at: 200 };
    let mut pipeline = start(stages, 500, None);
    for expected in 0..500 {
        let delivery = pipeline.next_delivery().expect("a result for every item");
        assert_eq!((delivery.sequence, delivery.result.unwrap()), (expected, (expected, expected)));
    }
    assert!(pipeline.next_delivery().is_none());
    let report = pipeline.report();
    for decision in &report.decisions {
        println!("{decision:?}");
    }
    let first = &report.decisions[0];
    assert!(first.items < 50, "the first look comes soon: {first:?}");
    // The first look after the change sees items from before it too; the next ones do not.
    let after = report.decisions.iter().rfind(|decision| decision.items > 200);
    let after = after.expect("five times the host work asks for more threads and sets");
    assert!(after.host_threads >= 3 && after.sets.inputs() >= 3, "{after:?}");
    // 5 ms of host work over at least 3 threads is hidden behind the kernel again.
    let settled = report.measures.tallies().period_since(&report.settled_from).expect("kernels ran");
    assert!(settled < 4.0 * KERNEL.as_nanos() as f64, "a period of {settled} ns");
}

#[test]
fn a_latency_that_cannot_be_had_ends_the_run_with_the_smallest_one() {
    let stages = Drifting { before: ms(1), after: ms(1), at: 0 };
    let mut pipeline = start(stages, 10_000, Some(0.001));
    let mut delivered = 0;
    while let Some(delivery) = pipeline.next_delivery() {
        assert_eq!(delivery.sequence, delivered);
        delivered += 1;
    }
    assert!(delivered < 10_000);
    let report = pipeline.report();
    let SourceEnd::Refused(why) = &report.source_end else {
        panic!("{:?}", report.source_end);
    };
    assert!(why.contains("1.00 ms") && why.contains("at least"), "{why}");
    assert_eq!(report.totals.taken, report.totals.ok + report.totals.cancelled);
}
