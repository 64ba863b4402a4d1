//! Every error code in every call: what it costs, and what it says.

use std::time::Duration;

use nbuffer_runtime::{Device, DeviceError, LaneOptions, Options};

use crate::stand_in::{StandIn, lanes};
use crate::stream::{numbers, one, stream};

const NAMES: [&str; 11] = [
    "RUNTIME_ERROR",
    "VALUE_ERROR",
    "INVALID_ARGUMENT",
    "CONNECTION_ERROR",
    "DEVICE_IN_USE",
    "INCOMPATIBLE_DEVICE",
    "INVALID_CONFIGURATION",
    "NOT_IMPLEMENTED",
    "INTERNAL_ERROR",
    "PENDING_ERROR",
    "UNKNOWN_ERROR",
];

/// Every code by number, with how it is said; the last is none of the documented.
fn codes() -> impl Iterator<Item = (usize, String)> {
    let known = NAMES.iter().enumerate().map(|(idx, name)| (idx + 1, format!("{name} ({})", idx + 1)));
    known.chain([(42, "the unknown code 42".to_owned())])
}

const CONNECTION_ERROR: usize = 4;

#[test]
fn a_set_up_that_fails_says_which_call_and_why_and_leaves_nothing() {
    let stand_in = StandIn::new();
    for (code, said) in codes() {
        for function in
            ["axr_load_model", "axr_create_properties", "axr_device_connect", "axr_load_model_instance"]
        {
            stand_in.tell(&format!("again=1\nfail={function}@0:{code}:because"));
            let (device, model) = (stand_in.device(), stand_in.model(1));
            let open = || device.prepare(&model, 1)?.open_lane(LaneOptions { lane: 0, double_buffer: true });
            let error = open().unwrap_err();
            let is_ours = [2, 3, 6, 7, 8].contains(&code) || function == "axr_load_model";
            match error {
                DeviceError::Unsupported { .. } => assert!(is_ours, "{error}"),
                DeviceError::Unavailable { .. } => assert!(!is_ours, "{error}"),
                _ => panic!("{error}"),
            }
            let error = error.to_string();
            assert!(error.contains(&format!("`{function}` failed with {said}: because")), "{error}");
            // The next try is not the worse for it.
            open().unwrap();
            drop(device);
            stand_in.check_over();
        }
    }
}

#[test]
fn a_blocking_call_that_fails_costs_its_item() {
    let stand_in = StandIn::without(&["axr_run_async_model_instance"]);
    for (code, said) in codes() {
        for when in ["fail", "fail-after"] {
            stand_in.tell(&format!("again=1\n{when}=axr_run_model_instance@3:{code}:because"));
            let program = stand_in.device().prepare(&stand_in.model(1), 1).unwrap();
            let streamed = stream(10, lanes(&program, 1, false), &Options::new(2, 1));
            let why = format!("`axr_run_model_instance` failed with {said}: because");
            assert!(streamed.failed.iter().all(|(_, error)| error.contains(&why)), "{:?}", streamed.failed);
            if code == CONNECTION_ERROR {
                assert_eq!(streamed.report.lost.len(), 1);
                assert_eq!(streamed.report.totals.ok, 3);
            } else {
                assert_eq!(numbers(&streamed), [3]);
                assert!(streamed.report.lost.is_empty());
            }
            drop(program);
            stand_in.check_over();
        }
    }
}

#[test]
fn a_double_buffered_call_that_fails_costs_what_was_inside_whether_it_moved_or_not() {
    let stand_in = StandIn::new();
    for (code, said) in codes() {
        for when in ["fail", "fail-after"] {
            stand_in.tell(&format!("again=1\n{when}=axr_run_model_instance@5:{code}:because"));
            let program = stand_in.device().prepare(&stand_in.model(1), 1).unwrap();
            let streamed = stream(12, lanes(&program, 1, true), &Options::new(5, 1));
            let why = format!("`axr_run_model_instance` failed with {said}: because");
            assert!(streamed.failed.iter().all(|(_, error)| error.contains(&why)), "{:?}", streamed.failed);
            if code == CONNECTION_ERROR {
                assert_eq!(streamed.report.lost.len(), 1);
            } else {
                assert_eq!(numbers(&streamed), [3, 4, 5]);
                assert!(streamed.report.lost.is_empty());
                assert_eq!(stand_in.calls("axr_load_model_instance"), 2);
            }
            drop(program);
            stand_in.check_over();
        }
    }
}

