//! `plan`: what it says, what it writes, what it refuses.

use std::ffi::OsString;
use std::fs;

use serde_json::{Value, json};

use crate::fixtures::{Desk, digit_images, digits};
use crate::process::{Ran, args, run};

const EXAMPLE: &str = "--ip 4ms --w 500us --k 2ms --r 500us --op 1ms";

fn plan(options: &str) -> Vec<OsString> {
    std::iter::once("plan").chain(options.split_whitespace()).map(OsString::from).collect()
}

#[track_caller]
fn planned(options: &str) -> Ran {
    let ran = run(plan(options)).exit(0);
    assert_eq!(ran.stderr, "");
    for line in ran.stdout.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
    ran
}

#[track_caller]
fn json_of(options: &str) -> Value {
    serde_json::from_str(&run(plan(&format!("{options} --json"))).exit(0).stdout).unwrap()
}

/// Checks that these options are refused, in words that contain all of `words`.
#[track_caller]
fn check_refused(options: &str, words: &[&str]) {
    refused(plan(options), words);
}

#[track_caller]
fn refused(all: Vec<OsString>, words: &[&str]) {
    let ran = run(all).exit(2);
    assert_eq!(ran.stdout, "");
    for word in words {
        assert!(ran.stderr.contains(word), "`{word}` in: {}", ran.stderr);
    }
}

/// The text with its line breaks within rows undone.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same, but for the last digits of numbers.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b)))
        }
        (Value::Number(a), Value::Number(b)) => {
            let [a, b] = [a, b].map(|n| n.as_f64().unwrap());
            (a - b).abs() <= 1e-12 * a.abs().max(1.0)
        }
        _ => a == b,
    }
}

#[test]
fn says_what_limits_and_what_would_help() {
    let text = unwrapped(&planned(&format!("{EXAMPLE} --buffers 8 --host-threads 2 --items 1000")).stdout);
    for words in [
        "an item every 2.50 ms (400.0 a second), limited by the host threads",
        "the host threads 2.50 ms ######################## binding",
        "the device 2.00 ms ################### 20.0 % slack",
        "8 buffer sets a lane; 6 advised: N* = 4, +2 for stages that share the host threads (the limit itself)",
        "threads 2; 3 enough to hold nothing else back; 2.00 at work on average",
        "the device computes 80.0 %",
        "8.00 ms when nothing is waited for; an item stays 20.00 ms once all is in use",
        "1000 items in 2.51 s",
        "Intel's rule N = 4 with 6 cores: agrees, the same bound; its cores: too careful; silent on \
         stages that share a server",
        "advice host-bound: 3 host threads instead of 2 give 1.25x (then the device is the limit); \
         more buffer sets give nothing",
        "advice 6 buffer sets a lane are enough; the others make each item 5.00 ms later",
    ] {
        assert!(text.contains(words), "`{words}` in {text}");
    }
    assert!(!text.contains("memory"), "{text}");
}

#[test]
fn lanes_that_compute_on_this_machine_share_its_cores() {
    let cpu = "--ip 9ms --k 12ms --op 1ms --lanes 2 --overlap blocking --layout split --cores 2";
    let text = unwrapped(&planned(cpu).stdout);
    for words in [
        "an item every 11.00 ms (90.9 a second), limited by the cores of this machine",
        "1 input and 1 output sets a lane (by this plan)",
        "every core has something to do",
        "advice core-bound: 3 cores instead of 2 give 1.50x; a device that computes as fast with cores of its own gives 1.83x \
         (then the device is the limit)",
    ] {
        assert!(text.contains(words), "`{words}` in {text}");
    }
    // A prediction is a run.
    let simulate = format!("simulate --items 2000 {cpu}");
    let simulated = run(simulate.split_whitespace()).exit(0).stdout;
    for words in [
        "period 11.00 ms measured in steady state, 11.00 ms planned: as planned",
        "because the cores were at other work; core-bound: 3 cores instead of 2 give 1.50x",
    ] {
        assert!(unwrapped(&simulated).contains(words), "`{words}` in {simulated}");
    }
    check_refused("--k 1ms --cores 2", &["--cores", "2 cores for lanes that are queued"]);
}

