//! The asynchronous call: places, callbacks, and ends.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use nbuffer_runtime::{Calls, Completions, Device, Ended, Flight, LaneOptions, Options, Transit};

use crate::stand_in::{StandIn, lanes};
use crate::stream::{numbers, stream, stream_well};

#[test]
fn a_submit_that_finds_no_place_is_made_again() {
    let stand_in = StandIn::told("queue-full=40");
    let program = stand_in.device().prepare(&stand_in.model(1), 1).unwrap();
    stream_well(20, lanes(&program, 1, false), 4);
    assert_eq!(stand_in.calls("axr_run_async_model_instance"), 60);
    drop(program);
    stand_in.check_over();
}

#[test]
fn a_queue_that_stays_full_fails_the_item_and_the_stream_ends() {
    let stand_in = StandIn::told("queue-full=1000000");
    let program = stand_in.device().prepare(&stand_in.model(1), 1).unwrap();
    let streamed = stream(1, lanes(&program, 1, false), &Options::new(2, 1));
    assert_eq!(numbers(&streamed), [0]);
    assert!(streamed.failed[0].1.contains("Inference queue is full"), "{:?}", streamed.failed);
    drop(program);
    stand_in.check_over();
}

#[test]
fn a_callback_for_a_refused_call_ends_it_or_finds_nothing() {
    let stand_in = StandIn::told("queue-full=60\ncall-back-refused=1");
    let program = stand_in.device().prepare(&stand_in.model(1), 2).unwrap();
    let streamed = stream(100, lanes(&program, 2, false), &Options::new(3, 1));
    let refused = |(_, why): &(u64, String)| why.contains("failed with RUNTIME_ERROR");
    assert!(streamed.failed.iter().all(refused), "{:?}", streamed.failed);
    assert!(
        streamed.report.totals.ok >= 40 && streamed.report.lost.is_empty(),
        "{:?}",
        streamed.report.totals
    );
    drop(program);
    stand_in.check_over();
}

#[test]
fn a_second_callback_finds_nothing() {
    let stand_in = StandIn::told("call-back-twice=1");
    let program = stand_in.device().prepare(&stand_in.model(1), 2).unwrap();
    stream_well(50, lanes(&program, 2, false), 3);
    drop(program);
    stand_in.check_over();
}

#[test]
fn a_call_that_never_ends_is_given_up_and_its_memory_stays() {
    let stand_in = StandIn::told("never-call-back=3");
    let program = stand_in.device().prepare(&stand_in.model(1), 1).unwrap();
    let options = Options { watchdog: Some(Duration::from_millis(300)), ..Options::new(2, 1) };
    let began = Instant::now();
    let streamed = stream(10, lanes(&program, 1, false), &options);
    assert_eq!(streamed.report.lost.len(), 1);
    drop(program);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(["instance", "connection", "model", "context"].map(|kind| stand_in.alive(kind)), [1; 4]);
    assert_eq!(stand_in.misuses(), "");
}

#[test]
fn a_panic_while_telling_stays_out_of_the_library() {
    let stand_in = StandIn::new();
    let program = stand_in.device().prepare(&stand_in.model(1), 1).unwrap();
    let lane = program.open_lane(LaneOptions { lane: 0, double_buffer: false }).unwrap();
    let (told, ends) = channel();
    let Calls::Queued(open) = lane.calls else { panic!("it has the asynchronous call") };
    let complete = move |called: nbuffer_runtime::Called<_, _>, _| {
        let Ended::Landed(id, ..) = called.ended else { panic!("it lands") };
        told.send(id.sequence()).unwrap();
        if id.sequence() == 0 {
            panic!("on purpose: telling of item 0");
        }
    };
    let mut queue = open(Completions::new(0, Arc::new(complete)));
    let mut memory = lane.memory;
    for sequence in 0..3 {
        let (input, output) = (memory.input().unwrap(), memory.output().unwrap());
        queue.submit(Flight { id: Transit::new(0, 0, 0, sequence), input, output });
    }
    let ended: Vec<u64> = (0..3).map(|_| ends.recv_timeout(Duration::from_secs(20)).unwrap()).collect();
    assert_eq!(ended, [0, 1, 2]);
    drop((queue, program));
    stand_in.check_over();
}
