//! The digits: right answers, the same ones on every device and engine.

use std::env;
use std::io::Write;
use std::process::Command;

use serde_json::Value;

use crate::fixtures::{Desk, digit_images, digits, items, some_images};
use crate::process::{Process, args, nbuffer};

/// Runs a digits model over all its images, checks how it went, and gives the label of each image, in order.
#[track_caller]
fn labels(model: &str, more: &[&str], prepare: impl Fn(&mut Command)) -> (Vec<String>, f64) {
    let desk = Desk::new();
    let (output, summary) = (desk.path("out.jsonl"), desk.path("summary.json"));
    let mut command =
        nbuffer(
            args!["run", digits().join(model), digit_images(), "--output", output, "--summary", summary,],
        );
    prepare(command.args(more));
    let ran = Process::start(&mut command).finish().exit(0);

    let lines = desk.output_in_order("out.jsonl");
    let sources: Vec<&str> = lines.iter().map(|line| line["source"].as_str().unwrap()).collect();
    assert_eq!(sources, some_images(360).iter().map(|i| i.to_str().unwrap()).collect::<Vec<_>>());
    let labels: Vec<String> =
        lines.iter().map(|line| line["result"]["label"].as_str().unwrap().to_owned()).collect();
    let shown: Vec<(&str, &str)> =
        ran.results().into_iter().map(|(file, said)| (file, said.split('\t').next().unwrap())).collect();
    assert_eq!(shown, sources.iter().copied().zip(labels.iter().map(String::as_str)).collect::<Vec<_>>());

    let summary = desk.summary("summary.json");
    assert_eq!(items(&summary), [360, 360, 0, 0]);
    let right = sources.iter().zip(&labels).filter(|(source, label)| source.contains(&format!("/{label}/")));
    let accuracy = right.count() as f64 / 360.0;
    assert_eq!(summary["accuracy"].as_f64(), Some(accuracy));
    (labels, accuracy)
}

#[track_caller]
fn check_accuracy(accuracy: f64) {
    let expected = std::fs::read(digits().join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let float = expected["accuracy"]["float"].as_f64().unwrap();
    assert!(accuracy >= 0.97, "{accuracy}");
    assert!((accuracy - float).abs() <= 0.01, "{accuracy} against {float} in float");
}

#[test]
fn devices_and_batches_give_the_same_labels_in_the_same_order() {
    let (expected, accuracy) = labels(".", &["--device", "cpu"], |_| {});
    check_accuracy(accuracy);
    for (model, device) in [(".", "sim:metis"), ("batch4", "cpu"), ("batch4", "sim:metis")] {
        assert_eq!(labels(model, &["--device", device], |_| {}), (expected.clone(), accuracy));
    }
}

#[test]
fn onnx_runtime_is_as_accurate() {
    check_engine("ort", "ORT_DYLIB_PATH", "NBUFFER_REQUIRE_ORT");
}

#[test]
fn openvino_is_as_accurate() {
    check_engine("openvino", "OPENVINO_DYLIB_PATH", "NBUFFER_REQUIRE_OPENVINO");
}

/// Runs where the variable `library` names the engine's. Elsewhere it is left out, or fails if `required` is 1.
fn check_engine(name: &str, library: &str, required: &str) {
    let Some(path) = env::var_os(library) else {
        let is_required = env::var(required).is_ok_and(|value| value == "1");
        assert!(!is_required, "{required} is 1, and {library} names no library");
        // Not `eprintln`, which the test harness keeps to itself.
        let _ = writeln!(std::io::stderr(), "skipped: {name}, since {library} is not set");
        return;
    };
    for device in ["cpu", "cpu:2", "sim:metis"] {
        let (_, accuracy) = labels(".", &["--engine", name, "--device", device], |command| {
            command.env(library, &path);
        });
        check_accuracy(accuracy);
    }
}
