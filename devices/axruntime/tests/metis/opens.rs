//! What is there, what is not, and why.

use std::path::Path;

use nbuffer_axruntime::AxDevice;
use nbuffer_runtime::{Device, DeviceError, LaneOptions, Model};

use crate::stand_in::{StandIn, refusal};

#[track_caller]
fn check_unavailable(device: &AxDevice, words: &[&str]) {
    let error = device.check().unwrap_err();
    assert!(matches!(error, DeviceError::Unavailable { .. }), "{error}");
    let error = error.to_string();
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
}

#[test]
fn a_library_that_is_not_there() {
    let device = AxDevice::new(None, Some("/no/such/libaxruntime.so".as_ref()));
    check_unavailable(&device, &["device `metis`", "/no/such/libaxruntime.so", "AXRUNTIME_DYLIB_PATH"]);
    let info = device.info();
    assert!(info.description.contains("no library") && !info.queued, "{info:?}");
}

#[test]
fn a_file_that_is_no_library() {
    let this = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    check_unavailable(&AxDevice::new(None, Some(&this)), &["Cargo.toml", "AXRUNTIME_DYLIB_PATH"]);
}

#[test]
fn another_library_lacks_every_function() {
    let device = AxDevice::new(None, Some("libc.so.6".as_ref()));
    check_unavailable(
        &device,
        &["`libc.so.6` has no axr_create_context, axr_destroy", "axr_run_model_instance:"],
    );
}

#[test]
fn functions_that_are_missing_are_named() {
    let stand_in = StandIn::without(&["axr_tensor_size", "axr_load_model"]);
    check_unavailable(&stand_in.device(), &["has no axr_load_model, axr_tensor_size:"]);
}

#[test]
fn an_older_library_has_blocking_calls_alone() {
    let older = StandIn::without(&["axr_run_async_model_instance", "axr_api_version"]).device();
    older.check().unwrap();
    let info = older.info();
    assert!(!info.queued && info.double_buffer, "{info:?}");
    assert!(info.description.contains("(libaxruntime.so; blocking calls)"), "{info:?}");

    let newer = StandIn::new().device().info();
    assert!(newer.queued && newer.double_buffer, "{newer:?}");
    assert!(newer.description.contains("API version 0x10007; asynchronous calls"), "{newer:?}");
}

#[test]
fn no_device_is_listed() {
    check_unavailable(&StandIn::told("devices=0").device(), &["lists no device: is the card there"]);
    let failing = StandIn::told("fail=axr_list_devices@*:1:no driver");
    check_unavailable(&failing.device(), &["`axr_list_devices` failed with RUNTIME_ERROR (1): no driver"]);
    let failing = StandIn::told("fail=axr_create_context@*:1:never told");
    check_unavailable(&failing.device(), &["`axr_create_context` gave nothing"]);
}

#[test]
fn a_device_is_chosen_by_its_name() {
    let stand_in = StandIn::told("devices=2\nin-use=4");
    assert_eq!(stand_in.device().names().unwrap(), ["metis-0:1:0", "metis-0:2:0"]);
    let words = ["device `metis:metis-9`", "there are metis-0:1:0, metis-0:2:0"];
    check_unavailable(&stand_in.named("metis-9"), &words);

    let model = stand_in.model(1);
    let open = |device: AxDevice| {
        device.prepare(&model, 1).unwrap().open_lane(LaneOptions { lane: 0, double_buffer: false })
    };
    open(stand_in.named("metis-0:2:0")).unwrap();
    let busy = open(stand_in.device()).unwrap_err();
    assert!(matches!(busy, DeviceError::Unavailable { .. }), "{busy}");
    let words = "DEVICE_IN_USE (5): num_sub_devices 1 > available 0; for 1 of the cores of `metis-0:1:0`";
    assert!(busy.to_string().contains(words), "{busy}");
    stand_in.check_over();
}

#[test]
fn a_model_that_is_not_compiled_and_lanes_that_do_not_fit_are_refused() {
    let stand_in = StandIn::new();
    let device = stand_in.device();
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits");
    let digits = std::sync::Arc::new(Model::open(digits).unwrap());
    let why = refusal(&device, &digits);
    assert!(why.contains("model `digits` is not compiled for it: give the directory"), "{why}");

    let model = stand_in.model(4);
    assert_eq!([4, 3, 8].map(|cores| device.lanes(&model, cores)), [1, 0, 2]);
    let Err(error) = device.prepare(&model, 2) else { panic!("it was prepared") };
    assert!(error.to_string().contains("2 lanes of batch 4 need 8 cores, it has 4"), "{error}");
}
