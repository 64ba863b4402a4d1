//! A long, traced run through four lanes with buffer sets: every output belongs to its item, and memory stays flat.
//!
//! A plain `cargo test` sends 20,000 items through. For the long run:
//!
//! ```sh
//! NBUFFER_SOAK=1 cargo test --release -p nbuffer --test soak -- --nocapture
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nbuffer::schedule::Totals;
use nbuffer::tensor::{DType, TensorInfo};
use nbuffer::{
    Blocking, BoxError, CallSpans, DeviceCall, DeviceError, HostBuffer, HostMemory, HostStages, InputSet,
    Lane, Options, OutputSet, Pipeline, SourceEnd,
};

const LANES: usize = 4;
const HOST_THREADS: usize = 4;
const DEPTH: usize = 3;
/// By then every thread, ring and histogram has been used.
const WARM_UP: u64 = 10_000;
/// Items whose journeys the trace keeps: fewer than [`WARM_UP`].
const JOURNEYS: usize = 4096;
const GROWTH_KIB_MAX: u64 = 8 * 1024;
/// Of the host delays.
const SEED: u64 = 0x5eed;

/// FNV-1a, 64 bit, of a number's bytes.
fn checksum(number: u64) -> u64 {
    number
        .to_le_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Spins for 0 to 20 us, by the item and the step alone, so that a run's delays can be had again.
fn delay(item: u64, step: u64) {
    // SplitMix64 (Steele, Lea and Flood, 2014): neighbouring numbers give unrelated ones.
    let mut x = (SEED ^ (2 * item + step)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let delay = Duration::from_nanos((x ^ (x >> 31)) % 20_001);
    let start = Instant::now();
    while start.elapsed() < delay {
        std::hint::spin_loop();
    }
}

struct Numbers;

impl HostStages for Numbers {
    type Item = u64;
    type InputSet = InputSet;
    type OutputSet = OutputSet;
    type Carry = u64;
    type Output = (u64, u64);

    fn preprocess(&self, item: u64, input: &mut InputSet) -> Result<u64, BoxError> {
        delay(item, 0);
        input[0].bytes_mut().copy_from_slice(&item.to_le_bytes());
        Ok(item)
    }

    fn postprocess(&self, item: u64, output: &mut OutputSet) -> Result<(u64, u64), BoxError> {
        delay(item, 1);
        Ok((item, output[0].as_slice::<u64>()[0]))
    }
}

struct Checksum {
    calls: Arc<AtomicU64>,
}

impl DeviceCall for Checksum {
    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<CallSpans, DeviceError> {
        // Only read once the pipeline has ended.
        self.calls.fetch_add(1, Ordering::Relaxed);
        let number = inputs[0].as_slice::<u64>()[0];
        outputs[0].as_mut_slice::<u64>()[0] = checksum(u64::from_le(number));
        Ok(CallSpans::default())
    }
}

/// A size in `/proc/self/status` in KiB; `None` where there is no such file.
fn process_kib(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse().expect("a number of kB"))
}

#[test]
fn every_output_belongs_to_its_item_and_memory_stays_flat() {
    let items = if std::env::var_os("NBUFFER_SOAK").is_some() { 1_000_000 } else { 20_000 };
    let tensor = [TensorInfo::new("number", [8], [], 1.0, 0, DType::I8).unwrap()];
    let calls: [Arc<AtomicU64>; LANES] = Default::default();
    let lane = |calls: &Arc<AtomicU64>| {
        let memory = HostMemory { inputs: tensor.to_vec(), outputs: tensor.to_vec() };
        Lane::blocking(Blocking::new(Checksum { calls: Arc::clone(calls) }), memory)
    };
    // The trace is full before memory is looked at for the first time.
    let options = Options { trace: Some(JOURNEYS), ..Options::new(DEPTH, HOST_THREADS) };
    let lanes = calls.iter().map(lane).collect();
    let mut pipeline = Pipeline::start(0..items, Numbers, lanes, &options).unwrap();

    let memory = || process_kib("VmHWM").zip(process_kib("VmRSS"));
    let mut warm = None;
    for expected in 0..items {
        let delivery = pipeline.next_delivery().expect("a result for every item");
        assert_eq!(delivery.sequence, expected);
        assert_eq!(delivery.result.unwrap(), (expected, checksum(expected)));
        if expected + 1 == WARM_UP {
            warm = memory();
        }
    }
    assert!(pipeline.next_delivery().is_none());
    let end = memory();

    let trace = pipeline.trace().expect("it is traced");
    assert_eq!((trace.journeys.len(), trace.left_out), (JOURNEYS, items - JOURNEYS as u64));
    assert_eq!(trace.journeys.last().expect("some were kept").sequence, items - 1);
    let report = pipeline.report();
    assert_eq!(report.source_end, SourceEnd::Exhausted);
    assert_eq!(report.totals, Totals { taken: items, ok: items, ..Totals::default() });
    let calls = calls.map(|calls| calls.load(Ordering::Relaxed));
    assert_eq!(calls.iter().sum::<u64>(), items, "one device call per item");
    eprintln!("{items} items in {:.1} s, calls per lane {calls:?}", report.wall as f64 / 1e9);
    if let Some(((peak_warm, rss_warm), (peak, rss))) = warm.zip(end) {
        eprintln!(
            "after {WARM_UP} items: peak RSS {peak_warm} KiB, RSS {rss_warm} KiB; at the end: {peak}, {rss}"
        );
        assert!(
            peak.saturating_sub(peak_warm) < GROWTH_KIB_MAX,
            "peak RSS grew from {peak_warm} to {peak} KiB"
        );
        assert!(rss.saturating_sub(rss_warm) < GROWTH_KIB_MAX, "RSS grew from {rss_warm} to {rss} KiB");
    }
}