#[test]
fn chooses_buffers_and_threads_that_are_not_given() {
    let text = unwrapped(&planned(EXAMPLE).stdout);
    assert!(text.contains("5 buffer sets a lane (by this plan); 5 advised"), "{text}");
    assert!(text.contains("3 (by this plan); 3 enough"), "{text}");
    let text = unwrapped(&planned(&format!("{EXAMPLE} --layout split --host-threads 2+1")).stdout);
    assert!(text.contains("4 input and 2 output sets a lane (by this plan)"), "{text}");
    assert!(text.contains("threads 2 + 1; 2 + 1 enough"), "{text}");
}

#[test]
fn gives_the_same_as_json_and_leaves_out_what_only_a_run_has() {
    let value = json_of(&format!("{EXAMPLE} --buffers 4 --host-threads 2 --bytes-in 1KiB --bytes-out 10"));
    assert_eq!(value["format"], 1);
    assert_eq!(
        value["buffers"],
        json!({
            "depth": 4, "layout": "joint", "inputs": 4, "outputs": 4, "chosen_by": "user", "why": "asked for"
        })
    );
    assert_eq!((&value["lanes"], &value["host_threads"]), (&json!(1), &json!(2)));
    assert_eq!(value["stages"]["write"], json!({ "mean_s": 0.0005 }));
    assert_eq!(value["plan"]["binding"], "host");
    assert_eq!(value["plan"]["period_s"], 0.0025);
    assert_eq!((&value["plan"]["buffers_enough"], &value["plan"]["buffers_advised"]), (&json!(4), &json!(6)));
    assert_eq!(value["plan"]["host_threads_enough"], 3);
    assert_eq!(value["bytes"], json!({ "host": 4136, "device": 4136 }));
    assert_eq!(value["intel_rule"]["cores_verdict"], "careful");
    for absent in ["items", "wall_s", "latency_s", "kernel", "model", "device", "interrupted"] {
        assert!(value.get(absent).is_none(), "{absent}");
    }
    assert!(value["plan"].get("measured_period_s").is_none());
    let value = json_of("--k 2ms --items 2");
    assert_eq!((&value["wall_s"], &value["items_per_s"]), (&json!(0.004), &json!(500.0)));
    assert!(value["stages"].get("read").is_none() && value.get("bytes").is_none());
}

#[test]
fn every_flag_reaches_the_plan() {
    for (more, pointer, expected) in [
        ("--buffers 2", "/plan/binding", json!("buffers")),
        ("--buffers 3+9", "/plan/binding", json!("buffers")),
        ("--host-threads 1+9", "/plan/binding", json!("host")),
        ("--lanes 4 --host-threads 99", "/plan/binding", json!("device")),
        ("--overlap blocking", "/plan/period_s", json!(0.003)),
        ("--overlap double-buffer", "/plan/buffers_enough", json!(6)),
        ("--overlap blocking --call 5ms", "/plan/period_s", json!(0.005)),
        ("--w 3ms --r 3ms --link half", "/plan/binding", json!("link")),
        ("--w 3ms", "/plan/binding", json!("write")),
        ("--w 3ms --lanes 2 --links per-lane --host-threads 9", "/plan/period_s", json!(0.0015)),
        ("--launch-overhead 1ms", "/plan/period_s", json!(0.003)),
        ("--source-interval 20ms", "/plan/binding", json!("source")),
        ("--host-threads 9 --cv 0.5", "/plan/buffers_advised", json!(6)),
        ("--host-threads 9 --cv 0.5 --k-cv 0", "/plan/buffers_advised", json!(5)),
        ("--bytes-in 10 --memory-host 25", "/buffers/depth", json!(2)),
        ("--bytes-out 10 --memory-device 35", "/buffers/depth", json!(3)),
        ("--latency-max 9ms --overlap queued", "/buffers/depth", json!(4)),
    ] {
        let overridden: Vec<&str> = more.split_whitespace().filter(|word| word.starts_with("--")).collect();
        let mut words = EXAMPLE.split_whitespace();
        let mut options = more.to_owned();
        while let (Some(flag), Some(value)) = (words.next(), words.next()) {
            if !overridden.contains(&flag) {
                options += &format!(" {flag} {value}");
            }
        }
        let value = json_of(&options);
        let found = value.pointer(pointer).unwrap_or_else(|| panic!("{pointer} in {value:#}"));
        assert_eq!(found, &expected, "{more}: {value:#}");
    }
}

