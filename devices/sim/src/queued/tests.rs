use std::sync::mpsc::RecvTimeoutError;

use nbuffer_core::schedule::Transit;
use nbuffer_core::tensor::{DType, TensorInfo};
use nbuffer_runtime::model::Kernel;
use nbuffer_runtime::{Calls, DeviceSpan, Ended, LaneOptions, Memory, Model, Program};

use super::*;
use crate::hardware::Hardware;
use crate::profile::Profile;
use crate::program::SimProgram;
use crate::testing::{byte_model, no_engine};

/// A queued program with stages of 1 ms, 4 ms and 1 ms.
fn program(extra: &str, model: Model) -> SimProgram {
    let text = format!(
        "class = \"queued\"\ncores = 1\nkernel_time = \"4ms\"\n[link]\nduplex = \"half\"\nwrite_time = \"1ms\"\nread_time = \"1ms\"\n{extra}"
    );
    let hardware = Hardware::new("sim:test".into(), Profile::parse("test", &text).unwrap());
    SimProgram::new(&hardware, &no_engine(), &Arc::new(model), 2).unwrap()
}

/// An open lane, and what it tells.
struct Opened {
    memory: Box<dyn Memory<InputSet, OutputSet>>,
    lane: Box<dyn QueuedLane<InputSet, OutputSet>>,
    told: Receiver<SimCalled>,
    index: usize,
    submits: u64,
}

impl Opened {
    fn new(program: &SimProgram, index: usize) -> Self {
        let options = LaneOptions { lane: index, double_buffer: false };
        let lane = program.open_lane(options).unwrap();
        let Calls::Queued(open) = lane.calls else { panic!("a queued device") };
        let (teller, told) = channel();
        let tell = move |called, lane| {
            assert_eq!(lane, index);
            // A test that has seen enough listens no more.
            let _ = teller.send(called);
        };
        let memory = lane.memory;
        Opened { memory, lane: open(Completions::new(index, Arc::new(tell))), told, index, submits: 0 }
    }

    /// Submits an item whose input bytes are its number.
    fn submit(&mut self) {
        let (mut input, output) = (self.memory.input().unwrap(), self.memory.output().unwrap());
        input[0].bytes_mut().fill(self.submits as u8);
        let set = self.submits as usize;
        let id = Transit::new(self.index, set, set, self.submits);
        self.submits += 1;
        self.lane.submit(Flight { id, input, output });
    }

    fn next(&self) -> SimCalled {
        self.told.recv_timeout(Duration::from_secs(60)).expect("a submit ends within a minute")
    }

    /// The next thing told, which must be a result.
    fn landed(&self) -> (Transit, OutputSet, [DeviceSpan; 3]) {
        match self.next().ended {
            Ended::Landed(id, output, spans) => {
                let DeviceSpans { write, kernel, read, .. } = *spans;
                (id, output, [write, kernel, read].map(|span| span.expect("all three stages are seen")))
            }
            other => panic!("{other:?}"),
        }
    }

    fn nothing_for(&self, time: Duration) {
        assert!(matches!(self.told.recv_timeout(time), Err(RecvTimeoutError::Timeout)));
    }
}

#[test]
fn results_carry_their_item_and_land_no_earlier_than_the_device_is_done() {
    let program = program("", byte_model(1, 16));
    let mut lane = Opened::new(&program, 0);
    (0..6).for_each(|_| lane.submit());
    for item in 0..6 {
        let (id, output, [write, kernel, read]) = lane.landed();
        assert!(Instant::now() >= read.end);
        assert!(write.end <= kernel.start && kernel.end <= read.start);
        assert_eq!(id.sequence(), item);
        assert!(output[0].bytes().iter().all(|&byte| byte == item as u8));
    }
}

