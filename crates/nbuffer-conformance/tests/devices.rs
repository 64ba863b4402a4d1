//! Every device of this project passes the suite, as far as it is here.

use nbuffer_conformance::{Outcome, Sizes, check, runners, table};

/// Whether the device of this column, which is always here, does all it must.
fn passes(name: &str) {
    let runner = runners::all().into_iter().find(|runner| runner.name == name).expect("it is in the table");
    let column = check(runner, &Sizes::default());
    let is_here = !column.outcomes.iter().any(|outcome| matches!(outcome, Outcome::NotHere(_)));
    let must_be_here = match name {
        "cpu ort" => std::env::var_os("NBUFFER_REQUIRE_ORT").is_some(),
        "cpu openvino" => std::env::var_os("NBUFFER_REQUIRE_OPENVINO").is_some(),
        "opencl" => std::env::var_os("NBUFFER_REQUIRE_OPENCL").is_some(),
        _ => true,
    };
    assert!(is_here || !must_be_here, "{}", table(&[column]));
    assert!(column.red().is_empty(), "{}", table(&[column]));
}

#[test]
fn cpu_with_rten() {
    passes("cpu rten");
}

#[test]
fn cpu_with_onnx_runtime() {
    passes("cpu ort");
}

#[test]
fn cpu_with_openvino() {
    passes("cpu openvino");
}

#[test]
fn simulated_metis() {
    passes("sim:metis");
}

#[test]
fn simulated_metis_with_double_buffering() {
    passes("sim:metis late");
}

#[test]
fn simulated_fpga() {
    passes("sim:fpga");
}

#[test]
fn simulated_gpu() {
    passes("sim:gpu");
}

#[test]
fn opencl() {
    passes("opencl");
}

#[test]
fn metis_over_its_stand_in() {
    passes("metis stand-in");
}

#[test]
fn metis_over_its_stand_in_with_double_buffering() {
    passes("metis stand-in late");
}

#[test]
fn metis_over_its_stand_in_with_blocking_calls() {
    passes("metis stand-in blocking");
}
