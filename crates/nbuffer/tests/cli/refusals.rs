//! What is refused before anything runs: exit status 2, and an error that names what is wrong.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::fixtures::{Desk, digit_images, digits};
use crate::process::{Ran, args, run};

/// Checks that these arguments are refused, in words that contain all of `words`.
#[track_caller]
fn check(all: impl IntoIterator<Item = OsString>, words: &[&str]) -> Ran {
    let ran = run(all).exit(2);
    assert_eq!(ran.stdout, "", "nothing ran");
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "`{word}` in: {}", ran.stderr);
    }
    ran
}

/// A run over two of the digits with these options.
fn digits_with(options: &[&str]) -> Vec<OsString> {
    let mut all = args!["run", digits(), digit_images(), "--limit", "2"].to_vec();
    all.extend(options.iter().map(Into::into));
    all
}

#[test]
fn commands_that_make_no_sense() {
    check(args!["run"], &["<MODEL>", "<INPUTS>"]);
    check(args!["run", digits()], &["<INPUTS>"]);
    check(args!["walk"], &["walk"]);
    check(args!["run", digits(), "-", digit_images()], &["`-`", "stands alone"]);
    check(args!["run", digits(), "-", "--repeat", "2"], &["--repeat", "stdin"]);
    check(digits_with(&["--no-double-buffer", "--double-buffer", "on"]), &["--no-double-buffer"]);
}

#[test]
fn numbers_out_of_range() {
    for option in ["--cores", "--buffers", "--host-threads"] {
        for value in ["0", "-1", "65537", "999999999", "1e3", "many"] {
            let all = digits_with(&[&format!("{option}={value}")]);
            check(all, &[option, &format!("'{value}'"), "a whole number from 1 to 65536"]);
        }
    }
    for option in ["--limit", "--repeat"] {
        let all = args!["run", digits(), digit_images(), option, "0"];
        check(all, &[option, "a whole number from 1"]);
    }
    check(digits_with(&["--watchdog", "5"]), &["--watchdog", "a time with its unit"]);
    for device in ["cpu", "sim:metis", "sim:fpga"] {
        let all = digits_with(&["--cores", "99", "--device", device]);
        check(all, &[&format!("`{device}`"), "99 cores cannot be used"]);
    }
    let batch_of_4 =
        args!["run", digits().join("batch4"), digit_images(), "--device", "sim:metis", "--cores", "3"];
    check(batch_of_4, &["a lane of batch 4 takes 4"]);
}

#[test]
fn inputs_that_are_not_there() {
    let desk = Desk::new();
    let empty = desk.path("empty");
    fs::create_dir(&empty).unwrap();
    let named = |path: &Path| format!("`{}`", path.display());
    check(args!["run", digits(), empty], &[&named(&empty), "holds no files"]);
    let missing = desk.path("missing.png");
    check(args!["run", digits(), desk.images(1), missing], &["cannot read input", &named(&missing)]);
}

#[test]
fn models_that_are_not_whole() {
    let desk = Desk::new();
    let check_model = |path: &Path, words: &[&str]| {
        check(args!["run", path, digit_images()], words);
        check(args!["inspect", path], words);
    };
    check_model(&desk.path("nowhere"), &["nowhere"]);
    check_model(&desk.write("text.txt", "a model"), &["text.txt", "is not a model"]);
    check_model(&desk.write("graph.onnx", "a graph"), &["graph.onnx"]);

    let damaged = |file: &str, damage: fn(String) -> String| {
        let model = desk.digits();
        let text = fs::read_to_string(model.join(file)).unwrap();
        fs::write(model.join(file), damage(text)).unwrap();
        model
    };
    let cut = |text: String| text[..text.len() / 2].to_owned();
    check_model(&damaged("model.json", cut), &["model.json", "is not valid JSON"]);
    check_model(&damaged("manifest.json", cut), &["manifest.json", "is not valid JSON"]);
    check_model(&damaged("model.json", |_| String::new()), &["model.json", "is empty"]);
    let climbs = |text: String| text.replace("digits_int8.onnx", "../digits_int8.onnx");
    check_model(
        &damaged("model.json", climbs),
        &["model.json", "`nbuffer.graph`", "does not stay within the model directory"],
    );
    let newer = |text: String| text.replace("\"format\": 1", "\"format\": 2");
    check_model(&damaged("model.json", newer), &["model.json", "`nbuffer.format`", "is 2"]);
    check_model(&damaged("labels.txt", |_| "0\n1\n".into()), &["labels.txt", "has 2 labels"]);

    let model = desk.digits();
    fs::remove_file(model.join("manifest.json")).unwrap();
    check_model(&model, &["manifest.json", "is missing"]);
    let model = desk.digits();
    fs::write(model.join("digits_int8.onnx"), "no graph").unwrap();
    check_model(&model, &["digits_int8.onnx"]);
}

