//! Structs that are not as documented, and models that are not as their manifest says.

use serde_json::json;

use crate::stand_in::{StandIn, refusal};

#[track_caller]
fn check_refused(control: &str, words: &str) {
    let stand_in = StandIn::told(control);
    let model = stand_in.model_of(json!([1, 10, 16, 4]), json!([1, 10, 16, 4]), "identity");
    let why = refusal(&stand_in.device(), &model);
    assert!(why.contains(words), "{why}");
    stand_in.check_over();
}

#[test]
fn a_device_struct_with_something_before_its_name() {
    check_refused(
        "layout=device-front",
        "the name of device 0 cannot be read: the struct axrDeviceInfo is not as",
    );
}

#[test]
fn a_tensor_struct_with_fewer_dimensions() {
    check_refused(
        "layout=tensor-dims-4",
        "B of a tensor [1, 10, 16, 4] of 640 B: the struct axrTensorInfo is not as",
    );
}

#[test]
fn a_larger_tensor_struct_with_something_in_front() {
    check_refused("layout=tensor-front", "the struct axrTensorInfo is not as documented");
}

#[test]
fn a_size_the_library_does_not_tell() {
    check_refused("fail=axr_tensor_size@*:1:", "`axr_tensor_size` says 0 B");
}

#[test]
fn a_model_with_other_tensors_than_its_manifest() {
    check_refused(
        "fail=axr_num_model_inputs@*:7:",
        "the library has 7 inputs and 1 outputs, the manifest has 1 and 1",
    );
    check_refused("fail=axr_num_model_outputs@*:0:", "the library has 1 inputs and 0 outputs");
    check_refused(
        "fail=axr_get_model_input@*:3:",
        "the library has input 0 as [] of 0 bits and 0 B, the manifest has [1, 10, 16, 4] of int8 and 640 B",
    );
    check_refused("fail=axr_get_model_output@*:3:", "the library has output 0 as []");
}