#[test]
fn queued_kernels_follow_each_other_without_a_gap_however_late_the_host_is() {
    let program = program("", byte_model(1, 16));
    let mut lane = Opened::new(&program, 0);
    (0..5).for_each(|_| lane.submit());
    let kernels: Vec<DeviceSpan> = (0..5).map(|_| lane.landed().2[1]).collect();
    for pair in kernels.windows(2) {
        assert_eq!(pair[1].start, pair[0].end);
        assert_eq!(pair[1].end - pair[1].start, Duration::from_millis(4));
    }
}

#[test]
fn lanes_share_the_kernel_engine() {
    let program = program("", byte_model(1, 16));
    let mut lanes = [Opened::new(&program, 0), Opened::new(&program, 1)];
    for _ in 0..3 {
        lanes.iter_mut().for_each(Opened::submit);
    }
    let mut kernels: Vec<DeviceSpan> =
        lanes.iter().flat_map(|lane| [(); 3].map(|()| lane.landed().2[1])).collect();
    kernels.sort_by_key(|span| span.start);
    assert!(kernels.windows(2).all(|pair| pair[0].end <= pair[1].start));
}

#[test]
fn a_checksum_belongs_to_its_own_item() {
    let tensor = |name: &str, bytes: usize| TensorInfo::new(name, [1, bytes], [], 1.0, 0, DType::I8).unwrap();
    let model = Model {
        kernel: Kernel::Checksum,
        inputs: vec![tensor("in", 1)],
        outputs: vec![tensor("sum", 8)],
        kernel_s: Some(50e-6),
        ..byte_model(1, 1)
    };
    let program = program("", model);
    let mut lane = Opened::new(&program, 0);
    (0..8).for_each(|_| lane.submit());
    for item in 0..8u64 {
        let (id, output, _) = lane.landed();
        // FNV-1a of the one input byte.
        let expected = (0xcbf2_9ce4_8422_2325u64 ^ item).wrapping_mul(0x0000_0100_0000_01b3);
        assert_eq!(output[0].bytes(), expected.to_le_bytes());
        assert_eq!(id.sequence(), item);
    }
}

