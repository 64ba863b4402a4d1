//! `simulate`: what it says and draws, what it writes, what it refuses.

use std::ffi::OsString;
use std::fs;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::fixtures::{Desk, digit_images, digits, items};
use crate::process::{Ran, args, nbuffer, run};

const EXAMPLE: &str = "--ip 4ms --w 500us --k 2ms --r 500us --op 1ms";

fn simulate(options: &str) -> Vec<OsString> {
    std::iter::once("simulate").chain(options.split_whitespace()).map(OsString::from).collect()
}

#[track_caller]
fn simulated(options: &str) -> Ran {
    let ran = run(simulate(options)).exit(0);
    assert_eq!(ran.stderr, "");
    for line in ran.stdout.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
    ran
}

/// Checks all that is said, to the last letter.
#[track_caller]
fn check_said(options: &str, expected: Expect) {
    expected.assert_eq(&simulated(options).stdout);
}

#[track_caller]
fn json_of(options: &str) -> Value {
    let value: Value =
        serde_json::from_str(&run(simulate(&format!("{options} --json"))).exit(0).stdout).unwrap();
    let [taken, ok, failed, cancelled] = items(&value);
    assert_eq!(taken, ok + failed + cancelled, "every item ends exactly once: {value:#}");
    value
}

/// Checks that these options are refused, in words that contain all of `words`.
#[track_caller]
fn check_refused(options: &str, words: &[&str]) {
    let ran = run(simulate(options)).exit(2);
    assert_eq!(ran.stdout, "");
    for word in words {
        assert!(ran.stderr.contains(word), "`{word}` in: {}", ran.stderr);
    }
}