#[test]
fn a_lane_whose_instance_does_not_load_again_is_lost_with_both_reasons() {
    let stand_in = StandIn::told(
        "fail=axr_run_model_instance@5:9:broken\nfail=axr_load_model_instance@1:1:out of memory",
    );
    let program = stand_in.device().prepare(&stand_in.model(1), 1).unwrap();
    let streamed = stream(12, lanes(&program, 1, true), &Options::new(5, 1));
    let (_, why) = &streamed.report.lost[0];
    let why = why.to_string();
    assert!(why.contains("INTERNAL_ERROR (9): broken; then device `metis`"), "{why}");
    assert!(why.contains("`axr_load_model_instance` failed with RUNTIME_ERROR (1): out of memory"), "{why}");
    drop((program, streamed));
    stand_in.check_over();
}

#[test]
fn an_asynchronous_call_that_fails_costs_its_item() {
    let stand_in = StandIn::new();
    for (code, said) in codes() {
        // Refused at once, and failed later; the code of a queue that is full would be tried again.
        for when in ["fail", "fail-after"] {
            if (when, code) == ("fail", 10) {
                continue;
            }
            stand_in.tell(&format!("again=1\n{when}=axr_run_async_model_instance@3:{code}:because"));
            let program = stand_in.device().prepare(&stand_in.model(1), 1).unwrap();
            let streamed = stream(10, lanes(&program, 1, false), &Options::new(2, 1));
            let why = format!("`axr_run_async_model_instance` failed with {said}");
            assert!(streamed.failed.iter().all(|(_, error)| error.contains(&why)), "{:?}", streamed.failed);
            if code == CONNECTION_ERROR {
                assert_eq!(streamed.report.lost.len(), 1);
            } else {
                assert_eq!(numbers(&streamed), [3]);
            }
            drop(program);
            stand_in.check_over();
        }
    }
}

#[test]
fn a_device_that_disappears_takes_its_lane_and_the_others_finish() {
    for double_buffer in [false, true] {
        let stand_in = StandIn::new();
        let faults = "[[fault]]\nkind = \"disappear\"\nlane = 0\ncall = 6\n";
        stand_in.tell(&format!("profile={}", stand_in.profile(faults).display()));
        let program = stand_in.device().prepare(&stand_in.model(1), 2).unwrap();
        let streamed = stream(200, lanes(&program, 2, double_buffer), &Options::new(3, 2));
        assert_eq!(streamed.report.lost.len(), 1);
        let why = streamed.report.lost[0].1.to_string();
        assert!(why.starts_with("device lost: `axr_run_") && why.contains("CONNECTION_ERROR"), "{why}");
        assert!((1..=6).contains(&streamed.failed.len()), "{:?}", streamed.failed);
        assert_eq!(streamed.report.totals.taken, 200);
        drop(program);
        stand_in.check_over();
    }
}

#[test]
fn a_blocking_call_that_hangs_is_given_up_and_its_memory_stays() {
    let stand_in = StandIn::new();
    let faults = "[[fault]]\nkind = \"hang\"\nlane = 0\ncall = 4\n";
    stand_in.tell(&format!("profile={}", stand_in.profile(faults).display()));
    let program = stand_in.device().prepare(&stand_in.model(1), 2).unwrap();
    let options = Options { watchdog: Some(Duration::from_millis(300)), ..Options::new(3, 2) };
    let streamed = stream(100, lanes(&program, 2, true), &options);
    assert_eq!(streamed.report.lost.len(), 1);
    drop(program);
    // The instance is in its call: neither it nor what it belongs to may be destroyed.
    assert_eq!(["instance", "connection", "model", "context"].map(|kind| stand_in.alive(kind)), [1; 4]);
    assert_eq!(stand_in.misuses(), "");
}

#[test]
fn a_lane_on_its_own_names_cores_it_has_not() {
    let stand_in = StandIn::told("in-use=3");
    let program = stand_in.device().prepare(&stand_in.model(1), 2).unwrap();
    let open = |lane| program.open_lane(LaneOptions { lane, double_buffer: true });
    let first = open(0).unwrap();
    let error = open(1).unwrap_err().to_string();
    assert!(error.contains("DEVICE_IN_USE"), "{error}");
    assert!(stream(5, one(first), &Options::new(2, 1)).failed.is_empty());
    open(1).unwrap();
}
