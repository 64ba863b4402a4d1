//! Devices that fail: exactly the items they held are lost, with an error that says so.

use serde_json::Value;

use crate::fixtures::{Desk, items};
use crate::process::{Ran, args, run};

const ITEMS: usize = 40;

/// What a run over `ITEMS` images on a device with this fault left.
struct Outcome {
    ran: Ran,
    lines: Vec<Value>,
    summary: Value,
}

impl Outcome {
    #[track_caller]
    fn of(fault: &str, options: &[&str]) -> Self {
        let desk = Desk::new();
        let (model, images, device) = (desk.identity(8), desk.images(ITEMS), desk.faulty_device(fault));
        let (output, summary) = (desk.path("o.jsonl"), desk.path("s.json"));
        let expected = run(args!["run", model, images, "--output", output]);
        expected.exit(0);
        let expected = desk.output_in_order("o.jsonl");
        let mut all = args!["run", model, images, "--device", device].to_vec();
        all.extend(args!["--output", output, "--summary", summary]);
        all.extend(options.iter().map(Into::into));
        let ran = run(all).exit(1);
        let (lines, summary) = (desk.output_in_order("o.jsonl"), desk.summary("s.json"));

        let failed = lines.iter().filter(|line| line.get("error").is_some()).count() as u64;
        let taken = lines.len() as u64;
        assert_eq!(items(&summary), [taken, taken - failed, failed, 0]);
        assert_eq!(ran.results().len() as u64, taken - failed);
        for (line, expected) in lines.iter().zip(&expected) {
            assert_eq!(line["source"], expected["source"]);
            assert!(line.get("error").is_some() || line == expected, "{line} is {expected}");
        }
        Outcome { ran, lines, summary }
    }

    /// Numbers and errors of the items that failed.
    fn failed(&self) -> Vec<(usize, &str)> {
        let errors = self.lines.iter().map(|line| line.get("error").map(|error| error.as_str().unwrap()));
        errors.enumerate().filter_map(|(item, error)| Some((item, error?))).collect()
    }

    #[track_caller]
    fn check_says(&self, words: &[&str]) {
        for word in words {
            assert!(self.ran.stderr.contains(word), "`{word}` in: {}", self.ran.stderr);
        }
    }
}

#[test]
fn a_failed_call_costs_its_item() {
    for double in ["on", "off"] {
        let fault = "kind = \"fail\"\nlane = 0\ncall = 2";
        // One lane and one host thread: calls are in the order of the items.
        let options = ["--cores", "1", "--host-threads", "1", "--double-buffer", double];
        let outcome = Outcome::of(fault, &options);
        let [(2, error)] = outcome.failed()[..] else {
            panic!("item 2 fails alone: {:?}", outcome.failed());
        };
        assert!(error.contains("lane 0") && error.contains("device call failed"), "{error}");
        assert_eq!(outcome.lines.len(), ITEMS);
        outcome.check_says(&["error: item 2 (`"]);
    }
}

#[test]
fn a_lane_that_hangs_is_given_up_with_what_it_holds() {
    let fault = "kind = \"hang\"\nlane = 1\ncall = 1";
    // N input sets and N output sets: so many items can be in a ring.
    for (options, most) in [
        (["--double-buffer", "off", "--buffers", "1"], 2),
        (["--double-buffer", "off", "--buffers", "3"], 6),
        (["--double-buffer", "on", "--buffers", "4"], 8),
    ] {
        let all = [&options[..], &["--cores", "2", "--watchdog", "300ms"]].concat();
        let outcome = Outcome::of(fault, &all);
        let failed = outcome.failed();
        assert!((1..=most).contains(&failed.len()), "at most what its ring holds: {failed:?}");
        for (item, error) in failed {
            assert!(error.contains("lane 1") && error.contains("watchdog"), "item {item}: {error}");
        }
        assert_eq!(outcome.lines.len(), ITEMS, "the other lane goes on");
        outcome.check_says(&["lane 1 was lost"]);
        assert!(!outcome.ran.stderr.contains("ended early"));
    }
}

#[test]
fn a_lane_that_disappears_takes_only_what_it_holds() {
    let fault = "kind = \"disappear\"\nlane = 1\ncall = 3";
    let outcome = Outcome::of(fault, &["--cores", "2", "--buffers", "4"]);
    let failed = outcome.failed();
    assert!((1..=8).contains(&failed.len()), "at most what its ring holds: {failed:?}");
    for (item, error) in failed {
        assert!(error.contains("lane 1") && error.contains("lost"), "item {item}: {error}");
    }
    assert_eq!(outcome.lines.len(), ITEMS);
    outcome.check_says(&["lane 1 was lost"]);
}

#[test]
fn a_device_that_disappears_ends_the_run_early() {
    for double in ["on", "off"] {
        let fault = "kind = \"disappear\"\nlane = 0\ncall = 3\ndevice = true";
        let outcome = Outcome::of(fault, &["--buffers", "2", "--double-buffer", double]);
        let failed = outcome.failed();
        assert!(!failed.is_empty() && outcome.lines.len() < ITEMS);
        for (item, error) in failed {
            assert!(error.contains("lane"), "item {item}: {error}");
        }
        outcome.check_says(&["error: the run ended early: all lanes are lost"]);
        assert_eq!(outcome.summary["interrupted"], false);
    }
}
