//! `report`: pages of summaries, what is in them, what is refused. What pages look like is checked in a browser, by
//! `scripts/check-report`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::fixtures::Desk;
use crate::process::{Ran, args, run};

const TIMES: &str = "--ip 4ms --w 500us --k 2ms --r 500us --op 1ms --host-threads 2";

fn simulate(options: &str) -> Ran {
    let words = format!("simulate {TIMES} {options}");
    run(words.split_whitespace().map(OsString::from)).exit(0)
}

/// The summary of a run in virtual time, changed, as a file.
fn summary(desk: &Desk, name: &str, options: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
    let mut summary: Value = serde_json::from_str(&simulate(&format!("{options} --json")).stdout).unwrap();
    change(&mut summary);
    desk.write(name, summary.to_string())
}

fn same(_: &mut Value) {}

/// The page of one summary or two.
#[track_caller]
fn page_of(desk: &Desk, summaries: &[&Path]) -> String {
    let page = desk.path("page.html");
    let mut args = vec![OsString::from("report"), "-o".into(), page.clone().into()];
    args.extend(summaries.iter().map(|path| path.as_os_str().to_owned()));
    let ran = run(args).exit(0);
    assert_eq!((&*ran.stdout, &*ran.stderr), ("", ""));
    fs::read_to_string(page).unwrap()
}