#[test]
fn flags_override_a_file_of_the_same_names() {
    let desk = Desk::new();
    let text = "ip = \"4ms\"\nw = \"500us\"\nk = \"2ms\"\nr = \"500us\"\nop = \"1ms\"\nhost-threads = 2\n\
                buffers = \"8\"\nlink = \"half\"\ncv = 0.5\n";
    let file = desk.write("setting.toml", text);
    let planned = |more: &[&str]| -> Value {
        let mut all = args!["plan", "--json", "--setting", file].to_vec();
        all.extend(more.iter().map(Into::into));
        serde_json::from_str(&run(all).exit(0).stdout).unwrap()
    };
    let value = planned(&[]);
    assert_eq!((&value["plan"]["binding"], &value["plan"]["link"]), (&json!("host"), &json!("half")));
    assert_eq!((&value["buffers"]["depth"], &value["plan"]["buffers_advised"]), (&json!(8), &json!(8)));
    let value = planned(&["--host-threads", "4", "--k", "1ms"]);
    assert_eq!((&value["host_threads"], &value["stages"]["kernel"]["mean_s"]), (&json!(4), &json!(0.001)));

    for (text, words) in [
        ("kernel = \"2ms\"", &["setting.toml", "kernel"][..]),
        ("k = 2", &["setting.toml", "`2`", "a time with its unit"]),
        ("k = \"-2ms\"", &["setting.toml", "`-2ms`", "a time with its unit"]),
        ("k = \"2ms\"\nbuffers = 0", &["setting.toml", "`0`", "a whole number from 1"]),
        ("k = [1]", &["setting.toml", "a text or a number"]),
        ("k", &["setting.toml"]),
    ] {
        let bad = desk.write("setting.toml", text);
        refused(args!["plan", "--setting", bad].to_vec(), words);
    }
    refused(
        args!["plan", "--setting", desk.path("none.toml")].to_vec(),
        &["cannot read --setting", "none.toml"],
    );
}

