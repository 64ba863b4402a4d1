//! Kernel models through the pipeline, on whatever OpenCL device is here. Every payload is made from its item's number, and
//! every output is compared with what the model's built-in form computes from the same payload.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nbuffer_core::measure::Stage;
use nbuffer_core::tensor::DType;
use nbuffer_opencl::OpenClDevice;
use nbuffer_runtime::{
    BoxError, Compute, Device, Engine, EngineError, Graph, HostBuffer, HostStages, InputSet, LaneOptions,
    Model, Options, OutputSet, Pipeline,
};
use tempfile::TempDir;

/// The device to test on. Without one there is nothing to test, unless `NBUFFER_REQUIRE_OPENCL` is 1.
fn device() -> Option<OpenClDevice> {
    let device = OpenClDevice::new("opencl");
    match device.check() {
        Ok(()) => Some(device),
        Err(error) if std::env::var_os("NBUFFER_REQUIRE_OPENCL").is_some_and(|value| value == "1") => {
            panic!("NBUFFER_REQUIRE_OPENCL is set: {error}")
        }
        Err(error) => {
            eprintln!("not tested: {error}");
            None
        }
    }
}

/// Models with a built-in form need no engine.
#[derive(Debug)]
struct NoEngine;

impl Engine for NoEngine {
    fn name(&self) -> &'static str {
        "none"
    }

    fn describe(&self) -> String {
        "none".into()
    }

    fn load(&self, _: &Path) -> Result<Arc<dyn Graph>, EngineError> {
        Err(EngineError::Unavailable { engine: "none", why: "this is a test".into() })
    }
}

/// Fills inputs by item number, and takes outputs apart.
struct Numbered(Vec<DType>);

fn fill(dtypes: &[DType], item: u64, inputs: &mut [HostBuffer]) {
    for (tensor, (buffer, dtype)) in inputs.iter_mut().zip(dtypes).enumerate() {
        // No two items and no two tensors alike, and nothing that overflows a power of 7.
        let seed = item as u32 * 31 + tensor as u32 * 7;
        match dtype {
            DType::F32 => buffer
                .as_mut_slice::<f32>()
                .iter_mut()
                .enumerate()
                .for_each(|(i, x)| *x = 0.5 + (seed.wrapping_add(i as u32) % 4001) as f32 / 4000.0),
            DType::U32 => buffer
                .as_mut_slice::<u32>()
                .iter_mut()
                .enumerate()
                .for_each(|(i, x)| *x = seed.wrapping_mul(0x9E37_79B9).wrapping_add(i as u32)),
            other => unreachable!("no model here has {other}"),
        }
    }
}

impl HostStages for Numbered {
    type Item = u64;
    type InputSet = InputSet;
    type OutputSet = OutputSet;
    type Carry = u64;
    type Output = (u64, Vec<u8>);

    fn preprocess(&self, item: u64, input: &mut InputSet) -> Result<u64, BoxError> {
        fill(&self.0, item, input);
        Ok(item)
    }

    fn postprocess(&self, item: u64, output: &mut OutputSet) -> Result<(u64, Vec<u8>), BoxError> {
        let bytes = output[0].bytes().to_vec();
        // What is read again without having been written anew must not pass.
        output[0].bytes_mut().fill(0xA5);
        Ok((item, bytes))
    }
}

#[derive(Clone, Copy)]
struct Case {
    items: u64,
    depth: usize,
    lanes: usize,
    /// Of so many items the values are the same again, so that their reference is computed once.
    distinct: u64,
}

/// Runs a model, and holds every output to the built-in form's, and the trace to what a lane promises.
fn check(model: &Path, case: Case) {
    if let Some(device) = device() {
        check_on(&device, model, case);
    }
}