#[test]
fn devices_that_are_not_there() {
    check(digits_with(&["--device", "tpu"]), &["`tpu`", "known are cpu, sim:metis"]);
    check(digits_with(&["--device", "sim:tpu"]), &["`sim:tpu`", "known are cpu, sim:metis"]);
    check(digits_with(&["--device", "sim:no/such.toml"]), &["cannot read device profile `no/such.toml`"]);
    let desk = Desk::new();
    let device = desk.lockstep("speed = 3", "");
    check(digits_with(&["--device", &device]), &["device.toml", "speed"]);
    check(digits_with(&["--device", "cpu", "--double-buffer", "on"]), &["`cpu`", "double buffering"]);
}

#[test]
fn models_and_buffers_that_do_not_fit_into_the_device() {
    // The digits have 38483 B of weights, and 704 B of inputs and outputs.
    let desk = Desk::new();
    let device = desk.lockstep("memory_bytes = 30_000", "");
    check(
        digits_with(&["--device", &device]),
        &[&format!("`{device}`"), "has 30000 B of memory", "`digits`"],
    );
    let device = desk.lockstep("l2_bytes = 5_000", "");
    run(digits_with(&["--device", &device, "--no-double-buffer"])).exit(0);
    check(digits_with(&["--device", &device]), &["has 5000 B of memory, 5632 B are needed", "L2"]);
    let device = desk.queued("memory_bytes = 50_000");
    run(digits_with(&["--device", &device, "--buffers", "4"])).exit(0);
    let all = digits_with(&["--device", &device, "--buffers", "5"]);
    check(all, &["has 50000 B of memory", "are needed", "buffer sets"]);
}

#[test]
fn an_engine_without_its_library() {
    for command in [args!["inspect", digits(), "--engine", "ort"].to_vec(), digits_with(&["--engine", "ort"])]
    {
        check(command, &["`ort`", "pip install onnxruntime", "ORT_DYLIB_PATH"]);
    }
    let all = digits_with(&["--engine", "ort", "--ort-library", "no/such.so"]);
    check(all, &["`ort`", "no/such.so", "pip install onnxruntime"]);
    check(digits_with(&["--engine", "tensorrt"]), &["tensorrt", "rten"]);
}

#[test]
fn files_that_cannot_be_written() {
    let desk = Desk::new();
    let (missing, good) = (desk.path("no/such/file"), desk.path("good"));
    for (bad, other) in [("--output", "--summary"), ("--summary", "--output")] {
        let all = args!["run", digits(), desk.images(1), bad, missing, other, good];
        check(all, &[&format!("cannot write {bad} `{}`", missing.display())]);
        let all = args!["run", digits(), desk.images(1), bad, desk.path("images")];
        check(all, &[&format!("cannot write {bad}")]);
    }
}

#[test]
fn labels_that_do_not_fit_the_model() {
    let desk = Desk::new();
    let labels = desk.write("labels.txt", "cat\ndog\n");
    let images = desk.images(1);
    check(args!["run", digits(), images, "--labels", labels], &["2 labels", "`digits`", "10 classes"]);
    check(
        args!["run", desk.identity(8), images, "--labels", labels],
        &["2 labels", "`identity`", "no classes"],
    );
    let gap = desk.write("gap.txt", "cat\n\ndog\n");
    check(args!["run", digits(), images, "--labels", gap], &["gap.txt", "line 2"]);
    check(args!["run", digits(), images, "--labels", desk.path("none.txt")], &["none.txt"]);
}

#[test]
fn normalisation_that_cannot_be_computed_with() {
    for (option, value) in [("--mean", "1,2"), ("--mean", "1,2,x"), ("--std", "1,1,inf"), ("--std", "1")] {
        check(digits_with(&[option, value]), &[option, value, "three numbers"]);
    }
    for std in ["0,0,0", "1,0,1"] {
        check(digits_with(&["--std", std]), &["std 0"]);
    }
    check(digits_with(&["--std=-1,1,1"]), &["std -1 of channel 0"]);
}
