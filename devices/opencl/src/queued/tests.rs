use std::time::Duration;

use nbuffer_runtime::Memory;

use super::*;
use crate::hardware::Hardware;
use crate::memory::LaneMemory;
use crate::program::OpenClProgram;
use crate::testing::{N, SHIFT, TestModel, hardware, shift_args};

/// What a test waits at most for something to be told.
const LIMIT: Duration = Duration::from_secs(60);

/// A lane with what it tells.
struct TestLane {
    queue: OpenClQueue,
    memory: LaneMemory,
    told: Receiver<ClCalled>,
    /// The items whose inputs are back.
    back: Vec<u64>,
    _model: TestModel,
}

impl TestLane {
    /// A lane whose kernel makes so many turns before it adds a half; `None` without a device.
    fn new(turns: u32) -> Option<Self> {
        Some(TestLane::on(&hardware()?, turns))
    }

    fn on(hardware: &Arc<Hardware>, turns: u32) -> Self {
        let model = TestModel::new(SHIFT, "shift", shift_args(turns));
        let program = OpenClProgram::new(hardware, &Arc::new(model.model.clone())).unwrap();
        let pool = Pool::default();
        let queue = OpenClQueue::new(&program.prepared, 0, pool.clone()).unwrap();
        let memory = program.memory(pool);
        let (tell, told) = channel();
        let completions = Completions::new(0, Arc::new(move |called, _| drop(tell.send(called))));
        TestLane { queue: queue.open(completions), memory, told, back: Vec::new(), _model: model }
    }

    /// Takes sets and fills them for this item.
    fn flight(&mut self, item: u64) -> ClFlight {
        let mut input = self.memory.input().unwrap();
        fill(&mut input, item);
        let output = self.memory.output().unwrap();
        Flight { id: Transit::new(0, item as usize, item as usize, item), input, output }
    }

    fn submit(&mut self, item: u64) {
        self.submit_all(item..item + 1);
    }

    /// Sets are taken first: a device that computes may take its time to map memory.
    fn submit_all(&mut self, items: std::ops::Range<u64>) {
        let flights: Vec<_> = items.map(|item| self.flight(item)).collect();
        flights.into_iter().for_each(|flight| self.queue.submit(flight));
    }

    fn next(&self) -> ClCalled {
        self.told.recv_timeout(LIMIT).expect("the lane tells in time")
    }

    /// How the next item ends.
    fn next_end(&mut self) -> Ended<OutputSet> {
        loop {
            let Called { input, ended } = self.next();
            self.back.extend(input.map(|(id, _)| id.sequence()));
            if !matches!(ended, Ended::Nothing) {
                return ended;
            }
        }
    }

    #[track_caller]
    fn check_lands(&mut self, item: u64) -> DeviceSpans {
        let ended = self.next_end();
        let Ended::Landed(id, output, spans) = ended else { panic!("item {item}: {ended:?}") };
        assert_eq!(id.sequence(), item);
        assert!(self.back.contains(&item), "its input is back with it at the latest");
        let expected: Vec<f32> = (0..N).map(|i| value(item, i) + 0.5).collect();
        assert_eq!(output[0].as_slice::<f32>(), expected, "item {item}");
        *spans
    }
}

fn value(item: u64, i: usize) -> f32 {
    (item * N as u64 + i as u64) as f32
}

fn fill(input: &mut InputSet, item: u64) {
    let values = input[0].as_mut_slice::<f32>().iter_mut();
    values.enumerate().for_each(|(i, x)| *x = value(item, i));
}

#[test]
fn an_input_is_free_before_its_item_is_done() {
    let Some(mut lane) = TestLane::new(10_000_000) else { return };
    lane.submit(3);
    let Called { input, ended } = lane.next();
    assert!(matches!(ended, Ended::Nothing), "the kernel still runs: {ended:?}");
    let (id, mut input) = input.expect("the input has been written");
    assert_eq!(id.sequence(), 3);
    // Whatever is written now is the next item's.
    fill(&mut input, 1000);
    let Called { ended: Ended::Landed(_, output, _), input: None } = lane.next() else {
        panic!("the item lands, and its input was back already")
    };
    assert_eq!(output[0].as_slice::<f32>()[5], value(3, 5) + 0.5);
}

