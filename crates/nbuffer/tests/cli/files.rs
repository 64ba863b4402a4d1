//! Files in, files out: which items a run has, what it writes, and what one bad file costs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::fixtures::{Desk, digits, items, some_images};
use crate::process::{args, run};

fn sources(lines: &[Value]) -> Vec<PathBuf> {
    lines.iter().map(|line| line["source"].as_str().unwrap().into()).collect()
}

#[test]
fn a_simulated_run_is_summed_up_whole() {
    let desk = Desk::new();
    let summary = desk.path("s.json");
    let ran = run(args![
        "run",
        desk.identity(8),
        desk.images(40),
        "--device",
        "sim:metis",
        "--cores",
        "2",
        "--buffers",
        "5",
        "--double-buffer",
        "on",
        "--host-threads",
        "3",
        "--summary",
        summary,
    ]);
    let ran = ran.exit(0);
    let summary = desk.summary("s.json");
    assert_eq!(summary["model"], "identity");
    assert_eq!(summary["device"], serde_json::json!(["sim:metis"]));
    assert_eq!(summary["lanes"], 2);
    assert_eq!(summary["buffers"]["depth"], 5);
    assert_eq!(summary["buffers"]["chosen_by"], "user");
    assert_eq!(summary["host_threads"], 3);
    assert_eq!(summary["double_buffer"], true);
    assert_eq!(summary["interrupted"], false);
    assert_eq!(items(&summary), [40, 40, 0, 0]);
    for stage in ["preprocess", "write", "kernel", "read", "postprocess"] {
        assert!(summary["stages"][stage].is_object(), "{stage} is measured");
    }
    assert!(summary["kernel"].is_object() && summary["plan"].is_object());
    for word in ["40 ok", "sim:metis", "2 lanes, 5 buffer sets each, double buffering, 3 host threads"] {
        assert!(ran.stderr.contains(word), "`{word}` in the closing table: {}", ran.stderr);
    }
}

#[test]
fn a_plan_needs_16_kernels_per_lane() {
    let desk = Desk::new();
    let (model, images) = (desk.identity(8), desk.images(32));
    for (limit, planned) in [("31", false), ("32", true)] {
        let summary = desk.path("s.json");
        run(args![
            "run",
            model,
            images,
            "--device",
            "sim:metis",
            "--cores",
            "2",
            "--limit",
            limit,
            "--summary",
            summary
        ])
        .exit(0);
        let summary = desk.summary("s.json");
        assert!(summary["kernel"].is_object());
        assert_eq!(summary["plan"].is_object(), planned, "{limit} items on 2 lanes");
    }
}

#[test]
fn repeat_goes_round_and_limit_stops() {
    let desk = Desk::new();
    let (model, images, output) = (desk.identity(8), desk.images(3), desk.path("o.jsonl"));
    let expected = |order: &[usize]| -> Vec<PathBuf> {
        order.iter().map(|i| images.join(format!("{i:02}.png"))).collect()
    };
    let check = |options: &[&str], order: &[usize]| {
        let mut all = args!["run", model, images, "--output", output].to_vec();
        all.extend(options.iter().map(Into::into));
        run(all).exit(0);
        assert_eq!(sources(&desk.output_in_order("o.jsonl")), expected(order));
    };
    check(&["--repeat", "2"], &[0, 1, 2, 0, 1, 2]);
    check(&["--limit", "2"], &[0, 1]);
    check(&["--limit", "9"], &[0, 1, 2]);
    check(&["--limit", "4", "--repeat", "1000000000000"], &[0, 1, 2, 0]);
}

