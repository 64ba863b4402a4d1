//! The device `cpu` over each engine.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nbuffer_core::tensor::{DType, TensorInfo};
use nbuffer_onnx::CpuDevice;
use nbuffer_runtime::model::Kernel;
use nbuffer_runtime::{
    BlockingLane, Called, Calls, Completions, Device, DeviceError, Ended, Engine, Flight, HostBuffer,
    InputSet, Lane, LaneOptions, Memory, Model, OutputSet, Program, QueuedLane, Transit,
};

use crate::{on_each_engine, small_model};

on_each_engine!(
    a_lane_computes_and_tells_its_kernel_span,
    lanes_are_independent,
    every_item_comes_back_with_its_own_value,
    a_failing_item_costs_itself_alone,
    a_lane_dropped_with_items_inside_ends,
    double_buffering_is_refused
);

fn a_lane_computes_and_tells_its_kernel_span(engine: &Arc<dyn Engine>) {
    let program = prepare(engine);
    assert_eq!(program.engine(), Some(engine.describe()));
    assert_eq!(program.model_bytes(), 24);
    assert_eq!(
        call(program.as_ref(), 0, [5, 7, 9, 127, 3, 3, 3, 3]),
        [-70, -69, -68, -9, -71, -71, -71, -71]
    );
}

fn lanes_are_independent(engine: &Arc<dyn Engine>) {
    let program = prepare(engine);
    assert_eq!(call(program.as_ref(), 0, [5; 8]), [-70; 8]);
    assert_eq!(call(program.as_ref(), 1, [7; 8]), [-69; 8]);
}

fn double_buffering_is_refused(engine: &Arc<dyn Engine>) {
    let options = LaneOptions { lane: 0, double_buffer: true };
    let error = prepare(engine).open_lane(options).expect_err("a CPU lane has no transfers");
    assert!(matches!(error, DeviceError::Unsupported { .. }), "{error}");
}

#[test]
fn the_device_says_what_it_is() {
    let device = CpuDevice::new(crate::rten(), 0);
    let info = device.info();
    assert_eq!((info.name.as_str(), info.double_buffer, info.queued), ("cpu", false, false));
    assert!(info.description.contains("rten 0.27.0") && info.cores >= 1, "{info:?}");
    assert!(device.check().is_ok());
}

fn prepare(engine: &Arc<dyn Engine>) -> Arc<dyn Program> {
    let tensor =
        |scale, zero_point| TensorInfo::new("", [1, 2, 4], [], scale, zero_point, DType::I8).unwrap();
    let model = Model {
        name: "requantize".to_owned(),
        kernel: Kernel::Onnx(small_model("requantize_i8")),
        inputs: vec![tensor(0.25, 3)],
        outputs: vec![tensor(0.5, -71)],
        batch: 1,
        kernel_s: None,
        model_bytes: 24,
        preprocess: None,
        labels: None,
    };
    CpuDevice::new(Arc::clone(engine), 1)
        .prepare(&Arc::new(model), 2)
        .unwrap_or_else(|error| panic!("{error}"))
}

fn every_item_comes_back_with_its_own_value(engine: &Arc<dyn Engine>) {
    let mut lane = Opened::new(prepare(engine).as_ref(), 0);
    for item in 0..60 {
        lane.submit(item, [2 * item as i8 + 3; 8]);
    }
    let mut ended: Vec<u64> = Vec::new();
    let mut last_end = None;
    for called in lane.ended(60) {
        let Ended::Landed(id, output, spans) = called.ended else { panic!("a call failed") };
        assert_eq!(output[0].as_slice::<i8>(), [id.sequence() as i8 - 71; 8]);
        let kernel = spans.kernel.expect("the kernel is measured");
        assert!(last_end.is_none_or(|end| kernel.start >= end), "kernels of a lane do not overlap");
        last_end = Some(kernel.end);
        ended.push(id.sequence());
    }
    assert_eq!(ended, (0..60).collect::<Vec<_>>());
}

fn a_failing_item_costs_itself_alone(engine: &Arc<dyn Engine>) {
    let mut lane = Opened::new(prepare(engine).as_ref(), 0);
    lane.submit(0, [5; 8]);
    let input = InputSet::new(vec![HostBuffer::zeroed(3)]);
    lane.submit_set(1, input);
    lane.submit(2, [7; 8]);
    let mut values = [None; 3];
    for called in lane.ended(3) {
        match called.ended {
            Ended::Landed(id, output, _) => {
                values[id.sequence() as usize] = Some(output[0].as_slice::<i8>()[0])
            }
            Ended::Failed(id, _, error) => {
                assert_eq!(id.sequence(), 1);
                assert!(error.to_string().contains("8 B, its buffer has 3 B"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(values, [Some(-70), None, Some(-69)]);
}

fn a_lane_dropped_with_items_inside_ends(engine: &Arc<dyn Engine>) {
    let mut lane = Opened::new(prepare(engine).as_ref(), 0);
    (0..20).for_each(|item| lane.submit(item, [5; 8]));
}

/// Opens a lane and makes one call.
fn call(program: &dyn Program, lane: usize, values: [i8; 8]) -> [i8; 8] {
    let mut opened = Opened::new(program, lane);
    opened.submit(7, values);
    let [called] = <[_; 1]>::try_from(opened.ended(1)).unwrap();
    let Ended::Landed(of, output, spans) = called.ended else {
        panic!("the call failed");
    };
    assert_eq!((of.lane(), of.sequence()), (lane, 7));
    let kernel = spans.kernel.expect("the kernel is measured");
    assert!(kernel.end >= kernel.start && spans.write.is_none() && spans.read.is_none());
    output[0].as_slice::<i8>().try_into().unwrap()
}

type Back = Called<InputSet, OutputSet>;

/// A lane of either kind, and what it has given back.
struct Opened {
    lane: usize,
    calls: Either,
    memory: Box<dyn Memory<InputSet, OutputSet>>,
    sender: Sender<Back>,
    back: Receiver<Back>,
}

enum Either {
    Blocking(Box<dyn BlockingLane<InputSet, OutputSet>>),
    Queued(Box<dyn QueuedLane<InputSet, OutputSet>>),
}

impl Opened {
    fn new(program: &dyn Program, lane: usize) -> Self {
        let Lane { calls, memory } = program.open_lane(LaneOptions { lane, double_buffer: false }).unwrap();
        let (sender, back) = channel();
        let calls = match calls {
            Calls::Blocking(lane) => Either::Blocking(lane),
            Calls::Queued(open) => {
                let sender = Mutex::new(sender.clone());
                let tell = move |called, _| drop(sender.lock().unwrap().send(called));
                Either::Queued(open(Completions::new(lane, Arc::new(tell))))
            }
        };
        Opened { lane, calls, memory, sender, back }
    }

    fn submit(&mut self, sequence: u64, values: [i8; 8]) {
        let mut input = self.memory.input().unwrap();
        input[0].as_mut_slice().copy_from_slice(&values);
        self.submit_set(sequence, input);
    }

    fn submit_set(&mut self, sequence: u64, input: InputSet) {
        let flight = Flight {
            id: Transit::new(self.lane, 0, 0, sequence),
            input,
            output: self.memory.output().unwrap(),
        };
        match &mut self.calls {
            Either::Blocking(lane) => self.sender.send(lane.call(Some(flight))).unwrap(),
            Either::Queued(lane) => lane.submit(flight),
        }
    }

    /// What came back of `n` items.
    fn ended(&mut self, n: usize) -> Vec<Back> {
        (0..n).map(|_| self.back.recv_timeout(Duration::from_secs(60)).expect("every item ends")).collect()
    }
}
