use super::*;
use crate::timeline::Progress;
use nbuffer_core::tensor::DType;

fn tensors(bytes: usize) -> Vec<TensorInfo> {
    vec![TensorInfo::new("t", [1, bytes], [], 1.0, 0, DType::I8).unwrap()]
}

/// A device in virtual time.
struct Bench {
    timeline: Timeline,
    units: Units,
    times: CallTimes,
}

impl Bench {
    fn new(profile: &Profile, kernel_s: Option<f64>, bytes_in: usize, bytes_out: usize) -> Self {
        let mut timeline = Timeline::new();
        let units = Units::new(&mut timeline, profile);
        let times =
            CallTimes::new("test", profile, kernel_s, &tensors(bytes_in), &tensors(bytes_out)).unwrap();
        Bench { timeline, units, times }
    }

    /// Makes `calls` calls on each of `lanes` lanes, each lane one after another, and returns the time from
    /// the end of each lane's call 2 (the first that moves everything) to the end of its last, per call.
    fn seconds_per_call(&mut self, lanes: usize, calls: u64, double_buffer: bool) -> f64 {
        let shape = |bench: &Bench, lane, call| match double_buffer {
            true => bench.times.double_buffered_call(&bench.units, lane, call),
            false => bench.times.blocking_call(&bench.units, lane),
        };
        let mut running: Vec<_> = (0..lanes)
            .map(|lane| (self.timeline.submit(0, shape(self, lane, 0).steps), 0, Vec::new()))
            .collect();
        while running.iter().any(|(.., ends)| ends.len() < calls as usize) {
            let mut next = u64::MAX;
            for (lane, (job, call, ends)) in running.iter_mut().enumerate() {
                if ends.len() == calls as usize {
                    continue;
                }
                match self.timeline.progress(*job) {
                    Progress::NotBefore(at_ns) => next = next.min(at_ns),
                    Progress::Ended(spans) => {
                        let end = spans.iter().map(|span| span.end_ns).max().unwrap();
                        ends.push(end);
                        *call += 1;
                        if ends.len() < calls as usize {
                            *job = self.timeline.submit(end, shape(self, lane, *call).steps);
                            next = next.min(end);
                        }
                    }
                }
            }
            if next < u64::MAX {
                self.timeline.advance(next);
            }
        }
        let per_call =
            |ends: &[u64]| (ends[ends.len() - 1] - ends[2]) as f64 / (ends.len() - 3) as f64 * 1e-9;
        running.iter().map(|(.., ends)| per_call(ends)).sum::<f64>() / lanes as f64
    }
}

fn example(text: &str) -> Profile {
    Profile::parse("test", text).unwrap()
}

const LOCKSTEP: &str = include_str!("../../profiles/examples/lockstep-2ms.toml");
const QUEUED: &str = include_str!("../../profiles/examples/queued-2ms.toml");

#[test]
fn metis_meets_the_published_resnet_50_pair() {
    let metis = Profile::load("metis").unwrap();
    for (double_buffer, published) in [(false, 362.2), (true, 379.6)] {
        // Input (1, 230, 240, 4), output (1, 1, 1, 1024), one core.
        let mut bench = Bench::new(&metis, Some(1.95e-3), 220_800, 1_024);
        let rate = 1.0 / bench.seconds_per_call(1, 50, double_buffer);
        assert!((rate / published - 1.0).abs() < 0.03, "double buffering {double_buffer}: {rate} calls/s");
    }
}

#[test]
fn four_metis_lanes_scale_until_the_serial_share_binds() {
    let metis = Profile::load("metis").unwrap();
    let rate = |kernel_s| {
        let mut bench = Bench::new(&metis, Some(kernel_s), 220_800, 1_024);
        4.0 / bench.seconds_per_call(4, 200, true)
    };
    let four = rate(1.95e-3);
    assert!((four / (4.0 * 379.6) - 1.0).abs() < 0.03, "{four} calls/s");
    // With next to no kernel a call takes 0.75 ms, a tenth of it serialised: four lanes still fit.
    let fast = rate(1e-6);
    assert!(fast > 4.0 / 0.85e-3 && fast < 1.0 / 75.4e-6, "{fast} calls/s");
}