#[test]
fn a_failed_submit_costs_its_item_alone() {
    let program = program("[[fault]]\nkind = \"fail\"\ncall = 1", byte_model(1, 16));
    let mut lane = Opened::new(&program, 0);
    (0..3).for_each(|_| lane.submit());
    let mut landed = Vec::new();
    for _ in 0..3 {
        match lane.next().ended {
            Ended::Failed(id, _, error) => {
                assert!(matches!(*error, DeviceError::Call { .. }));
                assert_eq!(id.sequence(), 1);
            }
            Ended::Landed(id, ..) => landed.push(id.sequence()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(landed, [0, 2]);
}

#[test]
fn a_corrupted_result_has_one_byte_inverted() {
    let program = program("[[fault]]\nkind = \"corrupt\"\ncall = 2", byte_model(1, 16));
    let mut lane = Opened::new(&program, 0);
    for item in 0..4u8 {
        lane.submit();
        let (_, output, _) = lane.landed();
        let wrong: Vec<u8> = output[0].bytes().iter().copied().filter(|&b| b != item).collect();
        assert_eq!(wrong, if item == 2 { vec![!2] } else { vec![] });
    }
}

#[test]
fn a_late_result_holds_up_no_other() {
    let program = program("[[fault]]\nkind = \"late\"\ncall = 0\nby = \"200ms\"", byte_model(1, 16));
    let mut lane = Opened::new(&program, 0);
    let begin = Instant::now();
    (0..3).for_each(|_| lane.submit());
    let order: Vec<u64> = (0..3).map(|_| lane.landed().0.sequence()).collect();
    assert!(begin.elapsed() >= Duration::from_millis(206));
    // The host would have to stall for 190 ms for this not to show.
    assert_eq!(order, [1, 2, 0]);
}

#[test]
fn a_hung_submit_never_ends_and_its_lane_can_be_dropped() {
    let program = program("[[fault]]\nkind = \"hang\"\nlane = 0\ncall = 0", byte_model(1, 16));
    let mut lane = Opened::new(&program, 0);
    (0..2).for_each(|_| lane.submit());
    assert_eq!(lane.landed().0.sequence(), 1);
    lane.nothing_for(Duration::from_millis(30));
    drop(lane);
}

#[test]
fn a_hang_with_a_limit_loses_the_lane() {
    let program =
        program("[[fault]]\nkind = \"hang\"\nlane = 0\ncall = 0\nfor = \"20ms\"", byte_model(1, 16));
    let mut lane = Opened::new(&program, 0);
    lane.submit();
    assert!(matches!(lane.next().ended, Ended::Lost(error) if matches!(*error, DeviceError::Lost { .. })));
}

#[test]
fn a_lost_lane_says_so_once_and_leaves_the_other_running() {
    let program = program("[[fault]]\nkind = \"disappear\"\nlane = 0\ncall = 1", byte_model(1, 16));
    let mut lost = Opened::new(&program, 0);
    let mut other = Opened::new(&program, 1);
    (0..3).for_each(|_| lost.submit());
    other.submit();
    assert!(matches!(lost.next().ended, Ended::Lost(error) if matches!(*error, DeviceError::Lost { .. })));
    assert_eq!(other.landed().0.sequence(), 0);
    lost.nothing_for(Duration::from_millis(30));
}

#[test]
fn a_device_that_disappears_takes_all_lanes_with_it() {
    let fault = "[[fault]]\nkind = \"disappear\"\nlane = 0\ncall = 0\ndevice = true";
    let program = program(fault, byte_model(1, 16));
    let mut lanes = [0, 1, 2].map(|lane| Opened::new(&program, lane));
    lanes[1].submit();
    lanes[0].submit();
    for lane in &lanes[..2] {
        assert!(matches!(lane.next().ended, Ended::Lost(_)));
    }
    // A lane that was idle hears of it with its next submit.
    lanes[2].submit();
    assert!(matches!(lanes[2].next().ended, Ended::Lost(_)));
}

#[test]
fn a_lane_dropped_with_items_in_flight_ends_at_once() {
    let program = program("", Model { kernel_s: Some(3000.0), ..byte_model(1, 16) });
    let mut lane = Opened::new(&program, 0);
    (0..3).for_each(|_| lane.submit());
    let Opened { lane, told, .. } = lane;
    drop(lane);
    assert!(told.recv().is_err(), "nothing is told after the lane is dropped");
}

#[test]
fn what_a_dropped_lane_left_on_the_device_ends_by_itself() {
    let program = program("", byte_model(1, 16));
    let mut lane = Opened::new(&program, 0);
    lane.submit();
    lane.submit();
    drop(lane);
    let mut next = Opened::new(&program, 1);
    next.submit();
    assert_eq!(next.landed().0.sequence(), 0);
}

#[test]
fn thousands_of_short_items_on_four_lanes_end_exactly_once_each() {
    const ITEMS: u64 = 2000;
    const DEPTH: u64 = 4;
    let text = "class = \"queued\"\ncores = 2\nkernel_time = \"10us\"\n[link]\nduplex = \"half\"\nwrite_time = \"2us\"\nread_time = \"2us\"";
    let hardware = Hardware::new("sim:test".into(), Profile::parse("test", text).unwrap());
    let program = SimProgram::new(&hardware, &no_engine(), &Arc::new(byte_model(1, 16)), 4).unwrap();
    thread::scope(|scope| {
        for index in 0..4 {
            let program = &program;
            scope.spawn(move || {
                let mut lane = Opened::new(program, index);
                (0..DEPTH).for_each(|_| lane.submit());
                let mut seen = vec![false; ITEMS as usize];
                for _ in 0..ITEMS {
                    let (id, output, _) = lane.landed();
                    let item = id.sequence();
                    assert!(output[0].bytes().iter().all(|&byte| byte == item as u8));
                    assert!(!std::mem::replace(&mut seen[item as usize], true), "item {item} ended twice");
                    if lane.submits < ITEMS {
                        lane.submit();
                    }
                }
                assert!(lane.told.try_recv().is_err());
            });
        }
    });
}
