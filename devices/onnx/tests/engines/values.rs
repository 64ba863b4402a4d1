//! Values of small graphs, worked out by hand.

use std::sync::Arc;
use std::thread;

use nbuffer_core::tensor::DType;
use nbuffer_runtime::{Engine, GraphTensor, HostBuffer};

use crate::{buffer, load, on_each_engine};

on_each_engine!(
    float32_is_computed,
    int32_is_computed,
    int64_is_computed,
    int8_rounds_half_to_even_and_saturates,
    uint8_rounds_half_to_even_and_saturates,
    an_open_first_dimension_is_the_batch,
    outputs_come_in_the_order_the_graph_declares,
    edges_are_told_as_the_file_declares_them,
    a_session_computes_anew_each_time,
    sessions_of_one_graph_run_side_by_side,
);

fn float32_is_computed(engine: &Arc<dyn Engine>) {
    let inputs = [buffer(&[1.0_f32, -2.0, 0.5, 1e30]), buffer(&[0.25_f32, 2.0, 0.5, 1e30])];
    check(engine, "add_f32", 1, &inputs, &[1.25_f32, 0.0, 1.0, 2e30]);
}

fn int32_is_computed(engine: &Arc<dyn Engine>) {
    let inputs = [buffer(&[1_i32, -2, i32::MAX - 1, 0]), buffer(&[10_i32, 20, 1, i32::MIN])];
    check(engine, "add_i32", 1, &inputs, &[11_i32, 18, i32::MAX, i32::MIN]);
}

fn int64_is_computed(engine: &Arc<dyn Engine>) {
    let inputs = [buffer(&[1_i64, -2, 2_000_000_000, 0]), buffer(&[10_i64, 20, -5, -2_000_000_000])];
    check(engine, "add_i64", 1, &inputs, &[11_i64, 18, 1_999_999_995, -2_000_000_000]);
}

fn int8_rounds_half_to_even_and_saturates(engine: &Arc<dyn Engine>) {
    let inputs = [buffer(&[-128_i8, 127, 3, 4, 5, 6, 7, -1])];
    let expected = match engine.name() {
        // Ties to even of (q - 3) / 2 - 71.
        "openvino" => [-128_i8, -9, -71, -70, -70, -70, -69, -73],
        // (q - 3) / 2, ties to even, then - 71, as ONNX has it.
        _ => [-128_i8, -9, -71, -71, -70, -69, -69, -73],
    };
    check(engine, "requantize_i8", 1, &inputs, &expected);
}

fn uint8_rounds_half_to_even_and_saturates(engine: &Arc<dyn Engine>) {
    let inputs = [buffer(&[0_u8, 255, 131, 132, 133, 134, 135, 129])];
    let expected = match engine.name() {
        // Ties to even of (q - 131) / 2 + 231.
        "openvino" => [166_u8, 255, 231, 232, 232, 232, 233, 230],
        // (q - 131) / 2, ties to even, then + 231, as ONNX has it.
        _ => [165_u8, 255, 231, 231, 232, 233, 233, 230],
    };
    check(engine, "requantize_u8", 1, &inputs, &expected);
}

fn an_open_first_dimension_is_the_batch(engine: &Arc<dyn Engine>) {
    check(engine, "open_batch", 1, &[buffer(&[1.0_f32, 2.0, 3.0])], &[1.0_f32, 20.0, 300.0]);
    let two = [buffer(&[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0])];
    check(engine, "open_batch", 2, &two, &[1.0_f32, 20.0, 300.0, 4.0, 50.0, 600.0]);
}

fn outputs_come_in_the_order_the_graph_declares(engine: &Arc<dyn Engine>) {
    let mut outputs = [buffer(&[0_i32; 3]), buffer(&[0.0_f32; 3])];
    let mut session = load(engine, "two_outputs").session(1, 1).unwrap();
    session.run(&[buffer(&[1.75_f32, -2.5, 0.0])], &mut outputs).unwrap();
    assert_eq!(outputs[0].as_slice::<i32>(), [1, -2, 0]);
    assert_eq!(outputs[1].as_slice::<f32>(), [-1.75, 2.5, 0.0]);
}

fn edges_are_told_as_the_file_declares_them(engine: &Arc<dyn Engine>) {
    let tensor = |name: &str, dims: &[Option<usize>], dtype| GraphTensor {
        name: name.to_owned(),
        dims: dims.to_vec(),
        dtype,
    };
    let graph = load(engine, "open_batch");
    assert_eq!(graph.inputs(), [tensor("x", &[None, Some(3)], DType::F32)]);
    assert_eq!(graph.outputs(), [tensor("y", &[None, Some(3)], DType::F32)]);
    let graph = load(engine, "two_outputs");
    let outputs = [tensor("whole", &[Some(3)], DType::I32), tensor("negative", &[Some(3)], DType::F32)];
    assert_eq!(graph.outputs(), outputs);
    let graph = load(engine, "add_i64");
    assert_eq!(graph.inputs()[1], tensor("b", &[Some(4)], DType::I64));
}

fn a_session_computes_anew_each_time(engine: &Arc<dyn Engine>) {
    let mut session = load(engine, "open_batch").session(1, 1).unwrap();
    let mut outputs = [HostBuffer::zeroed(12)];
    for round in 0..10 {
        let x = round as f32;
        session.run(&[buffer(&[x, x, -x])], &mut outputs).unwrap();
        assert_eq!(outputs[0].as_slice::<f32>(), [x, 10.0 * x, -100.0 * x]);
    }
}

fn sessions_of_one_graph_run_side_by_side(engine: &Arc<dyn Engine>) {
    let graph = load(engine, "add_i32");
    thread::scope(|scope| {
        for lane in 0..4 {
            let mut session = graph.session(1, 1).unwrap();
            scope.spawn(move || {
                let mut outputs = [HostBuffer::zeroed(16)];
                for item in 0..50 {
                    session.run(&[buffer(&[item; 4]), buffer(&[1000 * lane; 4])], &mut outputs).unwrap();
                    assert_eq!(outputs[0].as_slice::<i32>(), [item + 1000 * lane; 4]);
                }
            });
        }
    });
}

/// Runs a graph with a single output, on one thread and on two.
fn check<T>(engine: &Arc<dyn Engine>, name: &str, batch: usize, inputs: &[HostBuffer], expected: &[T])
where
    T: bytemuck::Pod + std::fmt::Debug + PartialEq,
{
    let graph = load(engine, name);
    for threads in [1, 2] {
        let mut outputs = [HostBuffer::zeroed(size_of_val(expected))];
        graph.session(batch, threads).unwrap().run(inputs, &mut outputs).unwrap();
        assert_eq!(outputs[0].as_slice::<T>(), expected, "{name} on {threads} threads");
    }
}
