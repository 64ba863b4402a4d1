//! The device `cpu` over either engine.

use std::sync::Arc;

use nbuffer_core::tensor::{DType, TensorInfo};
use nbuffer_onnx::CpuDevice;
use nbuffer_runtime::model::Kernel;
use nbuffer_runtime::{
    Calls, Device, DeviceError, Ended, Engine, Flight, Lane, LaneOptions, Model, Program, Transit,
};

use crate::{on_each_engine, small_model};

on_each_engine!(
    a_lane_computes_and_tells_its_kernel_span,
    lanes_are_independent,
    double_buffering_is_refused
);

fn a_lane_computes_and_tells_its_kernel_span(engine: &Arc<dyn Engine>) {
    let program = prepare(engine);
    assert_eq!(program.engine(), Some(engine.describe()));
    assert_eq!(program.model_bytes(), 24);
    assert_eq!(call(program.as_ref(), 0, [4, 5, 6, 7, 3, 3, 3, 3]), [-71, -70, -69, -69, -71, -71, -71, -71]);
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

/// Opens a lane and makes one call.
fn call(program: &dyn Program, lane: usize, values: [i8; 8]) -> [i8; 8] {
    let Lane { calls, mut memory } = program.open_lane(LaneOptions { lane, double_buffer: false }).unwrap();
    let Calls::Blocking(mut opened) = calls else {
        panic!("a CPU lane blocks");
    };
    let (mut input, output) = (memory.input().unwrap(), memory.output().unwrap());
    input[0].as_mut_slice().copy_from_slice(&values);
    let id = Transit::new(lane, 0, 0, 7);
    let Ended::Landed(of, output, spans) = opened.call(Some(Flight { id, input, output })).ended else {
        panic!("the call failed");
    };
    assert_eq!(of, id);
    let kernel = spans.kernel.expect("the kernel is measured");
    assert!(kernel.end >= kernel.start && spans.write.is_none() && spans.read.is_none());
    output[0].as_slice::<i8>().try_into().unwrap()
}
