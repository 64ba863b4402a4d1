//! `--trace`, `--report` and `--timeline`: what they hold, and what becomes of a command where they cannot be written.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use nbuffer::trace_file::Format;
use serde_json::Value;

use crate::fixtures::Desk;
use crate::process::{Ran, args, run};

const EXAMPLE: &str = "--ip 4ms --w 500us --k 2ms --r 500us --op 1ms --buffers 4";

fn simulate(options: &str, trace: &Path) -> Ran {
    let options = format!("simulate {EXAMPLE} {options} --trace");
    run(options.split_whitespace().map(OsString::from).chain([trace.as_os_str().to_owned()]))
}

/// The events of a Chrome trace.
fn events(path: &Path) -> Vec<Value> {
    let mut trace: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let Value::Array(events) = trace["traceEvents"].take() else { panic!("{trace}") };
    events
}

fn count(events: &[Value], is: impl Fn(&Value) -> bool) -> usize {
    events.iter().filter(|event| is(event)).count()
}

#[test]
fn every_item_is_a_flow_through_slices_that_end() {
    let desk = Desk::new();
    let path = desk.path("run.json");
    simulate("--items 40", &path).exit(0);
    let events = events(&path);
    let [begins, ends, flow_begins, flow_ends] =
        ["B", "E", "s", "f"].map(|ph| count(&events, |event| event["ph"] == ph));
    // Source, five stages and delivery.
    assert_eq!([begins, ends, flow_begins, flow_ends], [7 * 40, 7 * 40, 40, 40]);
    for stage in ["source", "preprocess", "write", "kernel", "read", "postprocess", "delivered"] {
        assert_eq!(count(&events, |event| event["name"] == stage && event["ph"] == "B"), 40, "{stage}");
    }
}

#[test]
fn the_name_says_the_format() {
    let desk = Desk::new();
    let [json, perfetto] = ["a.json", "a.pftrace"].map(|name| desk.path(name));
    let [said, also_said] = [&json, &perfetto].map(|path| simulate("--items 200", path).exit(0).stdout);
    assert_eq!(said, also_said);
    let [json, perfetto] = [json, perfetto].map(|path| fs::read(path).unwrap());
    assert!(json.starts_with(b"{") && perfetto.starts_with(b"\x0a"));
    assert!(perfetto.len() * 2 < json.len(), "{} and {} bytes", perfetto.len(), json.len());
    for name in ["run.txt", "run"] {
        let path = desk.path(name);
        let why = Format::of(&path).unwrap_err().to_string();
        let ran = simulate("", &path).exit(2);
        assert_eq!((ran.stdout.as_str(), ran.stderr), ("", format!("error: --trace: {why}\n")));
        for end in [".json", ".pftrace", ".perfetto-trace", ".pb"] {
            assert!(why.contains(end), "{why}");
        }
        assert!(!path.exists());
    }
}

#[test]
fn what_was_decided_and_what_went_wrong_is_told() {
    let desk = Desk::new();
    let path = desk.path("run.json");
    let ran = run(format!(
        "simulate --ip 1ms --w 500us --k 2ms --r 500us --op 1ms --buffers auto --lanes 2 --items 500 --fail 7 \
         --lose-lane 1@200ms --cancel-at 300ms --trace {}",
        path.display()
    )
    .split_whitespace()
    .map(OsString::from));
    assert_eq!(ran.exit(0).stderr, "");
    let events = events(&path);
    let instants = |name: &str| count(&events, |event| event["ph"] == "i" && event["name"] == name);
    assert_eq!(["lane lost", "cancelled"].map(instants), [1, 1]);
    assert!(instants("item failed") > 1 && instants("chosen") > 0);
    let chosen = events.iter().find(|event| event["name"] == "chosen").unwrap();
    assert!(chosen["args"]["why"].as_str().unwrap().contains("N* ="), "{chosen}");
}