fn check_on(device: &OpenClDevice, model: &Path, case: Case) {
    let model = Arc::new(Model::open(model).unwrap());
    let engine: Arc<dyn Engine> = Arc::new(NoEngine);
    let compute = Compute::new(&model, &engine).unwrap();
    let dtypes: Vec<DType> = model.inputs.iter().map(|tensor| tensor.dtype()).collect();
    let mut session = compute.session(1).unwrap();
    let mut references = HashMap::new();
    for item in 0..case.items.min(case.distinct) {
        let mut input = InputSet::zeroed(&model.inputs);
        let mut output = OutputSet::zeroed(&model.outputs);
        fill(&dtypes, item, &mut input);
        session.run(&input, &mut output).unwrap();
        references.insert(item, output[0].bytes().to_vec());
    }

    let program = device.prepare(&model, case.lanes).unwrap();
    let lane = |lane| program.open_lane(LaneOptions { lane, double_buffer: false }).unwrap();
    let lanes = (0..case.lanes).map(lane).collect();
    let options =
        Options { trace: Some(2000), watchdog: Some(Duration::from_secs(60)), ..Options::new(case.depth, 1) };
    let distinct = case.distinct;
    let source = (0..case.items).map(move |item| item % distinct);
    let mut pipeline = Pipeline::start(source, Numbered(dtypes), lanes, &options).unwrap();
    for item in 0..case.items {
        let delivery = pipeline.next_delivery().expect("every item is delivered");
        assert_eq!(delivery.sequence, item, "in order");
        let (of, bytes) = delivery.result.unwrap();
        assert_eq!(of, item % distinct, "its own carry");
        assert!(bytes == references[&of], "item {item} of {}: not its own values", model.name);
    }
    assert!(pipeline.next_delivery().is_none(), "no item twice");
    assert_eq!(pipeline.report().totals.ok, case.items);
    check_trace(&pipeline, case);
}

/// Each traced item has times of all three stages, one after the other, and one kernel at a time in each lane.
fn check_trace(pipeline: &Pipeline<Numbered>, case: Case) {
    let trace = pipeline.trace().expect("a trace was asked for");
    let mut kernels_end = vec![0; case.lanes];
    assert_eq!(trace.journeys.len() as u64, case.items.min(2000));
    for journey in &trace.journeys {
        let time =
            |stage| journey.stage(stage).unwrap_or_else(|| panic!("{stage:?} of {}", journey.sequence));
        let [write, kernel, read] = [Stage::Write, Stage::Kernel, Stage::Read].map(time);
        assert!(write.end <= kernel.start && kernel.end <= read.start, "item {}", journey.sequence);
        let lane = usize::from(journey.lane.expect("it was on a lane"));
        let last = &mut kernels_end[lane];
        assert!(*last <= kernel.start, "kernels of lane {lane} overlap at item {}", journey.sequence);
        *last = kernel.end;
    }
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(name)
}

/// The entry of a shipped model over few elements, for many items.
fn small_power() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "manifest.json",
        r#"{"manifest_version": "1.0", "input_shapes": [[1, 100]], "input_dtypes": ["float32"],
            "output_shapes": [[1, 100]], "output_dtypes": ["float32"]}"#,
    );
    // Groups of 64 do not divide 100: the entry passes over what is too much.
    write(
        "model.json",
        r#"{"nbuffer": {"format": 1, "program": {
            "cpu": "power", "opencl": {"source": "power.cl", "entry": "power"}, "global": [100], "local": [64],
            "args": [{"input": 0}, {"output": 0}, {"u32": 7}, {"u32": 100}]}}}"#,
    );
    fs::copy(shipped("power/power.cl"), folder.path().join("power.cl")).unwrap();
    folder
}

#[test]
fn the_shipped_kernels_give_the_same_bits_as_their_built_in_forms() {
    for name in ["power", "saxpy", "copy-large"] {
        for depth in [1, 2, 5] {
            check(&shipped(name), Case { items: 8, depth, lanes: 1, distinct: 8 });
        }
    }
}

#[test]
fn streams_of_any_length_end() {
    let model = small_power();
    for items in [0, 1, 2, 7] {
        for lanes in [1, 3] {
            check(model.path(), Case { items, depth: 3, lanes, distinct: 1000 });
        }
    }
}

#[test]
fn five_buffer_sets_lose_and_swap_nothing_in_ten_thousand_items() {
    let model = small_power();
    check(model.path(), Case { items: 10_000, depth: 5, lanes: 1, distinct: 1000 });
}

#[test]
fn lanes_share_a_program() {
    let model = small_power();
    check(model.path(), Case { items: 1000, depth: 2, lanes: 4, distinct: 1000 });
}

#[test]
fn two_pipelines_share_a_device() {
    let Some(device) = device() else { return };
    let model = small_power();
    let case = Case { items: 500, depth: 2, lanes: 1, distinct: 500 };
    std::thread::scope(|scope| {
        scope.spawn(|| check_on(&device, model.path(), case));
        scope.spawn(|| check_on(&device, model.path(), case));
    });
}