#[test]
fn few_images_come_out_of_many_double_buffered_lanes() {
    let desk = Desk::new();
    let (model, output) = (desk.identity(8), desk.path("o.jsonl"));
    let images = some_images(3);
    let digests = |device: &str, n: usize| {
        let mut all = args!["run", model, "--device", device, "--double-buffer"].to_vec();
        all.push(if device == "cpu" { "off" } else { "on" }.into());
        all.extend(args!["--output", output]);
        all.extend(images[..n].iter().map(Into::into));
        run(all).exit(0);
        desk.output_in_order("o.jsonl")
    };
    for n in 1..=3 {
        let on_device = digests("sim:metis", n);
        assert_eq!(sources(&on_device), images[..n]);
        assert_eq!(on_device, digests("cpu", n));
    }
}

#[test]
fn double_buffering_changes_no_result() {
    let desk = Desk::new();
    let (model, images) = (desk.identity(160), desk.images(24));
    let results = |device: &str, double: &str| {
        let ran = run(args!["run", model, images, "--device", device, "--double-buffer", double]);
        ran.exit(0).stdout
    };
    let expected = results("cpu", "off");
    assert_eq!(expected.lines().count(), 24);
    assert_eq!(results("sim:metis", "on"), expected);
    assert_eq!(results("sim:metis", "off"), expected);
    assert_eq!(results("sim:fpga", "auto"), expected);
    let off = run(args!["run", model, images, "--device", "sim:metis", "--no-double-buffer"]).exit(0);
    assert_eq!(off.stdout, expected);
    assert!(!off.stderr.contains("double buffering"), "{}", off.stderr);
}

#[test]
fn results_as_completed_are_the_same_results() {
    let desk = Desk::new();
    let (model, images, output) = (desk.identity(8), desk.images(20), desk.path("o.jsonl"));
    // One call of 40 comes 50 ms late, so that the order does differ.
    let device = desk.faulty_device("kind = \"late\"\nlane = 0\ncall = 1\nby = \"50ms\"");
    let lines = |order: &str| {
        let all = args!["run", model, images, "--device", device, "--order", order, "--output", output];
        run(all).exit(0);
        desk.output("o.jsonl")
    };
    let (in_order, mut completed) = (lines("in-order"), lines("completed"));
    completed.sort_by_key(|line| line["sequence"].as_u64());
    assert_eq!(completed, in_order);
}

#[test]
fn several_devices_share_a_run() {
    let desk = Desk::new();
    let (model, images, summary) = (desk.identity(8), desk.images(20), desk.path("s.json"));
    let alone = run(args!["run", model, images]).exit(0).stdout;
    let both = args![
        "run",
        model,
        images,
        "--device",
        "cpu",
        "--device",
        "sim:metis",
        "--cores",
        "1",
        "--summary",
        summary
    ];
    assert_eq!(run(both).exit(0).stdout, alone);
    let summary = desk.summary("s.json");
    assert_eq!(summary["device"], serde_json::json!(["cpu", "sim:metis"]));
    assert_eq!(summary["lanes"], 2);
}