#[test]
fn a_path_that_cannot_be_written_costs_nothing() {
    let desk = Desk::new();
    let path = desk.path("nowhere/run.json");
    let ran = simulate("", &path).exit(2);
    assert_eq!(ran.stdout, "");
    assert!(
        ran.stderr.starts_with(&format!("error: cannot write --trace `{}`: ", path.display())),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_set_up_that_is_refused_leaves_the_last_trace() {
    let desk = Desk::new();
    let path = desk.write("run.json", "the last one");
    simulate("--lose-lane 7@1ms", &path).exit(2);
    assert_eq!(fs::read(&path).unwrap(), b"the last one");
    simulate("--items 2", &path).exit(0);
    assert!(events(&path).len() > 10);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_the_trace_and_no_result() {
    let desk = Desk::new();
    for name in ["full.json", "full.pftrace"] {
        let path = desk.path(name);
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let ran = simulate("--items 50", &path).exit(1);
        assert!(ran.stdout.contains("50 ok"), "{}", ran.stdout);
        let expected = format!(
            "error: cannot write --trace `{}`: No space left on device (os error 28); what is in it is not complete, and all else is there\n",
            path.display()
        );
        assert_eq!(ran.stderr, expected);
    }
}

/// What a real run writes beside its results.
#[test]
fn a_run_leaves_a_trace_a_page_and_a_timeline() {
    let desk = Desk::new();
    let [trace, page] = ["t.json", "r.html"].map(|name| desk.path(name));
    let ran = run(args![
        "run",
        desk.identity(8),
        desk.images(40),
        "--device",
        desk.lockstep("", ""),
        "--cores",
        "2",
        "--trace",
        trace,
        "--report",
        page,
        "--timeline",
        "--ascii",
        "--summary",
        desk.path("s.json"),
    ])
    .exit(0);
    let events = events(&trace);
    let kernels = |ph| count(&events, |event| event["ph"] == ph && event["name"] == "kernel");
    assert_eq!((kernels("B"), count(&events, |event| event["ph"] == "f")), (40, 40));
    let names: Vec<_> =
        events.iter().filter(|event| event["ph"] == "M").map(|event| &event["args"]["name"]).collect();
    for name in ["kernel 0", "kernel 1", "link in 0", "link out 0", "delivery"] {
        assert!(names.contains(&&Value::from(name)), "{name}: {names:?}");
    }
    for row in ["kernel 0", "kernel 1", "link in", "link out"] {
        assert!(ran.stderr.lines().any(|line| line.starts_with(row)), "{row}: {}", ran.stderr);
    }
    let picture: Vec<_> = ran.stderr.lines().take(8).collect();
    assert!(picture.iter().all(|line| line.is_ascii() && line.len() <= 80), "{picture:#?}");
    let kernel = &desk.summary("s.json")["kernel"];
    let causes: f64 =
        kernel["causes_s"].as_object().unwrap().values().map(|seconds| seconds.as_f64().unwrap()).sum();
    assert!((causes - kernel["downtime_s"].as_f64().unwrap()).abs() < 1e-6, "{kernel}");
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains(kernel["why"].as_str().unwrap()) && page.contains("<!DOCTYPE html>"));
}

#[cfg(target_os = "linux")]
#[test]
fn files_that_cannot_be_written_cost_a_run_nothing_else() {
    let desk = Desk::new();
    let (model, images) = (desk.identity(8), desk.images(20));
    for (option, name) in [("--trace", "nowhere/t.json"), ("--report", "nowhere/r.html")] {
        let ran = run(args!["run", model, images, option, desk.path(name)]).exit(2);
        assert!(
            ran.stdout.is_empty() && ran.stderr.starts_with(&format!("error: cannot write {option} `")),
            "{ran:?}"
        );
    }
    let full = |name: &str| {
        let path = desk.path(name);
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        path
    };
    let summary = desk.path("s.json");
    let (trace, page) = (full("t.pftrace"), full("r.html"));
    let ran =
        run(args!["run", model, images, "--trace", trace, "--report", page, "--summary", summary]).exit(1);
    assert_eq!(ran.stdout.lines().count(), 20);
    for option in ["--trace", "--report"] {
        let told = format!("error: cannot write {option} `");
        assert!(ran.stderr.contains(&told) && ran.stderr.contains("No space left"), "{}", ran.stderr);
    }
    assert!(ran.stderr.contains("20 ok") && desk.summary("s.json")["items"]["ok"] == 20);
    let ran = run(args!["run", model, images, "--summary", full("s2.json"), "--trace", desk.path("t2.json")])
        .exit(1);
    assert!(ran.stderr.contains("error: cannot write --summary `"), "{}", ran.stderr);
    assert!(count(&events(&desk.path("t2.json")), |event| event["ph"] == "f") == 20);
}
