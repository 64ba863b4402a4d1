//! `devices`, `inspect` and help: what they show.

use serde_json::{Value, json};

use crate::fixtures::digits;
use crate::process::{args, run};

#[test]
fn devices_lists_what_is_here_and_why_the_rest_is_not() {
    let text = run(args!["devices"]).exit(0).stdout;
    let line = |name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name));
        line.unwrap_or_else(|| panic!("{name} in {text}"))
    };
    assert!(line("rten").contains("rten"));
    assert!(line("ort").contains("not here: ") && line("ort").contains("pip install onnxruntime"));
    assert!(line("cpu").contains("core"));
    assert!(line("sim:metis").contains("4 cores, 1024 MiB, double buffering: "));
    for name in ["sim:fpga", "sim:gpu", "sim:FILE.toml"] {
        line(name);
    }
    let opencl = line("opencl");
    assert!(
        opencl.contains(" of ") || opencl.contains("not here: ") && opencl.contains("install"),
        "{opencl}"
    );
}

#[test]
fn inspect_shows_tensors_padding_and_memory() {
    let text = run(args!["inspect", digits()]).exit(0).stdout;
    for words in [
        "digits (batch 1), computed by rten",
        "input `image`: int8 [1, 10, 16, 4], 640 B",
        "of which data [1, 8, 8, 3], padding [(0, 0), (1, 1), (1, 7), (0, 1)] with -78",
        "output `scores`: int8 [1, 1, 1, 64], 64 B",
        "images to 8 x 8",
        "10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "weights and constants: 38483 B",
        "N = 1: 704 B",
        "N = 3: 2112 B",
    ] {
        assert!(text.contains(words), "`{words}` in {text}");
    }
}

#[test]
fn inspect_gives_the_same_as_json() {
    let text = run(args!["inspect", digits().join("batch4"), "--json"]).exit(0).stdout;
    let model: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(model["format"], 1);
    assert_eq!(model["batch"], 4);
    assert_eq!(model["labels"], 10);
    assert_eq!(model["buffer_set_bytes"], 4 * 704);
    assert_eq!(model["inputs"][0]["dtype"], "int8");
    assert_eq!(model["inputs"][0]["shape"], json!([4, 10, 16, 4]));
    assert_eq!(model["inputs"][0]["unpadded_shape"], json!([4, 8, 8, 3]));
    assert_eq!(model["inputs"][0]["size"], 4 * 640);
    assert_eq!(model["outputs"][0]["shape"], json!([4, 1, 1, 64]));
    assert!(model["outputs"][0]["scale"].as_f64().unwrap() > 0.0);
}

#[test]
fn help_tells_the_exit_statuses() {
    let text = run(args!["--help"]).exit(0).stdout;
    for words in ["run", "inspect", "devices", "Exit status: 0 all items ok; 1 some items failed", "130"] {
        assert!(text.contains(words), "`{words}` in {text}");
    }
    for option in ["--device", "--buffers", "--double-buffer", "--output", "--summary", "--watchdog"] {
        assert!(run(args!["run", "--help"]).exit(0).stdout.contains(option), "{option}");
    }
}