#[test]
fn items_end_in_order_with_their_own_values_and_times() {
    let Some(mut lane) = TestLane::new(1000) else { return };
    let before = Instant::now();
    lane.submit_all(0..20);
    let mut kernels_end = before;
    for item in 0..20 {
        let spans = lane.check_lands(item);
        let [write, kernel, read] = [spans.write, spans.kernel, spans.read].map(|span| span.expect("a time"));
        assert!(before <= write.start && read.end <= Instant::now(), "item {item}: within the test");
        assert!(write.start <= write.end && kernel.start <= kernel.end && read.start <= read.end);
        assert!(
            write.end <= kernel.start && kernel.end <= read.start,
            "item {item}: stages follow each other"
        );
        assert!(kernels_end <= kernel.start, "item {item}: one kernel after the other");
        kernels_end = kernel.end;
    }
}

#[test]
fn a_call_that_fails_costs_its_item_alone() {
    let Some(mut lane) = TestLane::new(0) else { return };
    lane.submit(0);
    lane.check_lands(0);
    // Groups beyond any device: the launch is refused when the input is being written already.
    let too_large = Work { global: vec![1 << 30], local: Some(vec![1 << 30]) };
    let work = std::mem::replace(&mut lane.queue.work, too_large);
    lane.submit(1);
    let ended = lane.next_end();
    let Ended::Failed(id, _, error) = ended else { panic!("{ended:?}") };
    assert_eq!((id.sequence(), &lane.back[..]), (1, &[0, 1][..]), "both sets are back");
    assert!(matches!(*error, DeviceError::Call { .. }), "{error}");
    assert!(error.to_string().contains("clEnqueueNDRangeKernel"), "{error}");
    lane.queue.work = work;
    for item in 2..6 {
        lane.submit(item);
        lane.check_lands(item);
    }
}

#[test]
fn a_lost_lane_says_so_once_and_tells_nothing_more() {
    let Some(mut lane) = TestLane::new(1_000_000) else { return };
    lane.submit_all(0..4);
    let lost = || ClError::of_command("running the kernel", -5);
    lane.queue.shared.lose(lost());
    lane.queue.shared.lose(lost());
    lane.submit(4);
    let shared = Arc::clone(&lane.queue.shared);
    drop(lane.queue);
    assert!(shared.flights().by_submit.is_empty());

    let told: Vec<_> = lane.told.try_iter().map(|called| called.ended).collect();
    let is_loss = |ended: &Ended<OutputSet>| matches!(ended, Ended::Lost(_));
    let at = told.iter().position(is_loss).expect("the loss is told");
    let Ended::Lost(error) = &told[at] else { unreachable!("it is a loss") };
    assert_eq!(error.to_string(), "device lost: running the kernel: CL_OUT_OF_RESOURCES (-5)");
    assert!(told[at + 1..].iter().all(|ended| matches!(ended, Ended::Nothing)), "{told:?}");
}

#[test]
fn a_lane_that_is_dropped_early_does_not_wait_for_its_device() {
    let Some(mut lane) = TestLane::new(10_000_000) else { return };
    lane.submit_all(0..4);
    drop(lane.queue);
    let landed = lane.told.try_iter().filter(|called| matches!(called.ended, Ended::Landed(..))).count();
    assert!(landed < 4, "it did not wait for them all");
}

#[test]
fn plain_memory_is_copied_like_mapped_memory() {
    let Some(mut lane) = TestLane::new(0) else { return };
    let Flight { id, input, output } = lane.flight(7);
    let (mut plain_in, plain_out) =
        (InputSet::zeroed(&lane.memory.inputs), OutputSet::zeroed(&lane.memory.outputs));
    fill(&mut plain_in, 7);
    drop((input, output));
    lane.queue.submit(Flight { id, input: plain_in, output: plain_out });
    lane.check_lands(7);
}

#[test]
fn an_item_without_a_device_set_fails_and_is_given_back() {
    let Some(mut lane) = TestLane::new(0) else { return };
    let flight = lane.flight(0);
    let taken = lane.memory.pool.take().unwrap();
    lane.queue.submit(flight);
    let ended = lane.next_end();
    assert!(matches!(&ended, Ended::Failed(id, ..) if id.sequence() == 0), "{ended:?}");
    assert_eq!(lane.back, [0]);
    lane.memory.pool.give_back(taken);
}

#[test]
fn what_a_lane_held_of_the_devices_memory_is_there_again() {
    let Some(hardware) = hardware() else { return };
    let mut lane = TestLane::on(&hardware, 0);
    for item in 0..3 {
        lane.submit(item);
        lane.check_lands(item);
    }
    assert!(hardware.memory_used_bytes() > 0);
    drop(lane);
    assert_eq!(hardware.memory_used_bytes(), 0);
}
