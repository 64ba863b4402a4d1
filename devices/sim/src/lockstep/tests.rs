use std::sync::mpsc::channel;
use std::thread;

use nbuffer_runtime::{InputSet, OutputSet, Program};

use super::*;
use crate::hardware::Hardware;
use crate::profile::Profile;
use crate::program::SimProgram;
use crate::testing::{byte_model, no_engine};

/// A lockstep profile with stages of 1 ms, 3 ms and 1 ms and these faults.
fn program(faults: &str) -> (Arc<Hardware>, SimProgram) {
    let text = format!(
        "class = \"lockstep\"\ncores = 2\nkernel_time = \"3ms\"\n[link]\nduplex = \"full\"\nwrite_time = \"1ms\"\nread_time = \"1ms\"\n{faults}"
    );
    let hardware = Hardware::new("sim:test".into(), Profile::parse("test", &text).unwrap());
    let program = SimProgram::new(&hardware, &no_engine(), &Arc::new(byte_model(1, 16)), 1).unwrap();
    (hardware, program)
}

fn open(program: &SimProgram, double_buffer: bool) -> LockstepCall {
    program.lockstep_call(LaneOptions { lane: 0, double_buffer }).unwrap()
}

/// One call with an input full of `fill`: what it returned, and the first output byte where all are alike.
fn call(lane: &mut LockstepCall, fill: u8) -> (Result<CallSpans, DeviceError>, Option<u8>) {
    let mut input = InputSet::zeroed(lane.prepared.inputs());
    let mut output = OutputSet::zeroed(lane.prepared.outputs());
    input[0].bytes_mut().fill(fill);
    let result = lane.run(&input, &mut output);
    let output = output[0].bytes();
    (result, output.iter().all(|&byte| byte == output[0]).then_some(output[0]))
}

/// What the first two double-buffered calls bring for a tensor with zero point 3.
const DUMMY: u8 = if cfg!(debug_assertions) { 0xa5 } else { 3 };

#[test]
fn a_blocking_call_returns_its_own_result_after_the_sum_of_its_stages() {
    let (_, program) = program("");
    let mut lane = open(&program, false);
    assert_eq!(lane.lag(), 0);
    for item in 1..4 {
        let begin = Instant::now();
        let (spans, output) = call(&mut lane, item);
        let (spans, took) = (spans.unwrap(), begin.elapsed());
        assert_eq!(output, Some(item));
        assert!(took >= Duration::from_millis(5), "{took:?}");
        let [write, kernel, read] = [spans.write, spans.kernel, spans.read].map(Option::unwrap);
        assert!(write.start >= begin);
        assert_eq!((write.end, kernel.end), (kernel.start, read.start));
        let lengths = [write, kernel, read].map(|span| (span.end - span.start).as_millis());
        assert_eq!(lengths, [1, 3, 1]);
    }
}

#[test]
fn a_double_buffered_call_returns_the_result_of_two_calls_before() {
    let (_, program) = program("");
    let mut lane = open(&program, true);
    assert_eq!(lane.lag(), 2);
    let outputs: Vec<_> = (10..16).map(|item| call(&mut lane, item).1.unwrap()).collect();
    assert_eq!(outputs, [DUMMY, DUMMY, 10, 11, 12, 13]);
}

#[test]
fn a_double_buffered_call_moves_three_items_at_once() {
    let (_, program) = program("");
    let mut lane = open(&program, true);
    let spans: Vec<_> = (0..3).map(|item| call(&mut lane, item).0.unwrap()).collect();
    assert!(spans[0].kernel.is_none() && spans[0].read.is_none() && spans[1].read.is_none());
    let [write, kernel, read] = [spans[2].write, spans[2].kernel, spans[2].read].map(Option::unwrap);
    assert_eq!((write.start, kernel.start), (kernel.start, read.start));
    assert_eq!(kernel.end - kernel.start, Duration::from_millis(3));
}

#[test]
fn each_result_comes_from_the_input_as_it_was_in_its_call() {
    let (_, program) = program("");
    let mut lane = open(&program, true);
    let mut input = InputSet::zeroed(program.inputs());
    let mut output = OutputSet::zeroed(program.outputs());
    let mut seen = Vec::new();
    for item in 1..6 {
        // One input buffer for all calls, overwritten between them.
        input[0].bytes_mut().fill(item);
        lane.run(&input, &mut output).unwrap();
        seen.push(output[0].bytes()[0]);
    }
    assert_eq!(seen, [DUMMY, DUMMY, 1, 2, 3]);
}

#[test]
fn a_failed_call_costs_its_item_alone_and_moves_nothing() {
    let (_, program) = program("[[fault]]\nkind = \"fail\"\ncall = 2");
    let mut lane = open(&program, true);
    let calls: Vec<_> = (10..17).map(|item| call(&mut lane, item)).collect();
    assert!(matches!(calls[2].0, Err(DeviceError::Call { .. })), "{:?}", calls[2].0);
    let outputs: Vec<_> =
        calls.iter().filter(|(result, _)| result.is_ok()).map(|(_, out)| out.unwrap()).collect();
    // Item 12 was refused; the others come in order.
    assert_eq!(outputs, [DUMMY, DUMMY, 10, 11, 13, 14]);
    assert!(program.remarks().iter().any(|remark| remark.contains("1 fail")), "{:?}", program.remarks());
}