#[test]
fn plans_from_the_summary_of_a_run() {
    let desk = Desk::new();
    for (device, more) in
        [("sim:metis", "--double-buffer=on"), ("sim:metis", "--double-buffer=off"), ("sim:gpu", "--quiet")]
    {
        let summary = desk.path("run.json");
        run(args!["run", digits(), digit_images(), "--device", device, more, "--summary", summary]).exit(0);
        let of_run: Value = serde_json::from_str(&fs::read_to_string(&summary).unwrap()).unwrap();
        let ran = run(args!["plan", "--json", "--from", summary]).exit(0);
        assert_eq!(ran.stderr, "");
        let planned: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert!(alike(&planned["plan"], &of_run["plan"]), "{planned:#}, but {of_run:#}");
        let words = unwrapped(&run(args!["plan", "--from", summary]).exit(0).stdout);
        assert!(words.contains("measured the run reached"), "{words}");
        let other = run(args!["plan", "--json", "--from", summary, "--host-threads", "7"]).exit(0);
        let other: Value = serde_json::from_str(&other.stdout).unwrap();
        assert_eq!(other["host_threads"], 7);
        assert_eq!(other["stages"]["kernel"]["mean_s"], of_run["stages"]["kernel"]["mean_s"]);
        assert!(other["plan"].get("measured_period_s").is_none(), "another setting was not measured");
    }
    // Lanes that compute on this machine share its cores with the host threads, in a prediction too.
    let on_cores = desk.path("cpu.json");
    run(args!["run", digits(), digit_images(), "--quiet", "--summary", on_cores]).exit(0);
    let of_run: Value = serde_json::from_str(&fs::read_to_string(&on_cores).unwrap()).unwrap();
    assert_eq!(of_run["plan"]["cores"], std::thread::available_parallelism().unwrap().get());
    let planned = run(args!["plan", "--json", "--from", on_cores]).exit(0);
    let planned: Value = serde_json::from_str(&planned.stdout).unwrap();
    assert!(alike(&planned["plan"], &of_run["plan"]), "{planned:#}, but {of_run:#}");
    let short = desk.path("short.json");
    run(args!["run", digits(), digit_images(), "--limit", "2", "--summary", short]).exit(0);
    let ran = run(args!["plan", "--from", short]).exit(0);
    assert!(ran.stderr.contains("--overlap"), "{}", ran.stderr);
    for (text, words) in [
        ("{}", &["--from", "bad.json", "not the summary of a run", "format"][..]),
        ("run", &["--from", "bad.json", "not the summary of a run"]),
    ] {
        refused(args!["plan", "--from", desk.write("bad.json", text)].to_vec(), words);
    }
    let of_run = fs::read_to_string(&short).unwrap();
    let newer = desk.write("newer.json", of_run.replace("\"format\": 1", "\"format\": 2"));
    refused(args!["plan", "--from", newer].to_vec(), &["newer.json", "format 2"]);
    refused(args!["plan", "--from", desk.path("none.json")].to_vec(), &["cannot read --from", "none.json"]);
}

#[test]
fn sweeps_to_a_table_a_csv_and_a_chart() {
    let desk = Desk::new();
    let (csv, svg) = (desk.path("sweep.csv"), desk.path("sweep.svg"));
    let mut all = plan(&format!("{EXAMPLE} --sweep buffers=1..8,host-threads=1..4"));
    all.extend(args!["--csv", csv, "--svg", svg]);
    let table = run(all).exit(0).stdout;
    assert_eq!(table.lines().count(), 1 + 32);
    assert_eq!(unwrapped(table.lines().nth(1 + 3 * 4 + 1).unwrap()), "4 2 2.50 ms 400.0 10.00 ms host");
    assert!(table.lines().all(|line| line.len() <= 100), "{table}");

    let csv = fs::read_to_string(csv).unwrap();
    assert_eq!(csv.lines().count(), 1 + 32);
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["buffers", "host-threads", "period_s", "items_per_s", "residence_s", "limit"]);
    assert_eq!(rows[14], ["4", "2", "0.0025", "400", "0.01", "host"]);

    let svg = fs::read_to_string(svg).unwrap();
    assert!(svg.starts_with("<svg role=\"img\" aria-labelledby=\"title description\""), "{svg}");
    for words in [
        "<title id=\"title\">Items a second by buffer sets of each lane</title>",
        "host-threads = 2, 1: 125.0, 2: 250.0, 3: 375.0, 4: 400.0",
        "items a second",
        "host-threads = 4\n",
    ] {
        assert!(svg.contains(words), "`{words}` in {svg}");
    }
    assert!(svg.trim_end().ends_with("</svg>"));
}

