//! Jobs over items of any kind: identity whatever the batch, failures that cost one item, and sources fed from outside.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nbuffer::schedule::{Offered, Overload};
use nbuffer::{
    BoxError, Failure, Finished, ItemStages, Job, JobError, Model, Settings, Step, TimedOut, inbox,
};

const BYTES: usize = 8;

/// A model that gives its input back, `batch` items a call.
fn identity(folder: &Path, batch: usize) -> Arc<Model> {
    let shape = serde_json::json!([[batch, 1, 1, BYTES]]);
    let original = serde_json::json!([[batch, BYTES, 1, 1]]);
    let padding = serde_json::json!([[0, 0, 0, 0, 0, 0, 0, 0]]);
    let model = serde_json::json!({
        "inputs": [{"shape": shape[0]}],
        "memory_pools": [],
        "nbuffer": {"format": 1, "kernel": "identity", "kernel_time_s": 0.0001},
    });
    let manifest = serde_json::json!({
        "manifest_version": "1.0",
        "quantized_model_file": null,
        "model_lib_file": "model.json",
        "model_params_file": null,
        "preprocess_graph": null,
        "postprocess_graph": null,
        "quantize_params": [[1.0, 0]],
        "dequantize_params": [[1.0, 0]],
        "input_shapes": shape,
        "output_shapes": shape,
        "input_shapes_original": original,
        "output_shapes_original": original,
        "n_padded_ch_inputs": padding,
        "n_padded_ch_outputs": padding,
        "input_tensor_layout": "NHWC",
    });
    std::fs::write(folder.join("model.json"), model.to_string()).unwrap();
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    Arc::new(Model::open(folder).unwrap())
}

/// Numbers in, the same numbers out; those that `bad` names fail.
struct Numbers {
    bad: fn(u64) -> Option<Step>,
}

impl ItemStages for Numbers {
    type Item = u64;
    type Output = u64;

    fn fill(&self, _: u64, item: &u64, inputs: &mut [&mut [u8]]) -> Result<(), BoxError> {
        inputs[0].copy_from_slice(&item.to_le_bytes());
        if (self.bad)(*item) == Some(Step::Preprocess) { Err("not this one".into()) } else { Ok(()) }
    }

    fn read(&self, _: u64, item: &u64, outputs: &[&[u8]]) -> Result<u64, BoxError> {
        if (self.bad)(*item) == Some(Step::Postprocess) {
            return Err("nor that one".into());
        }
        Ok(u64::from_le_bytes(outputs[0].try_into()?))
    }
}

fn job(model: &Arc<Model>, device: &str, bad: fn(u64) -> Option<Step>) -> Job<Numbers> {
    let engine = nbuffer::engine("rten", None).unwrap();
    let device = nbuffer::device(device, &engine).unwrap();
    Job::with_stages(model, &[device], &Settings::default(), |_, _| Ok::<_, JobError>(Numbers { bad }))
        .unwrap()
}

/// Runs items of which some fail, more than once, with a batch.
#[track_caller]
fn check(device: &str, batch: usize, items: u64, bad: fn(u64) -> Option<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let job = job(&identity(folder.path(), batch), device, bad);
    for _ in 0..2 {
        let mut running = job.run(0..items).unwrap();
        for expected in 0..items {
            let Finished { sequence, item, result } = running.next().expect("each item ends");
            assert_eq!((sequence, item), (expected, expected));
            match (result, bad(item)) {
                (Ok(number), None) => assert_eq!(number, item),
                (Err(Failure::Failed(cause)), Some(step)) => {
                    assert_eq!(cause.step, step);
                    assert!(cause.why.ends_with("this one") || cause.why.ends_with("that one"), "{cause}");
                }
                (result, bad) => panic!("item {item}: {result:?}, {bad:?}"),
            }
        }
        assert!(running.next().is_none());
        let summary = running.summary();
        assert_eq!((summary.items.taken, summary.items.cancelled), (items, 0));
        assert_eq!(summary.items.failed, (0..items).filter(|&item| bad(item).is_some()).count() as u64);
    }
}

#[test]
fn a_result_comes_with_its_item_whatever_the_batch() {
    for device in ["cpu", "sim:metis", "sim:fpga"] {
        for (batch, items) in [(1, 0), (1, 1), (1, 50), (4, 1), (4, 3), (4, 4), (4, 50)] {
            check(device, batch, items, |_| None);
        }
    }
}

#[test]
fn one_failure_costs_one_item_whatever_the_batch() {
    for batch in [1, 4] {
        // Two batches of which nothing is left, and single ones before and after the device.
        check("sim:metis", batch, 60, |item| match item {
            8..16 => Some(Step::Preprocess),
            _ if item % 7 == 3 => Some(Step::Preprocess),
            _ if item % 5 == 4 => Some(Step::Postprocess),
            _ => None,
        });
    }
}

#[test]
fn items_that_come_by_themselves_are_not_held_back_for_a_full_call() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(&identity(folder.path(), 4), "cpu", |_| None);
    let (entrance, arrivals) = inbox(16, Overload::Wait).unwrap();
    let mut running = job.run_live(arrivals).unwrap();
    let short = Duration::from_millis(1);
    assert_eq!(running.next_within(short).unwrap_err(), TimedOut, "nothing has come yet");
    assert!(running.next_ready().is_none());
    // One at a time, so that each is a call of its own.
    for item in 0..5 {
        assert_eq!(entrance.offer(item), Offered::Entered);
        let finished = running.next().unwrap();
        assert_eq!((finished.sequence, finished.item, finished.result.unwrap()), (item, item, item));
    }
    for item in 5..15 {
        assert_eq!(entrance.offer(item), Offered::Entered);
    }
    drop(entrance);
    let rest: Vec<_> =
        running.by_ref().map(|finished| (finished.sequence, finished.result.unwrap())).collect();
    assert_eq!(rest, (5..15).map(|item| (item, item)).collect::<Vec<_>>());
    assert_eq!(running.next_within(short).unwrap().map(|finished| finished.item), None);
    assert_eq!(running.summary().items.ok, 15);
}