#[test]
fn a_call_lasts_the_sum_or_the_maximum() {
    for (double_buffer, expected_s) in [(false, 3.0e-3), (true, 2.0e-3)] {
        let mut bench = Bench::new(&example(LOCKSTEP), None, 64, 64);
        let per_call = bench.seconds_per_call(1, 20, double_buffer);
        assert!((per_call - expected_s).abs() < 1e-9, "{per_call}");
    }
}

#[test]
fn the_first_two_double_buffered_calls_take_the_time_of_what_moves() {
    let mut bench = Bench::new(&example(LOCKSTEP), Some(0.2e-3), 64, 64);
    let mut ends = vec![0];
    for call in 0..4 {
        let begin = ends[call];
        let shape = bench.times.double_buffered_call(&bench.units, 0, call as u64);
        let job = bench.timeline.submit(begin, shape.steps);
        let Progress::NotBefore(end) = bench.timeline.progress(job) else { panic!("a call takes time") };
        bench.timeline.advance(end);
        assert!(matches!(bench.timeline.progress(job), Progress::Ended(_)));
        ends.push(end);
    }
    // The kernel (0.2 ms) is shorter than a transfer (0.5 ms) here.
    assert_eq!(ends, [0, 500_000, 1_000_000, 1_500_000, 2_000_000]);
    let shape = |moved| bench.times.double_buffered_call(&bench.units, 0, moved);
    let stages = |shape: Shape| (shape.write.is_some(), shape.kernel.is_some(), shape.read.is_some());
    assert_eq!(
        [0, 1, 2].map(|moved| stages(shape(moved))),
        [(true, false, false), (true, true, false), (true, true, true)]
    );
}

#[test]
fn half_duplex_lets_write_and_read_of_a_double_buffered_call_take_turns() {
    let half = LOCKSTEP.replace("duplex = \"full\"", "duplex = \"half\"");
    let mut bench = Bench::new(&example(&half), Some(0.2e-3), 64, 64);
    let per_call = bench.seconds_per_call(1, 20, true);
    assert!((per_call - 1.0e-3).abs() < 1e-9, "{per_call}");
}

#[test]
fn queued_items_reach_the_kernel_bound() {
    let mut bench = Bench::new(&example(QUEUED), None, 64, 64);
    let jobs: Vec<_> = (0..10)
        .map(|_| {
            let shape = bench.times.queued_item(&bench.units);
            bench.timeline.submit(0, shape.steps)
        })
        .collect();
    bench.timeline.advance(u64::MAX / 2);
    for (k, job) in jobs.into_iter().enumerate() {
        let Progress::Ended(spans) = bench.timeline.progress(job) else { panic!("all has ended") };
        assert_eq!(spans[1].start_ns, 500_000 + 2_000_000 * k as u64);
    }
}

#[test]
fn the_kernel_engine_idles_for_the_launch_time() {
    let with_launch = QUEUED.replace("cores = 1", "cores = 1\nlaunch_time = \"50us\"");
    let mut bench = Bench::new(&example(&with_launch), None, 64, 64);
    let shape = bench.times.queued_item(&bench.units);
    let jobs = [0, 0].map(|at| bench.timeline.submit(at, shape.steps.clone()));
    bench.timeline.advance(u64::MAX / 2);
    let epoch = Instant::now();
    let [first, second] = jobs.map(|job| match bench.timeline.progress(job) {
        Progress::Ended(spans) => shape.device_spans(&spans, epoch).kernel.unwrap(),
        Progress::NotBefore(_) => panic!("all has ended"),
    });
    assert_eq!(first.end - first.start, Duration::from_millis(2));
    assert_eq!(second.start - first.end, Duration::from_micros(50));
}

#[test]
fn host_shares_add_up_to_the_call_time() {
    let metis = Profile::load("metis").unwrap();
    let times = CallTimes::new("test", &metis, None, &[], &[]).unwrap();
    assert_eq!(times.host_serial_ns + times.host_alone_ns + times.host_overlap_ns, 754_000);
    assert_eq!((times.write_ns, times.read_ns), (0, 0));
    assert_eq!(times.kernel_ns, 1_950_000);
}

#[test]
fn a_kernel_time_that_makes_no_sense_is_refused() {
    let metis = Profile::load("metis").unwrap();
    for kernel_s in [f64::NAN, f64::INFINITY, -1.0, 1e9] {
        let error = CallTimes::new("sim:metis", &metis, Some(kernel_s), &[], &[]).unwrap_err();
        assert!(error.to_string().contains("kernel"), "{error}");
    }
}