#[test]
fn sweeps_that_make_no_sense_are_refused() {
    for (sweep, words) in [
        ("threads=1..4", "`threads` is unknown; known are buffers, inputs, outputs, host-threads, lanes"),
        ("buffers=0..4", "`0..4`: a whole number from 1"),
        ("buffers=4..1", "is empty"),
        ("inputs=1..4", "--layout split"),
    ] {
        check_refused(&format!("{EXAMPLE} --sweep {sweep}"), &["--sweep", words]);
    }
    check_refused(&format!("{EXAMPLE} --csv x.csv"), &["--sweep"]);
    let three = format!("{EXAMPLE} --sweep buffers=1..2,lanes=1..2,host-threads=1..2 --svg /no/such/file");
    check_refused(&three, &["--svg", "one or two resources, 3"]);
    check_refused(
        &format!("{EXAMPLE} --sweep lanes=1..2,buffers=1..9 --svg /no/such/file"),
        &["--svg", "9 lines"],
    );
    for flag in ["--csv", "--svg"] {
        let options = format!("{EXAMPLE} --sweep buffers=1..2 {flag} /no/such/file");
        check_refused(&options, &[&format!("cannot write {flag} `/no/such/file`")]);
    }
}

#[test]
fn bad_values_are_refused_by_the_flags_name() {
    for flag in ["--ip", "--w", "--k", "--r", "--op", "--call", "--launch-overhead"] {
        for value in ["-4ms", "NaN", "inf", "4", "4lightyears", "ms", "0.1ns"] {
            let words = [flag, &format!("'{value}'"), "a time with its unit is expected"];
            check_refused(&format!("{flag} {value}"), &words);
        }
        check_refused(
            &format!("--op 1ms {flag}=61min").replace("--op 1ms --op", "--op"),
            &[flag, "from 0 to 3600 s"],
        );
    }
    for flag in ["--source-interval", "--latency-max"] {
        check_refused(&format!("--k 1ms {flag} 0ms"), &[flag, "more than no time"]);
        check_refused(&format!("--k 1ms {flag} -1ms"), &[flag, "a time with its unit"]);
    }
    for flag in ["--cv", "--ip-cv", "--w-cv", "--k-cv", "--r-cv", "--op-cv"] {
        for value in ["-0.1", "NaN", "11", "x"] {
            check_refused(&format!("--k 1ms {flag} {value}"), &[flag, "a number from 0 to 10"]);
        }
    }
    for flag in ["--buffers", "--host-threads", "--lanes", "--cores"] {
        for value in ["0", "-1", "65537", "1.5", "many"] {
            check_refused(&format!("--k 1ms {flag} {value}"), &[flag, "a whole number from 1 to 65536"]);
        }
    }
    for flag in ["--bytes-in", "--bytes-out", "--memory-host", "--memory-device"] {
        for value in ["-1", "NaN", "0", "4parsecs"] {
            check_refused(&format!("--k 1ms {flag} {value}"), &[flag, "a number of bytes"]);
        }
    }
    for (flag, expected) in [
        ("--link", "full or half"),
        ("--links", "one or per-lane"),
        ("--layout", "joint or split"),
        ("--overlap", "queued, blocking or double-buffer"),
    ] {
        check_refused(&format!("--k 1ms {flag} other"), &[flag, "'other'", expected]);
    }
}

#[test]
fn settings_that_cannot_be_planned_are_refused() {
    check_refused("", &["no stage times are given", "--ip, --w, --k, --r and --op"]);
    check_refused("--k 0s --ip 0ms", &["--k", "all stage times are 0"]);
    check_refused("--k 2ms --layout joint --buffers 2+1", &["--buffers 2+1", "--layout split"]);
    let below = "--k 2ms --lanes 2 --bytes-in 60 --bytes-out 40";
    check_refused(&format!("{below} --memory-host 199"), &["--memory-host", "199 B", "200 B"]);
    check_refused(&format!("{below} --memory-device 199"), &["--memory-device", "199 B", "200 B"]);
    check_refused("--k 2ms --memory-device 1GiB", &["--memory-device", "--bytes-in"]);
    let words = ["--latency-max", "7.90 ms", "8.00 ms at least"];
    check_refused(&format!("{EXAMPLE} --latency-max 7.9ms"), &words);
}