#[test]
fn quiet_says_nothing_and_writes_everything() {
    let desk = Desk::new();
    let (output, summary) = (desk.path("o.jsonl"), desk.path("s.json"));
    let ran = run(args![
        "run",
        desk.identity(8),
        desk.images(4),
        "--quiet",
        "--output",
        output,
        "--summary",
        summary
    ]);
    let ran = ran.exit(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    assert_eq!(desk.output_in_order("o.jsonl").len(), 4);
    assert_eq!(items(&desk.summary("s.json")), [4, 4, 0, 0]);
}

#[test]
fn labels_given_stand_in_for_the_models_own() {
    let desk = Desk::new();
    let names = "nought\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n";
    let labels = desk.write("labels.txt", names);
    let ran = run(args!["run", digits(), desk.images(2), "--labels", labels]).exit(0);
    assert!(ran.results().iter().all(|(_, said)| said.starts_with("nought\t")), "{}", ran.stdout);
}

#[test]
fn normalisation_given_stands_in_for_the_models_own() {
    let images = Desk::new();
    let images = images.images(4);
    let said = |options: &[&str]| {
        let mut all = args!["run", digits(), images].to_vec();
        all.extend(options.iter().map(Into::into));
        run(all).exit(0).stdout
    };
    let own = said(&[]);
    assert_eq!(said(&["--mean", "0.31,0.31,0.31", "--std", "0.4,0.4,0.4"]), own);
    assert_eq!(said(&["--mean", "0.31,0.31,0.31"]), own, "the standard deviation stays the model's");
    assert_ne!(said(&["--mean", "-9,-9,-9"]), own);
}

/// Puts two files that are no images in the middle of six images, runs over them, and checks that they and
/// only they fail.
fn check_bad_files_fail_alone(model: &Path, device: &str) {
    let desk = Desk::new();
    let images = desk.images(6);
    fs::write(images.join("02_bad.png"), "not an image").unwrap();
    // Nobody can read what is not there; permissions would not stop root.
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", images.join("03_gone.png")).unwrap();
    #[cfg(not(unix))]
    fs::write(images.join("03_gone.png"), "").unwrap();
    let (output, summary) = (desk.path("o.jsonl"), desk.path("s.json"));
    let ran = run(args!["run", model, images, "--device", device, "--output", output, "--summary", summary]);
    let ran = ran.exit(1);

    let names = ["00", "01", "02", "02_bad", "03", "03_gone", "04", "05"];
    let files: Vec<_> = names.iter().map(|name| images.join(name).with_extension("png")).collect();
    let lines = desk.output_in_order("o.jsonl");
    assert_eq!(sources(&lines), files);
    for (i, (line, file)) in lines.iter().zip(&files).enumerate() {
        let file = file.to_str().unwrap();
        if [3, 5].contains(&i) {
            assert!(line["error"].as_str().unwrap().contains(file), "{line}");
            let listed = |note: &str| note.starts_with(&format!("error: item {i} (`{file}`): "));
            assert!(ran.stderr.lines().any(listed), "item {i} in {}", ran.stderr);
        } else {
            assert_eq!(line["result"]["label"], "0", "{line}");
        }
    }
    assert_eq!(ran.results().len(), 6);
    assert_eq!(items(&desk.summary("s.json")), [8, 6, 2, 0]);
}

#[test]
fn a_bad_file_costs_its_item() {
    check_bad_files_fail_alone(&digits(), "cpu");
    check_bad_files_fail_alone(&digits(), "sim:metis");
}

#[test]
fn a_bad_file_costs_its_item_and_not_its_batch() {
    check_bad_files_fail_alone(&digits().join("batch4"), "cpu");
    check_bad_files_fail_alone(&digits().join("batch4"), "sim:metis");
}

#[test]
fn in_a_batch_of_bad_files_each_has_its_own_error() {
    let desk = Desk::new();
    let bad: Vec<_> = (0..6).map(|i| desk.write(&format!("bad/{i}.png"), "no image")).collect();
    let output = desk.path("o.jsonl");
    run(args!["run", digits().join("batch4"), desk.path("bad"), "--output", output]).exit(1);
    for (line, file) in desk.output_in_order("o.jsonl").iter().zip(&bad) {
        let error = line["error"].as_str().unwrap();
        assert!(error.contains(file.to_str().unwrap()), "{error}");
        assert_eq!(error.matches(".png").count(), 1, "{error}");
    }
}

#[test]
fn long_lists_of_failures_are_cut_on_stderr_and_whole_in_the_output() {
    let desk = Desk::new();
    let bad = desk.write("bad.png", "no image");
    let output = desk.path("o.jsonl");
    let ran = run(args!["run", desk.identity(8), bad, "--repeat", "25", "--output", output]).exit(1);
    assert_eq!(ran.stderr.matches("error: item").count(), 20);
    assert!(ran.stderr.contains("5 more items failed and are not listed"), "{}", ran.stderr);
    assert_eq!(desk.output_in_order("o.jsonl").len(), 25);
}
