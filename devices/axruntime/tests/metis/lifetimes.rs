//! Who outlives whom: everything is destroyed once, the children before what owns them.

use std::sync::Arc;

use nbuffer_runtime::{Device, LaneOptions};

use crate::stand_in::{StandIn, lanes};
use crate::stream::{one, stream_well};

#[test]
fn nothing_is_made_before_it_is_needed() {
    let stand_in = StandIn::new();
    let device = stand_in.device();
    device.info();
    assert_eq!(stand_in.alive("context"), 0);
    device.check().unwrap();
    device.check().unwrap();
    assert_eq!((stand_in.alive("context"), stand_in.calls("axr_create_context")), (1, 1));
    drop(device);
    stand_in.check_over();
}

#[test]
fn a_lane_outlives_its_program_and_its_device() {
    for double_buffer in [false, true] {
        let stand_in = StandIn::new();
        let device = stand_in.device();
        let program = device.prepare(&stand_in.model(1), 1).unwrap();
        let lane = program.open_lane(LaneOptions { lane: 0, double_buffer }).unwrap();
        drop(device);
        drop(program);
        assert_eq!(["context", "model", "instance"].map(|kind| stand_in.alive(kind)), [1; 3]);
        stream_well(10, one(lane), 3);
        stand_in.check_over();
    }
}

#[test]
fn one_model_serves_all_lanes_and_each_has_a_connection() {
    let stand_in = StandIn::new();
    let device = stand_in.device();
    let program = device.prepare(&stand_in.model(1), 4).unwrap();
    let open = lanes(&program, 4, true);
    let alive = ["context", "model", "connection", "instance", "properties"].map(|kind| stand_in.alive(kind));
    assert_eq!(alive, [1, 1, 4, 4, 0]);
    drop((open, program, device));
    stand_in.check_over();
}

#[test]
fn two_pipelines_share_one_device() {
    let stand_in = StandIn::new();
    let device = stand_in.device();
    let program = device.prepare(&stand_in.model(1), 4).unwrap();
    std::thread::scope(|scope| {
        for double_buffer in [false, true] {
            let program = Arc::clone(&program);
            scope.spawn(move || (0..10).for_each(|_| stream_well(20, lanes(&program, 2, double_buffer), 3)));
        }
    });
    drop((program, device));
    stand_in.check_over();
}

#[test]
fn a_lane_that_is_never_used_is_closed() {
    let stand_in = StandIn::new();
    let program = stand_in.device().prepare(&stand_in.model(1), 1).unwrap();
    for _ in 0..20 {
        drop(lanes(&program, 1, false));
        drop(lanes(&program, 1, true));
    }
    drop(program);
    stand_in.check_over();
}