#[test]
fn a_corrupted_result_has_one_byte_inverted() {
    let (_, program) = program("[[fault]]\nkind = \"corrupt\"\ncall = 1");
    let mut lane = open(&program, true);
    let mut input = InputSet::zeroed(program.inputs());
    let mut output = OutputSet::zeroed(program.outputs());
    for item in 0..5u8 {
        input[0].bytes_mut().fill(item);
        lane.run(&input, &mut output).unwrap();
        if let Some(expected) = item.checked_sub(2) {
            let wrong: Vec<u8> = output[0].bytes().iter().copied().filter(|&b| b != expected).collect();
            assert_eq!(wrong, if expected == 1 { vec![!1] } else { vec![] });
        }
    }
}

#[test]
fn a_late_result_comes_late_and_right() {
    let (_, program) = program("[[fault]]\nkind = \"late\"\ncall = 0\nby = \"30ms\"");
    let mut lane = open(&program, false);
    let begin = Instant::now();
    assert_eq!(call(&mut lane, 9).1, Some(9));
    assert!(begin.elapsed() >= Duration::from_millis(35));
}

#[test]
fn a_lane_that_disappeared_stays_lost() {
    let (_, program) = program("[[fault]]\nkind = \"disappear\"\nlane = 0\ncall = 1");
    let mut lane = open(&program, false);
    let mut other = program.lockstep_call(LaneOptions { lane: 1, double_buffer: false }).unwrap();
    assert!(call(&mut lane, 1).0.is_ok());
    for _ in 0..2 {
        assert!(matches!(call(&mut lane, 2).0, Err(DeviceError::Lost { .. })));
    }
    assert_eq!(call(&mut other, 3).1, Some(3));
}

#[test]
fn a_device_that_disappears_ends_the_calls_of_all_lanes() {
    let (hardware, program) = program("[[fault]]\nkind = \"hang\"\nlane = 1\ncall = 0");
    let mut waiting = program.lockstep_call(LaneOptions { lane: 1, double_buffer: false }).unwrap();
    let mut idle = open(&program, false);
    let (ended, end) = channel();
    thread::scope(|scope| {
        scope.spawn(move || ended.send(call(&mut waiting, 1).0));
        hardware.disappear("unplugged".into());
        assert!(matches!(end.recv().unwrap(), Err(DeviceError::Lost { why }) if why == "unplugged"));
    });
    assert!(matches!(call(&mut idle, 1).0, Err(DeviceError::Lost { .. })));
}

#[test]
fn a_hung_call_returns_when_the_program_is_dropped() {
    let (_, program) = program("[[fault]]\nkind = \"hang\"\ncall = 0");
    let mut lane = open(&program, false);
    let hung = thread::spawn(move || call(&mut lane, 1).0);
    drop(program);
    assert!(matches!(hung.join().unwrap(), Err(DeviceError::Lost { .. })));
}

#[test]
fn a_hang_with_a_limit_ends_with_the_lane_lost() {
    let (_, program) = program("[[fault]]\nkind = \"hang\"\ncall = 0\nfor = \"20ms\"");
    let mut lane = open(&program, true);
    let begin = Instant::now();
    let (result, _) = call(&mut lane, 1);
    assert!(begin.elapsed() >= Duration::from_millis(20));
    assert!(matches!(result, Err(DeviceError::Lost { why }) if why.contains("20ms")));
}

#[test]
fn cores_are_reserved_and_come_back() {
    let (_, program) = program("");
    let first = open(&program, false);
    let second = open(&program, false);
    let error = program.lockstep_call(LaneOptions { lane: 2, double_buffer: false }).err().unwrap();
    assert!(error.to_string().contains("0 of 2 are free"), "{error}");
    drop(first);
    let third = open(&program, false);
    drop((second, third));
}

#[test]
fn a_dummy_is_poison_or_the_zero_of_its_type() {
    let check = |dtype, zero_point, expected: &[u8]| {
        let tensor = TensorInfo::new("t", [2], [], 1.0, zero_point, dtype).unwrap();
        assert_eq!(dummy(&tensor, false).bytes(), expected.repeat(2), "{dtype}");
        assert!(dummy(&tensor, true).bytes().iter().all(|&byte| byte == 0xa5));
    };
    // Zero points outside the type are clamped to it.
    check(DType::I8, -3, &[0xfd]);
    check(DType::I8, 146, &[127]);
    check(DType::U8, 146, &[146]);
    check(DType::U8, -1, &[0]);
    check(DType::I32, -2, &(-2i32).to_le_bytes());
    check(DType::I64, -2, &(-2i64).to_le_bytes());
    check(DType::F32, 5, &[0; 4]);
}