fn number(value: &Value, pointer: &str) -> f64 {
    value.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{pointer} in {value:#}"))
}

#[track_caller]
fn check_close(found: f64, expected: f64) {
    assert!((found / expected - 1.0).abs() < 1e-9, "{found}, not {expected}");
}

/// The text with its line breaks within rows undone.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn draws_the_schedule_and_says_what_came_of_it() {
    check_said(
        &format!("{EXAMPLE} --buffers 4 --host-threads 2 --items 5 --timeline --ascii"),
        expect![[r#"
            5 items in 17.00 ms of virtual time (294.1 a second)

            host 0    (------0-------)(-------2-------){0=}(-------4-------){3=}........{4=}
            host 1    (------1-------)(-------3-------)....{1=}....{2=}.....................
            link in   ................(0)(1............(2(3.................(4..............
            kernel    ...................[##0###][##1###][##2###][##3###].....[##4###]......
            link out  ...........................{0......{1......{2......{3}..........{4....
                      +-------+-------+-------+-------+--------+-------+-------+-------+----
                  ms  0       2       4       6       8        10      12      14      16
            (-) preprocess   {=} postprocess

              items        5 ok
              ran with     1 lane, 4 buffer sets each, 2 host threads
              buffers      asked for
              limit        the host threads
              period       2.50 ms planned; the stream is too short to measure it
              busy         the device computed 90.9 % of the time from its first kernel to
                           its last; idle 1.00 ms between them, fill 4.50 ms, drain 1.50 ms
              why          idle 9.1 % of its steady time, all of it because the next item
                           was still with the host threads; host-bound: 3 host threads
                           instead of 2 give 1.25x (then the device is the limit); more
                           buffer sets give nothing
              latency      mean 9.00 ms, 99 % within 10.00 ms, longest 10.00 ms; 10.00 ms
                           planned once all is in use
        "#]],
    );
}

#[test]
fn draws_the_ends_and_the_middle_of_a_long_stream() {
    check_said(
        &format!("{EXAMPLE} --layout split --buffers 3 --host-threads 3 --items 100000 --timeline --ascii"),
        expect![[r#"
            100000 items in 216.67 s of virtual time (461.5 a second)

            host 0    (----0-----).......(--3--- // ---4097--)..(4099-- // ----)..{=}....{=}
            host 1    (----1-----).........{0}.- // ---)..(---4098---)+ // .{=}.............
            host 2    (----2-----).............. // {=}....{=}...{=}... // .................
            link in   ............0(1-.......... // ....()....()......- // .....()..........
            kernel    .............[#0##][#1##]# // [4095][4096][4097]. // 99998..[99999....
            link out  ...................{0....1 // ......=.....=.....= // =....{}......=...
                      +-------------+----------- // --------+---------- // ---------+-------
                  ms  0             5            //         8880        //          216670
                      fill                       // steady state        // drain
            (-) - + preprocess   {=} postprocess   // 8.87 s and 208 s left out

              the device               2.00 ms  ######################    92.3 % busy
              the host threads         1.67 ms  ##################        76.9 % busy
              the link, writes        500.0 us  ######                    23.1 % busy
              the link, reads         500.0 us  ######                    23.1 % busy

              items        100000 ok
              ran with     1 lane, 3 input and 3 output sets each, 3 host threads
              buffers      asked for
              limit        the input sets
              period       2.17 ms measured in steady state, 2.17 ms planned: as planned
              busy         the device computed 92.3 % of the time from its first kernel to
                           its last; idle 16.67 s between them, fill 4.50 ms, drain 1.50 ms
              why          idle 7.7 % of its steady time, all of it because there was no
                           free buffer set for the next item; buffer-bound: 4 + 3 input and
                           output sets a lane instead of 3 + 3 give 1.08x (then the device
                           is the limit); more host threads give nothing
              latency      mean 8.00 ms, 99 % within 8.00 ms, longest 12.00 ms; 10.50 ms
                           planned once all is in use
        "#]],
    );
}

#[test]
fn tells_times_that_vary_by_their_seed() {
    let of_seed = |seed: u32| {
        let options = format!("{EXAMPLE} --cv 0.5 --items 1000 --seed {seed}");
        simulated(&options).stdout
    };
    assert_eq!(of_seed(7), of_seed(7));
    assert_ne!(of_seed(7), of_seed(8));
    assert!(unwrapped(&of_seed(7)).contains("times drawn log-normally with seed 7"));
}

#[test]
fn draws_as_the_terminal_and_the_user_ask() {
    let drawn = |locale: &str, more: &str| {
        let mut command = nbuffer(simulate(&format!("{EXAMPLE} --items 8 --timeline {more}")));
        command.env_remove("LC_ALL").env_remove("LC_CTYPE").env("LANG", locale).env_remove("NO_COLOR");
        crate::process::Process::start(&mut command).finish().exit(0).stdout
    };
    assert!(drawn("C", "").is_ascii());
    assert!(drawn("de_CH.UTF-8", "").contains('━'));
    assert!(drawn("de_CH.UTF-8", "--ascii").is_ascii());
    assert!(!drawn("C", "").contains('\x1b'), "a pipe has no colours");
    assert!(drawn("C", "--color always").contains("\x1b[32m"));
    let kernels = |text: &str| text.lines().find(|line| line.starts_with("kernel")).unwrap().len();
    assert_eq!((kernels(&drawn("C", "")), kernels(&drawn("C", "--width 100"))), (80, 100));
}

#[test]
fn gives_the_same_as_json() {
    let options = format!("{EXAMPLE} --buffers 2 --host-threads 2 --items 200");
    let value = json_of(&options);
    assert_eq!(value["format"], 1);
    assert_eq!(value["items"], json!({ "taken": 200, "ok": 200, "failed": 0, "cancelled": 0 }));
    assert_eq!(value["plan"]["binding"], "buffers");
    check_close(number(&value, "/plan/period_s"), 0.004);
    check_close(number(&value, "/plan/measured_period_s"), 0.004);
    check_close(number(&value, "/plan/efficiency"), 1.0);
    check_close(number(&value, "/stages/kernel/busy_s"), 0.4);
    let kernel = |key: &str| number(&value, &format!("/kernel/{key}"));
    check_close(kernel("busy_s"), 0.4);
    check_close(
        kernel("fill_s") + kernel("busy_s") + kernel("downtime_s") + kernel("drain_s"),
        number(&value, "/wall_s"),
    );
    check_close(number(&value, "/items_per_s"), 200.0 / number(&value, "/wall_s"));
    assert_eq!(value["remarks"], json!(["simulated in virtual time, seed 0"]));
    for absent in ["model", "device", "engine", "bytes", "accuracy"] {
        assert!(value.get(absent).is_none(), "{absent}");
    }
    let text = unwrapped(&simulated(&options).stdout);
    let wall_ms = 1e3 * number(&value, "/wall_s");
    for words in [
        format!("200 items in {wall_ms:.2} ms of virtual time"),
        "period 4.00 ms measured in steady state, 4.00 ms planned: as planned".to_owned(),
        format!("idle {:.2} ms between them", 1e3 * kernel("downtime_s")),
        format!("latency mean {:.2} ms", 1e3 * number(&value, "/latency_s/mean")),
    ] {
        assert!(text.contains(&words), "`{words}` in {text}");
    }
    let with_bytes = json_of(&format!("{options} --bytes-in 10 --bytes-out 1"));
    assert_eq!(with_bytes["bytes"], json!({ "host": 22, "device": 22 }));
}

#[test]
fn every_flag_of_a_setting_reaches_the_simulation() {
    for (options, period_s) in [
        ("--k 2ms --ip 1ms --host-threads 9 --buffers 9", 0.002),
        ("--k 2ms --ip 1ms --host-threads 9 --buffers 1", 0.003),
        ("--k 2ms --r 2ms --host-threads 9 --layout split --buffers 9+1", 0.004),
        ("--k 2ms --w 1ms --r 1ms --overlap blocking --buffers 9", 0.004),
        ("--k 2ms --w 1ms --r 1ms --overlap blocking --call 5ms --buffers 9", 0.005),
        ("--k 2ms --w 1ms --r 1ms --overlap double-buffer --buffers 9", 0.002),
        ("--k 2ms --w 3ms --r 3ms --link half --buffers 9", 0.006),
        ("--k 2ms --w 3ms --lanes 2 --buffers 9", 0.003),
        ("--k 2ms --w 3ms --lanes 2 --links per-lane --buffers 9", 0.0015),
        ("--k 2ms --launch-overhead 1ms --buffers 9", 0.003),
        ("--k 2ms --source-interval 20ms --buffers 9", 0.02),
    ] {
        let value = json_of(&format!("{options} --items 1000"));
        let measured_s = number(&value, "/plan/measured_period_s");
        assert!((measured_s / period_s - 1.0).abs() < 0.01, "{options}: {measured_s}");
    }
}

#[test]
fn a_stream_too_short_for_a_steady_state_says_so() {
    for n in [1, 2, 20] {
        let options = format!("{EXAMPLE} --items {n}");
        assert!(json_of(&options)["plan"].get("measured_period_s").is_none(), "{n}");
        let text = unwrapped(&simulated(&options).stdout);
        assert!(text.contains("the stream is too short to measure it"), "{text}");
    }
}

#[test]
fn a_period_longer_than_planned_has_a_cause() {
    for (more, cause) in [
        ("--cv 1 --buffers 3", "8 buffer sets are advised: N* = 3, +1 for stages"),
        ("--cv 3 --buffers 9", "the plan speaks of mean times, and these vary"),
        ("--buffers 9 --stall 500:3s", "what went wrong is in it"),
    ] {
        let options = format!("--k 2ms --ip 2ms --op 1ms --items 1000 {more}");
        let value = json_of(&options);
        assert!(number(&value, "/plan/efficiency") < 0.98, "{value:#}");
        assert!(
            value["likely_cause"].as_str().unwrap().starts_with(cause),
            "{more}: {}",
            value["likely_cause"]
        );
        let text = unwrapped(&simulated(&options).stdout);
        assert!(text.contains(&format!("longer; {cause}")), "`{cause}` in {text}");
    }
    assert!(json_of("--k 2ms --ip 2ms --items 1000").get("likely_cause").is_none());
}

#[test]
fn simulates_the_pipeline_of_a_real_run() {
    let desk = Desk::new();
    let summary = desk.path("run.json");
    let options =
        args!["run", digits(), digit_images(), "--device", "sim:metis", "--quiet", "--summary", summary];
    run(options).exit(0);
    let of_run: Value = serde_json::from_str(&fs::read_to_string(&summary).unwrap()).unwrap();
    let simulated = |from: &std::path::Path| -> Value {
        let ran = run(args!["simulate", "--json", "--from", from, "--items", "360"]).exit(0);
        assert_eq!(ran.stderr, "");
        serde_json::from_str(&ran.stdout).unwrap()
    };
    let value = simulated(&summary);
    for same in
        ["/lanes", "/buffers/inputs", "/buffers/outputs", "/host_threads", "/double_buffer", "/plan/lane"]
    {
        assert_eq!(value.pointer(same), of_run.pointer(same), "{same}");
    }
    assert_eq!(items(&value), [360, 360, 0, 0]);
    let text = unwrapped(&run(args!["simulate", "--from", summary]).exit(0).stdout);
    assert!(text.contains("measured the run it is taken from reached"), "{text}");
    // A simulation's summary is as good as a run's.
    let again = simulated(&desk.write("again.json", value.to_string()));
    assert_eq!(again["wall_s"], value["wall_s"]);
}

#[test]
fn what_goes_wrong_costs_what_it_must() {
    let value = json_of(&format!("{EXAMPLE} --fail 3 --fail preprocess:5 --fail postprocess:99"));
    assert_eq!(items(&value), [100, 97, 3, 0]);

    let stalled = json_of(&format!("{EXAMPLE} --stall 50:1s"));
    assert_eq!(items(&stalled), [100, 100, 0, 0]);
    assert!(number(&stalled, "/wall_s") > 1.0 && number(&stalled, "/wall_s") < 1.3);
    let text = unwrapped(&simulated(&format!("{EXAMPLE} --stall 50:1s")).stdout);
    assert!(text.contains("longer; what went wrong is in it"), "{text}");

    let one_left = json_of(&format!("{EXAMPLE} --lanes 2 --buffers 4 --host-threads 6 --lose-lane 1@20ms"));
    let [taken, ok, failed, cancelled] = items(&one_left);
    assert_eq!((taken, ok + failed, cancelled), (100, 100, 0));
    assert!((1..=4).contains(&failed), "{failed}");
    let none_left = json_of(&format!("{EXAMPLE} --buffers 4 --lose-lane 0@20ms"));
    assert!(items(&none_left)[0] < 100 && none_left["interrupted"] == true);

    let cancelled = json_of(&format!("{EXAMPLE} --cancel-at 30ms"));
    assert!(number(&cancelled, "/wall_s") < 0.05 && cancelled["interrupted"] == true);
    let at_once = json_of(&format!("{EXAMPLE} --cancel-at 0s"));
    assert!(number(&at_once, "/wall_s") < 0.01 && at_once.get("kernel").is_none());
    let text = unwrapped(&simulated(&format!("{EXAMPLE} --cancel-at 30ms --timeline --ascii")).stdout);
    assert!(text.contains("cancelled; the others were never taken from the source"), "{text}");
}

#[test]
fn chooses_buffers_while_the_stream_runs_and_again_when_it_changes() {
    let options = format!("{EXAMPLE} --buffers auto --host-threads 9 --items 2000");
    let sets = |value: &Value| -> Vec<u64> {
        let changes = value["buffers"]["changes"].as_array().unwrap();
        changes.iter().map(|change| change["inputs"].as_u64().unwrap()).collect()
    };
    let steady = json_of(&options);
    assert_eq!(sets(&steady), [4], "{steady:#}");
    assert_eq!((&steady["buffers"]["depth"], &steady["buffers"]["chosen_by"]), (&json!(4), &json!("auto")));
    check_close(number(&steady, "/plan/measured_period_s"), 0.002);

    let changed = json_of(&format!("{options} --host-change 1000:2"));
    let chosen = sets(&changed);
    assert!(chosen.len() > 1 && chosen[0] == 4 && chosen.is_sorted(), "{chosen:?}");
    // L/K with host stages of 10 ms.
    assert_eq!(chosen.last(), Some(&7), "{changed:#}");
    assert!(changed["buffers"]["changes"][1]["after_items"].as_u64().unwrap() >= 1000);
    let text = unwrapped(&simulated(&format!("{options} --host-change 1000:2")).stdout);
    assert!(text.contains("buffers chosen while the stream ran: 4 at"), "{text}");

    let desk = Desk::new();
    let file =
        desk.write("setting.toml", "k = \"2ms\"\nip = \"4ms\"\nbuffers = \"auto\"\nhost-threads = 4\n");
    let ran = run(args!["simulate", "--setting", file]).exit(0);
    assert!(unwrapped(&ran.stdout).contains("buffers chosen while the stream ran: 3 at"), "{}", ran.stdout);

    let short = json_of(&format!("{EXAMPLE} --buffers auto --items 3"));
    assert_eq!(short["buffers"]["depth"], 2);
    assert!(short["buffers"]["why"].as_str().unwrap().contains("too short to choose"));
}

/// All spans of so many items would take 80 MB.
#[test]
#[cfg(target_os = "linux")]
fn a_run_of_many_items_takes_little_memory() {
    let program = env!("CARGO_BIN_EXE_nbuffer");
    let command = format!("ulimit -d 40000; exec {program} simulate {EXAMPLE} --items 300000 --timeline");
    let ran = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let text = String::from_utf8(ran.stdout).unwrap();
    assert!(text.starts_with("300000 items in 600.01 s of virtual time"), "{text}");
}

#[test]
fn sweeps_as_plan_does_with_what_was_measured() {
    let desk = Desk::new();
    let (csv, svg) = (desk.path("sweep.csv"), desk.path("sweep.svg"));
    let mut all = simulate(&format!("{EXAMPLE} --sweep buffers=1..4,host-threads=2..3"));
    all.extend(args!["--csv", csv, "--svg", svg]);
    expect![[r#"
        buffers  host-threads      period  items a second  item stays  limited by
        1             2     8.00 ms           125.0     8.00 ms  buffers
        1             3     8.00 ms           125.0     8.00 ms  buffers
        2             2     4.00 ms           250.0     8.00 ms  buffers
        2             3     4.00 ms           250.0     8.00 ms  buffers
        3             2     2.67 ms           375.0     8.00 ms  buffers
        3             3     2.67 ms           375.0     8.01 ms  buffers
        4             2     2.50 ms           400.0    10.00 ms  host
        4             3     2.00 ms           500.0     8.01 ms  device
    "#]]
    .assert_eq(
        &run(all).exit(0).stdout.lines().fold(String::new(), |all, row| all + row.trim_start() + "\n"),
    );
    let csv = fs::read_to_string(csv).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((rows.len(), rows[0][2], rows[8][0], rows[8][5]), (9, "period_s", "4", "device"));
    check_close(rows[8][2].parse().unwrap(), 0.002);
    assert!(fs::read_to_string(svg).unwrap().contains("host-threads = 3, 1: 125.0, 2: 250.0"));
}

#[test]
fn chaos_breaks_no_promise() {
    let ran = run(simulate("--chaos 20000 --seed 7")).exit(0);
    assert_eq!(ran.stderr, "");
    assert!(ran.stdout.starts_with("every promise held: 2"), "{}", ran.stdout);
    assert!(ran.stdout.contains("random streams of seed 7"), "{}", ran.stdout);
    let one = run(simulate("--chaos --seed 7 --stream 3")).exit(0).stdout;
    assert!(one.contains("in 1 random streams of seed 7"), "{one}");
    for (more, words) in [
        ("--k 2ms", &["--chaos", "drawn at random"][..]),
        ("--setting x.toml", &["--chaos", "drawn at random"]),
        ("--items 3", &["--chaos", "--items"]),
        ("--fail 3", &["--chaos", "--fail"]),
        ("--timeline", &["--chaos", "--timeline"]),
        ("--width 100", &["--chaos", "--width"]),
        ("--json", &["--chaos", "--json"]),
        ("--sweep lanes=1..2", &["--chaos", "--sweep"]),
    ] {
        check_refused(&format!("--chaos 10 {more}"), words);
    }
    check_refused("--k 2ms --stream 3", &["--chaos"]);
}

#[test]
fn bad_values_are_refused_by_the_flags_name() {
    for (flag, values, words) in [
        ("--items", &["0", "-1", "1e3", "NaN"][..], "a whole number from 1"),
        ("--chaos", &["0", "-1", "NaN"], "a whole number from 1"),
        ("--seed", &["-1", "x", "NaN"], "--seed"),
        ("--width", &["0", "-1", "19", "10001", "NaN"], "a whole number from 20 to 10000"),
        ("--color", &["sometimes"], "auto, always, never"),
        ("--fail", &["-1", "NaN", "write:3", "kernel:", "x:1"], "the number of an item is expected"),
        ("--stall", &["3", "3:", "3:4", "-3:1ms", "3:-1ms", "3:2h", "3:NaN"], "a time with its unit"),
        ("--lose-lane", &["0", "0@", "-1@1ms", "0@-1ms", "0:1ms", "0@NaN"], "the number of a lane"),
        ("--cancel-at", &["-1ms", "NaN", "4", "3parsecs"], "a time with its unit is expected"),
        ("--host-change", &["3", "3:0", "3:-1", "3:NaN", "3:inf", "-3:2", "3:1001"], "a factor above 0"),
        ("--buffers", &["0", "-1", "many", "3+", "auto+1"], "a whole number from 1 to 65536"),
        ("--sweep", &["threads=1..2", "buffers=0"], "--sweep"),
    ] {
        for value in values {
            let more = if ["--width", "--color"].contains(&flag) { "--timeline" } else { "" };
            check_refused(&format!("--k 2ms {more} {flag} {value}"), &[flag, &format!("'{value}'"), words]);
        }
    }
    for (flag, value) in
        [("--ip", "-4ms"), ("--k", "NaN"), ("--op", "4"), ("--w", "61min"), ("--r", "4lightyears")]
    {
        check_refused(&format!("{flag} {value}"), &[flag]);
    }
    for flag in ["--width 100", "--ascii", "--color never"] {
        check_refused(&format!("--k 2ms {flag}"), &["--timeline"]);
    }
}

#[test]
fn what_cannot_be_simulated_is_refused() {
    check_refused("", &["no stage times are given", "--ip, --w, --k, --r and --op"]);
    check_refused("--k 0s", &["--k", "all stage times are 0"]);
    check_refused("--k 1h --items 10000000", &["--items", "a century"]);
    check_refused("--k 2ms --lanes 65536 --buffers 65536", &["--buffers, --lanes", "1048576"]);
    for flag in ["--fail 100", "--stall 100:1ms", "--host-change 100:2"] {
        check_refused(&format!("--k 2ms {flag}"), &[&flag[..6], "numbered from 0 to 99"]);
    }
    check_refused("--k 2ms --lose-lane 2@1ms --lanes 2", &["--lose-lane", "lane 2"]);
    check_refused("--k 2ms --ip 30min --host-change 3:10", &["--host-change", "--ip", "3600 s"]);
    check_refused("--k 2ms --sweep buffers=1..3 --buffers auto", &["--sweep", "--buffers auto"]);
    check_refused("--k 2ms --sweep lanes=1..3 --items 9", &["--items", "9 are too few"]);
    check_refused("--k 2ms --sweep lanes=1..3 --timeline", &["--sweep", "--timeline"]);
    check_refused("--k 2ms --json --timeline", &["--json", "--timeline"]);
    check_refused("--k 2ms --latency-max 1ms --buffers auto", &["--latency-max", "2.00 ms at least"]);
}