/// The JSON in the element with an id.
#[track_caller]
fn embedded(page: &str, id: &str) -> Value {
    let begins = format!("<script type=\"application/json\" id=\"{id}\">");
    let (_, rest) = page.split_once(&begins).unwrap_or_else(|| panic!("no {id}"));
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

#[track_caller]
fn check_refused(summaries: &[&Path], output: &Path, words: &[&str]) {
    let mut args = vec![OsString::from("report"), "-o".into(), output.as_os_str().to_owned()];
    args.extend(summaries.iter().map(|path| path.as_os_str().to_owned()));
    let ran = run(args).exit(2);
    for word in words {
        assert!(ran.stderr.contains(word), "`{word}` in: {}", ran.stderr);
    }
}

#[test]
fn a_page_holds_its_summary_and_says_what_it_has_not() {
    let desk = Desk::new();
    let path = summary(&desk, "run.json", "--buffers 4 --items 100", same);
    let page = page_of(&desk, &[&path]);
    let told: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(embedded(&page, "summary"), told);
    for said in [
        "The device was idle ",
        " because the next item was still with the host threads",
        "3 host threads instead of 2 give 1.25x",
        "The host threads limit the run",
        "This report was made without a trace",
        "The distribution is not in a summary",
        "not in a summary",
        "simulated in virtual time, seed 0",
    ] {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn a_page_of_a_summary_without_causes_says_so() {
    let desk = Desk::new();
    let path = summary(&desk, "run.json", "--buffers 4 --items 100", |summary| {
        summary["kernel"]["causes_s"] = json!({});
        summary["kernel"].as_object_mut().unwrap().remove("why");
    });
    let page = page_of(&desk, &[&path]);
    for said in ["One more host thread would make that 2.00 ms, 1.25x as fast by the plan.", "Not traced"] {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn a_page_of_a_run_that_was_traced_holds_its_spans() {
    let desk = Desk::new();
    let page = desk.path("page.html");
    let ran = simulate(&format!("--buffers 4 --items 50 --json --report {}", page.display()));
    let page = fs::read_to_string(page).unwrap();
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(embedded(&page, "summary"), told);
    let data = embedded(&page, "data");
    assert_eq!(data["pipeline"]["spans"].as_array().unwrap().len(), 50 * 5);
    assert_eq!(data["pipeline"]["views"].as_array().unwrap().len(), 3);
    let counts = data["latency"]["counts"].as_array().unwrap();
    assert_eq!(counts.iter().map(|n| n.as_u64().unwrap()).sum::<u64>(), 50);
    // The plan for each N, up to the two threads' 400 a second.
    assert_eq!(data["throughput"]["planned"][0], json!([1, 125.0]));
    assert_eq!((&data["throughput"]["chosen"], &data["throughput"]["enough"]), (&json!(4), &json!(4)));
}

#[test]
fn a_run_far_from_its_plan_is_not_told_to_change_what_the_plan_says_first() {
    let desk = Desk::new();
    let path = summary(&desk, "run.json", "--buffers 4 --items 100", |summary| {
        summary["plan"]["measured_period_s"] = json!(0.005);
        summary["plan"]["efficiency"] = json!(0.5);
        summary["likely_cause"] = "the 2 cores of this machine are at work all the time".into();
    });
    let page = page_of(&desk, &[&path]);
    assert!(page.contains(
        ": the 2 cores of this machine are at work all the time. Closing that gap is worth up to 2.00x; "
    ));
    assert!(
        page.contains("only then would the limit be the host threads.") && !page.contains("limit the run")
    );
    assert!(page.contains("First the gap between plan and run, worth up to 2.00x"));
}

#[test]
fn names_cannot_do_harm() {
    let desk = Desk::new();
    let harm = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&";
    let path = summary(&desk, "run.json", "--items 100", |summary| {
        summary["model"] = harm.into();
        summary["engine"] = harm.into();
        summary["device"] = json!([harm]);
        summary["remarks"] = json!([harm]);
        summary["likely_cause"] = harm.into();
        summary["buffers"]["why"] = harm.into();
        summary["buffers"]["layout"] = harm.into();
        summary["plan"]["binding"] = harm.into();
        summary["plan"]["advice"] = json!([harm]);
        summary["plan"]["slack"][harm] = json!(0.5);
        summary["kernel"]["causes_s"] = json!({ harm: 0.5 });
    });
    for page in [page_of(&desk, &[&path]), page_of(&desk, &[&path, &path])] {
        assert!(
            !page.contains("<script>alert") && !page.contains("<img") && !page.contains("\"'&<"),
            "{page}"
        );
        assert!(page.contains("&lt;script&gt;alert(1)"));
    }
}

#[test]
fn a_summary_of_every_kind_has_a_page() {
    let desk = Desk::new();
    let without = |fields: &'static [&'static str]| {
        move |summary: &mut Value| {
            for field in fields {
                summary.as_object_mut().unwrap().remove(*field);
            }
        }
    };
    for (options, change) in [
        ("--items 1", &[] as &[_]),
        ("--items 100", &["plan", "kernel", "latency_s", "remarks"]),
        ("--items 40 --fail 3", &[]),
    ] {
        let path = summary(&desk, "run.json", options, without(change));
        let page = page_of(&desk, &[&path]);
        assert!(page.contains("<h2 id=\"numbers-title\">All numbers</h2>"), "{options}");
    }
}

#[test]
fn two_runs_stand_side_by_side() {
    let desk = Desk::new();
    let slow = summary(&desk, "slow.json", "--buffers 1 --items 100", same);
    let fast = summary(&desk, "fast.json", "--buffers 4 --items 100", same);
    let page = page_of(&desk, &[&slow, &fast]);
    for said in [
        "<b>fast.json</b> is 3.",
        "What changed: buffer sets a lane: 1 buffer set in slow.json, 4 buffer sets in fast.json.",
        "The limit is the number of buffer sets in slow.json, and the host threads in fast.json.",
        "<strong>changed</strong>",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert_eq!(embedded(&page, "summary-a")["buffers"]["depth"], 1);
    assert_eq!(embedded(&page, "summary-b")["buffers"]["depth"], 4);
    assert!(page_of(&desk, &[&slow, &slow]).contains("Both are as fast as each other"));
}

#[test]
fn different_models_are_compared_with_a_remark_and_a_run_without_results_is_not() {
    let desk = Desk::new();
    let run = summary(&desk, "run.json", "--items 100", same);
    let other = summary(&desk, "other.json", "--items 100", |summary| summary["model"] = "digits".into());
    assert!(page_of(&desk, &[&run, &other]).contains("The models differ: stage times only and digits."));
    let none = summary(&desk, "none.json", "--items 100", |summary| {
        summary["items"] = json!({ "taken": 9, "ok": 0, "failed": 9, "cancelled": 0 });
        summary["items_per_s"] = json!(0.0);
    });
    check_refused(
        &[&run, &none],
        &desk.path("page.html"),
        &["`none.json` has no result of 9 items", "no speed to compare"],
    );
}

#[test]
fn what_is_no_summary_is_refused_by_name() {
    let desk = Desk::new();
    let page = desk.path("page.html");
    let good = summary(&desk, "good.json", "--items 20", same);
    for (content, words) in [
        ("not json", &["bad.json", "is not JSON", "run --summary"][..]),
        ("", &["bad.json", "is not JSON"]),
        ("[1, 2]", &["bad.json", "not the summary of a run", "no `format`"]),
        ("{\"format\": 2}", &["bad.json", "summary format 2", "reads format 1", "run again"]),
        ("{\"format\": \"1\"}", &["bad.json", "summary format \"1\""]),
        ("{\"format\": 1}", &["bad.json", "not the whole summary", "missing field"]),
        ("\u{feff}{}", &["bad.json", "is not JSON"]),
    ] {
        let bad = desk.write("bad.json", content);
        check_refused(&[&bad], &page, words);
        check_refused(&[&good, &bad], &page, words);
    }
    check_refused(&[&desk.path("nowhere.json")], &page, &["cannot read", "nowhere.json"]);
    assert!(!page.exists(), "a page was begun");
}

#[test]
fn a_page_that_cannot_be_written_is_an_error_and_a_summary_is_never_overwritten() {
    let desk = Desk::new();
    let path = summary(&desk, "run.json", "--items 20", same);
    let before = fs::read(&path).unwrap();
    check_refused(&[&path], &desk.path("no/such/folder/page.html"), &["cannot write --output", "page.html"]);
    check_refused(&[&path], &path, &["--output", "the summary itself"]);
    assert_eq!(fs::read(&path).unwrap(), before);
    let ran =
        run(args!["simulate", "--k", "1ms", "--items", "3", "--report", desk.path("no/page.html")]).exit(2);
    assert!(ran.stderr.contains("cannot write --report"), "{}", ran.stderr);
    // A shorter page in place of a longer file leaves nothing of it.
    let page = desk.write("page.html", "x".repeat(1_000_000));
    page_of(&desk, &[&path]);
    assert!(fs::read_to_string(page).unwrap().ends_with("</html>"));
}

#[test]
fn one_or_two_summaries_and_a_place_for_the_page_are_asked_for() {
    for (args, word) in [
        (args!["report"].to_vec(), "RUN.json"),
        (args!["report", "a.json"].to_vec(), "--output"),
        (args!["report", "a.json", "b.json", "c.json", "-o", "page.html"].to_vec(), "c.json"),
    ] {
        let ran = run(args).exit(2);
        assert!(ran.stderr.contains(word), "`{word}` in: {}", ran.stderr);
    }
}
