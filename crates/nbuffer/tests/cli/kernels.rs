//! Kernels as models: generated items, arrays as inputs, several inputs.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::fixtures::{Desk, items};
use crate::process::{args, run};

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(name)
}

/// A saxpy over two elements, so that its arrays are small.
fn small_saxpy(desk: &Desk) -> PathBuf {
    let program = json!({ "cpu": "saxpy", "global": [2],
        "args": [{ "input": 0 }, { "input": 1 }, { "output": 0 }, { "f32": 2.5 }, { "u32": 2 }] });
    let model = json!({ "nbuffer": { "format": 1, "kernel_time_s": 0.0001, "program": program } });
    let manifest = json!({
        "input_shapes": [[1, 2], [1, 2]], "input_dtypes": ["float32", "float32"],
        "output_shapes": [[1, 2]], "output_dtypes": ["float32"],
    });
    desk.write("saxpy/model.json", model.to_string());
    desk.write("saxpy/manifest.json", manifest.to_string());
    desk.path("saxpy")
}

/// An array as numpy.save writes it.
fn array(desk: &Desk, name: &str, values: &[f32]) -> PathBuf {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}", values.len());
    let header = format!("{header:<117}\n");
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let start = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..]].concat();
    desk.write(name, [&start, header.as_bytes(), &data].concat())
}

#[test]
fn generated_items_go_through_every_kernel_and_device_and_are_right() {
    for (name, device, more) in [
        ("power", "cpu", ["--buffers", "1"]),
        ("saxpy", "sim:gpu", ["--buffers", "5"]),
        ("copy-large", "sim:metis", ["--cores", "2"]),
        ("checksum", "sim:fpga", ["--buffers", "auto"]),
    ] {
        let desk = Desk::new();
        let (output, summary) = (desk.path("out.jsonl"), desk.path("summary.json"));
        let ran = run(args![
            "run",
            model(name),
            "--synthetic",
            "12",
            "--device",
            device,
            more[0],
            more[1],
            "--output",
            output,
            "--summary",
            summary
        ])
        .exit(0);
        let summary = desk.summary("summary.json");
        assert_eq!(items(&summary), [12, 12, 0, 0], "{name}");
        let lines = desk.output_in_order("out.jsonl");
        let digests: Vec<&Value> =
            lines.iter().map(|line| &line["result"]["outputs"][0]["checksum"]).collect();
        assert!(
            digests
                .iter()
                .enumerate()
                .all(|(i, digest)| digest.is_string() && !digests[..i].contains(digest))
        );
        assert_eq!(lines[11]["source"], "synthetic/11");
        assert!(ran.results().len() == 12, "{name}");
    }
}

#[test]
fn a_wrong_output_of_a_generated_item_costs_that_item() {
    let desk = Desk::new();
    let device = desk.faulty_device("kind = \"corrupt\"\ncall = 4");
    let (output, summary) = (desk.path("out.jsonl"), desk.path("summary.json"));
    let model = small_saxpy(&desk);
    run(args![
        "run",
        model,
        "--synthetic",
        "8",
        "--cores",
        "1",
        "--no-double-buffer",
        "--device",
        device,
        "--output",
        output,
        "--summary",
        summary
    ])
    .exit(1);
    assert_eq!(items(&desk.summary("summary.json"))[2], 1);
    let lines = desk.output_in_order("out.jsonl");
    let error = lines[4]["error"].as_str().unwrap();
    assert!(error.contains("output 0 is not that of generated item 4: element "), "{error}");
}

#[test]
fn arrays_are_inputs_one_for_each() {
    let desk = Desk::new();
    let model = small_saxpy(&desk);
    let x = array(&desk, "x.npy", &[2.0, -4.0]);
    let y = array(&desk, "y.npy", &[1.0, 0.25]);
    let short = array(&desk, "short.npy", &[1.0]);
    let named = |a: &Path, b: &Path| format!("{}+{}", a.display(), b.display());
    let output = desk.path("out.jsonl");
    run(args!["run", model, named(&x, &y), named(&y, &x), named(&x, &short), x, "--output", output]).exit(1);
    let lines = desk.output_in_order("out.jsonl");
    // XXH3 of 6.0 and -9.75, and of 4.5 and -3.375, as little-endian float32.
    let digest = |values: [f32; 2]| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&bytes))
    };
    assert_eq!(lines[0]["result"]["outputs"][0]["checksum"], digest([6.0, -9.75]));
    assert_eq!(lines[1]["result"]["outputs"][0]["checksum"], digest([4.5, -3.375]));
    let says = |i: usize, text: &str| {
        let error = lines[i]["error"].as_str().unwrap();
        assert!(error.contains(text), "{error}");
    };
    says(2, "is float32 in C order of shape [1], input `input_1` takes float32 of shape [1, 2]");
    says(3, "1 arrays for 2 inputs: give one .npy file per input, as `a.npy+b.npy`");
}

#[test]
fn what_cannot_be_generated_or_read_is_refused() {
    let desk = Desk::new();
    let says = |ran: crate::process::Ran, text: &str| assert!(ran.stderr.contains(text), "{}", ran.stderr);
    says(
        run(args!["run", model("digits"), "--synthetic", "3"]).exit(2),
        "so there is nothing to check generated items against",
    );
    says(run(args!["run", model("power"), "x.png", "--synthetic", "3"]).exit(2), "cannot be used with");
    says(
        run(args!["run", model("power"), "--synthetic", "3", "--repeat", "2"]).exit(2),
        "cannot be used with",
    );
    let x = array(&desk, "x.npy", &[1.0]);
    let missing = format!("{}+{}", x.display(), desk.path("y.npy").display());
    says(run(args!["run", model("saxpy"), missing]).exit(2), "y.npy`");
    let image = desk.write("x.png", "");
    says(run(args!["run", model("power"), image]).exit(1), "this model takes no images: give .npy files");
    run(args!["run", model("power"), "--synthetic", "0"]).exit(0);
}
