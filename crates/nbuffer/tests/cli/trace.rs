//! `simulate --trace`: what the files hold, and what becomes of the command where they cannot be written.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use nbuffer::trace_file::Format;
use serde_json::Value;

use crate::fixtures::Desk;
use crate::process::{Ran, run};

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
            "error: cannot write --trace `{}`: No space left on device (os error 28); what is in it is not complete\n",
            path.display()
        );
        assert_eq!(ran.stderr, expected);
    }
}
