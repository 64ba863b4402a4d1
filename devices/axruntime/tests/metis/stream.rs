//! A stream of items whose payloads carry their numbers, through lanes of the device.

use nbuffer_runtime::{
    BoxError, Delivery, HostStages, InputSet, ItemError, Lane, Options, OutputSet, Pipeline, Report,
};

/// Fills every byte of an input from the item's number, and wants the same back.
struct Payloads;

fn byte(item: u64, idx: usize) -> u8 {
    // Eight bytes of number, then bytes that depend on the number and the place.
    if idx < 8 { item.to_le_bytes()[idx] } else { (item.wrapping_mul(31) as usize + 7 * idx) as u8 }
}

impl HostStages for Payloads {
    type Item = u64;
    type InputSet = InputSet;
    type OutputSet = OutputSet;
    type Carry = u64;
    type Output = u64;

    fn preprocess(&self, item: u64, input: &mut InputSet) -> Result<u64, BoxError> {
        input[0].bytes_mut().iter_mut().enumerate().for_each(|(idx, to)| *to = byte(item, idx));
        Ok(item)
    }

    fn postprocess(&self, item: u64, output: &mut OutputSet) -> Result<u64, BoxError> {
        let bytes = output[0].bytes();
        let found = u64::from_le_bytes(bytes[..8].try_into()?);
        if bytes.iter().enumerate().any(|(idx, &found)| found != byte(item, idx)) {
            return Err(format!("WRONG: item {item} has the payload of {found:#x}").into());
        }
        Ok(found)
    }
}

/// What a stream came to: which items failed, and why.
pub(crate) struct Streamed {
    pub(crate) failed: Vec<(u64, String)>,
    pub(crate) report: Report,
}

/// Runs `items` items; each is delivered once, in order, with its own payload or an error.
#[track_caller]
pub(crate) fn stream(items: u64, lanes: Vec<Lane<InputSet, OutputSet>>, options: &Options) -> Streamed {
    let options = Options { trace: Some(1000), ..options.clone() };
    let mut pipeline = Pipeline::start(0..items, Payloads, lanes, &options).unwrap();
    let mut failed = Vec::new();
    let mut next = 0;
    while let Some(Delivery { sequence, result }) = pipeline.next_delivery() {
        assert_eq!(sequence, next, "out of order");
        next += 1;
        match result {
            Ok(found) => assert_eq!(found, sequence),
            Err(error) => failed.push((sequence, ItemError::chain(&error))),
        }
    }
    let report = pipeline.report();
    let totals = report.totals;
    assert_eq!(next, totals.taken);
    assert_eq!(totals.ok + totals.failed + totals.cancelled, totals.taken);
    assert!(failed.iter().all(|(_, why)| !why.contains("WRONG")), "{failed:?}");
    let trace = pipeline.trace().expect("it is traced");
    for journey in &trace.journeys {
        let kernel = journey.stage(nbuffer_core::measure::Stage::Kernel);
        assert!(kernel.is_none_or(|kernel| kernel.start <= kernel.end), "{journey:?}");
    }
    Streamed { failed, report }
}

/// The same, where none may fail.
#[track_caller]
pub(crate) fn stream_well(items: u64, lanes: Vec<Lane<InputSet, OutputSet>>, depth: usize) {
    let streamed = stream(items, lanes, &Options::new(depth, 2));
    assert_eq!((streamed.failed, streamed.report.totals.ok), (Vec::new(), items));
}

/// Takes `items` results of an endless stream, and drops it with calls inside.
pub(crate) fn drop_after(items: usize, lanes: Vec<Lane<InputSet, OutputSet>>, options: &Options) {
    let pipeline = Pipeline::start(0.., Payloads, lanes, options).unwrap();
    for (sequence, result) in (0..).zip(pipeline.take(items)) {
        assert_eq!(result.unwrap(), sequence);
    }
}

/// Numbers of the items that failed.
pub(crate) fn numbers(streamed: &Streamed) -> Vec<u64> {
    streamed.failed.iter().map(|(item, _)| *item).collect()
}

/// One lane, so that call k submits item k.
pub(crate) fn one(lane: Lane<InputSet, OutputSet>) -> Vec<Lane<InputSet, OutputSet>> {
    Vec::from([lane])
}

#[test]
fn a_payload_of_another_item_is_found_out() {
    let mut outputs = OutputSet::zeroed(&[nbuffer_core::tensor::TensorInfo::float32("x", [16]).unwrap()]);
    assert!(Payloads.postprocess(1, &mut outputs).is_err());
}
