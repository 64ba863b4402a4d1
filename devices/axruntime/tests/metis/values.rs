//! Every item gets its own result, whatever the calls, lanes, depth, batch and length.

use nbuffer_runtime::{Device, Options};

use crate::stand_in::{StandIn, lanes};
use crate::stream::{drop_after, stream_well};

#[test]
fn every_kind_of_call_depth_and_length_keeps_order_and_identity() {
    for functions in [&[][..], &["axr_run_async_model_instance"]] {
        let stand_in = StandIn::without(functions);
        {
            let device = stand_in.device();
            for batch in [1, 2, 4] {
                let program = device.prepare(&stand_in.model(batch), 4 / batch).unwrap();
                for double_buffer in [false, true] {
                    for (n_lanes, depth) in [(1, 1), (1, 3), (4 / batch, 2), (4 / batch, 8)] {
                        for items in [0, 1, 2, 3, 5, 40] {
                            stream_well(items, lanes(&program, n_lanes, double_buffer), depth);
                        }
                    }
                }
            }
        }
        stand_in.check_over();
        let began = stand_in.calls("axr_run_async_model_instance");
        assert_eq!(began > 0, functions.is_empty(), "the asynchronous call is used where it is there");
        assert!(stand_in.calls("axr_run_model_instance") > 0);
    }
}

#[test]
fn a_ring_deeper_than_the_instance_has_places() {
    let stand_in = StandIn::new();
    let program = stand_in.device().prepare(&stand_in.model(1), 1).unwrap();
    stream_well(200, lanes(&program, 1, false), 40);
    drop(program);
    stand_in.check_over();
}

#[test]
fn a_stream_that_is_dropped_half_way_leaves_nothing() {
    let stand_in = StandIn::new();
    let program = stand_in.device().prepare(&stand_in.model(1), 2).unwrap();
    for double_buffer in [false, true] {
        drop_after(7, lanes(&program, 2, double_buffer), &Options::new(4, 2));
    }
    drop(program);
    stand_in.check_over();
}

#[test]
fn what_runs_is_said() {
    let stand_in = StandIn::new();
    let program = stand_in.device().prepare(&stand_in.model(2), 2).unwrap();
    assert_eq!(program.engine().unwrap(), "libaxruntime.so, API version 0x10007");
    let remarks = program.remarks().join("\n");
    assert!(
        remarks.contains("num_sub_devices=2;aipu_cores=2;double_buffer=1 (double-buffered)"),
        "{remarks}"
    );
    assert!(
        remarks.contains("double_buffer=0;async_mode=1;max_inflight=4;max_pending=8 (queued)"),
        "{remarks}"
    );
}
